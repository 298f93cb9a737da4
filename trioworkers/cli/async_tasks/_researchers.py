"""The researchers of ``demo research``, in the manner that a person can watch."""

import os

import trio

from ..research import FilesResearcher, Manner, PackagesResearcher, Researcher, StdlibResearcher

#: Findings of each researcher that a response has.
BEST = 5
#: Blocks of a paced search, and seconds of rest after one: each researcher has a pace of its
#: own, so that they are seen to work independently.
BLOCKS = 30
FILES_PAUSE, STDLIB_PAUSE, PACKAGES_PAUSE = 0.25, 0.35, 0.15


def make_researchers(*, slow: bool) -> list[Researcher]:
    """Return one of each kind, to share as many threads as there are processors.

    Args:
      slow: Whether a search takes 5 to 15 seconds at least, if there is enough to look at.
    """
    limiter = trio.CapacityLimiter(max(2, os.cpu_count() or 1))

    def manner(pause: float) -> Manner:
        return Manner(BEST, BLOCKS, pause) if slow else Manner(BEST)

    return [
        FilesResearcher(limiter=limiter, manner=manner(FILES_PAUSE)),
        StdlibResearcher(limiter=limiter, manner=manner(STDLIB_PAUSE)),
        PackagesResearcher(limiter=limiter, manner=manner(PACKAGES_PAUSE)),
    ]
