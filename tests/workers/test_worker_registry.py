"""The registry: which workers are known, and who is told."""

import pytest
import trio
from trio.testing import assert_checkpoints, wait_all_tasks_blocked

from trioworkers import DuplicateWorkerError, WorkerReadyData, WorkerRegistry, WorkerRegistryEntry


def local(name, **fields):
    """Return a ready worker of the registry's own runner."""
    return WorkerReadyData(name, "here", **fields)


def remote(name, runner="there", **fields):
    """Return a ready worker of another runner."""
    return WorkerReadyData(name, runner, **fields)


def test_registered_workers_are_known_by_name():
    """Iteration, length, membership and `get` agree."""
    registry = WorkerRegistry("here")
    data = local("a")
    assert registry.register(data)
    assert registry.register(remote("b"))
    assert list(registry) == ["a", "b"]
    assert len(registry) == 2
    assert "a" in registry
    assert "c" not in registry
    assert registry.get("a") is data
    assert registry.get("c") is None
    assert registry.local_workers == ("a",)
    assert registry.remote_workers == ("b",)
    assert registry.runner_name == "here"


def test_registering_again_updates_without_telling_anyone():
    """The second time is no news, but what is known is the newest."""
    registry = WorkerRegistry("here")
    told = []
    registry.watch("a", told.append)
    assert registry.register(local("a", active=False))
    assert not registry.register(local("a", active=True))
    assert registry.get("a").active
    assert len(told) == 1


def test_a_name_that_another_runner_has_is_refused():
    """The error names that runner; what was known stays."""
    registry = WorkerRegistry("here")
    registry.register(remote("a"))
    with pytest.raises(DuplicateWorkerError, match="'a' is already in runner 'there'"):
        registry.register(local("a"))
    assert registry.get("a").runner == "there"


def test_a_watch_fires_for_present_and_future_workers():
    """At once for one that is ready, and each time it gets ready again."""
    registry = WorkerRegistry("here")
    told = []
    registry.watch("a", told.append)
    assert told == []
    registry.register(local("a"))
    registry.register(local("b"))
    assert [data.worker_name for data in told] == ["a"]
    registry.unregister("a", "here")
    registry.register(local("a"))
    assert len(told) == 2
    late = []
    registry.watch("a", late.append)
    assert len(late) == 1


def test_watching_twice_with_one_handler_is_one_watch():
    """It is called again if the worker is ready, and once when it gets ready."""
    registry = WorkerRegistry("here")
    told = []
    registry.watch("a", told.append)
    registry.watch("a", told.append)
    assert registry.watch_count == 1
    registry.register(local("a"))
    assert len(told) == 1
    registry.watch("a", told.append)
    assert len(told) == 2
    registry.unwatch("a", told.append)
    assert registry.watch_count == 0


def test_unwatching_what_is_not_watched_is_ignored():
    """Of all three kinds of watch."""
    registry = WorkerRegistry("here")
    registry.unwatch("a", print)
    registry.unwatch_roots(print)
    registry.unwatch_departures(print)
    assert registry.watch_count == 0


def test_unwatched_handlers_are_not_called():
    """Others of the same name are."""
    registry = WorkerRegistry("here")
    first, second = [], []
    registry.watch("a", first.append)
    registry.watch("a", second.append)
    registry.unwatch("a", first.append)
    registry.register(local("a"))
    assert (len(first), len(second)) == (0, 1)


def test_root_watches_fire_for_local_roots_only():
    """Not for children, nor for workers of other runners; once per worker."""
    registry = WorkerRegistry("here")
    told = []
    registry.register(local("present"))
    registry.register(remote("far"))
    registry.watch_roots(told.append)
    registry.watch_roots(told.append)
    registry.register(local("future"))
    registry.register(local("child", parent="future"))
    registry.register(remote("far too"))
    assert [data.worker_name for data in told] == ["present", "future"]
    registry.unwatch_roots(told.append)
    registry.register(local("unseen"))
    assert len(told) == 2


def test_a_handler_that_watches_both_ways_is_called_once():
    """Watching a root by name as well makes no difference."""
    registry = WorkerRegistry("here")
    told = []
    registry.watch_roots(told.append)
    registry.watch("a", told.append)
    registry.register(local("a"))
    assert len(told) == 1


def test_departures_of_remote_workers_are_told():
    """Not those of local workers, which answer all their jobs first."""
    registry = WorkerRegistry("here")
    gone = []
    registry.watch_departures(gone.append)
    registry.register(local("a"))
    registry.register(remote("b"))
    registry.unregister("a", "here")
    registry.unregister("nobody", "here")
    assert gone == []
    registry.unregister("b")
    assert gone == [("b",)]
    registry.unwatch_departures(gone.append)
    registry.register(remote("b"))
    registry.unregister("b", "there")
    assert gone == [("b",)]


def test_a_runner_departs_with_all_its_workers():
    """They are told of together; other runners' workers stay."""
    registry = WorkerRegistry("here")
    gone = []
    registry.watch_departures(gone.append)
    for data in (local("a"), remote("b"), remote("c"), remote("d", "elsewhere")):
        registry.register(data)
    assert registry.unregister_runner("there") == ("b", "c")
    assert gone == [("b", "c", "there")]  # a runner asks for jobs, too
    assert list(registry) == ["a", "d"]
    assert registry.unregister_runner("there") == ()
    assert registry.unregister_runner("here") == ("a",)
    assert gone == [("b", "c", "there"), ("there",)]


def test_only_the_runner_that_has_a_worker_can_take_it_back():
    """A runner whose worker was refused doesn't remove the one that has the name."""
    registry = WorkerRegistry("here")
    registry.register(local("a"))
    registry.register(remote("b"))
    registry.unregister("a", "there")
    registry.unregister("b", "here")
    assert list(registry) == ["a", "b"]
    registry.unregister("b", "there")
    assert list(registry) == ["a"]


def test_the_snapshot_has_the_local_workers():
    """As entries for other runners."""
    registry = WorkerRegistry("here")
    registry.register(local("a", parent="p", active=True, bridged=True, started_at=7.0))
    registry.register(remote("b"))
    assert registry.snapshot() == (WorkerRegistryEntry("a", "p", True, True, 7.0),)


def test_a_watch_that_raises_harms_nobody(caplog):
    """It is logged, and the next watch is called."""
    registry = WorkerRegistry("here")
    told = []

    def explode(_):
        raise ValueError("watch bug")

    registry.watch("a", explode)
    registry.watch("a", told.append)
    assert registry.register(local("a"))
    assert len(told) == 1
    assert "watch bug" in caplog.text


async def test_waiting_for_workers_ends_when_all_are_ready_at_once():
    """A worker that has left meanwhile is waited for again; no watch is left behind."""
    registry = WorkerRegistry("here")
    ready = []

    async def wait():
        await registry.wait_ready("a", "b")
        ready.append(True)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        registry.register(local("a"))
        registry.unregister("a", "here")
        registry.register(remote("b"))
        await wait_all_tasks_blocked()
        assert ready == []
        registry.register(local("a"))
        await wait_all_tasks_blocked()
        assert ready == [True]
    assert registry.watch_count == 0


async def test_waiting_for_workers_always_checkpoints():
    """Also for those that are ready, and for nobody."""
    registry = WorkerRegistry("here")
    registry.register(local("a"))
    with assert_checkpoints():
        await registry.wait_ready("a")
    with trio.fail_after(1), assert_checkpoints():
        await registry.wait_ready()


async def test_a_cancelled_wait_leaves_no_watch_behind():
    """Whoever it waited for."""
    registry = WorkerRegistry("here")
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(registry.wait_ready, "a", "b")
            await wait_all_tasks_blocked()
            assert registry.watch_count == 2
            scope.cancel()
    assert registry.watch_count == 0


def test_a_name_that_goes_from_runner_to_runner_is_known_in_the_end():
    """Whichever is heard first: that the old one has left, or that the new one is ready."""
    registry = WorkerRegistry("here")
    told = []
    registry.watch("a", told.append)
    registry.watch_departures(told.append)
    old, new = WorkerReadyData("a", "old"), WorkerReadyData("a", "new")
    for leave in (
        lambda: registry.unregister("a", "old"),
        lambda: registry.unregister_runner("old"),
    ):
        told.clear()
        assert registry.register(old)
        assert not registry.register(new)
        assert registry.get("a") is old
        leave()
        assert registry.get("a") is new
        assert [told[0], told[-1]] == [old, new]
        assert "a" in told[1]
        registry.unregister("a", "new")


def test_a_worker_that_left_before_it_had_its_name_does_not_get_it():
    """Nor does one whose runner has left."""
    registry = WorkerRegistry("here")
    for leave in (
        lambda: registry.unregister("a", "new"),
        lambda: registry.unregister_runner("new"),
    ):
        registry.register(WorkerReadyData("a", "old"))
        registry.register(WorkerReadyData("a", "new"))
        leave()
        assert registry.get("a").runner == "old"
        registry.unregister("a", "old")
        assert "a" not in registry
