"""Tasks that flow through a graph: each a Trio task, with its provenance counted by hand."""

import math
from collections.abc import Awaitable, Callable, Iterator

import trio

from .._resident import resident_bytes, settled_bytes
from .._timing import Stopwatch

#: What a step is called, and which of its items this is.
Pair = tuple[str, int]


class Item:
    """What goes from one step to the next."""

    __slots__ = ("number", "provenance", "step")

    def __init__(self, step: "Step", number: int, provenance: tuple[Pair, ...]) -> None:
        self.step = step
        self.number = number
        self.provenance = provenance


Step = Callable[["Flow", Item], Awaitable[None]]


class Flow:
    """Scatters, scatters again, does something with each, and joins them.

    Of each prefix of a provenance it is known how many items there are, as a join needs.
    """

    def __init__(self, nursery: trio.Nursery, width: int) -> None:
        self.nursery = nursery
        self.width = width
        self.open: dict[tuple[Pair, ...], int] = {}
        self.last = 0
        self.joined: list[int] = []
        self.result: int | None = None

    def submit(self, step: Step, number: int, parent: Item | None) -> None:
        """Begin with an item in a Trio task of its own."""
        self.last += 1
        above = () if parent is None else parent.provenance
        provenance = (*above, (step.__name__, self.last))
        for length in range(1, len(provenance) + 1):
            prefix = provenance[:length]
            self.open[prefix] = self.open.get(prefix, 0) + 1
        self.nursery.start_soon(self.work, Item(step, number, provenance))

    async def work(self, item: Item) -> None:
        """Do one step, and count it down."""
        await item.step(self, item)
        for length in range(1, len(item.provenance) + 1):
            prefix = item.provenance[:length]
            left = self.open[prefix] - 1
            if left:
                self.open[prefix] = left
                continue
            del self.open[prefix]
            if length == 1:
                self.result = len(self.joined)

    async def scatter(self, item: Item) -> None:
        """Make items of the next step."""
        for number in range(self.width):
            self.submit(Flow.scatter_again, number, item)

    async def scatter_again(self, item: Item) -> None:
        """Make items of the next step."""
        for number in range(self.width):
            self.submit(Flow.echo, number, item)

    async def echo(self, item: Item) -> None:
        """Hand it on."""
        self.submit(Flow.arrive, item.number, item)

    async def arrive(self, item: Item) -> None:
        """Wait to be joined."""
        self.joined.append(item.number)

    async def echo_in_thread(self, item: Item) -> None:
        """Hand it on, from a thread."""
        await trio.to_thread.run_sync(_nothing, item)
        self.submit(Flow.arrive, item.number, item)


def _nothing(item: Item) -> None:
    pass


async def graph(count: int, *, tasks: int) -> float:
    """Let about ``tasks`` items flow, ``count`` times; return seconds per item."""
    width = math.isqrt(tasks // 2)
    with Stopwatch() as watch:
        for _ in range(count):
            async with trio.open_nursery() as nursery:
                flow = Flow(nursery, width)
                flow.submit(Flow.scatter, 0, None)
            assert flow.result == width * width
    return watch.seconds / (1 + width + 2 * width * width) / count


async def graph_threads(count: int, *, tasks: int) -> float:
    """Let ``tasks`` items flow, each through one function in a thread; return seconds per item."""

    async def scatter(flow: Flow, item: Item) -> None:
        for number in range(flow.width):
            flow.submit(Flow.echo_in_thread, number, item)

    with Stopwatch() as watch:
        for _ in range(count):
            async with trio.open_nursery() as nursery:
                flow = Flow(nursery, tasks)
                flow.submit(scatter, 0, None)
            assert flow.result == tasks
    return watch.seconds / tasks / count


async def graph_source(count: int) -> tuple[float, float]:
    """Pull ``count`` items from a source; return seconds per item and the most bytes gained."""
    before = settled_bytes()
    most = done = 0
    limiter = trio.CapacityLimiter(1000)

    async def work(number: int) -> None:
        nonlocal done
        await trio.lowlevel.checkpoint()
        done += 1
        limiter.release_on_behalf_of(number)

    with Stopwatch() as watch:
        async with trio.open_nursery() as nursery:
            for number in _numbers(count):
                await limiter.acquire_on_behalf_of(number)
                nursery.start_soon(work, number)
                if not number % 50_000:
                    most = max(most, resident_bytes() - before)
    assert done == count
    return watch.seconds / count, most


def _numbers(count: int) -> Iterator[int]:
    yield from range(count)
