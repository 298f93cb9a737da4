"""What must be true of a graph: naive book-keeping over provenances, and no tree.

All that it says follows from provenances, which it looks through again each time.
"""

from collections import Counter
from collections.abc import Callable

from ._build import Built, Parcel
from ._plan import FlowPlan, Outlet
from ._shape import Shape
from ._values import Chain, Group, Said, Tally, Work, below, shown


class Ledger:
    """Knows what is in flight, what waits for it, and what has come of what has ended.

    Attributes:
      plan: What is played.
      shape: What follows from how it is built.
      names: Of the workers, by number.
      open: What handlers are, or are to be, called for.
      groups: What waits for a prefix to be complete: by worker, prefix, and whether
        it is a watch.
      aborted: Provenances that were aborted.
      refusals: Joins that have refused to be called, or failed with nothing, and where.
      numbers: How much each worker has published, by name.
      tallies: What must have been counted, by number of the worker.
      collected: What sinks must have.
      expected: Failures that are still to be told: worker, provenance, tries, error.
      states: How often handlers have counted, by worker and prefix.
      statuses: What is still to be told.
      chains: The provenance of each task, by serial.
      used: What was met, for those who want to know whether a search says anything.
      stopped: Whether it was ended as a whole, so that nothing more is expected of it.
      too_many: Whether joins hold too much, so that it must end by itself.
    """

    def __init__(self, plan: FlowPlan, built: Built, note: Callable[[str, str, str], None]) -> None:
        self.plan = plan
        self.shape = Shape(plan, built)
        self.names = self.shape.names
        self.note = note
        self.open: list[Work] = []
        self.groups: dict[tuple[int, Chain, bool], Group] = {}
        self.aborted: list[Chain] = []
        self.refusals: set[tuple[int, Chain]] = set()
        self.numbers: Counter[str] = Counter()
        self.tallies = [Tally() for _ in built.workers]
        self.collected: list[Parcel] = []
        self.expected: Counter[tuple[str, Chain, int, str]] = Counter()
        self.states: Counter[tuple[int, Chain]] = Counter()
        self.statuses: Counter[str] = Counter()
        self.chains: dict[int, Chain] = {}
        self.used: Counter[str] = Counter()
        self.stopped = False
        self.too_many = False

    def abort(self, chain: Chain) -> None:
        """Abort a provenance, and tell the joins that lack something then."""
        self.aborted.append(chain)
        doomed: list[tuple[int, Chain]] = []
        for work in list(self.open):
            if work.comes_of(chain) and not work.aborted:
                work.aborted = True
                if not work.is_sink:
                    self._lacks(work.worker, work.label, doomed)
                if not work.running:
                    self.end_aborted(work)
        for key, group in list(self.groups.items()):
            if below(group.place, chain):
                del self.groups[key]
                if not group.is_watch and (group.worker, group.place) not in doomed:
                    doomed.append((group.worker, group.place))
        for index, place in doomed:  # grows
            self._lacks(index, place, doomed)
        for group in self.groups.values():
            for held, task in list(group.held):
                if below(held, chain):
                    group.held.remove((held, task))
                    group.dropped.append(held)
                    group.missing.append((self.names[group.worker], held))

    def _lacks(self, index: int, label: Chain, doomed: list[tuple[int, Chain]]) -> None:
        """Tell the joins behind a worker that something of it is aborted."""
        for join in self.shape.lacking[index]:
            place = self.shape.place(join, label)
            if place is None:
                continue
            if any(below(place, chain) for chain in self.aborted):
                if (join, place) not in doomed:
                    doomed.append((join, place))
            else:
                self._group(join, place).missing.append((self.names[index], label))

    def lose(self, work: Work) -> None:
        """End what has failed for good."""
        self.tallies[work.worker].failed += 1
        group = work.group
        in_vain = group is not None and not group.is_watch and (work.refused or not group.held)
        if in_vain:
            self.refusals.add((work.worker, work.parent))
        for join in self.shape.lacking[work.worker]:
            place = self.shape.place(join, work.label)
            if place is None or any(below(place, chain) for chain in self.aborted):
                continue
            if in_vain and (join, place) in self.refusals:
                continue
            self._group(join, place).missing.append((self.names[work.worker], work.label))
        self.end(work)

    def _group(self, join: int, place: Chain) -> Group:
        key = join, place, False
        if key not in self.groups:
            self.groups[key] = Group(join, place, (self.shape.rank[join],))
        return self.groups[key]

    def commit(self, work: Work, said: Said) -> None:
        """Let what a handler has said be true."""
        for key in said.counts:
            self.states[key] += 1
        self.statuses.update(said.statuses)
        for place in said.watches:
            key3 = work.worker, place, True
            if key3 not in self.groups:
                rank = (self.shape.rank[work.worker], 1)
                self.groups[key3] = Group(work.worker, place, rank, is_watch=True)
        for task, outlet, made_from in said.outputs:
            parent = work.parent
            if made_from is not None:
                up = self.chains[made_from.serial]
                if below(parent, up) and (work.group is None or up != parent):
                    parent = up
            chain = self.number(parent, self.names[work.worker])
            self.chains[task.serial] = chain
            self._publish(work.worker, task, outlet, chain)
            if self.too_many:
                return

    def number(self, parent: Chain, name: str) -> Chain:
        """Return the provenance of the next task that a worker publishes."""
        self.numbers[name] += 1
        return (*parent, (name, self.numbers[name]))

    def _publish(self, index: int, task: Parcel, outlet: Outlet, chain: Chain) -> None:
        self.note("published", self.names[index], f"{shown(chain)} {task.name}")
        consumer = outlet.consumer
        if consumer is not None:
            self.enter(consumer, task, chain)
        for sink in self.plan.sinks[index]:
            if sink.type != outlet.type:
                continue
            if not sink.notifies:
                self.collected.append(task)
                continue
            # A sink beside a worker is no descendant of the task; one alone has its place.
            alone = consumer is None or (
                consumer in self.shape.joins and self.shape.place(consumer, chain) != chain
            )
            place = chain if alone else (*chain[:-1], ("sink", -chain[-1][1]))
            self.open.append(Work(index, place, place, chain, task, is_sink=True))

    def enter(self, index: int, task: Parcel, chain: Chain) -> None:
        """Let a task come to a worker."""
        if index not in self.shape.joins:
            self.open.append(Work(index, chain, chain, chain, task))
            return
        place = self.shape.place(index, chain)
        if place is None:
            self.tallies[index].failed += 1
            self.expected[self.names[index], chain, 0, "ValueError"] += 1
            return
        if sum(len(group.held) + len(group.dropped) for group in self.groups.values()) >= (
            self.plan.max_held
        ):
            self.too_many = self.stopped = True
            self.note("too many", self.names[index], "")
            return
        self._group(index, place).held.append((chain, task))
        if place == chain:  # a group of one, which is complete
            self.settle()

    def end(self, work: Work) -> None:
        """Note that a handler has ended for good."""
        self.open.remove(work)

    def end_aborted(self, work: Work) -> None:
        """End what was aborted."""
        if not work.is_sink and not work.is_watch:
            self.tallies[work.worker].aborted += 1
        self.end(work)

    def expect(self, work: Work, tries: int, kind: str) -> None:
        """Note that a failure is to be told."""
        self.expected[self.names[work.worker], work.label, tries, kind] += 1

    def settle(self) -> None:
        """Fire what nothing is left below of, nearest first, and one at a time."""
        while True:
            ready: dict[Chain, tuple[tuple[int, Chain, bool], Group]] = {}
            for key, group in self.groups.items():
                place = group.place
                if any(below(work.chain, place) for work in self.open) or any(
                    len(other) > len(place) and below(other, place) for _, other, _ in self.groups
                ):
                    continue
                if place not in ready or group.rank < ready[place][1].rank:
                    ready[place] = key, group
            if not ready:
                return
            for key, group in ready.values():
                del self.groups[key]
                self._fire(group)

    def _fire(self, group: Group) -> None:
        chain = (*group.place, (self.names[group.worker], 0))
        work = Work(group.worker, chain, group.place, group.place, group=group)
        policy = self.plan.workers[group.worker].policy
        if not group.is_watch:
            if policy == "all":
                work.refused = bool(group.missing)
            elif isinstance(policy, int):
                work.refused = len(group.held) < policy
        self.open.append(work)
