"""The way from protected book-keeping back into user code.

Book-keeping is `trio.lowlevel.enable_ki_protection`, so that Ctrl-C never
falls between two of its steps; user code must stay interruptible.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar, TypeVarTuple

import trio

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


@trio.lowlevel.disable_ki_protection
async def call_interruptible(function: Callable[[*Ts], Awaitable[T]], *args: *Ts) -> T:
    """Await ``function(*args)`` with `KeyboardInterrupt` allowed inside."""
    return await function(*args)
