"""Scenarios on several runners over a server of streams, which fails in every way."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import attrs
import trio

from ...bus.redis._store import DATA, SYSTEM
from ...errors import NotAttachedError, StoppedError
from .._everywhere import MakeWorkers
from .._faults import Crash, Pause
from .._leftovers import wait_idle
from ..streams import (
    EVERYTHING,
    CutAfter,
    CutBefore,
    Foreign,
    Mute,
    OutOfMemory,
    Repeat,
    Restart,
    Stall,
    StreamFault,
    StreamLink,
    StreamNetwork,
    Unreachable,
)
from ..streams._network import NOTICE, RECOVERY
from ._draw import CLEAN_UP, Draw
from ._jobs import LIMIT
from ._networks import TimedPlan, draw_plans, leave_at, play_at, reunite
from ._notes import Heard, Listener, Telling

#: Seconds that faults last, besides those that outlast a lease.
FAULT_SECONDS = (0.0, 0.2, 1.0, 2.5)
#: What says that a runner has left, or isn't back yet.
AWAY = (StoppedError, NotAttachedError)
#: Entries that no bus has sent.
FOREIGN: tuple[tuple[bytes, ...], ...] = (
    (b"", b""),
    (b"i", b"nobody.0.1", b"n", b"1", b"d", b"{}"),
    (b"i", b"nobody.0.1", b"n", b"-1", b"d", b"\xff\x00"),
    (b"i", b"\xff", b"n", b"1", b"d", b"[]"),
    (b"i", b"nobody.0.1", b"n", b"many", b"d", b"{}"),
    (b"gone", b"nobody.0.1"),
    (b"gone", b"\xff"),
    (b"room", b"nobody.0.1:7"),
    (b"room", b"x"),
    (b"a", b"b", b"c"),
)


@attrs.frozen
class Streams:
    """What one run over a server is made of, drawn before it begins.

    Attributes:
      link: What server and buses are like.
      names: The workers of each runner, and what each needs for a note.
      faults: What goes wrong.
      plans: What is asked for, after how many seconds, and by whom: a runner, or
        one of its workers.
      leavers: Workers that stop, with their runner, and after how many seconds.
      tellings: What workers tell each other besides.
    """

    link: StreamLink
    names: dict[str, dict[str, float]]
    faults: tuple[StreamFault, ...]
    plans: tuple[TimedPlan, ...]
    leavers: tuple[tuple[float, str, str], ...]
    tellings: tuple[Telling, ...]
    heard: Heard = attrs.field(factory=Heard)

    @property
    def runners(self) -> Mapping[str, MakeWorkers]:
        """What makes the workers of each runner."""
        return {
            runner: partial(_make_workers, workers, self.heard)
            for runner, workers in self.names.items()
        }

    @property
    def calm_after(self) -> float:
        """Seconds until all faults have healed by themselves, and all who ask have begun."""
        ends = [_end(fault) for fault in self.faults]
        begun = [at for at, *_ in self.plans]
        return max([0.0, *ends, *begun])

    async def scenario(self, network: StreamNetwork) -> None:
        """Play all plans, in time; then heal, and see that all is as it should be."""
        patience = 2 * (self.link.lease + LIMIT + CLEAN_UP + self.link.command_timeout)
        with trio.move_on_after(self.calm_after + patience + RECOVERY) as scope:
            async with trio.open_nursery() as nursery:
                for at, runner, worker, plan in self.plans:
                    nursery.start_soon(play_at, network, at, runner, worker, plan, AWAY)
                for at, runner, worker in self.leavers:
                    nursery.start_soon(leave_at, network, at, runner, worker)
                for telling in self.tellings:
                    nursery.start_soon(self.heard.tell, network, telling)
        assert not scope.cancelled_caught, "P1: a requester or sender waits for ever"
        network.heal()
        await trio.sleep(self.link.lease + NOTICE + RECOVERY)
        await reunite(network, self.names)
        await network.settle()
        await wait_idle(*network.runners)  # who is slow has notes to read still
        self._check_notes(network)
        _check_rest(network, self.link)

    def _check_notes(self, network: StreamNetwork) -> None:
        away = {name for _, _, name in self.leavers}
        away.update(
            name
            for fault in self.faults
            if isinstance(fault, Crash)
            for name in self.names[fault.runner]
        )
        reliable = {
            name: f"{runner}.0"
            for runner, names in self.names.items()
            for name in names
            if name not in away
        }
        self.heard.check(network, self.tellings, reliable)


def _check_rest(network: StreamNetwork, link: StreamLink) -> None:
    """See that nothing is left of what was: on the server, and on the buses."""
    buses = [network.bus(name) for name in network if network.is_up(name)]
    if not buses:
        return  # there is nobody who could clean up
    living = {bus.incarnation for bus in buses}
    keys = network.server.model.keys
    assert set(keys.leases) == living, f"P9: leases of {sorted(keys.leases)}, not of {living}"
    for bus in buses:
        names = sorted(n for n, owner in keys.names.items() if owner == bus.incarnation)
        assert names == sorted(bus.names), f"P11: {bus.incarnation} has the names {names}"
        for what, count in bus.left_over().items():
            assert not count, f"P8: {bus.incarnation} still has {count} {what}"
    kept = {*keys.about, *keys.names.values(), *keys.owned, *keys.former, *keys.sent}
    kept.update(incarnation for incarnation, _ in [*keys.streams, *keys.waiting])
    kept.update(source for sent in keys.sent.values() for source, _ in sent)
    assert kept <= living, f"P8: the server still has keys of {sorted(kept - living)}"
    for incarnation in living:
        for lane in (SYSTEM, DATA):
            unread = len(keys.streams.get((incarnation, lane), ()))
            assert unread <= link.max_unread, f"P8: {unread} entries in a lane of {incarnation}"


def _make_workers(names: Mapping[str, float], heard: Heard) -> list[Listener]:
    return [Listener(name, heard, takes) for name, takes in names.items()]


def _end(fault: object) -> float:
    after: float | None = getattr(fault, "restart_after", 0.0)
    seconds: float = getattr(fault, "seconds", 0.0)
    at: float = getattr(fault, "at", 0.0)
    return at + max(seconds, after or 0.0)


def draw_streams(draw: Draw) -> Streams:
    """Return two to four runners, what is asked and told among them, and what goes wrong."""
    runners = [f"r{number}" for number in range(2 + draw.number(3))]
    names = {
        runner: {
            f"{runner}.w{number}": draw.one_of((0.0, 0.0, 0.01, 0.3))
            for number in range(1 + draw.number(2))
        }
        for runner in runners
    }
    everyone = [name for of_one in names.values() for name in of_one]
    plans = draw_plans(draw, names)
    leavers = []
    for _ in range(draw.number(2)):
        runner = draw.one_of(runners)
        leavers.append((draw.seconds(), runner, draw.one_of(list(names[runner]))))
    tellings = [_telling(draw, number, names, everyone) for number in range(draw.number(4))]
    link = StreamLink(
        latency=draw.one_of((0.0, 0.0, 0.01, 0.1)),
        lease=draw.one_of((1.0, 3.0, 10.0)),
        send_timeout=draw.one_of((0.5, 5.0)),
        command_timeout=draw.one_of((0.5, 2.0)),
        max_unread=draw.one_of((4, 16, 1024)),
        window=draw.one_of((2, 4, 64)),
        lane_capacity=draw.one_of((1, 4, 1024)),
    )
    faults = tuple(_fault(draw, runners, link) for _ in range(draw.number(6)))
    return Streams(link, names, faults, plans, tuple(leavers), tuple(tellings))


def _telling(
    draw: Draw, number: int, names: Mapping[str, Iterable[str]], everyone: Sequence[str]
) -> Telling:
    runner = draw.one_of(list(names))
    return Telling(
        number,
        draw.one_of((0.0, 0.0, 0.5, 2.0)),
        runner,
        draw.one_of(list(names[runner])),
        draw.one_of((None, *everyone, *everyone)),
        draw.one_of((1, 3, 8, 20)),
        draw.one_of((0.0, 0.0, 0.01, 0.5)),
    )


def _fault(draw: Draw, runners: Sequence[str], link: StreamLink) -> StreamFault:
    runner = draw.one_of(runners)
    nth, at = 1 + draw.number(draw.one_of((4, 12, 40))), draw.seconds()
    seconds = draw.one_of((*FAULT_SECONDS, link.lease / 2, 1.2 * link.lease, 3 + link.lease))
    faults: tuple[StreamFault, ...] = (
        CutBefore(runner, nth),
        CutAfter(runner, nth),
        CutAfter(runner, nth),
        Stall(runner, nth, min(seconds, 1.0)),
        Repeat(runner, nth),
        Unreachable(at, seconds, client=runner),
        Mute(at, seconds, client=runner, deaf=draw.chance(0.5)),
        OutOfMemory(at, seconds),
        Restart(at, min(seconds, 5.0), loses=draw.one_of((0.0, 0.0, 0.5, 2.0, EVERYTHING))),
        Foreign(runner, at, draw.number(2), draw.one_of(FOREIGN)),
        Pause(runner, at, seconds),
        Crash(runner, at, seconds if draw.chance(0.6) else None),
    )
    return draw.one_of(faults)
