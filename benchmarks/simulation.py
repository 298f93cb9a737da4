"""Times the simulator: one run, and a thousand of them on all processors.

    python -m benchmarks.simulation [--quick] [--rounds N]

A run has 5 workers and 20 jobs: each worker asks each of the others, one after
another, while the others do the same. A job sends an update, sleeps 0.1 virtual
seconds, and returns. All of a run is timed: starting the workers and ending them,
and what the monitor checks. Each run has a seed of its own, so a schedule of its own.

Nothing is asserted: the budget is printed beside what was measured. Times are of
this machine, at this moment. Whatever else runs makes them longer; processor time
suffers less.
"""

import argparse
import multiprocessing
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from time import process_time

import attrs
import trio

from trioworkers import BaseWorker, BusJobRequestMessage, WorkerRunner, job
from trioworkers.testing import simulate

WORKERS = 5
RUNS = 1000
#: Seconds that one run may take.
RUN_BUDGET = 0.010
#: Seconds that `RUNS` runs on two processors may take.
RUNS_BUDGET = 10.0


class Colleague(BaseWorker):
    """Sends an update, takes its time, answers."""

    @job(name="work")
    async def work(self, message: BusJobRequestMessage) -> dict[str, str]:
        """Do one job."""
        await self.send_job_update(message.job_id, {"half": "done"})
        await trio.sleep(0.1)
        return {"done": self.name}


async def twenty_jobs(runner: WorkerRunner) -> None:
    """Let each of `WORKERS` workers ask each of the others."""
    workers = [Colleague(f"w{number}") for number in range(WORKERS)]
    await runner.add_workers(*workers)
    async with trio.open_nursery() as nursery:
        for worker in workers:
            others = [other.name for other in workers if other is not worker]
            nursery.start_soon(_ask, worker, others)


async def _ask(worker: Colleague, others: Sequence[str]) -> None:
    await worker.wait_running()
    for name in others:
        async with worker.job(name, name="work") as asked:
            updates = [event.data async for event in asked]
        assert len(updates) == 1
        assert asked.response == {"done": name}


def run_seeds(seeds: range, clock: Callable[[], float] = time.perf_counter) -> list[float]:
    """Run each seed once; return the seconds that each took, by ``clock``."""
    taken = []
    for seed in seeds:
        start = clock()
        simulate(twenty_jobs, seed=seed)
        taken.append(clock() - start)
    return taken


def run_in_processes(runs: int, processes: int) -> float:
    """Run that many seeds in new processes; return the seconds that all of it took."""
    start = time.perf_counter()
    context = multiprocessing.get_context("spawn")
    shares = [range(part, runs, processes) for part in range(processes)]
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        taken = list(pool.map(run_seeds, shares))
    assert sum(map(len, taken)) == runs
    return time.perf_counter() - start


@attrs.frozen
class Figure:
    """What was measured: seconds of each time, and how many it may take."""

    what: str
    size: str
    unit: str
    per_second: float
    seconds: Sequence[float]
    budget: float

    def row(self) -> str:
        """Return it as a row of a Markdown table."""
        values = [seconds * self.per_second for seconds in self.seconds]
        spread = f"{min(values):,.2f}..{max(values):,.2f}"
        median = f"{statistics.median(values):,.2f}"
        budget = f"{self.budget * self.per_second:g}"
        return f"| {self.what} | {self.size} | {self.unit} | {median} | {spread} | {budget} |"


def measure(*, runs: int, rounds: int, processes: int) -> list[Figure]:
    """Measure single runs, then ``rounds`` times all of ``runs`` in processes."""
    run_seeds(range(max(1, runs // 20)))  # what is done once only
    alone = range(max(1, runs // 4))
    together = [run_in_processes(runs, processes) for _ in range(rounds)]
    size = f"{WORKERS} workers, {WORKERS * (WORKERS - 1)} jobs"
    many = f"{runs:,} x {size}, {processes} new processes"
    return [
        Figure("simulated run", size, "ms", 1e3, run_seeds(alone), RUN_BUDGET),
        Figure("its processor time", size, "ms", 1e3, run_seeds(alone, process_time), RUN_BUDGET),
        Figure("simulated runs", many, "s", 1.0, together, RUNS_BUDGET * runs / RUNS),
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few runs: only see that it works")
    parser.add_argument("--rounds", type=int, help="of all runs; default: 5, or 1 if quick")
    options = parser.parse_args()
    processes = os.cpu_count() or 1
    figures = measure(
        runs=20 if options.quick else RUNS,
        rounds=options.rounds or (1 if options.quick else 5),
        processes=processes,
    )
    where = f"{platform.python_implementation()} {platform.python_version()}"
    print(f"{where}, trio {trio.__version__}, {platform.machine()}; {processes} processors\n")
    print("| what | size | unit | median | spread | budget |")
    print("|---|---|---|---|---|---|")
    for figure in figures:
        print(figure.row())


if __name__ == "__main__":
    main()
