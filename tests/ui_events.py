"""A UI worker whose events do all that events can do, and a server that asks for them."""

import attrs
import trio
from support import run
from ui_stages import Desk, Peer, Server, on_stage

from trioworkers import JobError
from trioworkers.ui import ui_event


@attrs.define
class Page:
    """A response."""

    number: int


class Events(Desk):
    """Handles events in all ways that there are."""

    @ui_event("echo")
    async def echo(self, message):
        return message.payload

    @ui_event("page")
    async def page(self, message):
        return Page(5)

    @ui_event("nothing")
    async def nothing(self, message):
        await trio.lowlevel.checkpoint()

    @ui_event("refuse")
    async def refuse(self, message):
        raise JobError("not today")

    @ui_event("refuse twice")
    async def refuse_twice(self, message):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.refuse, message)
            nursery.start_soon(self.refuse, message)

    @ui_event("break")
    async def break_down(self, message):
        raise LookupError("the password is secret")

    @ui_event("ask")
    async def ask_peer(self, message):
        orders = {"a": {"raises": LookupError("the password is secret")}}
        return await self.call("a", name="work", payload=orders)

    @ui_event("object")
    async def return_object(self, message):
        return {"at": object()}

    @ui_event("sleep")
    async def sleep(self, message):
        await trio.sleep(message.payload)
        return "slept"

    @ui_event("whose")
    async def whose(self, message):
        await trio.lowlevel.checkpoint()
        return self.current_session

    @ui_event("say")
    async def say(self, message):
        await self.send_text("hello")
        await self.send_command("jump")
        await self.send_command("jump", session=None)

    @ui_event("snapshot")
    async def look(self, message):
        return self.snapshot()


def responses_to(*events, desk=Events, **options):
    """Let a server ask all ``events``, (name, payload, session); return the responses."""

    async def main():
        worker, server = desk("desk"), Server()
        async with on_stage(worker, server, Peer("a")):
            return [await server.ask(*event) for event in events]

    return run(main)
