"""Other libraries, as a module each: job systems on Redis, and workers on a bus of Redis."""
