"""Other libraries, doing the same work.

Each module is named like what it measures, and runs in a child of its own
(`benchmarks._serve`) with the Python of an environment that only peers are
installed in (`environment`). Importing this package imports none of them.
"""
