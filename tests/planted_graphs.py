"""Bugs planted in the engine of task graphs, and the search that finds them without knowing them.

``python tests/planted_graphs.py`` plants one at a time, lets random graphs find it, and prints
a line for each; with ``--table`` it also puts them into docs/testing.md.
"""

import argparse
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from trioworkers.graph import (
    Task,
    _aborts,
    _calls,
    _outputs,
    _retry,
    _routes,
    _run,
    _runners,
    _sources,
    _states,
)
from trioworkers.graph._phases import READY
from trioworkers.graph._provenance import Group, ProvenanceTree
from trioworkers.graph._wiring import join_type_of, reachable
from trioworkers.testing.scenarios import BUILT_IN, violation_of

PAGE = Path(__file__).resolve().parents[1] / "docs" / "testing.md"
HEAD = ("| breaks | the bug | graphs | after, s |", "|---|---|---|---|")

Patch = pytest.MonkeyPatch


@attrs.frozen
class Bug:
    """A bug that can be planted.

    Attributes:
      promise: What it breaks.
      what: What is wrong, for a person to read.
      plant: Plants it.
    """

    promise: str
    what: str
    plant: Callable[[Patch], None]


BUGS: list[Bug] = []


def planted(promise: str, what: str) -> Callable[[Callable[[Patch], None]], None]:
    """Enter a bug into `BUGS`: the decorated function plants it."""

    def enter(plant: Callable[[Patch], None]) -> None:
        BUGS.append(Bug(promise, what, plant))

    return enter


@planted("P12", "what a failed try has published is visible")
def commit_failures(patch: Patch) -> None:
    failed = _run.GraphRun.failed

    def commit(self, attempt, error):
        _outputs.commit(self, attempt)
        failed(self, attempt, error)

    patch.setattr(_run.GraphRun, "failed", commit)


@planted("P12", "a task that is tried again is worked on twice")
def retry_twice(patch: Patch) -> None:
    retry = _run.GraphRun._retry

    def twice(self, node, station, delay):
        retry(self, node, station, delay)
        if node.parent is not None and isinstance(node.task, Task):
            name, number = node.pair
            again = self._begin(node.parent, (name, -number), node.task, station, node.source)
            self._queue(again, station)

    patch.setattr(_run.GraphRun, "_retry", twice)


@planted("P12", "a task is tried once more than it should be")
def try_once_more(patch: Patch) -> None:
    delay = _retry.RetryPolicy.delay

    def more(self, error, attempts, random):
        return delay(self, error, attempts - 1, random)

    patch.setattr(_retry.RetryPolicy, "delay", more)


@planted("P12", "of two tries that overlap one overwrites the other's state")
def overwrite_state(patch: Patch) -> None:
    patch.setattr(_states.Transaction, "stale", lambda self: None)


@planted("P13", "a join is called when its second input arrives")
def join_early(patch: Patch) -> None:
    arrive = _outputs.arrive

    def early(run, place, task, station):
        arrive(run, place, task, station)
        if len(place.waiting[station].tasks) == 2:
            run.tree._fire(place)

    patch.setattr(_outputs, "arrive", early)


@planted("P13", "a join is not told of what has failed")
def miss_nothing(patch: Patch) -> None:
    patch.setattr(_run, "miss", lambda group, failure: None)


@planted("P13", "a join is not told of what was aborted while it held it")
def forget_dropped(patch: Patch) -> None:
    patch.setattr(_aborts, "miss", lambda group, failure: None)


@planted("P13", "a join keeps what was aborted")
def keep_aborted(patch: Patch) -> None:
    patch.setattr(Group, "drop", lambda self, chain: None)


@planted("P13", "a join that fails is not missing from the next one")
def hide_refusals(patch: Patch) -> None:
    lost = _run.GraphRun._lost

    def hide(self, node, station, failure):
        if station.join is None:
            lost(self, node, station, failure)

    patch.setattr(_run.GraphRun, "_lost", hide)


@planted("P13", "what a join has no group for, as that never came to be, is missing nowhere")
def stop_at_joins(patch: Patch) -> None:
    def sets(wiring):
        found = dict.fromkeys(wiring.workers, ())
        for join in wiring.workers:
            join_type = join_type_of(join)
            if join_type is None:
                continue

            def before(worker, join=join, join_type=join_type):
                if worker is join or join_type_of(worker) is None:
                    for other in wiring.upstream(worker):
                        if not isinstance(other, join_type):
                            yield other

            for worker in reachable([join], before):
                if worker is not join:
                    found[worker] += (join,)
        return found

    patch.setattr(_routes, "missing_sets", sets)


@planted("abort", "an abort misses the last task that waits for a runner")
def spare_queued(patch: Patch) -> None:
    abort = ProvenanceTree.abort

    def spare(self, node):
        found = abort(self, node)
        last = found.nodes[-1] if found.nodes else None
        if last is not None and last is not node and last.phase == READY:
            found.nodes.remove(last)
            last.aborted = False
        return found

    patch.setattr(ProvenanceTree, "abort", spare)


@planted("abort", "an abort hits a sibling")
def hit_sibling(patch: Patch) -> None:
    abort = ProvenanceTree.abort

    def hit(self, node):
        found = abort(self, node)
        siblings = list((node.parent.children or {}).values()) if node.parent is not None else []
        for sibling in siblings[-1:]:
            more = abort(self, sibling)
            found.nodes += more.nodes
            found.groups += more.groups
        return found

    patch.setattr(ProvenanceTree, "abort", hit)


@planted("P1", "an abort does not cancel what runs")
def spare_running(patch: Patch) -> None:
    patch.setattr(_aborts.Seat, "cancel", lambda self: None)


@planted("P8", "a place is given back twice")
def give_back_twice(patch: Patch) -> None:
    give_back = _run.give_back

    def twice(limits):
        give_back(limits)
        for limit in limits:
            limit.taken = max(0, limit.taken - 1)

    patch.setattr(_run, "give_back", twice)


@planted("P8", "a source ignores its window")
def ignore_window(patch: Patch) -> None:
    full = _sources.Source.is_full.fget
    patch.setattr(
        _sources.Source, "is_full", property(lambda self: self.above is None and full(self))
    )


@planted("P8", "more handlers run than may, once a source goes on")
def resume_at_once(patch: Patch) -> None:
    async def resume(self):
        self.resting -= 1

    patch.setattr(_runners.Runners, "resume", resume)


@planted("P8", "a source that has waited for a place doesn't look at its window again")
def forget_window(patch: Patch) -> None:
    rest, full = _calls.rest, _sources.Source.is_full.fget
    rested: list[object] = []

    async def once(run, attempt, wait):
        await rest(run, attempt, wait)
        rested.append(attempt.source)

    def is_full(self):
        if self in rested:
            rested.remove(self)
            return False
        return full(self)

    patch.setattr(_calls, "rest", once)
    patch.setattr(_sources.Source, "is_full", property(is_full))


@planted("P8", "joins may hold as much as they like")
def hold_anything(patch: Patch) -> None:
    arrive = _outputs.arrive

    def hold(run, place, task, station):
        held, run.held = run.held, -1
        arrive(run, place, task, station)
        run.held = held + 1

    patch.setattr(_outputs, "arrive", hold)


@planted("completion", "a prefix completes before its last descendant")
def complete_early(patch: Patch) -> None:
    end = ProvenanceTree.end

    def early(self, node):
        parent = node.parent
        if parent is not None and parent.waiting and parent.ended and parent.open == 2:
            self._fire(parent)
        end(self, node)

    patch.setattr(ProvenanceTree, "end", early)


@planted("completion", "of joins at one prefix the last is called first")
def last_join_first(patch: Patch) -> None:
    def fire(self, node):
        waiting = node.waiting
        group = waiting.pop(max(waiting, key=lambda key: waiting[key].rank))
        self.fired.append(self.open(node, (group.worker.name, 0), group, group.worker))

    patch.setattr(ProvenanceTree, "_fire", fire)


@planted("P2", "a run that was cancelled begins what is queued")
def begin_after_end(patch: Patch) -> None:
    async def nothing():
        pass

    patch.setattr(_runners, "checkpoint_if_cancelled", nothing)


@planted("P10", "a task that was aborted in the queue is never ended")
def leave_aborted(patch: Patch) -> None:
    aborted = _run.GraphRun.aborted

    def leave(self, node, station):
        if node.phase != READY:
            aborted(self, node, station)

    patch.setattr(_run.GraphRun, "aborted", leave)


# Finding them


def search(graphs: int) -> tuple[int, str] | None:
    """Run random graphs; return the number of the first that fails, and what it says."""
    for seed in range(graphs):
        try:
            BUILT_IN["graphs"].run(seed)
        except Exception as error:
            return seed, violation_of("graphs", seed, error).reason.partition("\n")[0]
    return None


def find(bug: Bug, graphs: int = 3000) -> tuple[int, str] | None:
    """Plant ``bug``, search, and take it out again."""
    with pytest.MonkeyPatch.context() as patch:
        bug.plant(patch)
        return search(graphs)


def main() -> int:
    """Find all bugs; return 1 if one is not found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", action="store_true", help="put the table into docs/testing.md")
    options = parser.parse_args()
    rows, missed = [], 0
    for bug in BUGS:
        began = time.process_time()
        found = find(bug)
        seconds = time.process_time() - began
        missed += found is None
        where = "not found" if found is None else str(found[0] + 1)
        rows.append(f"| {bug.promise} | {bug.what} | {where} | {seconds:.1f} |")
        print(rows[-1], "" if found is None else found[1][:100], flush=True)
    if options.table:
        page = PAGE.read_text(encoding="utf-8")
        table = "\n".join([*HEAD, *rows])
        mark = "planted graphs"
        page = re.sub(rf"(?s)(<!-- {mark} -->\n).*?(<!-- /{mark} -->)", rf"\1{table}\n\2", page)
        PAGE.write_text(page, encoding="utf-8")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
