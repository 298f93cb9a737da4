"""Jobs of one worker: one after another, many at once, and very many."""

import math
from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import trio

from .._resident import resident_bytes, settled_bytes
from .._timing import Stopwatch
from ._lives import open_workers

Payload = dict[str, Any]
Handler = Callable[[Payload], Awaitable[Payload]]

PAYLOAD: Payload = {"number": 1}


@attrs.define(eq=False)
class Job:
    """What is asked, and what came of it."""

    payload: Payload
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    done: trio.Event = attrs.field(factory=trio.Event)
    response: Payload | None = None


async def _echo(payload: Payload) -> Payload:
    return payload


async def _serve(job: Job, handler: Handler) -> None:
    with job.scope:
        job.response = await handler(job.payload)
    job.done.set()


async def _ask(worker: trio.Nursery, payload: Payload, handler: Handler) -> Payload | None:
    job = Job(payload)
    worker.start_soon(_serve, job, handler)
    await job.done.wait()
    return job.response


async def _ask_often(worker: trio.Nursery, count: int) -> None:
    for _ in range(count):
        # Not `_ask`: a call less.
        job = Job(PAYLOAD)
        worker.start_soon(_serve, job, _echo)
        await job.done.wait()
        assert job.response is PAYLOAD


async def round_trip(count: int, *, bystanders: int = 0, earlier: int = 0) -> float:
    """Do ``count`` jobs one after another; return seconds per job.

    Args:
      count: How many.
      bystanders: Idle Trio tasks in the same run.
      earlier: Jobs done before, which are not timed.
    """
    async with open_workers(bystanders), trio.open_nursery() as worker:
        await _ask_often(worker, earlier)
        with Stopwatch() as watch:
            await _ask_often(worker, count)
    return watch.seconds / count


async def hook(count: int) -> float:
    """As `round_trip`; each response also goes through an inbox to a hook of the requester."""
    missing = count
    heard_all = trio.Event()

    async def on_response(payload: Payload | None) -> None:
        nonlocal missing
        missing -= 1
        if not missing:
            heard_all.set()

    async def run_hooks() -> None:
        async for payload in receiver:
            await on_response(payload)

    sender, receiver = trio.open_memory_channel[Payload | None](math.inf)
    async with trio.open_nursery() as worker:
        worker.start_soon(run_hooks)
        with Stopwatch() as watch:
            for _ in range(count):
                response = await _ask(worker, PAYLOAD, _echo)
                assert response is PAYLOAD
                sender.send_nowait(response)
            await heard_all.wait()
        sender.close()
    return watch.seconds / count


@attrs.frozen
class _Order:
    item: str
    amount: int

    @classmethod
    def checked(cls, payload: Payload) -> "_Order":
        item, amount = payload["item"], payload["amount"]
        if type(item) is not str or type(amount) is not int or len(payload) != 2:
            raise TypeError(f"not an order: {payload!r}")
        return cls(item, amount)

    def as_payload(self) -> Payload:
        return {"item": self.item, "amount": self.amount}


async def _double(payload: Payload) -> Payload:
    order = _Order.checked(payload)
    return _Order(order.item, order.amount * 2).as_payload()


async def typed(count: int) -> float:
    """As `round_trip`, with classes taken apart and put together by hand."""
    order = _Order("tea", 2)
    async with trio.open_nursery() as worker:
        with Stopwatch() as watch:
            for _ in range(count):
                response = await _ask(worker, order.as_payload(), _double)
                assert response is not None
                assert response["amount"] == 4
    return watch.seconds / count


async def concurrent(count: int, *, requesters: int) -> float:
    """Let ``requesters`` Trio tasks do ``count`` jobs each, at once; return seconds per job."""
    async with trio.open_nursery() as worker:
        with Stopwatch() as watch:
            async with trio.open_nursery() as nursery:
                for _ in range(requesters):
                    nursery.start_soon(_ask_often, worker, count)
    return watch.seconds / count / requesters


async def soak(count: int) -> tuple[float, float]:
    """Do ``count`` jobs; return seconds per job, and bytes gained after the first tenth."""
    async with trio.open_nursery() as worker:
        await _ask_often(worker, count // 10)
        before = settled_bytes()
        with Stopwatch() as watch:
            await _ask_often(worker, count - count // 10)
        gained = resident_bytes() - before
    return watch.seconds / (count - count // 10), gained
