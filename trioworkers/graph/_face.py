"""What workers can do while their graph runs: `RunPort`, implemented."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import attrs
import trio

from ..errors import NotAttachedError
from ._attempt import Attempt, current_attempt
from ._display import Display
from ._ports import WatchCallback
from ._provenance import Node, ProvenanceChain, upwards
from ._run import GraphRun
from ._states import Extra, Transaction, committed, extra_of
from ._stations import Kind, watch_station
from ._task import SHORT, Task
from ._terminal import ask_terminal
from ._user_input import UserRequest, UserRequestCallback, ask, by_callback, make_request
from ._worker import TaskWorker


@attrs.define(eq=False)
class RunFace:
    """What the workers of a graph see of its run. All of it may be used in threads.

    Attributes:
      run: The run.
      get_callback: Returns who is told what handlers want to know from a person; None: it
        is put on the terminal.
      display: Shows how the run stands; None if nobody does.
    """

    run: GraphRun
    get_callback: Callable[[], UserRequestCallback | None]
    display: Display | None = None

    def publish(
        self, worker: TaskWorker, task: Task, input_task: Task | None, consumer: TaskWorker | None
    ) -> None:
        """See `TaskWorker.publish_work`."""
        attempt = current_attempt.get()
        if attempt is None or not attempt.is_open or attempt.station.worker is not worker:
            raise self._no_attempt(worker, "publish_work")
        if not isinstance(task, Task):
            raise TypeError(f"{worker.name}.publish_work() takes a Task, not {task!r}")
        if consumer is not None and not isinstance(consumer, TaskWorker):
            raise TypeError(
                f"{worker.name}.publish_work(): consumer= is the worker of this graph that shall "
                f"get the task, the object and not its class or name, not {consumer!r}"
            )
        attempt.publish(task, input_task, consumer)

    def notify_status(
        self, worker: TaskWorker, task: Task, message: str | None, thing: object
    ) -> None:
        """See `TaskWorker.notify_status`."""
        attempt = self._attempt(worker, "notify_status")
        _check_task(worker, "notify_status", task)
        if message is not None and not isinstance(message, str):
            raise TypeError(
                f"{worker.name}.notify_status() takes a message that is a str or None, not "
                f"{message!r}: give it as object="
            )
        if attempt.statuses is None:
            attempt.statuses = []
        attempt.statuses.append((task, message, thing))

    def get_metadata(self, worker: TaskWorker, task: Task) -> dict[str, Any]:
        """See `TaskWorker.get_metadata`."""
        _check_task(worker, "get_metadata", task)
        return dict(self._metadata(task))

    def _metadata(self, task: Task) -> dict[str, Any]:
        root = self._root(task)
        extra = root.extra if root is not None else None
        if not isinstance(extra, Extra) or extra.metadata is None:
            return {}
        return extra.metadata

    def get_state(self, worker: TaskWorker, task: Task) -> dict[str, Any]:
        """See `TaskWorker.get_state`."""
        _check_task(worker, "get_state", task)
        attempt = self._looking(worker, "get_state")
        root = self._root(task)
        if root is None:
            raise _unknown(worker, task.provenance())
        return _state(attempt, root, None)

    def get_worker_state(self, worker: TaskWorker, prefix: ProvenanceChain) -> dict[str, Any]:
        """See `TaskWorker.get_worker_state`."""
        attempt = self._looking(worker, "get_worker_state")
        node = self.run.tree.find(prefix) if attempt is None else _above(attempt, prefix)
        if node is None:
            raise _unknown(worker, prefix)
        return _state(attempt, node, worker)

    def _looking(self, worker: TaskWorker, what: str) -> Attempt | None:
        """Return the attempt that looks at a state; None if it is from outside of the run.

        Raises:
          NotAttachedError: The attempt is over, so that changes would be lost.
          TypeError: It is that of a source.
        """
        attempt = current_attempt.get()
        if attempt is None or attempt.run is not self.run:
            return None
        if not attempt.is_open:
            raise self._no_attempt(worker, what)
        if attempt.station.kind is Kind.SOURCE:
            raise TypeError(
                f"{worker.name}.{what}() was called in {attempt.station.name}, a source, which "
                "can't be run again when another handler has changed the same state: keep the "
                "state in a worker that takes what the source yields, or make consume_work "
                "publish with self.publish_work(...) in place of `yield`"
            )
        return attempt

    def watch(
        self, worker: TaskWorker, prefix: ProvenanceChain, callback: WatchCallback | None
    ) -> bool:
        """See `TaskWorker.watch`."""
        attempt, node = self._watched(worker, prefix, "watch")
        key = (worker, callback)
        if self._is_watched(attempt, node, key):
            return False
        station = watch_station(
            self.run.stations[worker], worker.notify if callback is None else callback
        )
        attempt.watches = [*(attempt.watches or ()), (node, key, station)]
        return True

    def unwatch(
        self, worker: TaskWorker, prefix: ProvenanceChain, callback: WatchCallback | None
    ) -> bool:
        """See `TaskWorker.unwatch`."""
        attempt, node = self._watched(worker, prefix, "unwatch")
        key = (worker, callback)
        if not self._is_watched(attempt, node, key):
            return False
        attempt.watches = [*(attempt.watches or ()), (node, key, None)]
        return True

    def _watched(
        self, worker: TaskWorker, prefix: ProvenanceChain, what: str
    ) -> tuple[Attempt, Node]:
        attempt = self._attempt(worker, what)
        node = _above(attempt, prefix)
        if node is None:
            raise _unknown(worker, prefix)
        return attempt, node

    def _is_watched(self, attempt: Attempt, node: Node, key: object) -> bool:
        for changed, changed_key, station in reversed(attempt.watches or ()):
            if changed is node and changed_key == key:
                return station is not None
        return node.waiting is not None and key in node.waiting

    def trace(self, worker: TaskWorker, prefix: ProvenanceChain) -> None:
        """See `TaskWorker.trace`."""
        attempt = current_attempt.get()
        if attempt is None or attempt.run is not self.run:
            node = self.run.tree.find(prefix)
        else:
            node = _above(attempt, prefix)
        if node is None:
            raise _unknown(worker, prefix)
        if trio.lowlevel.in_trio_task():
            self.run.trace(node)
        else:
            trio.from_thread.run_sync(self.run.trace, node)

    def request_user_input(
        self,
        worker: TaskWorker,
        task: Task,
        instruction: str,
        accepted_mime_types: Sequence[str],
        timeout: float | None,
    ) -> Any:
        """See `TaskWorker.request_user_input`."""
        attempt = self._attempt(worker, "request_user_input")

        async def wait() -> tuple[Any, str | None]:
            request = make_request(worker, task, instruction, accepted_mime_types)
            callback = self.get_callback()
            if callback is None:
                return await ask(attempt, request, self._ask_terminal, timeout)
            tell = by_callback(callback, self._metadata(task))
            return await ask(attempt, request, tell, timeout)

        return wait() if trio.lowlevel.in_trio_task() else trio.from_thread.run(wait)

    async def _ask_terminal(self, request: UserRequest) -> None:
        quiet = nullcontext() if self.display is None else self.display.pause()
        await ask_terminal(request, quiet)

    def print(self, worker: TaskWorker, text: str) -> None:
        """See `TaskWorker.print`."""
        if self.display is None:
            print(text)  # noqa: T201 - what it is for
        else:
            self.display.print(text)

    def _root(self, task: Task) -> Node | None:
        attempt = current_attempt.get()
        if attempt is not None and attempt.run is self.run and attempt.node.task is task:
            return attempt.node.root
        return self.run.tree.roots.get(task.prefix(1)[0]) if task._pair is not None else None

    def _attempt(self, worker: TaskWorker, what: str) -> Attempt:
        attempt = current_attempt.get()
        if attempt is None or not attempt.is_open or attempt.station.worker is not worker:
            raise self._no_attempt(worker, what)
        return attempt

    def _no_attempt(self, worker: TaskWorker, what: str) -> NotAttachedError:
        attempt = current_attempt.get()
        if attempt is None:
            why = "outside of any handler"
        elif not attempt.is_open:
            why = "after the handler had ended"
        else:
            why = f"in a handler of {attempt.station.name!r}"
        return NotAttachedError(
            f"{worker.name}.{what}() was called {why}",
            f"call it while {worker.name}.{worker._handler_name}() runs, from it or from a "
            "thread or Trio task that it waits for",
        )


def _above(attempt: Attempt, prefix: ProvenanceChain) -> Node | None:
    """Return the node of a prefix of what an attempt works on; None if it isn't one."""
    parent = attempt.parent
    if len(prefix) == 1:
        return parent.root if parent.root.pair == prefix[0] else None
    if len(prefix) <= SHORT and parent.task.prefix(len(prefix)) == prefix:
        return attempt.run.tree.find(prefix)  # at the same cost however deep it is
    nodes = list(upwards(parent))
    if len(prefix) > len(nodes):
        return None
    found = nodes[len(nodes) - len(prefix)]
    return found if found.chain() == prefix else None


def _state(attempt: Attempt | None, node: Node, owner: object) -> dict[str, Any]:
    """Return the copy of a state that an attempt has; from outside, the state itself."""
    if attempt is None:
        state = committed(node, owner)
        if state is None:
            extra = extra_of(node)
            extra.states = extra.states or {}
            state = extra.states[owner] = {}
        return state
    if attempt.states is None:
        attempt.states = Transaction()
    return attempt.states.get(node, owner)


def _check_task(worker: TaskWorker, what: str, task: object) -> None:
    if not isinstance(task, Task):
        raise TypeError(
            f"{worker.name}.{what}() takes a Task, not {task!r}: give the one that "
            f"{worker._handler_name}() got"
        )


def _unknown(worker: TaskWorker, prefix: ProvenanceChain) -> ValueError:
    return ValueError(
        f"{worker.name}: {prefix!r} is no prefix of the provenance of what is worked on: take "
        "task.prefix(n), or task.prefix_for_input_task(...)"
    )
