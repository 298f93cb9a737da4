"""A panel and its workers in two processes, which meet at a real server."""

import itertools
import signal
import time

import pytest
import trio
from panel_children import open_panel_child
from panel_clients import Refused, WebClient, visit_nowait
from panel_workers import PEERS
from redis_jobs import wait_for
from redis_proxies import open_proxy
from redis_servers import free_port

LEASE = 1.0
#: Seconds, from the end of a process, in which clients must be told.
TOLD_WITHIN = LEASE + 1.0
HOLD = dict.fromkeys(PEERS, "hold")
#: Of each peer its newest update, and two parts of a stream.
UPDATES = 3 * len(PEERS)

_numbers = itertools.count()


class Site:
    """Where a test starts its processes: panels have the same port each time."""

    def __init__(self, real_server, where, nursery):
        self._where = where
        self._nursery = nursery
        self._options = {
            "bus": real_server.url,
            "namespace": f"panel-{next(_numbers)}",
            "lease": LEASE,
            "port": free_port(),
            "shared": False,
        }

    def workers(self):
        """Return a block while which the workers are there."""
        return open_panel_child("workers", self._where, self._options)

    def panel(self, **options):
        """Return a block while which a panel is there, which may have options of its own."""
        return open_panel_child("panel", self._where, self._options | options)

    async def client(self, panel, **options):
        """Return a client that is connected, once the panel is there and its workers answer."""
        await wait_for(lambda: panel.url, within=20)
        client = WebClient(panel.url, **options)
        await self._nursery.start(client.run)
        await client.until_answered()
        return client


@pytest.fixture
def site(real_server, tmp_path, nursery):
    """Where a test starts its processes."""
    return Site(real_server, tmp_path, nursery)


async def test_a_group_is_seen_from_its_beginning_to_its_end(site):
    """With its members' progress, how each has ended, and why it failed."""
    with site.workers(), site.panel() as panel:
        client = await site.client(panel)
        began = await client.look_for("lanes", how={"ann": "refuse", "bob": "crash"})
        job_id = began["job_id"]
        await client.until_told("group_completed", job_id=job_id)
    assert began["workers"] == list(PEERS)
    assert client.ends(job_id) == {"ann": "failed", "bob": "error", "cid": "completed"}
    (ann,) = client.told("job_completed", worker_name="ann")
    assert ann["error"] == "nothing is known of it"
    (bob,) = client.told("job_completed", worker_name="bob")
    assert bob["error"] == "it raised ZeroDivisionError"
    data = [one["data"] for one in client.told("job_update", worker_name="cid")]
    assert {"stage": "summarizing", "found": 1} in data
    assert {"type": "stream_data", "data": {"excerpt": "of cid"}} in data
    told = client.of_type("ui-job-group")
    assert told[0] == began
    assert told[-1]["kind"] == "group_completed"
    assert [one["text"] for one in client.of_type("bot-output")] == ["I look for lanes."]


async def test_a_group_is_cancelled_from_the_page(site):
    """Its handlers in the other process end, which no other client can bring about."""
    with site.workers(), site.panel() as panel:
        client, stranger = await site.client(panel), await site.client(panel)
        job_id = (await client.look_for("lanes", how=HOLD))["job_id"]
        await client.until_told("job_update", UPDATES, job_id=job_id)
        with pytest.raises(Refused, match=job_id):
            await stranger.request("ui-cancel-job-group", {"job_id": job_id})
        assert await client.ask("report") == {"running": 3, "cancelled": 0}
        await client.cancel(job_id)
        await client.until_told("group_completed", job_id=job_id)
        assert client.ends(job_id) == dict.fromkeys(PEERS, "cancelled")
        assert await client.ask("report") == {"running": 0, "cancelled": 3}
        assert stranger.of_type("ui-job-group") == []


async def test_events_are_answered_and_commands_come(site):
    """To who has asked alone."""
    with site.workers(), site.panel() as panel:
        client, stranger = await site.client(panel), await site.client(panel)
        assert await client.ask("echo", {"deep": [1, None, "ü"]}) == {"deep": [1, None, "ü"]}
        with pytest.raises(Refused, match="not today"):
            await client.ask("refuse")
        with pytest.raises(Refused, match="ZeroDivisionError") as refused:
            await client.ask("crash")
        assert "secret" not in str(refused.value)
        await client.send("ui-event", {"event": "show", "payload": {"title": "done"}})
        await client.seen.until(lambda _: client.of_type("ui-command"))
        assert client.of_type("ui-command") == [{"command": "toast", "payload": {"title": "done"}}]
        await client.send("ui-snapshot", {"tree": {"root": {"role": "generic"}}})
        assert (await client.ask("last_snapshot"))["root"] == {"role": "generic"}
        assert await stranger.ask("last_snapshot") is None
        assert stranger.of_type("ui-command") == []


async def test_clients_of_a_killed_worker_process_are_told_in_time(site):
    """Each worker once, then the group; and the panel works again with the next process."""
    with site.panel() as panel:
        with site.workers() as workers:
            client = await site.client(panel)
            job_id = (await client.look_for("lanes", how={"bob": "hold", "cid": "hold"}))["job_id"]
            await client.until_told("job_completed", worker_name="ann")
            killed = workers.signal(signal.SIGKILL)
            await client.until_told("group_completed", job_id=job_id)
            took = time.monotonic() - killed
        assert took < TOLD_WITHIN
        assert client.ends(job_id) == {"ann": "completed", "bob": "error", "cid": "error"}
        assert client.told("job_completed", worker_name="bob")[0]["error"]
        with site.workers():
            await client.until_answered()
            job_id = (await client.look_for("more"))["job_id"]
            await client.until_told("group_completed", job_id=job_id)
            assert client.ends(job_id) == dict.fromkeys(PEERS, "completed")


async def test_a_worker_process_that_is_cancelled_tells_that_its_groups_are_lost(site):
    """Before it goes: clients needn't wait for its lease."""
    with site.workers() as workers, site.panel() as panel:
        client = await site.client(panel)
        job_id = (await client.look_for("lanes", how=HOLD))["job_id"]
        await client.until_told("job_update", UPDATES, job_id=job_id)
        ended = workers.signal(signal.SIGTERM)
        await client.until_told("group_completed", job_id=job_id)
        assert time.monotonic() - ended < LEASE
        assert client.ends(job_id) == dict.fromkeys(PEERS, "error")
        assert all(one["error"] for one in client.told("job_completed"))
        assert await trio.to_thread.run_sync(workers.process.wait, 10) == 0


async def test_a_worker_process_that_ends_lets_its_groups_end_first(site):
    """It takes nothing new, but a person may still cancel."""
    with site.workers() as workers, site.panel() as panel:
        client = await site.client(panel)
        short = (await client.look_for("short", how={"ann": "nap"}))["job_id"]
        long = (await client.look_for("long", how=HOLD))["job_id"]
        await client.until_told("job_update", UPDATES, job_id=long)
        workers.signal(signal.SIGUSR1)
        await client.until_told("group_completed", job_id=short)
        assert client.ends(short) == dict.fromkeys(PEERS, "completed")
        with pytest.raises(Refused, match="takes no events now"):
            await client.ask("echo", 1)
        await client.cancel(long)
        await client.until_told("group_completed", job_id=long)
        assert client.ends(long) == dict.fromkeys(PEERS, "cancelled")
        assert await trio.to_thread.run_sync(workers.process.wait, 10) == 0


async def test_a_worker_process_that_was_stopped_for_too_long_comes_back(site):
    """What was told stays told, once; it works again as it goes on."""
    with site.workers() as workers, site.panel() as panel:
        client = await site.client(panel)
        job_id = (await client.look_for("lanes", how=HOLD))["job_id"]
        await client.until_told("job_update", UPDATES, job_id=job_id)
        workers.signal(signal.SIGSTOP)
        await client.until_told("group_completed", job_id=job_id)
        assert client.ends(job_id) == dict.fromkeys(PEERS, "error")
        workers.signal(signal.SIGCONT)
        await client.until_answered()
        more = (await client.look_for("more"))["job_id"]
        await client.until_told("group_completed", job_id=more)
        assert client.ends(more) == dict.fromkeys(PEERS, "completed")
        assert client.ends(job_id) == dict.fromkeys(PEERS, "error")
        assert len(client.told("group_completed", job_id=job_id)) == 1


@pytest.mark.parametrize("shared", [True, False])
async def test_a_new_panel_is_told_of_the_groups_in_flight(site, shared):
    """Those of clients without a cookie are seen by nobody then, unless all see all."""
    with site.workers():
        with site.panel(shared=shared) as panel:
            client = await site.client(panel)
            one = (await client.look_for("one", how=HOLD))["job_id"]
            all_ = (await client.look_for("all", how=HOLD, for_all=True))["job_id"]
            await client.until_told("job_update", UPDATES, job_id=all_)
            panel.signal(signal.SIGKILL)
            with pytest.raises(AssertionError, match="closed"):
                await client.until_told("group_completed")
        with site.panel(shared=shared) as panel:
            client = await site.client(panel)
            await client.until_told("group_started", job_id=all_)
            await client.until_told("job_update", UPDATES, job_id=all_)
            assert len(client.told("group_started", job_id=one)) == shared
            await client.ask("release")
            await client.until_told("group_completed", job_id=all_)
            assert client.ends(all_) == dict.fromkeys(PEERS, "completed")
            if shared:
                await client.until_told("group_completed", job_id=one)
                assert client.ends(one) == dict.fromkeys(PEERS, "completed")


async def test_a_client_that_comes_back_is_told_what_it_has_missed(site):
    """With the cookie of the page: the groups of its session, in flight or over."""
    with site.workers(), site.panel() as panel:
        await site.client(panel)
        cookie = await trio.to_thread.run_sync(visit_nowait, panel.url)
        async with trio.open_nursery() as nursery:
            client = WebClient(panel.url, cookie=cookie)
            await nursery.start(client.run)
            job_id = (await client.look_for("lanes", how=HOLD))["job_id"]
            await client.until_told("job_update", UPDATES, job_id=job_id)
            nursery.cancel_scope.cancel()
        second = await site.client(panel, cookie=cookie)
        assert second.of_type("ui-job-group")[0] == client.of_type("ui-job-group")[0]
        await second.ask("release")
        await second.until_told("group_completed", job_id=job_id)
        assert second.ends(job_id) == dict.fromkeys(PEERS, "completed")


async def test_a_panel_that_is_ended_says_so(site):
    """To its clients, before it goes; groups go on without it."""
    with site.workers():
        with site.panel() as panel:
            client = await site.client(panel)
            job_id = (await client.look_for("lanes", how=HOLD, for_all=True))["job_id"]
            ended = panel.signal(signal.SIGTERM)
            with pytest.raises(AssertionError, match="closed: 1001"):
                await client.seen.until(lambda _: None)
            assert await trio.to_thread.run_sync(panel.process.wait, 10) == 0
            assert time.monotonic() - ended < 5
            assert client.told("group_completed") == []
        with site.panel() as panel:
            client = await site.client(panel)
            await client.until_told("group_started", job_id=job_id)


async def test_two_panels_show_the_same_groups(site):
    """Those of everybody, which each of them cancels; those of sessions are of one panel."""
    with site.workers(), site.panel() as one, site.panel(port=free_port()) as two:
        first, second = await site.client(one), await site.client(two)
        await first.look_for("own", how=HOLD)
        job_id = (await first.look_for("all", how=HOLD, for_all=True))["job_id"]
        await second.until_told("group_started", job_id=job_id)
        await second.cancel(job_id)
        for client in first, second:
            await client.until_told("group_completed", job_id=job_id)
            assert client.ends(job_id) == dict.fromkeys(PEERS, "cancelled")
        assert second.told("group_started", label="own") == []


async def test_a_panel_that_is_cut_off_for_too_long_works_again(site, real_server):
    """Clients are told that the groups are lost, once; new ones are as ever."""
    async with open_proxy(real_server.port) as proxy:
        with site.workers(), site.panel(bus=proxy.url) as panel:
            client = await site.client(panel)
            job_id = (await client.look_for("lanes", how=HOLD))["job_id"]
            await client.until_told("job_update", UPDATES, job_id=job_id)
            await proxy.refuse()
            proxy.cut()
            cut = time.monotonic()
            await client.until_told("group_completed", job_id=job_id)
            assert time.monotonic() - cut < TOLD_WITHIN + LEASE
            await proxy.accept()
            await client.until_answered()
            more = (await client.look_for("more"))["job_id"]
            await client.until_told("group_completed", job_id=more)
            assert client.ends(more) == dict.fromkeys(PEERS, "completed")
            assert client.ends(job_id) == dict.fromkeys(PEERS, "error")
            assert len(client.told("group_completed", job_id=job_id)) == 1


async def test_the_page_works_while_the_server_is_away_for_a_moment(site, real_server):
    """A pause shorter than the lease is nothing: groups go on, nothing is told twice."""
    with site.workers(), site.panel() as panel:
        client = await site.client(panel)
        job_id = (await client.look_for("lanes", how=HOLD))["job_id"]
        await client.until_told("job_update", UPDATES, job_id=job_id)
        real_server.pause()
        try:
            await trio.sleep(LEASE / 3)
            await client.send("ui-event", {"event": "release"})
        finally:
            real_server.resume()
        await client.until_told("group_completed", job_id=job_id)
        assert client.ends(job_id) == dict.fromkeys(PEERS, "completed")
