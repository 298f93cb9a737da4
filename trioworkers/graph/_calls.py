"""Calls of handlers that are more than an async function of one task."""

import inspect
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, TypeVar

import trio
from trio.lowlevel import Abort, RaiseCancelT, disable_ki_protection, wait_task_rescheduled

from ..errors import HeldTasksError, TaskAbortedError
from ._attempt import Attempt
from ._failures import TaskFailure
from ._join_policy import Joined, refusal
from ._joins import MergedTaskWorker, merge
from ._limits import take, take_anyway
from ._outputs import commit, put_status
from ._phases import RESTING, RESUMING, RUNNING
from ._sources import Source
from ._states import Extra, outlet_of
from ._stations import Kind, Station
from ._task import Task

if TYPE_CHECKING:
    from ._provenance import Group, Node
    from ._run import GraphRun

T = TypeVar("T")


async def call(run: "GraphRun", attempt: Attempt) -> object:
    """Call a handler that is more than an async function of a task."""
    station, node = attempt.station, attempt.node
    kind, handler = station.kind, station.handler
    assert handler is not None
    if kind is Kind.SOURCE:
        await _draw(run, attempt)
        return None
    argument: Any = node.task
    if kind is Kind.JOIN:
        argument = _joined(attempt)
    elif kind is Kind.WATCH:
        argument = node.chain()
        attempt.inputs = (attempt.parent.task,)
    if station.in_thread:
        return await call_in_thread(run, handler, argument)
    if kind is Kind.NOTIFY:
        extra = node.root.extra
        metadata = extra.metadata if isinstance(extra, Extra) else None
        await call_user(handler, {} if metadata is None else metadata, argument)
        return None
    if kind is Kind.WATCH:
        await call_user(handler, argument)
        return None
    return await handler(argument)


async def call_in_thread(
    run: "GraphRun", handler: Callable[[Any], object], argument: object
) -> object:
    """Call a handler that is a plain ``def``."""
    name = getattr(handler, "__qualname__", None)
    return await trio.to_thread.run_sync(
        _plainly, handler, argument, limiter=run.threads, thread_name=name
    )


def _plainly(handler: Callable[[Any], object], argument: object) -> object:
    result = handler(argument)
    if inspect.iscoroutine(result):
        result.close()
        name = getattr(handler, "__qualname__", repr(handler))
        raise TypeError(
            f"{name} is a plain `def`, so it was called in a thread, but it returned a coroutine. "
            "Make it `async def`; if a decorator is around it, await what it wraps in there"
        )
    return result


def _joined(attempt: Attempt) -> object:
    """Return what a join gets.

    Raises:
      JoinError: Its policy forbids to call it.
    """
    station = attempt.station
    group: Group = attempt.node.task
    rule = station.join
    assert rule is not None
    joined: Joined[Task] = Joined(
        group.tasks,
        prefix=attempt.node.chain(),
        missing=group.missing,
        missing_count=group.missing_count,
    )
    error = refusal(rule.policy, station.name, joined)
    if error is not None:
        raise error
    attempt.inputs = tuple(joined) or (group.node.task,)
    if not isinstance(station.worker, MergedTaskWorker):
        return joined
    merged = merge(station.worker, joined)
    merged.prefix = joined.prefix
    merged.missing = joined.missing
    merged.missing_count = joined.missing_count
    return merged


async def _draw(run: "GraphRun", attempt: Attempt) -> None:
    """Publish what a source yields, while there is room in its window."""
    station, node = attempt.station, attempt.node
    assert station.handler is not None
    source = attempt.source = Source(node.source, run.settings.window)
    outputs: Any = station.handler(node.task)
    try:
        async with aclosing(outputs):
            async for task in outputs:
                if task is not None:
                    attempt.publish(_a_task(station.name, task), None, None)
                if node.aborted or run.is_cancelled:
                    await trio.lowlevel.checkpoint()  # which raises
                try:
                    commit(run, attempt)
                except HeldTasksError as error:  # of the run, no failure of the task
                    run.crash(error)
                    await trio.lowlevel.checkpoint()  # which raises
                if run.runners.ready:
                    run.runners.wake()
                if attempt.statuses is not None:
                    await tell(run, attempt)
                await trio.lowlevel.checkpoint_if_cancelled()
                # While it waits for its places, the window may become full once more.
                while source.is_full:
                    await rest(run, attempt, source.wait_room)
    finally:
        source.close(TaskAbortedError())


async def rest(run: "GraphRun", attempt: Attempt, wait: Callable[[], Awaitable[T]]) -> T:
    """Wait for something in the middle of a handler, without a place meanwhile.

    Others may take the handler's places, of those that may run at once and of
    those that its worker has, and it gets them back before it goes on.

    Args:
      run: The run.
      attempt: The handler's.
      wait: Waits.

    Returns:
      What ``wait`` does.
    """
    node, station, runners = attempt.node, attempt.station, run.runners
    if station.limits:
        node.phase = RESTING
        run.pump(station)
    runners.rest()
    try:
        result = await wait()
        if station.limits and not take(station.limits):
            await _wait_places(node, station)
        node.phase = RUNNING
        await runners.resume()
    except BaseException:
        runners.resting -= 1
        if node.phase == RESTING:
            # It may go on, as it was cancelled by a scope of its own.
            take_anyway(station.limits)
            node.phase = RUNNING
        raise
    return result


async def _wait_places(node: "Node", station: Station) -> None:
    """Wait before all others until a handler may go on."""
    node.phase = RESUMING
    station.line.appendleft(node)

    def leave(_: RaiseCancelT) -> Abort:
        station.line.remove(node)
        node.phase = RESTING
        return Abort.SUCCEEDED

    await wait_task_rescheduled(leave)


async def tell(run: "GraphRun", attempt: Attempt) -> None:
    """Tell the status callback of the initial task what a handler had to say."""
    statuses, attempt.statuses = attempt.statuses, None
    root = attempt.node.root
    outlet = outlet_of(root)
    if outlet is not None:
        for status in statuses or ():
            put_status(run, outlet, attempt, status)
        return
    extra = root.extra
    if not isinstance(extra, Extra) or extra.status_callback is None:
        return
    worker = attempt.station.worker
    metadata = {} if extra.metadata is None else extra.metadata
    for task, message, thing in statuses or ():
        try:
            await call_user(
                extra.status_callback, metadata, (root.pair,), worker, task, message, thing
            )
        except Exception as error:  # noqa: BLE001 - told at the end
            run.keep(root, TaskFailure(worker.name, attempt.node.chain(), task, error, attempts=1))


@disable_ki_protection
async def call_user(function: Callable[..., object], *args: object) -> None:
    """Call a callback, and await what it returns if that can be; Ctrl-C may stop it."""
    result = function(*args)
    if inspect.isawaitable(result):
        await result


def _a_task(name: str, task: object) -> Task:
    if not isinstance(task, Task):
        raise TypeError(f"{name} yielded {task!r}: a source yields tasks, or None")
    return task
