"""What a join does when inputs are missing: pure."""

from collections.abc import Sequence
from typing import Generic, Literal, TypeVar

import attrs

from ..errors import JoinError
from ._failures import TaskFailure
from ._provenance import ProvenanceChain

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")

#: Missing inputs that a join is told of in full; of further ones, how many.
MAX_MISSING = 1000


@attrs.frozen
class AtLeast:
    """A join policy: call the join if there are ``count`` inputs or more; see `at_least`."""

    count: int = attrs.field()

    @count.validator
    def _check(self, _attribute: object, value: object) -> None:
        if type(value) is not int or value < 0:
            raise ValueError(f"at_least takes a number of tasks >= 0, not {value!r}")

    def __str__(self) -> str:
        return f"at_least({self.count})"


def at_least(count: int) -> AtLeast:
    """Let a join do with ``count`` inputs, >= 0, whatever is missing.

    With fewer it fails with a `JoinError`, whether or not something is missing.
    """
    return AtLeast(count)


#: ``"all"``: a missing input fails the join. ``"settled"``: it gets what there is, and
#: what is missing. Or `at_least` so many.
JoinPolicy = Literal["all", "settled"] | AtLeast


def as_policy(policy: object) -> JoinPolicy:
    """Return a `JoinPolicy` as it is.

    Raises:
      ValueError: It is none.
    """
    if isinstance(policy, AtLeast):
        return policy
    if policy == "all":
        return "all"
    if policy == "settled":
        return "settled"
    raise ValueError(f"join_policy must be 'all', 'settled' or at_least(n), not {policy!r}")


class Joined(list[T], Generic[T]):
    """What a join gets: the tasks that have arrived, and what is missing.

    Attributes:
      prefix: The provenance that all of it has in common.
      missing: What failed or was aborted and would have led here; the first 1,000.
      missing_count: How many those are in all.
    """

    def __init__(
        self,
        tasks: Sequence[T] = (),
        *,
        prefix: ProvenanceChain = (),
        missing: Sequence[TaskFailure] = (),
        missing_count: int | None = None,
    ) -> None:
        super().__init__(tasks)
        self.prefix = prefix
        self.missing = tuple(missing)
        self.missing_count = len(self.missing) if missing_count is None else missing_count


class Merged(dict[K, V], Generic[K, V]):
    """What a merge gets: lists of tasks by the name of their type, and what is missing.

    Attributes:
      prefix: The provenance that all of it has in common.
      missing: What failed or was aborted and would have led here; the first 1,000.
      missing_count: How many those are in all.
    """

    prefix: ProvenanceChain = ()
    missing: tuple[TaskFailure, ...] = ()
    missing_count: int = 0


def refusal(policy: JoinPolicy, worker: str, joined: "Joined[T]") -> JoinError | None:
    """Return why a join must not be called, or None if it may."""
    if isinstance(policy, AtLeast):
        lacking = len(joined) < policy.count
    else:
        lacking = policy == "all" and joined.missing_count > 0
    if not lacking:
        return None
    shown = joined.missing
    return JoinError(worker, joined.prefix, len(joined), shown, joined.missing_count, str(policy))
