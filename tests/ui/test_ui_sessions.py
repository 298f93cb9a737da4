"""Whose is what: the session of the client whose event is handled, and its snapshot."""

import trio
from support import run
from trio.testing import wait_all_tasks_blocked
from ui_events import Events, responses_to
from ui_stages import Desk, Peer, Server, on_stage

from trioworkers import BaseWorker, job
from trioworkers.ui import ui_event
from trioworkers.ui._snapshots import MAX_SNAPSHOTS


def test_what_a_handler_starts_and_says_is_for_the_session_of_its_client():
    """Unless it says otherwise."""

    async def main():
        desk, server = Events("desk"), Server()
        async with on_stage(desk, server, Peer("a")):
            await server.do("say", session="s", request_id=None)
            await wait_all_tasks_blocked()
            await server.do("start", {"workers": ["a"]}, "s", request_id=None)
            await server.do("start", {"workers": ["a"]}, None, request_id=None)
            await trio.sleep(3)
            assert [m.session for m in server.told[:3]] == ["s", "s", None]
            sessions = {m.job_id: m.session for m in server.group_news}
            assert sorted(sessions.values(), key=str) == [None, "s"]
            assert desk.current_session is None

    run(main)


def test_a_session_does_not_leak_into_a_job_that_a_handler_asks_for():
    """Jobs run in the context of their own worker, and so do handlers of events."""

    class Chain(Desk):
        @ui_event("chain")
        async def chain(self, message):
            return await self.call("desk", name="inner")

        @job(name="inner")
        async def inner(self, message):
            return {"session": self.current_session}

    (response,) = responses_to(("chain", None, "s"), desk=Chain)
    assert response.data == {"session": None}


def test_a_session_does_not_leak_into_a_worker_that_a_handler_adds():
    """What that worker does for others is none of that session's business."""

    class Added(Desk):
        async def start(self):
            self.seen = [self.current_session]
            self.nursery.start_soon(self.look)
            await super().start()

        async def look(self):
            await trio.lowlevel.checkpoint()
            self.seen.append(self.current_session)

        async def on_job_request(self, message):
            self.seen.append(self.current_session)

    class Adding(Desk):
        @ui_event("add")
        async def add(self, message):
            await self.add_workers(Added("added"))
            return self.current_session

    async def main():
        desk, server = Adding("desk"), Server()
        async with on_stage(desk, server) as runner:
            assert (await server.ask("add", session="s")).data == "s"
            await runner.call("added")
            assert runner.get_worker("added").seen == [None, None, None]

    run(main)


def test_a_handler_has_nothing_of_who_sends_the_event():
    """Though that may be a job's handler: what it asks for is no part of that job."""

    class Clicker(Server):
        @job(name="click")
        async def click(self, message):
            await self.do("ask", request_id=None)

    class Asking(Desk):
        @ui_event("ask")
        async def ask_peer(self, message):
            return await self.call("a")

    class Asked(BaseWorker):
        parents = ()

        async def on_job_request(self, message):
            self.parents = (*self.parents, message.parent_job_id)

    async def main():
        asked = Asked("a")
        async with on_stage(Asking("desk"), Clicker(), asked) as runner:
            await runner.call("server", name="click")
            await wait_all_tasks_blocked()
            assert asked.parents == (None,)

    run(main)


def test_the_last_snapshot_of_each_session_is_kept():
    """Within an event its own; else that which was heard last, or whose is asked for."""

    async def main():
        desk, server = Events("desk"), Server()
        async with on_stage(desk, server):
            assert desk.snapshot() is None
            assert (await server.ask("__ui_snapshot", {"tree": 1}, "s")).data is None
            await server.ask("__ui_snapshot", {"tree": 2}, "t")
            await server.ask("__ui_snapshot", {"tree": 3}, "s")
            await server.ask("__ui_snapshot", ["any"], None)
            assert desk.snapshot("s") == {"tree": 3}
            assert desk.snapshot("t") == {"tree": 2}
            assert desk.snapshot("u") is None
            assert desk.snapshot() == desk.snapshot(None) == ["any"]
            assert (await server.ask("snapshot", None, "t")).data == {"tree": 2}

    run(main)


def test_snapshots_are_kept_of_so_many_sessions():
    """Those that were heard last."""

    async def main():
        desk, server = Events("desk"), Server()
        async with on_stage(desk, server):
            for number in range(MAX_SNAPSHOTS + 10):
                await server.do("__ui_snapshot", number, f"s{number}", request_id=None)
            await wait_all_tasks_blocked()
            kept = [n for n in range(MAX_SNAPSHOTS + 10) if desk.snapshot(f"s{n}") == n]
            assert kept == list(range(10, MAX_SNAPSHOTS + 10))

    run(main)
