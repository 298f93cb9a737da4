"""Sessions on real servers that are cut off, kept waiting, cancelled, or very busy."""

import math
import signal
import time

import pytest
import trio
import trio.testing
from redis_proxies import open_proxy
from redis_servers import free_port, open_server

from trioworkers.bus.redis._server import RedisServer
from trioworkers.bus.redis._store import (
    DATA,
    START,
    Appended,
    Entry,
    StoreRefusesError,
    StoreUnavailableError,
)

BOTH = (START, START)


@pytest.fixture
async def proxy(real_server):
    """A way to the server that all tests share."""
    async with open_proxy(real_server.port) as proxy:
        yield proxy


def to(port, namespace, *more, connect_timeout=5.0, command_timeout=5.0):
    """Return a server by its port, or ports."""
    urls = [f"redis://127.0.0.1:{number}" for number in (port, *more)]
    return RedisServer(
        urls, namespace, connect_timeout=connect_timeout, command_timeout=command_timeout
    )


async def check_dead(session):
    """See that each operation fails at once, and is a checkpoint."""
    for operation in (
        lambda: session.join("a", [], b"{}", 60),
        lambda: session.renew("a", 60, 0),
        lambda: session.peers(),
        lambda: session.read("a", BOTH, count=9, wait=60),
    ):
        with trio.testing.assert_checkpoints(), pytest.raises(StoreUnavailableError):
            await operation()


@pytest.mark.parametrize("under_way", ["nothing", "read"])
async def test_a_cut_connection_ends_the_session(proxy, namespace, under_way):
    """What is under way fails, and all that comes; another session can be opened."""
    server = to(proxy.port, namespace)
    async with server.connect() as session:
        await session.join("a", ["A"], b"{}", 60)

        async def read():
            with pytest.raises(StoreUnavailableError, match=f":{proxy.port}: "):
                await session.read("a", BOTH, count=9, wait=60)

        with trio.fail_after(5):
            async with trio.open_nursery() as nursery:
                if under_way == "read":
                    nursery.start_soon(read)
                await trio.sleep(0.05)
                proxy.cut()
            await trio.sleep(0.05)
            await check_dead(session)
    async with server.connect() as session:
        assert (await session.renew("a", 60, 1)).names_kept


async def test_a_lost_reply_is_told_and_done_again(proxy, namespace):
    """It isn't known whether it took effect; it did, and the second time it does nothing."""
    server = to(proxy.port, namespace)
    entries = [Entry("a", DATA, number, b"{}") for number in (1, 2)]
    async with server.connect() as session:
        await session.join("a", ["A"], b"{}", 60)
        await session.append("a", [], limit=9)  # the server knows the script from now on
        proxy.drop_replies()
        with trio.fail_after(5), pytest.raises(StoreUnavailableError, match="onnection"):
            await session.append("a", entries, limit=9)
        await check_dead(session)
        proxy.keep_replies()
    async with server.connect() as session:
        assert len((await session.read("a", BOTH, count=9, wait=0))[DATA]) == 2
        assert (await session.append("a", entries, limit=9)).results == (Appended.DONE,) * 2
        assert len((await session.read("a", BOTH, count=9, wait=0))[DATA]) == 2


@pytest.mark.parametrize("operation", ["renew", "read"])
async def test_a_mute_server_ends_the_session(proxy, namespace, operation):
    """When its time to answer is over; to a read, that comes after its wait."""
    server = to(proxy.port, namespace, command_timeout=0.3)
    async with server.connect() as session:
        await session.join("a", ["A"], b"{}", 60)
        proxy.mute()
        before = time.monotonic()
        with pytest.raises(StoreUnavailableError, match="didn't answer in time"):
            if operation == "renew":
                await session.renew("a", 60, 1)
            else:
                await session.read("a", BOTH, count=9, wait=0.5)
        passed = time.monotonic() - before
        assert passed >= (0.3 if operation == "renew" else 0.8)
        assert passed < 3
        await check_dead(session)


async def test_a_mute_server_is_noticed_for_all(proxy, namespace):
    """A read that may wait for long fails with the command that got no answer."""
    async with to(proxy.port, namespace, command_timeout=0.3).connect() as session:
        await session.join("a", ["A"], b"{}", 60)

        async def read():
            with pytest.raises(StoreUnavailableError, match="didn't answer in time"):
                await session.read("a", BOTH, count=9, wait=60)

        with trio.fail_after(5):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(read)
                await trio.sleep(0.05)
                proxy.mute()
                with pytest.raises(StoreUnavailableError):
                    await session.renew("a", 60, 1)


async def test_a_slow_server_is_no_dead_one(proxy, namespace):
    """A read may take longer than a command."""
    server = to(proxy.port, namespace, command_timeout=1)
    proxy.delay = 0.05
    async with server.connect() as session:
        await session.join("a", ["A"], b"{}", 60)
        assert not any(await session.read("a", BOTH, count=9, wait=1.5))
        assert (await session.renew("a", 60, 1)).names_kept


async def test_connecting_to_a_mute_server_is_bounded(proxy, namespace):
    """Its reason is told."""
    proxy.mute()
    before = time.monotonic()
    with pytest.raises(StoreUnavailableError, match=r"no session could be opened within 0\.2 s"):
        async with to(proxy.port, namespace, connect_timeout=0.2).connect():
            pytest.fail("there is none")
    assert time.monotonic() - before < 3


async def test_cancelling_while_connecting(proxy, namespace):
    """It is a cancellation, not a failure, and ends at once."""
    proxy.mute()
    server = to(proxy.port, namespace, free_port())
    with trio.move_on_after(0.2) as scope:
        async with server.connect():
            pytest.fail("there is none")
    assert scope.cancelled_caught
    assert server.address.endswith(f":{proxy.port}")


async def test_cancelling_within_a_session(proxy, namespace):
    """It leaves as a cancellation; the address stays."""
    server = to(proxy.port, namespace, free_port())
    with trio.move_on_after(0.5) as scope:
        async with server.connect() as session:
            await session.join("a", ["A"], b"{}", 60)
            await session.read("a", BOTH, count=9, wait=60)
    assert scope.cancelled_caught
    assert server.address.endswith(f":{proxy.port}")


async def test_closing_waits_for_nobody(proxy, namespace):
    """Whatever the server does not."""
    async with trio.open_nursery() as nursery:
        async with to(proxy.port, namespace).connect() as session:
            await session.join("a", ["A"], b"{}", 60)
            proxy.mute()

            async def fail():
                with pytest.raises(StoreUnavailableError):
                    await session.renew("a", 60, 1)

            nursery.start_soon(fail)
            await trio.sleep(0.05)
            before = time.monotonic()
        assert time.monotonic() - before < 1


async def test_an_exception_leaves_as_it_is(real_server, namespace):
    """No group around it."""
    with pytest.raises(KeyError):
        async with to(real_server.port, namespace).connect():
            raise KeyError


async def test_a_closed_session_is_of_no_use(real_server, namespace):
    """It says so."""
    async with to(real_server.port, namespace).connect() as session:
        pass
    with pytest.raises(StoreUnavailableError, match="closed"):
        await session.peers()


async def test_cancelled_operations_leave_the_others_their_replies(proxy, namespace):
    """Each reply goes to who asked for it."""
    async with to(proxy.port, namespace).connect() as session:
        names = [f"n{number}" for number in range(50)]
        await session.join("a", names, b"{}", 60)
        proxy.delay = 0.2
        for _ in range(3):
            with trio.move_on_after(0.05) as scope:
                await session.judge([("a", "n1"), ("b", "n1")])
            assert scope.cancelled_caught
        proxy.delay = 0.0
        found = {}

        async def find(name):
            found[name] = await session.find([name, "nobody"] if name > "n3" else [name])

        async with trio.open_nursery() as nursery:
            for name in names:
                nursery.start_soon(find, name)
        assert found == {name: ("a", None) if name > "n3" else ("a",) for name in names}


async def test_a_cancelled_read_takes_nothing_along(real_server, namespace):
    """What came in its time is there for the next one, as often as it is asked for."""
    async with to(real_server.port, namespace).connect() as session:
        await session.join("a", ["A"], b"{}", 60)
        for number in range(1, 20):
            with trio.move_on_after(0.01):
                await session.read("a", BOTH, count=99, wait=0.5)
            await session.append("a", [Entry("a", DATA, number, b"{}")], limit=99)
            _, data = await session.read("a", BOTH, count=99, wait=5)
            assert len(data) == number


async def test_a_read_after_a_long_one_that_was_cancelled(real_server, namespace):
    """The server is still at that one: this is no failure, it takes longer."""
    async with to(real_server.port, namespace, command_timeout=0.2).connect() as session:
        await session.join("a", ["A"], b"{}", 60)
        with trio.move_on_after(0.05):
            await session.read("a", BOTH, count=9, wait=1)
        with trio.fail_after(5):
            assert not any(await session.read("a", BOTH, count=9, wait=0.05))


# Addresses


async def test_the_next_address_after_any_failure(real_server, namespace):
    """In turn, and from the first again; after a session without failure it stays."""
    dead, other = free_port(), free_port()
    server = to(dead, namespace, other, real_server.port)
    for port in (dead, other):
        assert server.address.endswith(f":{port}")
        with pytest.raises(StoreUnavailableError):
            async with server.connect():
                pytest.fail("nobody is there")
    for _ in range(2):
        assert server.address == real_server.url
        async with server.connect() as session:
            await session.peers()
    assert server.address == real_server.url


async def test_the_next_address_after_a_failed_session(proxy, namespace):
    """Also when it worked before."""
    server = to(proxy.port, namespace, free_port())
    async with server.connect() as session:
        proxy.cut()
        with pytest.raises(StoreUnavailableError):
            await session.peers()
        assert not server.address.endswith(f":{proxy.port}")
    with pytest.raises(StoreUnavailableError):
        async with server.connect():
            pytest.fail("nobody is there")
    assert server.address.endswith(f":{proxy.port}")


async def test_a_refused_connection(proxy, namespace):
    """At once; accepted again, it is opened."""
    await proxy.refuse()
    server = to(proxy.port, namespace)
    with pytest.raises(StoreUnavailableError, match="refused"):
        async with server.connect():
            pytest.fail("nobody is there")
    await proxy.accept()
    async with server.connect() as session:
        assert await session.peers() == {}


# Servers that go and come


@pytest.mark.parametrize("kept", [True, False])
async def test_a_killed_server_comes_back(kind, namespace, kept):
    """With what it was told, if it keeps it; else without."""
    with open_server(kind, appendonly=kept, fsync="always") as real:
        server = to(real.port, namespace)
        async with server.connect() as session:
            await session.join("a", ["A"], b"{}", 60)
            await session.append("a", [Entry("a", DATA, 1, b"{}")], limit=9)
            real.stop(signal.SIGKILL)
            with trio.fail_after(5), pytest.raises(StoreUnavailableError):
                await session.renew("a", 60, 1)
        real.start()
        async with server.connect() as session:
            if kept:
                assert (await session.resume("a", 60, ["A"], {("a", DATA): 1})).names_kept
            else:
                assert await session.peers() == {}
                await session.join("a2", ["A"], b"{}", 60)


async def test_a_paused_server_goes_on(kind, namespace):
    """Leases end by its clock, which goes on."""
    with open_server(kind) as real:
        server = to(real.port, namespace)
        async with server.connect() as session:
            await session.join("a", ["A"], b"{}", 60)
            await session.join("b", ["B"], b"{}", 0.3)
            real.pause()
            with trio.move_on_after(0.5) as scope:
                await session.find(["A"])
            assert scope.cancelled_caught
            real.resume()
            assert await session.find(["A", "B"]) == ("a", None)


async def test_a_server_that_may_not_be_written_to(kind, namespace):
    """What may be refused is, and the session goes on; one that can't renew ends."""
    with open_server(kind) as real:
        async with to(real.port, namespace).connect() as session:
            await session.join("a", ["A"], b"{}", 60)
            real.call("CONFIG", "SET", "min-replicas-to-write", 1)
            with pytest.raises(StoreRefusesError, match="NOREPLICAS"):
                await session.append("a", [Entry("a", DATA, 1, b"{}")], limit=9)
            async with to(real.port, namespace).connect() as other:
                with pytest.raises(StoreUnavailableError, match="NOREPLICAS"):
                    await other.renew("a", 60, 1)
                await check_dead(other)
            real.call("CONFIG", "SET", "min-replicas-to-write", 0)
            await session.append("a", [Entry("a", DATA, 1, b"{}")], limit=9)


# Size


async def test_a_thousand_peers(real_server, namespace):
    """All hear of one's message, and of its end, without holding the server up."""
    everybody = [f"p{number}" for number in range(1000)]
    async with to(real_server.port, namespace).connect() as session:
        for name in everybody:
            joined = await session.join(name, [], b"{}", 60)
        assert len(joined.peers) == 999
        times = []
        for number in range(1, 4):
            entries = [Entry(name, DATA, number, b"x" * 200) for name in everybody]
            before = time.monotonic()
            reply = await session.append("p0", entries, limit=9, expected=1000)
            times.append(time.monotonic() - before)
            assert set(reply.results) == {Appended.DONE}
            assert reply.living is None
        await session.leave("p0")
        system, data = await session.read("p999", BOTH, count=9, wait=0)
        assert (len(system), len(data)) == (1, 3)
        assert min(times) < 0.1


async def test_many_leases_that_expire_at_once(real_server, namespace):
    """They are ended by the hundred, and whoever renews knows that there are more."""
    async with to(real_server.port, namespace).connect() as session:
        await session.join("a", [], b"{}", 60)
        end = trio.current_time() + 1.5
        for number in range(150):
            names = ["x"] if number == 149 else []
            await session.join(f"p{number}", names, b"{}", end - trio.current_time())
        await trio.sleep_until(end + 0.1)
        assert await session.find(["x"]) == (None,)
        assert (await session.renew("a", 60, 0)).next_expiry == 0
        assert (await session.renew("a", 60, 0)).next_expiry == math.inf
        system, _ = await session.read("a", BOTH, count=999, wait=0)
        assert len({entry.fields[1] for entry in system}) == len(system) == 150


async def test_large_and_odd_values_pass(real_server, namespace):
    """As they are, with waits that the server would take for others."""
    body = bytes(range(256)) * 8192
    async with to(real_server.port, namespace).connect() as session:
        await session.join("a-é", ["né", "with space\r\n", ""], b"\xff\0", 60)
        assert await session.find(["né", "with space\r\n", ""]) == ("a-é",) * 3
        assert await session.peers() == {"a-é": b"\xff\0"}
        await session.append("a-é", [Entry("a-é", DATA, 1, body)], limit=9)
        _, (received,) = await session.read("a-é", BOTH, count=9, wait=0.00001)
        assert received.fields[5] == body
        assert (await session.renew("a-é", 60.0005, 3)).next_expiry == math.inf
