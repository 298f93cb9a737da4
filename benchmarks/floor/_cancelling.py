"""Cancelling handlers that run."""

import attrs
import trio

from .._timing import Stopwatch


@attrs.define(eq=False)
class _Waiters:
    """Counts handlers that wait for ever."""

    size: int
    running: int = 0
    ended: int = 0
    all_running: trio.Event = attrs.field(factory=trio.Event)
    all_ended: trio.Event = attrs.field(factory=trio.Event)

    async def wait(self, scope: trio.CancelScope) -> None:
        with scope:
            self.running += 1
            if self.running == self.size:
                self.all_running.set()
            await trio.sleep_forever()
        self.ended += 1
        if self.ended == self.size:
            self.all_ended.set()


async def _stuck(inbox: trio.MemoryReceiveChannel[int]) -> None:
    async for _ in inbox:
        await trio.sleep_forever()


async def cancel(count: int, *, size: int, queued: int = 0) -> float:
    """Cancel ``size`` waiting handlers one by one; return seconds until all have ended.

    Args:
      count: How often.
      size: Handlers.
      queued: Messages that wait in ``size`` inboxes, in all, whose readers are stuck.
    """
    watch = Stopwatch()
    async with trio.open_nursery() as workers:
        if queued:
            for _ in range(size):
                sender, receiver = trio.open_memory_channel[int](queued)
                workers.start_soon(_stuck, receiver)
                for number in range(queued // size):
                    sender.send_nowait(number)
        for _ in range(count):
            waiters = _Waiters(size)
            scopes = [trio.CancelScope() for _ in range(size)]
            for scope in scopes:
                workers.start_soon(waiters.wait, scope)
            await waiters.all_running.wait()
            watch.start()
            for scope in scopes:
                scope.cancel()
            await waiters.all_ended.wait()
            watch.stop()
        workers.cancel_scope.cancel()
    return watch.seconds / count
