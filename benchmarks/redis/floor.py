"""The floor: coredis on Trio with nothing above it, over streams.

A consumer group acknowledges each request, the acknowledgement rides with the
reply, and the requester deletes nothing. There are no names, no leases, no
outcomes, no limits and no answer to what goes wrong. Blocking reads and commands
have clients of their own.
"""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from typing import Any

import coredis
import orjson
import trio

from .._resident import resident_bytes
from .._timing import Stopwatch
from ._helpers import forget_everything, helper, ready, server_pid, server_url
from ._measuring import CHUNK_LENGTH, PAYLOAD, median_and_p99, now, warm_up

run = trio.run

GROUP = "group"
BODY = orjson.dumps(PAYLOAD)
#: Entries of one read, and of one pipeline of chunks.
READ_COUNT, PIPELINE_COUNT = 256, 64

Client = coredis.Redis[bytes]


@asynccontextmanager
async def _clients(count: int) -> AsyncIterator[list[Client]]:
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(coredis.Redis.from_url(server_url()))
            for _ in range(count)
        ]


def _entries(reply: Mapping[Any, Any] | None) -> Iterator[Any]:
    for batch in (reply or {}).values():
        yield from batch


async def _requests(read: Client, jobs: str, *, count: int = 1) -> list[Any]:
    reply = await read.xreadgroup(GROUP, "worker", {jobs: ">"}, count=count, block=0)
    return list(_entries(reply))


async def _serve_pings(read: Client, write: Client) -> None:
    while True:
        for entry in await _requests(read, "pings"):
            async with write.pipeline(transaction=False) as pipeline:
                pipeline.xadd("pings:replies", {"d": entry.field_values[b"d"]})
                pipeline.xack("pings", GROUP, [entry.identifier])


async def _serve_jobs(read: Client, write: Client) -> None:
    """Start a Trio task for each job; one writer flushes whatever has finished."""
    done: list[tuple[bytes, bytes, bytes]] = []
    wake = trio.Event()

    async def handle(entry: Any) -> None:
        fields = entry.field_values
        body = orjson.loads(fields[b"d"])
        await trio.lowlevel.checkpoint()
        done.append((entry.identifier, fields[b"id"], orjson.dumps(body)))
        wake.set()

    async def write_done() -> None:
        nonlocal wake
        while True:
            await wake.wait()
            wake = trio.Event()
            batch, done[:] = done[:], []
            async with write.pipeline(transaction=False) as pipeline:
                for _, job, body in batch:
                    pipeline.xadd("jobs:replies", {"id": job, "d": body})
                pipeline.xack("jobs", GROUP, [identifier for identifier, _, _ in batch])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(write_done)
        while True:
            for entry in await _requests(read, "jobs", count=READ_COUNT):
                nursery.start_soon(handle, entry)


async def _serve_streams(read: Client, write: Client) -> None:
    """Answer with so many chunks, an entry each."""
    while True:
        for entry in await _requests(read, "streams"):
            fields = entry.field_values
            chunks, text = int(fields[b"chunks"]), "x" * int(fields[b"length"])
            for begin in range(0, chunks, PIPELINE_COUNT):
                async with write.pipeline(transaction=False) as pipeline:
                    for number in range(begin, min(chunks, begin + PIPELINE_COUNT)):
                        chunk = orjson.dumps({"number": number, "text": text})
                        pipeline.xadd("streams:replies", {"d": chunk})
            await write.xack("streams", GROUP, [entry.identifier])


_SERVED = {"pings": _serve_pings, "jobs": _serve_jobs, "streams": _serve_streams}


async def serve() -> None:
    """Answer everything; for a helper process."""
    async with _clients(2 * len(_SERVED)) as clients, trio.open_nursery() as nursery:
        for jobs, answer in _SERVED.items():
            read, write = clients.pop(), clients.pop()
            await write.xgroup_create(jobs, GROUP, identifier="0", mkstream=True)
            nursery.start_soon(answer, read, write)
        ready()


async def crowd(*, runners: int) -> None:
    """Wait for entries on so many connections, in vain; for a helper process."""
    async with _clients(runners) as clients, trio.open_nursery() as nursery:
        for number, client in enumerate(clients):
            nursery.start_soon(_wait_in_vain, client, f"idle{number}")
        ready()


async def _wait_in_vain(client: Client, key: str) -> None:
    await client.xread({key: "0-0"}, block=0)


@asynccontextmanager
async def requester(
    *, bystanders: int = 0, runners: int = 0
) -> AsyncIterator[tuple[Client, Client, int]]:
    """Yield a client for reads, one for commands, and the worker's process id.

    Args:
      bystanders: Nothing here: there are no workers.
      runners: Other connections that wait for entries.
    """
    del bystanders
    forget_everything()
    with ExitStack() as helpers:
        if runners:
            helpers.enter_context(helper(__name__, "crowd", runners=runners))
        host = helpers.enter_context(helper(__name__, "serve"))
        async with _clients(2) as (read, write):
            yield read, write, host


async def round_trip(count: int, **others: int) -> tuple[float, float]:
    """Do ``count`` hops there and back; return the median and the 99th percentile in seconds."""
    samples = []
    last: Any = "0-0"
    async with requester(**others) as (read, write, _):
        for _ in range(warm_up(count) + count):
            start = now()
            await write.xadd("pings", {"d": BODY})
            for entry in _entries(await read.xread({"pings:replies": last}, block=0)):
                last = entry.identifier
            samples.append(now() - start)
    return median_and_p99(samples[warm_up(count) :])


async def concurrent(count: int, *, requesters: int, **others: int) -> float:
    """Let ``requesters`` Trio tasks do ``count`` jobs each, at once; return seconds per job.

    Each waits for its own reply; one writer and one reader serve all.
    """
    waiting: dict[int, trio.Event] = {}
    pending: list[tuple[int, bytes]] = []
    wake = trio.Event()
    serial = 0

    async def write_pending(client: Client) -> None:
        nonlocal wake
        while True:
            await wake.wait()
            wake = trio.Event()
            batch, pending[:] = pending[:], []
            async with client.pipeline(transaction=False) as pipeline:
                for job, body in batch:
                    pipeline.xadd("jobs", {"id": str(job), "d": body})

    async def read_replies(client: Client) -> None:
        last: Any = "0-0"
        while True:
            reply = await client.xread({"jobs:replies": last}, count=READ_COUNT, block=0)
            for entry in _entries(reply):
                last = entry.identifier
                orjson.loads(entry.field_values[b"d"])
                waiting.pop(int(entry.field_values[b"id"])).set()

    async def ask(count: int) -> None:
        nonlocal serial
        for _ in range(count):
            serial += 1
            event = waiting[serial] = trio.Event()
            pending.append((serial, orjson.dumps(PAYLOAD)))
            wake.set()
            await event.wait()

    async with requester(**others) as (read, write, _), trio.open_nursery() as service:
        service.start_soon(write_pending, write)
        service.start_soon(read_replies, read)
        for each in warm_up(count), count:
            with Stopwatch() as watch:
                async with trio.open_nursery() as nursery:
                    for _ in range(requesters):
                        nursery.start_soon(ask, each)
        service.cancel_scope.cancel()
    return watch.seconds / count / requesters


class _Stream:
    """Reads chunks; knows where the last one was."""

    def __init__(self, read: Client, write: Client) -> None:
        self._read = read
        self._write = write
        self._last: Any = "0-0"

    async def ask(self, chunks: int, length: int) -> None:
        """Ask for ``chunks``."""
        await self._write.xadd("streams", {"chunks": chunks, "length": length})

    async def chunks(self) -> list[dict[str, Any]]:
        """Return those that have come; at least one."""
        reply = await self._read.xread({"streams:replies": self._last}, count=READ_COUNT, block=0)
        entries = list(_entries(reply))
        self._last = entries[-1].identifier
        return [orjson.loads(entry.field_values[b"d"]) for entry in entries]

    async def read_all(self, chunks: int) -> float:
        """Return the seconds until the first of ``chunks`` came."""
        start, first, received = now(), 0.0, 0
        await self.ask(chunks, CHUNK_LENGTH)
        while received < chunks:
            received += len(await self.chunks())
            first = first or now() - start
        return first


async def stream(count: int, *, chunks: int) -> float:
    """Send ``chunks``, ``count`` times; return seconds per chunk."""
    async with requester() as (read, write, _):
        source = _Stream(read, write)
        await source.read_all(warm_up(chunks))
        with Stopwatch() as watch:
            for _ in range(count):
                await source.read_all(chunks)
    return watch.seconds / chunks / count


async def first_chunk(count: int, *, chunks: int) -> float:
    """Return the median of the seconds until the first of ``chunks`` is there."""
    async with requester() as (read, write, _):
        source = _Stream(read, write)
        for _ in range(warm_up(count)):
            await source.read_all(chunks)
        return median_and_p99([await source.read_all(chunks) for _ in range(count)])[0]


async def slow_stream(count: int, *, chunks: int, length: int) -> float:
    """Return the most bytes gained while a reader takes ``count`` chunks, 1 ms each."""
    most = taken = 0
    async with requester() as (read, write, host):
        processes = (None, host, server_pid())
        before = sum(map(resident_bytes, processes))
        source = _Stream(read, write)
        await source.ask(chunks, length)
        while taken < count:
            for _ in await source.chunks():
                await trio.sleep(0.001)
                most = max(most, sum(map(resident_bytes, processes)) - before)
                taken += 1
    return most
