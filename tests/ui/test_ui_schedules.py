"""Whatever happens, and in whatever order: users are told each end once, before that of the group.

Run them longer with ``UI_SCHEDULES=10000``.
"""

import contextlib
import os

import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import run
from trio.testing import wait_all_tasks_blocked
from ui_stages import Desk, Peer, Server, check_told, groups_ended

from trioworkers import (
    BusEndWorkerMessage,
    JobError,
    MemoryChannelBus,
    StoppedError,
    WorkerRunner,
)
from trioworkers.testing import (
    Crash,
    Cut,
    Delay,
    Disconnect,
    Drop,
    Duplicate,
    Link,
    Pause,
    simulate,
)
from trioworkers.testing._cancel import cancel_at_every_checkpoint
from trioworkers.testing.streams import (
    CutAfter,
    CutBefore,
    Mute,
    Repeat,
    Restart,
    Stall,
    StreamLink,
    Unreachable,
)
from trioworkers.ui import BusUIGroupMessage, BusUIJobCompletedMessage
from trioworkers.ui._board import GroupBoard

EXAMPLES = int(os.environ.get("UI_SCHEDULES", "60"))

many = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None
)

PEERS = ("a", "b", "c")

delays = st.sampled_from((0.0, 0.0, 0.5, 1.0, 1.5, 2.0))
orders = st.fixed_dictionaries(
    {"seconds": st.sampled_from((0.0, 1.0, 2.0))},
    optional={
        "updates": st.integers(1, 3),
        "chunks": st.integers(1, 60),
        "stopping": st.sampled_from((0.5, 1.0)),
        "raises": st.sampled_from((JobError("no"), LookupError("lost"))),
    },
)
groups = st.fixed_dictionaries(
    {
        "names": st.lists(st.sampled_from((*PEERS, "nobody")), min_size=1, unique=True),
        "payload": st.dictionaries(st.sampled_from(PEERS), orders),
        "timeout": st.sampled_from((0.0, 1.0, 3.0, 8.0)),
        "cancel_on_error": st.booleans(),
        "cancel_grace": st.sampled_from((0.2, 50.0)),
        "session": st.sampled_from((None, "s")),
    }
)
plans = st.lists(st.tuples(st.booleans(), groups, delays), min_size=1, max_size=4)
troubles = st.lists(
    st.tuples(
        st.sampled_from(
            (
                "cancel all",
                "cancel one",
                "detach",
                "attach twice",
                "stop a",
                "end a",
                "crash a",
                "stop server",
                "stop desk",
                "end desk",
                "crash desk",
                "late",
            )
        ),
        delays,
    ),
    max_size=4,
)


class Viewer(Server):
    """A server that shows groups to clients: what it loses sight of, it gives up.

    Attributes:
      shown: What clients have been told, in order.
    """

    def __init__(self, name="server", **options):
        super().__init__(name, again=True, **options)
        self.board = GroupBoard()
        self.shown = []

    async def attach_once(self):
        try:
            await super().attach_once()
        finally:
            for job_id in list(self.board.cards):
                self.shown += self.board.give_up(job_id, "out of sight", at=0)

    def on_delivery(self, message):
        if isinstance(message, BusUIGroupMessage):
            self.shown += self.board.news(message)
        return super().on_delivery(message)


async def explode():
    """Crash the worker in whose nursery it runs."""
    raise OSError("on fire")


async def attach_for_a_while(server):
    """Attach a server that is attached."""
    with trio.move_on_after(2):
        await server.attach_once()


async def play_group(desk, in_block, plan, delay, outcomes):
    """Let the desk start a group, and note its outcomes if they are to be had."""
    await trio.sleep(delay)
    plan = dict(plan)
    names = plan.pop("names")
    try:
        if not in_block:
            await desk.start_user_job_group(*names, name="work", **plan)
            return
        async with desk.user_job_group(*names, name="work", **plan) as group:
            outcomes[group.job_id] = group.outcomes
    except (JobError, StoppedError):
        pass


async def make_trouble(runner, workers, server, what, delay):
    """Let something happen."""
    await trio.sleep(delay)
    desk = workers["desk"]
    name = what.split()[-1]
    worker = workers.get(name)
    if what.startswith("cancel"):
        for job_id in list(desk.job_groups)[: None if name == "all" else 1]:
            payload = {"task_id": job_id, "reason": "enough"}
            await server.do("__cancel_task", payload, "s", request_id=None)
    elif what == "detach":
        server.scope.cancel()
    elif what == "attach twice":
        server.nursery.start_soon(attach_for_a_while, server)
    elif what == "late":
        await runner.add_workers(Viewer("late"))
    elif what.startswith("stop"):
        await worker.stop()
    elif what.startswith("end"):
        runner.bus.post(BusEndWorkerMessage(source="x", target=name))
    elif worker in runner.workers:
        worker.nursery.start_soon(explode)


async def play_all(runner, plans, troubles):
    """Play plans while there is trouble; then see what servers were told."""
    desk, server, other = Desk("desk"), Viewer(), Viewer("other")
    peers = {name: Peer(name) for name in PEERS}
    workers = {"desk": desk, "server": server, "other": other, **peers}
    await runner.add_workers(*workers.values())
    outcomes = {}
    async with trio.open_nursery() as nursery:
        for plan in plans:
            nursery.start_soon(play_group, desk, *plan, outcomes)
        for trouble in troubles:
            nursery.start_soon(try_trouble, runner, workers, server, *trouble)
    await groups_ended(desk)
    await trio.sleep(3)
    viewers = {*workers.values(), *runner.workers}
    for viewer in [viewer for viewer in viewers if isinstance(viewer, Viewer)]:
        check_told(viewer.shown, all_ended=viewer in runner.workers)
        if viewer is other and not any("desk" in what for what, _ in troubles):
            check_outcomes(viewer.shown, outcomes)
        viewer.scope.cancel()
    await wait_all_tasks_blocked()
    assert desk.attached_servers == ()


async def try_trouble(runner, workers, server, what, delay):
    """Make trouble, unless who would make it has gone."""
    with contextlib.suppress(StoppedError, LookupError, ValueError):
        await make_trouble(runner, workers, server, what, delay)


def check_outcomes(told, outcomes):
    """Check that users were told what the group itself says."""
    statuses = {
        (m.job_id, m.worker_name): m.status for m in told if isinstance(m, BusUIJobCompletedMessage)
    }
    for job_id, of_group in outcomes.items():
        for name, outcome in of_group.items():  # one that ended early is told to nobody
            assert statuses.get((job_id, name), outcome.status) == outcome.status


@many
@given(st.random_module(), plans, troubles)
def test_each_end_is_told_once(schedule, plans, troubles):
    """Over many schedules of Trio, with all kinds of trouble."""

    async def main():
        bus = MemoryChannelBus(incarnation="t")
        async with WorkerRunner(bus=bus, strict=False) as runner:
            await play_all(runner, plans, troubles)

    run(main)


@many
@given(
    st.integers(0, 2**32),
    plans,
    troubles.filter(lambda troubles: not any("crash" in what for what, _ in troubles)),
)
def test_each_end_is_told_once_in_any_order_of_delivery(seed, plans, troubles):
    """On a bus where messages are under way for a while."""

    async def scenario(runner):
        await play_all(runner, plans, troubles)

    simulate(scenario, seed=seed)


# Several runners, and what goes wrong between them

RUNNERS = ("back", "front", "peers")
links = st.tuples(st.sampled_from(RUNNERS), st.sampled_from(RUNNERS)).filter(
    lambda pair: pair[0] != pair[1]
)
#: Not `Reorder`: that messages of one sender stay in order is a promise of each bus (P5).
faults = st.one_of(
    st.builds(
        lambda kind, link, nth: kind(*link, nth),
        st.sampled_from((Delay, Drop, Duplicate, Disconnect)),
        links,
        st.integers(1, 30),
    ),
    st.builds(
        lambda link, at, seconds: Cut(*link, at, seconds),
        links,
        delays,
        st.sampled_from((2.0, 30.0)),
    ),
    st.builds(Pause, st.sampled_from(RUNNERS), delays, st.sampled_from((2.0, 30.0))),
    st.builds(Crash, st.sampled_from(RUNNERS), delays, st.sampled_from((None, 5.0))),
)


def play_apart(seed, plans, **options):
    """Play plans where the desk, its server and its peers are different processes."""
    viewers = []

    def make_front():
        viewers.append(Viewer())
        return [viewers[-1]]

    async def scenario(network):
        await trio.sleep(1)
        async with trio.open_nursery() as nursery:
            for in_block, plan, delay in plans:
                desk = network["back"].get_worker("desk") if network.is_up("back") else None
                if desk is not None:
                    nursery.start_soon(play_group, desk, in_block, plan, delay, {})
        await trio.sleep(120)
        for viewer in viewers:
            check_told(viewer.shown)
        now = network["front"].get_worker("server") if network.is_up("front") else None
        if now is not None:
            check_told(now.shown, all_ended=True)
            now.scope.cancel()
        await trio.sleep(60)

    simulate(
        scenario,
        runners={
            "back": lambda: [Desk("desk")],
            "front": make_front,
            "peers": lambda: [Peer(name) for name in PEERS],
        },
        seed=seed,
        **options,
    )


@many
@given(
    st.integers(0, 2**32),
    plans,
    st.lists(faults, max_size=3),
    st.sampled_from(("once", "at-least-once", "at-most-once")),
)
def test_each_end_is_told_once_over_a_network_that_fails(seed, plans, faults, delivery):
    """Processes crash and lose touch, messages are lost and come twice."""
    play_apart(seed, plans, faults=faults, link=Link(delivery=delivery, latency=0.1))


stream_faults = st.one_of(
    st.builds(
        lambda kind, runner, nth: kind(runner, nth),
        st.sampled_from((CutBefore, CutAfter, Stall, Repeat)),
        st.sampled_from(RUNNERS),
        st.integers(1, 30),
    ),
    st.builds(Restart, delays, st.just(1.0), loses=st.sampled_from((0.0, 1.0))),
    st.builds(
        lambda kind, at, seconds, runner: kind(at, seconds, client=runner),
        st.sampled_from((Unreachable, Mute)),
        delays,
        st.sampled_from((2.0, 30.0)),
        st.sampled_from(RUNNERS),
    ),
    st.builds(Pause, st.sampled_from(RUNNERS), delays, st.sampled_from((2.0, 30.0))),
    st.builds(Crash, st.sampled_from(RUNNERS), delays, st.sampled_from((None, 5.0))),
)


@many
@given(st.integers(0, 2**32), plans, st.lists(stream_faults, max_size=3))
def test_each_end_is_told_once_over_a_server_that_fails(seed, plans, faults):
    """On Redis buses, whose server restarts and forgets, and whose connections go."""
    play_apart(seed, plans, faults=faults, link=StreamLink(latency=0.01))


# Cancelled at every step


async def with_server(runner, play):
    """Do something while a server is attached, from within the scenario."""
    workers = {worker.name: worker for worker in runner.workers}
    desk, server = workers["desk"], workers["server"]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.attach_once)
        await play(desk)
        await trio.sleep(0.1)
        nursery.cancel_scope.cancel()


async def a_block(desk):
    """A group with updates and chunks, in a block."""
    orders = {"a": {"updates": 1, "chunks": 2}, "b": {"stopping": 0.5}}
    async with desk.user_job_group("a", "b", name="work", payload=orders, timeout=9) as group:
        async for _ in group:
            pass


async def a_start(desk):
    """Groups in the background."""
    job_id = await desk.start_user_job_group("a", "b", name="work")
    await desk.start_user_job_group("b", name="work", timeout=0.7)
    await trio.sleep(0.5)
    await desk.request_cancel_job_group(job_id)
    await desk.send_text("done")
    await trio.sleep(2)


def test_a_requester_that_is_cancelled_anywhere_leaves_no_group_untold():
    """Who attaches afterwards is told of no group: all have ended for users, too."""

    class Passive(Server):
        async def start(self):
            await super(Server, self).start()

    async def check(runner):
        workers = {worker.name: worker for worker in runner.workers}
        desk, server = workers["desk"], workers["server"]
        await groups_ended(desk)
        check_told(server.told)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.attach_once)
            await wait_all_tasks_blocked()
            assert desk.attached_servers == ("server",)
            assert server.told == []
            nursery.cancel_scope.cancel()
        assert desk.attached_servers == ()

    for play in (a_block, a_start):
        runs = cancel_at_every_checkpoint(
            lambda runner, play=play: with_server(runner, play),
            workers=lambda: [Desk("desk"), Passive(), Peer("a"), Peer("b")],
            check=check,
        )
        assert runs > 20
