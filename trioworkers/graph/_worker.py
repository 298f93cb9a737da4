"""`TaskWorker`: takes tasks, and publishes others."""

import abc
import inspect
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar, Literal, dataclass_transform

import attrs

from ..errors import NotAttachedError
from ._fields import check_types, make_attrs_class
from ._hints import defining_locals
from ._inputs import filled_in, input_hint, listed_task_classes, task_classes
from ._ports import GraphPort, RunPort, SinkCallback, WatchCallback
from ._provenance import ProvenanceChain, check_prefix
from ._task import Task

#: How a handler runs: as it is, in a thread, or pulled from.
ConsumeKind = Literal["async", "thread", "source"]


@dataclass_transform(kw_only_default=True, eq_default=False, field_specifiers=(attrs.field,))
class _Fields:
    """Tells type checkers of the fields of `TaskWorker` and its subclasses."""


class TaskWorker(_Fields):
    """Takes tasks, and publishes others: subclass it, and override `consume_work`.

    A subclass becomes an attrs class by itself, as those of `Task` do: its
    annotated fields are keyword parameters whose types are checked. ::

        class Splitter(TaskWorker):
            output_types: list[type[Task]] = [Word]
            least: int = 1

            async def consume_work(self, task: Line):
                for word in task.text.split():
                    if len(word) >= self.least:
                        self.publish_work(Word(text=word), input_task=task)

    Workers are compared by identity. Attributes may be added at will, in `init` or in
    ``__attrs_post_init__``; there is no ``__init__`` of one's own.

    Attributes:
      output_types: What it may publish: exactly these classes, no subclasses.
      num_retries: How often work on one task is tried again when it fails, >= 0.
      retry_on: Exceptions after which it is; after others it fails at once.
      backoff: Seconds before the first other try at most, >= 0; doubled each time, up
        to a minute. Chance decides between that and no wait, so that not all come at once.
      name: Unique in its graph, and part of the provenance of what it
        publishes. The class's name by default; of further workers of one name
        by default, `Graph.add_worker` makes ``Splitter-2``, ``Splitter-3``.

    Raises:
      TypeError: A field is not of its type, or the class has no `consume_work`.
      ValueError: A field is out of range.
    """

    output_types: list[type[Task]] = attrs.field(factory=list)
    num_retries: int = 0
    retry_on: tuple[type[Exception], ...] = (Exception,)
    backoff: float = 0.1
    name: str = attrs.field(
        default=attrs.Factory(lambda self: type(self).__name__, takes_self=True)
    )
    _graph: GraphPort | None = attrs.field(default=None, init=False, repr=False)
    _run: RunPort | None = attrs.field(default=None, init=False, repr=False)

    #: The method that does the work.
    _handler_name: ClassVar[str] = "consume_work"
    #: The async method that a run calls in its place, and that calls it; None for none.
    _wrapper_name: ClassVar[str | None] = None
    #: How it runs; None while it is abstract.
    _consume_kind: ClassVar[ConsumeKind | None] = None
    #: What it takes, by its annotation; None while that can't be evaluated.
    _takes: ClassVar[tuple[type[Task], ...] | None] = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        make_attrs_class(cls, TaskWorker, eq=False, check=_check_worker)
        handler = getattr(cls, cls._handler_name)
        cls._consume_kind = _kind_of(cls, handler)
        if cls._is_handler_new(handler):
            try:
                cls._takes = cls._find_task_classes({**defining_locals(), cls.__name__: cls})
            except TypeError:
                cls._takes = None  # Tried again when it is asked for, which tells.

    @classmethod
    def _is_handler_new(cls, handler: Callable[..., Any]) -> bool:
        """Whether a base class's `_takes` is not what the handler of this class takes."""
        known = next(base for base in cls.__mro__[1:] if "_takes" in vars(base))
        is_same = getattr(known, cls._handler_name, None) is handler
        return not is_same or vars(known)["_takes"] is None  # Generic classes don't know it.

    @classmethod
    def _find_task_classes(cls, local_names: Mapping[str, Any]) -> tuple[type[Task], ...]:
        """Return the task classes that the handler takes, by its annotation.

        Raises:
          TypeError: It doesn't say, or they can't be evaluated yet.
        """
        handler = getattr(cls, cls._handler_name)
        hint = filled_in(input_hint(handler, local_names), cls, cls._handler_name)
        find = task_classes if cls._handler_name == "consume_work" else listed_task_classes
        return find(hint, getattr(handler, "__qualname__", f"{cls.__name__}.{cls._handler_name}"))

    # -- To override -----------------------------------------------------------

    @abc.abstractmethod
    def consume_work(self, task: Any) -> Any:
        """Do the work on one task. Annotate ``task`` with what you take.

        ``async def`` is the normal form. A plain ``def`` runs in a thread, and
        may publish from there. An ``async def`` with ``yield`` is a *source*: it
        publishes what it yields, and is pulled only while there is room; it
        can't be tried again.

        What it publishes, and the status and state it sets, counts only if it
        returns; of an attempt that raises nothing is seen, nor of one that returns
        after it was cancelled.
        """

    def init(self) -> Awaitable[None] | None:
        """Is called when a graph starts, before any work. May be ``async def``."""

    def completed(self) -> Awaitable[None] | None:
        """Is called when a graph has no more work. May be ``async def``."""

    def notify(self, prefix: ProvenanceChain) -> Awaitable[None] | None:
        """Is called when a prefix that was `watch`-ed without callback is complete."""

    def _opened(self) -> AbstractAsyncContextManager[None] | None:
        """Return what is to be open from before `init` to after `completed`; None for nothing."""
        return None

    def _serve(self, requester: Any) -> bool:
        """Be told whose jobs it works for; return whether that is of use. See `GraphWorker`."""
        return False

    # -- What it takes and gives -----------------------------------------------

    def get_task_classes(self) -> list[type[Task]]:
        """Return the classes of the tasks that it takes, subclasses not named.

        Raises:
          TypeError: The handler is not annotated, or not with tasks.
        """
        if self._takes is None:
            type(self)._takes = type(self)._find_task_classes({})
        assert self._takes is not None
        return list(self._takes)

    def get_task_class(self) -> type[Task]:
        """Return the class of the tasks that it takes.

        Raises:
          TypeError: There are several, or the handler is not annotated.
        """
        classes = self.get_task_classes()
        if len(classes) != 1:
            names = ", ".join(cls.__name__ for cls in classes)
            raise TypeError(f"{self.name} takes several tasks ({names}): use get_task_classes()")
        return classes[0]

    def validate_task(
        self, task_cls: type[Task], consumer: "TaskWorker"
    ) -> tuple[bool, BaseException | None]:
        """Return whether ``consumer`` takes tasks of a class; if not, an error says why."""
        try:
            taken = consumer.get_task_classes()
        except TypeError as error:
            return False, error
        if issubclass(task_cls, tuple(taken)):
            return True, None
        names = " or ".join(cls.__name__ for cls in taken) or "nothing"
        return False, ValueError(
            f"{consumer.name} takes {names}, not {task_cls.__name__}, which {self.name} publishes"
        )

    # -- Building a graph ------------------------------------------------------

    def next(self, downstream: "TaskWorker") -> "TaskWorker":
        """Let what this worker publishes go to another one, and return that. See `Graph`.

        Raises:
          NotAttachedError: It is in no graph yet.
          ValueError: The other one is not in that graph, or takes nothing of it.
        """
        return self._in_graph("next").set_dependency(self, downstream)

    def sink(self, output_type: type[Task], notify: SinkCallback | None = None) -> None:
        """Collect what this worker publishes of one type. See `Graph.set_sink`.

        Raises:
          NotAttachedError: It is in no graph yet.
          ValueError: It doesn't publish that type, or has a sink for it.
        """
        self._in_graph("sink").set_sink(self, output_type, notify)

    def _in_graph(self, what: str) -> GraphPort:
        if self._graph is None:
            raise NotAttachedError(
                f"{self.name}.{what}() was called, but {self.name!r} is in no graph",
                "call graph.add_workers() with it first",
            )
        return self._graph

    # -- While the graph runs --------------------------------------------------

    def publish_work(
        self, task: Task, input_task: Task | None = None, consumer: "TaskWorker | None" = None
    ) -> None:
        """Publish a task, when and if the work on the present one succeeds.

        Never waits. To be called from `consume_work`, also in a thread of it.

        Args:
          task: A new one, of one of the `output_types`. See `Task.copy_public`.
          input_task: What it was made from: the task that is worked on, which is
            meant by None, too, or one that it came from.
          consumer: Which worker shall get it, where several take its type.

        Raises:
          ValueError: It was published before, or is of another type; or which
            worker shall get it is not clear; or ``input_task`` is another task.
          NotAttachedError: No work is going on here.
        """
        run = self._run
        if run is None:
            raise self._not_running("publish_work")
        run.publish(self, task, input_task, consumer)

    def notify_status(self, task: Task, message: str | None = None, object: object = None) -> None:  # noqa: A002
        """Tell the status callback of the initial task that ``task`` came from.

        Told when the work succeeds; an attempt that fails tells nothing.

        Raises:
          TypeError: ``task`` is none, or ``message`` no text.
          NotAttachedError: No work is going on here.
        """
        self._running("notify_status").notify_status(self, task, message, object)

    def get_metadata(self, task: Task) -> dict[str, Any]:
        """Return the metadata given to `Graph.add_work` with the task's initial task.

        A copy, whose values are not copied: what is put into it is seen by nobody else.
        Empty if none was given, or nothing is left of the initial task.

        Raises:
          TypeError: ``task`` is none.
        """
        return self._running("get_metadata").get_metadata(self, task)

    def get_state(self, task: Task) -> dict[str, Any]:
        """Return the state of the task's initial task, which all workers share.

        Otherwise as `get_worker_state`.

        Raises:
          TypeError: ``task`` is none, or as `get_worker_state`.
          ValueError: The work is not on that initial task, or nothing is left of it.
          NotAttachedError: The handler has ended.
        """
        return self._running("get_state").get_state(self, task)

    def get_worker_state(self, provenance: ProvenanceChain) -> dict[str, Any]:
        """Return this worker's state of a prefix, a dict to keep what you like in.

        It is the same for all tasks with that prefix, and goes when the prefix
        is complete. Changes count when the work succeeds. If another handler has
        changed it meanwhile, the work is done again, with what that one has made of
        it; those that collide so take turns. So each handler that looks at a state
        gets a copy of it, made by `copy.deepcopy`: keep it small.

        Sources have no state, as they can't be run again. Outside of handlers, it is
        the state itself.

        Raises:
          TypeError: The handler is a source; or a value in the state can't be copied.
          ValueError: It is no prefix of the provenance of what is worked on.
          NotAttachedError: The handler has ended.
        """
        check_prefix(provenance)
        return self._running("get_worker_state").get_worker_state(self, provenance)

    def watch(self, prefix: ProvenanceChain, callback: WatchCallback | None = None) -> bool:
        """Call ``callback``, or `notify` if it is None, when nothing below a prefix is left.

        Returns:
          Whether it wasn't watched before.
        """
        check_prefix(prefix)
        return self._running("watch").watch(self, prefix, callback)

    def unwatch(self, prefix: ProvenanceChain, callback: WatchCallback | None = None) -> bool:
        """Undo `watch`; return whether it was watched."""
        check_prefix(prefix)
        return self._running("unwatch").unwatch(self, prefix, callback)

    def trace(self, prefix: ProvenanceChain) -> None:
        """Keep what happens below a prefix, to be looked at."""
        check_prefix(prefix)
        self._running("trace").trace(self, prefix)

    def request_user_input(
        self,
        task: Task,
        instruction: str,
        accepted_mime_types: Sequence[str] = ("text/html",),
        *,
        timeout: float | None = None,
    ) -> Any:
        """Ask a person something, and wait for the answer.

        In an ``async def`` it is to be awaited: ``answer, mime_type = await
        self.request_user_input(...)``. In a handler that is a plain ``def``, and so in a
        thread, it waits itself, without ``await``, and keeps the thread.

        Who is asked says `Graph.set_user_request_callback`; by default it is whoever sits
        at the terminal. The handler's place, where places are limited, is free meanwhile.

        Args:
          task: The task that is worked on; when it is cancelled, so is this.
          instruction: What to answer.
          accepted_mime_types: Of what kind the answer may be.
          timeout: Seconds to wait; None for no limit.

        Returns:
          The answer and its MIME type; in a Trio task, what gives them when awaited.

        Raises:
          NoAnswerError: A `trio.TooSlowError`: nobody answered in time.
          NotAttachedError: There is nobody to ask: no callback, and no terminal.
          ValueError: The terminal was to be asked, and can't give what is accepted.
        """
        return self._running("request_user_input").request_user_input(
            self, task, instruction, accepted_mime_types, timeout
        )

    def print(self, *values: object) -> None:
        """Print, without disturbing a live display."""
        self._running("print").print(self, " ".join(map(str, values)))

    def _running(self, what: str) -> RunPort:
        if self._run is None:
            raise self._not_running(what)
        return self._run

    def _not_running(self, what: str) -> NotAttachedError:
        if self._graph is None:
            remedy = "add it to a graph and run that"
        else:
            remedy = f"run graph {self._graph.name!r} first"
        return NotAttachedError(
            f"{self.name}.{what}() was called, but the worker's graph isn't running", remedy
        )


def _kind_of(cls: type[TaskWorker], handler: object) -> ConsumeKind | None:
    """Return how a handler runs; None if it is abstract.

    Raises:
      TypeError: It is a generator, or no function.
    """
    if getattr(handler, "__isabstractmethod__", False):
        return None
    where = f"{cls.__name__}.{cls._handler_name}"
    if inspect.isasyncgenfunction(handler):
        if cls._handler_name != "consume_work":
            raise TypeError(f"{where} can't yield: publish with self.publish_work(...)")
        return "source"
    if inspect.iscoroutinefunction(handler):
        return "async"
    if inspect.isgeneratorfunction(handler):
        raise TypeError(
            f"{where} is a plain generator, whose outputs would be lost: make it `async def` with "
            "`yield` (a source of outputs), or publish with self.publish_work(...)"
        )
    if not (callable(handler) and hasattr(handler, "__get__")):
        raise TypeError(f"{where} must be a method, not {handler!r}")
    return "thread"


def _check_worker(worker: TaskWorker, attribute: Any, value: Any) -> None:
    """Refuse a worker whose settings are out of range, or that can't work. A validator."""
    check_types(worker, attribute, value)
    kind, where = worker._consume_kind, type(worker).__name__
    if kind is None:
        raise TypeError(f"{where} has no {worker._handler_name}(): override it")
    if worker.num_retries < 0:
        raise ValueError(f"{where}.num_retries must be >= 0, not {worker.num_retries}")
    if kind == "source" and worker.num_retries:
        raise ValueError(
            f"{where} is a source, and what it has yielded can't be taken back: "
            f"num_retries must be 0, not {worker.num_retries}"
        )
    if not 0 <= worker.backoff < math.inf:
        raise ValueError(f"{where}.backoff must be a number of seconds >= 0, not {worker.backoff}")
    if not worker.name:
        raise ValueError(f"{where}.name must not be empty")


make_attrs_class(TaskWorker, TaskWorker, eq=False, check=_check_worker)


class InitialTaskWorker(TaskWorker):
    """Stands for whoever submits the initial tasks: all provenance begins with its pair.

    As ``join_type``, it joins all that came from one initial task.
    """

    async def consume_work(self, task: Task) -> None:
        """Is never called."""
