"""RTVI servers for tests, and what connects to them: WebSockets, and bare sockets."""

import itertools
import json
import socket
from contextlib import asynccontextmanager

import attrs
import trio
from websockets.trio.client import connect

from trioworkers import BaseWorker, WorkerRunner, job
from trioworkers.ui import BaseUIWorker, ui_event
from trioworkers.ui.rtvi import Page, RTVIServer
from trioworkers.ui.rtvi._frames import unwrap, wrap

PAGES = {
    "/": Page("text/html; charset=utf-8", b"<!doctype html><title>Test</title>"),
    "/panel.css": Page("text/css; charset=utf-8", b"body { margin: 0 }"),
}
_ids = itertools.count(1)


class Peer(BaseWorker):
    """Says what it is told to say, and waits until it is told to end."""

    def __init__(self, name):
        super().__init__(name)
        self.release = trio.Event()

    @job(name="work")
    async def work(self, message):
        payload = message.payload or {}
        for data in payload.get("updates", ()):
            await self.send_job_update(message.job_id, data)
        for data in payload.get("chunks", ()):
            await self.send_job_stream_data(message.job_id, data)
        if payload.get("fails"):
            raise ValueError("it went wrong")
        if payload.get("waits", True):
            await self.release.wait()
        return {"by": self.name}


class Desk(BaseUIWorker):
    """Starts groups when it is told to; answers events."""

    def __init__(self, name="desk", peers=("one", "two")):
        super().__init__(name)
        self.peers = peers
        self.heard = []
        self.stuck = trio.Event()

    @ui_event("start")
    async def start_group(self, message):
        options = dict(message.payload or {})
        label, cancellable = options.pop("label", None), options.pop("cancellable", True)
        everybody = {"session": None} if options.pop("everybody", False) else {}
        return await self.start_user_job_group(
            *self.peers,
            name="work",
            payload=options,
            label=label,
            cancellable=cancellable,
            cancel_on_error=False,
            **everybody,
        )

    @ui_event("echo")
    async def echo(self, message):
        self.heard.append(message.payload)
        return message.payload

    @ui_event("object")
    async def answer_object(self, message):
        return {"a": object()}

    @ui_event("stuck")
    async def wait_for_ever(self, message):
        self.stuck.set()
        await trio.sleep_forever()

    @ui_event("crash")
    async def crash(self, message):
        raise ZeroDivisionError("a secret")

    @ui_event("say")
    async def say(self, message):
        await self.send_text(message.payload)
        await self.send_command("scroll", {"to": "end"})

    @ui_event("flood")
    async def flood(self, message):
        for _ in range(20):
            await self.send_text("x" * 200_000, session=None)

    async def on_user_text(self, message):
        self.heard.append(message.payload)


@attrs.define(eq=False)
class Served:
    """A runner with a server that is attached to a `Desk`."""

    runner: WorkerRunner
    server: RTVIServer
    desk: Desk
    peers: list[Peer]

    @property
    def port(self):
        return self.server.port

    def release(self):
        for peer in self.peers:
            peer.release.set()

    async def until(self, condition):
        """Wait until something is so of the server's statistics."""
        with trio.fail_after(10):
            while True:
                if condition(self.server.statistics()):
                    return
                await trio.sleep(0.005)


@asynccontextmanager
async def serving(*, desk=True, **options):
    """Run a server, and workers behind it, until the block ends."""
    options = {"ui_worker": "desk", "pages": PAGES} | options
    server = RTVIServer("server", **options)
    await server.bind()
    async with WorkerRunner(name="runner") as runner:
        workers = [Peer("one"), Peer("two")]
        front = Desk()
        await runner.add_workers(*workers, server, *([front] if desk else []))
        served = Served(runner, server, front, workers)
        await served.until(lambda statistics: statistics.attached or not desk)
        yield served
        await runner.cancel()


@attrs.define(eq=False)
class Talk:
    """A client, of which each message is looked at in turn."""

    socket: object
    binary: bool = False
    _passed: list = attrs.field(init=False, factory=list)

    async def send(self, kind, data=None, **fields):
        """Send a message; return its id."""
        message = {"id": f"m{next(_ids)}", "label": "rtvi-ai", "type": kind, "data": data}
        message |= fields
        await self.send_raw(json.dumps(message))
        return message["id"]

    async def send_raw(self, text):
        await self.socket.send(wrap(text.encode()) if self.binary else text)

    async def receive(self):
        """Return the next message."""
        return self._passed.pop(0) if self._passed else await self._read()

    async def _read(self):
        with trio.fail_after(10):
            frame = await self.socket.recv()
        assert isinstance(frame, bytes) is self.binary
        return json.loads(unwrap(frame) if self.binary else frame)

    async def until(self, of_type, **fields):
        """Pass messages over until one of this type, with these fields in its data."""
        while True:
            message = await self.receive()
            if message["type"] == of_type and fields.items() <= message["data"].items():
                return message

    async def ask(self, t, d=None):
        """Send a ``client-message``; return the answer. What comes before it is kept."""
        number = await self.send("client-message", {"t": t, "d": d})
        while (message := await self._read())["id"] != number:
            self._passed.append(message)
        return message

    async def greet(self, version="2.0.0"):
        """Be ready; return what the server says."""
        number = await self.send("client-ready", {"version": version, "about": {}})
        message = await self.receive()
        assert (message["id"], message["type"]) == (number, "bot-ready")
        return message["data"]

    async def closed(self):
        """Wait until it is closed, whatever comes before; return code and reason."""
        with trio.fail_after(20):
            await drained(self.socket)
        return self.socket.close_code, self.socket.close_reason


async def drained(socket):
    from websockets.exceptions import ConnectionClosed

    try:
        while True:
            await socket.recv()
    except ConnectionClosed:
        pass


@asynccontextmanager
async def talking(served, *, version="2.0.0", binary=False, headers=None, host="127.0.0.1", **more):
    """Connect a client; it is ready, unless ``version`` is None."""
    scheme = "wss" if "ssl" in more else "ws"
    options = {"compression": None, "proxy": None, "additional_headers": headers or {}} | more
    async with connect(f"{scheme}://{host}:{served.port}/", **options) as socket:
        talk = Talk(socket, binary)
        if version is not None:
            await talk.greet(version)
        yield talk


@attrs.define
class Answer:
    """An HTTP response."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def all(self, name):
        return [value for key, value in self.headers if key == name.lower()]

    def get(self, name):
        found = self.all(name)
        assert len(found) <= 1
        return found[0] if found else None


async def fetch(port, path="/", headers=None, *, method="GET", host="127.0.0.1", default=True):
    """Make an HTTP request on a socket of its own."""
    fields = [("Host", f"{host}:{port}")] if default else []
    fields += headers.items() if isinstance(headers, dict) else headers or []
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
    return await fetch_raw(port, f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode(), host=host)


async def fetch_raw(port, request, *, host="127.0.0.1"):
    """Send the bytes of a request; return the response, or None if there is none."""
    stream = await trio.open_tcp_stream(host, port)
    async with stream:
        with trio.fail_after(15):
            await stream.send_all(request)
            data = b""
            async for part in stream:
                data += part
                if data.startswith(b"HTTP/1.1 101") and b"\r\n\r\n" in data:
                    break
    if not data:
        return None
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    pairs = [line.partition(": ")[::2] for line in lines]
    return Answer(int(first.split()[1]), [(key.lower(), value) for key, value in pairs], body)


UPGRADE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}


def encoded(kind, data):
    """Return a message as JSON."""
    return json.dumps({"id": "x", "label": "rtvi-ai", "type": kind, "data": data}).encode()


async def connect_raw(port):
    """Return a socket that keeps little, with a WebSocket begun; it is ready."""
    from rtvi_fuzz import masked_frame, upgrade_request

    sock = trio.socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    await sock.connect(("127.0.0.1", port))
    stream = trio.SocketStream(sock)
    await stream.send_all(upgrade_request(port))
    await stream.send_all(masked_frame(encoded("client-ready", {"version": "2.0.0"})))
    head = b""
    while b"bot-ready" not in head:
        head += await stream.receive_some()
    return stream
