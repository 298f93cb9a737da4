"""How much memory this process has: its resident set, as the kernel counts it.

What Python's allocator and the C library keep for later counts too: it is what
a machine must have.
"""

import contextlib
import ctypes
import gc
import os
from pathlib import Path

_STATM = Path("/proc/self/statm")


def resident_bytes() -> int:
    """Return the resident memory in bytes, a multiple of the page size.

    Raises:
      NotImplementedError: The system has no ``/proc/self/statm``; Linux has.
    """
    try:
        pages = int(_STATM.read_text(encoding="ascii").split()[1])
    except FileNotFoundError:
        raise NotImplementedError("memory is measured on Linux alone") from None
    return pages * os.sysconf("SC_PAGE_SIZE")


def settled_bytes() -> int:
    """Give back what nobody needs, then return the resident memory in bytes."""
    for _ in range(3):
        gc.collect()
    with contextlib.suppress(AttributeError, OSError):  # a C library without it
        ctypes.CDLL(None).malloc_trim(0)
    return resident_bytes()
