"""What delivery promises: no recursion, no user error in the sender, no Ctrl-C between."""

import sys

import trio
from subscribers import AtDelivery, Listener, Note
from trio.testing import wait_all_tasks_blocked

from trioworkers.bus import (
    MemoryChannelBus,
)


async def test_posting_at_delivery_does_not_recurse():
    """Thousands of messages that cause each other need no deep stack."""
    bus = MemoryChannelBus()
    depths = []
    count = sys.getrecursionlimit() * 3

    def pass_on(message):
        depth, frame = 0, sys._getframe()
        while frame is not None:
            depth, frame = depth + 1, frame.f_back
        depths.append(depth)
        if len(depths) < count:
            bus.post(Note(source=message.target, target=message.source))

    await bus.subscribe(AtDelivery("a", pass_on))
    await bus.subscribe(AtDelivery("b", pass_on))
    bus.post(Note(source="a", target="b"))
    assert len(depths) == count
    assert max(depths) - min(depths) < 5


async def test_what_is_posted_at_delivery_comes_before_post_returns_and_in_order():
    """Nested messages are delivered after the one that caused them."""
    bus = MemoryChannelBus()
    order = []

    def first(message):
        order.append(("a", message.text))
        bus.post(Note("one", source="a", target="b"))
        bus.post(Note("two", source="a", target="b"))
        order.append(("a", "done"))

    await bus.subscribe(AtDelivery("a", first))
    await bus.subscribe(AtDelivery("b", lambda message: order.append(("b", message.text))))
    bus.post(Note("go", source="x", target="a"))
    assert order == [("a", "go"), ("a", "done"), ("b", "one"), ("b", "two")]


async def test_a_nested_message_without_a_target_is_counted_as_missed():
    """Nobody can be told of it, and the sender of the outer one must not be."""
    bus = MemoryChannelBus()
    await bus.subscribe(
        AtDelivery("a", lambda _: bus.post(Note(source="a", target="ghost"))),
    )
    bus.post(Note(source="x", target="a"))
    assert bus.statistics().missed == 1
    bus.post(Note(source="x", target="a"))
    assert bus.statistics().missed == 2


async def test_a_subscriber_that_raises_at_delivery_harms_nobody(caplog):
    """It is logged and counted; sender and other subscribers don't notice."""
    bus = MemoryChannelBus()
    b = Listener("b")

    def explode(_):
        raise ValueError("book-keeping bug")

    async with bus:
        await bus.subscribe(AtDelivery("a", explode))
        await bus.subscribe(b)
        await bus.send(Note("to all", source="x"))
        await bus.send(Note(source="x", target="a"))
        await wait_all_tasks_blocked()
    assert b.texts == ["to all"]
    assert bus.statistics().errors == 2
    assert "book-keeping bug" in caplog.text


async def test_a_hook_that_raises_harms_nobody(caplog):
    """Its lane goes on, and the error is logged and counted."""
    bus = MemoryChannelBus()

    class Bad(Listener):
        async def on_bus_message(self, message):
            await super().on_bus_message(message)
            raise ValueError("hook bug")

    bad = Bad("bad")
    async with bus:
        await bus.subscribe(bad)
        await bus.send(Note("1", source="x", target="bad"))
        await bus.send(Note("2", source="x", target="bad"))
        await wait_all_tasks_blocked()
    assert [m.text for m in bad.heard] == ["1", "2"]
    assert bus.statistics().errors == 2
    assert "hook bug" in caplog.text


async def test_book_keeping_is_protected_from_ctrl_c():
    """By `post`, `send` and `on_message_received`; hooks are not."""
    bus = MemoryChannelBus()
    seen = []

    async def hook(_):
        seen.append(("hook", trio.lowlevel.currently_ki_protected()))

    def note(_):
        seen.append(("delivery", trio.lowlevel.currently_ki_protected()))
        return hook

    async with bus:
        await bus.subscribe(AtDelivery("a", note))
        bus.post(Note(source="x", target="a"))
        await bus.send(Note(source="x", target="a"))
        bus.on_message_received(Note(source="x", target="a"))
        await wait_all_tasks_blocked()
    assert seen == [("delivery", True)] * 3 + [("hook", False)] * 3
    assert not trio.lowlevel.currently_ki_protected()
