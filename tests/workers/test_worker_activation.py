"""Activation and deactivation, and their arguments."""

from typing import Any

import attrs
import pytest
import trio

from trioworkers import BaseWorker, UnknownWorkerError, WorkerActivationArgs, WorkerRunner


@attrs.define
class Greeting(WorkerActivationArgs):
    """A user's own arguments."""

    text: str | None = None
    count: int = 1
    nested: dict[str, Any] | None = None


class Logged(BaseWorker):
    """Notes how it is activated."""

    def __init__(self, name, log, **options):
        super().__init__(name, **options)
        self.log = log

    async def on_activated(self, args):
        self.log.append((self.name, "on", args))

    async def on_deactivated(self):
        self.log.append((self.name, "off"))


def test_activation_args_become_a_dict_without_none():
    """Falsy values that are not None stay."""
    assert WorkerActivationArgs().to_dict() == {}
    assert WorkerActivationArgs({"a": None}).to_dict() == {"metadata": {"a": None}}
    assert Greeting(count=0, nested={}).to_dict() == {"count": 0, "nested": {}}


def test_activation_args_come_from_a_dict_ignoring_unknown_keys():
    """Of the class it is called on."""
    assert WorkerActivationArgs.from_dict({"metadata": {"a": 1}, "other": 2}) == (
        WorkerActivationArgs({"a": 1})
    )
    greeting = Greeting.from_dict({"text": "hi", "unknown": 1})
    assert greeting == Greeting(text="hi")
    assert Greeting.from_dict(Greeting({"m": 1}, "hi", 3).to_dict()) == Greeting({"m": 1}, "hi", 3)


async def test_a_worker_starts_active_unless_told_otherwise():
    """Without arguments."""
    log = []
    async with WorkerRunner() as runner:
        await runner.add_workers(Logged("a", log), Logged("b", log, active=False))
        await runner.registry.wait_ready("a", "b")
        assert runner.get_worker("a").active
        assert not runner.get_worker("b").active
        assert runner.registry.get("a").active
        assert not runner.registry.get("b").active
    assert log == [("a", "on", None)]


async def test_a_worker_activates_another_with_arguments():
    """They are a dict at the hook, kept while it is active and gone after."""
    log = []
    a, b = Logged("a", log), Logged("b", log, active=False)
    async with WorkerRunner() as runner:
        await runner.add_workers(a, b)
        await runner.registry.wait_ready("a", "b")
        await a.activate_worker("b", args=Greeting({"m": 1}, "hi"))
        assert b.active
        assert b.activation_args == {"metadata": {"m": 1}, "text": "hi", "count": 1}
        await b.wait_idle()
        await a.deactivate_worker("b")
        assert not b.active
        assert b.activation_args is None
        await b.wait_idle()
    assert log[1:] == [
        ("b", "on", {"metadata": {"m": 1}, "text": "hi", "count": 1}),
        ("b", "off"),
    ]


async def test_handing_over_deactivates_the_sender_first():
    """The two are never active at once."""
    log = []
    active_at_once = []

    class Watchful(Logged):
        async def on_activated(self, args):
            await super().on_activated(args)
            active_at_once.append(a.active and b.active)

    a, b = Logged("a", log), Watchful("b", log, active=False)
    async with WorkerRunner() as runner:
        await runner.add_workers(a, b)
        await runner.registry.wait_ready("a", "b")
        await a.wait_idle()
        await a.activate_worker("b", deactivate_self=True)
        assert (a.active, b.active) == (False, True)
        await a.wait_idle()
        await b.wait_idle()
    assert active_at_once == [False]
    assert sorted(log[1:]) == [("a", "off"), ("b", "on", None)]


async def test_activation_is_book_keeping_even_if_a_hook_is_stuck():
    """`active` changes at delivery; the hooks run later, in order."""
    log = []
    gate = trio.Event()

    class Stuck(Logged):
        async def on_activated(self, args):
            await gate.wait()
            await super().on_activated(args)

    a, b = Logged("a", log), Stuck("b", log)
    with trio.fail_after(1):
        async with WorkerRunner() as runner:
            await runner.add_workers(a, b)
            await runner.registry.wait_ready("a", "b")
            await a.deactivate_worker("b")
            assert not b.active
            await a.activate_worker("b", args=Greeting(text="again"))
            assert b.active
            gate.set()
            await b.wait_idle()
    assert [entry for entry in log if entry[0] == "b"] == [
        ("b", "on", None),
        ("b", "off"),
        ("b", "on", {"text": "again", "count": 1}),
    ]


async def test_activating_nobody_is_an_error_at_the_sender():
    """Unknown names, and what is no name."""
    a = Logged("a", [])
    async with WorkerRunner() as runner:
        await runner.add_workers(a)
        await runner.registry.wait_ready("a")
        with pytest.raises(UnknownWorkerError, match="'ghost'"):
            await a.activate_worker("ghost")
        with pytest.raises(UnknownWorkerError, match="'ghost'"):
            await a.deactivate_worker("ghost")
        with pytest.raises(ValueError, match="a worker name must not be empty"):
            await a.activate_worker("", deactivate_self=True)
        with pytest.raises(TypeError, match="a worker name must be a str, not None"):
            await a.deactivate_worker(None)
        assert a.active
