"""A base for Hypothesis' state machines whose rules drive a Trio run."""

import math
import sys
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from typing import Any, TypeVar, TypeVarTuple, final

import trio
from hypothesis import currently_in_test_context, note
from hypothesis import strategies as st
from hypothesis.errors import HypothesisException, StopTest
from hypothesis.stateful import RuleBasedStateMachine, initialize

from ..errors import StuckError
from ._determinism import seeded_schedules
from ._guest import GuestRun
from ._started import Started

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

#: What Hypothesis raises to end an example that has not failed.
MARKERS = (StopTest, HypothesisException)
#: Virtual seconds that ending an example may take.
LIMIT = 3600.0


class TrioStateMachine(RuleBasedStateMachine):
    """A rule-based state machine whose rules drive one Trio run per example.

    Rules and invariants are plain functions, and Trio stands still while they
    run. It goes on where they call `run`, `run_until_blocked`, `run_rounds` or
    `advance`, in the same thread; time passes only as they say. Between these
    calls sync functions of Trio work, such as `trio.Event.set`.

    The run begins at the first of these calls, at the latest before the first
    rule; its schedule follows from a number that Hypothesis draws, so that a
    failure replays. It ends with the example: what still runs is cancelled,
    and the exceptions of background work make the example fail. Threads and
    sockets have no place in it.

    Override `around` for what each run needs, and `report` for what a failure
    should show.

    Example::

        class TwoDoors(TrioStateMachine):
            def __init__(self):
                super().__init__()
                self.lock = trio.Lock()
                self.inside = 0

            async def walk(self):
                async with self.lock:
                    self.inside += 1
                    await trio.sleep(1)
                    self.inside -= 1

            @rule()
            def enter(self):
                self.start_soon(self.walk)

            @rule()
            def wait(self):
                self.advance(0.5)

            @invariant()
            def one_at_a_time(self):
                assert self.inside <= 1

        TestTwoDoors = TwoDoors.TestCase
    """

    def __init__(self) -> None:
        super().__init__()
        #: What Hypothesis has raised in background work, to end the example.
        self._marker: BaseException | None = None
        self._guest: GuestRun | None = None
        self._nursery: trio.Nursery | None = None
        self._may_end = trio.Event()
        self._over = False
        self._failures: list[Exception] = []
        self._seeded = ExitStack()
        # Not None where a test runs inside an `except` block.
        self._handled_before = sys.exception()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse a `teardown` of the subclass: it could leave the run behind."""
        super().__init_subclass__(**kwargs)
        if "teardown" in vars(cls):
            raise TypeError(f"{cls.__name__} overrides teardown(); override around() instead")

    # To override

    @asynccontextmanager
    async def around(self) -> AsyncIterator[None]:
        """Surround each run: an async context manager, entered before anything else runs.

        It may start things on the way in, without waiting for time to pass. It
        is left when the background work has been cancelled; by cancellation, if
        the example has failed. So what follows its ``yield``, outside of a
        ``finally``, is the place for checks at the end of each good example.
        """
        yield

    def report(self) -> str:
        """Return what to show with an example that fails. Nothing by default."""
        return ""

    def on_stuck(self) -> None:
        """Hook: set free what doesn't end though it was cancelled. Fails the example anyway."""

    # For rules

    @initialize(schedule=st.integers(0, 2**16 - 1))
    def begin_run(self, schedule: int) -> None:
        """Begin the run, on the schedule that a number stands for."""
        self._running()
        # Hypothesis seeds Trio's choices itself, but the same way each time.
        self._seeded.enter_context(seeded_schedules(schedule))

    @property
    def now(self) -> float:
        """The time on the run's clock, in virtual seconds since it began."""
        return (self._guest or self._running()).clock.current_time()

    def run(self, async_fn: Callable[[*Ts], Awaitable[T]], *args: *Ts, within: float = 0.0) -> T:
        """Run ``async_fn(*args)`` to its end, now; all others go on meanwhile.

        Args:
          async_fn: What to run.
          args: What it is called with.
          within: Virtual seconds that may pass until it has ended, >= 0; no
            more pass than it takes.

        Returns:
          What it returns.

        Raises:
          StuckError: An AssertionError: it waits for something else. It was
            cancelled.
          BaseException: What it raises, as it is.
          ExceptionGroup: What background work has raised meanwhile.
        """
        _check_seconds("within", within)
        started = self._start(async_fn, args, None, background=False)
        try:
            self._go(lambda guest, stop: guest.advance(within, lambda: started.is_done or stop()))
        except BaseException as error:
            if started.error is not None:
                error.add_note(f"Meanwhile {started.name} raised {started.error!r}")
            raise
        if not started.is_done:
            what = f"{started.name} did not end within {within:g} virtual s, at {self.now:g} s"
            stuck = StuckError(what, self._running().where())
            started.cancel()
            self._go(GuestRun.until_blocked)
            raise stuck
        return started.result

    def start_soon(
        self,
        async_fn: Callable[[*Ts], Awaitable[T]],
        *args: *Ts,
        name: str | None = None,
    ) -> Started[T]:
        """Start ``async_fn(*args)`` in the background. It begins when the run goes on.

        What it raises is raised where the run goes on, in an ExceptionGroup;
        cancellation is no error. At the end of the example it is cancelled.

        Args:
          async_fn: What to run.
          args: What it is called with.
          name: What messages call it.
        """
        return self._start(async_fn, args, name, background=True)

    def run_until_blocked(self) -> None:
        """Go on until every Trio task waits for something. Time stands still.

        Raises:
          StuckError: An AssertionError: they go on and on.
          ExceptionGroup: What background work has raised.
        """
        self._go(GuestRun.until_blocked)

    def run_rounds(self, count: int) -> None:
        """Go on for ``count`` >= 1 rounds, in each of which every Trio task takes a step.

        So rules can strike where things are half done.

        Raises:
          ExceptionGroup: What background work has raised.
        """
        if count < 1:
            raise ValueError(f"count must be >= 1, not {count!r}")
        self._go(lambda guest, stop: guest.rounds(count, stop))

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` >= 0 of virtual time pass; what is due happens in order.

        Returns when every Trio task is blocked, at the end of that time.

        Raises:
          StuckError: An AssertionError: some Trio task is never blocked.
          ExceptionGroup: What background work has raised.
        """
        _check_seconds("seconds", seconds)
        self._go(lambda guest, stop: guest.advance(seconds, stop))

    # The run

    def _running(self) -> GuestRun:
        """Return the run; begin it if need be."""
        if self._over or (self._guest is not None and self._guest.ended):
            raise RuntimeError("the run has ended, and a machine runs once: make a new one")
        if self._guest is None:
            self._seeded.enter_context(seeded_schedules(0))
            guest = self._guest = GuestRun(self._live)
            guest.until_blocked(lambda: self._nursery is not None)
            self._raise_problem()
        if self._nursery is None:
            raise StuckError("around() waits before its yield", self._guest.where())
        return self._guest

    async def _live(self) -> None:
        async with self.around(), trio.open_nursery() as nursery:
            self._nursery = nursery
            await self._may_end.wait()
            nursery.cancel_scope.cancel()

    def _start(
        self,
        async_fn: Callable[[*Ts], Awaitable[T]],
        args: tuple[*Ts],
        name: str | None,
        *,
        background: bool,
    ) -> Started[T]:
        self._running()
        started: Started[T] = Started(name or _name_of(async_fn))

        async def work() -> None:
            try:
                with started.scope:
                    started.results.append(await async_fn(*args))
            except trio.Cancelled:
                raise
            except BaseException as error:
                if isinstance(error, BaseExceptionGroup) and error.subgroup(trio.Cancelled):
                    raise
                started.error = error
                if background:
                    self._note_failure(started)
            finally:
                started.is_done = True

        assert self._nursery is not None
        self._nursery.start_soon(work, name=started.name)
        return started

    def _note_failure(self, started: Started[Any]) -> None:
        """Keep an error of background work, to be raised outside."""
        error = started.error
        assert error is not None
        assert self._guest is not None
        if self._guest.dropped:
            return
        if isinstance(error, MARKERS):
            self._marker = error
        elif isinstance(error, Exception):
            error.add_note(f"Raised in the background, by {started.name}, at {self.now:g} s")
            self._failures.append(error)
        else:
            raise error

    def _go(self, go: Callable[[GuestRun, Callable[[], bool]], object]) -> None:
        """Go on as told, and not any further than to the first failure."""
        go(self._running(), lambda: bool(self._failures) or self._marker is not None)
        self._raise_problem()

    def _raise_problem(self) -> None:
        problem = self._take_problem()
        if problem is not None:
            raise problem

    def _take_problem(self) -> BaseException | None:
        """Return what is to be raised of what the run has raised, once; or None."""
        if self._marker is not None:
            return self._marker
        problem: BaseException | None = None
        if self._failures:
            what = f"background work of {type(self).__name__} failed"
            problem = ExceptionGroup(what, _distinct(self._failures))
            self._failures = []
        if self._guest is not None and self._guest.error is not None:
            error, self._guest.error = self._guest.error, None
            if isinstance(error, BaseExceptionGroup) and not error.split(KeyboardInterrupt)[1]:
                return KeyboardInterrupt()  # it is for the test session, not for the example
            problem = _both(problem, error)
        return problem

    # The end

    @final
    def teardown(self) -> None:
        """End the run. Hypothesis calls it at the end of each example.

        Raises:
          StuckError: An AssertionError: something did not end.
          BaseException: What `around` raises.
          ExceptionGroup: What background work has raised.
        """
        guest, self._over = self._guest, True
        failure = sys.exception()
        try:
            if guest is not None:
                self._end(guest, None if failure is self._handled_before else failure)
        finally:
            if guest is not None and not guest.ended:
                guest.abandon()
            self._seeded.close()

    def _end(self, guest: GuestRun, failure: BaseException | None) -> None:
        """End the run; raise what is wrong, or note it on what makes the example fail."""
        problem = failure
        if failure is None:
            self._may_end.set()
            problem = self._wait_end(guest, "the example does not end")
        if problem is not None and not isinstance(problem, MARKERS):
            self._show(problem)
        guest.scope.cancel()
        problem = self._wait_end(guest, "the example does not end, though cancelled", problem)
        if not guest.ended:
            self.on_stuck()
            problem = self._wait_end(guest, "the example does not end, though set free", problem)
        if not guest.ended:
            guest.abandon()
            problem = _both(problem, self._take_problem())
        if failure is None and problem is not None:
            raise problem

    def _wait_end(
        self, guest: GuestRun, what: str, before: BaseException | None = None
    ) -> BaseException | None:
        """Wait until the run has ended; return what is wrong, or was before."""
        stuck = None
        try:
            guest.advance(LIMIT)
            if not guest.ended:
                stuck = StuckError(f"{what} within {LIMIT:g} virtual s", guest.where())
        except StuckError as error:
            stuck = error
        told = isinstance(before, StuckError)
        return _both(before, _both(self._take_problem(), None if told else stuck))

    def _show(self, error: BaseException) -> None:
        text = self.report()
        if text and currently_in_test_context():
            note(text)
        elif text:
            error.add_note(text)


def _name_of(async_fn: object) -> str:
    return str(getattr(async_fn, "__qualname__", async_fn))


def _both(first: BaseException | None, then: BaseException | None) -> BaseException | None:
    """Return the first of two problems, with the other one, which may come of it, as a note."""
    if first is None:
        return then
    if then is not None and then is not first and not isinstance(then, MARKERS):
        told = "".join(traceback.format_exception(then))
        first.add_note(f"Moreover, when the run was ended:\n{told}")
    return first


def _distinct(errors: list[Exception]) -> list[Exception]:
    """Return the first of those that are of one kind and from one line.

    For Hypothesis, groups of two and of three are different failures, each to be
    shrunk by itself.
    """
    first: dict[object, Exception] = {}
    for error in errors:
        place = traceback.extract_tb(error.__traceback__)[-1:]
        kind = (type(error), *[(frame.filename, frame.lineno) for frame in place])
        if first.setdefault(kind, error) is not error:
            first[kind].add_note(f"And once more: {error!r}")
    return list(first.values())


def _check_seconds(name: str, seconds: float) -> None:
    if not 0 <= seconds < math.inf:
        raise ValueError(f"{name} must be finite seconds >= 0, not {seconds!r}")
