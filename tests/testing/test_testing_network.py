"""Several runners with links that fail: what is lost, what is late, and who notices."""

import pytest
import trio

from trioworkers import BaseWorker, BusDataMessage, JobError, job
from trioworkers.testing import (
    Crash,
    Cut,
    Delay,
    Disconnect,
    Drop,
    Duplicate,
    InOrder,
    Link,
    Pause,
    Reorder,
    SimulationError,
    SlowConsumer,
    simulate,
)

LEASE = 10.0


class Note(BusDataMessage):
    """A message of the user's."""

    def __init__(self, text, **names):
        super().__init__(**names)
        self.text = text


class Server(BaseWorker):
    """Works for a while, and notes when handlers begin and end, and what it is told."""

    def __init__(self, log, name="server"):
        super().__init__(name)
        self.log = log

    @job(name="work")
    async def work(self, message):
        self.log.append(("begin", trio.current_time()))
        try:
            await trio.sleep(2)
        finally:
            self.log.append(("end", trio.current_time()))
        return {"at": trio.current_time()}

    @job(name="count")
    async def count(self, message):
        for number in range(100):
            await self.send_job_update(message.job_id, {"number": number})

    @job(name="hang")
    async def hang(self, message):
        self.log.append(("begin", trio.current_time()))
        try:
            await trio.sleep_forever()
        finally:
            self.log.append(("end", trio.current_time()))

    async def on_bus_message(self, message):
        if isinstance(message, Note):
            self.log.append((message.text, trio.current_time()))


def play(scenario, *faults, delivery="once", latency=0.0, log=None, **kwargs):
    """Simulate two runners: `left` asks, `right` has the server."""
    log = [] if log is None else log
    simulate(
        scenario,
        runners={"left": tuple, "right": lambda: [Server(log)]},
        link=Link(delivery=delivery, lease=LEASE, latency=latency),
        faults=faults,
        **kwargs,
    )
    return log


async def work(network, name="work"):
    """Ask once; return how it ended and when."""
    try:
        await network["left"].call("server", name=name)
    except JobError as error:
        (outcome,) = error.outcomes.values()
        return outcome.status.value, trio.current_time()
    return "completed", trio.current_time()


def test_jobs_and_their_events_cross_a_link():
    """In order."""

    async def scenario(network):
        assert list(network) == ["left", "right"]
        assert network["left"].registry.remote_workers == ("server",)
        async with network["left"].job("server", name="count") as counting:
            numbers = [event.data["number"] async for event in counting]
        assert numbers == list(range(100))
        assert await work(network) == ("completed", pytest.approx(trio.current_time()))

    play(scenario)


def test_each_message_takes_the_latency_of_its_link():
    """There and back again."""

    async def scenario(network):
        start = trio.current_time()
        assert await work(network) == ("completed", start + 3)

    play(scenario, latency=0.5)


@pytest.mark.parametrize(
    ("way", "ended"),
    [(("left", "right"), ("cancelled", 9)), (("right", "left"), ("lost", 1 + LEASE))],
)
def test_a_long_cut_ends_jobs_on_both_sides(way, ended):
    """One way is enough: the handler stops before its requester takes it for lost."""

    async def scenario(network):
        assert await work(network, "hang") == ended
        await trio.sleep(LEASE / 2)
        await network["left"].registry.wait_ready("server")
        assert trio.current_time() == 21
        assert await work(network) == ("completed", 23)

    log = play(scenario, Cut(*way, at=1, seconds=20))
    assert log[:2] == [("begin", 0), ("end", 1 + 0.8 * LEASE)]


def test_a_short_cut_is_only_late():
    """Nothing is lost."""

    async def scenario(network):
        assert await work(network) == ("completed", 6)

    assert play(scenario, Cut("right", "left", at=1, seconds=5)) == [("begin", 0), ("end", 2)]


@pytest.mark.parametrize("delivery", ["once", "at-least-once"])
def test_a_dropped_message_is_sent_again(delivery):
    """And those behind it wait for it: order is kept."""

    async def scenario(network):
        async with network["left"].job("server", name="count") as counting:
            numbers = [event.data["number"] async for event in counting]
        assert numbers == list(range(100))
        assert trio.current_time() == 0.25

    play(scenario, Drop("right", "left", 20), delivery=delivery)


def test_at_most_once_a_dropped_request_is_lost():
    """The gap is noticed within the lease; after that the two find each other again."""

    async def scenario(network):
        assert await work(network) == ("lost", LEASE)
        assert await work(network) == ("completed", LEASE + 2)

    play(scenario, Drop("left", "right", 1), delivery="at-most-once")


@pytest.mark.parametrize(("delivery", "times"), [("once", 1), ("at-least-once", 2)])
def test_a_message_comes_twice_only_at_least_once(delivery, times):
    """A job is done once either way: its worker knows the request again."""

    async def scenario(network):
        await network["left"].bus.send(Note("note", source="left", target="server"))
        await trio.sleep(6)
        assert (await work(network))[0] == "completed"
        await trio.sleep(6)

    faults = [Disconnect("left", "right", nth, seconds=4) for nth in (1, 2)]
    told = [what for what, _ in play(scenario, *faults, delivery=delivery)]
    assert told.count("note") == times
    assert told.count("begin") == 1


def test_at_most_once_nothing_comes_twice():
    """A duplicate has no effect, and what is published as the connection goes is lost."""

    async def scenario(network):
        server = network["right"].get_worker("server")
        await network["left"].bus.send(Note("one", source="left", target=server.name))
        await trio.sleep(2 * LEASE)

    for fault, arrived in ((Duplicate, ["one"]), (Disconnect, [])):
        log = play(scenario, fault("left", "right", 1), delivery="at-most-once")
        assert [what for what, _ in log] == arrived


def test_order_is_kept_unless_a_reorder_says_otherwise():
    """A delayed message holds up those behind it; a reordered one doesn't."""

    async def scenario(network):
        await trio.sleep(1)
        for text in ("one", "two", "three"):
            await network["left"].bus.send(Note(text, source="left", target="server"))
        await trio.sleep(5)

    def order(*faults):
        return [what for what, _ in play(scenario, *faults, decisions=InOrder())]

    late, alone = Delay("left", "right", 2, seconds=2), Reorder("left", "right", 2)
    assert order(late) == ["one", "two", "three"]
    assert order(late, alone) == ["one", "three", "two"]


def test_a_sender_waits_while_the_connection_is_gone():
    """What is published meanwhile is not lost, and comes in order."""

    async def scenario(network):
        await trio.sleep(1)
        for text in ("one", "two", "three"):
            await network["left"].bus.send(Note(text, source="left", target="server"))
        assert trio.current_time() == 4
        await trio.sleep(5)

    log = play(scenario, Disconnect("left", "right", 2, seconds=3))
    assert [what for what, _ in log] == ["one", "two", "three"]


def test_a_slow_consumer_slows_its_sender():
    """Its channel holds as much as a lane."""

    async def scenario(network):
        await trio.sleep(1)
        for number in range(1500):
            await network["left"].bus.send(Note(str(number), source="left", target="server"))
        assert trio.current_time() > 40
        assert network["right"].bus.in_flight <= 1024

    log = play(scenario, SlowConsumer("right", at=0.5, seconds=1000, per_message=0.1))
    assert [what for what, _ in log] == [str(number) for number in range(1500)]


def test_a_crashed_runner_is_missed_after_the_lease():
    """Its jobs are lost then; it says no goodbye."""

    async def scenario(network):
        assert await work(network, "hang") == ("lost", 3 + LEASE)
        assert not network.is_up("right")
        assert network.runners == (network["left"],)
        assert "server" not in network["left"].registry

    play(scenario, Crash("right", at=3))


def test_a_restarted_runner_is_a_new_one():
    """Jobs of the old one are lost as soon as the new one is there; then it works."""

    async def scenario(network):
        old = network["right"]
        assert await work(network, "hang") == ("lost", 5)
        assert network["right"] is not old
        assert await work(network) == ("completed", 7)

    play(scenario, Crash("right", at=3, restart_after=2))


def test_what_a_crashed_requester_asked_for_is_cancelled():
    """Also what its runner itself has asked."""
    log = []

    async def scenario(network):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(work, network, "hang")
            await trio.sleep(1)
            network.crash("left")
        await trio.sleep(2 * LEASE)
        assert network["right"].get_worker("server").active_jobs == {}

    play(scenario, log=log)
    assert log == [("begin", 0), ("end", 1 + 0.8 * LEASE)]


def test_a_requester_that_restarts_leaves_no_handler_behind():
    """The old one's jobs are cancelled when the new one comes, before the lease."""
    log = []

    async def scenario(network):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(work, network, "hang")
            await trio.sleep(1)
            network.crash("left")
        await network.restart("left")
        await trio.sleep(1)
        assert network["right"].get_worker("server").active_jobs == {}
        assert await work(network) == ("completed", 4)

    play(scenario, log=log)
    assert log[:2] == [("begin", 0), ("end", 1)]


@pytest.mark.parametrize(("seconds", "ended"), [(5, ("completed", 6)), (30, ("lost", 11))])
def test_a_paused_runner_is_late_or_taken_for_gone(seconds, ended):
    """A long garbage collection, or a suspended machine."""

    async def scenario(network):
        assert await work(network) == ended
        await network["left"].registry.wait_ready("server")
        assert trio.current_time() == pytest.approx(1 + seconds, abs=1)

    play(scenario, Pause("right", at=1, seconds=seconds))


def test_faults_can_be_made_by_the_scenario():
    """And healed, all at once."""

    async def scenario(network):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(network.pause, "right", 7)
            nursery.start_soon(network.slow, "left", 7, 0.5)
            network.cut("left", "right")
            await trio.sleep(2)
            network.restore("left", "right")
            network.cut("right", "left")
            await trio.sleep(1)
            network.heal()
            assert await work(network) == ("completed", 5)
            nursery.cancel_scope.cancel()
        with pytest.raises(ValueError, match="there is no runner 'middle'"):
            network.crash("middle")
        with pytest.raises(ValueError, match="'right' is up: `crash` it first"):
            await network.restart("right")

    play(scenario)


def test_the_same_seed_gives_the_same_run_with_faults():
    """To the last event."""

    async def scenario(network):
        for _ in range(3):
            await work(network)
            async with network["left"].job("server", name="count") as counting:
                async for _ in counting:
                    pass

    faults = (Duplicate("right", "left", 9), Delay("left", "right", 4), Pause("right", 1, 3))
    play(scenario, *faults, twice=True, seed=5)


def test_what_a_crashed_runner_raises_is_not_heard():
    """And one that raises by itself ends the run."""

    class Angry(BaseWorker):
        async def cleanup(self):
            raise ValueError("angry")

    async def crashing(network):
        network.crash("right")
        await trio.sleep(1)

    async def ending(network):
        pass

    runners = {"left": tuple, "right": lambda: [Angry("angry")]}
    simulate(crashing, runners=runners)
    with pytest.raises(ExceptionGroup) as caught:
        simulate(ending, runners=runners)
    assert caught.group_contains(ValueError, match="angry")


@pytest.mark.parametrize(
    ("faults", "error"),
    [
        ([Crash("middle", 1)], r"there is no runner 'middle', only \['left', 'right'\]"),
        ([Drop("left", "left", 1)], "a link needs two runners"),
        ([Cut("left", "middle", 1, 1)], "there is no runner 'middle'"),
    ],
)
def test_faults_of_runners_that_there_are_not_are_refused(faults, error):
    """Before anything runs."""

    async def scenario(network):
        raise AssertionError("it ran")

    with pytest.raises(ValueError, match=error):
        play(scenario, *faults)


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: Drop("a", "b", 0), "nth must be an integer >= 1, not 0"),
        (lambda: Delay("a", "b", 1, seconds=-1), "seconds must be >= 0 and finite"),
        (lambda: Pause("a", at=float("inf"), seconds=1), "at must be >= 0 and finite"),
        (lambda: Crash("a", at=1, restart_after=-1), "restart_after must be >= 0"),
        (lambda: Link(delivery="twice"), "delivery must be one of once, at-least-once"),
        (lambda: Link(lease=0), "'lease' must be > 0"),
        (lambda: simulate(play, faults=[Drop("a", "b", 1)]), "give runners=, too"),
        (lambda: simulate(play, link=Link()), "give runners=, too"),
        (lambda: simulate(play, runners={}), "at least one runner"),
        (lambda: simulate(play, limit=0), "limit must be > 0"),
    ],
)
def test_bad_arguments_are_refused(make, error):
    """With what is wrong, and what would be right."""
    with pytest.raises(ValueError, match=error):
        make()


def test_what_is_no_fault_is_refused():
    """With its type's name."""
    with pytest.raises(TypeError, match="expected a fault, such as Drop or Crash, not 'crash'"):
        play(work, "crash")


def test_a_network_that_never_ends_is_told():
    """By the limit, with the timeline."""

    async def scenario(network):
        await work(network, "hang")

    with pytest.raises(SimulationError, match=r"(?s)did not end within 100 .*JobRequest"):
        play(scenario, limit=100)
