"""Servers that attach to a UI worker: late, twice, several, slow, and those that go."""

import pytest
import trio
from support import hosting, run
from trio.testing import wait_all_tasks_blocked
from ui_stages import Desk, Peer, Server, check_told, on_stage, story

from trioworkers import (
    BaseWorker,
    BusCancelWorkerMessage,
    BusEndWorkerMessage,
    JobError,
    MemoryChannelBus,
    MessageCodec,
    job,
)
from trioworkers.ui import BusUICommandMessage, BusUIMessage, BusUITextMessage
from trioworkers.ui._messages import ATTACH_JOB


def test_a_server_that_comes_late_is_told_of_the_groups_in_flight():
    """Their start, the newest update and parts of streams, the ends; of no other group."""

    async def main():
        desk, late = Desk("desk"), Server("late")
        async with on_stage(desk, late, Peer("a"), Peer("b"), Peer("c")) as runner:
            late.scope.cancel()
            await wait_all_tasks_blocked()
            assert desk.attached_servers == ()
            orders = {"a": {"updates": 3, "chunks": 60, "seconds": 9}, "b": {"seconds": 0}}
            await desk.start_user_job_group("c", name="work", label="over")
            await desk.start_user_job_group("a", "b", name="work", payload=orders)
            await trio.sleep(5)
            server = Server("server")
            await runner.add_workers(server)
            await wait_all_tasks_blocked()
            assert desk.attached_servers == ("server",)
            parts = [f"a {{'type': 'stream_data', 'data': {{'part': {n}}}}}" for n in range(10, 60)]
            replay = ["started a b", *parts, "a {'done': 2}", "b completed"]
            assert story(server.told) == replay
            await trio.sleep(10)
            assert story(server.told) == [*replay, "a completed", "completed"]
            server.scope.cancel()

    run(main)


def test_several_servers_are_told_the_same():
    """Each of them all of it, in the same order."""

    async def main():
        desk, one, two = Desk("desk"), Server("one"), Server("two")
        async with on_stage(desk, one, two, Peer("a"), Peer("b")):
            assert set(desk.attached_servers) == {"one", "two"}
            await desk.start_user_job_group("a", "b", name="work", payload={"a": {"updates": 3}})
            await trio.sleep(3)
            assert story(one.told) == story(two.told)
            assert story(one.told)[-1] == "completed"

    run(main)


@pytest.mark.parametrize("how", ["end", "cancel", "leave"])
def test_a_server_that_goes_is_told_no_more(how):
    """However it goes; the group goes on, and others are told of it."""

    async def main():
        desk, server, other = Desk("desk"), Server(), Server("other")
        async with on_stage(desk, server, other, Peer("a")) as runner:
            await desk.start_user_job_group("a", name="work")
            await trio.sleep(0.5)
            if how == "leave":
                server.scope.cancel()
            else:
                kind = {"end": BusEndWorkerMessage, "cancel": BusCancelWorkerMessage}[how]
                runner.bus.post(kind(source="x", target="server"))
            await wait_all_tasks_blocked()
            assert desk.attached_servers == ("other",)
            assert len(desk.active_jobs) == 1
            await trio.sleep(3)
            assert story(server.told) == ["started a"]
            assert story(other.told) == ["started a", "a completed", "completed"]

    run(main)


def test_a_server_that_attaches_twice_is_told_once():
    """The newer attachment counts; the older one ends, and says why."""

    async def main():
        desk, server = Desk("desk"), Server()
        async with on_stage(desk, server, Peer("a")):
            await desk.start_user_job_group("a", name="work")
            await trio.sleep(0.5)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(server.attach_once)
                await trio.sleep(3)
                assert story(server.told) == ["started a", "a completed", "completed"]
                (end,) = server.ends
                assert "attached anew" in str(end)
                assert desk.attached_servers == ("server",)
                nursery.cancel_scope.cancel()

    run(main)


class Stuck(BaseWorker):
    """A server whose data lane is full, and which doesn't empty it."""

    def __init__(self, name):
        super().__init__(name)
        self.told = []
        self.error = None

    async def on_bus_message(self, message):
        if isinstance(message, BusUIMessage):
            self.told.append(message)
            await trio.sleep_forever()

    async def attach(self, *args, **kwargs):
        await super().attach(*args, **kwargs)

    async def try_to_attach(self):
        try:
            await self.call("desk", name=ATTACH_JOB)
        except JobError as error:
            self.error = error


def test_a_server_that_does_not_read_is_given_up():
    """Once too much waits for it; nobody else is slowed down by it."""

    async def main():
        desk, server, stuck = Desk("desk"), Server(), Stuck("stuck")
        async with hosting(desk, server, stuck, Peer("a"), quiet=False) as runner:
            stuck.nursery.start_soon(stuck.try_to_attach)
            await wait_all_tasks_blocked()
            assert set(desk.attached_servers) == {"server", "stuck"}
            began = trio.current_time()
            while stuck.error is None and trio.current_time() < 10_000:
                for _ in range(100):
                    await desk.start_user_job_group("a", name="work", payload={"a": {"seconds": 0}})
                await trio.sleep(0.1)
            assert "server 'stuck' is too slow: 5" in str(stuck.error)
            assert desk.attached_servers == ("server",)
            await trio.sleep(1)
            check_told(server.told, all_ended=True)
            assert trio.current_time() - began < 10
            await runner.cancel()

    run(main)


def test_texts_and_commands_wait_for_a_slow_server():
    """They slow down who sends them, rather than being lost or kept without bound."""

    async def main():
        desk, stuck = Desk("desk"), Stuck("stuck")
        async with hosting(desk, stuck, quiet=False) as runner:
            stuck.nursery.start_soon(stuck.try_to_attach)
            await wait_all_tasks_blocked()
            sent = 0
            with trio.move_on_after(100):
                for sent in range(100_000):
                    await desk.send_text(f"{sent}")
            assert 1_000 < sent < 5_000
            async with trio.open_nursery() as nursery:
                nursery.start_soon(desk.send_text, "the last")
                await wait_all_tasks_blocked()
                assert desk.attached_servers == ("stuck",)
                assert stuck.error is None
                runner.bus.post(BusCancelWorkerMessage(source="x", target="stuck"))
            assert desk.attached_servers == ()

    run(main)


def test_texts_and_commands_are_told_to_all_servers_in_order():
    """With the session that they are for."""

    async def main():
        desk, one, two = Desk("desk"), Server("one"), Server("two")
        async with on_stage(desk, one, two):
            await desk.send_text("Hello")
            await desk.send_command("scroll", {"to": 5}, session="s")
            await desk.send_command("flash", session=None)
            await wait_all_tasks_blocked()
            for server in (one, two):
                address = {"source": "desk", "target": server.name}
                assert server.told == [
                    BusUITextMessage("Hello", **address),
                    BusUICommandMessage("scroll", {"to": 5}, session="s", **address),
                    BusUICommandMessage("flash", **address),
                ]

    run(main)


def test_texts_and_commands_that_no_page_could_take_are_refused():
    """At once, by name and value, also if nobody is attached."""

    async def main():
        desk = Desk("desk")
        async with on_stage(desk):
            with pytest.raises(TypeError, match="text must be a str, not 5"):
                await desk.send_text(5)
            with pytest.raises(ValueError, match=r"a text is not what JSON can hold.*surrogate"):
                await desk.send_text("\udc80")
            with pytest.raises(TypeError, match="the name of a command must be a str, not 5"):
                await desk.send_command(5)
            with pytest.raises(ValueError, match="the name of a command must not be empty"):
                await desk.send_command("")
            with pytest.raises(
                ValueError, match=r"the payload of a command .*at.*object is not JSON"
            ):
                await desk.send_command("x", {"at": object()})
            with pytest.raises(TypeError, match="session must be"):
                await desk.send_command("x", session=b"s")
            await desk.send_text("to nobody")

    run(main)


class StrictBus(MemoryChannelBus):
    """Takes what a network could take, and nothing else, from those who wait."""

    async def publish(self, message):
        MessageCodec().encode(message)
        await super().publish(message)


def test_what_can_not_be_sent_to_a_server_is_told_as_such(caplog):
    """The rest of it is told all the same: nobody waits for an end that never comes."""

    class Odd(Peer):
        @job(name="work")
        async def work(self, message):
            await self.send_job_update(message.job_id, {"at": object()})
            await trio.sleep(1)
            return {"at": object()}

    async def main():
        desk, server = Desk("desk"), Server()
        bus = StrictBus(incarnation="t")
        async with hosting(desk, server, Odd("a"), quiet=False, bus=bus):
            await desk.start_user_job_group("a", name="work", label="Odd")
            await trio.sleep(3)
            _, update, end, _ = server.group_news
            assert update.data["error"].startswith("what was sent can't be shown")
            assert (str(end.status), end.error) == ("completed", None)
            assert "object is not JSON" in end.response["error"]
            check_told(server.told, all_ended=True)
            assert "server 'server' is not told all" in caplog.text

    run(main)


def test_what_is_too_long_for_a_server_costs_it_nothing_else():
    """No text, command or label ends the attachment, which would end all groups for users."""

    async def main():
        desk, server, too_long = Desk("desk"), Server(), "x" * 2_000_000
        bus = StrictBus(incarnation="t")
        async with hosting(desk, server, Peer("a"), quiet=False, bus=bus):
            await desk.start_user_job_group("a", name="work", label=too_long)
            await desk.send_text(too_long)
            await desk.send_command("jump", [too_long])
            await desk.send_text("hello")
            await trio.sleep(3)
            assert story(server.told) == ["started a", "a completed", "completed"]
            assert server.group_news[0].label is None
            assert [m.text for m in server.told if isinstance(m, BusUITextMessage)] == ["hello"]
            assert server.ends == []

    run(main)


def test_an_attachment_takes_no_place_of_a_worker_with_max_jobs():
    """A UI worker that does one job at a time does it, however many servers are attached."""

    async def main():
        desk, one, two = Desk("desk", max_jobs=1), Server("one"), Server("two")
        async with on_stage(desk, one, two, Peer("a")):
            assert set(desk.attached_servers) == {"one", "two"}
            await desk.start_user_job_group("a", name="work")
            await trio.sleep(3)
            assert story(one.told)[-1] == "completed"
            assert desk.statistics().waiting_jobs == 0

    run(main)
