import subprocess
import sys

import pytest
import trio

from trioworkers import BaseWorker, BusJobRequestMessage, JobError, WorkerRunner, job
from trioworkers.testing import JobScript, NeverAnswer, ScriptedWorker, Sleep, Timeline


class Patient(BaseWorker):
    @job(name="ask")
    async def ask(self, message: BusJobRequestMessage) -> dict[str, bool]:
        try:
            await self.call("scripted_worker", name="play", payload=message.payload, timeout=60)
        except JobError:
            return {"answered": False}
        return {"answered": True}


@pytest.mark.trio
@pytest.mark.parametrize(("step", "answered"), [(Sleep(59), True), (NeverAnswer(), False)])
async def test_it_waits_for_a_minute(
    step: Sleep | NeverAnswer,
    answered: bool,
    runner: WorkerRunner,
    scripted_worker: ScriptedWorker,
    timeline: Timeline,
    autojump_clock: trio.abc.Clock,
) -> None:
    await runner.add_workers(Patient("patient"))
    response = await runner.call("patient", name="ask", payload=JobScript((step,)))
    assert response == {"answered": answered}
    cancels = [event for event in timeline.of("scripted_worker") if "JobCancel" in event.detail]
    assert bool(cancels) is not answered
    assert trio.current_time() >= 59  # and it took no time


if __name__ == "__main__":
    quietly = ["-qq", "-o", "console_output_style=classic"]
    subprocess.run([sys.executable, "-m", "pytest", *quietly, __file__], check=True)
# Output: ..
