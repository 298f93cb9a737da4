"""One connection to a server of streams in memory."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

import trio

from ...bus.redis._store import (
    START,
    AppendReply,
    Entry,
    Joined,
    Received,
    Renewed,
    Standing,
    StoreUnavailableError,
)
from ._faults import CutAfter, CutBefore, OperationFault, Repeat
from ._model import StreamModel
from ._path import Path, stalled

if TYPE_CHECKING:
    from ._server import StreamServer

P = ParamSpec("P")
R = TypeVar("R")

#: What is decided for each operation: how many more steps of Trio it takes to get there.
_DETOURS = (0, 0, 1, 4)


class StreamSession:
    """A `Session` on a `StreamServer`.

    Args:
      server: The server.
      path: The way there.
    """

    def __init__(self, server: "StreamServer", path: Path) -> None:
        self.path = path
        self._server = server
        self._broken: str | None = None

    def end(self, reason: str) -> None:
        """Let all that is under way, and all that comes later, fail."""
        self._broken = self._broken or reason
        self.path.wake()
        self._server.wrote()

    def _check(self) -> None:
        if self._broken is not None:
            raise StoreUnavailableError(self._broken)

    # Operations

    async def _do(
        self,
        operation: Callable[Concatenate[StreamModel, int, P], R],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        server, faults = self._server, self._begin(operation.__name__)
        deadline = trio.current_time() + server.command_timeout
        await self._go(faults, deadline)
        server.model.repeats = any(isinstance(fault, Repeat) for fault in faults)
        try:
            result = operation(server.model, server.now, *args, **kwargs)
        finally:
            server.wrote()
        await self._come_back(faults, deadline)
        return result

    def _begin(self, name: str) -> list[OperationFault]:
        self._check()
        self._server.exercised[name] += 1
        faults = self.path.begin()
        for fault in faults:
            self._server.exercised[f"fault: {type(fault).__name__.lower()}"] += 1
        return faults

    async def _go(self, faults: list[OperationFault], deadline: float) -> None:
        """Travel to the server: a checkpoint."""
        await trio.sleep(self._server.latency / 2 + stalled(faults))
        options = [(self.path.client, option) for option in range(len(_DETOURS))]
        for _ in range(_DETOURS[self._server.decisions.choose(options)]):
            await trio.lowlevel.checkpoint()
        await self._pass(deadline, requests=True)
        if any(isinstance(fault, CutBefore) for fault in faults):
            self.end("the connection was cut")
            self._check()

    async def _come_back(self, faults: list[OperationFault], deadline: float) -> None:
        """Travel back: a checkpoint."""
        if any(isinstance(fault, CutAfter) for fault in faults):
            self.end("the connection was cut")
        await trio.sleep(self._server.latency / 2)
        await self._pass(deadline, requests=False)

    async def _pass(self, deadline: float, *, requests: bool) -> None:
        self._check()
        try:
            await self.path.wait_open(deadline=deadline, requests=requests)
        except StoreUnavailableError as error:
            self.end(str(error))
        self._check()

    async def join(
        self, incarnation: str, names: Sequence[str], about: bytes, lease: float
    ) -> Joined:
        """See `Session.join`."""
        return await self._do(StreamModel.join, incarnation, names, about, lease)

    async def renew(self, incarnation: str, lease: float, names: int) -> Renewed:
        """See `Session.renew`."""
        return await self._do(StreamModel.renew, incarnation, lease, names)

    async def resume(
        self,
        incarnation: str,
        lease: float,
        names: Sequence[str],
        sent: Mapping[tuple[str, int], int],
    ) -> Renewed:
        """See `Session.resume`."""
        return await self._do(StreamModel.resume, incarnation, lease, names, sent)

    async def leave(self, incarnation: str) -> None:
        """See `Session.leave`."""
        await self._do(StreamModel.leave, incarnation)

    async def claim(self, incarnation: str, names: Sequence[str]) -> None:
        """See `Session.claim`."""
        await self._do(StreamModel.claim, incarnation, names)

    async def release(self, incarnation: str, names: Sequence[str]) -> None:
        """See `Session.release`."""
        await self._do(StreamModel.release, incarnation, names)

    async def find(self, names: Sequence[str]) -> tuple[str | None, ...]:
        """See `Session.find`."""
        return await self._do(StreamModel.find, names)

    async def judge(self, pairs: Sequence[tuple[str, str]]) -> tuple[Standing, ...]:
        """See `Session.judge`."""
        return await self._do(StreamModel.judge, pairs)

    async def peers(self) -> dict[str, bytes]:
        """See `Session.peers`."""
        return await self._do(StreamModel.peers)

    async def append(
        self,
        incarnation: str,
        entries: Sequence[Entry],
        *,
        limit: int,
        acknowledged: tuple[bytes, bytes] = (START, START),
        expected: int | None = None,
    ) -> AppendReply:
        """See `Session.append`."""
        return await self._do(
            StreamModel.append, incarnation, entries, limit, acknowledged, expected
        )

    async def acknowledge(
        self, incarnation: str, acknowledged: tuple[bytes, bytes], *, limit: int
    ) -> None:
        """See `Session.acknowledge`."""
        await self._do(StreamModel.acknowledge, incarnation, acknowledged, limit)

    async def read(
        self, incarnation: str, after: tuple[bytes, bytes], *, count: int, wait: float
    ) -> tuple[Sequence[Received], Sequence[Received]]:
        """See `Session.read`."""
        server, faults = self._server, self._begin("read")
        deadline = trio.current_time() + wait + server.command_timeout
        await self._go(faults, deadline)
        found = server.model.read(incarnation, after, count)
        if not any(found):
            with trio.move_on_after(wait):
                await self._wait_for_entry(incarnation, after)
            found = server.model.read(incarnation, after, count)
            if not any(found) and self._broken is None:
                server.model.check_lease(server.now, incarnation)
        await self._come_back(faults, deadline)
        return found

    async def _wait_for_entry(self, incarnation: str, after: tuple[bytes, bytes]) -> None:
        await self._server.wait_written()
        while self._broken is None and not any(self._server.model.read(incarnation, after, 1)):
            await self._server.wait_written()
