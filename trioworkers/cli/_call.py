"""``trioworkers call``: asks a worker on a bus of many processes to do a job."""

import logging
import signal
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import attrs
import click
import trio

from trioworkers import JobContext, JobError, JobOutcome, JobStatus, WorkerRunner
from trioworkers.errors import known_names

from ._bus_options import (
    PASSWORDS,
    BusOptions,
    bus_faults,
    bus_options,
    say,
    seconds_option,
    show_logs,
)
from ._call_display import CallDisplay, open_display, show_failure
from ._onlooker import new_name
from ._payload import check_sendable, read_payload
from ._sim_display import open_console

if TYPE_CHECKING:
    from trioworkers.bus.redis import RedisBus

#: Exit status, by outcome.
STATUSES = {
    JobStatus.COMPLETED: 0,
    JobStatus.FAILED: 4,
    JobStatus.ERROR: 5,
    JobStatus.CANCELLED: 6,
    JobStatus.TIMED_OUT: 7,
    JobStatus.LOST: 8,
}
#: Seconds after which it is told who is there, while the worker isn't.
PATIENCE = 2.0


@attrs.frozen
class Request:
    """What is asked of whom.

    Attributes:
      worker: Whom.
      job: Which of its jobs; None for `on_job_request`.
      payload: What the job is about.
      timeout: Seconds; None for no limit.
    """

    worker: str
    job: str | None
    payload: dict[str, Any] | None
    timeout: float | None


@attrs.define(eq=False)
class Call:
    """One job. The first signal cancels it and waits for that; the second one leaves.

    Attributes:
      request: What is asked.
      display: Where its events and its response go.
    """

    request: Request
    display: CallDisplay
    _context: JobContext | None = None
    _asking: trio.Event = attrs.field(factory=trio.Event)
    _caught: signal.Signals | None = None
    _scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)

    async def run(self, bus: "RedisBus") -> int:
        """Do the job; return the exit status."""
        status = 0
        failure: BaseException | None = None
        runner = WorkerRunner(name=new_name(), bus=bus)
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._obey, signals)
                nursery.start_soon(self._tell_who_is_there, runner)
                try:
                    with self._scope, bus_faults():
                        async with runner:
                            status = await self._ask(runner)
                # Raised below, in no group. A console whose reader has left exits.
                except (click.ClickException, OSError, SystemExit) as error:
                    failure = error
                nursery.cancel_scope.cancel()
        if failure is not None:
            raise failure
        if self._caught is not None and status != 0:
            return 128 + self._caught
        if self._scope.cancelled_caught and self._caught is not None:
            return 128 + self._caught
        return status

    async def _ask(self, runner: WorkerRunner) -> int:
        request = self.request
        self._context = runner.job(
            request.worker, name=request.job, payload=request.payload, timeout=request.timeout
        )
        self._asking.set()
        try:
            async with self._context as job:
                async for event in job:
                    self.display.show_event(event)
        except JobError as error:
            outcome = error.outcomes.get(request.worker) or JobOutcome(JobStatus.LOST)
            show_failure(request.worker, outcome, error.reason)
            return STATUSES[outcome.status]
        self.display.show_response(self._context.response)
        return 0

    async def _obey(self, signals: AsyncIterator[int]) -> None:
        async for number in signals:
            again, self._caught = self._caught is not None, signal.Signals(number)
            if self._context is None:
                self._scope.cancel(reason=self._caught.name)
            elif not again:
                say("cancelling; once more doesn't wait until it has stopped")
                self._context.group.fail(f"{self._caught.name} at the command line")
            else:
                self._context.group.give_up(0.0)

    async def _tell_who_is_there(self, runner: WorkerRunner) -> None:
        await self._asking.wait()
        await trio.sleep(PATIENCE)
        assert self._context is not None
        if not self._context.group.asked:
            say(
                f"waiting for {self.request.worker!r}; "
                f"workers that are there: {known_names(runner.registry)}"
            )


def _check_worker(_context: click.Context, _parameter: click.Parameter, name: str) -> str:
    if not name:
        raise click.BadParameter("a name has at least one character")
    return name


@click.command(
    epilog=f"""\b
Examples:
  trioworkers call squares square --payload '{{"number": 7}}'
  trioworkers call squares square --payload @job.json --timeout 10
  make-job | trioworkers call squares square --payload - --quiet | jq .square

{PASSWORDS}

Ctrl-C cancels the job and waits until it has stopped; a second Ctrl-C
doesn't wait.

\b
Exit status:
  0    the job has completed
  1    something unforeseen
  2    a wrong option, or the payload is no JSON object; nothing was sent
  3    the bus can't be reached, or refuses us; nothing was sent
  4    the job has failed: its handler says so
  5    its handler has raised; the traceback is on standard error
  6    it was cancelled, but not by us: its worker has stopped
  7    it was not done, or its worker was not there, within --timeout
  8    it was lost: its worker has crashed, or its process can't be reached any more
  128+n  signal n has cancelled it: 130 for Ctrl-C, 143 for SIGTERM
""",
)
@click.argument("worker", callback=_check_worker)
@click.argument("job", required=False)
@bus_options
@click.option(
    "--payload",
    metavar="JSON|@FILE|-",
    callback=read_payload,
    help="What the job is about: a JSON object, in a file or on standard input if that is said.",
)
@seconds_option(
    "--timeout", "Cancel it after this time, waiting for its worker included.  [default: no limit]"
)
@click.option("--quiet", "-q", is_flag=True, help="Write the response alone.")
@click.pass_context
def call(
    context: click.Context,
    worker: str,
    job: str | None,
    where: BusOptions,
    payload: dict[str, Any] | None,
    timeout: float | None,
    quiet: bool,
) -> None:
    """Ask WORKER to do JOB, and wait for it.

    Updates and chunks are written as they come, then the response: on a terminal
    readable, else a line of JSON each, {"type": ..., "data": ...}, whose type is
    update, stream_start, stream_data, stream_end or response.

    A worker that isn't there is waited for.
    """
    check_sendable(worker, job, payload)
    bus = where.open()
    show_logs(logging.WARNING)
    logging.getLogger("trioworkers.jobs").setLevel(logging.ERROR)  # we say who is there
    display = open_display(open_console(), quiet=quiet)
    context.exit(trio.run(Call(Request(worker, job, payload, timeout), display).run, bus))
