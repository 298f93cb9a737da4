"""The clients of npm, as they are, with our server: each version with each transport."""

import itertools
from contextlib import asynccontextmanager

import pytest
import trio
from npm_clients import TRANSPORTS, VERSIONS, NpmClient, Raised
from npm_packages import npm_packages
from panel_workers import FLOOD, PEERS, make_workers
from seeing import PATIENCE

from trioworkers import WorkerRunner
from trioworkers.ui.rtvi import Page, RTVIServer

#: What each envelope has, by kind, besides the kind, the group's id and when it happened.
KEYS = {
    "v1_9_0": {
        "group_started": {"agents", "label", "cancellable"},
        "task_update": {"agent_name", "data"},
        "task_completed": {"agent_name", "status", "response"},
        "group_completed": set(),
    },
    "v1_13_1": {
        "group_started": {"workers", "label", "cancellable"},
        "job_update": {"worker_name", "data"},
        "job_completed": {"worker_name", "status", "response"},
        "group_completed": set(),
    },
}
#: Words of the older and the newer dialect.
ID = {"v1_9_0": "task_id", "v1_13_1": "job_id"}
NAME = {"v1_9_0": "agent_name", "v1_13_1": "worker_name"}
CANCEL = {"v1_9_0": "cancelUITask", "v1_13_1": "cancelUIJobGroup"}


@pytest.fixture(params=itertools.product(VERSIONS, TRANSPORTS), ids="-".join)
def combination(request):
    """A version, and a transport."""
    npm_packages()
    return request.param


@asynccontextmanager
async def open_server(**options):
    """Run a server, with workers behind it, while the block does."""
    pages = {"/": Page("text/html; charset=utf-8", b"<!doctype html><title>Empty</title>")}
    server = RTVIServer("server", ui_worker="desk", pages=pages, **options)
    await server.bind()
    async with WorkerRunner() as runner:
        await runner.add_workers(*make_workers(), server)
        yield server
        await runner.cancel()


@pytest.fixture
async def server():
    """A server, with workers behind it."""
    async with open_server() as server:
        yield server


@pytest.fixture
async def client(combination, server, nursery):
    """A client which is connected, as that of a page; it must not have met with a surprise."""
    client = NpmClient(*combination, server.url)
    await nursery.start(client.run)
    assert (await client.call("visit", server.url))["cookies"] == 1
    await client.connect()
    yield client
    logs = [text for level in ("debug", "warn", "error") for text in client.saw(level)]
    assert not [text for text in logs if "Unrecognized message" in text or "deserialize" in text]


async def ask(client, topic="lanes", **options):
    """Ask for a topic; return the beginning of its group."""
    number = len(client.told("group_started")) + 1
    await client.call("sendText", topic, options)
    return await client.until_told("group_started", number)


def ends(client):
    """Return the status of each worker whose end was told."""
    told = client.told("job_completed")
    names = [one[NAME[client.version]] for one in told]
    assert len(set(names)) == len(names)
    return {name: one["status"] for name, one in zip(names, told, strict=True)}


async def test_a_client_connects(combination, server, nursery):
    """It is told the version of its dialect, warns of nothing, and gets its kind of frames."""
    version, transport = combination
    client = NpmClient(version, transport, server.url)
    await nursery.start(client.run)
    about = await client.connect()
    assert about["version"] == ("2.0.0" if client.is_newer else "1.3.0")
    assert about["about"]["library"] == "trioworkers"
    assert client.saw("onBotReady") == [about]
    assert client.saw("onTransportStateChanged")[-3:] == ["connecting", "connected", "ready"]
    assert await client.call("frames") == ["binary" if transport == "binary" else "text"]
    for trouble in ("warn", "error", "said", "onError", "onMessageError"):
        assert client.saw(trouble) == []
    assert (await client.call("about"))["implementation"] in ("node", "ws")


async def test_it_is_told_of_a_group_in_its_dialect(client):
    """All four kinds, with the keys of the dialect; each worker ends once, before the group."""
    started = await ask(client)
    await client.until_told("group_completed")
    version = client.version
    for envelope in client.envelopes:
        keys = set(envelope) - {"kind", ID[version], "at"}
        assert keys == KEYS[version][envelope["kind"]]
        assert envelope[ID[version]] == started[ID[version]]
        assert envelope["at"] >= started["at"] > 1_600_000_000_000
    assert {envelope["kind"] for envelope in client.envelopes} == set(KEYS[version])
    assert started["workers" if client.is_newer else "agents"] == list(PEERS)
    assert started["label"] == "lanes"
    assert started["cancellable"] is True
    assert ends(client) == dict.fromkeys(PEERS, "completed")
    for end in client.told("job_completed"):
        assert end["response"] == {"found": 1, "by": end[NAME[version]]}
    kinds = [envelope["kind"].replace("task", "job") for envelope in client.envelopes]
    assert kinds[0] == "group_started"
    assert kinds[-1] == "group_completed"


async def test_updates_and_streams_come_as_they_were_sent(client):
    """An update's data, and each part of a stream with what it is."""
    await ask(client, how={"ann": "stream", "bob": "hold", "cid": "hold"})
    end = await client.until_told("job_completed")
    assert end["response"] == {"found": 1, "by": "ann"}
    data = [one["data"] for one in client.told("job_update") if one[NAME[client.version]] == "ann"]
    # The newest update takes the place of one that waits to be sent.
    assert {"stage": "summarizing", "found": 1} in data
    assert [one for one in data if "type" in one] == [
        {"type": "stream_start", "data": {"topic": "lanes"}},
        {"type": "stream_data", "data": {"excerpt": "of ann"}},
        {"type": "stream_end", "data": {"found": 1, "by": "ann"}},
    ]


async def test_of_a_flood_the_newest_come_in_order(client):
    """What the client is too slow for is left out, the oldest first; nothing comes twice."""
    await ask(client, how={"ann": "flood"})
    await client.until_told("group_completed")
    data = [one["data"] for one in client.told("job_update")]
    numbers = [one["data"]["number"] for one in data if "number" in one.get("data", {})]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == FLOOD - 1


async def test_how_each_worker_ended_is_told(client):
    """In words of the protocol, of which there are four, with why it has failed."""
    await ask(client, how={"ann": "refuse", "bob": "crash"})
    await client.until_told("group_completed")
    assert ends(client) == {"ann": "failed", "bob": "error", "cid": "completed"}
    by_name = {one[NAME[client.version]]: one for one in client.told("job_completed")}
    assert by_name["ann"]["error"] == "nothing is known of it"
    assert by_name["bob"]["error"] == "it raised ZeroDivisionError"
    assert "error" not in by_name["cid"]


async def test_what_takes_too_long_is_cancelled(client):
    """A timeout is a cancellation in the protocol."""
    await ask(client, how={"bob": "hold"}, timeout=0.5)
    await client.until_told("group_completed")
    assert ends(client) == {"ann": "completed", "bob": "cancelled", "cid": "completed"}


async def test_it_cancels(client):
    """Handlers that run are cancelled; each worker's end is told, and that of the group."""
    started = await ask(client, how={"bob": "hold", "cid": "hold"})
    await client.until_told("job_completed")
    await client.call(CANCEL[client.version], started[ID[client.version]], "enough")
    await client.until_told("group_completed")
    assert ends(client) == {"ann": "completed", "bob": "cancelled", "cid": "cancelled"}
    report = await client.call("sendClientRequest", "report", None)
    assert report == {"running": 0, "cancelled": 2}
    assert client.saw("onMessageError") == []


async def test_what_it_may_not_cancel_goes_on(client):
    """It is told why; so it is of a group that nobody knows."""
    started = await ask(client, how={"bob": "hold"}, cancellable=False)
    assert started["cancellable"] is False
    await client.call(CANCEL[client.version], started[ID[client.version]])
    refused = await client.until_saw("onMessageError")
    assert started[ID[client.version]] in refused["data"]["error"]
    await client.call(CANCEL[client.version], "nobody's")
    refused = await client.until_saw("onMessageError", 2)
    assert "nobody's" in refused["data"]["error"]
    await client.call("sendUIEvent", "release")
    await client.until_told("group_completed")
    assert ends(client) == dict.fromkeys(PEERS, "completed")


async def test_it_comes_back_to_a_group_in_flight(client):
    """It gets it at once, as far as it is, then what comes of it; nothing twice."""
    started = await ask(client, how={"bob": "hold", "cid": "hold"})
    await client.until_told("job_completed")
    await client.call("disconnect")
    assert client.saw("onDisconnected") == [None]
    before = len(client.envelopes)
    await client.connect()
    await client.until_told("group_started", 2)
    assert client.envelopes[before] == started
    await client.until_told("job_completed", 2)
    assert client.told("job_completed")[0] == client.told("job_completed")[1]
    await client.call("sendUIEvent", "release")
    await client.until_told("group_completed")
    told = [one for one in client.envelopes[before:] if "completed" in one["kind"]]
    assert [one.get(NAME[client.version]) for one in told][0::3] == ["ann", None]
    assert {one.get("status") for one in told} == {"completed", None}
    assert len(told) == len(PEERS) + 1


async def test_it_is_told_of_a_group_that_ended_while_it_was_away(client):
    """Once, as it comes back; not a second time."""
    await ask(client, how={"bob": "hold"})
    await client.until_told("job_completed", 2)
    await client.call("sendUIEvent", "release_later", 0.5)
    await client.call("disconnect")
    await trio.sleep(1.0)
    assert client.told("group_completed") == []
    await client.connect()
    await client.until_told("group_completed")
    await client.call("disconnect")
    await client.connect()
    assert await client.call("sendClientRequest", "echo", 1) == 1
    assert len(client.told("group_completed")) == 1


async def test_it_gets_answers(client):
    """A request has one answer, or one error that says why, and no more than that."""
    payload = {"deep": [1, 2.5, None, "ü\u2028😀"]}
    assert await client.call("sendClientRequest", "echo", payload) == payload
    for event, why in ("refuse", "not today"), ("nobody's", "nobody's"), ("crash", "failed"):
        with pytest.raises(Raised) as raised:
            await client.call("sendClientRequest", event, payload)
        assert raised.value.data["type"] == "error-response"
        assert why in raised.value.data["data"]["error"]
        assert "secret" not in raised.value.data["data"]["error"]
    assert len(client.saw("onMessageError")) == 3


async def test_it_is_answered_in_words(client):
    """What somebody types has an answer, which is said."""
    await client.call("sendText", "lanes")
    said = await client.until_saw("onBotOutput")
    assert said["text"] == "I look for lanes."
    assert said["aggregated_by"] == "sentence"
    assert said["spoken"] is False


async def test_it_tells_of_its_page_and_is_told_what_to_show(client):
    """Its events, snapshots of its page, and the worker's commands."""
    await client.call("sendUIEvent", "show", {"title": "done"})
    command = await client.until_saw("onUICommand")
    assert command == {"command": "toast", "payload": {"title": "done"}}
    await client.call("showEmptyPage")
    await client.call("startUISnapshotStream", {"debounceMs": 10})
    with trio.fail_after(10):
        while not (tree := await client.call("sendClientRequest", "last_snapshot", None)):
            pass  # it is sent a little later
    assert tree["root"]["role"] == "generic"
    assert tree["captured_at"] > 1_600_000_000_000


async def test_it_sends_the_bot_away(client):
    """Which closes the connection, and nothing else."""
    await client.call("disconnectBot")
    trouble = await client.until_saw("onError")
    assert "1000" in trouble["data"]["message"]
    await client.until_saw("onDisconnected")
    await client.connect()
    assert await client.call("sendClientRequest", "echo", 1) == 1


async def test_a_message_of_a_kind_that_nobody_knows_is_refused(client):
    """With an error that names it; the connection stays."""
    await client.call("raw", "dance", {})
    refused = await client.until_saw("onMessageError")
    assert "dance" in refused["data"]["error"]
    assert await client.call("sendClientRequest", "echo", 1) == 1


async def test_two_clients_have_groups_of_their_own(combination, client, server, nursery):
    """One sees nothing of the other's, and can't cancel it."""
    other = NpmClient(*combination, server.url)
    await nursery.start(other.run)
    await other.connect()
    started = await ask(client, how={"bob": "hold"})
    await other.call(CANCEL[client.version], started[ID[client.version]])
    refused = await other.until_saw("onMessageError")
    assert started[ID[client.version]] in refused["data"]["error"]
    assert other.envelopes == []
    assert client.told("group_completed") == []


async def test_it_is_told_as_the_server_goes(combination, nursery):
    """By the code that browsers know; its groups may go on without this server."""
    async with open_server() as server:
        client = NpmClient(*combination, server.url)
        await nursery.start(client.run)
        await client.connect()
        await ask(client, how={"bob": "hold"})
        await client.until_told("job_completed", 2)
    trouble = await client.until_saw("onError")
    assert "1001" in trouble["data"]["message"]
    await client.until_saw("onDisconnected")
    assert set(ends(client)) <= set(PEERS)  # none twice


async def test_it_gets_in_with_the_token_alone(combination, nursery):
    """By the cookie that the token is exchanged for; else it is sent away."""
    async with open_server(token="open-sesame") as server:
        client = NpmClient(*combination, server.url)
        await nursery.start(client.run)
        with trio.move_on_after(PATIENCE):
            async with trio.open_nursery() as trying:
                trying.start_soon(client.connect)  # which npm's clients never get an answer to
                trouble = await client.until_saw("onError")
                trying.cancel_scope.cancel()
        assert "1008" in trouble["data"]["message"]
        await client.until_saw("onDisconnected")
        assert client.saw("onBotReady") == []
        assert (await client.call("visit", f"{server.url}session", "wrong"))["status"] == 401
        given = await client.call("visit", f"{server.url}session", "open-sesame")
        assert given == {"status": 204, "cookies": 1}
        await client.connect()
        await ask(client)
        await client.until_told("group_completed")


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("version", VERSIONS)
async def test_it_does_where_node_has_no_websocket(version, transport, server, nursery):
    """As in Node 18: with the package that stands in for it."""
    client = NpmClient(version, transport, server.url, websocket="ws")
    await nursery.start(client.run)
    await client.connect()
    await ask(client)
    await client.until_told("group_completed")
    assert ends(client) == dict.fromkeys(PEERS, "completed")
    assert (await client.call("about"))["implementation"] == "ws"
