"""Break each promise on purpose, and see the test that keeps it fail.

``python tests/promises/mutations.py`` copies the package, makes one change at a
time in the copy, and runs the test that should notice. It fails when a test does
not notice, or when the code that a change is about is not there any more. With
``--table`` it prints what docs/promises.md shows.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import attrs

ROOT = Path(__file__).resolve().parents[2]
#: Seconds after which a run counts as hanging, which is one way to notice.
HANGS = 60


@attrs.frozen
class Mutation:
    """One change of the code that breaks a promise.

    Attributes:
      promise: Which one, as in ``P1``.
      what: What the change does, for a person to read.
      file: What is changed, below the package.
      old: The text to replace; all of its occurrences.
      new: What takes its place.
      tests: What must fail.
    """

    promise: str
    what: str
    file: str
    old: str
    new: str
    tests: str


MUTATIONS = [
    Mutation(
        "P1",
        "a second outcome of a member counts too",
        "jobs/_group.py",
        "        if message.source not in self.open_members:\n            return False\n"
        "        # Only",
        "        # Only",
        "tests/jobs/test_job_peers.py::test_two_responses_the_first_wins",
    ),
    Mutation(
        "P1",
        "a handler that returns nothing sends no outcome",
        "jobs/_responder.py",
        "self._conclude(job, await self._call(job))",
        "self._conclude(job, await self._call(job) or await trio.sleep_forever())",
        "tests/jobs/test_job_outcomes.py",
    ),
    Mutation(
        "P2",
        "a block that is left early doesn't wait for its handlers",
        "jobs/_scope.py",
        "    while group.open_members:\n",
        "    while False:\n",
        "tests/jobs/test_cancel_everywhere.py",
    ),
    Mutation(
        "P2",
        "the outcome goes out before the handler has returned",
        "jobs/_sending.py",
        "    responder.sending(job_id).answer = answer\n",
        "    from ..bus import BusJobResponseMessage\n"
        "    job = responder.sending(job_id)\n    job.answer = answer\n"
        "    responder.bus.post(BusJobResponseMessage(job_id, answer.status, answer.response,\n"
        "        source=responder.name, target=job.request.source))\n",
        "tests/jobs/test_job_outcomes.py",
    ),
    Mutation(
        "P3",
        "events are dropped until somebody iterates",
        "jobs/_events.py",
        "        if self.keeping:\n            self.items.append(message)\n",
        "        if self.keeping and self._reader is not None:\n"
        "            self.items.append(message)\n",
        "tests/jobs/test_job_events.py",
    ),
    Mutation(
        "P3",
        "an outcome doesn't wait for events that were sent before it",
        "jobs/_streams.py",
        "        if outcome.seq is None or outcome.seq <= self.expected:\n",
        "        if True:\n",
        "tests/jobs/test_job_peers.py",
    ),
    Mutation(
        "P4",
        "the data lane doesn't yield to system messages",
        "bus/_lanes.py",
        "            while not system and self._system is not None and self._system.queued:\n",
        "            while False:\n",
        "tests/bus/test_bus_lanes.py",
    ),
    Mutation(
        "P5",
        "a cancel that comes before its request is forgotten",
        "jobs/_intake.py",
        "            self.tombstones.add(message)\n",
        "            pass\n",
        "tests/jobs/test_job_cancellation.py",
    ),
    Mutation(
        "P5",
        "a sequential handler's queue is a stack",
        "jobs/_turns.py",
        "            self._queue[job] = None\n",
        "            self._queue[job] = None\n"
        "            self._queue.move_to_end(job, last=False)\n",
        "tests/jobs/test_sequential_handlers.py",
    ),
    Mutation(
        "P6",
        "what a hook raises is swallowed",
        "workers/_hooks.py",
        "        if self.on_error is None:\n            raise error\n"
        "        self.on_error(error)\n",
        "",
        "tests/jobs/test_job_hooks.py",
    ),
    Mutation(
        "P6",
        "what a handler raises looks like a success",
        "jobs/_answers.py",
        "JobStatus.FAILED if _consists_of(error, JobError) else JobStatus.ERROR",
        "JobStatus.COMPLETED",
        "tests/jobs/test_job_outcomes.py",
    ),
    Mutation(
        "P7",
        "cancellation from outside is swallowed while a block is left",
        "jobs/_scope.py",
        "        if body_done:\n            raise exc\n        return False\n",
        "        return True\n",
        "tests/jobs/test_job_cancellation.py",
    ),
    Mutation(
        "P7",
        "Ctrl-C can fall into the enter of a block",
        "jobs/_context.py",
        "    @enable_ki_protection\n    async def __aenter__",
        "    async def __aenter__",
        "tests/jobs/test_ctrl_c.py",
    ),
    Mutation(
        "P7",
        "handlers see the requester's context variables",
        "jobs/_responder.py",
        "self.context.run(self._start, job)",
        "self._start(job)",
        "tests/jobs",
    ),
    Mutation(
        "P8",
        "a producer never waits for credit",
        "jobs/_active.py",
        "    credit: float = math.inf\n",
        "    credit: float = attrs.field(default=math.inf, converter=lambda _: math.inf)\n",
        "tests/jobs/test_job_events.py",
    ),
    Mutation(
        "P8",
        "a requester's hooks may fall behind without end",
        "workers/_hooks.py",
        "        return lanes.full(system=False) or lanes.full(system=True)\n",
        "        return False\n",
        "tests/jobs/test_job_hook_backpressure.py",
    ),
    Mutation(
        "P8",
        "a pool's jobs may wait for one another for ever",
        "jobs/_circles.py",
        "holder.below or job_id in own",
        "job_id in own",
        "tests/workers/test_pool_circles.py",
    ),
    Mutation(
        "P9",
        "a pool hands what waits to a member that is going",
        "jobs/_dispatcher.py",
        "        while self._line and member.is_available:\n",
        "        while self._line:\n",
        "tests/workers/test_pool_crashes.py",
    ),
    Mutation(
        "P9",
        "a worker that has left stays in the registry",
        "workers/_registry.py",
        "            return\n        del self._ready[name]\n",
        "            return\n",
        "tests/workers/test_worker_life.py",
    ),
    Mutation(
        "P9",
        "the jobs of a worker that stops are not answered",
        "jobs/_intake.py",
        "        elif self.closed is not None:\n            self._refuse(message, self.closed)\n",
        "        elif self.closed is not None:\n            pass\n",
        "tests/jobs/test_job_departures.py",
    ),
    Mutation(
        "P10",
        "a pool leaves before its members have stopped",
        "workers/_pool.py",
        "            with trio.CancelScope(shield=True):\n                await worker.wait()\n",
        "",
        "tests/workers/test_pool_endings.py",
    ),
    Mutation(
        "P10",
        "workers run outside the runner's nursery",
        "workers/_runner.py",
        "self._nursery.start_soon(self._run_worker, worker, name=worker.name)",
        "trio.lowlevel.spawn_system_task(self._run_worker, worker)",
        "tests/workers/test_runner_life.py",
    ),
    Mutation(
        "P11",
        "a second subscriber of a name takes it over",
        "bus/_router.py",
        '            raise DuplicateWorkerError(name, "the bus")\n',
        "            pass\n",
        "tests/bus/test_bus_routing.py",
    ),
    Mutation(
        "P11",
        "a worker may be twice in a group",
        "jobs/_request.py",
        "len(set(worker_names)) != len(worker_names)",
        "False",
        "tests/jobs/test_job_definitions.py",
    ),
    Mutation(
        "P12",
        "what a failed attempt has published is seen",
        "graph/_run.py",
        "        attempt.drop()\n        if node.aborted:\n            if not isinstance",
        "        commit(self, attempt)\n        if node.aborted:\n            if not isinstance",
        "tests/graph/test_graph_retries.py",
    ),
    Mutation(
        "P12",
        "of two handlers that have changed one state both succeed",
        "graph/_run.py",
        "        if stale is not None:",
        "        if stale is not None and node is None:",
        "tests/graph/test_graph_states.py",
    ),
    Mutation(
        "P13",
        "what has failed is not missing in any join",
        "graph/_run.py",
        "self._lost(node, station, self._note(node, station, error))",
        "self._note(node, station, error)",
        "tests/graph/test_graph_joins.py",
    ),
    Mutation(
        "P13",
        "a join with the policy 'all' does with what there is",
        "graph/_join_policy.py",
        'lacking = policy == "all" and joined.missing_count > 0',
        "lacking = False",
        "tests/graph/test_graph_joins.py",
    ),
    Mutation(
        "P14",
        "an entry that comes again is delivered again",
        "bus/redis/_reader.py",
        "if number <= heard:",
        "if number < 0:",
        "tests/redis/test_redis_leases.py",
    ),
    Mutation(
        "P14",
        "what was sent when the connection was lost is forgotten",
        "bus/redis/_outbox.py",
        "                if not outgoing.sending:\n                    _fill(outgoing)",
        "                outgoing.sending = []\n                _fill(outgoing)",
        "tests/redis/test_redis_outbox.py",
    ),
    Mutation(
        "P14",
        "a process that is cut off works on for others",
        "bus/redis/_membership.py",
        "            self._on_fading(peer)",
        "            pass",
        "tests/redis/test_redis_leases.py",
    ),
    Mutation(
        "P14",
        "a process whose lease is over does not take the others for gone",
        "bus/redis/_membership.py",
        'self._part(peer.incarnation, f"{self.incarnation} has lost its lease", has_gone=False)',
        "pass",
        "tests/redis/test_redis_leases.py"
        "::test_a_requester_that_is_cut_off_is_released_and_its_handler_stopped",
    ),
    Mutation(
        "P14",
        "nobody looks whether a lease has expired",
        "bus/redis/_lease.py",
        "self.renew_at = min(asked_at + self.seconds / 3, soon)",
        "self.renew_at = asked_at + self.seconds * 0.9",
        "tests/redis/test_redis_leases.py",
    ),
    Mutation(
        "P14",
        "an answer is overtaken by the departure of its worker",
        "bus/redis/_outbox.py",
        "message.is_system and type(message) is not BusWorkerDepartedMessage",
        "message.is_system",
        "tests/redis/test_redis_outbox.py",
    ),
    Mutation(
        "P14",
        "a request that can't be sent is waited for without end",
        "bus/redis/_writer.py",
        "item.due = self._link.patience_ends",
        "pass",
        "tests/redis/test_redis_leases.py",
    ),
    Mutation(
        "P15",
        "a message in the name of somebody else is delivered",
        "bus/redis/_reader.py",
        "        if _is_allowed(peer, message):",
        "        if True:",
        "tests/redis/test_redis_hostile.py",
    ),
    Mutation(
        "P15",
        "a whole number that a peer would read as a float is let in",
        "bus/_codec.py",
        " or find_number_fault(data)",
        "",
        "tests/bus/test_codec_bytes.py",
    ),
    Mutation(
        "P15",
        "bytes that are nested too deep stop the reader",
        "bus/_codec.py",
        "except RecursionError:\n            raise _told(_decoding",
        "except ZeroDivisionError:\n            raise _told(_decoding",
        "tests/bus",
    ),
]


def changed_file(package: Path, mutation: Mutation) -> Path:
    """Return the file that ``mutation`` changes.

    Raises:
      SystemExit: Its text isn't there; then the mutation needs a new one.
    """
    place = package / mutation.file
    files = sorted(place.glob("*.py")) if place.is_dir() else [place]
    for file in files:
        if mutation.old in file.read_text(encoding="utf-8"):
            return file
    raise SystemExit(f"{mutation.promise} ({mutation.what}): not found in {mutation.file}")


def notices(copy: Path, mutation: Mutation) -> str | None:
    """Return how the tests notice ``mutation``, or None if they don't."""
    file = changed_file(copy / "trioworkers", mutation)
    original = file.read_text(encoding="utf-8")
    file.write_text(original.replace(mutation.old, mutation.new), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
    try:
        done = subprocess.run(
            [*command, *mutation.tests.split()],
            cwd=copy,
            env={**os.environ, "PYTHONPATH": str(copy), "CTRL_C_STEP": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=HANGS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "hangs"
    finally:
        file.write_text(original, encoding="utf-8")
    if done.returncode == 0:
        return None
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED ")]
    if done.returncode != 1 or not failed:
        raise SystemExit(f"{mutation.promise} ({mutation.what}): no test ran\n{done.stdout}")
    return failed[0].removeprefix("FAILED ").split(" - ")[0].split("[")[0]


def table() -> str:
    """Return the mutations as docs/promises.md shows them."""
    rows = ["| promise | the code is changed so that | fails in |", "|---|---|---|"]
    rows += [f"| {m.promise} | {m.what} | `{m.tests.split('::')[0]}` |" for m in MUTATIONS]
    return "\n".join(rows) + "\n"


def main() -> None:
    """Try all mutations; exit with 1 if one goes unnoticed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", action="store_true", help="print the table and do nothing")
    parser.add_argument("--only", metavar="PROMISE", help="try the mutations of one promise")
    options = parser.parse_args()
    if options.table:
        print(table(), end="")
        return
    unnoticed = 0
    with tempfile.TemporaryDirectory() as temp:
        copy = Path(temp)
        for name in ("trioworkers", "tests"):
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", copy)
        for mutation in MUTATIONS:
            if options.only in (None, mutation.promise):
                seen = notices(copy, mutation)
                unnoticed += seen is None
                print(f"{mutation.promise:4} {mutation.what}: {seen or 'NOT NOTICED'}", flush=True)
    print(f"{len(MUTATIONS)} mutations, {unnoticed} not noticed")
    sys.exit(bool(unnoticed))


if __name__ == "__main__":
    main()
