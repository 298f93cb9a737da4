"""A panel in a process of its own, for a browser; run as a program, it is that process.

Its desk does what it is told by what is typed into the page: see `Desk`. Lines to its standard
input close the panel ("down") and open it again on the same port ("up").
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import trio
from redis_servers import free_port

from trioworkers import BaseWorker, JobError, WorkerRunner, job
from trioworkers.cli._signals import run_until_signal
from trioworkers.graph import Graph, Task, TaskWorker
from trioworkers.ui import BaseUIWorker
from trioworkers.ui.panel import open_panel

#: Seconds that it may take to come up, or to go.
PATIENCE = 20.0
EVIL = '<img src=x onerror="document.title=1"><script>document.title=2</script>'
EVIL_WORKER = "<b onmouseover=alert(1)>cid</b>"
PEERS = "ann", "bob"


class Gates:
    """Holds jobs by their topic."""

    def __init__(self):
        self._gates = {}

    def of(self, topic):
        """Return the gate of a topic."""
        return self._gates.setdefault(topic, trio.Event())


class Peer(BaseWorker):
    """Works at a topic as the payload says."""

    def __init__(self, name, gates):
        super().__init__(name)
        self._gates = gates

    @job(name="work")
    async def work(self, message):
        how, topic = message.payload["how"], message.payload["topic"]
        await getattr(self, f"_{how}")(message.job_id, topic)
        return {"found": 2, "note": topic}

    async def _hold(self, job_id, topic):
        await self.send_job_update(
            job_id, {"stage": "searching", "done": 1, "total": 4, "found": 1}
        )
        await self._find(job_id, f"{topic}.py:1", score=2.0)
        await self._gates.of(topic).wait()
        await self._find(job_id, f"{topic}.py:2", score=5.0)
        await self.send_job_update(
            job_id, {"stage": "summarizing", "done": 4, "total": 4, "found": 2}
        )

    async def _fail(self, job_id, topic):
        if self.name == "bob":
            raise JobError(f"can't read {topic}")

    async def _evil(self, job_id, topic):
        await self.send_job_update(job_id, {"stage": EVIL, EVIL: [EVIL, {"a": EVIL}]})
        await self.send_job_stream_data(job_id, {"where": EVIL, "excerpt": EVIL, "score": 1})
        await self.send_job_stream_data(job_id, {EVIL: EVIL})
        await self._gates.of(topic).wait()
        if self.name == "bob":
            raise JobError(EVIL)

    async def _many(self, job_id, topic):
        for number in range(int(topic)):
            await self._find(job_id, f"file{number}.py:{number}", score=number % 50)
        await self.send_job_update(job_id, {"stage": "done", "found": int(topic)})

    async def _find(self, job_id, where, score):
        finding = {"where": where, "excerpt": f"in {where}", "score": score, "matches": 2}
        await self.send_job_stream_data(job_id, finding)


class Wanted(Task):
    kind: str


class Given(Task):
    text: str


class Review(TaskWorker):
    """Asks a person, and says in the conversation what it was answered."""

    output_types: list[type[Task]] = [Given]

    async def consume_work(self, task: Wanted) -> None:
        kind = "text/plain" if task.kind == "text" else "application/octet-stream"
        data, mime_type = await self.request_user_input(task, f"Which {task.kind}? {EVIL}", [kind])
        if isinstance(data, Path):
            data = hashlib.sha256(await trio.Path(data).read_bytes()).hexdigest()
        self.publish_work(Given(text=f"{data} as {mime_type}"), input_task=task)


class Tell(TaskWorker):
    desk: object = None

    async def consume_work(self, task: Given) -> None:
        await self.desk.send_text(f"Answered: {task.text}", session=None)


class Desk(BaseUIWorker):
    """Does what a text's first word says with the rest of it.

    Attributes:
      graph: To which "question text" and "question file" give work.
    """

    def __init__(self, gates):
        super().__init__("desk")
        self._gates = gates
        self.graph = Graph(name="reviews")
        review, tell = Review(), Tell(desk=self)
        self.graph.add_workers(review, tell).set_entry(review)
        self.graph.set_dependency(review, tell)

    async def on_user_text(self, message):
        command, _, topic = message.payload["content"].partition(" ")
        if command in {"hold", "fail", "evil", "many"}:
            names = (*PEERS, EVIL_WORKER) if command == "evil" else PEERS
            await self.start_user_job_group(
                *names,
                name="work",
                payload={"how": command, "topic": topic},
                label=EVIL if command == "evil" else f"Work on {topic}",
                cancel_on_error=False,
            )
        elif command == "go":
            self._gates.of(topic).set()
        elif command == "question":
            await self.graph.add_work(self.graph.workers[0], Wanted(kind=topic))
        else:
            await self.send_text(f"You said {message.payload['content']}")


async def host(options):
    """Serve until ended, or until standard input is at its end."""
    gates = Gates()
    desk = Desk(gates)
    peers = [Peer(name, gates) for name in (*PEERS, EVIL_WORKER)]
    async with WorkerRunner(name="bench") as runner:
        await runner.add_workers(desk, *peers)
        async with desk.graph.open(on_failure="collect"):
            lines = _lines()
            async for line in lines:
                assert line == "up", line
                async with open_panel(
                    runner,
                    ui_worker="desk",
                    port=options["port"],
                    token=options["token"],
                    shared=options["shared"],
                    graphs=[desk.graph],
                ) as panel:
                    _tell(panel.url)
                    line = await anext(lines, None)
                _tell("down")


def _tell(line):
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def _lines():
    stream = trio.lowlevel.FdStream(os.dup(0))
    kept = b""
    async for part in stream:
        *lines, kept = (kept + part).split(b"\n")
        for line in lines:
            yield line.decode()


class PageChild:
    """One of them; see `open_page_child`.

    Attributes:
      url: Where the panel is.
    """

    def __init__(self, options, log):
        self._options = options
        self._log = log
        self._process = None
        self.url = f"http://127.0.0.1:{options['port']}/"

    @property
    def log(self):
        """What it has printed."""
        return self._log.read_text()

    def start(self):
        """Start it, and open the panel."""
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, __file__, json.dumps(self._options)],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                # It is killed at the end, and can't remove the files that people have sent.
                env=os.environ
                | {"PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(self._log.parent)},
            )
        self.up()

    def freeze(self):
        """Let it do nothing any more, but for being killed."""
        self._process.send_signal(signal.SIGSTOP)

    def kill(self):
        """End it at once."""
        self._process.kill()
        self._process.wait(PATIENCE)
        with suppress(BrokenPipeError):
            self._process.stdin.close()

    def up(self):
        """Open the panel."""
        self._say("up", self.url.rstrip("/"))

    def down(self):
        """Close the panel; the workers go on."""
        self._say("down", "down")

    def _say(self, word, answer):
        known = self.log.count(answer)
        self._process.stdin.write(f"{word}\n".encode())
        self._process.stdin.flush()
        deadline = time.monotonic() + PATIENCE
        while self.log.count(answer) == known:
            assert self._process.poll() is None, f"it has ended: {self.log}"
            assert time.monotonic() < deadline, f"it doesn't come {word}: {self.log}"
            time.sleep(0.01)


@contextmanager
def open_page_child(where, *, token=None, shared=False):
    """Run one while the block does; it is killed at the end."""
    options = {"port": free_port(), "token": token, "shared": shared}
    log = where / f"page-{options['port']}.log"
    child = PageChild(options, log)
    try:
        child.start()
        yield child
    finally:
        child.kill()


if __name__ == "__main__":
    trio.run(run_until_signal, host, json.loads(sys.argv[1]))
