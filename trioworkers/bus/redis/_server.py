"""Sessions on Redis or Valkey. See `RedisServer`."""

import logging
import math
import re
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

import trio

from .._nursery import BackgroundNursery
from ._address import Address, parse_addresses
from ._connection import run_connection
from ._failures import NEEDS, translate
from ._session import RedisSession
from ._store import Session, StoreDeniedError, StoreRefusesError, StoreUnavailableError

logger = logging.getLogger("trioworkers.bus.redis")

_NAMESPACE = re.compile(r"[A-Za-z0-9_.:/-]{1,100}")
_OLDEST = {"redis_version": (7, 0), "valkey_version": (7, 2)}


def _check_seconds(name: str, seconds: float) -> None:
    if not 0 < seconds < math.inf:
        raise ValueError(f"{name} must be > 0 and finite, not {seconds}")


class RedisServer:
    """Opens sessions on Redis or Valkey: at the first of several addresses that serves.

    Each session has two connections. It goes on with the next address after any
    failure, and to the first one after the last.

    Args:
      addresses: One URL or several; see `parse_addresses`.
      namespace: Apart from others on the same server: 1 to 100 of letters, digits
        and ``_.:/-``.
      connect_timeout: Seconds that opening a session takes at most.
      command_timeout: Seconds after which a server that doesn't answer counts as gone.
      ssl_context: How ``rediss`` URLs check the server.

    Raises:
      TypeError: An argument has the wrong type.
      ValueError: An argument is out of range, or not a URL of a server.
    """

    def __init__(
        self,
        addresses: str | Sequence[str],
        namespace: str = "trioworkers",
        *,
        connect_timeout: float = 3.0,
        command_timeout: float = 3.0,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        if not isinstance(namespace, str):
            raise TypeError(f"namespace must be a str, not {type(namespace).__name__}")
        if _NAMESPACE.fullmatch(namespace) is None:
            raise ValueError(
                f"namespace must be 1 to 100 letters, digits and _.:/-, not {namespace!r:.200}"
            )
        _check_seconds("connect_timeout", connect_timeout)
        _check_seconds("command_timeout", command_timeout)
        self._addresses = parse_addresses(addresses, ssl_context)
        self._at = 0
        self._namespace = namespace
        self._connect_timeout = connect_timeout
        self._command_timeout = command_timeout
        self._warned = False

    def __repr__(self) -> str:
        return f"<RedisServer {', '.join(map(str, self._addresses))}>"

    @property
    def address(self) -> str:
        """See `Server.address`."""
        return str(self._addresses[self._at])

    def connect(self) -> AbstractAsyncContextManager[Session]:
        """See `Server.connect`."""
        return self._connect()

    @asynccontextmanager
    async def _connect(self) -> AsyncIterator[Session]:
        at = self._at
        address = self._addresses[at]

        def go_on() -> None:
            if self._at == at:
                self._at = (at + 1) % len(self._addresses)

        session = RedisSession(
            str(address), address.password, self._namespace, self._command_timeout, go_on
        )
        async with BackgroundNursery() as nursery:
            try:
                try:
                    await self._open(session, address, nursery)
                except (StoreUnavailableError, StoreDeniedError):
                    go_on()
                    raise
                yield session
            finally:
                session.close()
                nursery.cancel_scope.cancel()

    async def _open(self, session: RedisSession, address: Address, nursery: trio.Nursery) -> None:
        with trio.move_on_after(self._connect_timeout) as opening:
            for _ in range(2):
                try:
                    connection = await nursery.start(run_connection, address, session.lose)
                except Exception as error:  # noqa: BLE001 - translated
                    raise translate(error, str(address), address.password, handshake=True) from None
                session.attach(connection)
            await self._look_around(session)
        if opening.cancelled_caught:
            raise StoreUnavailableError(
                f"{address}: no session could be opened within {self._connect_timeout} s"
            )

    async def _look_around(self, session: RedisSession) -> None:
        """See whether the server can be used, and whether it may drop keys.

        Raises:
          StoreUnavailableError: As in `Session`.
          StoreDeniedError: It can't be used.
        """
        about = await session.inform("server")
        for key, oldest in _OLDEST.items():
            version = about.get(key, "")
            numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
            if version and numbers < oldest:
                raise StoreDeniedError(f"{self.address}: {NEEDS}, and {key} is {version}")
        with suppress(StoreRefusesError):  # it may be able to later on
            await session.greet()
        policy = (await session.inform("memory")).get("maxmemory_policy", "noeviction")
        if policy != "noeviction" and not self._warned:
            self._warned = True
            logger.warning(
                "%s: maxmemory-policy is %s: the server may drop what was sent; "
                "set it to noeviction",
                self.address,
                policy,
            )
