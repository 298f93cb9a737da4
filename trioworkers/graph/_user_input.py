"""Asking a person, from a handler: `TaskWorker.request_user_input`."""

import math
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

import attrs
import trio
from trio.lowlevel import current_task, enable_ki_protection

from ..errors import NoAnswerError, StoppedError
from ._attempt import Attempt
from ._calls import call_user, rest
from ._provenance import ProvenanceChain
from ._task import Task

if TYPE_CHECKING:
    from ._worker import TaskWorker

#: Called with the metadata of the initial task, and the request; sync or async.
UserRequestCallback = Callable[[dict[str, Any], "UserRequest"], object]


@attrs.define(eq=False)
class UserRequest:
    """Something that a handler wants to know from a person, and waits for.

    Attributes:
      worker: The name of the task worker.
      provenance: Of the task that it works on.
      task: That task.
      instruction: What to answer, for a person to read. It may have come from anywhere,
        so treat it as text that is not trusted.
      accepted_mime_types: Of what kind the answer may be; ``text/*`` and ``*/*``, too.
    """

    worker: str
    provenance: ProvenanceChain
    task: Task
    instruction: str
    accepted_mime_types: tuple[str, ...]
    _closed: str | None = attrs.field(default=None, init=False)
    _answer: tuple[Any, str] | None = attrs.field(default=None, init=False)
    _done: trio.Event = attrs.field(factory=trio.Event, init=False, repr=False)

    @property
    def is_open(self) -> bool:
        """Whether it is still waited for."""
        return self._closed is None

    def accepts(self, mime_type: object) -> bool:
        """Whether an answer may be of that kind."""
        return isinstance(mime_type, str) and any(
            _matches(mime_type, accepted) for accepted in self.accepted_mime_types
        )

    @enable_ki_protection
    def answer(self, data: Any, mime_type: str) -> None:
        """Answer it; the handler goes on with that.

        In the Trio thread; elsewhere ``trio.from_thread.run_sync(request.answer, ...)``.

        Raises:
          ValueError: The MIME type is not accepted; it is still waited for.
          StoppedError: It was answered before, or nobody waits any more.
        """
        if not self.accepts(mime_type):
            accepted = ", ".join(self.accepted_mime_types)
            raise ValueError(f"{self.worker} accepts {accepted} as an answer, not {mime_type!r}")
        if self._closed is not None:
            raise StoppedError(
                f"the request of {self.worker} {self._closed}", "look at is_open before"
            )
        self._closed = "was answered before"
        self._answer = (data, mime_type)
        self._done.set()

    async def wait(self) -> tuple[Any, str]:
        """Wait for the answer; return it and its MIME type. Always a checkpoint."""
        await self._done.wait()
        assert self._answer is not None
        return self._answer

    def close(self) -> None:
        """Wait no more."""
        if self._closed is None:
            self._closed = "is not waited for any more"


def _matches(mime_type: str, accepted: str) -> bool:
    kind = mime_type.partition(";")[0].strip().lower()
    pattern = accepted.partition(";")[0].strip().lower()
    if pattern.endswith("/*"):
        return pattern == "*/*" or kind.startswith(pattern[:-1])
    return kind == pattern


def make_request(
    worker: "TaskWorker", task: Task, instruction: str, accepted_mime_types: Sequence[str]
) -> UserRequest:
    """Return a request.

    Raises:
      TypeError, ValueError: An argument is wrong.
    """
    where = f"{worker.name}.request_user_input()"
    if not isinstance(task, Task):
        raise TypeError(f"{where} takes a Task first, not {task!r}")
    if not isinstance(instruction, str):
        raise TypeError(f"{where} takes an instruction that is a str, not {instruction!r}")
    if isinstance(accepted_mime_types, str):
        raise TypeError(f"{where} takes a list of MIME types, not {accepted_mime_types!r}")
    accepted = tuple(accepted_mime_types)
    if not accepted or not all("/" in str(one) for one in accepted):
        raise ValueError(f"{where} takes one MIME type or more, such as text/plain, not {accepted}")
    return UserRequest(worker.name, task.provenance(), task, instruction, accepted)


async def ask(
    attempt: Attempt,
    request: UserRequest,
    tell: Callable[[UserRequest], Awaitable[None]],
    timeout: float | None,
) -> tuple[Any, str]:
    """Tell somebody of a request, and wait for the answer. Always a checkpoint.

    The handler's places are free meanwhile, and its runner doesn't count.

    Args:
      attempt: The handler's.
      request: A new one.
      tell: Is awaited; it may answer, or leave it to others.
      timeout: Seconds to wait, >= 0; None for no limit.

    Raises:
      NoAnswerError: There was none in time.
      ValueError: The timeout is out of range.
    """
    if timeout is not None and not timeout >= 0:
        raise ValueError(f"timeout must be >= 0 or None, not {timeout!r}")

    async def wait() -> tuple[Any, str]:
        with trio.move_on_after(math.inf if timeout is None else timeout):
            await tell(request)
            return await request.wait()
        raise NoAnswerError(request.worker, f"within {timeout:g} s")

    try:
        # Only the Trio task that calls the handler can rest, not one that it has started.
        if attempt.node.seat is None or attempt.node.seat.task is not current_task():
            return await wait()
        # Raised after the rest, with the handler's places taken back.
        answer, error = await rest(attempt.run, attempt, lambda: _capture(wait))
        if error is not None:
            raise error
        return answer
    finally:
        request.close()


async def _capture(
    wait: Callable[[], Awaitable[tuple[Any, str]]],
) -> tuple[tuple[Any, str], Exception | None]:
    try:
        return await wait(), None
    except Exception as error:  # noqa: BLE001 - raised by the caller
        return (None, ""), error


def by_callback(
    callback: UserRequestCallback, metadata: dict[str, Any]
) -> Callable[[UserRequest], Awaitable[None]]:
    """Return what tells a callback."""

    async def tell(request: UserRequest) -> None:
        await call_user(callback, metadata, request)

    return tell
