"""Job groups of many workers."""

from .._timing import Stopwatch
from ._workers import named, running


async def group(count: int, *, size: int) -> float:
    """Do ``count`` groups of ``size`` members; return seconds per member."""
    payload = {"number": 1}
    workers = named(size)
    names = [worker.name for worker in workers]
    async with running(*workers) as runner:
        with Stopwatch() as watch:
            for _ in range(count):
                async with runner.job_group(*names, name="echo", payload=payload) as members:
                    pass
                assert len(members.responses) == size
    return watch.seconds / size / count
