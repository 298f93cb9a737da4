"""People cancel groups."""

import pytest
import trio
from support import run
from ui_events import responses_to
from ui_stages import Desk, Peer, Server, on_stage, story

from trioworkers.ui._event_desk import MAX_REASON


@pytest.mark.parametrize("event", ["__cancel_task", "__cancel_job_group"])
@pytest.mark.parametrize("key", ["task_id", "job_id"])
@pytest.mark.parametrize(("owner", "session"), [(None, "s"), ("s", "s"), ("s", None), (None, None)])
def test_a_person_cancels_a_group(event, key, owner, session):
    """One of the own session, or of nobody's; or whoever has no session: the operator."""

    async def main():
        desk, server = Desk("desk"), Server()
        async with on_stage(desk, server, Peer("a")):
            job_id = await desk.start_user_job_group("a", name="work", session=owner)
            await trio.sleep(0.5)
            response = await server.ask(event, {key: job_id, "reason": "enough"}, session)
            assert response.data == {"job_id": job_id, "cancelled": True}
            assert trio.current_time() == 0.5
            assert story(server.told) == ["started a", "a cancelled", "completed"]
            assert "cancelled: enough" in server.group_news[1].error

    run(main)


def test_nobody_cancels_the_group_of_another_session():
    """It is told the same as of a group that isn't there."""

    async def main():
        desk, server = Desk("desk"), Server()
        async with on_stage(desk, server, Peer("a")):
            job_id = await desk.start_user_job_group("a", name="work", session="s")
            await trio.sleep(0.5)
            foreign = await server.ask("__cancel_task", {"task_id": job_id}, "t")
            unknown = await server.ask("__cancel_task", {"task_id": "x-1"}, "t")
            assert foreign.error == unknown.error
            assert "no such group is in flight" in foreign.error
            await trio.sleep(1)
            assert story(server.told) == ["started a", "a completed", "completed"]

    run(main)


def test_what_is_no_group_of_users_is_not_theirs_to_cancel():
    """A worker's other jobs are its own business."""

    async def main():
        desk, server = Desk("desk"), Server()
        async with on_stage(desk, server, Peer("a")), desk.job_group("a", name="work") as group:
            response = await server.ask("__cancel_task", {"task_id": group.job_id})
            assert "no such group is in flight" in response.error

    run(main)


def test_a_group_that_is_not_cancellable_goes_on():
    """And the person is told so."""

    async def main():
        desk, server = Desk("desk"), Server()
        async with on_stage(desk, server, Peer("a")):
            job_id = await desk.start_user_job_group("a", name="work", cancellable=False)
            response = await server.ask("__cancel_task", {"task_id": job_id})
            assert response.error == f"group {job_id} can't be cancelled"
            await trio.sleep(2)
            assert story(server.told) == ["started a", "a completed", "completed"]

    run(main)


def test_a_second_cancel_changes_nothing():
    """Nor does one that comes when all members have ended, and the block has not."""

    async def main():
        desk, server = Desk("desk"), Server()
        async with on_stage(desk, server, Peer("a")):
            job_id = await desk.start_user_job_group(
                "a", name="work", payload={"a": {"stopping": 1}}
            )
            await trio.sleep(0.5)
            cancel = "__cancel_task", {"task_id": job_id}
            assert (await server.ask(*cancel)).data["cancelled"]
            assert not (await server.ask(*cancel)).data["cancelled"]
            await trio.sleep(2)
            async with desk.user_job_group("a", name="work") as group:
                await trio.sleep(2)
                response = await server.ask("__cancel_task", {"task_id": group.job_id})
                assert not response.data["cancelled"]
            assert group.responses == {"a": {"by": "a"}}

    run(main)


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        (None, "the payload of __cancel_task is an object"),
        ("x-1", "the payload of __cancel_task is an object"),
        ({}, "a cancel needs the text `job_id` of a group, not None"),
        ({"task_id": 5}, "a cancel needs the text `job_id` of a group, not 5"),
        ({"task_id": ["x"]}, "a cancel needs the text `job_id` of a group, not list"),
        ({"task_id": "x", "reason": {}}, "the reason of a cancel is a text, not dict"),
    ],
)
def test_a_cancel_that_is_none_is_refused(payload, error):
    """By what is wrong with it."""
    (response,) = responses_to(("__cancel_task", payload))
    assert response.error.startswith(error)


def test_a_long_reason_is_cut():
    """People may write what they like."""

    async def main():
        desk, server = Desk("desk"), Server()
        async with on_stage(desk, server, Peer("a")):
            job_id = await desk.start_user_job_group("a", name="work")
            await trio.sleep(0.5)
            await server.ask("__cancel_task", {"task_id": job_id, "reason": "x" * 100_000})
            error = server.group_news[1].error
            assert "x" * MAX_REASON in error
            assert len(error) < MAX_REASON + 100

    run(main)
