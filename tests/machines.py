"""State machines that tests drive by hand or by Hypothesis, and what their failures say."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import trio
from hypothesis import Phase, settings
from hypothesis.stateful import rule

from trioworkers.testing import TrioStateMachine

#: For searches that find something soon; the phase `explain` takes longer than all others.
QUICK = settings(
    stateful_step_count=15,
    deadline=None,
    database=None,
    derandomize=True,
    report_multiple_bugs=False,
    phases=[Phase.generate, Phase.shrink],
)

#: Rules and invariants that every example has.
DULL = ("begin_run", "begin_deliveries", "promises_are_kept", "holds", "teardown")


class Plain(TrioStateMachine):
    """Has a rule, since there must be one."""

    @rule()
    def let_time_pass(self):
        self.advance(1)


@contextmanager
def driving() -> Iterator[Callable[[TrioStateMachine], TrioStateMachine]]:
    """Give a function that begins machines to drive by hand; end them after the block."""
    machines = []

    def begin(machine):
        machines.append(machine)
        machine.begin_run(schedule=0)
        return machine

    yield begin
    for machine in machines:
        machine.teardown()


def steps_of(error: BaseException) -> list[str]:
    """Return the rules of the falsifying example that an error tells of, in order."""
    lines = "\n".join(error.__notes__).splitlines()
    calls = [line.split("state.", 1)[1].split("(")[0] for line in lines if "state." in line]
    return [call for call in calls if call not in DULL]


async def wait_deaf():
    """Wait for ever, whoever cancels."""
    with trio.CancelScope(shield=True):
        await trio.sleep_forever()


async def raises(error):
    """Raise it."""
    raise error
