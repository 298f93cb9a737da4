"""A UI worker and its server in two runners on a `RedisBus`, over a model of the server."""

import trio
from redis_buses import StreamServer, runners, until
from ui_stages import Desk, Peer, Server, check_told, story


async def test_groups_are_told_and_cancelled_across_processes(autojump_clock):
    """All envelopes arrive in order, with what merging leaves; cancels and responses go back."""
    async with runners(StreamServer(), "back", "front") as (back, front):
        desk, server = Desk("desk"), Server()
        await back.add_workers(desk, Peer("a"))
        await front.add_workers(server, Peer("b"))
        with trio.fail_after(30):
            await until(lambda: desk.attached_servers == ("server",))
            payload = {"a": {"updates": 2, "seconds": 0}, "b": {"chunks": 80, "seconds": 0.2}}
            await desk.start_user_job_group("a", "b", name="work", payload=payload)
            await until(lambda: not desk.job_groups)
            await trio.sleep(1)
            check_told(server.told, all_ended=True)
            assert "a {'done': 1}" in story(server.told)
            assert "b {'type': 'stream_data', 'data': {'part': 79}}" in story(server.told)

            job_id = await desk.start_user_job_group("a", "b", name="work", session="s")
            await trio.sleep(0.3)
            await server.do("__cancel_task", {"task_id": job_id, "reason": "enough"}, "s")
            await until(lambda: not desk.job_groups)
            await trio.sleep(1)
            assert [response.data for response in server.responses] == [
                {"job_id": job_id, "cancelled": True}
            ]
            words = story(server.told, job_id)
            assert words[0] == "started a b"
            assert sorted(words[1:-1]) == ["a cancelled", "b cancelled"]
            assert words[-1] == "completed"


async def test_a_ui_worker_that_has_gone_comes_back(autojump_clock):
    """A server that attaches again is told of the new worker's groups."""
    async with runners(StreamServer(), "back", "front") as (back, front):
        desk, server = Desk("desk"), Server(again=True)
        await back.add_workers(desk, Peer("a"))
        await front.add_workers(server)
        with trio.fail_after(60):
            await until(lambda: desk.attached_servers == ("server",))
            await desk.stop()
            await until(lambda: server.ends)
            second = Desk("desk")
            await back.add_workers(second)
            await until(lambda: second.attached_servers == ("server",))
            await second.start_user_job_group("a", name="work")
            await trio.sleep(2)
            assert story(server.told) == ["started a", "a completed", "completed"]
            assert len(server.ends) >= 1
