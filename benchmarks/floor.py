"""The floor: hand-written Trio that does what the library is measured for.

A job is a Trio task in a nursery that outlives it, under a cancel scope of its
own, with a `trio.Event` as the reply. That is the least that a job can be, if
it may be cancelled by itself and answers somebody who waits.
"""

import attrs
import trio

from ._timing import Stopwatch

Payload = dict[str, int]


@attrs.define(eq=False)
class _Job:
    payload: Payload
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    done: trio.Event = attrs.field(factory=trio.Event)
    response: Payload | None = None


async def _echo(payload: Payload) -> Payload:
    return payload


async def _serve(job: _Job) -> None:
    with job.scope:
        job.response = await _echo(job.payload)
    job.done.set()


async def jobs(count: int) -> float:
    """Do ``count`` jobs one after another; return seconds per job."""
    payload = {"number": 1}
    async with trio.open_nursery() as worker:
        with Stopwatch() as watch:
            for _ in range(count):
                job = _Job(payload)
                worker.start_soon(_serve, job)
                await job.done.wait()
                assert job.response is payload
    return watch.seconds / count


@attrs.define(eq=False)
class _Group:
    open: int
    done: trio.Event = attrs.field(factory=trio.Event)
    responses: dict[str, Payload] = attrs.field(factory=dict)


async def _serve_member(
    group: _Group, name: str, payload: Payload, scope: trio.CancelScope
) -> None:
    with scope:
        group.responses[name] = await _echo(payload)
    group.open -= 1
    if not group.open:
        group.done.set()


async def group(size: int, count: int) -> float:
    """Do ``count`` groups of ``size`` members; return seconds per member."""
    payload = {"number": 1}
    names = [f"member{number}" for number in range(size)]
    async with trio.open_nursery() as workers:
        with Stopwatch() as watch:
            for _ in range(count):
                members = _Group(size)
                for name in names:
                    workers.start_soon(_serve_member, members, name, payload, trio.CancelScope())
                await members.done.wait()
                assert len(members.responses) == size
    return watch.seconds / size / count


async def stream(chunks: int) -> float:
    """Send ``chunks`` over a bounded memory channel; return seconds per chunk."""
    sender, receiver = trio.open_memory_channel[Payload](64)

    async def produce() -> None:
        async with sender:
            for number in range(chunks):
                await sender.send({"number": number})

    received = 0
    async with trio.open_nursery() as nursery:
        with Stopwatch() as watch:
            nursery.start_soon(produce)
            async for _ in receiver:
                received += 1
    assert received == chunks
    return watch.seconds / chunks


async def cancel(size: int) -> float:
    """Cancel ``size`` waiting handlers one by one; return seconds until all have ended."""
    running = ended = 0
    all_running, all_ended = trio.Event(), trio.Event()

    async def wait(scope: trio.CancelScope) -> None:
        nonlocal running, ended
        with scope:
            running += 1
            if running == size:
                all_running.set()
            await trio.sleep_forever()
        ended += 1
        if ended == size:
            all_ended.set()

    async with trio.open_nursery() as workers:
        scopes = [trio.CancelScope() for _ in range(size)]
        for scope in scopes:
            workers.start_soon(wait, scope)
        await all_running.wait()
        with Stopwatch() as watch:
            for scope in scopes:
                scope.cancel()
            await all_ended.wait()
    return watch.seconds
