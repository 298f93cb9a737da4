"""Sessions on real servers: who is let in, by which way, and who is not."""

import logging
import ssl
import time

import pytest
import trio
import trustme
from redis_servers import ServerSaysError, free_port, needs_skip, open_server

from trioworkers.bus.redis._server import RedisServer
from trioworkers.bus.redis._store import (
    DATA,
    START,
    Appended,
    Entry,
    StoreDeniedError,
    StoreUnavailableError,
)

#: What a user needs, besides the keys: docs/deployment.md says the same.
COMMANDS = """
    info eval evalsha time get set exists unlink pexpire hget hset hdel sadd srem smembers scard
    zadd zrem zrange zrangebyscore zremrangebyscore zscore zcount xadd xlen xtrim xread
"""
RULE = ("-@all", *(f"+{command}" for command in COMMANDS.split()))
BOTH = (START, START)


async def use(server):
    """Do a little of everything."""
    async with server.connect() as session:
        await session.join("a", ["A"], b"{}", 60)
        await session.join("b", ["B"], b"{}", 60)
        await session.join("b", ["C"], b"{}", 60)
        entries = [Entry("b", DATA, number, b"{}") for number in (1, 2, 3)]
        reply = await session.append("a", entries, limit=2, expected=9)
        assert reply.results == (Appended.DONE, Appended.DONE, Appended.FULL)
        _, data = await session.read("b", BOTH, count=9, wait=1)
        await session.acknowledge("b", (START, data[-1].id), limit=2)
        system, _ = await session.read("a", BOTH, count=9, wait=1)
        assert [entry.fields[0] for entry in system] == [b"room"]
        await session.resume("a", 60, ["A"], {("b", DATA): 2})
        await session.claim("a", ["D"])
        await session.release("a", ["D"])
        await session.judge([("a", "D")])
        await session.peers()
        await session.renew("b", 60, 1)
        await session.leave("a")
        await session.join("c", [], b"{}", 60)
        await session.leave("c")


async def refused(server):
    """Return why no session can be opened, now and later on."""
    with pytest.raises(StoreDeniedError) as caught:
        await use(server)
    return str(caught.value)


async def unavailable(server):
    """Return why no session can be opened now."""
    with pytest.raises(StoreUnavailableError) as caught:
        await use(server)
    return str(caught.value)


# Arguments


@pytest.mark.parametrize("namespace", ["", "a b", "{a}", "a*", "é", "a" * 101])
def test_wrong_namespaces(namespace):
    """They would be patterns, or other keys, on the server."""
    with pytest.raises(ValueError, match="namespace must be"):
        RedisServer("redis://host", namespace)


def test_wrong_arguments():
    """Types and ranges are checked."""
    with pytest.raises(TypeError, match="namespace"):
        RedisServer("redis://host", None)
    for name in ("connect_timeout", "command_timeout"):
        for seconds in (0, -1, float("inf"), float("nan")):
            with pytest.raises(ValueError, match=f"{name} must be > 0"):
                RedisServer("redis://host", **{name: seconds})


def test_passwords_are_not_shown():
    """Nor users."""
    server = RedisServer(["redis://u:sesame@host", "unix://u:sesame@/run/x"])
    assert repr(server) == "<RedisServer redis://host:6379, unix:///run/x>"
    assert server.address == "redis://host:6379"


# Ways


async def test_all_ways_of_plain_use(real_server, namespace):
    """By TCP, by Unix socket, by a host's name."""
    await use(RedisServer(real_server.url, namespace))
    await use(RedisServer(f"unix://{real_server.socket}", namespace))
    await use(RedisServer(f"redis://localhost:{real_server.port}", namespace))


async def test_databases_are_apart(real_server, namespace):
    """By TCP and by Unix socket; one that isn't there is refused."""
    ways = [
        real_server.url,
        f"{real_server.url}/3",
        f"unix://{real_server.socket}?db=5",
    ]
    for number, way in enumerate(ways):
        async with RedisServer(way, namespace).connect() as session:
            assert (await session.join(f"a{number}", ["A"], b"{}", 60)).peers == ()
    assert "DB index" in await refused(RedisServer(f"{real_server.url}/99", namespace))


async def test_namespaces_are_apart(real_server, namespace):
    """Also if one begins like the other."""
    for name in (namespace, f"{namespace}:x", f"{namespace}x"):
        async with RedisServer(real_server.url, name).connect() as session:
            assert (await session.join("a", ["A"], b"{}", 60)).peers == ()


async def test_keys_go_by_themselves(real_server, namespace):
    """All have an end, and all are of one slot; those of one that left are gone at once."""
    async with RedisServer(real_server.url, namespace).connect() as session:
        for name in "abc":
            await session.join(name, [name], b"{}", 60)
        sent = [Entry("b", DATA, number, b"{}") for number in (1, 2)]
        await session.append("a", sent, limit=1)
        await session.append("c", [Entry("b", DATA, 1, b"{}")], limit=9)
        await session.release("a", ["a"])
        await session.leave("c")
        assert real_server.call("HKEYS", f"{{{namespace}}}:sent:b") == [b"a:1"]
        keys = real_server.call("KEYS", f"{{{namespace}}}:*")
        expected = ["version", "leases", "about", "names", "system:a", "data:a", "former:a"]
        expected += ["owned:b", "system:b", "data:b", "sent:b", "waiting:b:1"]
        assert {key.decode().partition(":")[2] for key in keys} == set(expected)
        for key in keys:
            assert 60_000 < real_server.call("PTTL", key) <= 86_460_000, key


# Certificates


@pytest.fixture(scope="module")
def authority():
    """An authority that only our contexts know."""
    return trustme.CA()


@pytest.fixture(scope="module")
def tls_server(authority, tmp_path_factory):
    """A server that speaks TLS alone, certified as "localhost"; Valkey's wheel can't."""
    if needs_skip("redis"):
        pytest.skip("no redis-server here: apt-get install redis-server")
    folder = tmp_path_factory.mktemp("tls")
    issued = authority.issue_cert("localhost")
    issued.private_key_pem.write_to_path(folder / "key")
    issued.cert_chain_pems[0].write_to_path(folder / "cert")
    with open_server("redis", tls={"cert": folder / "cert", "key": folder / "key"}) as server:
        yield server


def trusting(authority):
    """Return a context that knows the authority."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def test_tls(tls_server, authority, namespace):
    """With a server of that name, by an authority that is known."""
    url = f"rediss://localhost:{tls_server.port}"
    await use(RedisServer(url, namespace, ssl_context=trusting(authority)))


async def test_tls_checks_authority_and_name(tls_server, authority, namespace):
    """Nobody between can say to be the server."""
    url = f"rediss://localhost:{tls_server.port}"
    assert "certificate is not accepted" in await refused(RedisServer(url, namespace))
    url = f"rediss://127.0.0.1:{tls_server.port}"
    other_name = RedisServer(url, namespace, ssl_context=trusting(authority))
    assert "127.0.0.1" in await refused(other_name)


async def test_plain_and_tls_mixed_up(tls_server, real_servers, namespace):
    """Either way it ends soon, and is told."""
    plain = RedisServer(f"redis://localhost:{tls_server.port}", namespace)
    assert str(tls_server.port) in await unavailable(plain)
    port = real_servers("valkey").port
    tls = RedisServer(f"rediss://localhost:{port}", namespace, connect_timeout=1)
    assert str(port) in await unavailable(tls)


# Users


@pytest.fixture(scope="module")
def guarded(kind):
    """A server whose default user has a password."""
    with open_server(kind, password="sesame") as server:
        yield server


async def test_a_password_is_needed(guarded, namespace, caplog):
    """Wrong or missing, it is told at once, and not shown."""
    caplog.set_level(logging.DEBUG)
    await use(RedisServer(f"redis://:sesame@127.0.0.1:{guarded.port}", namespace))
    for credentials in ("", ":open-sesame@", "default:open-sesame@", "nobody:open-sesame@"):
        url = f"redis://{credentials}127.0.0.1:{guarded.port}"
        reason = await refused(RedisServer(url, namespace))
        assert reason.startswith(f"redis://127.0.0.1:{guarded.port}: ")
        assert "sesame" not in reason
    assert "sesame" not in caplog.text
    assert not [record for record in caplog.records if record.name == "coredis"]


async def test_a_user_with_the_rule_of_the_docs(guarded, namespace):
    """It is enough, in one namespace alone."""
    guarded.call("ACL", "SETUSER", "w", "reset", "on", ">pw", f"~{{{namespace}}}:*", *RULE)
    url = f"redis://w:pw@127.0.0.1:{guarded.port}"
    await use(RedisServer(url, namespace))
    assert "key" in await refused(RedisServer(url, "other"))
    guarded.call("ACL", "SETUSER", "w", "+select")
    await use(RedisServer(f"{url}/2", namespace))


@pytest.mark.parametrize("without", [word for word in RULE if word not in ("-@all", "+info")])
async def test_each_command_of_the_rule_is_needed(guarded, namespace, without):
    """Without one, it is told that the user may not, and not tried again."""
    rule = [word for word in RULE if word != without]
    guarded.call("ACL", "SETUSER", "w", "reset", "on", ">pw", "~*", *rule)
    guarded.call("SCRIPT", "FLUSH")
    reason = await refused(RedisServer(f"redis://w:pw@127.0.0.1:{guarded.port}", namespace))
    assert "permission" in reason or "can't run this command" in reason


async def test_a_user_who_may_not_ask_for_settings(guarded, namespace):
    """It is no matter."""
    guarded.call("ACL", "SETUSER", "w", "reset", "on", ">pw", "~*", *RULE, "-info")
    await use(RedisServer(f"redis://w:pw@127.0.0.1:{guarded.port}", namespace))


# What others left


async def test_another_version_of_the_keys_is_left_alone(real_server, namespace):
    """It is told which, at once."""
    key = f"{{{namespace}}}:version"
    real_server.call("SET", key, 2)
    assert "its keys have version 2, ours 1" in await refused(
        RedisServer(real_server.url, namespace)
    )
    assert real_server.call("KEYS", f"{{{namespace}}}:*") == [key.encode()]


async def test_another_version_that_comes_later(real_server, namespace):
    """Whoever joins then is told."""
    async with RedisServer(real_server.url, namespace).connect() as session:
        real_server.call("SET", f"{{{namespace}}}:version", "x")
        with pytest.raises(StoreDeniedError, match="version x"):
            await session.join("a", ["A"], b"{}", 60)


@pytest.mark.parametrize("key", ["version", "leases", "about", "names", "owned:a", "system:a"])
async def test_keys_of_another_type(real_server, namespace, key):
    """They are no reason to hang, or to try for ever."""
    real_server.call("LPUSH", f"{{{namespace}}}:{key}", "x")
    reason = await refused(RedisServer(real_server.url, namespace))
    assert "hold what isn't ours" in reason


async def test_a_stream_of_another_type_is_not_read(real_server, namespace):
    """Nor waited for."""
    async with RedisServer(real_server.url, namespace).connect() as session:
        await session.join("a", ["A"], b"{}", 60)
        real_server.call("SET", f"{{{namespace}}}:data:a", "x")
        with pytest.raises(StoreDeniedError, match="hold what isn't ours"):
            await session.read("a", BOTH, count=9, wait=5)


# States of a server


async def test_nobody_listens():
    """It is told at once."""
    reason = await unavailable(RedisServer(f"redis://127.0.0.1:{free_port()}"))
    assert "refused" in reason.lower()
    assert "No such file" in await unavailable(RedisServer("unix:///nowhere/at/all"))


async def test_a_name_that_is_unknown():
    """It is told."""
    assert "nowhere.invalid" in await unavailable(RedisServer("redis://nowhere.invalid"))


SLOW_TO_LOAD = [("key-load-delay", "2000"), ("loading-process-events-interval-bytes", "1024")]


async def test_a_server_that_loads_its_data(kind, namespace):
    """It is not there yet; then it is."""
    with open_server(kind, args=SLOW_TO_LOAD) as server:
        server.call("CONFIG", "SET", "key-load-delay", 0)
        server.call("DEBUG", "POPULATE", 1000)
        server.call("SAVE")
        server.stop()
        server.start(may_load=True)
        real = RedisServer(server.url, namespace)
        assert "loading" in await unavailable(real)
        server.call("CONFIG", "SET", "key-load-delay", 0)
        with trio.fail_after(20):
            while True:
                try:
                    await use(real)
                except StoreUnavailableError:
                    await trio.sleep(0.05)
                else:
                    break


async def test_a_replica_is_not_used(kind, real_server, namespace):
    """The next address is; nothing can be written to the first."""
    with open_server(kind) as replica:
        replica.call("REPLICAOF", "127.0.0.1", real_server.port)
        deadline = time.monotonic() + 20
        while b"master_link_status:up" not in replica.call("INFO", "replication"):
            assert time.monotonic() < deadline
            await trio.sleep(0.05)
        server = RedisServer([replica.url, real_server.url], namespace)
        assert "read only replica" in await unavailable(server)
        assert server.address == real_server.url
        await use(server)


async def test_a_server_that_becomes_a_replica(kind, namespace):
    """The session ends; a read that waits does, too."""
    with open_server(kind) as server:
        async with RedisServer(server.url, namespace).connect() as session:
            await session.join("a", ["A"], b"{}", 60)

            async def read():
                with pytest.raises(StoreUnavailableError):
                    await session.read("a", BOTH, count=9, wait=30)

            with trio.fail_after(10):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(read)
                    await trio.sleep(0.05)
                    server.call("REPLICAOF", "127.0.0.1", free_port())
                    with pytest.raises(StoreUnavailableError):
                        await session.find(["A"])


async def test_a_server_without_memory_is_used(kind, namespace):
    """Sessions can be opened, so that leases can be kept."""
    with open_server(kind) as server:
        server.call("CONFIG", "SET", "maxmemory", 1)
        async with RedisServer(server.url, namespace).connect() as session:
            assert await session.peers() == {}


async def test_a_server_that_may_drop_keys(kind, namespace, caplog):
    """It is warned of, once."""
    with open_server(kind, args=[("maxmemory-policy", "allkeys-lru")]) as server:
        real = RedisServer(server.url, namespace)
        for _ in range(2):
            await use(real)
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("trioworkers.bus.redis", "WARNING")
    assert "allkeys-lru" in record.getMessage()
    assert "noeviction" in record.getMessage()


async def test_a_server_that_has_forgotten_the_scripts(real_server, namespace):
    """They are sent again."""
    async with RedisServer(real_server.url, namespace).connect() as session:
        await session.join("a", ["A"], b"{}", 60)
        real_server.call("SCRIPT", "FLUSH")
        assert await session.find(["A"]) == ("a",)


async def test_a_server_with_too_many_clients(kind, namespace):
    """It may have room later on."""
    with open_server(kind) as server:
        server.call("CONFIG", "SET", "maxclients", 1)
        await unavailable(RedisServer(server.url, namespace))
        server.call("CONFIG", "SET", "maxclients", 100)
        await use(RedisServer(server.url, namespace))


# Others that listen


async def answer_with(answer):
    """Serve one answer to whatever is said; return the listener's URL and what serves it."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")

    async def handle(stream):
        async for _ in stream:
            await stream.send_all(answer)

    return f"redis://:sesame@127.0.0.1:{listener.socket.getsockname()[1]}", listener, handle


@pytest.mark.parametrize(
    ("answer", "error", "reason"),
    [
        (
            b"-ERR unknown command `HELLO`, with args: `3`, `sesame`\r\n",
            StoreDeniedError,
            "Redis >= 7.0",
        ),
        (b"-ERR what is sesame\r\n", StoreDeniedError, "isn't shown"),
        (b"-DENIED running in protected mode\r\n", StoreDeniedError, "protected mode"),
        (b"-NOPROTO unsupported protocol version\r\n", StoreDeniedError, "protocol"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", StoreDeniedError, "Protocol Error"),
        (b"*1\r\n+sesame\r\n", StoreUnavailableError, "127.0.0.1"),
        (b"-LOADING wait\r\n", StoreUnavailableError, "wait"),
        (b"-CLUSTERDOWN wait\r\n", StoreUnavailableError, "wait"),
        (b"-MASTERDOWN wait\r\n", StoreUnavailableError, "wait"),
        (b"-MOVED 1 127.0.0.1:1\r\n", StoreUnavailableError, "127.0.0.1"),
        (b"", StoreUnavailableError, "within 1.5 s"),
    ],
)
async def test_whoever_else_listens(answer, error, reason, caplog):
    """In bounded time, with a reason, without the password."""
    url, listener, handle = await answer_with(answer)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, handle, [listener])
        with trio.fail_after(5), pytest.raises(error, match=reason) as caught:
            await use(RedisServer(url, connect_timeout=1.5))
        nursery.cancel_scope.cancel()
    assert "sesame" not in str(caught.value)
    assert not caplog.records


async def test_an_old_server_is_refused():
    """What it has and what it would need are told."""
    hello = b"%7\r\n+server\r\n+redis\r\n+version\r\n+6.2.1\r\n+proto\r\n:3\r\n+id\r\n:1\r\n"
    hello += b"+mode\r\n+x\r\n+role\r\n+x\r\n+modules\r\n*0\r\n"
    info = b"$22\r\nredis_version:6.2.1\r\nx\r\n"
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")

    async def handle(stream):
        async for said in stream:
            await stream.send_all(info if b"INFO" in said else hello)

    url = f"redis://127.0.0.1:{listener.socket.getsockname()[1]}"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, handle, [listener])
        reason = await refused(RedisServer(url))
        nursery.cancel_scope.cancel()
    assert "Redis >= 7.0 or Valkey >= 7.2 is needed" in reason
    assert "6.2.1" in reason


def test_helpers_tell_of_errors(real_server):
    """A wrong command is no answer."""
    with pytest.raises(ServerSaysError, match="unknown command"):
        real_server.call("NO-SUCH-COMMAND")
