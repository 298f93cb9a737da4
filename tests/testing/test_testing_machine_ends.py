"""The end of a state machine's run: in order, whatever happens, and without a trace."""

import gc
import itertools
import signal
from contextlib import asynccontextmanager, suppress

import pytest
import trio
from machines import Plain, driving, raises, wait_deaf

from trioworkers.testing import StuckError, seeded_run


@pytest.fixture
def drive():
    with driving() as begin:
        yield begin


class Surrounded(Plain):
    """Notes when its surroundings come and go."""

    def __init__(self, *, waits=False, before=None, after=None):
        super().__init__()
        self.log = []
        self.waits, self.before, self.after = waits, before, after

    @asynccontextmanager
    async def around(self):
        self.log.append("before")
        if self.waits:
            await trio.sleep(1)
        if self.before:
            raise self.before
        try:
            yield
            self.log.append("good end")
        finally:
            self.log.append("after")
        if self.after:
            raise self.after

    async def work(self):
        try:
            await trio.sleep_forever()
        finally:
            self.log.append("work ends")


def test_a_good_example_ends_in_order(drive):
    """Background work first, then what is around it."""
    machine = drive(Surrounded())
    machine.start_soon(machine.work)
    machine.run_until_blocked()
    machine.teardown()
    assert machine.log == ["before", "work ends", "good end", "after"]


def test_a_failed_example_ends_too(drive):
    """By cancellation; its error stays the one that is raised."""
    machine = drive(Surrounded())
    with pytest.raises(KeyError, match="mine") as caught:
        try:
            machine.start_soon(machine.work)
            machine.run_until_blocked()
            raise KeyError("mine")
        finally:
            machine.teardown()
    assert machine.log == ["before", "work ends", "after"]
    assert not hasattr(caught.value, "__notes__")


def test_what_goes_wrong_at_the_end_of_a_failed_example_is_noted(drive):
    """It does not take the place of what failed."""
    machine = drive(Plain())

    async def raise_when_cancelled():
        try:
            await trio.sleep_forever()
        finally:
            raise OSError("moreover this")

    with pytest.raises(KeyError, match="mine") as caught:
        try:
            machine.start_soon(raise_when_cancelled)
            machine.run_until_blocked()
            raise KeyError("mine")
        finally:
            machine.teardown()
    assert "OSError: moreover this" in caught.value.__notes__[0]


def test_errors_around_the_run_are_raised(drive):
    """Bare, on the way in and on the way out."""
    machine = Surrounded(before=KeyError("in"))
    with pytest.raises(KeyError, match="in"):
        machine.begin_run(schedule=0)
    machine.teardown()
    machine = drive(Surrounded(after=KeyError("out")))
    with pytest.raises(KeyError, match="out"):
        machine.teardown()


def test_surroundings_must_not_wait():
    """Nothing would let time pass."""
    machine = Surrounded(waits=True)
    with pytest.raises(StuckError, match=r"around\(\) waits before its yield"):
        machine.begin_run(schedule=0)
    with pytest.raises(StuckError, match=r"around\(\) waits before its yield"):
        machine.start_soon(trio.sleep, 0)
    machine.teardown()


def test_a_machine_runs_once(drive):
    """After its end it says so."""
    machine = drive(Plain())
    machine.teardown()
    with pytest.raises(RuntimeError, match="make a new one"):
        machine.run(trio.sleep, 0)
    machine.teardown()
    Plain().teardown()  # and may never run


def test_a_machine_that_is_not_ended_is_no_harm_to_the_next(drive):
    """As one that a test has driven by hand, and not to its end."""
    left = Plain()
    left.begin_run(schedule=0)
    left.start_soon(wait_deaf)
    machine = drive(Plain())
    machine.run(trio.sleep, 1, within=1)
    with pytest.raises(RuntimeError, match="the run has ended"):
        left.run(trio.sleep, 0)
    left.teardown()


def test_an_error_of_the_run_itself_ends_it(drive):
    """What the surroundings' own background raises comes as Trio gives it."""

    class Crashing(Plain):
        @asynccontextmanager
        async def around(self):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(raises, OSError("down"))
                yield

    machine = Crashing()
    with pytest.RaisesGroup(OSError):
        drive(machine).run_until_blocked()
    with pytest.raises(RuntimeError, match="the run has ended"):
        machine.run_until_blocked()
    machine.teardown()


def test_a_report_that_raises_does_not_leave_the_run_behind(drive):
    """Its error is told, and what it was about is its context."""

    class Speechless(Plain):
        def report(self):
            raise LookupError("no words")

    machine = drive(Speechless())
    machine.start_soon(raises, OSError("to report"))
    machine.start_soon(wait_deaf)
    with pytest.raises(LookupError, match="no words"):
        machine.teardown()
    drive(Plain()).run(trio.sleep, 0)


def test_overriding_teardown_is_refused():
    """It could leave a run behind; the message says what to do."""
    with pytest.raises(TypeError, match=r"Careless overrides teardown\(\); override around\(\)"):

        class Careless(Plain):
            def teardown(self):
                pass


def test_ctrl_c_ends_the_session(drive):
    """It is not taken for a failure of the example."""
    machine = drive(Plain())
    machine.start_soon(trio.sleep_forever)
    signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        machine.advance(1)
    machine.teardown()


async def wait_deaf_in_a_nursery():
    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait_deaf)
        nursery.start_soon(raises, OSError("beside it"))


async def wait_deafer():
    for _ in range(1000):
        with suppress(BaseException):
            await wait_deaf()


async def spin_deaf():
    with trio.CancelScope(shield=True):
        for _ in itertools.count():
            await trio.lowlevel.checkpoint()


@pytest.mark.no_cover  # so many steps
@pytest.mark.parametrize(
    ("work", "said"),
    [
        (wait_deaf, "await trio.sleep_forever()"),
        (wait_deafer, "await trio.sleep_forever()"),
        (spin_deaf, "never blocked"),
    ],
)
def test_what_is_deaf_to_cancellation_is_told_and_ended(drive, work, said):
    """The next run, and the garbage collector, find nothing of it."""
    machine = drive(Plain())
    machine.start_soon(work)
    with pytest.raises(StuckError) as caught:
        machine.teardown()
    assert said in str(caught.value)
    assert work.__name__ in str(caught.value)
    del machine
    gc.collect()
    assert seeded_run(trio.sleep, 5, seed=0) is None
    other = drive(Plain())
    other.run(trio.sleep, 0)
    other.teardown()


def test_what_others_raise_beside_something_deaf_is_not_lost(drive):
    """It may come of ending things by force, so it is a note."""
    machine = drive(Plain())
    machine.start_soon(wait_deaf_in_a_nursery)
    with pytest.raises(StuckError) as caught:
        machine.teardown()
    assert "OSError: beside it" in "\n".join(caught.value.__notes__)


def test_work_that_cleans_up_has_time_to(drive):
    """Virtual time passes at the end, as much as it needs."""
    machine = drive(Plain())
    log = []

    async def clean_up():
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(1000)
            log.append("clean")

    machine.start_soon(clean_up)
    machine.run_until_blocked()
    machine.teardown()
    assert log == ["clean"]


def test_what_is_stuck_may_be_set_free(drive):
    """By a hook, for those who know how; the example fails all the same."""

    class Freeing(Plain):
        def __init__(self):
            super().__init__()
            self.gate = trio.Event()

        async def wait_for_gate(self):
            with trio.CancelScope(shield=True):
                await self.gate.wait()
            raise OSError("free")

        def on_stuck(self):
            self.gate.set()

    machine = drive(Freeing())
    machine.start_soon(machine.wait_for_gate)
    with pytest.raises(StuckError) as caught:
        machine.teardown()
    assert "OSError: free" in "\n".join(caught.value.__notes__)


def test_what_failed_before_it_was_stuck_is_what_is_raised(drive):
    """The one may come of the other."""
    machine = drive(Plain())
    machine.start_soon(wait_deaf)
    machine.start_soon(raises, OSError("first"))
    with pytest.RaisesGroup(OSError) as caught:
        machine.teardown()
    assert "StuckError: the example does not end" in "\n".join(caught.value.__notes__)


def test_a_machine_in_an_except_block_is_not_taken_for_failed(drive):
    """What was caught before has nothing to do with it."""
    before = KeyError("before")
    try:
        raise before
    except KeyError:
        machine = drive(Surrounded())
        machine.teardown()
    assert "good end" in machine.log
    assert not hasattr(before, "__notes__")
