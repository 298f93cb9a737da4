"""Real servers for all tests here, one of each kind; each test has a namespace of its own."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache
from itertools import count

import attrs
import pytest
import trio
import trio.testing
from redis_servers import KINDS, RealServer, needs_skip, open_server

from trioworkers.bus.redis._server import RedisServer
from trioworkers.bus.redis._store import Server
from trioworkers.testing.streams import StreamServer

_numbers = count()


@attrs.frozen
class Store:
    """A server of any kind, empty.

    Attributes:
      server: Where sessions come from.
      out_of_memory: While its block runs, the server takes nothing new.
    """

    server: Server
    out_of_memory: Callable[[], AbstractContextManager[None]]


def _here(kind: str) -> str:
    if needs_skip(kind):
        pytest.skip(f"no {kind}-server here: apt-get install redis-server")
    return kind


@pytest.fixture(scope="session", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Which server."""
    return _here(request.param)


@pytest.fixture(scope="session")
def real_servers() -> Iterator[Callable[[str], RealServer]]:
    """Return the server of a kind that all tests share: don't stop it, nor leave it changed."""
    with ExitStack() as stack:
        yield cache(lambda kind: stack.enter_context(open_server(kind)))


@pytest.fixture
def real_server(kind: str, real_servers: Callable[[str], RealServer]) -> RealServer:
    """The server of each kind that all tests share: don't stop it, nor leave it changed."""
    return real_servers(kind)


@pytest.fixture
def namespace() -> str:
    """One that no other test uses."""
    return f"test-{next(_numbers)}"


@pytest.fixture(params=["model", *KINDS])
def store(request: pytest.FixtureRequest, namespace: str) -> Iterator[Store]:
    """A server of each kind, and the model of one. Tests with it take `store_clock`, too."""
    if request.param == "model":
        model = StreamServer()

        @contextmanager
        def forget_memory() -> Iterator[None]:
            model.model.out_of_memory = True
            yield
            model.model.out_of_memory = False

        yield Store(model, forget_memory)
        return
    real = request.getfixturevalue("real_servers")(_here(request.param))

    @contextmanager
    def fill_memory() -> Iterator[None]:
        real.call("CONFIG", "SET", "maxmemory", 1)
        try:
            yield
        finally:
            real.call("CONFIG", "SET", "maxmemory", 0)

    yield Store(RedisServer(real.url, namespace), fill_memory)


@pytest.fixture
def store_clock(store: Store) -> trio.abc.Clock | None:
    """The clock that a test with `store` runs by."""
    if isinstance(store.server, StreamServer):
        return trio.testing.MockClock(autojump_threshold=0)
    return None


@pytest.fixture
def seen(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Adds figures to the file that TRIOWORKERS_SEEN names, if it does: what was seen."""

    def note(text: str) -> None:
        path = os.environ.get("TRIOWORKERS_SEEN")
        if path is not None:
            with open(path, "a") as file:
                file.write(f"{request.node.name}: {text}\n")

    return note
