"""Graphs whose handlers ask a person, for tests of the panel."""

import base64
import itertools
import json
from contextlib import asynccontextmanager
from typing import Any

from flows import A, B, line, make
from trio.testing import wait_all_tasks_blocked
from websockets.trio.client import connect

from trioworkers.graph import Graph
from trioworkers.ui.panel._questions import Questions
from trioworkers.ui.panel._uploads import Uploads

#: What a test graph's clock says.
NOW = 1_700_000_000.5


def asking(*mime_types: str, name: str = "asking", timeout: float | None = None) -> Graph:
    """Return a graph that asks one question for each A, and keeps the answers as ``answers``."""
    answers: list[tuple[Any, str]] = []

    async def ask(self: Any, task: A) -> None:
        accepted = list(mime_types) or ["text/plain"]
        answer = await self.request_user_input(task, f"what, {task.n}?", accepted, timeout=timeout)
        answers.append(answer)
        self.publish_work(B(n=task.n))

    graph = line(make(ask, B), sink=B, name=name)
    graph.answers = answers  # type: ignore[attr-defined]
    return graph


def questions() -> Questions:
    """Return questions of no graph, at a fixed time."""
    return Questions(lambda: NOW)


@asynccontextmanager
async def asked(*numbers: int, graph: Graph | None = None, of: Questions | None = None) -> Any:
    """Give questions, and the graph that has asked them, which runs."""
    graph = graph or asking()
    of = of or questions()
    of.adopt(graph)
    async with graph.open(on_failure="collect"):
        for number in numbers or (1,):
            await graph.add_work(graph.workers[0], A(n=number))
        await wait_all_tasks_blocked()
        yield of, graph
        of.close()


def uploads_of(of: Questions, **options: Any) -> Uploads:
    """Return uploads for questions."""
    return Uploads(of, **options)


def ids_of(of: Questions) -> list[str]:
    """Return the ids of the questions that are open."""
    return [one["id"] for one in of.describe(lambda _: "g")["questions"]]


class Refused(Exception):
    """A panel has answered a request with an error."""


class Visitor:
    """A client of a panel, on a WebSocket."""

    def __init__(self, socket: Any) -> None:
        self.socket = socket
        self._ids = itertools.count(1)

    async def ask(self, t: str, d: Any = None) -> Any:
        """Ask a service, and return its answer. What comes meanwhile is dropped."""
        return await self._send("client-message", {"t": t, "d": d})

    async def greet(self) -> Any:
        """Say that it is ready."""
        return await self._send("client-ready", {"version": "2.0.0", "about": {}})

    async def _send(self, kind: str, data: Any) -> Any:
        name = str(next(self._ids))
        message = {"label": "rtvi-ai", "type": kind, "id": name, "data": data}
        await self.socket.send(json.dumps(message))
        while True:
            got = json.loads(await self.socket.recv())
            if got["id"] == name:
                break
        if got["type"] == "error-response":
            raise Refused(got["data"]["error"])
        return got["data"] if kind == "client-ready" else got["data"]["d"]

    async def upload(self, question: str, content: bytes, mime_type: str) -> Any:
        """Send a whole file as the answer to a question."""
        begun = await self.ask(
            "panel.upload.begin",
            {"question": question, "size": len(content), "mime_type": mime_type},
        )
        for offset in range(0, len(content), begun["chunk_bytes"]):
            piece = content[offset : offset + begun["chunk_bytes"]]
            await self.ask("panel.upload.chunk", chunk_of(begun["upload"], offset, piece))
        return await self.ask("panel.upload.end", {"upload": begun["upload"]})


def chunk_of(upload: str, offset: int, data: bytes) -> dict[str, Any]:
    """Return what is sent for a piece of a file."""
    return {"upload": upload, "offset": offset, "data": base64.b64encode(data).decode()}


@asynccontextmanager
async def visiting(panel: Any, **options: Any) -> Any:
    """Visit a panel: give a client that is ready."""
    url = panel.url.replace("http", "ws", 1)
    async with connect(url, max_size=None, **options) as socket:
        visitor = Visitor(socket)
        await visitor.greet()
        yield visitor
