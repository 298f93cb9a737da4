"""Who may come in to an RTVI server, by which ways, and what they see there."""

import ssl

import attrs
import pytest
import trio
import trustme
from rtvi_servers import PAGES, UPGRADE, fetch, fetch_raw, serving, talking
from websockets.exceptions import InvalidStatus

from trioworkers.ui.rtvi import RTVIServer

TOKEN = "a-token-that-nobody-guesses"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


def cookie_of(answer):
    """Return what a browser sends back."""
    return {"Cookie": answer.get("set-cookie").split(";")[0]}


@pytest.mark.parametrize("headers", [{}, UPGRADE], ids=["page", "socket"])
@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:{port}", None),
        ("LOCALHOST:{port}", None),
        ("127.0.0.1:{port}", None),
        ("[::1]:{port}", None),
        ("panel.example.org", None),
        ("panel.example.org:{port}", None),
        ("panel.example.org:81", 421),
        ("other.example.org:8443", None),
        ("other.example.org", 421),
        ("evil.example:{port}", 421),
        ("localhost.evil.example:{port}", 421),
        ("localhost:1", 421),
        ("localhost", 421),
        ("127.0.0.1.:{port}", 421),
        ("127.0.0.2:{port}", 421),
        ("user@localhost:{port}", 421),
        ("", 421),
    ],
)
async def test_host_header_must_be_a_name_of_ours(host, status, headers):
    """A stranger's name for this machine is refused: so DNS rebinding leads nowhere."""
    names = ("panel.example.org", "other.example.org:8443")
    async with serving(allowed_hosts=names) as served:
        fields = headers | {"Host": host.format(port=served.port)}
        answer = await fetch(served.port, "/", fields, default=False)
        assert answer.status == (status or (101 if headers else 200))
        if status:
            assert answer.get("set-cookie") is None


async def test_host_header_must_be_there_once():
    """None, or two, are refused."""
    async with serving() as served:
        host = ("Host", f"localhost:{served.port}")
        assert (await fetch(served.port, "/", default=False)).status == 400
        assert (await fetch(served.port, "/", [host, host], default=False)).status == 400


@pytest.mark.parametrize("headers", [{}, UPGRADE], ids=["page", "socket"])
@pytest.mark.parametrize(
    ("origin", "good"),
    [
        ("http://localhost:{port}", True),
        ("https://localhost:{port}", True),
        ("http://127.0.0.1:{port}", False),  # not the name by which it was called
        ("http://localhost:1", False),
        ("http://localhost", False),
        ("http://evil.example", False),
        ("http://evil.example:{port}", False),
        ("null", False),
        ("", False),
        ("http://localhost:{port}.evil.example", False),
        ("http://localhost:{port}/", False),
        ("file://", False),
        ("https://friend.example", True),
        ("https://friend.example:1", False),
    ],
)
async def test_origin_must_be_ours_or_allowed(origin, good, headers):
    """Pages from elsewhere, files, and sandboxes don't get in."""
    async with serving(allowed_origins=["https://friend.example"]) as served:
        fields = headers | {
            "Host": f"localhost:{served.port}",
            "Origin": origin.format(port=served.port),
        }
        answer = await fetch(served.port, "/", fields, default=False)
        assert answer.status == ((101 if headers else 200) if good else 403)
        twice = [*fields.items(), ("Origin", f"http://localhost:{served.port}")]
        assert (await fetch(served.port, "/", twice, default=False)).status == 403


async def test_every_response_has_the_security_headers():
    """Pages, refusals of all kinds, sessions, and the handshake."""
    async with serving(token=TOKEN) as served:
        asked = {
            200: await fetch(served.port, "/"),
            404: await fetch(served.port, "/nothing"),
            405: await fetch(served.port, "/", method="PUT"),
            421: await fetch(served.port, "/", {"Host": "x"}, default=False),
            403: await fetch(served.port, "/", {"Origin": "http://x"}),
            400: await fetch(served.port, "/?token=x"),
            401: await fetch(served.port, "/session"),
            204: await fetch(served.port, "/session", BEARER),
            101: await fetch(served.port, "/", UPGRADE | BEARER),
        }
        for status, answer in asked.items():
            assert answer.status == status
            policy = answer.get("content-security-policy")
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert answer.get("x-content-type-options") == "nosniff"
            assert answer.get("referrer-policy") == "no-referrer"
            assert answer.get("cross-origin-opener-policy") == "same-origin"
            assert answer.get("cross-origin-resource-policy") == "same-origin"
            assert answer.get("permissions-policy")
            assert answer.get("cache-control") == "no-store"
            assert answer.get("server") is None
            assert answer.get("access-control-allow-origin") is None


@pytest.mark.parametrize(
    "path",
    [
        "/../panel.css",
        "/%2e%2e/panel.css",
        "//panel.css",
        "/./panel.css",
        "/panel.css/",
        "/panel.css%00",
        "/PANEL.CSS",
        "\\panel.css",
        "/..%5cpanel.css",
        "/etc/passwd",
        "http://localhost/panel.css",
        "*",
        "/panel.css;x",
        "/panel%2ecss",
        "/_server.py",
    ],
)
async def test_paths_are_names_and_not_files(path):
    """Nothing but the exact paths is there."""
    async with serving() as served:
        assert (await fetch(served.port, path)).status == 404
        socket = await fetch(served.port, path, UPGRADE)
        assert socket.status == 404


async def test_token_in_url_is_refused_with_a_hint():
    """Whatever it is called, and though it is right."""
    async with serving(token=TOKEN) as served:
        for query in (f"token={TOKEN}", f"TOKEN={TOKEN}", "access_token=x", f"a=1&%74oken={TOKEN}"):
            for headers in ({}, UPGRADE):
                answer = await fetch(served.port, f"/?{query}", headers)
                assert answer.status == 400
                assert b"Authorization: Bearer" in answer.body


async def test_session_cookie_is_strict():
    """HttpOnly, SameSite=Strict, for the whole site, named for the port; not Secure over HTTP."""
    async with serving() as served:
        value = (await fetch(served.port)).get("set-cookie")
        name, *attributes = value.split("; ")
        assert name.startswith(f"trioworkers-{served.port}=")
        assert len(name.partition("=")[2]) >= 43
        assert attributes == ["HttpOnly", "SameSite=Strict", "Path=/"]
        again = await fetch(served.port, "/", {"Cookie": name})
        assert again.get("set-cookie") is None
        linked = await fetch(served.port, "/", {"Sec-Fetch-Site": "cross-site"})
        assert (linked.status, linked.get("set-cookie")) == (200, None)
        made_up = await fetch(served.port, "/", {"Cookie": f"trioworkers-{served.port}=guess"})
        assert "guess" not in made_up.get("set-cookie")


async def test_token_is_exchanged_for_a_cookie():
    """GET /session takes it in a header alone; the cookie then opens WebSockets."""
    async with serving(token=TOKEN) as served:
        page = await fetch(served.port)
        assert (page.status, page.get("set-cookie")) == (200, None)
        for headers in (
            {},
            {"Authorization": "Bearer wrong"},
            {"Authorization": TOKEN},
            {"Authorization": f"Basic {TOKEN}"},
            {"Authorization": f"Bearer {TOKEN}x"},
            {"Authorization": "Bearer "},
            {"Authorization": "Bearer \xff"},
            {"Cookie": f"trioworkers-{served.port}={TOKEN}"},
        ):
            refused = await fetch(served.port, "/session", headers)
            assert (refused.status, refused.get("www-authenticate")) == (401, "Bearer")
            assert refused.get("set-cookie") is None
        answer = await fetch(served.port, "/session", BEARER)
        assert (answer.status, answer.body) == (204, b"")
        cookie = cookie_of(answer)
        assert (await fetch(served.port, "/session", cookie)).status == 204
        async with talking(served, headers=cookie) as talk:
            assert (await talk.ask("echo", 1))["data"]["d"] == 1


async def test_token_in_the_handshake():
    """The header opens a WebSocket; a wrong one is refused before it is open."""
    async with serving(token=TOKEN) as served:
        async with talking(served, headers=BEARER) as talk:
            await talk.ask("echo")
        with pytest.raises(InvalidStatus, match="401"):
            async with talking(served, headers={"Authorization": "Bearer wrong"}):
                pass


async def test_token_in_the_first_message():
    """It is answered; from then on the client is as any other."""
    async with serving(token=TOKEN) as served:
        async with talking(served, version=None) as talk:
            number = await talk.send("authenticate", {"token": TOKEN})
            answer = await talk.receive()
            assert (answer["type"], answer["id"]) == ("authenticated", number)
            await talk.greet()
            await talk.ask("echo")
            await talk.send("authenticate", {"token": "whatever"})
            assert (await talk.receive())["type"] == "authenticated"


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("client-ready", {"version": "2.0.0"}),
        ("client-message", {"t": "echo"}),
        ("disconnect-bot", {}),
        ("authenticate", {"token": "wrong"}),
        ("authenticate", {"token": TOKEN + "\0"}),
        ("authenticate", {"token": None}),
        ("authenticate", {"token": "x" * 10_000}),
        ("authenticate", {}),
        ("authenticate", None),
        ("nonsense", None),
    ],
)
async def test_first_message_without_the_token_closes(kind, data, binary):
    """With 1008, after an error; nothing was told, and no session was made."""
    async with serving(token=TOKEN) as served:
        async with talking(served, version=None, binary=binary) as talk:
            await talk.send(kind, data)
            await talk.send("authenticate", {"token": TOKEN})
            assert (await talk.receive())["type"] == "error-response"
            assert await talk.closed() == (1008, "authenticate first")
        assert not served.desk.heard
        assert served.server.statistics().sessions == 0


async def test_silence_before_the_token_closes(monkeypatch):
    """After some seconds, with 1008."""
    from trioworkers.ui.rtvi import _client

    monkeypatch.setattr(_client, "AUTHENTICATION_SECONDS", 0.1)
    async with serving(token=TOKEN) as served, talking(served, version=None) as talk:
        assert (await talk.closed())[0] == 1008


async def test_cookie_from_before_the_token_is_worth_nothing():
    """A session that others may know does not become one that has proved the token."""
    async with serving(token=TOKEN) as served:
        first = cookie_of(await fetch(served.port, "/session", BEARER))
        planted = {"Cookie": f"trioworkers-{served.port}=planted"}
        second = await fetch(served.port, "/session", BEARER | planted)
        assert cookie_of(second) not in (planted, first)
        async with talking(served, headers=planted, version=None) as talk:
            await talk.send("client-ready", {"version": "2.0.0"})
            assert (await talk.closed())[0] == 1008
        kept = await fetch(served.port, "/session", BEARER | first)
        assert cookie_of(kept) == first


async def test_foreign_groups_are_unseen_and_can_not_be_cancelled():
    """A client sees and cancels those of its session and those of nobody; others aren't there."""
    async with serving() as served:
        mine = cookie_of(await fetch(served.port))
        async with talking(served, headers=mine) as me, talking(served, headers=mine) as tab:
            async with talking(served) as other:
                job_id = (await me.ask("start", {"label": "secret"}))["data"]["d"]
                await tab.until("ui-job-group", kind="group_started", job_id=job_id)
                await other.send("ui-cancel-job-group", {"job_id": job_id}, id="c1")
                refused = await other.receive()
                assert (refused["type"], refused["id"]) == ("error-response", "c1")
                await other.send("ui-cancel-job-group", {"job_id": "made-up"}, id="c2")
                unknown = await other.receive()
                hide = refused["data"]["error"].replace(job_id, "X")
                assert hide == unknown["data"]["error"].replace("made-up", "X")
                public = (await other.ask("start", {"everybody": True}))["data"]["d"]
                for talk in (me, tab, other):
                    await talk.until("ui-job-group", kind="group_started", job_id=public)
                await me.send("ui-cancel-job-group", {"job_id": public})
                await other.until("ui-job-group", kind="group_completed", job_id=public)
                await tab.send("ui-cancel-job-group", {"job_id": job_id})
                await me.until("ui-job-group", kind="group_completed", job_id=job_id)
                async with talking(served) as stranger:
                    assert (await stranger.ask("echo"))["type"] == "server-response"
                    assert not stranger._passed


async def test_shared_server_shows_and_cancels_all():
    """If it says so, sessions don't matter."""
    async with serving(shared=True) as served, talking(served) as me, talking(served) as other:
        job_id = (await me.ask("start"))["data"]["d"]
        await other.until("ui-job-group", kind="group_started", job_id=job_id)
        await other.send("ui-cancel-task", {"task_id": job_id})
        for talk in (me, other):
            await talk.until("ui-job-group", kind="group_completed", job_id=job_id)


async def test_group_that_must_not_be_cancelled():
    """Its own client is told so, and it goes on."""
    async with serving() as served, talking(served) as talk:
        job_id = (await talk.ask("start", {"cancellable": False}))["data"]["d"]
        await talk.until("ui-job-group", kind="group_started")
        await talk.send("ui-cancel-job-group", {"job_id": job_id})
        assert "can't be cancelled" in (await talk.until("error-response"))["data"]["error"]
        served.release()
        await talk.until("ui-job-group", kind="group_completed")


async def test_returning_session_is_told_once_what_it_missed():
    """A group that ended while nobody of its session was there, and only to that session."""
    async with serving() as served:
        mine = cookie_of(await fetch(served.port))
        async with talking(served, headers=mine) as talk:
            job_id = (await talk.ask("start"))["data"]["d"]
        await served.until(lambda now: not now.clients)
        served.release()
        await served.until(lambda now: not now.groups)
        async with talking(served) as other:
            await other.ask("echo")
            assert not other._passed
        async with talking(served, headers=mine, version="1.3.0") as talk:
            told = [(await talk.receive())["data"] for _ in range(4)]
            assert [one["kind"] for one in told] == [
                "group_started",
                "task_completed",
                "task_completed",
                "group_completed",
            ]
            assert {one["task_id"] for one in told} == {job_id}
        async with talking(served, headers=mine) as talk:
            await talk.ask("echo")
            assert not talk._passed


async def new_server(served):
    """Put another server in the place of the first, at the same port."""
    port = served.port
    await served.server.stop()
    await served.server.wait()
    server = RTVIServer("again", ui_worker="desk", pages=PAGES, port=port)
    await server.bind()
    await served.runner.add_workers(server)
    again = attrs.evolve(served, server=server)
    await again.until(lambda statistics: statistics.attached)
    return again


async def test_session_outlives_its_server():
    """A cookie of before is good for the groups of before, and for no others."""
    async with serving() as served:
        mine, theirs = [cookie_of(await fetch(served.port)) for _ in range(2)]
        async with talking(served, headers=mine) as talk:
            job_id = (await talk.ask("start"))["data"]["d"]
        again = await new_server(served)
        async with (
            talking(again, headers=mine) as me,
            talking(again, headers=theirs) as other,
            talking(again) as stranger,
        ):
            await me.until("ui-job-group", kind="group_started", job_id=job_id)
            for talk in (other, stranger):
                await talk.send("ui-cancel-job-group", {"job_id": job_id})
                assert (await talk.receive())["type"] == "error-response"
            await me.send("ui-cancel-job-group", {"job_id": job_id})
            await me.until("ui-job-group", kind="group_completed", job_id=job_id)
        await again.until(lambda now: not now.clients)
        assert again.server.statistics().groups == 0


async def test_session_of_before_needs_the_token_again():
    """Where there is one: the cookie alone proves nothing to a new server."""
    secret = "a" * 43
    async with serving(token=TOKEN) as served:
        cookie = {"Cookie": f"trioworkers-{served.port}={secret}"}
        assert (await fetch(served.port, "/session", headers=cookie)).status == 401
        answer = await fetch(served.port, "/session", headers=cookie | BEARER)
        assert answer.status == 204
        assert secret in answer.get("set-cookie")
        async with talking(served, headers=cookie) as talk:
            assert (await talk.ask("echo", 1))["data"]["d"] == 1


async def test_tls():
    """Over TLS the URL, the cookie and the origins are those of HTTPS; plain HTTP is no way in."""
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    async with serving(ssl_context=context) as served:
        assert served.server.url.startswith("https://127.0.0.1:")
        async with talking(served, host="localhost", ssl=trust) as talk:
            assert (await talk.ask("echo", 1))["data"]["d"] == 1
        stream = await trio.open_ssl_over_tcp_stream("localhost", served.port, ssl_context=trust)
        name = f"localhost:{served.port}"
        await stream.send_all(
            f"GET / HTTP/1.1\r\nHost: {name}\r\nOrigin: https://{name}\r\n\r\n".encode()
        )
        head = (await stream.receive_some()).decode()
        await trio.aclose_forcefully(stream)
        assert head.startswith("HTTP/1.1 200")
        assert "; Secure\r\n" in head
        assert await fetch_raw(served.port, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n") is None
        async with talking(served, host="localhost", ssl=trust) as talk:
            await talk.ask("echo")


async def test_wildcard_host_is_called_by_its_addresses():
    """The address that a connection came to is a name of ours; a stranger's name is not."""
    async with serving(host="0.0.0.0", token=TOKEN) as served:
        assert served.server.url == f"http://127.0.0.1:{served.port}/"
        other = {"Host": f"127.0.0.3:{served.port}"}
        assert (await fetch(served.port, "/", other, host="127.0.0.3", default=False)).status == 200
        assert (await fetch(served.port, "/", other, default=False)).status == 421


async def test_logs_have_no_secrets(caplog):
    """Not at the lowest level, and not those of websockets."""
    caplog.set_level(1)
    async with serving(token=TOKEN) as served:
        cookie = cookie_of(await fetch(served.port, "/session", BEARER))
        await fetch(served.port, f"/?token={TOKEN}")
        async with talking(served, headers=cookie) as talk:
            await talk.ask("echo", "a payload")
        logged = [
            record.getMessage()
            for record in caplog.records
            if record.name.startswith("trioworkers") or ".server" in record.name
        ]
    assert logged
    text = "\n".join(logged)
    for secret in (TOKEN, cookie["Cookie"].partition("=")[2], "a payload"):
        assert secret not in text


async def test_strangers_pages_make_no_sessions():
    """Else they could crowd out those of people who are away."""
    async with serving() as served:
        for path in ("/", "/session"):
            answer = await fetch(served.port, path, {"Sec-Fetch-Site": "cross-site"})
            assert answer.get("set-cookie") is None
        assert answer.status == 403
        assert served.server.statistics().sessions == 0
        answer = await fetch(served.port, "/session", {"Sec-Fetch-Site": "same-origin"})
        assert answer.status == 204
