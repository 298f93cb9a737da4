"""Many clients of one RTVI server, of which some never read.

    python -m benchmarks.panel_load [--clients 500] [--groups 50] [--stalled 20] [--rounds 3]

The server, with its workers, is a process of its own; the clients are sockets of this one. Each
client is told of all groups. In each round first all read; then there are as many groups again,
while further clients have stopped reading: they are dropped. Every other one of those reads on
once it is dropped, so that it sees with what code; the rest is cut off.

Checked, and not only measured: each client that reads is told each beginning and each end of
each worker and group exactly once. Times are of this machine, at this moment, and clients and
server share its processors: much of a latency is that of the clients here. A ratio of latencies
with and without stalled clients says what those do to the others, if the machine is not too busy.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import attrs
import trio

from ._panel_clients import Reader, connect
from ._panel_server import PEERS, Load

#: Bytes that the kernel keeps for a client that doesn't read.
SMALL_BUFFER = 4096
#: Seconds for all of it.
PATIENCE = 900.0
#: The two halves of each round.
HALVES = ("all read", "some don't")


@attrs.frozen
class Options:
    """Sizes; see ``--help``."""

    clients: int
    groups: int
    stalled: int
    updates: int
    seconds: float
    bytes: int
    stall_timeout: float
    rounds: int

    @property
    def load(self) -> Load:
        """What is told, in each half of each round."""
        return Load(self.groups, self.updates, self.seconds, self.bytes)


@attrs.define(eq=False)
class Figures:
    """What was measured.

    Attributes:
      memory: The server's resident memory in bytes, by when.
      latencies: Of updates at clients that read, in seconds; by half, and then by round.
      processor: Seconds of a processor, of the server and of the clients, while they were busy,
        and how long that was.
      dropped_after: Seconds from when the stalled ones stopped reading until each was dropped.
      closes: How the stalled ones were closed.
      seen: What the server counts, at the end.
    """

    memory: dict[str, int] = attrs.field(factory=dict)
    latencies: dict[str, list[list[float]]] = attrs.field(
        factory=lambda: {half: [] for half in HALVES}
    )
    processor: list[tuple[float, float, float]] = attrs.field(factory=list)
    dropped_after: list[float] = attrs.field(factory=list)
    closes: Counter[str] = attrs.field(factory=Counter)
    seen: dict[str, int] = attrs.field(factory=dict)


class _Server:
    """The child process, as it is asked."""

    def __init__(self, process: trio.Process) -> None:
        self._process = process
        self._buffer = b""
        self._asking = trio.Lock()

    async def read(self) -> dict[str, Any]:
        """Return the next line of its output."""
        assert self._process.stdout is not None
        while b"\n" not in self._buffer:
            part = await self._process.stdout.receive_some()
            if not part:
                raise RuntimeError("the server has ended: see above")
            self._buffer += part
        line, _, self._buffer = self._buffer.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    async def send(self, wish: dict[str, Any]) -> None:
        """Write a line to its input."""
        assert self._process.stdin is not None
        await self._process.stdin.send_all(json.dumps(wish).encode() + b"\n")

    async def look(self) -> dict[str, int]:
        """Return what it counts."""
        async with self._asking:
            await self.send({"do": "look"})
            return await self.read()

    async def wait_clients(self, clients: int) -> dict[str, int]:
        """Wait until it has no more clients than that; return what it counts then."""
        while True:
            seen = await self.look()
            if seen["clients"] <= clients:
                return seen
            await trio.sleep(0.1)


async def measure(options: Options) -> Figures:
    """Start the server, and measure.

    Raises:
      AssertionError: A client was told something twice, or not at all.
    """
    command = [
        *(sys.executable, "-m", "benchmarks._panel_server"),
        *(str(options.stall_timeout), str(options.clients + options.stalled)),
    ]
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "check": False}
            process = await nursery.start(partial(trio.run_process, command, **pipes))
            try:
                server = _Server(process)
                figures = await _measure(options, server, (await server.read())["port"])
                await process.stdin.aclose()
                await process.wait()
            finally:
                nursery.cancel_scope.cancel()
    return figures


async def _measure(options: Options, server: _Server, port: int) -> Figures:
    figures = Figures()
    figures.memory["before"] = (await server.look())["resident"]
    async with trio.open_nursery() as nursery:
        readers = []
        for _ in range(options.clients):
            readers.append(Reader(await connect(port)))
            nursery.start_soon(readers[-1].run)
        figures.memory["with all clients"] = (await server.look())["resident"]
        for number in range(options.rounds):
            figures.latencies[HALVES[0]].append(await _load(options, server, readers, figures))
            if number == 0:
                figures.memory["after all have read"] = (await server.look())["resident"]
            stalled = [
                Reader(await connect(port, receive_buffer=SMALL_BUFFER))
                for _ in range(options.stalled)
            ]
            nursery.start_soon(_watch_stalled, stalled, server, options, figures)
            figures.latencies[HALVES[1]].append(await _load(options, server, readers, figures))
            for reader in stalled:
                figures.closes[await reader.wait_closed()] += 1
                await trio.aclose_forcefully(reader.stream)
        seen = figures.seen = await server.look()
        figures.memory["after the last round"] = seen["resident"]
        figures.memory["at most"] = seen["peak"]
        _check(readers, 2 * options.rounds * options.groups)
        nursery.cancel_scope.cancel()
    for reader in readers:
        await trio.aclose_forcefully(reader.stream)
    figures.memory["without clients"] = (await server.wait_clients(0))["resident"]
    return figures


async def _load(
    options: Options, server: _Server, readers: Sequence[Reader], figures: Figures
) -> list[float]:
    """Have the server tell of its groups; return latencies when all who read have read all."""
    before = readers[0].ended
    for reader in readers:
        reader.latencies.clear()
    used = (await server.look())["processor"] / 1000, time.process_time(), time.monotonic()
    await server.send({"do": "load", **attrs.asdict(options.load)})
    for reader in readers:
        await reader.wait_ended(before + options.groups)
    now = (await server.look())["processor"] / 1000, time.process_time(), time.monotonic()
    figures.processor.append((now[0] - used[0], now[1] - used[1], now[2] - used[2]))
    return [taken for reader in readers for taken in reader.latencies]


async def _watch_stalled(
    stalled: Sequence[Reader], server: _Server, options: Options, figures: Figures
) -> None:
    """Note when they are dropped; let every other one read on then, and at last the rest."""
    begun = time.monotonic()
    all_dropped = len(figures.dropped_after) + len(stalled)
    async with trio.open_nursery() as nursery:
        while len(figures.dropped_after) < all_dropped:
            await trio.sleep(0.1)
            dropped = (await server.look())["clients_dropped"] - len(figures.dropped_after)
            figures.dropped_after += [time.monotonic() - begun] * dropped
        for reader in stalled[::2]:  # all are dropped: in which order, nobody knows
            nursery.start_soon(reader.run)
        await server.wait_clients(options.clients)
        for reader in stalled[1::2]:
            nursery.start_soon(reader.run)


def _check(readers: Sequence[Reader], groups: int) -> None:
    """Check that each has been told all there was, once."""
    expected = groups * (2 + len(PEERS))
    for reader in readers:
        assert reader.close is None, f"a client that reads was closed: {reader.close}"
        assert len(reader.told) == expected, (len(reader.told), expected)
        assert set(reader.told.values()) == {1}, "something was told twice"


def rows(options: Options, figures: Figures) -> list[str]:
    """Return what was measured, as rows of a Markdown table."""
    lines = ["| what | value |", "|---|---|"]
    for when, resident in figures.memory.items():
        lines.append(f"| server's memory, {when} | {resident / 2**20:,.1f} MiB |")
    for half, rounds in figures.latencies.items():
        latencies = [taken for one in rounds for taken in one]
        shown = [f"{value * 1e3:,.1f}" for value in (*_quantiles(latencies), max(latencies))]
        lines.append(
            f"| latency of {len(latencies):,} updates, {half}: p50, p99, most | "
            f"{', '.join(shown)} ms |"
        )
    for which, name in enumerate(("p50", "p99")):
        of_all, of_some = (
            [_quantiles(one)[which] for one in figures.latencies[half]] for half in HALVES
        )
        ratios = [some / others for others, some in zip(of_all, of_some, strict=True)]
        each = ", ".join(f"{ratio:.2f}" for ratio in ratios)
        lines.append(
            f"| {name} of {HALVES[1]} / {HALVES[0]}, in each round; median | "
            f"{each}; {statistics.median(ratios):.2f} |"
        )
    server, clients, seconds = (sum(column) for column in zip(*figures.processor, strict=True))
    lines.append(
        f"| processors used by server, by clients, on average | {server / seconds:.0%}, "
        f"{clients / seconds:.0%} of one |"
    )
    if figures.dropped_after:
        first, last = min(figures.dropped_after), max(figures.dropped_after)
        closes = ", ".join(f"{how}: {count}" for how, count in sorted(figures.closes.items()))
        lines.append(f"| stalled clients were dropped after | {first:.1f} to {last:.1f} s |")
        lines.append(f"| close codes of the stalled | {closes} |")
    sent, merged = figures.seen["messages_sent"], figures.seen["updates_merged"]
    lines.append(f"| messages sent, updates merged | {sent:,}, {merged:,} |")
    once = 2 * options.rounds * options.groups * (2 + len(PEERS))
    lines.append(f"| told exactly once to each of {options.clients} clients | {once:,} |")
    return lines


def _quantiles(latencies: Iterable[float]) -> tuple[float, float]:
    """Return the median, and what is exceeded by one in a hundred."""
    quantiles = statistics.quantiles(latencies, n=100)
    return quantiles[49], quantiles[98]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clients", type=int, default=500, help="that read")
    parser.add_argument("--groups", type=int, default=50, help="at once, in each half")
    parser.add_argument("--stalled", type=int, default=20, help="further clients, that don't read")
    parser.add_argument("--updates", type=int, default=2, help="of each of a group's two workers")
    parser.add_argument("--seconds", type=float, default=20.0, help="in which they are sent")
    parser.add_argument("--bytes", type=int, default=4000, help="of each update")
    parser.add_argument("--stall-timeout", type=float, default=5.0, help="of the server")
    parser.add_argument("--rounds", type=int, default=3, help="each of two halves")
    options = Options(**vars(parser.parse_args()))
    figures = trio.run(measure, options)
    where = f"{platform.python_implementation()} {platform.python_version()}"
    print(f"{where}, trio {trio.__version__}, {platform.machine()}; {options}\n")
    print("\n".join(rows(options, figures)))


if __name__ == "__main__":
    main()
