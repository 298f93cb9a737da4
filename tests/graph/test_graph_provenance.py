"""The tree of tasks in flight, alone and beside a model that counts by prefix."""

from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from trioworkers.errors import GraphInvariantError
from trioworkers.graph._provenance import Node, ProvenanceTree, nearest, upwards


class Consumer:
    """Stands for a worker."""

    def __init__(self, name, rank=0):
        self.name = name
        self.rank = rank


A, B = Consumer("A"), Consumer("B")
JOINS = [Consumer("J0", 0), Consumer("J1", 1), Consumer("J2", 2)]


def hold(tree: ProvenanceTree, node: Node, join: Consumer, task: object) -> None:
    tree.group(node, join, join, join.rank).tasks.append(task)


def test_parent_completes_after_its_children():
    """A node stays while a child is there, and both leave nothing."""
    tree = ProvenanceTree()
    root = tree.open(None, ("I", 1), "t", A)
    child = tree.open(root, ("A", 1), "u", B)
    tree.end(root)
    assert tree.find((("I", 1),)) is root
    assert tree.find((("I", 1), ("A", 1))) is child
    tree.end(child)
    assert tree.is_empty
    assert root.children == {}


def test_joins_fire_nearest_first_and_one_at_a_time():
    """The second join fires when the first, and what it has published, is complete."""
    tree = ProvenanceTree()
    root = tree.open(None, ("I", 1), "t", A)
    hold(tree, root, JOINS[1], "later")
    hold(tree, root, JOINS[0], "sooner")
    tree.end(root)
    (first,) = tree.fired
    assert first.task.tasks == ["sooner"]
    output = tree.open(root, ("J0", 1), "o", B)
    tree.end(first)
    assert tree.fired == [first]
    tree.end(output)
    assert [node.task.tasks for node in tree.fired] == [["sooner"], ["later"]]
    tree.end(tree.fired[1])
    assert tree.is_empty


def test_join_may_fire_again_at_the_same_node():
    """Outputs of a join that come back to it make it fire once more."""
    tree = ProvenanceTree()
    root = tree.open(None, ("I", 1), "t", A)
    hold(tree, root, JOINS[0], 1)
    tree.end(root)
    hold(tree, root, JOINS[0], 2)
    tree.end(tree.fired.pop())
    again = tree.fired.pop()
    assert again.task.tasks == [2]
    tree.end(again)
    assert tree.is_empty


def test_deeper_joins_fire_first():
    """What waits at a child fires before what waits at its parent."""
    tree = ProvenanceTree()
    root = tree.open(None, ("I", 1), "t", A)
    child = tree.open(root, ("A", 1), "u", B)
    hold(tree, root, JOINS[0], "outer")
    hold(tree, child, JOINS[1], "inner")
    tree.end(root)
    tree.end(child)
    (inner,) = tree.fired
    assert inner.task.tasks == ["inner"]
    tree.fired.clear()
    tree.end(inner)
    (outer,) = tree.fired
    assert outer.task.tasks == ["outer"]


def test_abort_takes_the_subtree_and_nothing_else():
    """Siblings and ancestors stay; nothing fires in what was aborted."""
    tree = ProvenanceTree()
    root = tree.open(None, ("I", 1), "t", A)
    left = tree.open(root, ("A", 1), "u", B)
    right = tree.open(root, ("A", 2), "u", B)
    below = tree.open(left, ("B", 1), "v", B)
    tree.end(left)
    hold(tree, left, JOINS[0], "dropped")
    hold(tree, root, JOINS[1], "kept")
    found = tree.abort(left)
    assert found.nodes == [below]
    assert [group.worker for group in found.groups] == [JOINS[0]]
    assert tree.abort(left).nodes == []
    assert not root.aborted
    assert not right.aborted
    tree.end(below)
    assert tree.fired == []
    assert tree.find(left.chain()) is None
    tree.end(root)
    tree.end(right)
    assert [node.worker for node in tree.fired] == [JOINS[1]]


def test_completed_tells_of_those_that_ask():
    """Only nodes with something to tell are listed, children before parents."""
    tree = ProvenanceTree()
    root = tree.open(None, ("I", 1), "t", A)
    child = tree.open(root, ("A", 1), "u", B)
    silent = tree.open(root, ("A", 2), "u", B)
    root.extra = child.extra = "something"
    for node in (root, silent, child):
        tree.end(node)
    assert tree.completed == [child, root]


def test_ending_twice_raises():
    """A count that would go wrong is an error at once, not a run that hangs."""
    tree = ProvenanceTree()
    root = tree.open(None, ("I", 1), "t", A)
    tree.open(root, ("A", 1), "u", B)
    tree.end(root)
    with pytest.raises(GraphInvariantError, match="ended twice"):
        tree.end(root)


def test_child_of_what_has_left_raises():
    """The error names the node that should have been there."""
    tree = ProvenanceTree()
    root = tree.open(None, ("I", 1), "t", A)
    tree.end(root)
    late = tree.open(root, ("A", 1), "u", B)
    with pytest.raises(GraphInvariantError, match=r"I:1.*not among the open"):
        tree.end(late)


def test_find_goes_no_further_than_what_is_open():
    """Complete tasks, joins that run and unknown ones are not found."""
    tree = ProvenanceTree()
    root = tree.open(None, ("I", 1), "t", A)
    hold(tree, root, JOINS[0], 1)
    tree.end(root)
    assert tree.find(()) is None
    assert tree.find((("I", 2),)) is None
    assert tree.find((("I", 1), ("A", 1))) is None
    assert tree.find((("I", 1), ("J0", 0))) is None
    assert tree.find_deepest((("I", 1), ("A", 1), ("B", 1))) is root
    assert tree.find_deepest((("I", 2),)) is None
    assert tree.fired[0].chain() == (("I", 1),)
    assert list(upwards(tree.fired[0])) == [root]


def test_nearest_is_the_last_of_that_name():
    """In a cycle a worker is found several times above; the lowest counts."""
    tree = ProvenanceTree()
    nodes = [tree.open(None, ("I", 1), "t", A)]
    for number in (1, 2):
        nodes.append(tree.open(nodes[-1], ("A", number), "t", A))
    assert nearest(nodes[2], {"A"}) is nodes[2]
    assert nearest(nodes[2], {"I"}) is nodes[0]
    assert nearest(nodes[2], {"X"}) is None


def test_watch_can_be_left():
    """What no longer waits does not fire."""
    tree = ProvenanceTree()
    root = tree.open(None, ("I", 1), "t", A)
    tree.group(root, "w", A, 0)
    assert tree.leave(root, "w")
    assert not tree.leave(root, "w")
    assert not tree.leave(tree.open(None, ("I", 2), "t", A), "w")
    tree.end(root)
    assert tree.fired == []


class Model:
    """The same by counting: every prefix of what is open has a count."""

    def __init__(self):
        self.counts = Counter()
        self.held = {}
        self.fired = []

    def add(self, chain):
        for end in range(1, len(chain) + 1):
            self.counts[chain[:end]] += 1

    def remove(self, chain):
        for end in range(1, len(chain) + 1):
            self.counts[chain[:end]] -= 1
            assert self.counts[chain[:end]] >= 0
        for end in range(len(chain), 0, -1):
            prefix = chain[:end]
            if self.counts[prefix]:
                continue
            del self.counts[prefix]
            ranks = [rank for place, rank in self.held if place == prefix]
            if ranks:
                tasks = self.held.pop((prefix, min(ranks)))
                self.add(prefix)
                self.fired.append((prefix, min(ranks), tasks))


class TreeMachine(RuleBasedStateMachine):
    """Does the same to a tree and to the model."""

    def __init__(self):
        super().__init__()
        self.tree = ProvenanceTree()
        self.model = Model()
        self.running = []
        self.firings = []
        self.ids = 0

    def pick(self, data, among):
        return among[data.draw(st.integers(0, len(among) - 1))]

    @rule()
    def begin(self):
        self.ids += 1
        node = self.tree.open(None, ("I", self.ids), self.ids, A)
        self.model.add(node.chain())
        self.running.append(node)

    @precondition(lambda self: self.running or self.firings)
    @rule(data=st.data(), count=st.integers(1, 3), name=st.sampled_from("AB"))
    def publish(self, data, count, name):
        source = self.pick(data, self.running + self.firings)
        parent = source.parent if source.is_firing else source
        if source.aborted:
            return
        for _ in range(count):
            self.ids += 1
            node = self.tree.open(parent, (name, self.ids), self.ids, A)
            self.model.add(node.chain())
            self.running.append(node)

    @precondition(lambda self: self.running)
    @rule(data=st.data(), rank=st.integers(0, 2))
    def arrive(self, data, rank):
        node = self.pick(data, self.running)
        if node.aborted:
            return
        place = self.pick(data, list(upwards(node)))
        hold(self.tree, place, JOINS[rank], self.ids)
        self.model.held.setdefault((place.chain(), rank), []).append(self.ids)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def end(self, data):
        node = self.pick(data, self.running)
        self.running.remove(node)
        self._end(node)

    @precondition(lambda self: self.firings)
    @rule(data=st.data())
    def end_firing(self, data):
        node = self.pick(data, self.firings)
        self.firings.remove(node)
        self._end(node)

    def _end(self, node):
        chain = node.chain()
        self.tree.end(node)
        self.model.remove(chain)
        fired = [
            (firing.chain(), firing.worker.rank, firing.task.tasks) for firing in self.tree.fired
        ]
        assert fired == self.model.fired
        self.firings += self.tree.fired
        self.tree.fired.clear()
        self.model.fired.clear()

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def abort(self, data):
        target = self.pick(data, list(upwards(self.pick(data, self.running))))
        chain = target.chain()
        inside = [
            node
            for node in self.running + self.firings
            if node.chain()[: len(chain)] == chain and not node.aborted
        ]
        found = self.tree.abort(target)
        assert sorted(map(id, found.nodes)) == sorted(map(id, inside))
        gone = {key for key in self.model.held if key[0][: len(chain)] == chain}
        assert {(group.node.chain(), group.rank) for group in found.groups} == gone
        for key in gone:
            del self.model.held[key]

    @invariant()
    def same_prefixes_are_open(self):
        model = {chain: count for chain, count in self.model.counts.items() if count}
        seen = {}
        stack = list(self.tree.roots.values())
        while stack:
            node = stack.pop()
            children = list((node.children or {}).values())
            assert node.open == len(children) + (not node.ended) > 0
            if not node.is_firing:
                assert self.tree.find(node.chain()) is node
                seen[node.chain()] = node
            stack += children
        assert seen.keys() == model.keys()

    def teardown(self):
        while self.running or self.firings:
            self._end((self.running or self.firings).pop())
        assert self.tree.is_empty
        assert not +self.model.counts
        assert not self.model.held


TestTree = TreeMachine.TestCase
TestTree.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
