"""How a UI worker ends, while servers are attached and groups are open."""

import pytest
import trio
from support import assert_gone, run
from trio.testing import wait_all_tasks_blocked
from ui_stages import Desk, Peer, Server, check_told, on_stage, story

from trioworkers import (
    BusCancelWorkerMessage,
    BusEndWorkerMessage,
    JobGroupError,
    MemoryChannelBus,
    StoppedError,
    WorkerRunner,
)


async def test_a_runner_ends_while_a_server_is_attached(autojump_clock):
    """Neither waits for the other; groups in flight are finished and told first."""
    desk, server = Desk("desk"), Server()
    runner = WorkerRunner(bus=MemoryChannelBus(incarnation="t"))
    with trio.fail_after(20):
        async with runner:
            await runner.add_workers(server, desk, Peer("a"))
            await runner.registry.wait_ready("server", "desk", "a")
            await wait_all_tasks_blocked()
            await desk.start_user_job_group("a", name="work")
            await trio.sleep(0.5)
    assert_gone(runner, desk, server)


@pytest.mark.parametrize("order", ["server desk", "desk server"])
def test_a_runner_ends_with_a_server_that_stays_attached(order):
    """A server that doesn't leave by itself is let go once nothing is in flight."""

    class Loyal(Server):
        begin_ending = Server.__mro__[1].begin_ending

    async def main():
        desk, server = Desk("desk"), Loyal()
        workers = {"server": server, "desk": desk}
        runner = WorkerRunner(bus=MemoryChannelBus(incarnation="t"))
        with trio.fail_after(20):
            async with runner:
                await runner.add_workers(*map(workers.get, order.split()), Peer("a"))
                await runner.registry.wait_ready("server", "desk", "a")
                await wait_all_tasks_blocked()
                await desk.start_user_job_group("a", name="work")
                await trio.sleep(0.5)
        assert story(server.told) == ["started a", "a completed", "completed"]
        assert server.ends == [None]
        assert_gone(runner, desk, server)

    run(main)


def test_a_ui_worker_ends_alone():
    """It finishes its groups, tells of them, and lets its servers go; those wait for another."""

    async def main():
        desk, server = Desk("desk"), Server()
        async with on_stage(desk, server, Peer("a")) as runner:
            await desk.start_user_job_group("a", name="work")
            await trio.sleep(0.5)
            runner.bus.post(BusEndWorkerMessage(source="x", target="desk"))
            await desk.wait()
            await wait_all_tasks_blocked()
            assert story(server.told) == ["started a", "a completed", "completed"]
            assert server.ends == [None]

    run(main)


def test_a_ui_worker_that_ends_lets_servers_go_at_once_if_nothing_is_in_flight():
    """No clock is waited for."""

    async def main():
        desk, server = Desk("desk"), Server()
        async with on_stage(desk, server) as runner:
            runner.bus.post(BusEndWorkerMessage(source="x", target="desk"))
            await desk.wait()
            assert trio.current_time() < 1
            await wait_all_tasks_blocked()
            assert server.ends == [None]

    run(main)


def test_a_ui_worker_that_ends_can_still_be_told_to_cancel():
    """People need not wait for what they don't want; new things are refused."""

    async def main():
        desk, server = Desk("desk"), Server()
        async with on_stage(desk, server, Peer("a")) as runner:
            job_id = await desk.start_user_job_group(
                "a", name="work", payload={"a": {"seconds": 99}}
            )
            await trio.sleep(0.5)
            runner.bus.post(BusEndWorkerMessage(source="x", target="desk"))
            await wait_all_tasks_blocked()
            response = await server.ask("start", {"workers": ["a"]})
            assert "takes no events now" in response.error
            response = await server.ask("__cancel_task", {"task_id": job_id})
            assert response.data == {"job_id": job_id, "cancelled": True}
            await desk.wait()
            assert trio.current_time() < 2
            await wait_all_tasks_blocked()
            assert story(server.told) == ["started a", "a cancelled", "completed"]

    run(main)


def test_the_handlers_of_events_finish_when_a_worker_ends():
    """An attached server still gets the response, and what the handler has started."""

    class Slow(Desk):
        async def on_user_text(self, message):
            await trio.sleep(1)
            await self.start_user_job_group("a", name="work")
            await self.send_text("started")
            return "done"

    async def main():
        desk, server = Slow("desk"), Server()
        async with on_stage(desk, server, Peer("a")) as runner:
            await server.do("__send_text", {"content": "go"})
            await wait_all_tasks_blocked()
            runner.bus.post(BusEndWorkerMessage(source="x", target="desk"))
            await desk.wait()
            await wait_all_tasks_blocked()
            assert [response.data for response in server.responses] == ["done"]
            assert story(server.told) == ["started a", "a completed", "completed"]

    run(main)


def test_a_handler_that_has_nothing_to_tell_holds_nobody_up():
    """When it has ended, an attached server is let go all the same."""

    class Slow(Desk):
        async def on_user_text(self, message):
            await trio.sleep(1)

    async def main():
        desk, server = Slow("desk"), Server()
        async with on_stage(desk, server) as runner:
            await server.do("__send_text", {"content": "go"}, request_id=None)
            await wait_all_tasks_blocked()
            runner.bus.post(BusEndWorkerMessage(source="x", target="desk"))
            with trio.fail_after(2):
                await desk.wait()
            await wait_all_tasks_blocked()
            assert server.ends == [None]

    run(main)


@pytest.mark.parametrize("how", ["stop", "cancel", "crash"])
def test_a_ui_worker_that_stops_tells_how_its_groups_end(how):
    """They are cancelled, and told as such before the servers are left alone."""

    async def crash():
        raise OSError("on fire")

    async def main():
        desk, server = Desk("desk"), Server()
        runner = WorkerRunner(bus=MemoryChannelBus(incarnation="t"), strict=False)
        async with runner:
            await runner.add_workers(desk, server, Peer("a"), Peer("b"))
            await runner.registry.wait_ready("desk", "server", "a", "b")
            await wait_all_tasks_blocked()
            payload = {"a": {"seconds": 9, "stopping": 0.5}, "b": {"seconds": 9, "stopping": 1}}
            await desk.start_user_job_group("a", "b", name="work", payload=payload)
            await desk.start_user_job_group("a", "nobody", name="work")
            await trio.sleep(0.5)
            if how == "stop":
                await desk.stop()
            elif how == "cancel":
                runner.bus.post(BusCancelWorkerMessage("enough", source="x", target="desk"))
            else:
                desk.nursery.start_soon(crash)
            await desk.wait()
            assert trio.current_time() < 3
            await wait_all_tasks_blocked()
            check_told(server.told, all_ended=True)
            first = [m for m in story(server.told) if m.startswith(("a ", "b "))]
            assert sorted(first) == ["a cancelled", "a cancelled", "b cancelled"]
            assert len(server.ends) == 1
            assert server.ends[0] is not None

    run(main)


def test_a_group_that_others_have_opened_ends_with_the_worker():
    """A block in a Trio task that isn't the worker's fails, and users are told."""

    async def main():
        desk, server = Desk("desk"), Server()
        async with on_stage(desk, server, Peer("a")):
            with pytest.raises(JobGroupError, match="worker 'desk' has stopped"):
                async with desk.user_job_group("a", name="work", payload={"a": {"seconds": 99}}):
                    await trio.sleep(0.5)
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(desk.stop)
                        await trio.sleep_forever()
            assert trio.current_time() < 2
            await wait_all_tasks_blocked()
            assert story(server.told) == ["started a", "a cancelled", "completed"]

    run(main)


def test_members_that_stop_slowly_hold_up_a_farewell_for_a_while_only():
    """Then the server is left alone; it knows what to make of that."""

    async def main():
        desk, server = Desk("desk"), Server()
        async with on_stage(desk, server, Peer("a")):
            await desk.start_user_job_group("a", name="work", payload={"a": {"stopping": 30}})
            await trio.sleep(0.5)
            await desk.stop()
            assert 30 < trio.current_time() < 32
            assert story(server.told) == ["started a"]
            assert len(server.ends) == 1

    run(main)


def test_a_server_that_has_left_is_told_no_farewell():
    """Nobody waits to tell it anything, also while groups are open."""

    async def main():
        desk, server = Desk("desk"), Server()
        async with on_stage(desk, server, Peer("a")):
            await desk.start_user_job_group("a", name="work", payload={"a": {"stopping": 1}})
            await trio.sleep(0.5)
            server.scope.cancel()
            await wait_all_tasks_blocked()
            assert desk.attached_servers == ()
            assert trio.current_time() == 0.5
            await desk.stop()

    run(main)


def test_everything_is_cancelled_at_once():
    """A runner that is cancelled from outside is left without delay."""

    async def main():
        desk, server = Desk("desk"), Server()
        runner = WorkerRunner(bus=MemoryChannelBus(incarnation="t"))
        with trio.move_on_after(0.5):
            async with runner:
                await runner.add_workers(desk, server, Peer("a"))
                await desk.wait_running()
                await desk.start_user_job_group("a", "nobody", name="work")
                await trio.sleep_forever()
        assert trio.current_time() == 0.5
        assert_gone(runner, desk, server)

    run(main)


def test_a_worker_that_has_stopped_starts_nothing():
    """It says so, and nobody is told of a group that never was."""

    async def main():
        desk, server = Desk("desk"), Server()
        async with on_stage(desk, server, Peer("a")):
            await desk.stop()
            with pytest.raises(StoppedError, match="worker 'desk' has stopped"):
                await desk.start_user_job_group("a", name="work")
            with pytest.raises(StoppedError, match="worker 'desk' has stopped"):
                desk.user_job_group("a", name="work")
            await wait_all_tasks_blocked()
            assert story(server.told) == []

    run(main)
