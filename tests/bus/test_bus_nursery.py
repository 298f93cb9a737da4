"""`BackgroundNursery`: a nursery that leaves the body's own exception alone."""

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from trioworkers.bus import BackgroundNursery


async def fail(error):
    """Raise ``error``."""
    raise error


async def fail_when_cancelled(error):
    """Raise ``error`` instead of `trio.Cancelled`."""
    try:
        await trio.sleep_forever()
    finally:
        raise error


async def test_leaving_normally_waits_for_the_background(autojump_clock):
    """As a nursery does."""
    done = []

    async def work():
        await trio.sleep(3)
        done.append(True)

    async with BackgroundNursery() as nursery:
        nursery.start_soon(work)
    assert done == [True]


async def test_the_bodys_exception_leaves_unwrapped():
    """The background is cancelled and waited for first."""
    stopped = []

    async def work():
        try:
            await trio.sleep_forever()
        finally:
            stopped.append(True)

    error = ValueError("mine")
    with pytest.raises(ValueError, match="mine") as caught:
        async with BackgroundNursery() as nursery:
            nursery.start_soon(work)
            await wait_all_tasks_blocked()
            raise error
    assert caught.value is error
    assert stopped == [True]


async def test_an_exception_group_of_the_body_leaves_as_it_is():
    """It is not put into another group."""
    group = ExceptionGroup("mine", [ValueError("a"), TypeError("b")])
    with pytest.raises(ExceptionGroup) as caught:
        async with BackgroundNursery():
            raise group
    assert caught.value is group


async def test_when_both_fail_both_leave_in_a_group():
    """Neither hides the other."""
    with pytest.RaisesGroup(
        pytest.RaisesExc(ValueError, match="body"),
        pytest.RaisesGroup(pytest.RaisesExc(OSError, match="background")),
    ):
        async with BackgroundNursery() as nursery:
            nursery.start_soon(fail_when_cancelled, OSError("background"))
            await wait_all_tasks_blocked()
            raise ValueError("body")


async def test_a_failing_background_cancels_the_body():
    """What leaves is the background's group, without the cancellation."""
    with pytest.RaisesGroup(pytest.RaisesExc(OSError, match="background")):
        async with BackgroundNursery() as nursery:
            nursery.start_soon(fail, OSError("background"))
            await trio.sleep_forever()


async def test_cancellation_from_outside_passes_through():
    """It is not swallowed, and cancels the background too."""
    stopped = []

    async def work():
        try:
            await trio.sleep_forever()
        finally:
            stopped.append(True)

    with trio.CancelScope() as scope:
        async with BackgroundNursery() as nursery:
            nursery.start_soon(work)
            await wait_all_tasks_blocked()
            scope.cancel()
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert stopped == [True]


async def test_cancelling_the_nurserys_own_scope_ends_the_block_quietly():
    """As with `trio.open_nursery`."""
    async with BackgroundNursery() as nursery:
        nursery.cancel_scope.cancel()
        await trio.sleep_forever()
    assert nursery.cancel_scope.cancelled_caught


async def test_the_bodys_exception_beats_a_cancellation_from_outside():
    """It leaves unwrapped even if the block is being cancelled meanwhile."""
    error = ValueError("mine")
    for children in range(3):
        with pytest.raises(ValueError, match="mine") as caught, trio.CancelScope() as scope:
            async with BackgroundNursery() as nursery:
                for _ in range(children):
                    nursery.start_soon(trio.sleep_forever)
                scope.cancel()
                raise error
        assert caught.value is error


async def test_a_group_with_a_cancellation_keeps_its_errors():
    """Errors next to a cancellation are not lost when the scope takes its part."""
    with (
        pytest.RaisesGroup(pytest.RaisesExc(ValueError, match="child"), flatten_subgroups=True),
        trio.CancelScope() as scope,
    ):
        async with BackgroundNursery():
            async with trio.open_nursery() as inner:
                inner.start_soon(fail_when_cancelled, ValueError("child"))
                await wait_all_tasks_blocked()
                scope.cancel()
                await trio.sleep_forever()
