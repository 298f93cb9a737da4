"""`Task`: the data that flows through a graph."""

import copy
import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Self, TypeVar, dataclass_transform, overload

import attrs

from . import _dump, _xml
from ._fields import make_attrs_class
from ._provenance import ProvenanceChain

if TYPE_CHECKING:
    from ._worker import TaskWorker

T = TypeVar("T", bound="Task")

#: How long the prefixes are, at most, that cost the same however deep a task is.
SHORT = 4

#: In a memo of `copy.deepcopy`: copy tasks too, instead of sharing them.
_COPY_TASKS = "trioworkers: copy tasks"


class _Name:
    """`Task.name`: unlike a property, it lets a field of that name be."""

    def __get__(self, task: "Task | None", cls: type["Task"]) -> str:
        return cls.__name__


@dataclass_transform(kw_only_default=True, eq_default=True, field_specifiers=(attrs.field,))
class Task:
    """The data that flows through a graph: subclass it, and annotate its fields.

    A subclass becomes an attrs class by itself::

        class Query(Task):
            text: str
            tags: list[str] = attrs.field(factory=list)

        query = Query(text="why?")

    Instances are made with keywords. The types of all fields are checked then,
    and nothing is converted: where ``int`` is declared, ``True`` and ``"1"`` are
    refused; only a ``float`` may be given as an ``int``. The `Joined` or `Merged`
    that a join gets is kept as the plain list or dict that it is. Tasks are equal if
    they are of one class and their fields are equal.

    What flows on refers to what it came from: `find_input_task` and its like
    look along that way, and return the very objects, not copies; so don't
    change a task that you have published or been given.

    Fields may be called what they like, but for the names of methods here and
    names that begin with an underscore.
    """

    if TYPE_CHECKING:
        name: str
    else:
        name = _Name()

    # Of the engine. Defaults in the class: what is not published pays nothing.
    _pair: "tuple[str, int] | None" = None
    _worker: "type[TaskWorker] | None" = None
    _inputs: "tuple[Task, ...]" = ()
    _base: "ProvenanceChain | None" = None
    _published: bool = False
    _retry_count: int = 0
    _start: "ProvenanceChain | None" = None
    # Of the user.
    _injected: "tuple[Task, ...]" = ()
    _private_state: "dict[str, Any] | None" = None
    # Of each class: names of instance attributes that are no part of a task's data.
    _ours: "frozenset[str]" = frozenset()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        make_attrs_class(cls, Task, eq=True)
        cls._ours = _OURS.union(
            name
            for base in cls.__mro__
            for name, value in vars(base).items()
            if isinstance(value, functools.cached_property)
        )
        for field in vars(cls)["__attrs_attrs__"]:
            if field.name.startswith("_"):
                raise TypeError(
                    f"{cls.__name__}.{field.name}: the fields of a task are public; give it a name "
                    "without underscore, or use add_private_state()"
                )

    # -- Where it comes from ---------------------------------------------------

    @property
    def retry_count(self) -> int:
        """How often the work on this task has been tried again."""
        return self._retry_count

    def is_type(self, task_class: "type[Task]") -> bool:
        """Return whether this is an instance of the class, or of a subclass."""
        return isinstance(self, task_class)

    def provenance(self) -> ProvenanceChain:
        """Return the whole path; empty if the task was not published yet.

        Pair ``i`` is who published the task ``i`` on the way, and that worker's
        running number. What comes from a join has the path of the group.
        """
        pairs: list[tuple[str, int]] = []
        task = self
        while True:  # up to the start, or to what a join has published, which knows the rest
            if task._pair is not None:
                pairs.append(task._pair)
            if task._base is not None:
                return (*task._base, *reversed(pairs))
            if not task._inputs:
                return tuple(reversed(pairs))
            task = task._inputs[0]

    def prefix(self, length: int) -> ProvenanceChain:
        """Return the first ``length`` pairs of `provenance`, or all if there are fewer.

        Up to 4 pairs cost the same however deep the task is, once what it was made of
        was asked for them, or it was.

        Raises:
          ValueError: ``length`` is negative.
        """
        if length < 0:
            raise ValueError(f"length must be >= 0, not {length}")
        if length <= SHORT and self._pair is not None:
            return _start_of(self)[:length]
        return self.provenance()[:length]

    def prefix_for_input_task(
        self, worker: "type[TaskWorker] | TaskWorker | str"
    ) -> ProvenanceChain | None:
        """Return the path up to what a worker published last on the way here.

        Args:
          worker: The worker, its name, or a class: then whichever worker is an
            instance. `InitialTaskWorker` stands for the initial task.

        Returns:
          The path, which ends with that worker's pair, or None if there is none.
        """
        chain = _lineage(self)
        name = None if isinstance(worker, type) else getattr(worker, "name", worker)
        for index, task in enumerate(chain):
            if name is not None:
                found = task._pair is not None and task._pair[0] == name
            else:
                found = task._worker is not None and issubclass(task._worker, worker)  # type: ignore[arg-type]
            if found:
                return _pairs(chain[index:])
        return None

    def previous_input_task(self) -> "Task | None":
        """Return the task that this one was made from; None if there is none.

        That is what was injected last, else the input; of a join, the first.
        """
        nearest = _nearest(self)
        return nearest[0] if nearest else None

    def find_input_task(self, task_class: type[T]) -> T | None:
        """Return the nearest task of a class, or subclass, that this one came from.

        What a join published came from all that it was given: the first of
        them is looked through first, then the others. None if there is none.
        """
        for task in _upstream(self):
            if isinstance(task, task_class):
                return task
        return None

    def find_input_tasks(self, task_class: type[T]) -> list[T]:
        """Return all tasks of a class, or subclass, that this one came from.

        Each is there once, inputs before what was made of them.
        """
        return [task for task in _oldest_first(self) if isinstance(task, task_class)]

    def inject_input(self, input_task: "Task") -> Self:
        """Let `find_input_task` find one more task, before all others; return this task.

        What comes after this task finds it too. `provenance` doesn't change.

        Raises:
          TypeError: It is no task.
          ValueError: It is this task, or comes from it.
        """
        if not isinstance(input_task, Task):
            raise TypeError(f"inject_input takes a Task, not {input_task!r}")
        if input_task is self or any(task is self for task in _upstream(input_task)):
            raise ValueError(f"{self.name} can't be its own input")
        self._injected = (*self._injected, input_task)
        return self

    # -- Private state ---------------------------------------------------------

    def add_private_state(self, key: str, value: Any) -> None:
        """Keep a value with the task, seen by `get_private_state` here and downstream.

        It is no part of equality, dumps, copies or cache keys.
        """
        if self._private_state is None:
            self._private_state = {}
        self._private_state[key] = value

    @overload
    def get_private_state(self, key: str) -> Any: ...
    @overload
    def get_private_state(self, key: str, default: Any) -> Any: ...
    def get_private_state(self, key: str, default: Any = None) -> Any:
        """Return what was kept under ``key`` with this task, or the nearest that it came from."""
        state = self._private_state
        if state is not None and key in state:
            return state[key]
        for task in _upstream(self):
            state = task._private_state
            if state is not None and key in state:
                return state[key]
        return default

    # -- Copies ----------------------------------------------------------------

    def copy_public(self, deep: bool = False) -> Self:
        """Return a new task with the same fields, that comes from nowhere and can be published.

        What a `functools.cached_property` has kept is not copied.

        Args:
          deep: Copy the values of the fields, too, tasks among them included.
        """
        return self._copy({_COPY_TASKS: True} if deep else None)

    def _copy(self, memo: dict[Any, Any] | None) -> Self:
        other = object.__new__(type(self))
        if memo is not None:
            memo[id(self)] = other
        values = {key: value for key, value in vars(self).items() if key not in self._ours}
        vars(other).update(values if memo is None else copy.deepcopy(values, memo))
        return other

    def __deepcopy__(self, memo: dict[Any, Any]) -> Self:
        # Tasks are shared, also by copies of a worker's state.
        return self._copy(memo) if _COPY_TASKS in memo else self

    # -- Dump and load ---------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values, which `from_dict` takes back.

        Fields are there whether or not they have their default.

        Raises:
          TypeError: A field has a value that is not of its type, or a type that
            JSON has no form for; the message names it.
        """
        return _dump.to_dict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Return the task that `to_dict` made ``data`` of.

        Raises:
          ValueError: It isn't one of this class; the message names the field.
        """
        return _dump.from_dict(cls, data)

    def to_json(self) -> str:
        """Return the fields as a JSON text. Raises as `to_dict` does."""
        return _dump.to_json(self)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Return the task that `to_json` made ``text`` of.

        Raises:
          ValueError: It isn't one of this class; the message names the field,
            and is short whatever the text was.
        """
        return _dump.from_json(cls, text)

    def to_xml(self) -> str:
        """Return the fields as an XML text. Raises as `to_dict` does."""
        return _xml.to_xml(self)

    @classmethod
    def from_xml(cls, text: str | bytes) -> Self:
        """Return the task that `to_xml` made ``text`` of.

        Document types, and so entities of one's own, are refused.

        Raises:
          ValueError: It isn't one of this class; the message names the field,
            and is short whatever the text was.
        """
        return _xml.from_xml(cls, text)


#: The names of those that each task may have.
_OURS = frozenset(name for name in vars(Task)["__annotations__"] if name.startswith("_"))


def _start_of(task: Task) -> ProvenanceChain:
    """Return the first pairs of the path of a task that was published.

    All tasks on the way up keep theirs from now on.
    """
    way: list[Task] = []
    start: ProvenanceChain = ()
    while True:
        if task._start is not None:
            start = task._start
            break
        way.append(task)
        if task._base is not None:
            start = task._base[:SHORT]
            break
        if not task._inputs:
            break
        task = task._inputs[0]
    for one in reversed(way):
        if len(start) < SHORT:
            assert one._pair is not None  # what it was made of was published before
            start = (*start, one._pair)
        one._start = start
    return start


def _nearest(task: Task) -> tuple[Task, ...]:
    """Return the tasks that one was made from, the one that counts most first."""
    return (*reversed(task._injected), *task._inputs) if task._injected else task._inputs


def _upstream(task: Task) -> Iterator[Task]:
    """Yield all tasks that one came from, each once, nearest first, depth first."""
    pending = list(reversed(_nearest(task)))
    if not pending:
        return
    seen: set[int] = set()
    while pending:
        one = pending.pop()
        if id(one) not in seen:
            seen.add(id(one))
            yield one
            pending += reversed(_nearest(one))


def _oldest_first(task: Task) -> Iterator[Task]:
    """Yield all tasks that one came from, each once, inputs before outputs."""
    seen = {id(task)}
    pending = [iter((*task._inputs, *task._injected))]
    path: list[Task] = []
    while pending:
        one = next(pending[-1], None)
        if one is None:
            pending.pop()
            if path:
                yield path.pop()
        elif id(one) not in seen:
            seen.add(id(one))
            path.append(one)
            pending.append(iter((*one._inputs, *one._injected)))


def _pairs(chain: list[Task]) -> ProvenanceChain:
    return tuple(task._pair for task in reversed(chain) if task._pair is not None)


def _lineage(task: Task) -> list[Task]:
    """Return the published tasks whose pairs are the provenance of one, the newest first.

    What a join published goes on where the path of the group ends, which all
    joined tasks have in common: on the way of the first of them.
    """
    chain: list[Task] = []
    limit: int | None = None  # how many of what follows belong to the path; None: all
    while True:
        stretch = [task]
        while task._base is None and task._inputs:
            task = task._inputs[0]
            stretch.append(task)
        below = 0 if task._base is None else len(task._base)
        if limit is not None:
            stretch = stretch[max(0, below + len(stretch) - limit) :]
        chain += stretch
        if not below:
            return chain if chain[-1]._pair is not None else chain[:-1]
        limit = below if limit is None else min(limit, below)
        task = task._inputs[0]
