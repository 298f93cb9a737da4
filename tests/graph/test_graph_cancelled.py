"""A run that is cancelled: what its handlers say after that is heard by nobody."""

from contextlib import suppress

import pytest
import trio
import trio.testing
from flows import A, B, assert_quiet, found, line, make

from trioworkers.errors import StoppedError


def _absorbing():
    """Return a worker that makes nothing of being cancelled, and publishes before and after."""

    async def absorb(self, task: A):
        self.publish_work(B(n=1))
        self.notify_status(task, "told")
        self.get_worker_state(task.prefix(1))["n"] = 1
        with suppress(trio.Cancelled):
            await trio.sleep(10)
        self.publish_work(B(n=2))

    return make(absorb, B)


async def _cancel_outside(graph, begin):
    with trio.move_on_after(1) as scope:
        async with graph.open():
            await begin()
    assert scope.cancelled_caught


async def _cancel_inside(graph, begin):
    with pytest.raises(KeyError, match="body"):
        async with graph.open():
            await begin()
            await trio.sleep(1)
            raise KeyError("body")


async def _interrupt(graph, begin):
    async def interrupt(self, task: B):
        raise KeyboardInterrupt

    stopper = make(interrupt)
    graph.add_workers(stopper).set_entry(stopper)
    with pytest.raises(KeyboardInterrupt):
        async with graph.open():
            await begin()
            await trio.sleep(1)
            await graph.add_work(stopper, B())


@pytest.mark.parametrize("stop", [_cancel_outside, _cancel_inside, _interrupt])
async def test_handlers_that_absorb_it_are_dropped(autojump_clock, stop):
    """Whoever cancels: no output, status or state of theirs is seen, as with an abort."""
    told = []
    worker = _absorbing()
    graph = line(worker, sink=B)

    async def begin():
        for _ in range(3):
            await graph.add_work(worker, A(), None, lambda *args: told.append(args))
        await trio.testing.wait_all_tasks_blocked()

    await stop(graph, begin)
    assert found(graph) == told == []
    now = graph.statistics().workers["Absorb"]
    assert (now.done, now.failed, now.aborted, now.running) == (0, 0, 3, 0)
    # It can be run again, and is then heard.
    async with graph.open():
        await graph.add_work(worker, A(), None, lambda *args: told.append(args))
    assert sorted(found(graph)) == [1, 2]
    assert len(told) == 1
    assert_quiet(graph)


async def test_handlers_that_shield_themselves_are_dropped(autojump_clock):
    """It counts when they return, not whether they have noticed."""

    async def shield(self, task: A):
        self.trace(task.prefix(1))
        with trio.CancelScope(shield=True):
            await trio.sleep(10)
        self.publish_work(B(n=1))

    worker = make(shield, B)
    graph = line(worker, sink=B)

    async def begin():
        await graph.add_work(worker, A())

    await _cancel_outside(graph, begin)
    assert found(graph) == []
    assert graph.statistics().workers["Shield"].aborted == 1
    (trace,) = graph.traces()
    assert "A for Shield: aborted" in str(trace)


async def test_sources_that_absorb_it_are_dropped(autojump_clock):
    """What they have yielded before counts, and no more."""

    async def give(self, task: A):
        yield B(n=1)
        with suppress(trio.Cancelled):
            await trio.sleep(10)
        yield B(n=2)

    worker = make(give, B)
    graph = line(worker, sink=B)

    async def begin():
        await graph.add_work(worker, A())

    await _cancel_outside(graph, begin)
    assert found(graph) == [1]


async def test_nobody_takes_it_for_the_end_of_the_work(autojump_clock):
    """Who waits for a provenance is told that there is something left of it."""
    worker = _absorbing()
    graph = line(worker, sink=B)
    chain = trio.Event(), []

    async def wait():
        await chain[0].wait()
        with pytest.raises(StoppedError, match="has ended with work left of what was waited for"):
            await graph.wait_completed(chain[1][0])
        chain[1].clear()

    async def begin():
        chain[1].append(await graph.add_work(worker, A()))
        chain[0].set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await _cancel_outside(graph, begin)
    assert chain[1] == []


async def test_own_cancel_scopes_of_handlers_are_theirs(autojump_clock):
    """A time limit inside of a handler cancels no run."""

    async def hurry(self, task: A):
        with trio.move_on_after(1):
            await trio.sleep(10)
        self.publish_work(B(n=1))

    graph = line(make(hurry, B), sink=B)
    await graph.run([A(), A()])
    assert found(graph) == [1, 1]
