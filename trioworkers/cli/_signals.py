"""Cancelling a command at Ctrl-C, or when it is told to end."""

import signal
from collections.abc import Awaitable, Callable
from typing import TypeVarTuple

import trio

Ts = TypeVarTuple("Ts")


async def run_until_signal(
    fn: Callable[[*Ts], Awaitable[object]], *args: *Ts
) -> signal.Signals | None:
    """Run ``fn(*args)``; cancel it at SIGINT or SIGTERM and return which it was."""
    caught: signal.Signals | None = None
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as numbers:
        async with trio.open_nursery() as nursery:

            async def watch() -> None:
                nonlocal caught
                async for number in numbers:
                    # Any further one finds us on the way out already.
                    caught = caught or signal.Signals(number)
                    nursery.cancel_scope.cancel(reason=caught.name)

            nursery.start_soon(watch)
            await fn(*args)
            nursery.cancel_scope.cancel()
    return caught
