"""Job groups of many workers."""

from pipecat.pipeline.job_context import JobGroupParams
from pipecat.workers.base_worker import BaseWorker

from ..._timing import Stopwatch
from ._workers import Echo, running


async def group(count: int, *, size: int) -> float:
    """Do ``count`` groups of ``size`` members; return seconds per member."""
    requester = BaseWorker("requester")
    names = [f"member{number}" for number in range(size)]
    params = JobGroupParams(name="echo", payload={"number": 1})
    async with running(requester, *(Echo(name) for name in names)):
        with Stopwatch() as watch:
            for _ in range(count):
                async with requester.job_group(*names, params=params) as members:
                    pass
                assert len(members.responses) == size
    return watch.seconds / size / count
