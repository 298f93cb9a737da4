"""Workers and requesters on two `RedisBus` of one process, and what became of their jobs."""

import time
from collections import Counter, defaultdict
from contextlib import asynccontextmanager

import attrs
import trio

from trioworkers import BaseWorker, JobStatus, WorkerRunner, job
from trioworkers.bus.redis import RedisBus


class Host(BaseWorker):
    """Does what it is asked, and counts it."""

    def __init__(self, name="host"):
        super().__init__(name)
        self.begun = Counter()
        self.running = Counter()

    @job(name="echo")
    async def echo(self, message):
        self.begun[message.payload["key"]] += 1
        return {"key": message.payload["key"]}

    @job(name="steps")
    async def steps(self, message):
        """Tell ``count`` updates, ``every`` so many seconds."""
        key = message.payload["key"]
        self.begun[key] += 1
        self.running[key] += 1
        try:
            for number in range(message.payload["count"]):
                await trio.sleep(message.payload["every"])
                await self.send_job_update(message.job_id, {"number": number})
        finally:
            self.running[key] -= 1
        return {"key": key}


@attrs.define
class Asked:
    """A job that was asked for.

    Attributes:
      updates: The numbers that came.
      outcomes: Its outcomes: one, in the end.
      ended: When, by `time.monotonic`.
    """

    updates: list[int] = attrs.field(factory=list)
    outcomes: list[JobStatus] = attrs.field(factory=list)
    ended: float = 0.0


@attrs.define
class Pair:
    """Two runners in one process, which know each other by the server alone.

    Attributes:
      asks: Who asks.
      hosts: Who hosts `worker`.
      worker: Does it.
      jobs: What was asked for, by key.
    """

    asks: WorkerRunner
    hosts: WorkerRunner
    worker: Host
    jobs: dict[str, Asked] = attrs.field(factory=lambda: defaultdict(Asked))

    @property
    def buses(self):
        """Of both."""
        return self.asks.bus, self.hosts.bus

    async def ask_steps(self, key, *, count, every):
        """Ask for a job that takes a while; note what comes of it."""
        asked = self.jobs[key]
        async with self.asks.job_group(
            "host",
            name="steps",
            payload={"key": key, "count": count, "every": every},
            cancel_on_error=False,
        ) as group:
            async for event in group:
                asked.updates.append(event.data["number"])
        asked.ended = time.monotonic()
        asked.outcomes += [outcome.status for outcome in group.outcomes.values()]

    async def echo(self, key="", *, within=10.0):
        """Ask for a short job; return the seconds that it took."""
        began = time.monotonic()
        with trio.fail_after(within):
            assert await self.asks.call("host", name="echo", payload={"key": key}) == {"key": key}
        return time.monotonic() - began

    async def echo_until_done(self, *, within=10.0):
        """Ask for short jobs until one completes; return the seconds until then."""
        began = time.monotonic()
        with trio.fail_after(within):
            while True:
                async with self.asks.job_group(
                    "host", name="echo", payload={"key": ""}, cancel_on_error=False
                ) as group:
                    pass
                if group.outcomes["host"].status is JobStatus.COMPLETED:
                    return time.monotonic() - began

    def expect_whole(self, count):
        """Expect that all jobs have completed, with all updates, and were done once each."""
        for key, asked in self.jobs.items():
            assert asked.outcomes == [JobStatus.COMPLETED], key
            assert asked.updates == list(range(count)), key
            assert self.worker.begun[key] == 1, key

    def expect_one_outcome_each(self):
        """Expect that all jobs have completed or are lost; return how many of each."""
        for key, asked in self.jobs.items():
            assert len(asked.outcomes) == 1, key
            assert asked.outcomes[0] in (JobStatus.COMPLETED, JobStatus.LOST), key
            assert self.worker.begun[key] <= 1, key
            assert self.worker.running[key] == 0, key
        return Counter(str(asked.outcomes[0]) for asked in self.jobs.values())


@asynccontextmanager
async def open_pair(asks_at, namespace, *, hosts_at=None, **options):
    """Run two runners; the second one, with a `Host`, may have another way to the server."""
    asks = WorkerRunner(name="asks", bus=RedisBus(asks_at, namespace=namespace, **options))
    hosts = WorkerRunner(
        name="hosts", bus=RedisBus(hosts_at or asks_at, namespace=namespace, **options)
    )
    pair = Pair(asks, hosts, Host())
    async with asks, hosts:
        await hosts.add_workers(pair.worker)
        await pair.echo("first")
        yield pair


async def wait_for(condition, within=5.0):
    """Wait until ``condition()`` holds; return the seconds that it took."""
    began = time.monotonic()
    with trio.fail_after(within):
        while True:
            if condition():
                return time.monotonic() - began
            await trio.sleep(0.005)
