"""What is kept with a task while it, or a descendant, is in flight."""

import copy
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs
from trio.lowlevel import ParkingLot

from ._provenance import Node

if TYPE_CHECKING:
    from ._outlet import Outlet
    from ._trace import Trace

#: Called with metadata, provenance, worker, task, message and object; sync or async.
StatusCallback = Callable[..., object]

#: Whose state it is, and at which node.
StateKey = tuple[Node, object]


@attrs.define(eq=False)
class Extra:
    """What a node has beside its place in the tree; goes when it is complete.

    Attributes:
      metadata: Given with an initial task.
      status_callback: Given with an initial task.
      states: The state of each worker, None being all; replaced, never changed.
      waiters: Who waits until it is complete.
      refused: Joins that have failed here for what they lack.
      outlet: Where outputs, statuses and failures go, of an initial task that has one.
      trace: What keeps what happens below.
    """

    metadata: dict[str, Any] | None = None
    status_callback: StatusCallback | None = None
    states: dict[object, dict[str, Any]] | None = None
    waiters: ParkingLot | None = None
    refused: set[object] | None = None
    outlet: "Outlet | None" = None
    trace: "Trace | None" = None


def extra_of(node: Node) -> Extra:
    """Return the extra of ``node``, made if there is none."""
    extra = node.extra
    if not isinstance(extra, Extra):
        extra = node.extra = Extra()
    return extra


def outlet_of(node: Node) -> "Outlet | None":
    """Return where what comes of a node goes; None for the graph as a whole."""
    extra = node.root.extra
    return extra.outlet if isinstance(extra, Extra) else None


def committed(node: Node, owner: object) -> dict[str, Any] | None:
    """Return what ``owner`` keeps at ``node``, or None if it has never kept anything."""
    extra = node.extra
    if isinstance(extra, Extra) and extra.states is not None:
        return extra.states.get(owner)
    return None


@attrs.define(eq=False)
class _Copy:
    before: dict[str, Any] | None
    now: dict[str, Any]

    def is_changed(self) -> bool:
        """Whether it is no longer equal to what it was copied from, as far as can be told."""
        try:
            return bool(self.now != (self.before or {}))
        except Exception:  # noqa: BLE001 - a user's comparison
            return True


def _copied(state: dict[str, Any], node: Node, owner: object) -> dict[str, Any]:
    try:
        return copy.deepcopy(state)
    except Exception as error:
        whose = f"the state of {getattr(owner, 'name', owner)}" if owner else "the shared state"
        raise TypeError(
            f"{whose} for {node.chain()} can't be copied, as each handler that looks at it needs "
            f"({error}), because of {_culprit(state)}: keep in a state what copy.deepcopy() can "
            "copy, and the rest in attributes of the worker, made in init()"
        ) from error


def _culprit(state: dict[str, Any]) -> str:
    """Return which value it is that can't be copied."""
    for key, value in state.items():
        try:
            copy.deepcopy(value)
        except Exception:  # noqa: BLE001 - whatever it was, this is it
            return f"[{key!r}], a {type(value).__name__}"
    return "one of its keys"


@attrs.define(eq=False)
class Transaction:
    """The states that one attempt has looked at, as copies of its own.

    A commit makes those copies that were changed the committed states. If another
    attempt has committed one of them meanwhile, the attempt has to be made again:
    of two that overlap, neither overwrites what the other has done.
    """

    _copies: dict[StateKey, _Copy] = attrs.field(factory=dict)

    def get(self, node: Node, owner: object) -> dict[str, Any]:
        """Return this attempt's copy of what ``owner`` keeps at ``node``.

        Raises:
          TypeError: It has a value that can't be copied; the message names it.
        """
        kept = self._copies.get((node, owner))
        if kept is None:
            before = committed(node, owner)
            kept = _Copy(before, {} if before is None else _copied(before, node, owner))
            self._copies[node, owner] = kept
        return kept.now

    def stale(self) -> "StateKey | None":
        """Return what somebody else has committed since this one has copied it, if anything."""
        for key, kept in self._copies.items():
            if committed(*key) is not kept.before and kept.is_changed():
                return key
        return None

    def commit(self) -> None:
        """Make the copies what is committed; it must not be stale."""
        for (node, owner), kept in self._copies.items():
            if not kept.is_changed():
                continue
            extra = extra_of(node)
            if extra.states is None:
                extra.states = {}
            extra.states[owner] = kept.now


@attrs.define(eq=False)
class Turns:
    """Who is to work again, as somebody else has committed the same state first.

    Of those that collided over one state, one works at a time: so each is made twice,
    and seldom more often, however many collide.
    """

    _lines: dict[StateKey, deque[Node]] = attrs.field(factory=dict)
    _keys: dict[Node, StateKey] = attrs.field(factory=dict)

    def __bool__(self) -> bool:
        return bool(self._keys)

    def take(self, node: Node, key: StateKey) -> bool:
        """Return whether ``node`` may work again now; if not, it waits for its turn."""
        if node in self._keys:
            return True
        line = self._lines.get(key)
        if line is None:
            self._lines[key] = deque()
            self._keys[node] = key
            return True
        line.append(node)
        return False

    def leave(self, node: Node) -> Node | None:
        """Note that ``node`` has worked; return whose turn it is now, if it had one."""
        key = self._keys.pop(node, None)
        if key is None:
            return None
        line = self._lines[key]
        while line:
            following = line.popleft()
            if not following.ended:
                self._keys[following] = key
                return following
        del self._lines[key]
        return None
