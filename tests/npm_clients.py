"""Clients as they come from npm, each in a Node of its own."""

import json
import os
import subprocess
from typing import Any

import trio
from npm_packages import node_command, npm_packages
from seeing import Seen

#: The folders of `npm_packages` in which the versions are.
VERSIONS = "v1_9_0", "v1_13_1"
#: JSON in text frames, by our transport; protobuf in binary frames, by the makers' transport.
TRANSPORTS = "text", "binary"


class Raised(Exception):
    """A method of the client has raised.

    Attributes:
      data: What.
    """

    def __init__(self, data: Any) -> None:
        super().__init__(data)
        self.data = data


class NpmClient:
    """A client, which `run` starts.

    Args:
      version: One of `VERSIONS`.
      transport: One of `TRANSPORTS`.
      url: Of the server: "http://...".
      websocket: "ws" for that of the package of that name, though Node has one.

    Attributes:
      version: As given.
      seen: What it has seen: each with "saw", and "data".
    """

    def __init__(self, version: str, transport: str, url: str, *, websocket: str = "node") -> None:
        self.version = version
        self.seen = Seen()
        self._command = [*node_command(), str(npm_packages() / "client.mjs"), version, transport]
        self._url = url
        self._environment = os.environ | {"WEBSOCKET": websocket, "NODE_NO_WARNINGS": "1"}
        self._process: trio.Process | None = None
        self._calls = 0

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run it until cancelled: for ``nursery.start``. It is not connected."""
        self._process = process = await trio.lowlevel.open_process(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self._environment,
        )
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._read, process.stdout)
                await self.until_saw("started")
                task_status.started()
        finally:
            process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()
                await process.stdin.aclose()
                await process.stdout.aclose()

    @property
    def is_newer(self) -> bool:
        """Whether it speaks the newer dialect."""
        return self.version != "v1_9_0"

    def saw(self, name: str) -> list[Any]:
        """Return the data of all that it has seen of one name."""
        return [one["data"] for one in self.seen.all if one["saw"] == name]

    @property
    def envelopes(self) -> list[dict[str, Any]]:
        """What it has been told of groups."""
        return self.saw("onUIJobGroup" if self.is_newer else "onUITask")

    async def call(self, method: str, *args: object) -> Any:
        """Call a method of the client, or of the program; return what it returns.

        Raises:
          Raised: It has raised.
        """
        self._calls += 1
        number = self._calls
        line = json.dumps({"id": number, "method": method, "args": args})
        assert self._process is not None
        await self._process.stdin.send_all(line.encode() + b"\n")
        answer = await self.seen.until(lambda seen: [s for s in seen if s.get("id") == number])
        if answer[0]["saw"] == "raised":
            raise Raised(answer[0]["data"])
        return answer[0]["data"]

    async def connect(self) -> Any:
        """Connect; return what the server says of itself."""
        return await self.call("connect", {"wsUrl": self._url.replace("http", "ws", 1)})

    async def until_saw(self, name: str, times: int = 1) -> Any:
        """Wait until it has seen something so many times; return the data of the last."""
        await self.seen.until(lambda _: len(self.saw(name)) >= times)
        return self.saw(name)[times - 1]

    async def until_told(self, kind: str, times: int = 1) -> dict[str, Any]:
        """Wait until it has been told something of groups so many times; return the last."""
        await self.seen.until(lambda _: len(self.told(kind)) >= times)
        return self.told(kind)[times - 1]

    def told(self, kind: str) -> list[dict[str, Any]]:
        """Return the envelopes of one kind, which is named as in the newer dialect."""
        named = kind if self.is_newer else kind.replace("job_", "task_")
        return [envelope for envelope in self.envelopes if envelope["kind"] == named]

    async def _read(self, stream: trio.abc.ReceiveStream) -> None:
        rest = b""
        async for some in stream:
            *lines, rest = (rest + some).split(b"\n")
            self.seen.add(*map(_parsed, lines))
        self.seen.end("the client's process has ended")


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        return json.loads(line)
    except ValueError:
        return {"saw": "said", "data": line.decode(errors="replace")}
