"""Bugs that break one promise each, and the search that finds them without knowing them.

``python tests/planted.py`` plants one at a time, lets the harness find and shrink it, and
prints a line for each; with ``--table`` it also puts them into docs/testing.md.
"""

import argparse
import contextvars
import math
import re
import sys
import types
from collections.abc import Callable
from functools import partial
from pathlib import Path

import attrs
import pytest
import trio
from searching import (
    A_GROUP,
    A_QUEUE,
    LEAVING,
    Everywhere,
    Found,
    Search,
    ask_one_that_comes_later,
    leave_by_an_error,
)

from trioworkers import BusJobResponseMessage, JobStatus
from trioworkers.bus import _lanes
from trioworkers.jobs import (
    _events,
    _group,
    _intake,
    _requester,
    _responder,
    _scope,
    _sending,
    _streams,
    _tombstones,
    _turns,
)
from trioworkers.testing import (
    cancel_at_every_checkpoint,
    interrupt_at_every_line,
)
from trioworkers.workers import _faces, _registry

PAGE = Path(__file__).resolve().parents[1] / "docs" / "testing.md"
#: Seconds are of processor time; choices are those of the replay, and of the plan played.
HEAD = (
    "| promise | the bug | found over | after, s | replay | plan |",
    "|---|---|---|---|---|---|",
)


Patch = pytest.MonkeyPatch


@attrs.frozen
class Bug:
    """A bug that can be planted.

    Attributes:
      promise: Which promise it breaks.
      what: What is wrong, for a person to read.
      plant: Plants it.
      search: Searches for it, as for any other.
    """

    promise: str
    what: str
    plant: Callable[[Patch], None]
    search: Search


BUGS: list[Bug] = []


def planted(promise: str, what: str, search: Search) -> Callable[[Callable[[Patch], None]], None]:
    """Enter a bug into `BUGS`: the decorated function plants it."""

    def enter(plant: Callable[[Patch], None]) -> None:
        BUGS.append(Bug(promise, what, plant, search))

    return enter


@planted("P1", "a job is answered twice", A_GROUP)
def answer_twice(patch: Patch) -> None:
    finish = _responder.Responder._finish

    def twice(self, job):
        finish(self, job)
        answer = job.answer
        self.bus.post(
            BusJobResponseMessage(
                job.request.job_id,
                answer.status,
                answer.response,
                seq=job.seq,
                source=self.name,
                target=job.request.source,
            )
        )

    patch.setattr(_responder.Responder, "_finish", twice)


@planted("P1", "a further outcome of a member counts, too", A_GROUP)
def count_further_outcomes(patch: Patch) -> None:
    receive = _group.JobGroup.receive_response

    def count(self, message):
        if message.source not in self.open_members and self.open_members:
            self._settle(message)
        return receive(self, message)

    patch.setattr(_group.JobGroup, "receive_response", count)


@planted("P2", "a block that is cancelled doesn't wait for its handlers", A_GROUP)
def leave_at_once(patch: Patch) -> None:
    async def wait_for_nothing(*_):
        pass

    patch.setattr(_scope, "_wait_stopped", wait_for_nothing)


@planted("P2", "the outcome is sent before the handler has returned", A_GROUP)
def answer_early(patch: Patch) -> None:
    send = _sending.send_response

    async def at_once(responder, job_id, response, status, *, urgent):
        await send(responder, job_id, response, status, urgent=urgent)
        job = responder.active[job_id]
        responder.bus.post(
            BusJobResponseMessage(
                job_id, status, {}, seq=job.seq, source=responder.name, target=job.request.source
            )
        )

    patch.setattr(_faces, "send_response", at_once)


@planted("P2", "a cancel is skipped if the job has sent something", A_GROUP)
def skip_cancel(patch: Patch) -> None:
    cancel = _intake.Intake.cancel

    def skip(self, message):
        job = self.active.get(message.job_id)
        if job is None or not job.seq:
            cancel(self, message)

    patch.setattr(_intake.Intake, "cancel", skip)


@planted("P3", "the third event of a member is dropped", A_GROUP)
def drop_event(patch: Patch) -> None:
    enter = _events.EventBuffer._enter

    def drop(self, stream, message):
        if message.seq != 2:
            enter(self, stream, message)

    patch.setattr(_events.EventBuffer, "_enter", drop)


@planted("P3", "an outcome doesn't wait for what was sent before it", A_GROUP)
def overtake_events(patch: Patch) -> None:
    patch.setattr(_streams.MemberStream, "hold", lambda self, outcome: False)


@planted("P5", "a cancel that comes before its request is forgotten", A_GROUP)
def forget_early_cancel(patch: Patch) -> None:
    patch.setattr(_tombstones.Tombstones, "add", lambda self, cancel: None)


@planted("P5", "the queue of a sequential handler is a stack", A_QUEUE)
def last_come_first_served(patch: Patch) -> None:
    join = _turns.Turns.join

    def push(self, job):
        join(self, job)
        if job in self._queue:
            self._queue.move_to_end(job, last=False)

    patch.setattr(_turns.Turns, "join", push)


@planted("P5", "a message overtakes another one in a lane", A_GROUP)
def overtake_in_lane(patch: Patch) -> None:
    async def take(self):
        first = await self._receive.receive()
        try:
            second = self._receive.receive_nowait()
        except trio.WouldBlock:
            return first
        self._send.send_nowait(first)
        return second

    patch.setattr(_lanes._Lane, "take", take)


@planted("P6", "a member that fails doesn't cancel the others", A_GROUP)
def spare_the_others(patch: Patch) -> None:
    def note(self, message):
        self._reason = "a member failed"

    patch.setattr(_group.JobGroup, "_fail_for", note)


@planted("P6", "what a handler raises looks like a success", A_GROUP)
def hide_failure(patch: Patch) -> None:
    completed = partial(_responder.Answer, JobStatus.COMPLETED, {})
    patch.setattr(_responder, "answer_of", lambda error: completed())


@planted("P7", "handlers see the requester's context", A_GROUP)
def leak_context(patch: Patch) -> None:
    send, accept = _requester.Requester.send, _responder.Responder._accept
    contexts = {}

    def send_with_context(self, group, **options):
        contexts[group.job_id] = contextvars.copy_context()
        send(self, group, **options)

    def accept_in_context(self, message):
        own, self.context = self.context, contexts[message.job_id]
        accept(self, message)
        self.context = own

    patch.setattr(_requester.Requester, "send", send_with_context)
    patch.setattr(_responder.Responder, "_accept", accept_in_context)


@planted("P7", "Ctrl-C loses a wake-up", Everywhere(interrupt_at_every_line, leave_by_an_error))
def lose_wake_up(patch: Patch) -> None:
    wake = _group.JobGroup._all_settled
    copy = types.FunctionType(wake.__code__.replace(), wake.__globals__, wake.__name__)
    patch.setattr(_group.JobGroup, "_all_settled", trio.lowlevel.disable_ki_protection(copy))


@planted("P8", "a producer never runs out of credit", A_GROUP)
def ignore_credit(patch: Patch) -> None:
    active = _responder.ActiveJob
    patch.setattr(
        _responder, "ActiveJob", lambda *args, credit, **kw: active(*args, credit=math.inf, **kw)
    )


@planted(
    "P8",
    "a wait that is cancelled leaves its watch",
    Everywhere(cancel_at_every_checkpoint, ask_one_that_comes_later),
)
def leak_watch(patch: Patch) -> None:
    async def wait_ready(self, *names):
        arrived = trio.Event()

        def check(_):
            if all(name in self for name in names):
                arrived.set()

        check.__module__ = _registry.__name__
        for name in names:
            self.watch(name, check)
        await arrived.wait()
        for name in names:
            self.unwatch(name, check)

    patch.setattr(_registry.WorkerRegistry, "wait_ready", wait_ready)


@planted(
    "P9",
    "a worker that stops leaves its last jobs unanswered",
    LEAVING,
)
def forget_last_jobs(patch: Patch) -> None:
    refuse = _intake.Intake._refuse

    def forget(self, request, answer):
        if self.closed is None:
            refuse(self, request, answer)

    patch.setattr(_intake.Intake, "_refuse", forget)


# Finding them


def find(bug: Bug) -> Found | None:
    """Plant ``bug``, search, and take it out again."""
    with pytest.MonkeyPatch.context() as patch:
        bug.plant(patch)
        return bug.search.search()


def row(bug: Bug, found: Found | None) -> str:
    """Return a line of the table."""
    if found is None:
        return f"| {bug.promise} | {bug.what} | {bug.search.name} | not found | | |"
    script, plans = len(found.choices), found.plan_size or ""
    return (
        f"| {bug.promise} | {bug.what} | {bug.search.name} "
        f"| {found.seconds:.1f} | {script} | {plans} |"
    )


def main() -> None:
    """Find all bugs; exit with 1 if one is not found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", action="store_true", help="put the table into docs/testing.md")
    options = parser.parse_args()
    rows = []
    for bug in BUGS:
        found = find(bug)
        rows.append(row(bug, found))
        print(rows[-1], "" if found is None else found.said, flush=True)
    if options.table:
        page = PAGE.read_text(encoding="utf-8")
        table = "\n".join([*HEAD, *rows])
        page = re.sub(r"(?s)(<!-- planted -->\n).*?(<!-- /planted -->)", rf"\1{table}\n\2", page)
        PAGE.write_text(page, encoding="utf-8")
    sys.exit(any("not found" in line for line in rows))


if __name__ == "__main__":
    main()
