"""Cancelling handlers that run."""

import attrs
import trio
import trio.testing

from trioworkers import BusDataMessage, BusMessage

from .._timing import Stopwatch
from ._workers import Worker, named, running


@attrs.define
class _Noise(BusDataMessage):
    """A message that has nothing to do with jobs."""


class _Deaf(Worker):
    """Its hook is stuck at the first message, so that what else comes is queued."""

    async def on_bus_message(self, message: BusMessage) -> None:
        if isinstance(message, _Noise):
            await trio.sleep_forever()


async def cancel(count: int, *, size: int, queued: int = 0) -> float:
    """End groups of ``size`` waiting handlers; return seconds until all of one have ended.

    Args:
      count: How many groups, one after another.
      size: Members.
      queued: Messages that wait in the members' data lanes, in all.
    """
    members = [_Deaf(f"member{number}") for number in range(size)] if queued else named(size)
    names = [worker.name for worker in members]
    watch = Stopwatch()
    with trio.CancelScope() as scope:
        async with running(*members) as runner:
            for number in range(queued):
                target = names[number % size]
                await runner.bus.send(_Noise(source="runner", target=target))
            for _ in range(count):
                async with runner.job_group(*names, name="wait") as waiting:
                    await trio.testing.wait_all_tasks_blocked()
                    watch.start()
                    waiting.group.complete()
                watch.stop()
                assert len(waiting.outcomes) == size
            scope.cancel()  # the stuck hooks
    return watch.seconds / count
