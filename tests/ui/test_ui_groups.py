"""What users are told of a group, on each path that it may take."""

import pytest
import trio
from support import run
from trio.testing import wait_all_tasks_blocked
from ui_stages import Desk, Peer, Server, groups_ended, on_stage, story

from trioworkers import (
    BaseWorker,
    BusCancelWorkerMessage,
    JobError,
    JobGroupError,
    StoppedError,
    job,
)
from trioworkers.ui import BusUIJobCompletedMessage, BusUIJobGroupStartedMessage


def ends_of(server):
    return {
        m.worker_name: (str(m.status), m.response, m.error)
        for m in server.told
        if isinstance(m, BusUIJobCompletedMessage)
    }


async def told_of(orders, *names, with_desk=None, then=None, peers=("a", "b"), **arguments):
    """Start a group at ``names``; return the story, the ends, and the seconds that it took."""
    desk, server = Desk("desk"), Server()
    async with on_stage(desk, server, *map(Peer, peers)) as runner:
        began = trio.current_time()
        job_id = await desk.start_user_job_group(*names, name="work", payload=orders, **arguments)
        if then is not None:
            await then(runner, desk, job_id)
        await groups_ended(desk)
        took = trio.current_time() - began
        await trio.sleep(10)
        return story(server.told, job_id), ends_of(server), round(took, 1)


def test_a_group_that_succeeds():
    """Start, updates, parts of streams, one end for each member, the end."""

    async def main():
        words, ends, _ = await told_of({"a": {"updates": 2, "chunks": 1, "seconds": 2}}, "a", "b")
        assert words == [
            "started a b",
            "a {'done': 0}",
            "a {'done': 1}",
            "a {'type': 'stream_data', 'data': {'part': 0}}",
            "b completed",
            "a completed",
            "completed",
        ]
        assert ends["a"] == ("completed", {"by": "a"}, None)

    run(main)


def test_a_group_with_a_member_that_raises():
    """Who raised is told as such, who was cancelled for it as cancelled.

    What the error says is for developers: it may be anything, secrets among it.
    """

    async def main():
        orders = {"a": {"raises": ValueError("the password is x")}, "b": {"seconds": 5}}
        words, ends, took = await told_of(orders, "a", "b")
        assert words == ["started a b", "a error", "b cancelled", "completed"]
        assert ends["a"] == ("error", None, "it raised ValueError")
        assert ends["b"] == ("cancelled", None, "worker 'a' raised: ValueError")
        assert took == 1

    run(main)


def test_an_error_of_whom_a_member_has_asked_is_not_told_either():
    """Nor on any other way round."""

    class Asking(Peer):
        @job(name="work")
        async def work(self, message):
            return await self.call("b", name="work", payload=message.payload)

    async def main():
        desk, server = Desk("desk"), Server()
        async with on_stage(desk, server, Asking("a"), Peer("b")):
            orders = {"b": {"raises": ValueError("the password:\nis x")}}
            await desk.start_user_job_group("a", name="work", payload=orders)
            await trio.sleep(5)
            assert ends_of(server)["a"] == ("failed", None, "worker 'b' raised: ValueError")

    run(main)


def test_what_users_are_not_told_of_an_error_is_logged(caplog):
    """With its traceback: nobody else hears of it."""

    async def main():
        orders = {"a": {"raises": ValueError("the password is x")}}
        await told_of(orders, "a", "b", cancel_on_error=False)
        (record,) = caplog.records
        assert record.message.startswith("worker 'a' failed in job ")
        assert "in work" in record.message
        assert "ValueError: the password is x" in record.message

    run(main)


def test_a_group_that_goes_on_without_a_member():
    """With ``cancel_on_error=False`` the others complete."""

    async def main():
        orders = {"a": {"raises": JobError("nothing found")}, "b": {"seconds": 5}}
        words, ends, _ = await told_of(orders, "a", "b", cancel_on_error=False)
        assert words == ["started a b", "a failed", "b completed", "completed"]
        assert ends["a"] == ("failed", None, "nothing found")

    run(main)


def test_a_member_that_nobody_can_ask():
    """What is wrong with the request is told: no exception of the member's is behind it."""

    async def main():
        words, ends, _ = await told_of({}, "a", "mute", peers=("a",), then=add_mute, timeout=5)
        assert words == ["started a mute", "mute error", "a cancelled", "completed"]
        assert ends["mute"][2].startswith("worker 'mute' has no handler for job 'work'")

    async def add_mute(runner, _desk, _job_id):
        await runner.add_workers(BaseWorker("mute"))

    run(main)


def test_a_group_that_times_out():
    """Its members are told as timed out."""

    async def main():
        words, _, took = await told_of({"b": {"seconds": 5}}, "a", "b", timeout=2)
        assert words == ["started a b", "a completed", "b timed_out", "completed"]
        assert took == 2

    run(main)


def test_a_group_that_times_out_before_its_members_are_there():
    """It was started at once, and its members have an end, too."""

    async def main():
        words, ends, took = await told_of({}, "a", "nobody", timeout=2)
        assert words == ["started a nobody", "a timed_out", "nobody timed_out", "completed"]
        assert ends["nobody"][1] is None
        assert took == 2

    run(main)


def test_a_group_that_the_worker_cancels():
    """`cancel_job_group` ends it like any other group."""

    async def main():
        async def cancel(_runner, desk, job_id):
            await trio.sleep(0.5)
            await desk.cancel_job_group(job_id, reason="not needed")

        words, ends, _ = await told_of({"b": {"stopping": 1}}, "a", "b", then=cancel)
        assert words == ["started a b", "a cancelled", "b cancelled", "completed"]
        assert "not needed" in ends["a"][2]

    run(main)


def test_a_group_that_is_cancelled_before_its_members_are_there():
    """Nobody was asked, and each has an end all the same."""

    async def main():
        async def cancel(_runner, desk, job_id):
            await trio.sleep(0.5)
            assert await desk.request_cancel_job_group(job_id)

        words, _, took = await told_of({}, "a", "nobody", then=cancel)
        assert words == ["started a nobody", "a cancelled", "nobody cancelled", "completed"]
        assert took == 0.5

    run(main)


def test_a_group_that_is_completed_before_its_members_are_there():
    """`JobGroup.complete` is no failure, and nothing waits on."""

    async def main():
        async def complete(_runner, desk, job_id):
            await trio.sleep(0.5)
            desk.job_groups[job_id].complete()

        words, _, took = await told_of({}, "a", "nobody", then=complete)
        assert words == ["started a nobody", "a cancelled", "nobody cancelled", "completed"]
        assert took == 0.5

    run(main)


def test_a_group_that_loses_a_member():
    """A worker that stops while it works is told, with the others that are cancelled for it."""

    async def main():
        async def stop(runner, _desk, _job_id):
            await trio.sleep(0.5)
            runner.bus.post(BusCancelWorkerMessage("gone", source="x", target="a"))

        words, ends, _ = await told_of({}, "a", "b", then=stop)
        assert words == ["started a b", "a cancelled", "b cancelled", "completed"]
        assert "gone" in ends["a"][2]

    run(main)


def test_a_member_that_does_not_stop_is_told_as_lost():
    """After its ``cancel_grace`` nobody waits for it any more."""

    async def main():
        orders = {"a": {"seconds": 5, "stopping": 5}}
        words, ends, took = await told_of(orders, "a", "b", timeout=2, cancel_grace=3)
        assert words == ["started a b", "b completed", "a lost", "completed"]
        assert "did not stop within 3 s" in ends["a"][2]
        assert took == 5

    run(main)


def test_a_group_as_a_block():
    """A block is told like a group in the background; events can be read, too."""

    async def main():
        desk, server = Desk("desk"), Server()
        async with on_stage(desk, server, Peer("a"), Peer("b")):
            orders = {"a": {"updates": 1}, "b": {"seconds": 2}}
            async with desk.user_job_group("a", "b", name="work", payload=orders) as group:
                events = [event async for event in group]
            assert [event.data for event in events] == [{"done": 0}]
            assert group.responses == {"a": {"by": "a"}, "b": {"by": "b"}}
            await wait_all_tasks_blocked()
            assert story(server.told) == [
                "started a b",
                "a {'done': 0}",
                "a completed",
                "b completed",
                "completed",
            ]

    run(main)


def test_a_block_that_raises():
    """Its members are cancelled, the error leaves unwrapped, and users are told."""

    async def main():
        desk, server = Desk("desk"), Server()
        async with on_stage(desk, server, Peer("a"), Peer("b")):
            with pytest.raises(LookupError, match="mine"):
                orders = {"b": {"stopping": 1}}
                async with desk.user_job_group("a", "b", name="work", payload=orders):
                    await trio.sleep(0.5)
                    raise LookupError("mine")
            await wait_all_tasks_blocked()
            assert story(server.told) == ["started a b", "a cancelled", "b cancelled", "completed"]

    run(main)


def test_a_block_whose_member_fails():
    """The block raises, as any group does, and users are told."""

    async def main():
        desk, server = Desk("desk"), Server()
        async with on_stage(desk, server, Peer("a"), Peer("b")):
            orders = {"a": {"raises": JobError("no")}, "b": {"seconds": 3}}
            with pytest.raises(JobGroupError, match="worker 'a' failed: JobError: no"):
                async with desk.user_job_group("a", "b", name="work", payload=orders):
                    await trio.sleep(10)
            await wait_all_tasks_blocked()
            assert story(server.told) == ["started a b", "a failed", "b cancelled", "completed"]

    run(main)


def test_a_block_that_is_cancelled_while_it_waits_for_its_members():
    """From outside, before anybody was asked."""

    async def main():
        desk, server = Desk("desk"), Server()
        async with on_stage(desk, server, Peer("a")):
            with trio.move_on_after(1):
                async with desk.user_job_group("a", "nobody", name="work"):
                    raise AssertionError
            await wait_all_tasks_blocked()
            assert story(server.told) == [
                "started a nobody",
                "a cancelled",
                "nobody cancelled",
                "completed",
            ]

    run(main)


def test_starting_a_group_returns_at_once():
    """Also while its members aren't there; they are asked as soon as they are."""

    async def main():
        desk, server = Desk("desk"), Server()
        async with on_stage(desk, server, Peer("a")) as runner:
            before = trio.current_time()
            job_id = await desk.start_user_job_group("a", "late", name="work")
            assert trio.current_time() == before
            assert desk.statistics().detached_groups == 1
            await trio.sleep(3)
            assert desk.statistics().waiting_for == {job_id: "'late'"}
            assert story(server.told) == ["started a late"]
            await runner.add_workers(Peer("late"))
            await trio.sleep(3)
            assert story(server.told)[-1] == "completed"

    run(main)


def test_a_group_that_fails_is_no_error_of_the_worker():
    """In a runner that is strict, where a failed `request_job_group` would be one."""

    async def main():
        words, _, _ = await told_of({"a": {"raises": OSError("disk full")}}, "a")
        assert words == ["started a", "a error", "completed"]

    run(main)


def test_what_a_group_is_like_is_told_at_its_start():
    """Its label, whether it can be cancelled, and whose it is; times are in milliseconds."""

    async def main():
        desk, server = Desk("desk"), Server()
        async with on_stage(desk, server, Peer("a")):
            desk.bus.clock = lambda: 1234.5678
            job_id = await desk.start_user_job_group(
                "a", name="work", label="Moon", cancellable=False, session="s"
            )
            await trio.sleep(5)
            assert server.told[0] == BusUIJobGroupStartedMessage(
                job_id,
                ("a",),
                "Moon",
                False,
                at=1234567,
                session="s",
                source="desk",
                target="server",
            )

    run(main)


def test_bad_arguments_are_refused_before_anything_starts():
    """By name and value, and nobody is told of anything."""

    async def main():
        desk, server = Desk("desk"), Server()
        async with on_stage(desk, server, Peer("a")):
            with pytest.raises(ValueError, match=r"a label is not what JSON can hold.*surrogate"):
                desk.user_job_group("a", label="\ud800")
            with pytest.raises(TypeError, match="session must be a str, or None for all, not 5"):
                await desk.start_user_job_group("a", session=5)
            with pytest.raises(TypeError, match="label must be a str or None, not 5"):
                desk.user_job_group("a", label=5)
            with pytest.raises(ValueError, match="at least one worker name"):
                await desk.start_user_job_group()
            desk.user_job_group("a")  # never entered
            await wait_all_tasks_blocked()
            assert server.told == []

    run(main)


def test_a_group_that_can_not_even_begin_has_an_end():
    """Its worker's nursery has just been closed; nobody was asked, and users are told so."""

    async def main():
        desk, server = Desk("desk"), Server()
        async with on_stage(desk, server, Peer("a")):
            async with trio.open_nursery() as closed:
                pass

            async def wait_running():
                return closed

            desk.wait_running = wait_running
            with pytest.raises(StoppedError, match="worker 'desk' is stopping"):
                await desk.start_user_job_group("a", name="work")
            await wait_all_tasks_blocked()
            assert story(server.told) == ["started a", "a cancelled", "completed"]
            assert ends_of(server)["a"] == ("cancelled", None, "it was not asked")

    run(main)
