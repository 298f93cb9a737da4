"""The worker that people talk to."""

from collections.abc import Callable, Mapping, Sequence

from trioworkers import JobGroupError, JobOutcome, JobStatus
from trioworkers.ui import BaseUIWorker, BusUIEventMessage

from ..research import ResearchQuery, printable
from ._responder import Responder

#: Searches in hand at once, of all people together.
MAX_SEARCHES = 20
#: Seconds that a search may take.
SEARCH_SECONDS = 600.0


class Desk(BaseUIWorker):
    """Takes what people type, starts a job group for each topic to be researched, and answers.

    Args:
      researchers: The names of the workers that do ``research`` jobs.
      responder: Understands what is typed.
      paths: Files and directories for those researchers that read files.
      tell: Is told in a line what is asked for, and what comes of it.
      name: The worker's name.
    """

    def __init__(
        self,
        researchers: Sequence[str],
        *,
        responder: Responder,
        paths: Sequence[str],
        tell: Callable[[str], None],
        name: str = "desk",
    ) -> None:
        super().__init__(name)
        self._researchers = tuple(researchers)
        self._respond_to = responder.respond
        self._paths = tuple(paths)
        self._tell = tell
        self._in_hand = 0

    async def on_user_text(self, message: BusUIEventMessage) -> None:
        """Say what will be done, and do it: see `Responder`."""
        reply = await self._respond_to(message.payload["content"])
        if self._in_hand + len(reply.topics) > MAX_SEARCHES:
            await self.send_text(
                f"{self._in_hand} searches are in hand: wait until some have ended, or cancel some."
            )
            return
        self._in_hand += len(reply.topics)
        for topic in reply.topics:
            self.nursery.start_soon(self._research, topic)
        await self.send_text(reply.text)

    async def _research(self, topic: str) -> None:
        """See one search through; a person may cancel it."""
        self._tell(f"research {printable(topic)!r}")
        outcomes: Mapping[str, JobOutcome]
        try:
            async with self.user_job_group(
                *self._researchers,
                name="research",
                payload=ResearchQuery(topic, self._paths),
                label=f"Research: {topic}",
                timeout=SEARCH_SECONDS,
                cancel_on_error=False,
            ) as group:
                pass
            outcomes = group.outcomes
        except JobGroupError as error:
            outcomes = error.outcomes
        finally:
            self._in_hand -= 1
        ends = ", ".join(
            f"{name} {_end(outcomes[name])}" for name in self._researchers if name in outcomes
        )
        self._tell(f"research {printable(topic)!r}: {ends}")


def _end(outcome: JobOutcome) -> str:
    """Return how it ended, in a word or two."""
    if outcome.status is JobStatus.COMPLETED and outcome.response:
        return f"found {outcome.response['found']}"
    return str(outcome.status)
