"""Runners on a simulated server of streams: what a user can say of it, and what happens then."""

import pytest
import trio

from trioworkers import JobStatus
from trioworkers.testing import (
    Crash,
    Drop,
    JobScript,
    NeverAnswer,
    Pause,
    ScriptedWorker,
    Sleep,
    simulate,
)
from trioworkers.testing.streams import (
    EVERYTHING,
    CutAfter,
    CutBefore,
    Foreign,
    Mute,
    OutOfMemory,
    Repeat,
    Restart,
    Stall,
    StreamLink,
    Unreachable,
)

LINK = StreamLink(lease=3.0)
WORKS, WAITS = JobScript((Sleep(1.0),)), JobScript((NeverAnswer(),))
RUNNERS = {"here": tuple, "there": lambda: [ScriptedWorker("w")]}


def outcome_of(*faults, script=WORKS):
    """Return how a job between two runners ends, and when; then ask again."""
    seen = []

    async def scenario(network):
        group = network["here"].job_group("w", name="play", payload=script, cancel_on_error=False)
        async with group:
            pass
        seen.append((group.outcomes["w"].status, trio.current_time()))
        network.heal()
        await trio.sleep(LINK.lease + 5)
        if network.is_up("there"):
            await network["here"].call("w", name="play", payload=JobScript(), timeout=10)

    simulate(scenario, runners=RUNNERS, link=LINK, faults=faults)
    return seen[0]


@pytest.mark.parametrize(
    "fault",
    [
        CutBefore("here", 1),
        CutAfter("here", 1),
        CutAfter("there", 1),
        Stall("there", 1, 0.5),
        Repeat("here", 1),
        Unreachable(0.5, 1.0, client="there"),
        Mute(0.5, 1.0, client="there"),
        Mute(0.5, 1.0, client="here", deaf=True),
        OutOfMemory(0.0, 1.0),
        Restart(0.5, 1.0),
        Foreign("there", 0.0, 1, (b"i", b"x")),
        Pause("there", 0.5, 1.0),
    ],
    ids=lambda fault: type(fault).__name__,
)
def test_what_is_shorter_than_a_lease_loses_no_job(fault):
    """The job takes a little longer at most, and completes."""
    status, at = outcome_of(fault)
    assert status is JobStatus.COMPLETED
    assert at < 3.0


@pytest.mark.parametrize(
    "fault",
    [
        Unreachable(0.5, 9.0, client="there"),
        Unreachable(0.5, 9.0, client="here"),
        Mute(0.5, 9.0, client="there", deaf=True),
        Pause("there", 0.5, 9.0),
        Crash("there", 0.5),
        Crash("there", 0.5, restart_after=1.0),
    ],
    ids=lambda fault: f"{type(fault).__name__} {getattr(fault, 'client', '')}",
)
def test_what_is_longer_than_a_lease_loses_the_job_in_time(fault):
    """It is LOST when the lease has ended, and a second at most."""
    status, at = outcome_of(fault, script=WAITS)
    assert status is JobStatus.LOST
    assert at <= 0.5 + LINK.lease + 1.0


def test_a_server_that_has_lost_everything_loses_the_job():
    """Both are somebody new for it, and find each other again."""
    status, _ = outcome_of(Restart(0.5, 0.5, loses=EVERYTHING), script=WAITS)
    assert status is JobStatus.LOST


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Crash("nobody", 0.0), ValueError),
        (CutAfter("nobody", 1), ValueError),
        (Drop("here", "there", 1), TypeError),
    ],
)
def test_faults_must_fit(fault, error):
    """Faults of links, and of runners that there aren't, are refused before anything runs."""

    async def scenario(network):
        raise AssertionError("it was run")

    with pytest.raises(error, match=r"no runner 'nobody'|expected a fault, such as CutAfter"):
        simulate(scenario, runners=RUNNERS, link=LINK, faults=[fault])


def test_a_bus_that_was_refused_is_connected_again_with_nothing_to_send():
    """Memory is free again, and what was refused isn't wanted any more."""

    async def scenario(network):
        with trio.move_on_after(1.0):
            await network["here"].call("w", name="play", payload=JobScript())
        await trio.sleep(10.0)
        with trio.fail_after(1.0):
            await network.bus("here").wait_connected()

    faults = [OutOfMemory(0.0, 7.0), Crash("there", 0.5)]
    simulate(scenario, runners=RUNNERS, link=LINK, faults=faults)


def test_a_name_that_was_given_up_is_free_after_a_server_came_back_with_old_data():
    """The old copy still has it; its owner doesn't, and says so."""

    async def scenario(network):
        there = network["there"]
        await trio.sleep(1.0)
        (worker,) = there.workers
        await worker.stop()
        await trio.sleep(4.0)
        assert await network["here"].bus.claim("w") is None

    faults = [Restart(2.0, 0.5, loses=1.5)]
    simulate(scenario, runners=RUNNERS, link=LINK, faults=faults)
