"""What a property over many schedules should have met: situations, counted per run."""

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum


class Situation(StrEnum):
    """Something that only some schedules bring about.

    ``timeline.exercised`` counts them; each is a plain string, too::

        total = Counter()
        for seed in range(100):
            total += simulate(scenario, seed=seed).timeline.exercised
        assert not unexercised(total, [Situation.CANCEL_MET_RESPONSE])
    """

    OVERTAKING = "a message overtook an older one"
    CANCEL_MET_RESPONSE = "a cancel raced a response"
    CANCEL_CAME_FIRST = "a cancel overtook its request"
    CANCELLED_IN_QUEUE = "a handler was cancelled while it waited for its turn"
    CANCELLED_NESTED = "a cancel reached a nested job"
    COMPLETED_THOUGH_CANCELLED = "a job completed though its cancel had come"
    DEADLINE_MET_OUTCOME = "a deadline passed while the outcome was under way"
    EVENT_AFTER_BLOCK = "an event came after its block was cancelled or left"
    LANE_FULL = "a lane was full"
    OUTCOME_HELD = "an outcome waited for events that were sent before it"
    OUTCOME_OVERTOOK_EVENTS = "an urgent outcome overtook events"
    OUT_OF_CREDIT = "a handler had used up its credit"
    REQUEST_CAME_TWICE = "a request came twice"
    TWO_FAILED = "two members failed at once"
    WORKER_LEFT = "a worker left with a job in flight"


def unexercised(exercised: Counter[str], wanted: Iterable[str] = tuple(Situation)) -> list[str]:
    """Return which of the ``wanted`` situations were never met, in that order.

    Args:
      exercised: Of one timeline, or the sum over many.
      wanted: Names of situations; all there are by default, and any of your own.
    """
    return [str(name) for name in wanted if not exercised[name]]
