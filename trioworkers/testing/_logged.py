"""What the library logs in a run, told by the run's timeline instead."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import trio

from ._timeline import Timeline, TimelineEvent

#: Who logs what goes wrong with workers, jobs and messages.
LOGGERS = ("trioworkers.bus", "trioworkers.bus.redis", "trioworkers.jobs", "trioworkers.workers")
#: Who logs what goes wrong between a bus and its server.
SERVER_LOGGERS = ("trioworkers.bus.redis",)


@contextmanager
def logged_to(
    timeline: Timeline, errors: list[BaseException], names: Sequence[str] = LOGGERS
) -> Iterator[None]:
    """Note in ``timeline`` what the library logs inside the block, and log it nowhere else.

    For runs that break things on purpose, thousands of times: the records would
    say nothing new, and those who collect them would keep every run alive.

    Args:
      timeline: Gets the text of each record.
      errors: Gets the exception that a record tells of, if it does.
      names: Whose records.
    """

    def take(record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        text = record.getMessage()
        if error is not None:
            errors.append(error)
            text = f"{text}: {error!r}"
        timeline.events.append(TimelineEvent(trio.current_time(), "logged", "", text))
        return False

    loggers = [logging.getLogger(name) for name in names]
    for logger in loggers:
        logger.addFilter(take)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(take)
