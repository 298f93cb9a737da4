"""Runners in processes of their own; run as a program, this is one of them."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import trio

if __name__ == "__main__" and os.environ.get("SKEW"):
    # Before anybody may have kept the function: a machine whose wall clock is wrong.
    _true_time, _skew = time.time, float(os.environ["SKEW"])
    time.time = lambda: _true_time() + _skew

from trioworkers import BaseWorker, BusDataMessage, JobStatus, WorkerRunner, job, wire_tag
from trioworkers.bus.redis import RedisBus


@wire_tag("tests.letter")
class Letter(BusDataMessage):
    """Something that waits for room."""


class Far(BaseWorker):
    """Does what it is asked, and tells in a file what it does, and when by the monotonic clock."""

    def __init__(self, name, file, bus):
        super().__init__(name)
        self._file = Path(file)
        self._bus = bus
        self.letters = 0

    def tell(self, *words):
        """Add a line; what is told is there at once."""
        with self._file.open("a") as file:
            print(*words, time.monotonic(), file=file)

    @job(name="echo")
    async def echo(self, message):
        return {"pid": os.getpid(), "incarnation": self._bus.statistics().incarnation}

    @job(name="steps")
    async def steps(self, message):
        key, number = message.payload["key"], 0
        self.tell("begin", key)
        try:
            while True:
                self.tell("step", key, number)
                number += 1
                await trio.sleep(message.payload["every"])
        finally:
            self.tell("end", key)

    @job(name="quiet")
    async def quiet(self, message):
        await trio.sleep_forever()

    @job(name="stream")
    async def stream(self, message):
        for number in range(message.payload["count"]):
            await self.send_job_stream_data(message.job_id, {"number": number})
            self.tell("sent", message.payload["key"], number)
        self.tell("done", message.payload["key"])
        return {}

    @job(name="relay")
    async def relay(self, message):
        """Ask another worker for a job that never ends."""
        await self.call(message.payload["worker"], name="steps", payload=message.payload)


async def host(options):
    """Host one worker until ended."""
    bus = RedisBus(
        options["url"],
        namespace=options["namespace"],
        lease=options["lease"],
        max_unread=options.get("max_unread", 1024),
    )
    async with WorkerRunner(name=f"runner-of-{options['name']}", bus=bus) as runner:
        await runner.add_workers(Far(options["name"], options["file"], bus))
        await trio.sleep_forever()


class Child:
    """A process with a runner and a worker.

    Attributes:
      process: It.
      file: Where the worker tells what it does.
      log: What the process has printed.
    """

    def __init__(self, process, file, log):
        self.process = process
        self.file = file
        self.log = log

    def signal(self, number):
        """Send it a signal; return when, by the monotonic clock."""
        self.process.send_signal(number)
        return time.monotonic()

    def told(self, what, key=None):
        """Return what the worker has told of one kind: lists of words, the time last."""
        lines = self.file.read_text().splitlines() if self.file.exists() else []
        words = [line.split() for line in lines]
        return [w for w in words if w[0] == what and key in (None, w[1])]

    def times(self, what, key=None):
        """Return when it has told of something."""
        return [float(words[-1]) for words in self.told(what, key)]


@contextmanager
def open_child(url, namespace, where, *, name="far", lease=1.0, skew=0.0, **options):
    """Run one while the block does; it is killed at the end."""
    file, log = where / f"{name}.told", where / f"{name}.log"
    options |= {"url": url, "namespace": namespace, "name": name, "lease": lease, "file": str(file)}
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, __file__, json.dumps(options)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=os.environ | {"SKEW": str(skew) if skew else ""},
        )
    try:
        yield Child(process, file, log)
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait(10)


async def outcome_of(runner, target, name, **payload):
    """Ask for a job; return its outcome, and when it came by the monotonic clock."""
    async with runner.job_group(target, name=name, payload=payload, cancel_on_error=False) as group:
        pass
    return group.outcomes[target], time.monotonic()


async def ask_far(runner, name="far", *, within=10.0):
    """Ask for a short job until one completes; return the answer and the seconds that it took."""
    began = time.monotonic()
    with trio.fail_after(within):
        while True:
            outcome, _ = await outcome_of(runner, name, "echo")
            if outcome.status is JobStatus.COMPLETED:
                return outcome.response, time.monotonic() - began


if __name__ == "__main__":
    trio.run(host, json.loads(sys.argv[1]))
