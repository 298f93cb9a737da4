"""What networks of runners have in common: runners that start, crash, come back, and end."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Generic, Self

import trio

from ..bus import BackgroundNursery
from ..workers import WorkerRunner
from ._everywhere import MakeWorkers
from ._monitor import Monitor
from ._node import B, Node
from ._timeline import Timeline, TimelineEvent


class RunnerNetwork(ABC, Generic[B]):
    """Runners in one process, each with a bus, a registry and workers of its own.

    Scenarios get one from `simulate`, running; ``network["name"]`` is a runner.

    Args:
      runners: By each runner's name, what makes its workers, also after a crash.
      timeline: Where all is noted.
      monitor: Who watches.
    """

    def __init__(
        self, runners: Mapping[str, MakeWorkers], timeline: Timeline, monitor: Monitor
    ) -> None:
        self._timeline = timeline
        self._monitor = monitor
        self._nodes: dict[str, Node[B]] = {n: Node(n, make) for n, make in runners.items()}
        self._manager = BackgroundNursery()
        self._nursery: trio.Nursery

    def __getitem__(self, name: str) -> WorkerRunner:
        """Return the runner of that name, as it is now: after a restart it is another one."""
        return self._node(name).runner

    def __iter__(self) -> Iterator[str]:
        return iter(self._nodes)

    @property
    def runners(self) -> tuple[WorkerRunner, ...]:
        """The runners that are up."""
        return tuple(node.runner for node in self._up())

    @property
    def buses(self) -> tuple[B, ...]:
        """The bus of each runner's present or last life."""
        return tuple(node.bus for node in self._nodes.values() if hasattr(node, "bus"))

    # Running

    async def __aenter__(self) -> Self:
        self._nursery = await self._manager.__aenter__()
        try:
            await self._begin()
            for node in self._nodes.values():
                await self._start(node)
            await self._wait_quiet()
            await self._ready()
        except BaseException as error:
            await self._manager.__aexit__(type(error), error, error.__traceback__)
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        if exc is None:
            up = self._up()
            for node in up:
                node.end()
            for node in up:
                await node.left.wait()
        self._nursery.cancel_scope.cancel()
        return await self._manager.__aexit__(exc_type, exc, traceback)

    async def settle(self) -> None:
        """Heal all faults but crashes, and wait until nothing is under way any more."""
        self.heal()
        await self._wait_quiet()

    @abstractmethod
    async def _begin(self) -> None:
        """Prepare, before any runner is started."""

    @abstractmethod
    async def _ready(self) -> None:
        """Let what is planned happen, from now on."""

    @abstractmethod
    async def _start(self, node: Node[B]) -> None:
        """Start a runner on a new bus; return when its workers are ready."""

    @abstractmethod
    async def _wait_quiet(self) -> None:
        """Wait until nothing is under way any more."""

    @abstractmethod
    def heal(self) -> None:
        """End all faults but crashes; no more come."""

    # What can happen to runners

    def is_up(self, name: str) -> bool:
        """Whether a runner runs, as far as it knows."""
        return self._node(name).is_up

    def crash(self, name: str) -> None:
        """Let a runner vanish without a goodbye. Its Trio tasks are cancelled, unheard."""
        node = self._node(name)
        if node.is_up:
            self._note("crashed", name)
            self._monitor.crashed(node.crash())
            self._vanish(node)

    async def restart(self, name: str) -> None:
        """Let a runner that has crashed come back, with new workers; return when they are ready.

        Raises:
          ValueError: It is up.
        """
        node = self._node(name)
        if node.is_up:
            raise ValueError(f"runner {name!r} is up: `crash` it first")
        self._note("restarted", name)
        self._return(node)
        await self._start(node)

    @abstractmethod
    async def pause(self, name: str, seconds: float) -> None:
        """Let a runner hear and say nothing for ``seconds``; return after that."""

    @abstractmethod
    def _vanish(self, node: Node[B]) -> None:
        """Let the others hear nothing more of a runner that has crashed."""

    @abstractmethod
    def _return(self, node: Node[B]) -> None:
        """Let the others hear of a runner again that is about to start."""

    # Small things

    def _node(self, name: str) -> Node[B]:
        try:
            return self._nodes[name]
        except KeyError:
            raise ValueError(f"there is no runner {name!r}, only {sorted(self._nodes)}") from None

    def _up(self) -> list[Node[B]]:
        return [node for node in self._nodes.values() if node.is_up]

    def _note(self, what: str, where: str) -> None:
        self._timeline.exercised[f"fault: {what}"] += 1
        self._timeline.events.append(TimelineEvent(trio.current_time(), what, where))
