"""Processes that are killed or stopped: their jobs are lost in time, and none is done on."""

import signal
import time

import pytest
import trio
from redis_children import ask_far, open_child, outcome_of
from redis_jobs import wait_for
from redis_proxies import open_proxy

from trioworkers import JobStatus, WorkerRunner
from trioworkers.bus.redis import RedisBus

LEASE = 1.0
#: Seconds, from the end of all connections, in which a requester must be told.
TOLD_WITHIN = LEASE + 1.0
#: Seconds that a signal, a file and the scheduler of a busy machine may take.
TOLERANCE = 0.15


def runner_at(server, namespace, name="near", **options):
    """Return a runner in this process."""
    bus = RedisBus(server.url, namespace=namespace, lease=LEASE, **options)
    return WorkerRunner(name=name, bus=bus)


class Asked:
    """A job that is asked for in a Trio task of its own."""

    outcome = None
    at = 0.0

    async def run(self, runner, name, **payload):
        self.outcome, self.at = await outcome_of(runner, "far", name, **payload)


async def test_jobs_of_a_killed_process_are_lost_in_time(real_server, namespace, tmp_path, seen):
    """Also where nothing else is going on, and nobody sends anything."""
    async with runner_at(real_server, namespace) as runner:
        with open_child(real_server.url, namespace, tmp_path, lease=LEASE) as child:
            await ask_far(runner)
            asked = Asked()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(asked.run, runner, "quiet")
                await trio.sleep(0.5)
                killed = child.signal(signal.SIGKILL)
            took = asked.at - killed
            assert asked.outcome.status is JobStatus.LOST
            assert took < TOLD_WITHIN
            assert "far" not in runner.registry
            seen(
                f"LOST {took:.2f} s after SIGKILL (lease {LEASE} s): {asked.outcome.error.message}"
            )


async def test_a_process_that_was_stopped_for_too_long_comes_back(
    real_server, namespace, tmp_path, seen
):
    """Its handlers end before they do more than what was due; it answers as somebody new."""
    async with runner_at(real_server, namespace) as runner:
        with open_child(real_server.url, namespace, tmp_path, lease=LEASE) as child:
            first, _ = await ask_far(runner)
            asked = Asked()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(lambda: asked.run(runner, "steps", key="k", every=0.02))
                await wait_for(lambda: len(child.told("step")) > 5)
                stopped = child.signal(signal.SIGSTOP)
            took = asked.at - stopped
            assert asked.outcome.status is JobStatus.LOST
            assert took < TOLD_WITHIN
            await trio.sleep(0.3)
            resumed = child.signal(signal.SIGCONT)
            second, back = await ask_far(runner)
            assert back < 1
            assert first["pid"] == second["pid"]
            assert first["incarnation"] != second["incarnation"]
            (ended,) = child.times("end")
            late = [at for at in child.times("step") if at > asked.at]
            assert ended - resumed < TOLERANCE
            assert len(late) <= 1  # what was due as it was stopped
            seen(
                f"LOST {took:.2f} s after SIGSTOP (lease {LEASE} s); handler ended "
                f"{ended - resumed:.3f} s after SIGCONT, {len(late)} steps after LOST; "
                f"answered {back:.2f} s after SIGCONT as {second['incarnation']}"
            )


async def test_a_process_that_is_cut_off_stops_its_handlers_before_they_are_lost(
    real_server, namespace, tmp_path, seen
):
    """By its own clock: no step is made after the requester was told."""
    async with open_proxy(real_server.port) as proxy, runner_at(real_server, namespace) as runner:
        with open_child(proxy.url, namespace, tmp_path, lease=LEASE) as child:
            await ask_far(runner)
            asked = Asked()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(lambda: asked.run(runner, "steps", key="k", every=0.02))
                await wait_for(lambda: len(child.told("step")) > 5)
                await proxy.refuse()
                proxy.cut()
                cut = time.monotonic()
            assert asked.outcome.status is JobStatus.LOST
            (ended,) = child.times("end")
            assert ended < asked.at
            assert max(child.times("step")) < asked.at
            assert asked.at - cut < TOLD_WITHIN
            await proxy.accept()
            _, back = await ask_far(runner)
            assert back < 1 + LEASE / 3
            seen(
                f"handler ended {ended - cut:.2f} s after the cut, LOST after "
                f"{asked.at - cut:.2f} s (lease {LEASE} s); answered {back:.2f} s after"
            )


async def test_handlers_end_when_their_requester_is_killed(real_server, namespace, tmp_path, seen):
    """In another process, within lease + 1 s."""
    with (
        open_child(real_server.url, namespace, tmp_path, lease=LEASE) as worker,
        open_child(real_server.url, namespace, tmp_path, name="asker", lease=LEASE) as asker,
    ):
        async with runner_at(real_server, namespace) as runner:
            await ask_far(runner)
            await ask_far(runner, "asker")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(
                    lambda: outcome_of(runner, "asker", "relay", worker="far", key="k", every=0.02)
                )
                await wait_for(lambda: worker.told("step"))
                killed = asker.signal(signal.SIGKILL)
                await wait_for(lambda: worker.told("end"))
            (ended,) = worker.times("end")
            assert ended - killed < TOLD_WITHIN
            _, took = await ask_far(runner)
            assert took < 0.5
            seen(f"handler ended {ended - killed:.2f} s after SIGKILL (lease {LEASE} s)")


async def test_a_name_that_was_taken_meanwhile_stays_with_its_new_owner(
    real_server, namespace, tmp_path, seen
):
    """The process that comes back too late ends, with an error that says where the name is."""
    async with runner_at(real_server, namespace) as runner:
        with open_child(real_server.url, namespace, tmp_path, lease=LEASE) as late:
            old, _ = await ask_far(runner)
            late.signal(signal.SIGSTOP)
            await wait_for(lambda: "far" not in runner.registry)
            (tmp_path / "new").mkdir()
            with open_child(real_server.url, namespace, tmp_path / "new", lease=LEASE):
                # The name of a runner is one, too: the one that was stopped is told of both.
                new, _ = await ask_far(runner)
                assert new["pid"] != old["pid"]
                late.signal(signal.SIGCONT)
                code = await trio.to_thread.run_sync(late.process.wait, 10)
                assert code != 0
                assert "DuplicateWorkerError" in late.log.read_text()
                assert f"process {new['pid']}" in late.log.read_text()
                again, _ = await ask_far(runner)
                assert again == new
                seen(late.log.read_text().strip().splitlines()[-2][:200])


@pytest.mark.parametrize("skew", [-86400.0, 86400.0])
async def test_wall_clocks_do_not_matter(real_server, namespace, tmp_path, skew):
    """A machine whose clock is a day off works as any other; its end is seen in time, too."""
    async with runner_at(real_server, namespace) as runner:
        with open_child(real_server.url, namespace, tmp_path, lease=LEASE, skew=skew) as child:
            await ask_far(runner)
            started_at = runner.registry.get("far").started_at
            assert abs(started_at - time.time()) > 80_000  # it is
            outcome, _ = await outcome_of(runner, "far", "stream", key="s", count=300)
            assert outcome.status is JobStatus.COMPLETED
            with trio.move_on_after(1.5 * LEASE):
                await outcome_of(runner, "far", "quiet")
                pytest.fail("it was lost")
            asked = Asked()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(asked.run, runner, "quiet")
                await trio.sleep(0.2)
                killed = child.signal(signal.SIGKILL)
            assert asked.outcome.status is JobStatus.LOST
            assert asked.at - killed < TOLD_WITHIN
