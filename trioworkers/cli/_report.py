"""What is known of a research group, while it runs and at its end. Pure."""

from collections.abc import Iterable, Mapping

import attrs

from trioworkers import JobGroupEvent, JobOutcome, JobStatus

from .research import Finding, TopFindings


@attrs.define(eq=False)
class WorkerReport:
    """One researcher's part.

    Attributes:
      name: The worker's.
      top: The best findings so far.
      stage: The researcher's word for what it is doing; ``"waiting"`` at first.
      done, total, found: Counts as the researcher last told them; but ``found``
        counts every finding that has come in.
      skipped: Counts by reason; known when the worker has completed.
      status: None while it runs.
      error: Why it did not complete; empty if it did, or is still to do so.
    """

    name: str
    top: TopFindings
    stage: str = "waiting"
    done: int = 0
    total: int = 0
    found: int = 0
    skipped: dict[str, int] = attrs.field(factory=dict)
    status: JobStatus | None = None
    error: str = ""

    def settle(self, outcome: JobOutcome) -> None:
        """Take in how the job ended."""
        self.status = outcome.status
        if outcome.error is not None:
            self.error = outcome.error.message
        if outcome.response is not None:
            self.skipped = outcome.response.get("skipped", {})

    def to_dict(self) -> dict[str, object]:
        """Return this as JSON values."""
        return {
            "status": self.status,
            "error": self.error or None,
            "searched": self.done - sum(self.skipped.values()),
            "skipped": self.skipped,
            "found": self.found,
            "results": [attrs.asdict(finding) for finding in self.top.ranked()],
        }


@attrs.define(eq=False)
class Report:
    """A research group's progress and, in the end, result.

    Attributes:
      query: What was searched for.
      workers: By name, in the order to show them.
      elapsed: Seconds.
      reason: Why the group as a whole stopped early; empty if it did not.
    """

    query: str
    workers: dict[str, WorkerReport]
    elapsed: float = 0.0
    reason: str = ""

    @classmethod
    def on(cls, query: str, names: Iterable[str], *, limit: int) -> "Report":
        """Return the report of a group that is about to start."""
        return cls(query, {name: WorkerReport(name, TopFindings(limit)) for name in names})

    def add(self, event: JobGroupEvent) -> None:
        """Take in what a worker says."""
        worker, data = self.workers[event.worker_name], event.data or {}
        if event.type == JobGroupEvent.STREAM_DATA:
            worker.top.add([Finding(**data)])
            worker.found += 1
        elif event.type == JobGroupEvent.UPDATE:
            worker.stage, worker.done, worker.total = data["stage"], data["done"], data["total"]

    def settle(self, outcomes: Mapping[str, JobOutcome]) -> None:
        """Take in how each job ended."""
        for name, outcome in outcomes.items():
            self.workers[name].settle(outcome)

    @property
    def complete(self) -> bool:
        """Whether every worker completed."""
        return all(worker.status == JobStatus.COMPLETED for worker in self.workers.values())

    def to_dict(self) -> dict[str, object]:
        """Return this as JSON values."""
        return {
            "query": self.query,
            "complete": self.complete,
            "reason": self.reason or None,
            "elapsed": round(self.elapsed, 3),
            "workers": {name: worker.to_dict() for name, worker in self.workers.items()},
        }
