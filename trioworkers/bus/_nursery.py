"""A nursery for background work that leaves the body's own exception alone."""

from types import TracebackType

import trio
from trio.lowlevel import enable_ki_protection


def _is_cancellation(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return error.subgroup(trio.Cancelled) is not None
    return isinstance(error, trio.Cancelled)


def _is_nothing_but_cancellation(error: BaseException) -> bool:
    return isinstance(error, BaseExceptionGroup) and error.split(trio.Cancelled)[1] is None


class BackgroundNursery:
    """``async with`` a nursery whose Trio tasks serve the body.

    Like `trio.open_nursery`, but an exception that the body raises by itself
    leaves the block as it is, not in a group: the background is cancelled and
    waited for first. If the background fails too, both leave in a group.
    Leaving normally waits for the background, as a nursery does.
    """

    __slots__ = ("_manager", "_nursery")

    @enable_ki_protection
    async def __aenter__(self) -> trio.Nursery:
        self._manager = trio.open_nursery()
        self._nursery = await self._manager.__aenter__()
        return self._nursery

    @enable_ki_protection
    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if exc is None or _is_cancellation(exc):
            return bool(await self._manager.__aexit__(exc_type, exc, traceback))
        self._nursery.cancel_scope.cancel()
        try:
            await self._manager.__aexit__(None, None, None)
        except BaseException as background:  # noqa: BLE001 - re-raised in the group
            if _is_nothing_but_cancellation(background):
                return False  # from outside, meanwhile; the body's own exception says more
            raise BaseExceptionGroup(
                "the body and its background failed", [exc, background]
            ) from None
        return False
