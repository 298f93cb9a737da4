"""Hypothesis strategies for what is played: job scripts, group plans, topologies.

Each shrinks to the plainest of its kind: a script without steps, a plan whose
body does nothing, a single worker. Strategies are kept once made, since making
them costs more than drawing from them.
"""

import functools
from collections.abc import Iterable, Sequence

import attrs
from hypothesis import strategies as st

from ._job_scripts import (
    Ask,
    AskGroup,
    CleanUp,
    EndStream,
    JobScript,
    NeverAnswer,
    Raise,
    Respond,
    SendChunk,
    SendUpdate,
    Sleep,
    StartStream,
    Step,
)
from ._plans import GroupPlan

#: Few and equal, so that things happen at the same moment; exact as floats.
DURATIONS = (0.0, 0.5, 1.0, 2.0, 3.0)

_seconds = st.sampled_from(DURATIONS)
#: More often none than not: what is cut off soon shows little.
_limits = st.sampled_from((None,) * 10 + DURATIONS)


def job_scripts(
    worker_names: Sequence[str] = (), *, max_depth: int = 2, circular: bool = False
) -> st.SearchStrategy[JobScript]:
    """Return a strategy for what a `ScriptedWorker` does.

    Nothing is sent after the outcome is fixed. Scripts may wait for ever; see
    `GroupPlan.is_bounded`.

    Args:
      worker_names: Whom nested jobs may ask, in order: the job of one asks only
        those after it, so that none can wait for itself.
      max_depth: How deep jobs nest, >= 0.
      circular: Whether any may ask any, of ``worker_names``: then sequential
        jobs can wait for one another.
    """
    names = tuple(worker_names)
    return st.builds(JobScript, _steps(names, max_depth, circular))


@functools.lru_cache(1000)
def _steps(
    names: tuple[str, ...], depth: int, circular: bool
) -> st.SearchStrategy[tuple[Step, ...]]:
    working: list[st.SearchStrategy[Step]] = [
        st.builds(Sleep, _seconds),
        st.builds(SendUpdate, st.integers(1, 5), st.booleans()),
        st.builds(SendChunk, st.sampled_from((1, 3, 40, 100, 200))),
        st.builds(CleanUp, _seconds),
        st.just(StartStream()),
    ]
    if names and depth > 0:
        working.append(st.deferred(lambda: _asks(names, depth - 1, circular)))
        working.append(st.deferred(lambda: _group_asks(names, depth - 1, circular)))
    fixing: list[st.SearchStrategy[Step]] = [
        st.builds(Respond, st.booleans(), st.booleans()),
        st.builds(Raise, st.sampled_from(("JobError", "ValueError"))),
        st.just(NeverAnswer()),
        st.just(EndStream()),
    ]
    return st.builds(
        lambda work, end, after: (*work, *end, *after) if end else tuple(work),
        st.lists(st.one_of(working), max_size=3),
        st.lists(st.one_of(fixing), max_size=1),
        st.lists(st.builds(Sleep, _seconds), max_size=1),
    )


@functools.lru_cache(1000)
def _asks(names: tuple[str, ...], depth: int, circular: bool) -> st.SearchStrategy[Ask]:
    @functools.cache
    def ask(name: str) -> st.SearchStrategy[Ask]:
        steps = _steps(_below(names, (name,), circular), depth, circular)
        return st.builds(
            Ask,
            st.just(name),
            st.builds(JobScript, steps),
            _limits,
            st.booleans(),
            st.booleans(),
        )

    return st.sampled_from(names).flatmap(ask)


@functools.lru_cache(1000)
def _group_asks(names: tuple[str, ...], depth: int, circular: bool) -> st.SearchStrategy[AskGroup]:
    @functools.cache
    def ask(members: tuple[str, ...]) -> st.SearchStrategy[AskGroup]:
        return st.builds(
            AskGroup,
            st.just(members),
            _member_scripts(names, members, depth, circular),
            _limits,
            st.sampled_from((True, False)),
            st.booleans(),
            st.booleans(),
        )

    return _members(names).flatmap(ask)


def _below(names: tuple[str, ...], members: Iterable[str], circular: bool) -> tuple[str, ...]:
    """Return whom all of ``members`` may ask."""
    return names if circular else names[max(map(names.index, members)) + 1 :]


@functools.lru_cache(1000)
def _members(names: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(names), min_size=1, max_size=4, unique=True).map(tuple)


@functools.lru_cache(1000)
def _member_scripts(
    names: tuple[str, ...], members: tuple[str, ...], depth: int, circular: bool
) -> st.SearchStrategy[JobScript]:
    """Return a strategy for one script for all, or one for each."""
    one = st.builds(JobScript, _steps(_below(names, members, circular), depth, circular))
    each = st.tuples(
        *(_steps(_below(names, (name,), circular), depth, circular) for name in members)
    )
    return one | each.map(lambda drawn: JobScript(of=dict(zip(members, drawn, strict=True))))


# Plans and topologies


def group_plans(
    worker_names: Sequence[str], *, max_depth: int = 2, circular: bool = False
) -> st.SearchStrategy[GroupPlan]:
    """Return a strategy for what a requester does with one group.

    Every plan ends by itself, if the others that run with it do.

    Args:
      worker_names: At least one; members, and whom their nested jobs ask.
      max_depth: How deep jobs nest below the group's, >= 0.
      circular: As in `job_scripts`; then plans may not end by themselves.
    """
    names = tuple(worker_names)
    if not names:
        raise ValueError("group_plans() needs at least one worker name")

    @functools.cache
    def plan(members: tuple[str, ...]) -> st.SearchStrategy[GroupPlan]:
        return st.builds(
            GroupPlan,
            members=st.just(members),
            script=_member_scripts(names, members, max_depth, circular),
            timeout=_limits,
            cancel_on_error=st.sampled_from((True, False)),
            in_turn=st.booleans(),
            reads=st.sampled_from((0, None, None, None, 1, 2, 40)),
            pause=st.sampled_from((0.0, 0.01)),
            stays=_seconds,
            raises=st.sampled_from((False, False, False, True)),
            cancel_after=_limits,
        ).map(_bounded)

    return _members(names).flatmap(plan)


def _bounded(plan: GroupPlan) -> GroupPlan:
    return plan if plan.is_bounded else attrs.evolve(plan, timeout=DURATIONS[-1])


def topologies(max_workers: int = 6) -> st.SearchStrategy[dict[str, str | None]]:
    """Return a strategy for workers ``w0``, ``w1``, ..., and their parents or None.

    Parents come before their children; see `add_topology`.

    Args:
      max_workers: How many at most, >= 1.
    """
    names = [f"w{number}" for number in range(max_workers)]

    def parents(count: int) -> st.SearchStrategy[dict[str, str | None]]:
        parents = [st.sampled_from((None, *names[:number])) for number in range(count)]
        return st.tuples(*parents).map(lambda drawn: dict(zip(names, drawn, strict=False)))

    return st.integers(1, max_workers).flatmap(parents)
