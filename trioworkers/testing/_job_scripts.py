"""What the handler of a `ScriptedWorker` does: steps, as data that the requester sends."""

from collections.abc import Iterator
from typing import Literal

import attrs
import trio

from ..bus import BusJobRequestMessage, JobStatus
from ..errors import JobError
from ..workers import BaseWorker


@attrs.define(eq=False)
class Playing:
    """One handler that plays a script.

    Attributes:
      worker: Whose handler it is.
      request: What was asked.
      sent: Events that it has sent.
      clean_up: Seconds that it works on, once it is left.
    """

    worker: BaseWorker
    request: BusJobRequestMessage
    sent: int = 0
    clean_up: float = 0

    def next_event(self, *, urgent: bool = False) -> dict[str, object]:
        """Return the data of the next event: its number in the job, from 0."""
        number, self.sent = self.sent, self.sent + 1
        return {"number": number, "urgent": True} if urgent else {"number": number}

    @property
    def response(self) -> dict[str, object]:
        """What completes the job: how many events were sent before."""
        return {"sent": self.sent}


@attrs.frozen
class SendUpdate:
    """Sends ``count`` updates; urgent ones overtake the job's other events."""

    count: int = 1
    urgent: bool = False
    do: Literal["update"] = attrs.field(default="update", kw_only=True, repr=False)

    async def play(self, playing: Playing) -> None:
        """Send them."""
        for _ in range(self.count):
            data = playing.next_event(urgent=self.urgent)
            await playing.worker.send_job_update(playing.request.job_id, data, urgent=self.urgent)


@attrs.frozen
class StartStream:
    """Sends the start of a stream."""

    do: Literal["start"] = attrs.field(default="start", kw_only=True, repr=False)

    async def play(self, playing: Playing) -> None:
        """Send it."""
        await playing.worker.send_job_stream_start(playing.request.job_id, playing.next_event())


@attrs.frozen
class SendChunk:
    """Sends ``count`` chunks."""

    count: int = 1
    do: Literal["chunk"] = attrs.field(default="chunk", kw_only=True, repr=False)

    async def play(self, playing: Playing) -> None:
        """Send them."""
        job_id = playing.request.job_id
        for _ in range(self.count):
            await playing.worker.send_job_stream_data(job_id, playing.next_event())


@attrs.frozen
class EndStream:
    """Ends the stream, which fixes the outcome as completed."""

    do: Literal["end"] = attrs.field(default="end", kw_only=True, repr=False)

    async def play(self, playing: Playing) -> None:
        """Send the end; what it carries is the response, too."""
        data = playing.next_event() | playing.response
        await playing.worker.send_job_stream_end(playing.request.job_id, data)


@attrs.frozen
class Respond:
    """Fixes the outcome; the handler goes on. An urgent one may overtake events."""

    failed: bool = False
    urgent: bool = False
    do: Literal["respond"] = attrs.field(default="respond", kw_only=True, repr=False)

    async def play(self, playing: Playing) -> None:
        """Respond with the number of events that were sent."""
        await playing.worker.send_job_response(
            playing.request.job_id,
            playing.response,
            status=JobStatus.FAILED if self.failed else JobStatus.COMPLETED,
            urgent=self.urgent,
        )


@attrs.frozen
class Raise:
    """Raises: `JobError` makes the job FAILED, ``ValueError`` makes it ERROR."""

    error: Literal["JobError", "ValueError"] = "JobError"
    do: Literal["raise"] = attrs.field(default="raise", kw_only=True, repr=False)

    async def play(self, playing: Playing) -> None:
        """Raise it."""
        await trio.lowlevel.checkpoint()
        raise JobError("by script") if self.error == "JobError" else ValueError("by script")


@attrs.frozen
class Sleep:
    """Sleeps; 0 seconds are a checkpoint."""

    seconds: float = 0.0
    do: Literal["sleep"] = attrs.field(default="sleep", kw_only=True, repr=False)

    async def play(self, playing: Playing) -> None:
        """Sleep."""
        await trio.sleep(self.seconds)


@attrs.frozen
class NeverAnswer:
    """Waits until it is cancelled."""

    do: Literal["never"] = attrs.field(default="never", kw_only=True, repr=False)

    async def play(self, playing: Playing) -> None:
        """Wait."""
        await trio.sleep_forever()


@attrs.frozen
class CleanUp:
    """From now on: works on that long when the handler is left, deaf to cancellation."""

    seconds: float = 1.0
    do: Literal["clean up"] = attrs.field(default="clean up", kw_only=True, repr=False)

    async def play(self, playing: Playing) -> None:
        """Note it for later."""
        playing.clean_up += self.seconds
        await trio.lowlevel.checkpoint()


@attrs.frozen
class Ask:
    """Asks one worker for a nested job, in a block; its failure leaves the handler.

    Attributes:
      worker_name: Whom it asks.
      script: What that one does.
      timeout: Seconds, or None.
      in_turn: Whether it asks for the sequential job.
      reads: Whether it iterates over the events, to their end.
    """

    worker_name: str
    script: "JobScript"
    timeout: float | None = None
    in_turn: bool = False
    reads: bool = False
    do: Literal["ask"] = attrs.field(default="ask", kw_only=True, repr=False)

    async def play(self, playing: Playing) -> None:
        """Ask, and wait for the outcome."""
        async with playing.worker.job(
            self.worker_name,
            name=job_name(in_turn=self.in_turn),
            payload=self.script,
            timeout=self.timeout,
        ) as job:
            if self.reads:
                async for _ in job:
                    pass


@attrs.frozen
class AskGroup:
    """Asks several workers for a nested group; like `Ask`.

    Attributes:
      worker_names: Whom it asks; distinct.
      script: What they do.
      timeout: Seconds, or None.
      cancel_on_error: Whether a member that fails cancels the others.
      in_turn: Whether it asks for the sequential job.
      reads: Whether it iterates over the events, to their end.
    """

    worker_names: tuple[str, ...]
    script: "JobScript"
    timeout: float | None = None
    cancel_on_error: bool = True
    in_turn: bool = False
    reads: bool = False
    do: Literal["ask group"] = attrs.field(default="ask group", kw_only=True, repr=False)

    async def play(self, playing: Playing) -> None:
        """Ask, and wait for all outcomes."""
        async with playing.worker.job_group(
            *self.worker_names,
            name=job_name(in_turn=self.in_turn),
            payload=self.script,
            timeout=self.timeout,
            cancel_on_error=self.cancel_on_error,
        ) as group:
            if self.reads:
                async for _ in group:
                    pass


Step = (
    SendUpdate
    | StartStream
    | SendChunk
    | EndStream
    | Respond
    | Raise
    | Sleep
    | NeverAnswer
    | CleanUp
    | Ask
    | AskGroup
)


@attrs.frozen
class JobScript:
    """What a `ScriptedWorker` does for a job. Send it as the job's payload.

    Attributes:
      steps: What any worker does, one step after the other.
      of: What particular workers do instead, by name.

    Example::

        script = JobScript((SendUpdate(3), Sleep(1.0)), of={"w1": (Raise(),)})
        async with runner.job_group("w0", "w1", name="play", payload=script):
            ...
    """

    steps: tuple[Step, ...] = ()
    of: dict[str, tuple[Step, ...]] = attrs.field(factory=dict)

    def steps_of(self, worker_name: str) -> tuple[Step, ...]:
        """Return what that worker does."""
        return self.of.get(worker_name, self.steps)

    def all_steps(self) -> Iterator[Step]:
        """Yield every step, also those of nested jobs, whoever does them."""
        for steps in (self.steps, *self.of.values()):
            for step in steps:
                yield step
                if isinstance(step, Ask | AskGroup):
                    yield from step.script.all_steps()


def job_name(*, in_turn: bool) -> str:
    """Return the name of the job that plays a script, side by side with others or in turn."""
    return "play_in_turn" if in_turn else "play"
