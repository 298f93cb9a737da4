"""A responder that speaks the protocol by hand: out of order, twice, or not asked."""

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from subscribers import Ear
from support import Asker, Doer, hosting, on_schedules, run
from trio.testing import wait_all_tasks_blocked

from trioworkers import (
    BusJobCancelMessage,
    BusJobCreditMessage,
    BusJobRequestMessage,
    BusJobResponseMessage,
    BusJobResponseUrgentMessage,
    BusJobStreamDataMessage,
    BusJobUpdateMessage,
    BusJobUpdateRequestMessage,
    JobError,
    JobStatus,
    WorkerReadyData,
)


class Peer(Ear):
    """A named subscriber without any rules; answers cancels, as it must."""

    def __init__(self, name="peer"):
        super().__init__(name, deaf=True)
        self.bus = None

    def on_delivery(self, message):
        super().on_delivery(message)
        if isinstance(message, BusJobCancelMessage):
            self.say(BusJobResponseMessage, message.job_id, JobStatus.CANCELLED)

    def say(self, cls, job_id, *args, to="asker", source=None, **kwargs):
        self.bus.post(cls(job_id, *args, source=source or self.name, target=to, **kwargs))


async def join(runner, *peers):
    """Put ``peers`` on the bus and in the registry."""
    for peer in peers:
        peer.bus = runner.bus
        await runner.bus.subscribe(peer)
        runner.registry.register(WorkerReadyData(peer.name, runner.name))


async def part(runner, *peers):
    """Undo `join`."""
    for peer in peers:
        runner.registry.unregister(peer.name)
        await runner.bus.unsubscribe(peer)


@on_schedules(10)
async def test_two_responses_the_first_wins():
    """The second is counted and dropped, whatever it says."""
    asker, peer = Asker(), Peer()
    async with hosting(asker) as runner:
        await join(runner, peer)
        async with asker.job("peer") as context:
            peer.say(BusJobResponseMessage, context.job_id, JobStatus.COMPLETED, {"n": 1})
            peer.say(BusJobResponseMessage, context.job_id, JobStatus.ERROR)
            peer.say(BusJobResponseUrgentMessage, context.job_id, JobStatus.COMPLETED, {"n": 2})
        assert context.response == {"n": 1}
        assert asker.statistics().late_messages == 2
        await wait_all_tasks_blocked()
        assert asker.events() == ["response", "completed"]
        await part(runner, peer)


@on_schedules(10)
async def test_a_response_of_a_worker_that_was_not_asked():
    """It settles nobody."""
    asker, peer, other = Asker(), Peer(), Peer("other")
    async with hosting(asker) as runner:
        await join(runner, peer, other)
        async with asker.job("peer") as context:
            other.say(BusJobResponseMessage, context.job_id, JobStatus.ERROR)
            peer.say(BusJobResponseMessage, "t-999", JobStatus.ERROR)
            await trio.sleep(1)
            assert context.outcomes == {}
            peer.say(BusJobResponseMessage, context.job_id, JobStatus.COMPLETED, {"n": 1})
        assert context.response == {"n": 1}
        assert asker.statistics().late_messages == 2
        await part(runner, peer, other)


@settings(max_examples=60, deadline=None)
@given(st.random_module(), st.data())
def test_events_in_any_order_come_out_in_order(schedule, data):
    """P3: any permutation with repeats, the outcome among them, ends in order."""
    n = data.draw(st.integers(0, 8))
    numbers = data.draw(st.permutations(range(n + 1)))
    repeats = data.draw(st.lists(st.integers(0, n), max_size=4))
    arrivals = [*numbers, *repeats]

    async def main():
        asker, peer = Asker(), Peer()
        async with hosting(asker) as runner:
            await join(runner, peer)
            async with asker.job("peer") as context:
                for number in arrivals:
                    if number == n:
                        peer.say(
                            BusJobResponseMessage,
                            context.job_id,
                            JobStatus.COMPLETED,
                            {"n": n},
                            seq=n,
                        )
                    else:
                        peer.say(BusJobUpdateMessage, context.job_id, {"i": number}, seq=number)
                got = [event.data["i"] async for event in context]
            assert got == list(range(n))
            assert context.response == {"n": n}
            await wait_all_tasks_blocked()
            hooked = [m.update["i"] for event, m in asker.seen if event == "update"]
            assert hooked == list(range(n))
            assert asker.events()[-2:] == ["response", "completed"]
            await part(runner, peer)

    run(main)


@on_schedules(10)
async def test_an_outcome_that_waits_for_lost_events_ends_with_the_deadline():
    """The missing event never comes: the timeout still ends the job."""
    asker, peer = Asker(), Peer()
    async with hosting(asker) as runner:
        await join(runner, peer)
        with pytest.raises(JobError, match="timed out"):
            async with asker.job("peer", timeout=5) as context:
                peer.say(BusJobUpdateMessage, context.job_id, {"i": 1}, seq=1)
                peer.say(BusJobResponseMessage, context.job_id, JobStatus.COMPLETED, seq=2)
        assert context.outcomes["peer"].status is JobStatus.TIMED_OUT
        await part(runner, peer)


@on_schedules(10)
async def test_an_urgent_outcome_does_not_wait_for_lost_events():
    """It ends the job at once."""
    asker, peer = Asker(), Peer()
    async with hosting(asker) as runner:
        await join(runner, peer)
        async with asker.job("peer") as context:
            peer.say(BusJobResponseUrgentMessage, context.job_id, JobStatus.COMPLETED, {}, seq=7)
            assert [event async for event in context] == []
        await part(runner, peer)


@on_schedules(10)
async def test_the_second_of_two_held_outcomes_is_dropped():
    """Held back, the first still wins."""
    asker, peer = Asker(), Peer()
    async with hosting(asker) as runner:
        await join(runner, peer)
        async with asker.job("peer") as context:
            job_id = context.job_id
            peer.say(BusJobResponseMessage, job_id, JobStatus.COMPLETED, {"n": 1}, seq=1)
            peer.say(BusJobResponseMessage, job_id, JobStatus.ERROR, seq=1)
            peer.say(BusJobUpdateMessage, job_id, {}, seq=0)
        assert context.response == {"n": 1}
        await part(runner, peer)


@on_schedules(10)
async def test_events_without_numbers_come_as_they_are():
    """A peer that doesn't number its messages is served in order of arrival."""
    asker, peer = Asker(), Peer()
    async with hosting(asker) as runner:
        await join(runner, peer)
        async with asker.job("peer") as context:
            for i in (2, 0, 1):
                peer.say(BusJobStreamDataMessage, context.job_id, {"i": i})
            peer.say(BusJobResponseMessage, context.job_id, JobStatus.COMPLETED)
            assert [event.data["i"] async for event in context] == [2, 0, 1]
        await part(runner, peer)


@on_schedules(10)
async def test_a_peer_that_vanishes_before_the_request():
    """In the registry, but not on the bus: LOST, and the names there are."""
    asker = Asker()
    async with hosting(asker) as runner:
        runner.registry.register(WorkerReadyData("ghost", runner.name))
        with pytest.raises(JobError, match="'ghost' lost: NotDelivered") as caught:
            await asker.call("ghost")
        assert "Names on the bus: 'asker', 'runner'" in str(caught.value)
        assert caught.value.outcomes["ghost"].status is JobStatus.LOST
        runner.registry.unregister("ghost")


@on_schedules(10)
async def test_a_vanished_member_cancels_the_others():
    """Members asked before and after it are settled; nobody works on."""

    async def never(_worker, _message):
        await trio.sleep_forever()

    first, last = Doer("first", never), Doer("last", never)
    async with hosting(first, last) as runner:
        runner.registry.register(WorkerReadyData("ghost", runner.name))
        with pytest.raises(JobError) as caught:
            async with runner.job_group("first", "ghost", "last", name="do"):
                await trio.sleep_forever()
        statuses = {name: o.status for name, o in caught.value.outcomes.items()}
        assert statuses == {
            "first": JobStatus.CANCELLED,
            "ghost": JobStatus.LOST,
            "last": JobStatus.CANCELLED,
        }
        assert last.begun == []
        runner.registry.unregister("ghost")


@on_schedules(10)
async def test_the_requester_asks_for_an_update():
    """Members that are open get the question; others don't."""
    asker, one, two = Asker(), Peer("one"), Peer("two")
    async with hosting(asker) as runner:
        await join(runner, one, two)
        async with asker.job_group("one", "two") as group:
            one.say(BusJobResponseMessage, group.job_id, JobStatus.COMPLETED)
            await asker.request_job_update(group.job_id, "one")
            await asker.request_job_update(group.job_id, "two")
            with pytest.raises(ValueError, match="its members are 'one', 'two'"):
                await asker.request_job_update(group.job_id, "three")
            two.say(BusJobResponseMessage, group.job_id, JobStatus.COMPLETED)
        with pytest.raises(LookupError, match=r"'asker' has no open job 't-1'.*Open: none"):
            await asker.request_job_update(group.job_id, "two")
        assert not any(isinstance(m, BusJobUpdateRequestMessage) for m in one.heard)
        assert sum(isinstance(m, BusJobUpdateRequestMessage) for m in two.heard) == 1
        await part(runner, one, two)


@settings(max_examples=40, deadline=None)
@given(st.random_module(), st.lists(st.integers(1, 40), max_size=12), st.booleans())
def test_credit_is_given_back_exactly(schedule, bursts, hooked):
    """What a peer may send is at most a window more than what was taken."""

    async def main():
        asker, peer = (Asker() if hooked else Doer("asker")), Peer()
        async with hosting(asker) as runner:
            await join(runner, peer)
            seq = taken = 0
            async with asker.job("peer") as context:
                request = peer.heard[0]
                assert isinstance(request, BusJobRequestMessage)
                credit = request.credit
                for burst in bursts:
                    for _ in range(min(burst, credit)):
                        peer.say(BusJobUpdateMessage, context.job_id, {}, seq=seq)
                        seq += 1
                    while taken < seq:
                        await anext(context)
                        taken += 1
                    await wait_all_tasks_blocked()
                    granted = sum(
                        m.credit for m in peer.heard if isinstance(m, BusJobCreditMessage)
                    )
                    credit = request.credit + granted - seq
                    assert request.credit // 2 < credit <= request.credit
                peer.say(BusJobResponseMessage, context.job_id, JobStatus.COMPLETED, seq=seq)
            await part(runner, peer)

    run(main)
