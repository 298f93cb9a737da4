"""Jobs between two processes over Redis: the library, raw streams, and job systems.

Each module of a side (`ours`, `floor`, those in `peers`) has functions of the same
names. The requester runs in the child that measures, the worker in a helper process
of its own, and the server is a third. This file and those that children of other
libraries import (`_helpers`, `_measuring`) need the standard library alone.
"""
