"""State machines that drive a Trio run: they go on as told, and find what is wrong."""

import gc
import itertools
import re
import threading

import pytest
import trio
import trio.testing
from hypothesis import assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from machines import QUICK, Plain, driving, raises, steps_of, wait_deaf

from trioworkers.testing import StuckError, TrioStateMachine, seeded_run


@pytest.fixture
def drive():
    with driving() as begin:
        yield begin


# Going on


def test_time_stands_still_unless_told_otherwise(drive):
    """Each deadline comes at its time, in order; those at the very end, too."""
    machine = drive(Plain())
    log = []

    async def note_at(*times):
        for at in times:
            await trio.sleep_until(at)
            log.append((at, trio.current_time()))

    machine.start_soon(note_at, 0.25, 3, 3.5)
    machine.start_soon(note_at, 1, 2)
    machine.run_until_blocked()
    assert (log, machine.now) == ([], 0)
    machine.advance(0)
    machine.advance(3)
    assert machine.now == 3
    assert log == [(0.25, 0.25), (1, 1), (2, 2), (3, 3)]
    machine.teardown()
    assert len(log) == 4


def test_a_timeout_that_others_set_meanwhile_is_kept(drive):
    """What is due later is found out only on the way."""
    machine = drive(Plain())
    log = []

    async def one_by_one(left):
        await trio.sleep(0.1)
        log.append(trio.current_time())
        if left:
            machine.start_soon(one_by_one, left - 1)

    machine.start_soon(one_by_one, 4)
    machine.advance(0.35)
    assert log == pytest.approx([0.1, 0.2, 0.3])
    machine.teardown()


def test_a_function_runs_to_its_end(drive):
    """It gets its arguments, and the rule gets what it returns or raises, bare."""
    machine = drive(Plain())

    async def add(a, b):
        await trio.lowlevel.checkpoint()
        return a + b

    assert machine.run(add, 1, 2) == 3
    with pytest.raises(KeyError, match="mine"):
        machine.run(raises, KeyError("mine"))
    assert machine.run(add, 3, 4) == 7
    machine.teardown()


def test_a_function_may_take_time_if_it_is_given_some(drive):
    """No more passes than it takes."""
    machine = drive(Plain())
    machine.run(trio.sleep, 5, within=7)
    assert machine.now == 5
    with pytest.raises(StuckError, match=r"sleep did not end within 1 virtual s, at 6 s"):
        machine.run(trio.sleep, 2, within=1)
    machine.teardown()


def test_a_function_that_waits_for_ever_is_told_with_the_line(drive):
    """And it is cancelled: the machine can go on."""
    machine = drive(Plain())
    cancelled = []

    async def wait_for_nobody():
        try:
            await trio.Event().wait()  # here
        finally:
            cancelled.append(True)

    with pytest.raises(StuckError, match="did not end within 0 virtual s") as caught:
        machine.run(wait_for_nobody)
    assert "await trio.Event().wait()  # here" in str(caught.value)
    assert __file__ in str(caught.value)
    assert cancelled == [True]
    machine.run(trio.sleep, 0)
    machine.teardown()


def test_what_never_blocks_is_told(drive):
    """Rather than hang."""
    machine = drive(Plain())

    async def spin():
        for _ in itertools.count():
            await trio.lowlevel.checkpoint()

    spinning = machine.start_soon(spin)
    with pytest.raises(StuckError, match="never blocked, at 0 virtual s"):
        machine.run_until_blocked()
    spinning.cancel()
    machine.run_until_blocked()
    assert spinning.is_done
    machine.teardown()


def test_rounds_stop_where_things_are_half_done(drive):
    """Each lets every Trio task take one step; none is taken when all wait."""
    machine = drive(Plain())
    steps = []

    async def step(name):
        for number in range(3):
            steps.append((name, number))
            await trio.lowlevel.checkpoint()

    machine.run_until_blocked()
    machine.start_soon(step, "a")
    machine.start_soon(step, "b")
    assert steps == []
    machine.run_rounds(1)
    assert sorted(steps) == [("a", 0), ("b", 0)]
    machine.run_rounds(1)
    assert len(steps) == 4
    machine.run_rounds(100)
    assert len(steps) == 6
    machine.teardown()


def test_sync_functions_of_trio_work_between_the_calls(drive):
    """An event that a rule sets is seen when the run goes on."""
    machine = drive(Plain())
    event = trio.Event()
    waiting = machine.start_soon(event.wait)
    machine.run_until_blocked()
    event.set()
    assert not waiting.is_done
    machine.run_until_blocked()
    assert waiting.is_done
    machine.teardown()


def test_waiting_until_all_are_blocked_works_inside(drive):
    """As in any run."""
    machine = drive(Plain())
    log = []

    async def later():
        await trio.testing.wait_all_tasks_blocked()
        log.append("blocked")

    machine.start_soon(later)
    machine.start_soon(trio.sleep, 1)
    machine.run_until_blocked()
    assert log == ["blocked"]
    machine.teardown()


def test_no_thread_is_started(drive):
    """Also where the run waits for time, or for good."""
    before = set(threading.enumerate())
    machine = drive(Plain())
    machine.start_soon(trio.sleep, 1000)
    machine.start_soon(trio.sleep_forever)
    machine.advance(1)
    machine.teardown()
    assert set(threading.enumerate()) == before


@pytest.mark.parametrize("seconds", [-1, float("inf"), float("nan")])
def test_times_are_checked(drive, seconds):
    """Before anything happens."""
    machine = drive(Plain())
    with pytest.raises(ValueError, match="seconds must be finite seconds >= 0"):
        machine.advance(seconds)
    with pytest.raises(ValueError, match="within must be finite seconds >= 0"):
        machine.run(trio.sleep, 0, within=seconds)
    with pytest.raises(ValueError, match="count must be >= 1"):
        machine.run_rounds(0)
    machine.teardown()


# In the background


def test_background_work_has_a_result_or_not(drive):
    """It says which, and why not."""
    machine = drive(Plain())

    async def answer():
        return 42

    answering, waiting = machine.start_soon(answer), machine.start_soon(trio.sleep_forever)
    with pytest.raises(RuntimeError, match="answer has not returned yet"):
        assert answering.result
    machine.run_until_blocked()
    assert answering.result == 42
    waiting.cancel()
    machine.run_until_blocked()
    assert waiting.is_done
    with pytest.raises(RuntimeError, match="sleep_forever was cancelled"):
        assert waiting.result
    machine.teardown()


def test_errors_of_background_work_are_raised_where_the_run_goes_on(drive):
    """As soon as they come, each once, with its name; groups stay groups."""
    machine = drive(Plain())

    async def two():
        await trio.sleep(2)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(raises, KeyError("a"))
            nursery.start_soon(raises, ValueError("b"))

    machine.start_soon(raises, OSError("c"), name="the first")
    failing = machine.start_soon(two)
    with pytest.RaisesGroup(OSError, match="background work of Plain failed") as caught:
        machine.advance(5)
    assert "by the first, at 0 s" in caught.value.exceptions[0].__notes__[0]
    with pytest.RaisesGroup(pytest.RaisesGroup(KeyError, ValueError)):
        machine.advance(5)
    assert machine.now == 2
    with pytest.RaisesGroup(KeyError, ValueError):
        assert failing.result
    machine.advance(5)


def test_errors_of_one_kind_and_line_are_told_as_one(drive):
    """Else Hypothesis takes each number of them for a failure of its own."""
    machine = drive(Plain())
    for number in range(3):
        machine.start_soon(raises, OSError(number))
    with pytest.RaisesGroup(OSError) as caught:
        machine.run_until_blocked()
    assert len(caught.value.exceptions[0].__notes__) == 3


def test_an_error_meanwhile_beats_a_result(drive):
    """What the function itself raised is not lost."""
    machine = drive(Plain())
    machine.start_soon(raises, OSError("behind"))
    with pytest.RaisesGroup(OSError) as caught:
        machine.run(raises, KeyError("mine"))
    assert "Meanwhile raises raised KeyError('mine')" in caught.value.__notes__
    machine.teardown()


def test_an_error_that_nobody_has_seen_fails_the_end(drive):
    """Whether raised before the end or by it."""

    async def raise_when_cancelled():
        try:
            await trio.sleep_forever()
        finally:
            raise OSError("when cancelled")

    machine = drive(Plain())
    machine.start_soon(raise_when_cancelled)
    machine.start_soon(raises, KeyError("before"))
    with pytest.RaisesGroup(OSError, KeyError):
        machine.teardown()


def test_errors_beside_a_cancellation_are_told(drive):
    """Trio gets its part of the group back, and tells the rest."""
    machine = drive(Plain())

    async def raise_when_cancelled():
        try:
            await trio.sleep_forever()
        finally:
            raise OSError("when cancelled")

    async def two():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(raise_when_cancelled)
            nursery.start_soon(trio.sleep_forever)

    machine.start_soon(two)
    machine.run_until_blocked()
    with pytest.RaisesGroup(OSError, flatten_subgroups=True):
        machine.teardown()


# Under Hypothesis


def order(machine):
    """Return in which order ten Trio tasks take five steps each."""
    steps = []

    async def step(number):
        for _ in range(5):
            steps.append(number)
            await trio.lowlevel.checkpoint()

    for number in range(10):
        machine.start_soon(step, number)
    machine.run_until_blocked()
    return steps


def order_of(schedule):
    machine = Plain()
    machine.begin_run(schedule)
    try:
        return order(machine)
    finally:
        machine.teardown()


def test_the_schedule_follows_from_its_number():
    """The same one, the same run; others, others."""
    assert order_of(3) == order_of(3)
    assert len({tuple(order_of(schedule)) for schedule in range(20)}) == 20


def test_trios_own_choices_are_left_as_they_were():
    """A run that follows goes as if there had been no machine."""

    async def between():
        steps = []

        async def step(number):
            steps.append(number)

        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(step, number)
        return steps

    plain = seeded_run(between, seed=8)
    order_of(5)
    assert seeded_run(between, seed=8) == plain


def test_schedules_vary_and_replay():
    """Hypothesis draws them: an order that few schedules have is found, and found again."""

    class Orders(Plain):
        @rule()
        def race(self):
            assert order(self)[:2] != [4, 2]

    with pytest.raises(AssertionError, match=r"\[4, 2") as caught:
        run_state_machine_as_test(Orders, settings=settings(QUICK, max_examples=1000))
    schedule = int(re.search(r"begin_run\(schedule=(\d+)\)", str(caught.value.__notes__))[1])
    races = steps_of(caught.value).count("race")
    machine = Orders()
    with pytest.raises(AssertionError, match=r"\[4, 2"):
        try:
            machine.begin_run(schedule)
            for _ in range(races):
                machine.race()
        finally:
            machine.teardown()


class Doors(TrioStateMachine):
    """A room behind a lock. Without it, two may be inside."""

    locked = True

    def __init__(self):
        super().__init__()
        self.lock = trio.Lock() if self.locked else trio.Semaphore(2)
        self.inside = 0

    def report(self):
        return f"At {self.now:g} s, {self.inside} are inside."

    async def walk(self):
        async with self.lock:
            self.inside += 1
            await trio.sleep(1)
            self.inside -= 1

    @rule()
    def enter(self):
        self.start_soon(self.walk)

    @rule(seconds=st.sampled_from((0.5, 1, 2)))
    def wait(self, seconds):
        self.advance(seconds)

    @invariant()
    def holds(self):
        assert self.inside <= 1


TestDoors = Doors.TestCase
TestDoors.settings = QUICK


def test_a_failure_shrinks_and_is_shown():
    """The steps, and what the machine reports."""

    class Unlocked(Doors):
        locked = False

    with pytest.raises(AssertionError) as caught:
        run_state_machine_as_test(Unlocked, settings=QUICK)
    assert steps_of(caught.value) == ["enter", "enter", "wait"]
    assert "wait(seconds=0.5)" in str(caught.value.__notes__)
    assert "At 0.5 s, 2 are inside." in str(caught.value.__notes__)


def test_a_failure_by_hand_is_shown_too():
    """The shrunk steps are Python that runs; the report is a note then."""
    state = Doors()
    with pytest.raises(OSError, match="mine") as caught:
        try:
            state.begin_run(schedule=0)
            state.enter()
            raise OSError("mine")
        finally:
            state.teardown()
    assert caught.value.__notes__ == ["At 0 s, 0 are inside."]


def test_a_background_failure_shrinks():
    """As an ExceptionGroup."""

    class Limited(Plain):
        left = 2

        @rule()
        def take(self):
            self.start_soon(self.go)

        async def go(self):
            self.left -= 1
            if self.left < 0:
                raise ValueError("none left")

    with pytest.RaisesGroup(ValueError) as caught:
        run_state_machine_as_test(Limited, settings=QUICK)
    assert steps_of(caught.value) == ["take", "take", "take"]


def test_many_failing_examples_leave_nothing():
    """Each leaves work behind that is deaf; still, the next ones and the shrinking work."""

    class Deaf(Plain):
        @rule(number=st.integers(0, 1000))
        def fail(self, number):
            self.start_soon(wait_deaf)
            self.run_until_blocked()
            assert number < 17

    with pytest.raises(AssertionError) as caught:
        run_state_machine_as_test(Deaf, settings=QUICK)
    assert steps_of(caught.value) == ["fail"]
    gc.collect()
    seeded_run(trio.sleep, 1, seed=0)


class Drawing(Plain):
    """Draws and assumes inside the run, in a rule's function and behind it."""

    seen: set[int] = set()

    async def draw(self, data):
        await trio.lowlevel.checkpoint()
        number = data.draw(st.integers(0, 100))
        assume(number != 13)
        self.seen.add(number)
        assert number < 50

    @rule(data=st.data())
    def draw_now(self, data):
        self.run(self.draw, data)

    @precondition(lambda self: self.now > 0)
    @rule(data=st.data())
    def draw_behind(self, data):
        self.start_soon(self.draw, data)
        self.run_until_blocked()


def test_draws_inside_the_run_shrink():
    """And what Hypothesis raises to give an example up is no failure."""
    with pytest.raises((AssertionError, ExceptionGroup)) as caught:
        run_state_machine_as_test(Drawing, settings=QUICK)
    assert steps_of(caught.value)[-1] in ("draw_now", "draw_behind")
    assert 50 in Drawing.seen
    assert 13 not in Drawing.seen


def test_what_is_initialized_before_the_run_begins_it():
    """Rules of the user's may come first, in any order."""

    class Early(Plain):
        @initialize()
        def prepare(self):
            self.run(trio.sleep, 1, within=1)
            self.starts = order(self)

    run_state_machine_as_test(Early, settings=QUICK)
