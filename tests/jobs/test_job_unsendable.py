"""What a bus can't encode: an outcome that says so, for one job, and nobody hangs."""

import pytest
import trio
from linked_buses import WireBus
from subscribers import AtDelivery
from support import Asker, Doer, assert_quiet, hosting, run
from trio.testing import wait_all_tasks_blocked

from trioworkers import (
    BusJobRequestMessage,
    BusJobResponseMessage,
    CodecError,
    JobError,
    JobGroupError,
    JobStatus,
    LaneFull,
    MessageCodec,
    TrioWorkersError,
)

THING = object()
UNPAIRED = "\ud800"


def over_wire(**options):
    """Return a bus that encodes and decodes all that it carries."""
    return WireBus(MessageCodec(**options), incarnation="t")


def outcome_of(function, *, bus=None, payload=None):
    """Return the outcome of a job that ``function`` does, seen over a wire."""

    async def check():
        async with hosting(Doer("far", function), bus=bus or over_wire()) as runner:
            context = runner.job("far", name="do", payload=payload)
            try:
                async with context:
                    pass
            except JobError:
                pass
            return context.outcomes["far"]

    return run(check)


def test_a_request_that_cannot_be_encoded():
    """Its member ends as an error that names the field; the others are asked."""

    async def check():
        far = Doer("far")
        async with hosting(far, Doer("near"), bus=over_wire()) as runner:
            context = runner.job_group(
                "far", "near", name="do", payload={"a": THING}, cancel_on_error=False
            )
            async with context:
                pass
            for outcome in context.outcomes.values():
                assert outcome.status is JobStatus.ERROR
                assert outcome.error.type == "CodecError"
                assert "payload.a" in outcome.error.message
            with pytest.raises(JobGroupError, match=r"payload\.a") as caught:
                async with runner.job_group("far", "near", name="do", payload={"a": THING}):
                    await trio.sleep_forever()
            assert caught.value.outcomes["near"].status is JobStatus.CANCELLED
            assert far.begun == []
            assert await runner.call("far", name="do") == {}

    run(check)


def test_a_detached_request_that_cannot_be_encoded():
    """The hooks are told, as of any failure."""

    async def check():
        asker = Asker()
        async with hosting(asker, Doer("far"), bus=over_wire()):
            await asker.request_job("far", name="do", payload={"a": {1: 2}})
            await wait_all_tasks_blocked()
            assert asker.events() == ["response", "error"]
            assert asker.seen[0][1].error.type == "CodecError"

    run(check)


async def return_thing(_worker, _message):
    return {"a": [0, THING]}


async def answer_thing(worker, message):
    await worker.send_job_response(message.job_id, {"a": [0, THING]})


async def answer_thing_urgently(worker, message):
    await worker.send_job_response(message.job_id, {"a": [0, THING]}, urgent=True)


@pytest.mark.parametrize("answer", [return_thing, answer_thing, answer_thing_urgently])
def test_a_response_that_cannot_be_encoded(answer):
    """The outcome is an error that names the field, without the response."""
    outcome = outcome_of(answer)
    assert (outcome.status, outcome.response) == (JobStatus.ERROR, None)
    assert outcome.error.type == "CodecError"
    assert "response.a[1]" in outcome.error.message


async def raise_unpaired(_worker, _message):
    raise JobError(UNPAIRED)


async def raise_at_length(_worker, _message):
    raise ValueError("x" * 2000)


def test_a_failure_that_cannot_be_encoded():
    """Its text does not fit: the outcome is an error that says why."""
    for function, options in ((raise_unpaired, {}), (raise_at_length, {"max_bytes": 900})):
        outcome = outcome_of(function, bus=over_wire(**options))
        assert outcome.status is JobStatus.ERROR
        assert outcome.error.type == "CodecError"


def test_an_outcome_of_which_next_to_nothing_can_be_encoded():
    """Not even why: the status alone goes out."""
    outcome = outcome_of(return_thing, bus=over_wire(max_bytes=150))
    assert (outcome.status, outcome.error) == (JobStatus.ERROR, None)


async def stream_with_faults(worker, message):
    """Send what can be sent, and see the rest refused."""
    refused = 0
    await worker.send_job_update(message.job_id, {"n": 0})
    await worker.send_job_stream_start(message.job_id, {"n": 1})
    for number in range(2, 200):
        with pytest.raises(CodecError, match=r"data\.n"):
            await worker.send_job_stream_data(message.job_id, {"n": THING})
        refused += 1
        await worker.send_job_stream_data(message.job_id, {"n": number})
    for send in (worker.send_job_update, worker.send_job_stream_end):
        with pytest.raises(CodecError, match=r"(update|data)\.n"):
            await send(message.job_id, {"n": THING})
    await worker.send_job_stream_end(message.job_id, {"refused": refused})


def test_events_that_cannot_be_encoded():
    """The sender is told, and no number is used up: all others arrive, in order."""

    async def check():
        async with hosting(Doer("far", stream_with_faults), bus=over_wire()) as runner:
            numbers = []
            async with runner.job("far", name="do") as job:
                async for event in job:
                    numbers.append(event.data.get("n"))
            assert numbers == [*range(200), None]
            assert job.response == {"refused": 198}

    run(check)


async def send_thing(worker, message):
    await worker.send_job_update(message.job_id, {"n": THING})


def test_an_event_that_cannot_be_encoded_ends_a_handler_that_does_not_care():
    """The error is the job's outcome, as any that a handler raises."""
    outcome = outcome_of(send_thing)
    assert (outcome.status, outcome.error.type) == (JobStatus.ERROR, "CodecError")
    assert "update.n" in outcome.error.message


async def wait_for_ever(_worker, _message):
    await trio.sleep_forever()


def test_a_reason_that_cannot_be_encoded():
    """The cancel goes out without it, so the handler stops and the block is left."""

    async def check():
        far = Doer("far", wait_for_ever)
        async with hosting(far, bus=over_wire()) as runner:
            with pytest.raises(JobGroupError):
                async with runner.job_group("far", name="do") as context:
                    await wait_all_tasks_blocked()
                    assert far.running == 1
                    context.group.fail(UNPAIRED)
            assert (far.running, context.outcomes["far"].status) == (0, JobStatus.CANCELLED)

    run(check)


def test_an_error_report_that_cannot_be_encoded(caplog):
    """It is logged and counted here, and told to nobody else."""

    class Failing(Doer):
        async def on_activated(self, args):
            raise TrioWorkersError(UNPAIRED)

    async def check():
        async with hosting(Failing("far"), bus=over_wire(), strict=False) as runner:
            await assert_quiet(runner)
            assert runner.statistics().errors == 1

    run(check)
    assert "not all were told" in caplog.text


def test_a_requester_that_takes_no_outcome():
    """A subscriber that refuses it does not harm the worker."""

    def refuse(message):
        if isinstance(message, BusJobResponseMessage):
            raise LaneFull(("picky",))

    async def check():
        bus, far = over_wire(), Doer("far")
        async with hosting(far, bus=bus) as runner:
            await bus.subscribe(AtDelivery("picky", refuse))
            bus.post(BusJobRequestMessage("j", "do", source="picky", target="far"))
            await wait_all_tasks_blocked()
            assert far.ended == ["j"]
            assert await runner.call("far", name="do") == {}

    run(check)
