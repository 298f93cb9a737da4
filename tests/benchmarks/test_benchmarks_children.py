"""Children measure when asked; what goes wrong in them is told, and the next is asked."""

import os
import sys

import pytest
import trio

from benchmarks._children import Failure, Program, open_child, open_children
from benchmarks._serve import Request

MISBEHAVING = Program(sys.executable, "tests.benchmarks.misbehaving")


def request(function, *, few=1, most=1, seconds=None, per=1):
    return Request(function, {}, few, most, seconds, per)


async def test_a_child_answers_with_numbers_whatever_it_prints() -> None:
    """One number or several; output of the measured code is no answer."""
    async with open_child(MISBEHAVING) as child:
        assert await child.measure(request("counted", most=7), 60) == (7.0,)
        assert await child.measure(request("several", most=7), 60) == (7.0, 2.0)


@pytest.mark.parametrize(
    ("few", "most", "seconds", "per", "expected"),
    [
        (2, 100, 8.0, 1, 4),
        (2, 100, 8.0, 2, 2),
        (2, 3, 8.0, 1, 3),
        (2, 100, 1.0, 1, 2),
        (2, 100, None, 1, 100),
    ],
)
async def test_as_often_as_fits_the_time(few, most, seconds, per, expected) -> None:
    """By the warm-up, which says here that each takes 2 s; within few and most."""
    async with open_child(MISBEHAVING) as child:
        asked = request("counted", few=few, most=most, seconds=seconds, per=per)
        assert await child.measure(asked, 60) == (expected,)


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        ("raising", "ValueError: that can't be measured"),
        ("unavailable", "not available: the thing to measure"),
        ("dying", "its process ended with 3: out of luck"),
        (
            "nosuch",
            "AttributeError: module 'tests.benchmarks.misbehaving' has no attribute 'nosuch'",
        ),
    ],
)
async def test_failures_are_told_and_others_still_measured(function, reason) -> None:
    """Also after a child has died: another one is started."""
    async with open_children({"side": MISBEHAVING}) as children:

        async def measure(name):
            return await children.measure("side", request(name), timeout=60, alone=False)

        assert await measure(function) == Failure(reason)
        assert await measure("counted") == (1.0,)


async def test_a_child_that_hangs_is_given_up() -> None:
    """It is killed, and another one is asked next."""
    async with open_children({"side": MISBEHAVING}) as children:
        answer = await children.measure("side", request("hanging"), timeout=0.5, alone=False)
        assert answer == Failure("no answer within 0.5 s")
        answer = await children.measure("side", request("counted"), timeout=60, alone=False)
        assert answer == (1.0,)


async def test_a_side_that_cannot_be_started_is_told() -> None:
    """So is a Python that isn't there."""
    async with open_children({"side": Program("/no/such/python", "any")}) as children:
        answer = await children.measure("side", request("counted"), timeout=60, alone=False)
    assert isinstance(answer, Failure)
    assert "can't be started" in answer.reason


async def test_memory_is_measured_in_a_process_of_its_own() -> None:
    """Others share one."""
    async with open_children({"side": MISBEHAVING}) as children:

        async def process(*, alone):
            return await children.measure("side", request("process"), timeout=60, alone=alone)

        shared = await process(alone=False)
        assert await process(alone=False) == shared
        assert len({shared, await process(alone=True), await process(alone=True)}) == 3


async def test_no_child_outlives_its_block() -> None:
    """Also when the block is cancelled while the child is busy."""
    async with open_children({"side": MISBEHAVING}) as children:
        (first,) = await children.measure("side", request("process"), timeout=60, alone=False)
        with trio.move_on_after(0.2):
            await children.measure("side", request("hanging"), timeout=60, alone=False)
    with pytest.raises(ProcessLookupError):
        os.kill(int(first), 0)
