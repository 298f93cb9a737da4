"""Updates and streams: nothing lost, in order, and never more than a window unread."""

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from support import Asker, Doer, hosting, on_schedules, run
from trio.testing import wait_all_tasks_blocked

from trioworkers import (
    CREDIT_WINDOW,
    BusJobUpdateMessage,
    JobError,
    JobEvent,
    JobGroupError,
    JobGroupEvent,
    JobStatus,
)


async def stream(worker, message):
    """Stream ``n`` chunks, then end."""
    job_id, n = message.job_id, message.payload["n"]
    await worker.send_job_stream_start(job_id, {"n": n})
    for i in range(n):
        await worker.send_job_stream_data(job_id, {"i": i})
    await worker.send_job_stream_end(job_id, {"total": n})


@on_schedules()
async def test_a_stream_arrives_whole_and_in_order():
    """Start, chunks, end; the end's data is the response."""
    n = 3 * CREDIT_WINDOW + 5
    async with hosting(Doer("doer", stream)) as runner:
        got = []
        async with runner.job("doer", name="do", payload={"n": n}) as context:
            async for event in context:
                got.append(event)
        assert got[0] == JobEvent(JobEvent.STREAM_START, {"n": n})
        assert got[1:-1] == [JobEvent(JobEvent.STREAM_DATA, {"i": i}) for i in range(n)]
        assert got[-1] == JobEvent(JobEvent.STREAM_END, {"total": n})
        assert context.response == {"total": n}


@on_schedules()
async def test_events_of_a_group_name_their_member():
    """Order is kept per worker; all arrive."""
    one, two = Doer("one", stream), Doer("two", stream)
    async with hosting(one, two) as runner:
        got = {"one": [], "two": []}
        async with runner.job_group("one", "two", name="do", payload={"n": 100}) as group:
            async for event in group:
                assert isinstance(event, JobGroupEvent)
                got[event.worker_name].append(event.type)
        expected = ["stream_start", *["stream_data"] * 100, "stream_end"]
        assert got == {"one": expected, "two": expected}


@on_schedules()
async def test_updates_sent_before_anyone_iterates_are_kept():
    """Events from before the loop come first in it."""

    async def updates(worker, message):
        for i in range(10):
            await worker.send_job_update(message.job_id, {"i": i})

    async with hosting(Doer("doer", updates)) as runner:
        async with runner.job("doer", name="do") as context:
            await trio.sleep(5)
            got = [event.data["i"] async for event in context]
        assert got == list(range(10))


@on_schedules()
async def test_a_job_that_nobody_iterates_completes():
    """Unread events are discarded and counted on leaving; the stream goes on."""
    n = 5 * CREDIT_WINDOW
    doer, asker = Doer("doer", stream), Doer("asker")
    async with hosting(doer, asker):
        assert await asker.call("doer", name="do", payload={"n": n}) == {"total": n}
        start = trio.current_time()
        async with asker.job("doer", name="do", payload={"n": n}) as context:
            await trio.sleep(1)
        assert context.response == {"total": n}
        assert trio.current_time() == start + 1
        assert asker.statistics().discarded_events == CREDIT_WINDOW


@on_schedules()
async def test_a_block_left_in_the_middle_counts_what_was_not_read():
    """Also what the reader had been given together with what it read; the stream goes on."""
    n = CREDIT_WINDOW // 2 + 10
    doer, asker = Doer("doer", stream), Doer("asker")
    async with hosting(doer, asker):
        async with asker.job("doer", name="do", payload={"n": n}) as context:
            await trio.sleep(1)
            assert (await anext(context)).type == JobEvent.STREAM_START
            got = [(await anext(context)).data["i"] for _ in range(5)]
            with trio.CancelScope() as scope:
                scope.cancel()
                await anext(context)
            assert scope.cancelled_caught
            got.append((await anext(context)).data["i"])
        assert got == list(range(6))
        assert context.response == {"total": n}
        assert asker.statistics().discarded_events == n - 6 + 1  # and the end of the stream
        with pytest.raises(RuntimeError, match="inside its block"):
            await anext(context)


@on_schedules()
async def test_a_slow_consumer_slows_its_producer():
    """At most a window of events is unread at any time."""
    sent = read = 0
    most = 0

    async def produce(worker, message):
        nonlocal sent, most
        for i in range(4 * CREDIT_WINDOW):
            await worker.send_job_stream_data(message.job_id, {"i": i})
            sent += 1
            most = max(most, sent - read)

    async with hosting(Doer("doer", produce)) as runner:
        got = []
        async with runner.job("doer", name="do") as context:
            async for event in context:
                got.append(event.data["i"])
                read += 1
                await trio.sleep(0.01)
        assert got == list(range(4 * CREDIT_WINDOW))
        assert CREDIT_WINDOW // 2 <= most <= CREDIT_WINDOW


@on_schedules()
async def test_a_producer_that_nobody_reads_waits():
    """Without an iterator inside the block, a window is all that is sent."""
    sent = 0

    async def produce(worker, message):
        nonlocal sent
        for i in range(2 * CREDIT_WINDOW):
            await worker.send_job_stream_data(message.job_id, {"i": i})
            sent += 1

    async with hosting(Doer("doer", produce)) as runner:
        async with runner.job("doer", name="do"):
            await wait_all_tasks_blocked()
            assert sent == CREDIT_WINDOW
        assert sent == 2 * CREDIT_WINDOW


@on_schedules()
async def test_a_producer_that_waits_for_credit_can_be_cancelled():
    """Leaving with an error stops a handler that waits for a reader."""
    doer = Doer("doer", stream)
    async with hosting(doer) as runner:
        with pytest.raises(KeyError):
            async with runner.job("doer", name="do", payload={"n": 1000}):
                await wait_all_tasks_blocked()
                assert doer.running == 1
                raise KeyError
        assert doer.running == 0


@on_schedules()
async def test_an_answer_while_another_task_waits_for_credit():
    """What waited for credit is refused once the outcome is fixed: nothing follows it."""
    refused = []

    async def answers(worker, message):
        async def floods():
            try:
                while True:
                    await worker.send_job_update(message.job_id, {})
            except RuntimeError as error:
                refused.append(error)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(floods)
            await trio.sleep(1)
            await worker.send_job_stream_end(message.job_id, {}) if message.payload[
                "end"
            ] else await worker.send_job_response(message.job_id, {})

    for end in (False, True):
        async with hosting(Doer("doer", answers)) as runner:
            async with runner.job("doer", name="do", payload={"end": end}) as context:
                await trio.sleep(2)
            assert context.outcomes["doer"].status is JobStatus.COMPLETED
            assert "no active job" in str(refused.pop())


@on_schedules()
async def test_urgent_updates_overtake_nothing_that_matters():
    """All events arrive once; those that are not urgent keep their order."""

    async def mixed(worker, message):
        for i in range(200):
            await worker.send_job_update(message.job_id, {"i": i}, urgent=i % 3 == 0)

    async with hosting(Doer("doer", mixed)) as runner:
        async with runner.job("doer", name="do") as context:
            got = [event.data["i"] async for event in context]
        assert sorted(got) == list(range(200))
        assert [i for i in got if i % 3] == [i for i in range(200) if i % 3]


@on_schedules()
async def test_an_urgent_response_ends_the_iteration():
    """What is in by then is still read."""

    async def urgent(worker, message):
        await worker.send_job_update(message.job_id, {"i": 0})
        await worker.send_job_response(message.job_id, {"done": True}, urgent=True)

    asker = Asker()
    async with hosting(Doer("doer", urgent), asker):
        async with asker.job("doer", name="do") as context:
            got = [event.data["i"] async for event in context]
        assert got == [0]
        assert context.response == {"done": True}
        await wait_all_tasks_blocked()
        assert sorted(asker.events()) == ["completed", "response", "update"]


@on_schedules()
async def test_a_failure_ends_the_iteration():
    """The body is cut off in the loop; the block raises."""

    async def fails(worker, message):
        await worker.send_job_update(message.job_id, {"i": 0})
        await trio.sleep(1)
        raise ValueError("after an update")

    async with hosting(Doer("doer", fails)) as runner:
        got = []
        with pytest.raises(JobError, match="after an update"):
            async with runner.job("doer", name="do") as context:
                async for event in context:
                    got.append(event.data)
                pytest.fail("the loop must not end as if all were well")
        assert got == [{"i": 0}]


@on_schedules()
async def test_without_cancel_on_error_the_loop_goes_on():
    """The other members' events still come."""

    async def one(_worker, _message):
        raise ValueError("at once")

    async with hosting(Doer("one", one), Doer("two", stream)) as runner:
        async with runner.job_group(
            "one", "two", name="do", payload={"n": 70}, cancel_on_error=False
        ) as group:
            got = [event.type async for event in group]
        assert len(got) == 72
        assert {n: o.status for n, o in group.outcomes.items()} == {
            "one": JobStatus.ERROR,
            "two": JobStatus.COMPLETED,
        }


# Iterating wrongly


@on_schedules(10)
async def test_two_iterators_at_once_are_refused():
    """Each event goes to one reader, so a second one is a mistake."""
    refused = []

    async with hosting(Doer("doer", stream)) as runner:
        async with runner.job("doer", name="do", payload={"n": 1}) as context:

            async def second():
                try:
                    async for _ in context:
                        pass
                except RuntimeError as error:
                    refused.append(str(error))

            async with trio.open_nursery() as nursery:
                nursery.start_soon(second)
                nursery.start_soon(second)
        assert refused == ["the events of a job are already iterated by another Trio task"]


@on_schedules(10)
async def test_two_tasks_that_share_an_iterator_are_refused():
    """Even one iterator can't be waited on twice at once."""

    async def never(_worker, _message):
        await trio.sleep(1)

    refused = []
    async with hosting(Doer("doer", never)) as runner:
        async with runner.job("doer", name="do") as context:
            events = aiter(context)

            async def step():
                try:
                    await anext(events, None)
                except RuntimeError as error:
                    refused.append(str(error))

            async with trio.open_nursery() as nursery:
                nursery.start_soon(step)
                nursery.start_soon(step)
        assert refused == ["the events of a job are already being iterated"]


@on_schedules(10)
async def test_iterating_outside_the_block_is_refused():
    """Before, it is too early; after, the events are gone."""
    async with hosting(Doer("doer", stream)) as runner:
        context = runner.job("doer", name="do", payload={"n": 3})
        with pytest.raises(RuntimeError, match="only be iterated inside its block"):
            await anext(context)
        async with context:
            pass
        with pytest.raises(RuntimeError, match="only be iterated inside its block"):
            async for _ in context:
                pass


@on_schedules(10)
async def test_leaving_while_another_task_iterates_is_told_to_it():
    """The iterating task is not left hanging."""
    told = []

    async def slow(_worker, _message):
        await trio.sleep(3)

    async with hosting(Doer("doer", slow)) as runner, trio.open_nursery() as nursery:
        async with runner.job("doer", name="do") as context:

            async def iterate():
                with pytest.raises(RuntimeError, match="left while its events were iterated"):
                    async for _ in context:
                        pass
                told.append(trio.current_time())

            nursery.start_soon(iterate)
            await trio.sleep(1)
            left = trio.current_time()
    assert told == [left]


@on_schedules(10)
async def test_iterating_twice_in_turn_is_fine():
    """A loop that was left can be gone on with."""
    async with hosting(Doer("doer", stream)) as runner:
        async with runner.job("doer", name="do", payload={"n": 5}) as context:
            async for event in context:
                assert event.type == "stream_start"
                break
            rest = [event.type async for event in context]
            again = [event async for event in context]
        assert rest == ["stream_data"] * 5 + ["stream_end"]
        assert again == []


@on_schedules(10)
async def test_events_from_strangers_are_dropped_and_counted():
    """Neither a worker that was not asked nor a job that has ended gets through."""

    async def naps(_worker, _message):
        await trio.sleep(1)

    asker = Asker()
    async with hosting(Doer("doer", naps), asker) as runner:
        async with asker.job("doer", name="do") as context:
            runner.bus.post(
                BusJobUpdateMessage(context.job_id, {"i": 0}, source="stranger", target="asker")
            )
            got = [event async for event in context]
        runner.bus.post(BusJobUpdateMessage(context.job_id, {}, source="doer", target="asker"))
        await wait_all_tasks_blocked()
        assert got == []
        assert asker.statistics().late_messages == 2
        assert asker.events() == ["response", "completed"]


@settings(max_examples=50, deadline=None)
@given(
    st.random_module(),
    st.lists(st.integers(0, 150), min_size=1, max_size=4),
    st.floats(0, 0.1),
    st.integers(0, 300),
    st.booleans(),
)
def test_any_reader_of_any_stream(schedule, sizes, pause, stop_after, hooked):
    """Readers that stop, dawdle or have hooks: nothing lost before, nothing stuck after."""
    names = [f"w{i}" for i in range(len(sizes))]

    async def produce(worker, message):
        for i in range(sizes[int(worker.name[1:])]):
            await worker.send_job_stream_data(message.job_id, {"i": i})

    async def main():
        asker = Asker() if hooked else Doer("asker")
        async with hosting(*(Doer(name, produce) for name in names), asker):
            got = {name: [] for name in names}
            async with asker.job_group(*names, name="do") as group:
                read = 0
                if stop_after:
                    async for event in group:
                        got[event.worker_name].append(event.data["i"])
                        read += 1
                        if read >= stop_after:
                            break
                        await trio.sleep(pause)
            for name, size in zip(names, sizes, strict=True):
                assert got[name] == list(range(len(got[name])))
                assert len(got[name]) == size or read >= stop_after
            await wait_all_tasks_blocked()
            if hooked:
                assert asker.events().count("data") == sum(sizes)

    run(main)


@on_schedules(5)
async def test_the_group_error_of_a_stream_has_no_events():
    """A group that fails early leaves its unread events counted."""

    async def fails(worker, message):
        for i in range(10):
            await worker.send_job_stream_data(message.job_id, {"i": i})
        raise JobError("no more")

    asker = Doer("asker")
    async with hosting(Doer("doer", fails), asker):
        with pytest.raises(JobGroupError, match="no more"):
            async with asker.job_group("doer", name="do"):
                pass
        assert asker.statistics().job_groups == 0
