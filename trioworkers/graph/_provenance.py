"""Provenance: who descends from whom among the tasks in flight, and what has completed.

Pure book-keeping: nothing here waits, runs or imports Trio. The running graph
tells the tree what begins and ends, and looks into `ProvenanceTree.fired` and
`ProvenanceTree.completed` for what follows.
"""

from collections.abc import Collection, Hashable, Iterator
from typing import Any

import attrs

from ..errors import GraphInvariantError

#: A worker's name, and which of the tasks that it has published this is.
Pair = tuple[str, int]
#: The path of pairs from an initial task to the one in question.
ProvenanceChain = tuple[Pair, ...]

#: The number of the pair under which a running join is a child; tasks count from 1.
FIRING = 0


def check_prefix(prefix: object) -> None:
    """Refuse what is no provenance, nor the beginning of one.

    Raises:
      ValueError: It isn't a tuple of pairs, or is empty.
    """
    if isinstance(prefix, tuple) and prefix:
        for pair in prefix:
            if type(pair) is not tuple or len(pair) != 2:
                break
        else:
            return
    hint = ""
    if isinstance(prefix, tuple) and len(prefix) == 2 and isinstance(prefix[0], str):
        hint = f": of one pair, it is ({prefix!r},)"
    raise ValueError(f"a prefix is a tuple of (name, number) pairs, not {prefix!r}{hint}")


class Node:
    """A task whose handler has not ended, or that has open descendants.

    Attributes:
      parent: The node of the task that it comes from; None for an initial task.
      root: The node of the initial task.
      pair: What its task adds to the provenance.
      task: The task. For a join that runs, the group that it joins.
      worker: Who consumes it.
      open: Its open children, and one for its own handler until that has ended for
        good. At 0 it is complete.
      ended: Whether its own handler has ended for good.
      aborted: Whether it, or an ancestor, was aborted.
      children: The open ones by their pair; None before the first.
      waiting: Joins and watches that wait for its completion; None if there are none.
      extra: Something that is to be told in `ProvenanceTree.completed`, or None.
      phase: Where its handler is; the running graph's.
      source: Whose window it counts for; the running graph's.
      seat: Who runs it, or when it is tried again; the running graph's.
    """

    __slots__ = (
        "aborted",
        "children",
        "ended",
        "extra",
        "open",
        "pair",
        "parent",
        "phase",
        "root",
        "seat",
        "source",
        "task",
        "waiting",
        "worker",
    )

    # Written by hand: it runs once a task, and attrs has no defaults as cheap as these.
    def __init__(self, parent: "Node | None", pair: Pair, task: Any, worker: Any) -> None:
        self.parent = parent
        self.root: Node = self if parent is None else parent.root
        self.pair = pair
        self.task = task
        self.worker = worker
        self.open = 1
        self.ended = False
        self.aborted = False
        self.children: dict[Pair, Node] | None = None
        self.waiting: dict[Hashable, Group] | None = None
        self.extra: Any = None
        self.phase = 0
        self.source: Any = None
        self.seat: Any = None

    @property
    def is_firing(self) -> bool:
        """Whether this is no task but a join, or a watch, that runs."""
        return self.pair[1] == FIRING

    def chain(self) -> ProvenanceChain:
        """Return the provenance. That of a join that runs is where it runs."""
        pairs: list[Pair] = []
        node: Node | None = self.parent if self.is_firing else self
        while node is not None:
            pairs.append(node.pair)
            node = node.parent
        return tuple(reversed(pairs))

    def __repr__(self) -> str:
        chain = " ".join(f"{name}:{number}" for name, number in self.chain())
        return f"<Node {chain} open={self.open}{' aborted' if self.aborted else ''}>"


@attrs.define(eq=False)
class Group:
    """What waits for the completion of a node: a join with its arrivals, or a watch.

    Attributes:
      node: Whose completion.
      worker: Who is told of it then.
      rank: Of several at one node the lowest is told first.
      tasks: What has arrived, in that order; nothing, for a watch.
      missing: What would have led to an arrival, and has failed or was aborted; the
        first of it.
      missing_count: How much that is in all.
      tries: How often its handler was called and failed.
      dropped: Provenances, below the node, whose descendants are to be dropped.
    """

    node: Node
    worker: Any
    rank: tuple[int, ...]
    tasks: list[Any] = attrs.field(factory=list)
    missing: list[Any] = attrs.field(factory=list)
    missing_count: int = 0
    tries: int = 0
    dropped: set[ProvenanceChain] | None = None

    def drop(self, chain: ProvenanceChain) -> None:
        """Have the descendants of ``chain`` among the arrivals dropped when it fires."""
        if self.dropped is None:
            self.dropped = set()
        self.dropped.add(chain)


@attrs.define(eq=False)
class Aborted:
    """What `ProvenanceTree.abort` has found.

    Attributes:
      nodes: Those whose own handlers have not ended; each is still to be ended.
      groups: What waited in the subtree, and won't be told of any completion now.
    """

    nodes: list[Node] = attrs.field(factory=list)
    groups: list[Group] = attrs.field(factory=list)


@attrs.define(eq=False)
class ProvenanceTree:
    """All tasks in flight, as a forest that grows at the leaves and shrinks there.

    A node is there while its handler has not ended or a descendant is there. When
    neither is left, what waits for its completion fires, nearest first and one at a
    time: each is a child of the node while it runs, and so are the outputs of a
    join. When nothing more waits, the node leaves the tree, and tells its parent.

    Nothing is kept of what has left. The cost of each step is that of one task,
    however many there are and however deep it is.

    Attributes:
      roots: The nodes of initial tasks, by their pair.
      fired: Joins and watches whose time has come, as nodes to be run and then
        ended; whoever ends a node takes them out.
      completed: Nodes with an ``extra`` that have left the tree, in that order;
        whoever ends a node takes them out.
    """

    roots: dict[Pair, Node] = attrs.field(factory=dict)
    fired: list[Node] = attrs.field(factory=list)
    completed: list[Node] = attrs.field(factory=list)

    # Growing

    def open(self, parent: Node | None, pair: Pair, task: Any, worker: Any) -> Node:
        """Add a task that ``worker`` is to consume.

        Args:
          parent: The node of the task that it comes from, open; None if initial.
          pair: Not used before below that parent.
          task: Of any type.
          worker: Of any type.

        Returns:
          Its node, which `end` must be called with once.
        """
        node = Node(parent, pair, task, worker)
        if parent is None:
            self.roots[pair] = node
            return node
        parent.open += 1
        children = parent.children
        if children is None:
            children = parent.children = {}
        children[pair] = node
        return node

    def group(self, node: Node, key: Hashable, worker: Any, rank: tuple[int, ...]) -> Group:
        """Return what waits at an open ``node`` under ``key``, made if it isn't there."""
        waiting = node.waiting
        if waiting is None:
            waiting = node.waiting = {}
        group = waiting.get(key)
        if group is None:
            group = waiting[key] = Group(node, worker, rank)
        return group

    def leave(self, node: Node, key: Hashable) -> bool:
        """Let what waits at ``node`` under ``key`` wait no longer; return whether it did."""
        return node.waiting is not None and node.waiting.pop(key, None) is not None

    # Shrinking

    def end(self, node: Node) -> None:
        """Note that the handler of ``node`` has ended for good.

        Raises:
          GraphInvariantError: It had ended before. The tree can't be trusted any more.
        """
        if node.ended:
            raise GraphInvariantError(f"the handler of {node!r} has ended twice")
        node.ended = True
        current = node
        while True:
            current.open -= 1
            if current.open:
                if current.open < 0:
                    raise GraphInvariantError(f"{current!r} has fewer children than have ended")
                return
            if current.waiting:
                self._fire(current)
                return
            if current.extra is not None:
                self.completed.append(current)
            parent = current.parent
            among = self.roots if parent is None else parent.children
            if among is None or among.pop(current.pair, None) is not current:
                raise GraphInvariantError(f"{current!r} was not among the open children")
            if parent is None:
                return
            current = parent

    def _fire(self, node: Node) -> None:
        """Begin what waits nearest for the completion of ``node``, which it puts off."""
        waiting = node.waiting
        assert waiting
        group = waiting.pop(min(waiting, key=lambda key: waiting[key].rank))
        name = getattr(group.worker, "name", "")
        self.fired.append(self.open(node, (name, FIRING), group, group.worker))

    def abort(self, node: Node) -> Aborted:
        """Mark ``node`` and its descendants as aborted; nothing fires among them any more.

        The subtree stays until each node in the answer has been ended. What was
        aborted before is not in the answer again.
        """
        found = Aborted()
        stack = [node]
        while stack:
            node = stack.pop()
            if node.aborted:
                continue
            node.aborted = True
            if not node.ended:
                found.nodes.append(node)
            if node.waiting:
                found.groups.extend(node.waiting.values())
                node.waiting = None
            if node.children:
                stack.extend(reversed(node.children.values()))
        return found

    # Looking

    def find(self, chain: ProvenanceChain) -> Node | None:
        """Return the node of the task with that provenance, or None if it is complete."""
        node, depth = self._deepest(chain)
        return node if depth == len(chain) else None

    def find_all(self, chain: ProvenanceChain) -> list[Node]:
        """Return all nodes whose task has that provenance: see `beside`."""
        node = self.find(chain)
        found = [] if node is None else [node]
        if len(chain) > 1:
            parent = self.find(chain[:-1]) if node is None else node.parent
            if parent is not None and parent.children:
                match chain[-1]:
                    case (str(name), int(number)):
                        other = parent.children.get(beside((name, number)))
                        if other is not None:
                            found.append(other)
        return found

    def find_deepest(self, chain: ProvenanceChain) -> Node | None:
        """Return the node of the longest prefix of ``chain`` that is not complete, or None."""
        return self._deepest(chain)[0]

    def _deepest(self, chain: ProvenanceChain) -> tuple[Node | None, int]:
        """Return what `find_deepest` does, and how long that prefix is."""
        found: Node | None = None
        among: dict[Pair, Node] | None = self.roots
        for depth, pair in enumerate(chain):
            node = among.get(pair) if among else None
            if node is None or node.is_firing:
                return found, depth
            found, among = node, node.children
        return found, len(chain)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is in flight."""
        return not self.roots


def beside(pair: Pair) -> Pair:
    """Return what a sink's node is a child under if a consumer's has the pair of the task."""
    return (f"sink of {pair[0]} ", -pair[1])


def upwards(node: Node | None) -> Iterator[Node]:
    """Give ``node`` and its ancestors, nearest first; no joins that run."""
    while node is not None:
        if not node.is_firing:
            yield node
        node = node.parent


def nearest(node: Node | None, names: Collection[str]) -> Node | None:
    """Return ``node`` or its nearest ancestor that a worker of ``names`` has published."""
    while node is not None:
        pair = node.pair
        if pair[0] in names and pair[1] != FIRING:
            return node
        node = node.parent
    return None
