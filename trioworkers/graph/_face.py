"""What workers can do while their graph runs: `RunPort`, implemented."""

from collections.abc import Sequence
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
from ._stations import watch_station
from ._task import Task
from ._terminal import ask_terminal
from ._user_input import UserRequest, UserRequestCallback, ask, by_callback, make_request
from ._worker import TaskWorker


@attrs.define(eq=False)
class RunFace:
    """What the workers of a graph see of its run. All but user input may be used in threads.

    Attributes:
      run: The run.
      ask_user: Is told what handlers want to know from a person; None: the terminal.
      display: Shows how the run stands; None if nobody does.
    """

    run: GraphRun
    ask_user: UserRequestCallback | None = None
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
        attempt.publish(task, input_task, consumer)

    def notify_status(
        self, worker: TaskWorker, task: Task, message: str | None, thing: object
    ) -> None:
        """See `TaskWorker.notify_status`."""
        attempt = self._attempt(worker, "notify_status")
        if attempt.statuses is None:
            attempt.statuses = []
        attempt.statuses.append((task, message, thing))

    def get_metadata(self, worker: TaskWorker, task: Task) -> dict[str, Any]:
        """See `TaskWorker.get_metadata`."""
        root = self._root(worker, task)
        extra = root.extra if root is not None else None
        if not isinstance(extra, Extra) or extra.metadata is None:
            return {}
        return extra.metadata

    def get_state(self, worker: TaskWorker, task: Task) -> dict[str, Any]:
        """See `TaskWorker.get_state`."""
        root = self._root(worker, task)
        if root is None:
            raise _unknown(worker, task.provenance())
        return self._state(root, None)

    def get_worker_state(self, worker: TaskWorker, prefix: ProvenanceChain) -> dict[str, Any]:
        """See `TaskWorker.get_worker_state`."""
        attempt = current_attempt.get()
        if attempt is None or attempt.run is not self.run:
            node = self.run.tree.find(prefix)
        else:
            node = _above(attempt, prefix)
        if node is None:
            raise _unknown(worker, prefix)
        return self._state(node, worker)

    def _state(self, node: Node, owner: object) -> dict[str, Any]:
        attempt = current_attempt.get()
        if attempt is None or attempt.run is not self.run:
            state = committed(node, owner)
            if state is None:
                extra = extra_of(node)
                extra.states = extra.states or {}
                state = extra.states[owner] = {}
            return state
        if attempt.states is None:
            attempt.states = Transaction()
        return attempt.states.get(node, owner)

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

    async def request_user_input(
        self,
        worker: TaskWorker,
        task: Task,
        instruction: str,
        accepted_mime_types: Sequence[str],
        timeout: float | None,
    ) -> tuple[Any, str | None]:
        """See `TaskWorker.request_user_input`."""
        attempt = self._attempt(worker, "request_user_input")
        request = make_request(worker, task, instruction, accepted_mime_types)
        if self.ask_user is None:
            return await ask(attempt, request, self._ask_terminal, timeout)
        tell = by_callback(self.ask_user, self.get_metadata(worker, task))
        return await ask(attempt, request, tell, timeout)

    async def _ask_terminal(self, request: UserRequest) -> None:
        quiet = nullcontext() if self.display is None else self.display.pause()
        await ask_terminal(request, quiet)

    def print(self, worker: TaskWorker, text: str) -> None:
        """See `TaskWorker.print`."""
        if self.display is None:
            print(text)  # noqa: T201 - what it is for
        else:
            self.display.print(text)

    def _root(self, worker: TaskWorker, task: Task) -> Node | None:
        attempt = current_attempt.get()
        if attempt is not None and attempt.run is self.run and attempt.node.task is task:
            return attempt.node.root
        return self.run.tree.roots.get(task.provenance()[0]) if task._pair is not None else None

    def _attempt(self, worker: TaskWorker, what: str) -> Attempt:
        attempt = current_attempt.get()
        if attempt is None or not attempt.is_open or attempt.station.worker is not worker:
            raise self._no_attempt(worker, what)
        return attempt

    def _no_attempt(self, worker: TaskWorker, what: str) -> NotAttachedError:
        attempt = current_attempt.get()
        if attempt is None:
            why = "outside of any handler"
        elif attempt.station.worker is not worker:
            why = f"in a handler of {attempt.station.name!r}"
        else:
            why = "after the handler had ended"
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
    nodes = list(upwards(parent))
    if len(prefix) > len(nodes):
        return None
    found = nodes[len(nodes) - len(prefix)]
    return found if found.chain() == prefix else None


def _unknown(worker: TaskWorker, prefix: ProvenanceChain) -> ValueError:
    return ValueError(
        f"{worker.name}: {prefix!r} is no prefix of the provenance of what is worked on: take "
        "task.prefix(n), or task.prefix_for_input_task(...)"
    )
