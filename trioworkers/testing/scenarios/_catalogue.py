"""The scenarios that there are, by name."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import attrs

from ...workers import WorkerRunner
from .._decisions import Decisions, Priorities, RandomChoices
from .._links import Delivery
from .._simulate import Simulation, simulate
from ._background import background, messages
from ._draw import Draw
from ._graphs import graphs
from ._jobs import circles, groups, nested_groups, single_jobs
from ._lives import activation, departures, families, shutdown
from ._networks import draw_network
from ._pools import pools
from ._streams import draw_streams


class BuiltIn(Protocol):
    """A scenario that makes itself from a seed.

    Attributes:
      name: What the command calls it.
      about: What happens in it, in a line.
    """

    @property
    def name(self) -> str:
        """What the command calls it."""

    @property
    def about(self) -> str:
        """What happens in it, in a line."""

    def run(self, seed: int) -> Simulation:
        """Run it once; the same seed gives the same run, on any machine.

        Raises:
          SimulationError: It did not end, broke a promise, or left something over.
          AssertionError: A promise was seen to be broken: `PromiseBroken`, or plain.
          ExceptionGroup: Of those, or of what the library raised.
        """


@attrs.frozen
class OnOneRunner:
    """A `BuiltIn` on one runner."""

    name: str
    scenario: Callable[[WorkerRunner, Draw], Awaitable[object]]

    @property
    def about(self) -> str:
        """See `BuiltIn`."""
        return _first_line(self.scenario)

    def run(self, seed: int) -> Simulation:
        """See `BuiltIn.run`."""
        draw = Draw(f"{self.name}:{seed}")

        async def scenario(runner: WorkerRunner) -> None:
            await self.scenario(runner, draw)

        return simulate(scenario, seed=seed, decisions=decisions_for(seed))


@attrs.frozen
class OnNetwork:
    """A `BuiltIn` on several runners."""

    name: str
    delivery: Delivery
    about: str

    def run(self, seed: int) -> Simulation:
        """See `BuiltIn.run`."""
        network = draw_network(Draw(f"{self.name}:{seed}"), self.delivery)
        return simulate(
            network.scenario,
            runners=network.runners,
            link=network.link,
            faults=network.faults,
            seed=seed,
            decisions=decisions_for(seed),
        )


@attrs.frozen
class OnStreams:
    """A `BuiltIn` on several runners, each with a `RedisBus` on one simulated server."""

    name: str
    about: str

    def run(self, seed: int) -> Simulation:
        """See `BuiltIn.run`."""
        streams = draw_streams(Draw(f"{self.name}:{seed}"))
        return simulate(
            streams.scenario,
            runners=streams.runners,
            link=streams.link,
            faults=streams.faults,
            seed=seed,
            decisions=decisions_for(seed),
        )


def decisions_for(seed: int) -> Decisions:
    """Return who decides: by turns chance, and priorities that change one to four times."""
    if seed % 2 == 0:
        return RandomChoices(seed)
    return Priorities(seed, changes=1 + seed // 2 % 4, steps=100)


def _first_line(function: object) -> str:
    return (function.__doc__ or "").partition("\n")[0]


#: All built-in scenarios, by name.
BUILT_IN: Mapping[str, BuiltIn] = {
    built_in.name: built_in
    for built_in in (
        OnOneRunner("jobs", single_jobs),
        OnOneRunner("groups", groups),
        OnOneRunner("nested", nested_groups),
        OnOneRunner("circles", circles),
        OnOneRunner("background", background),
        OnOneRunner("messages", messages),
        OnOneRunner("activation", activation),
        OnOneRunner("departures", departures),
        OnOneRunner("families", families),
        OnOneRunner("pools", pools),
        OnOneRunner("shutdown", shutdown),
        OnOneRunner("graphs", graphs),
        OnNetwork(
            "net-once",
            "once",
            "Several runners; any faults; links send again what is lost.",
        ),
        OnNetwork(
            "net-at-least-once",
            "at-least-once",
            "The same, but what comes twice is delivered twice.",
        ),
        OnNetwork(
            "net-at-most-once",
            "at-most-once",
            "The same, but what is lost stays lost.",
        ),
        OnStreams(
            "streams",
            "Several runners on Redis buses; the server and the ways to it fail.",
        ),
    )
}
