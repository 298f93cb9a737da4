"""Who observes a group is told of its whole life, in order, on all paths."""

import pytest
import trio
from support import Doer, hosting, run

from trioworkers import BaseWorker, BusCancelWorkerMessage, JobGroupError, StoppedError
from trioworkers.bus import BusJobStreamDataMessage, BusJobUpdateMessage
from trioworkers.jobs import JobGroupContext, make_request


class Observer:
    """Notes what it is told."""

    def __init__(self):
        self.seen = []

    def begun(self, group):
        assert not group.asked
        assert not group.outcomes
        self.seen.append("begun")

    def received(self, group, message):
        assert message.source in group.open_members
        self.seen.append((message.source, message.data["n"]))

    def settled(self, group, worker_name):
        assert worker_name not in group.open_members
        self.seen.append((worker_name, str(group.outcomes[worker_name].status)))

    def ended(self, group):
        self.seen.append("ended")


async def talk(worker, message):
    """Send events of all kinds, then sleep."""
    await worker.send_job_update(message.job_id, {"n": 0})
    await worker.send_job_stream_start(message.job_id, {"n": 1})
    await worker.send_job_stream_data(message.job_id, {"n": 2})
    await worker.send_job_update(message.job_id, {"n": 3}, urgent=True)
    await trio.sleep(1)
    await worker.send_job_stream_end(message.job_id, {"n": 4})


def observed(*names, observer, **options):
    return make_request(names, name="do", observer=observer, **options)


def test_an_observer_is_told_all_in_order():
    """Its beginning, each event, each outcome, its end; readers get their events all the same."""

    async def main():
        observer, asker = Observer(), Doer("asker")
        async with hosting(asker, Doer("a", talk)):
            request = observed("a", observer=observer)
            async with JobGroupContext(asker._requester(), request) as group:
                events = [event.data["n"] async for event in group]
            assert sorted(events) == [0, 1, 2, 3, 4]
            numbers = [("a", n) for n in events]
            assert observer.seen == ["begun", *numbers, ("a", "completed"), "ended"]

    run(main)


async def nap(_worker, _message):
    await trio.sleep(1)


async def fail(_worker, _message):
    raise LookupError("no")


@pytest.mark.parametrize(
    ("kind", "options", "seen"),
    [
        (nap, {}, [("a", "completed"), ("b", "completed")]),
        (fail, {}, [("a", "error"), ("b", "cancelled")]),
        (fail, {"cancel_on_error": False}, [("a", "error"), ("b", "completed")]),
        (nap, {"timeout": 0.5}, [("a", "timed_out"), ("b", "timed_out")]),
        (
            nap,
            {"names": ("a", "nobody"), "timeout": 0.5},
            [("a", "timed_out"), ("nobody", "timed_out")],
        ),
    ],
)
@pytest.mark.parametrize("background", [True, False])
def test_each_outcome_is_told_once(kind, options, seen, background):
    """Of a block, and of a group in the background."""

    async def main():
        observer, asker = Observer(), Doer("asker")
        async with hosting(asker, Doer("a", kind), Doer("b", nap)):
            names = options.get("names", ("a", "b"))
            rest = {key: value for key, value in options.items() if key != "names"}
            request = observed(*names, observer=observer, **rest)
            requester = asker._requester()
            if background:
                group = await requester.start_background(asker.nursery, request)
                assert group.job_id in requester.groups
                await requester.wait_idle()
            else:
                try:
                    async with JobGroupContext(requester, request):
                        pass
                except JobGroupError:
                    pass
            assert (observer.seen[0], observer.seen[-1]) == ("begun", "ended")
            assert sorted(observer.seen[1:-1]) == seen

    run(main)


def test_a_group_in_the_background_is_there_at_once():
    """It waits for its members by itself, and nobody but itself is told of a failure."""

    async def main():
        observer, asker = Observer(), Doer("asker")
        async with hosting(asker) as runner:
            requester = asker._requester()
            request = observed("late", observer=observer, timeout=9)
            began = trio.current_time()
            group = await requester.start_background(asker.nursery, request)
            assert trio.current_time() == began
            await trio.sleep(2)
            assert requester.waiting == {group.job_id: "'late'"}
            await runner.add_workers(Doer("late", fail))
            with pytest.raises(JobGroupError, match="worker 'late' raised: LookupError: no"):
                await group.wait()
            assert observer.seen == ["begun", ("late", "error"), "ended"]

    run(main)


def test_a_group_in_the_background_that_times_out_while_it_waits():
    """Nobody was asked; it says for whom it has waited."""

    async def main():
        asker = Doer("asker")
        async with hosting(asker):
            requester = asker._requester()
            request = make_request(("nobody",), timeout=2)
            group = await requester.start_background(asker.nursery, request)
            with pytest.raises(JobGroupError, match="timed out after 2 s, waiting for 'nobody'"):
                await group.wait()
            assert requester.detached == 0

    run(main)


@pytest.mark.parametrize("how", ["complete", "fail"])
def test_a_group_in_the_background_can_be_ended_while_it_waits(how):
    """Both ways leave nothing behind."""

    async def main():
        observer, asker = Observer(), Doer("asker")
        async with hosting(asker):
            requester = asker._requester()
            request = observed("nobody", observer=observer)
            group = await requester.start_background(asker.nursery, request)
            await trio.sleep(1)
            getattr(group, how)()
            await trio.sleep(1)
            assert observer.seen == ["begun", ("nobody", "cancelled"), "ended"]
            assert requester.detached == 0

    run(main)


def test_a_requester_that_ends_gives_up_what_waits_in_the_background():
    """Like all else that isn't asked yet."""

    async def main():
        asker = Doer("asker")
        async with hosting(asker, quiet=False) as runner:
            requester = asker._requester()
            group = await requester.start_background(asker.nursery, make_request(("nobody",)))
            await trio.sleep(1)
            await runner.end()
            with pytest.raises(JobGroupError, match="the requester is ending"):
                await group.wait()

    run(main)


def test_groups_in_the_background_are_bounded(monkeypatch):
    """Whoever starts one too many waits until another has ended."""
    monkeypatch.setattr("trioworkers.jobs._requester.MAX_DETACHED", 2)

    async def main():
        asker = Doer("asker")
        async with hosting(asker, Doer("a", nap)):
            requester = asker._requester()
            began = trio.current_time()
            times = []
            for _ in range(5):
                await requester.start_background(asker.nursery, make_request(("a",), name="do"))
                times.append(trio.current_time() - began)
            assert times == [0, 0, 1, 1, 2]
            await trio.sleep(2)

    run(main)


def test_a_worker_that_has_stopped_starts_nothing_in_the_background():
    """Also one whose nursery has been closed a moment ago."""

    async def main():
        observer, asker = Observer(), Doer("asker")
        async with hosting(asker, Doer("a", nap)):
            requester, nursery = asker._requester(), asker.nursery
            await asker.stop()
            with pytest.raises(StoppedError, match="worker 'asker' has stopped"):
                await requester.start_background(nursery, observed("a", observer=observer))
            assert observer.seen == []

    run(main)


def test_a_group_whose_owner_can_not_begin_has_ended():
    """It was begun, and has an end."""

    async def main():
        observer, asker = Observer(), Doer("asker")
        async with hosting(asker, Doer("a", nap)):
            async with trio.open_nursery() as closed:
                pass
            with pytest.raises(StoppedError, match="worker 'asker' is stopping"):
                await asker._requester().start_background(closed, observed("a", observer=observer))
            assert observer.seen == ["begun", "ended"]

    run(main)


def test_a_member_that_is_lost_is_told():
    """By whoever has noticed it."""

    async def crash(worker, _message):
        await trio.sleep(1)
        worker.bus.post(BusCancelWorkerMessage(source="x", target="a"))
        await trio.sleep_forever()

    async def main():
        observer, asker = Observer(), Doer("asker")
        async with hosting(asker, Doer("a", crash), Doer("b", nap)):
            request = observed("a", "b", observer=observer, cancel_on_error=False)
            async with JobGroupContext(asker._requester(), request):
                pass
            assert sorted(observer.seen[1:-1]) == [("a", "cancelled"), ("b", "completed")]

    run(main)


def test_events_that_come_late_are_not_told():
    """After an urgent outcome no event of that member follows."""

    class Hasty(BaseWorker):
        async def on_job_request(self, message):
            await self.send_job_response(message.job_id, {}, urgent=True)

    async def main():
        observer, asker = Observer(), Doer("asker")
        async with hosting(asker, Hasty("a")) as runner:
            request = make_request(("a",), observer=observer)
            async with JobGroupContext(asker._requester(), request) as group:
                await trio.sleep(1)
                for cls in (BusJobUpdateMessage, BusJobStreamDataMessage):
                    runner.bus.post(cls(group.job_id, {"n": 9}, seq=0, source="a", target="asker"))
            assert observer.seen == ["begun", ("a", "completed"), "ended"]

    run(main)
