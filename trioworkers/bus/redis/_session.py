"""A `Session` on a real server: two connections, and a script for each operation."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import trio
from coredis.connection import BaseConnection
from coredis.exceptions import AuthorizationError, NoScriptError

from ._failures import translate
from ._scripts import VERSION, Script, load_script
from ._store import (
    START,
    Appended,
    AppendReply,
    Entry,
    FencedError,
    Joined,
    LostWritesError,
    NamesTakenError,
    Received,
    Renewed,
    Standing,
    StoreDeniedError,
    StoreRefusesError,
    StoreUnavailableError,
)

#: A wait of 0 would be one without end to the server.
_SHORTEST_WAIT_MS = 1
_LANES_WITHOUT_BODY = (2, 3)


def _milliseconds(seconds: float) -> int:
    return max(1, math.ceil(seconds * 1000))


def _seconds(milliseconds: int) -> float:
    return math.inf if milliseconds < 0 else milliseconds / 1000


def _kept_from(acknowledged: bytes) -> bytes:
    """Return the first id behind an acknowledged one; empty if none was."""
    if acknowledged == START:
        return b""
    time, _, number = acknowledged.partition(b"-")
    return b"%b-%d" % (time, int(number) + 1)


class RedisSession:
    """What `Session` says. It is open as long as its two connections are.

    An operation that is cancelled may take effect all the same. A `read` that is
    cancelled goes on at the server: the next one waits for its end first.

    Args:
      address: For error messages.
      secret: The password, which is kept out of them.
      namespace: What all keys begin with, in braces.
      timeout: Seconds that the server may take to answer.
      on_failure: Called once, when it has become unusable.
    """

    def __init__(
        self,
        address: str,
        secret: str | None,
        namespace: str,
        timeout: float,
        on_failure: Callable[[], object],
    ) -> None:
        self._address = address
        self._secret = secret
        self._prefix = f"{{{namespace}}}:".encode()
        self._timeout = timeout
        self._on_failure = on_failure
        self._failure: StoreUnavailableError | StoreDeniedError | None = None
        self._connections: list[BaseConnection] = []
        self._abandoned: Any = None

    def attach(self, connection: BaseConnection) -> None:
        """Use a connection: the first for commands, the second for reads that wait."""
        self._connections.append(connection)

    def close(self) -> None:
        """Drop both connections, without waiting for anything; what is under way fails."""
        self._end(StoreUnavailableError(f"{self._address}: the session was closed"))

    def lose(self) -> None:
        """Fail, as one of the connections has ended."""
        self._fail(StoreUnavailableError(f"{self._address}: the connection was lost"))

    def _fail(self, failure: StoreUnavailableError | StoreDeniedError) -> None:
        if self._failure is None:
            self._end(failure)
            self._on_failure()

    def _end(self, failure: StoreUnavailableError | StoreDeniedError) -> None:
        if self._failure is None:
            self._failure = failure
            for connection in self._connections:
                connection.invalidate()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise type(self._failure)(*self._failure.args)

    async def _check_usable(self) -> None:
        if self._failure is not None:
            await trio.lowlevel.checkpoint()
            self._raise_failure()

    def _translate(self, error: Exception, *, refusable: bool = False) -> Exception:
        """Return what to raise; the session is of no use any more, unless it was refused."""
        failure = translate(error, self._address, self._secret)
        if isinstance(failure, StoreRefusesError):
            if refusable:
                return failure
            failure = StoreUnavailableError(*failure.args)
        self._fail(failure)
        assert self._failure is not None
        return type(self._failure)(*self._failure.args)

    async def inform(self, section: str) -> dict[str, str]:
        """Return a section of what the server tells of itself; nothing if we may not ask."""
        await self._check_usable()
        try:
            reply = await self._connections[0].create_request(
                b"INFO", section, timeout=self._timeout
            )
        except AuthorizationError:
            return {}
        except Exception as error:  # noqa: BLE001 - translated
            raise self._translate(error) from None
        assert isinstance(reply, bytes)
        lines = reply.decode(errors="replace").splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    async def _run(self, script: Script, *args: bytes | str | int) -> Any:
        await self._check_usable()
        request = self._connections[0].create_request
        timeout = self._timeout
        try:
            try:
                return await request(
                    b"EVALSHA", script.sha, 1, self._prefix, *args, timeout=timeout
                )
            except NoScriptError:
                return await request(b"EVAL", script.text, 1, self._prefix, *args, timeout=timeout)
        except Exception as error:  # noqa: BLE001 - translated
            raise self._translate(error, refusable=script.refusable) from None

    def _check(self, reply: Any, incarnation: str = "") -> Any:
        """Return a script's reply; raise what it says instead."""
        match reply:
            case [b"ok", *_]:
                return reply
            case [b"fenced"]:
                raise FencedError(f"{incarnation} has no lease any more")
            case [b"lost"]:
                raise LostWritesError(
                    f"{self._address}: the server has lost entries that it had confirmed"
                )
            case [b"taken", name, about]:
                raise NamesTakenError(name.decode(), about)
            case [b"version", version]:
                raise self._deny_version(version)
        raise self._translate(ValueError(f"a script's reply is {reply!r:.200}"))

    def _deny_version(self, version: bytes) -> StoreDeniedError:
        denied = StoreDeniedError(
            f"{self._address}: the namespace {self._prefix.decode()} is in use by another "
            f"version of trioworkers (its keys have version {version.decode(errors='replace')}, "
            f"ours {VERSION.decode()}): use another namespace, or the same version everywhere"
        )
        self._fail(denied)
        return denied

    async def greet(self) -> None:
        """See whether the server serves us: it runs scripts, and may be written to."""
        version = await self._run(load_script("greet", refusable=True))
        if version not in (b"", VERSION):
            raise self._deny_version(version)

    async def join(
        self, incarnation: str, names: Sequence[str], about: bytes, lease: float
    ) -> Joined:
        """See `Session.join`."""
        script = load_script("join", refusable=True)
        args: list[bytes | str | int] = [incarnation, _milliseconds(lease), about, VERSION]
        _, expiry, peers = self._check(await self._run(script, *args, *names))
        return Joined(tuple(peer.decode() for peer in peers), _seconds(expiry))

    async def renew(self, incarnation: str, lease: float, names: int) -> Renewed:
        """See `Session.renew`."""
        reply = await self._run(load_script("renew"), incarnation, _milliseconds(lease), names)
        _, expiry, kept = self._check(reply, incarnation)
        return Renewed(_seconds(expiry), bool(kept))

    async def resume(
        self,
        incarnation: str,
        lease: float,
        names: Sequence[str],
        sent: Mapping[tuple[str, int], int],
    ) -> Renewed:
        """See `Session.resume`."""
        args: list[str | int] = [incarnation, _milliseconds(lease), len(set(names)), 3 * len(sent)]
        for (destination, lane), number in sent.items():
            args += (destination, lane, number)
        reply = await self._run(load_script("resume"), *args, *names)
        _, expiry, kept = self._check(reply, incarnation)
        return Renewed(_seconds(expiry), bool(kept))

    async def leave(self, incarnation: str) -> None:
        """See `Session.leave`."""
        self._check(await self._run(load_script("leave"), incarnation))

    async def claim(self, incarnation: str, names: Sequence[str]) -> None:
        """See `Session.claim`."""
        script = load_script("claim", refusable=True)
        self._check(await self._run(script, incarnation, *names), incarnation)

    async def release(self, incarnation: str, names: Sequence[str]) -> None:
        """See `Session.release`."""
        reply = await self._run(load_script("release"), incarnation, *names)
        self._check(reply, incarnation)

    async def find(self, names: Sequence[str]) -> tuple[str | None, ...]:
        """See `Session.find`."""
        _, owners = self._check(await self._run(load_script("find"), *names))
        return tuple(owner.decode() or None for owner in owners)

    async def judge(self, pairs: Sequence[tuple[str, str]]) -> tuple[Standing, ...]:
        """See `Session.judge`."""
        words = [word for pair in pairs for word in pair]
        _, standings = self._check(await self._run(load_script("judge"), *words))
        return tuple(Standing(letter) for letter in standings.decode())

    async def peers(self) -> dict[str, bytes]:
        """See `Session.peers`."""
        _, peers = self._check(await self._run(load_script("peers")))
        return {
            incarnation.decode(): about
            for incarnation, about in zip(peers[::2], peers[1::2], strict=True)
        }

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
        system, data = acknowledged
        args: list[bytes | str | int] = [
            incarnation,
            limit,
            _kept_from(system),
            _kept_from(data),
            b"" if expected is None else expected,
        ]
        body: bytes | None = None
        for entry in entries:
            if entry.body == body:  # as in a broadcast, which is sent once
                args += (entry.destination, _LANES_WITHOUT_BODY[entry.lane], entry.number)
            else:
                body = entry.body
                args += (entry.destination, entry.lane, entry.number, body)
        reply = await self._run(load_script("append", refusable=True), *args)
        living: tuple[str, ...] | None = None
        if not isinstance(reply, bytes):
            _, reply, alive = self._check(reply, incarnation)
            living = tuple(peer.decode() for peer in alive)
        return AppendReply(tuple([Appended(letter) for letter in reply.decode()]), living)

    async def acknowledge(
        self, incarnation: str, acknowledged: tuple[bytes, bytes], *, limit: int
    ) -> None:
        """See `Session.acknowledge`."""
        system, data = acknowledged
        args = (incarnation, limit, _kept_from(system), _kept_from(data))
        self._check(await self._run(load_script("acknowledge"), *args), incarnation)

    async def read(
        self, incarnation: str, after: tuple[bytes, bytes], *, count: int, wait: float
    ) -> tuple[Sequence[Received], Sequence[Received]]:
        """See `Session.read`."""
        await self._check_usable()
        try:
            await self._finish_abandoned()
            reply = await self._read(incarnation, after, count, wait)
        except Exception as error:  # noqa: BLE001 - translated
            raise self._translate(error) from None
        if not reply:
            # The streams of one that has no lease are empty, and stay so.
            self._check(await self._run(load_script("alive"), incarnation), incarnation)
            return (), ()
        system, data = (reply.get(key, ()) for key in self._streams(incarnation))
        return [Received(*entry) for entry in system], [Received(*entry) for entry in data]

    def _streams(self, incarnation: str) -> tuple[bytes, bytes]:
        name = incarnation.encode()
        return self._prefix + b"system:" + name, self._prefix + b"data:" + name

    async def _finish_abandoned(self) -> None:
        if self._abandoned is not None:
            await self._abandoned
            self._abandoned = None

    async def _read(
        self, incarnation: str, after: tuple[bytes, bytes], count: int, wait: float
    ) -> Any:
        block: tuple[bytes | int, ...] = ()
        if wait > 0:
            block = (b"BLOCK", max(_SHORTEST_WAIT_MS, round(wait * 1000)))
        self._abandoned = self._connections[1].create_request(
            b"XREAD",
            b"COUNT",
            count,
            *block,
            b"STREAMS",
            *self._streams(incarnation),
            *after,
            timeout=max(0.0, wait) + self._timeout,
        )
        reply = await self._abandoned
        self._abandoned = None
        return reply
