"""An RTVI server before real clients."""

import logging
import subprocess
import sys

import pytest
import trio
from rtvi_servers import PAGES, Desk, drained, fetch, serving, talking

from trioworkers import JobError, WorkerRunner
from trioworkers.ui._event_desk import MAX_SESSION_EVENTS
from trioworkers.ui.rtvi import Page, RTVIServer, _server


async def test_newer_client_is_told_a_groups_life():
    """It gets the four kinds, one end of each worker, and the end of the group last."""
    async with serving() as served, talking(served) as talk:
        started = await talk.ask("start", {"label": "Dogs", "updates": [{"n": 1}], "waits": False})
        told = []
        while not told or told[-1]["kind"] != "group_completed":
            message = await talk.receive()
            assert (message["type"], message["label"]) == ("ui-job-group", "rtvi-ai")
            assert isinstance(message["id"], str)
            told.append(message["data"])
    assert started["type"] == "server-response"
    job_id = started["data"]["d"]
    assert {one["job_id"] for one in told} == {job_id}
    assert told[0] == {
        "kind": "group_started",
        "job_id": job_id,
        "workers": ["one", "two"],
        "label": "Dogs",
        "cancellable": True,
        "at": told[0]["at"],
    }
    ends = [one for one in told if one["kind"] == "job_completed"]
    assert sorted(one["worker_name"] for one in ends) == ["one", "two"]
    assert ends[0]["response"] == {"by": ends[0]["worker_name"]}
    assert {one["status"] for one in ends} == {"completed"}
    assert all("error" not in one for one in ends)


async def test_older_client_is_told_in_its_words():
    """A version below 1.4 gets tasks and agents, and cancels by task id."""
    async with serving() as served, talking(served, version="1.3.0") as talk:
        await talk.send("ui-event", {"event": "start", "payload": {"label": "Cats"}})
        started = (await talk.until("ui-task"))["data"]
        assert started["kind"] == "group_started"
        assert started["agents"] == ["one", "two"]
        await talk.send("ui-cancel-task", {"task_id": started["task_id"], "reason": "enough"})
        ends = [(await talk.until("ui-task", kind="task_completed"))["data"] for _ in range(2)]
        assert {end["agent_name"] for end in ends} == {"one", "two"}
        assert {end["status"] for end in ends} == {"cancelled"}
        await talk.until("ui-task", kind="group_completed", task_id=started["task_id"])


@pytest.mark.parametrize(
    ("version", "answer"),
    [("1.3.9", "1.3.0"), ("0.9", "1.3.0"), ("1.4.0", "2.0.0"), ("1.10.0", "2.0.0"), ("3", None)],
)
async def test_version_decides_the_dialect(version, answer):
    """The server says which one it speaks; a version that is none is refused."""
    async with serving() as served, talking(served, version=None) as talk:
        await talk.send("client-ready", {"version": version})
        message = await talk.receive()
        if answer is None:
            assert message["type"] == "error-response"
            assert '"version" must be like "2.0.0", not \'3\'' in message["data"]["error"]
        else:
            assert message["data"]["version"] == answer
            assert message["data"]["about"]["library"] == "trioworkers"


async def test_binary_client_gets_binary_frames():
    """Who wraps messages in protobuf frames is answered in such."""
    async with serving() as served, talking(served, binary=True) as talk:
        assert (await talk.ask("echo", {"a": [1, "ü"]}))["data"] == {
            "t": "echo",
            "d": {"a": [1, "ü"]},
        }
        await talk.ask("start")
        await talk.until("ui-job-group", kind="group_started")


async def test_early_message_is_refused_by_name():
    """Before client-ready, nothing is done for a client but to say so."""
    async with serving() as served, talking(served, version=None) as talk:
        number = await talk.send("client-message", {"t": "echo"})
        message = await talk.receive()
        assert (message["type"], message["id"]) == ("error-response", number)
        assert "send client-ready first" in message["data"]["error"]
        assert not served.desk.heard
        await talk.greet()


async def test_second_client_ready_changes_nothing():
    """It is answered, and nothing is replayed; the version can't change any more."""
    async with serving() as served, talking(served) as talk:
        await talk.ask("start", {"everybody": True})
        await talk.until("ui-job-group", kind="group_started")
        number = await talk.send("client-ready", {"version": "2.1.0"})
        assert (await talk.receive())["id"] == number
        await talk.send("client-ready", {"version": "1.3.0"})
        message = await talk.receive()
        assert message["type"] == "error-response"
        assert "connect anew" in message["data"]["error"]


async def test_late_client_is_told_what_is_in_flight():
    """Right after bot-ready it gets the beginning, the last update, newest chunks, and ends."""
    async with serving() as served, talking(served) as first:
        await first.ask(
            "start", {"everybody": True, "updates": [{"n": 1}, {"n": 2}], "chunks": [{"x": 1}]}
        )
        for _ in range(2):
            await first.until(
                "ui-job-group", kind="job_update", data={"type": "stream_data", "data": {"x": 1}}
            )
        async with talking(served, version="1.3.0") as late:
            told = [(await late.receive())["data"] for _ in range(5)]
            assert [one["kind"] for one in told] == ["group_started"] + ["task_update"] * 4
            assert [one["data"] for one in told if one.get("agent_name") == "one"] == [
                {"type": "stream_data", "data": {"x": 1}},
                {"n": 2},
            ]
            served.release()
            await late.until("ui-task", kind="group_completed")
        await first.until("ui-job-group", kind="group_completed")
        async with talking(served) as later:
            assert (await later.ask("echo"))["type"] == "server-response"


async def test_failed_worker_is_told_as_error():
    """Its end says why, without what only developers should read."""
    async with serving() as served, talking(served) as talk:
        await talk.ask("start", {"fails": True})
        end = (await talk.until("ui-job-group", kind="job_completed"))["data"]
        assert end["status"] == "error"
        assert end["error"] == "it raised ValueError"
        assert end["response"] is None


async def test_errors_of_handlers_name_no_details():
    """An unknown event is told with those there are; a crash by its type alone."""
    async with serving() as served, talking(served) as talk:
        unknown = await talk.ask("nonsense")
        assert unknown["type"] == "error-response"
        assert "nonsense" in unknown["data"]["error"]
        crashed = await talk.ask("crash")
        assert crashed["type"] == "error-response"
        assert "ZeroDivisionError" in crashed["data"]["error"]
        assert "a secret" not in crashed["data"]["error"]


async def test_text_commands_and_snapshots():
    """Text reaches the worker and comes from it; a snapshot is kept; commands come through."""
    async with serving() as served, talking(served) as talk:
        await talk.send("send-text", {"content": "Research dogs", "options": {"a": 1}})
        await talk.send("ui-snapshot", {"tree": {"role": "main"}})
        await talk.ask("say", "Here you are.")
        assert served.desk.heard == [{"content": "Research dogs", "options": {"a": 1}}]
        assert served.desk.snapshot(None) == {"role": "main"}
    async with serving() as served, talking(served) as talk:
        await talk.send("client-message", {"t": "say", "d": "Here you are."})
        said = await talk.until("bot-output")
        assert said["data"] == {
            "text": "Here you are.",
            "spoken": False,
            "aggregated_by": "sentence",
        }
        command = await talk.until("ui-command")
        assert command["data"] == {"command": "scroll", "payload": {"to": "end"}}


async def test_what_is_no_json_breaks_no_client():
    """It is replaced by what says so, and the next answer comes."""
    async with serving() as served, talking(served) as talk:
        answer = await talk.ask("object")
        assert "error" in str(answer["data"])
        assert (await talk.ask("echo", 5))["data"]["d"] == 5


async def test_services_answer_without_the_ui_worker():
    """By ``t``; also while the UI worker isn't there; what they raise is told, or its type is."""

    async def shout(request):
        assert request.session.id
        assert request.client.startswith("server-")
        return request.data.upper()

    async def refuse(request):
        raise JobError("no such luck")

    async def crash(request):
        raise KeyError("a secret")

    services = {"shout": shout, "refuse": refuse, "crash": crash}
    async with serving(desk=False, services=services) as served, talking(served) as talk:
        assert (await talk.ask("shout", "hey"))["data"] == {"t": "shout", "d": "HEY"}
        assert (await talk.ask("refuse"))["data"] == {"error": "no such luck"}
        logging.getLogger("trioworkers.ui.rtvi").disabled = True
        try:
            assert (await talk.ask("crash"))["data"] == {"error": "crash failed: KeyError"}
            assert (await talk.ask("shout", 5))["data"] == {"error": "shout failed: AttributeError"}
        finally:
            logging.getLogger("trioworkers.ui.rtvi").disabled = False
        missing = await talk.ask("echo")
        assert missing["type"] == "error-response"
        assert "is not there: try again later" in missing["data"]["error"]


async def test_slow_request_stops_nobody():
    """While one waits, others are answered; too many of one client are refused."""
    async with serving() as served, talking(served) as talk:
        for _ in range(MAX_SESSION_EVENTS):
            await talk.send("client-message", {"t": "stuck"})
        await served.desk.stuck.wait()
        busy = await talk.ask("echo", 1)
        assert busy["type"] == "error-response"
        assert "busy" in busy["data"]["error"]
        async with talking(served) as other:
            assert (await other.ask("echo", 2))["type"] == "server-response"
        assert served.server.statistics().requests == MAX_SESSION_EVENTS
    assert served.server.statistics().requests == 0


async def test_client_that_leaves_leaves_nothing():
    """Its requests, its session and its services go with it, whatever it was doing."""
    cancelled = trio.Event()
    begun = trio.Event()

    async def hang(request):
        begun.set()
        try:
            await trio.sleep_forever()
        finally:
            cancelled.set()

    left = []
    options = {"services": {"hang": hang}, "on_client_left": lambda *who: left.append(who)}
    async with serving(**options) as served:
        async with talking(served) as talk:
            await talk.send("client-message", {"t": "hang"})
            await talk.send("client-message", {"t": "stuck"})
            await begun.wait()
            await served.desk.stuck.wait()
        await served.until(lambda now: not now.clients)
        assert cancelled.is_set()
        now = served.server.statistics()
        assert (now.requests, now.sessions) == (0, 0)
        assert [client for _, client in left] == ["server-1"]


async def test_ui_worker_comes_goes_and_comes_back():
    """Groups of one that was lost end as errors; with a new one all goes on."""
    async with serving() as served, talking(served) as talk:
        logging.getLogger("trioworkers.ui.rtvi").setLevel(logging.ERROR)
        try:
            await talk.ask("start", {"everybody": True})
            await talk.until("ui-job-group", kind="group_started")
            stuck = await talk.send("client-message", {"t": "stuck"})
            await served.desk.stuck.wait()
            await served.desk.stop()
            seen = []
            while not (seen and seen[-1].get("kind") == "group_completed"):
                message = await talk.receive()
                seen.append(message["data"] | {"id": message["id"]})
            ends = [one for one in seen if one.get("kind") == "job_completed"]
            assert sorted(end["worker_name"] for end in ends) == ["one", "two"]
            assert {end["status"] for end in ends} <= {"error", "cancelled"}
            if not any(one["id"] == stuck for one in seen):
                assert (await talk.receive())["id"] == stuck
            await served.until(lambda now: not now.attached)
            gone = await talk.ask("echo")
            assert "is not there" in gone["data"]["error"]
            await served.runner.add_workers(Desk())
            await served.until(lambda now: now.attached)
            assert (await talk.ask("echo", 1))["data"]["d"] == 1
        finally:
            logging.getLogger("trioworkers.ui.rtvi").setLevel(logging.NOTSET)


async def test_pages_are_served_by_exact_path():
    """With their types; HEAD has no body; other methods and paths are refused."""
    async with serving() as served:
        page = await fetch(served.port, "/")
        assert (page.status, page.body) == (200, PAGES["/"].body)
        assert page.get("content-type") == "text/html; charset=utf-8"
        head = await fetch(served.port, "/panel.css", method="HEAD")
        assert (head.status, head.body) == (200, b"")
        assert head.get("content-length") == str(len(PAGES["/panel.css"].body))
        assert (await fetch(served.port, "/panel.css?v=2")).status == 200
        assert (await fetch(served.port, "/nothing")).status == 404
        posted = await fetch(served.port, "/", method="POST")
        assert (posted.status, posted.get("allow")) == (405, "GET, HEAD")


async def test_disconnect_bot_closes_normally():
    """What waits is sent first."""
    async with serving() as served, talking(served) as talk:
        await talk.send("ui-event", {"event": 5})
        await talk.send("disconnect-bot", {})
        assert (await talk.receive())["type"] == "error-response"
        assert (await talk.closed())[0] == 1000


async def test_too_many_clients_are_told_to_come_back():
    """With 503 and Retry-After; pages are still served; a place that gets free is taken."""
    from rtvi_servers import UPGRADE

    async with serving(max_clients=2) as served, talking(served):
        async with talking(served):
            refused = await fetch(served.port, "/", UPGRADE)
            assert (refused.status, refused.get("retry-after")) == (503, "10")
            assert (await fetch(served.port, "/")).status == 200
        await served.until(lambda now: now.clients == 1)
        async with talking(served) as talk:
            await talk.ask("echo")


async def test_too_long_message_closes_with_1009():
    """The limit is the one that was asked for."""
    async with serving(max_message_bytes=2000) as served:
        async with talking(served) as talk:
            await talk.ask("echo", "x" * 1800)
            await talk.socket.send("x" * 2001)
            assert (await talk.closed())[0] == 1009
        async with talking(served) as talk:
            await talk.socket.send(b"\xff" * 10, text=True)
            assert (await talk.closed())[0] == 1007


async def test_fast_client_is_read_slowly_and_loses_nothing():
    """Above its rate all is answered in order, and no faster than that."""
    async with serving(messages_per_second=100.0) as served, talking(served) as talk:
        start = trio.current_time()
        async with trio.open_nursery() as nursery:

            async def send():
                for number in range(450):
                    await talk.send("client-message", {"t": "echo", "d": number})

            nursery.start_soon(send)
            got = [(await talk.receive())["data"]["d"] for _ in range(450)]
        assert got == list(range(450))
        assert trio.current_time() - start >= 0.4  # of 450, 400 came at once


async def test_localhost_has_one_port_for_all_addresses():
    """By each address of the name, the same server is there."""
    async with serving(host="localhost") as served:
        for host in ("127.0.0.1", "localhost"):
            assert (await fetch(served.port, host=host)).status == 200
        assert served.server.url == f"http://localhost:{served.port}/"


async def test_ipv6_loopback():
    """Its URL has brackets, and so has the Host header."""
    try:
        async with serving(host="::1") as served:
            url = f"[::1]:{served.port}"
            assert served.server.url == f"http://{url}/"
            page = await fetch(served.port, "/", {"Host": url}, host="::1", default=False)
            assert page.status == 200
    except OSError as error:  # pragma: no cover - no IPv6 here
        pytest.skip(str(error))


async def test_taken_port_is_named():
    """The error says which, and what to do; nothing was started."""
    async with serving() as served:
        second = RTVIServer(ui_worker="desk", port=served.port)
        match = rf"host '127.0.0.1', port {served.port}: another program listens there"
        with pytest.raises(OSError, match=match):
            await second.bind()
        with pytest.raises(RuntimeError, match=r"await server\.bind"):
            _ = second.port
        with pytest.raises(ExceptionGroup) as caught:
            async with WorkerRunner() as runner:
                await runner.add_workers(second)
                await trio.sleep_forever()
        assert caught.group_contains(OSError, match=match)


async def test_unknown_host_and_foreign_address_are_named():
    """The error says what is wrong with it."""
    with pytest.raises(OSError, match=r"no\.such\.host\.invalid.*nobody knows that name"):
        await RTVIServer(ui_worker="desk", host="no.such.host.invalid", token="t").bind()
    with pytest.raises(OSError, match="has no such address"):
        await RTVIServer(ui_worker="desk", host="192.0.2.1", token="t").bind()


async def test_bound_and_never_run_is_closed():
    """Its sockets are there from `bind` on, and gone after `unbind`."""
    server = RTVIServer(ui_worker="desk")
    await server.bind()
    await server.bind()
    port = server.port
    (await trio.open_tcp_stream("127.0.0.1", port)).socket.close()
    server.unbind()
    with pytest.raises(OSError, match="all attempts"):
        await trio.open_tcp_stream("127.0.0.1", port)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        (
            {"host": "0.0.0.0"},
            ValueError,
            "can be reached by other machines: give the server a token",
        ),
        ({"host": ""}, ValueError, "host must not be empty"),
        ({"port": -1}, ValueError, "port must be at least 0"),
        ({"port": 65536}, ValueError, "port must be at most 65535"),
        ({"port": "80"}, TypeError, "port must be an int"),
        ({"port": True}, TypeError, "port must be an int"),
        ({"token": ""}, ValueError, "token must be 1 to 1000 visible ASCII characters"),
        ({"token": "a b"}, ValueError, "token must be 1 to 1000 visible"),
        ({"token": "ü"}, ValueError, "token must be 1 to 1000 visible"),
        ({"token": 5}, TypeError, "token must be a str or None"),
        ({"allowed_hosts": "example.org"}, TypeError, "allowed_hosts must be several texts"),
        ({"allowed_hosts": ["http://x"]}, ValueError, "a host is like"),
        ({"allowed_origins": ["example.org"]}, ValueError, "an origin is like"),
        ({"allowed_origins": [5]}, TypeError, "allowed_origins must be texts"),
        ({"max_clients": 0}, ValueError, "max_clients must be at least 1"),
        ({"max_message_bytes": 5}, ValueError, "max_message_bytes must be at least 1024"),
        ({"messages_per_second": 0}, ValueError, "messages_per_second must be at least"),
        ({"messages_per_second": "x"}, TypeError, "messages_per_second must be a number"),
        ({"stall_timeout": float("nan")}, ValueError, "stall_timeout must be at least"),
        ({"pages": {"x": Page("text/css", b"")}}, ValueError, "begins with '/'"),
        ({"pages": {"/x": b""}}, TypeError, "must be a Page"),
        ({"services": {"__x": drained}}, ValueError, "must not begin with '__'"),
        ({"services": {"x": 5}}, TypeError, "must be an async function"),
        ({"ssl_context": 5}, TypeError, "ssl_context must be"),
        ({"ui_worker": ""}, ValueError, "ui_worker must not be empty"),
    ],
)
def test_wrong_arguments_are_refused_at_once(options, error, match):
    """The error names the argument, and what it should be."""
    with pytest.raises(error, match=match):
        RTVIServer(**({"ui_worker": "desk"} | options))


async def test_connections_are_bounded(monkeypatch):
    """Those that say nothing take room; who comes next is served when one of them goes."""
    monkeypatch.setattr(_server, "MAX_HANDSHAKES", 2)
    async with serving(max_clients=1) as served, talking(served) as talk:
        silent = [await trio.open_tcp_stream("127.0.0.1", served.port) for _ in range(2)]
        with trio.move_on_after(0.1) as scope:
            await fetch(served.port)
        assert scope.cancelled_caught
        await silent[0].aclose()
        assert (await fetch(served.port)).status == 200
        await silent[1].aclose()
        assert (await talk.ask("echo", 1))["data"]["d"] == 1


def test_made_up_names_are_unique_across_processes():
    """So that two processes of one Redis bus can each have a server."""
    code = "from trioworkers.ui.rtvi import RTVIServer; print(RTVIServer(ui_worker='desk').name)"
    command = [sys.executable, "-c", code]
    other = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    names = {other, *(RTVIServer(ui_worker="desk").name for _ in range(2))}
    assert len(names) == 3
    assert all(name.startswith("RTVIServer#") for name in names)
