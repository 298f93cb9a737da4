"""Clients of a panel, with nothing of ours in them: JSON over a WebSocket of `websockets`."""

import itertools
import json
import urllib.request
from typing import Any

import trio
from seeing import PATIENCE, Seen
from websockets.exceptions import ConnectionClosed
from websockets.trio.client import ClientConnection, connect

_numbers = itertools.count()


class Refused(Exception):
    """An ``error-response``, whose text it has."""


def visit_nowait(url: str) -> str:
    """Get the page at a URL; return the cookie that comes with it."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.headers["Set-Cookie"].split(";")[0]


class WebClient:
    """A client, which `run` connects.

    Args:
      url: "http://...", of the server.
      cookie: As of `visit_nowait`; without one it has a session of its own.
      version: Of the protocol, as it says.

    Attributes:
      seen: All messages.
    """

    def __init__(self, url: str, *, cookie: str | None = None, version: str = "2.0.0") -> None:
        self.seen = Seen()
        self._url = url.replace("http", "ws", 1)
        self._headers = {} if cookie is None else {"Cookie": cookie}
        self._version = version
        self._socket: ClientConnection | None = None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Be connected until it is closed or cancelled: for ``nursery.start``."""
        options = {"additional_headers": self._headers, "compression": None, "proxy": None}
        async with connect(self._url, **options) as self._socket:
            await self.send("client-ready", {"version": self._version, "about": {}})
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._read, self._socket)
                await self.seen.until(lambda _: self.of_type("bot-ready"))
                task_status.started()

    async def _read(self, socket: ClientConnection) -> None:
        try:
            while True:
                self.seen.add(json.loads(await socket.recv()))
        except ConnectionClosed:
            self.seen.end(f"closed: {socket.close_code}")

    def of_type(self, kind: str) -> list[Any]:
        """Return the data of all messages of a type."""
        return [message["data"] for message in self.seen.all if message["type"] == kind]

    def told(self, kind: str, **fields: object) -> list[dict[str, Any]]:
        """Return what was told of groups: of one kind, with such fields."""
        return [
            one
            for one in self.of_type("ui-job-group")
            if one["kind"] == kind and fields.items() <= one.items()
        ]

    async def until_told(self, kind: str, times: int = 1, **fields: object) -> dict[str, Any]:
        """Wait until that was told so many times; return the last."""
        await self.seen.until(lambda _: len(self.told(kind, **fields)) >= times)
        return self.told(kind, **fields)[times - 1]

    async def send(self, kind: str, data: object) -> str:
        """Send a message; return its id."""
        assert self._socket is not None
        number = f"m{next(_numbers)}"
        message = {"id": number, "label": "rtvi-ai", "type": kind, "data": data}
        await self._socket.send(json.dumps(message))
        return number

    async def request(self, kind: str, data: object) -> Any:
        """Send a message; wait for the message that answers it, and return its data.

        Raises:
          Refused: It is an error.
        """
        number = await self.send(kind, data)
        (answer,) = await self.seen.until(lambda all_: [m for m in all_ if m["id"] == number])
        if answer["type"] == "error-response":
            raise Refused(answer["data"]["error"])
        return answer["data"]

    async def ask(self, event: str, payload: object = None) -> Any:
        """Send a ``client-message``; return what is answered."""
        return (await self.request("client-message", {"t": event, "d": payload}))["d"]

    async def until_answered(self) -> None:
        """Ask until the workers' process answers; before that, nobody is there."""
        with trio.fail_after(PATIENCE):
            while True:
                try:
                    await self.ask("echo", 1)
                except Refused as refused:
                    if "not there" not in str(refused):
                        raise
                    await trio.sleep(0.05)
                else:
                    return

    async def look_for(self, topic: str, **options: object) -> dict[str, Any]:
        """Send text; return the beginning of the group that it starts."""
        await self.send("send-text", {"content": topic, "options": options})
        return await self.until_told("group_started", label=topic)

    async def cancel(self, job_id: str) -> None:
        """Cancel a group; the answer, if any, is among those `seen`."""
        await self.send("ui-cancel-job-group", {"job_id": job_id})

    def ends(self, job_id: str) -> dict[str, str]:
        """Return how each worker of a group has ended; none may have ended twice."""
        told = self.told("job_completed", job_id=job_id)
        ends = {one["worker_name"]: one["status"] for one in told}
        assert len(ends) == len(told)
        return ends


async def wait_answered(url: str) -> None:
    """Wait until the workers behind a panel answer."""
    client = WebClient(url)
    async with trio.open_nursery() as nursery:
        await nursery.start(client.run)
        await client.until_answered()
        nursery.cancel_scope.cancel()
