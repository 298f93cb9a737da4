"""Many equal tasks, with failures, retries, aborts and few places: nobody is forgotten."""

import collections
import random
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from trioworkers.graph import CachedTaskWorker, Graph, Task
from trioworkers.testing import MemoryCache


class Count(Task):
    words: int


class Ask(Task):
    text: str


class Lucky(CachedTaskWorker):
    """Works for a while, and fails now and then; never on equal tasks at once."""

    output_types: list[type[Task]] = [Count]
    num_retries: int = 2
    backoff: float = 0.1
    random: Any = attrs.field(factory=random.Random)
    failing: float = 0.3
    at_work: Any = attrs.field(factory=collections.Counter)
    succeeded: Any = attrs.field(factory=collections.Counter)
    hooks: Any = attrs.field(factory=collections.Counter)

    async def pre_consume_work(self, task: Ask):
        self.hooks["pre"] += 1
        await trio.sleep(self.random.choice((0, 0, 0.1)))

    async def consume_work(self, task: Ask):
        assert not self.at_work[task.text], "an equal task is worked on"
        self.at_work[task.text] += 1
        try:
            await trio.sleep(self.random.choice((0, 0.1, 1, 3)))
            if self.random.random() < self.failing:
                raise OSError
            self.publish_work(Count(words=len(task.text)))
            self.succeeded[task.text] += 1
        finally:
            self.at_work[task.text] -= 1

    async def post_consume_work(self, task: Ask):
        self.hooks["post"] += 1
        await trio.sleep(self.random.choice((0, 0, 0.1)))


class SlowCache(MemoryCache):
    """Takes its time."""

    async def get(self, key):
        await trio.sleep(0.05)
        return await super().get(key)

    async def put(self, key, value, label):
        await trio.sleep(0.05)
        return await super().put(key, value, label)


async def play(seed):
    """Run a graph; return what it has done."""
    chance = random.Random(seed)
    worker = Lucky(
        cache=chance.choice((MemoryCache, SlowCache))(),
        random=chance,
        failing=chance.choice((0.0, 0.3, 0.9)),
    )
    graph = Graph(name="random", random=chance.random, max_running=chance.choice((1, 3, 1000)))
    graph.add_workers(worker).set_entry(worker)
    graph.set_sink(worker, Count)
    if chance.random() < 0.5:
        graph.set_max_parallel_tasks(Lucky, chance.choice((1, 2, 5)))
    count, texts = chance.choice((5, 30)), chance.choice(("a", "abc", "abcdefghij"))
    with trio.fail_after(10_000):
        async with graph.open(on_failure="collect") as opened:
            chains = []
            for _ in range(count):
                chains.append(await graph.add_work(worker, Ask(text=chance.choice(texts))))
                if chance.random() < 0.3:
                    await trio.sleep(chance.random())
                if chance.random() < 0.3:
                    graph.abort_work(chance.choice(chains))
    counts = graph.statistics().workers["Lucky"]
    assert counts.done + counts.failed + counts.aborted == count
    assert (counts.queued, counts.running, counts.retrying) == (0, 0, 0)
    assert counts.failed == len(opened.failures)
    assert all(isinstance(failure.error, OSError) for failure in opened.failures)
    assert len(graph.get_output_tasks()) == counts.done
    assert counts.cached >= counts.done - sum(worker.succeeded.values())
    assert worker.hooks["post"] >= counts.done
    return counts, worker.succeeded


@pytest.mark.parametrize("seeds", [range(start, start + 100) for start in range(0, 400, 100)])
def test_all_tasks_end_whatever_happens_to_equal_ones(seeds):
    """And none is worked on while an equal one is."""
    cached = aborted = failed = 0
    for seed in seeds:
        try:
            counts, _ = trio.run(play, seed, clock=MockClock(autojump_threshold=0))
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise
        cached += counts.cached
        aborted += counts.aborted
        failed += counts.failed
    assert min(cached, aborted, failed) > 50
