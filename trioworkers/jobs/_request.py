"""What is asked: the arguments of the requesting methods, checked once."""

import math
from typing import Any

import attrs

from ..errors import DuplicateWorkerError
from ._payload import to_dict
from ._ports import GroupObserver


@attrs.define
class JobRequest:
    """A checked request to one or more workers.

    Attributes:
      worker_names: Who is asked; distinct, at least one.
      name: Which `@job` handler is meant.
      payload: What the job is about.
      timeout: Seconds for readiness and work together, or None.
      cancel_on_error: Whether one member's failure cancels the others.
      label: What to call it in front of a person.
      cancellable: Whether a person may cancel it.
      cancel_grace: Seconds that a cancelled handler may take to stop.
      single: Whether errors and events are those of a single job.
      observer: Is told what becomes of it, or None.
    """

    worker_names: tuple[str, ...]
    name: str | None = None
    payload: dict[str, Any] | None = None
    timeout: float | None = None
    cancel_on_error: bool = True
    label: str | None = None
    cancellable: bool = True
    cancel_grace: float = math.inf
    single: bool = False
    observer: GroupObserver | None = None


def make_request(
    worker_names: tuple[str, ...],
    *,
    name: str | None = None,
    payload: object = None,
    timeout: float | None = None,
    cancel_on_error: bool = True,
    label: str | None = None,
    cancellable: bool = True,
    cancel_grace: float = math.inf,
    single: bool = False,
    observer: GroupObserver | None = None,
) -> JobRequest:
    """Check the arguments of a request, before anything starts.

    Raises:
      TypeError: An argument has the wrong type.
      ValueError: A name is empty, a duration negative or NaN, or nobody is asked.
      DuplicateWorkerError: A worker is asked twice.
    """
    if not worker_names:
        raise ValueError("a job needs at least one worker name")
    for worker_name in worker_names:
        if type(worker_name) is not str or not worker_name:
            check_name(worker_name, "a worker name")
    if len(worker_names) > 1 and len(set(worker_names)) != len(worker_names):
        twice = next(n for i, n in enumerate(worker_names) if n in worker_names[:i])
        raise DuplicateWorkerError(twice, "this job group")
    if name is not None and (type(name) is not str or not name):
        check_name(name, "a job name")
    if timeout is not None:
        check_seconds(timeout, "timeout")
    if cancel_grace != math.inf:
        check_seconds(cancel_grace, "cancel_grace")
    if label is not None and not isinstance(label, str):
        raise TypeError(f"label must be a str or None, not {label!r}")
    return JobRequest(
        worker_names,
        name,
        payload if type(payload) is dict else to_dict(payload, "the payload of a job"),
        timeout,
        cancel_on_error,
        label,
        cancellable,
        cancel_grace,
        single,
        observer,
    )


def check_name(name: object, what: str) -> None:
    """Refuse what is not a non-empty `str`."""
    if not isinstance(name, str):
        raise TypeError(f"{what} must be a str, not {name!r}")
    if not name:
        raise ValueError(f"{what} must not be empty")


def check_seconds(value: object, what: str) -> None:
    """Refuse what is not a number of seconds >= 0."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{what} must be a number of seconds or None, not {value!r}")
    if not value >= 0:
        raise ValueError(f"{what} must be >= 0 seconds, not {value!r}")


def check_count(value: object, what: str) -> None:
    """Refuse what is not an integer >= 1."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{what} must be an integer, not {value!r}")
    if value < 1:
        raise ValueError(f"{what} must be an integer >= 1, not {value!r}")
