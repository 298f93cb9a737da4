"""How much memory a process has: its resident set, as the kernel counts it.

What Python's allocator and the C library keep for later counts too: it is what
a machine must have.
"""

import contextlib
import ctypes
import gc
import os
from pathlib import Path


def resident_bytes(pid: int | None = None) -> int:
    """Return the resident memory of a process in bytes, a multiple of the page size.

    Args:
      pid: Which process; None for this one.

    Raises:
      NotImplementedError: The system has no ``/proc/.../statm``; Linux has.
    """
    try:
        statm = Path("/proc", str(pid or "self"), "statm").read_text(encoding="ascii")
    except FileNotFoundError:
        raise NotImplementedError("memory is measured on Linux alone") from None
    return int(statm.split()[1]) * os.sysconf("SC_PAGE_SIZE")


def settled_bytes() -> int:
    """Give back what nobody needs, then return the resident memory in bytes."""
    for _ in range(3):
        gc.collect()
    with contextlib.suppress(AttributeError, OSError):  # a C library without it
        ctypes.CDLL(None).malloc_trim(0)
    return resident_bytes()
