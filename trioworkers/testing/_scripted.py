"""A worker that does what its requester's script says."""

from collections import Counter
from typing import Any

import trio

from ..bus import BusJobRequestMessage
from ..jobs import job
from ..workers import BaseWorker
from ._job_scripts import JobScript, Playing


class ScriptedWorker(BaseWorker):
    """Plays a `JobScript`, and counts its handlers by itself.

    Jobs ``play`` run side by side, jobs ``play_in_turn`` one at a time. Each
    event carries its number in the job, from 0, as ``{"number": 0}``, urgent
    ones ``"urgent": True`` too. The response says how many were sent before:
    ``{"sent": 3}``. So a requester sees by itself what was lost. A step that
    sends after the outcome is fixed raises `InactiveJobError`, as in any handler.

    Attributes:
      running: The requests whose handlers run now, oldest first.
      begun: How often a handler has begun, by job id.
      ended: How often one has returned or raised, by job id.

    Args:
      name, active: As in `BaseWorker`.
    """

    def __init__(self, name: str | None = None, *, active: bool = True) -> None:
        super().__init__(name, active=active)
        self.running: list[BusJobRequestMessage] = []
        self.begun: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()

    @job(name="play")
    async def play(
        self, message: BusJobRequestMessage, payload: JobScript
    ) -> dict[str, Any] | None:
        """Play the script that came as payload, at once."""
        return await self._play(message, payload)

    @job(name="play_in_turn", sequential=True)
    async def play_in_turn(
        self, message: BusJobRequestMessage, payload: JobScript
    ) -> dict[str, Any] | None:
        """Play the script that came as payload, when those before have ended."""
        return await self._play(message, payload)

    def working_for(self, job_id: str) -> list[BusJobRequestMessage]:
        """Return the requests whose handlers run now for that job or one nested in it."""
        return [
            request
            for request in self.running
            if job_id in (request.job_id, request.parent_job_id, *request.ancestors)
        ]

    async def _play(
        self, message: BusJobRequestMessage, script: JobScript
    ) -> dict[str, Any] | None:
        playing = Playing(self, message)
        self.running.append(message)
        self.begun[message.job_id] += 1
        try:
            for step in script.steps_of(self.name):
                await step.play(playing)
            answered = message.job_id not in self.active_jobs
            return None if answered else playing.response
        finally:
            if playing.clean_up:
                with trio.move_on_after(playing.clean_up, shield=True):
                    await trio.sleep_forever()
            self.running.remove(message)
            self.ended[message.job_id] += 1
