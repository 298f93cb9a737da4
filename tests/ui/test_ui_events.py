"""What users do: events and texts, and what comes back."""

import pytest
import trio
from support import hosting, run
from trio.testing import wait_all_tasks_blocked
from ui_events import Events, responses_to
from ui_stages import Desk, Peer, Server, on_stage

from trioworkers import BaseWorker
from trioworkers.ui import BaseUIWorker, BusUIEventMessage, BusUIResponseMessage
from trioworkers.ui._event_desk import MAX_EVENTS, MAX_SESSION_EVENTS


@pytest.mark.parametrize(
    ("event", "data"),
    [
        (("echo", {"a": [1, None]}), {"a": [1, None]}),
        (("echo", "text"), "text"),
        (("page",), {"number": 5}),
        (("nothing",), None),
        (("whose", None, "s"), "s"),
        (("whose", None, None), None),
    ],
)
def test_what_a_handler_returns_is_the_response(event, data):
    """Anything that JSON can hold, or an attrs instance; and the session is known in it."""
    (response,) = responses_to(event)
    session = event[2] if len(event) > 2 else None
    assert response == BusUIResponseMessage(
        "?", data, session=session, source="desk", target="server"
    )


@pytest.mark.parametrize(
    ("event", "error"),
    [
        ("refuse", "not today"),
        ("refuse twice", "not today; not today"),
        ("break", "event 'break' failed: LookupError"),
        ("object", "event 'object' failed: TypeError"),
        (
            "jump",
            "worker 'desk' has no handler for event 'jump'; its events: 'ask', 'break', 'echo', "
            "'nothing', 'object', 'page', 'refuse', 'refuse twice', 'say', 'sleep', 'snapshot', "
            "'start', 'whose'",
        ),
        ("__jump", "worker 'desk' has no handler for event '__jump'"),
        (5, "the name of an event is a text, not 5"),
        ([], "the name of an event is a text, not list"),
    ],
)
def test_what_goes_wrong_with_an_event_is_told(event, error):
    """To the client, without details that are none of its business; the worker goes on."""
    response, after = responses_to((event,), ("echo", 1))
    assert response.data is None
    assert response.error.startswith(error)
    assert "secret" not in response.error
    assert after.data == 1


def test_what_went_wrong_with_a_job_that_a_handler_asked_for_is_told():
    """As little of it as of what goes wrong in the handler."""

    async def main():
        desk, server = Events("desk"), Server()
        async with on_stage(desk, server, Peer("a")):
            await server.do("ask")
            await trio.sleep(5)
            assert [response.error for response in server.responses] == [
                "worker 'a' raised: LookupError"
            ]

    run(main)


def test_an_error_of_a_handler_is_logged_with_its_traceback(caplog):
    """For the developer."""
    responses_to(("break",))
    (record,) = caplog.records
    assert record.message == "worker 'desk' failed in event 'break'"
    assert "the password is secret" in caplog.text
    assert "in break_down" in caplog.text


def test_a_session_that_is_no_text_is_refused():
    """Nobody but a broken server would send it."""
    (response,) = responses_to(("echo", 1, ["s"]))
    assert response.error == "a session is a text, not list"


def test_without_a_request_id_there_is_no_response():
    """Neither data nor error."""

    async def main():
        desk, server = Events("desk"), Server()
        async with on_stage(desk, server):
            for event in ("echo", "refuse", "unknown"):
                await server.do(event, request_id=None)
            await wait_all_tasks_blocked()
            assert server.told == []

    run(main)


def test_a_worker_that_is_not_attached_gets_responses_too():
    """Anybody on the bus may send an event."""

    class Clicker(Server):
        async def start(self):
            await BaseWorker.start(self)

    async def main():
        desk, clicker = Events("desk"), Clicker()
        async with on_stage(desk, clicker):
            assert (await clicker.ask("echo", 1)).data == 1
            assert (await clicker.ask("unknown")).error is not None
            assert desk.attached_servers == ()

    run(main)


def test_a_response_to_somebody_who_has_gone_is_dropped():
    """The worker goes on."""

    async def main():
        desk, server = Events("desk"), Server()
        async with on_stage(desk, server) as runner:
            await server.do("sleep", 2)
            await server.stop()
            await trio.sleep(3)
            assert desk in runner.workers

    run(main)


def test_too_many_events_at_once_are_refused():
    """Those that come when the others have been handled are not."""

    async def main():
        desk, server = Events("desk"), Server()
        async with on_stage(desk, server):
            for _ in range(MAX_EVENTS + 2):
                await server.do("sleep", 1)
            await wait_all_tasks_blocked()
            assert [response.error for response in server.responses] == [
                "busy: worker 'desk' handles 100 events; try again"
            ] * 2
            await trio.sleep(2)
            assert [response.data for response in server.responses[2:]] == ["slept"] * MAX_EVENTS
            assert (await server.ask("echo", 1)).data == 1

    run(main)


def test_one_session_leaves_room_for_others():
    """However many events it has handled, of slow handlers."""

    async def main():
        desk, server = Events("desk"), Server()
        async with on_stage(desk, server):
            for _ in range(MAX_EVENTS):
                await server.do("sleep", 1, "s")
            await wait_all_tasks_blocked()
            refusal = "busy: 25 events of this session run; try again"
            refused = MAX_EVENTS - MAX_SESSION_EVENTS
            assert [response.error for response in server.responses] == [refusal] * refused
            assert (await server.ask("echo", 1, "t")).data == 1
            await trio.sleep(2)
            assert (await server.ask("echo", 1, "s")).data == 1

    run(main)


def test_handlers_run_at_the_same_time():
    """A slow one holds up nobody."""

    async def main():
        desk, server = Events("desk"), Server()
        async with on_stage(desk, server):
            await server.do("sleep", 5)
            assert (await server.ask("echo", 1)).data == 1
            await trio.sleep(5)

    run(main)


def test_a_worker_that_stops_answers_what_it_was_about_to_do():
    """Nobody waits for ever for a response."""

    async def main():
        desk, server = Events("desk"), Server()
        async with on_stage(desk, server):
            await server.do("sleep", 5)
            await wait_all_tasks_blocked()
            await desk.stop()
            await wait_all_tasks_blocked()
            (response,) = server.responses
            assert response.error == "worker 'desk' has stopped meanwhile"

    run(main)


def test_a_worker_that_does_not_run_yet_answers_that():
    """Its name is known from the moment that it is added."""

    class Late(Events):
        async def run(self, params):
            await trio.sleep(1)
            await super().run(params)

    async def main():
        desk, server = Late("desk"), Server()
        async with hosting(server, quiet=False) as runner:
            await runner.add_workers(desk)
            response = await server.ask("echo", 1)
            assert "does not run" in response.error
            await trio.sleep(2)
            assert (await server.ask("echo", 1)).data == 1

    run(main)


# Texts


def test_a_text_goes_to_its_hook():
    """With its options and session; what the hook returns is the response."""

    class Listener(Desk):
        async def on_user_text(self, message):
            return [message.payload["content"], message.payload["options"], self.current_session]

    payload = {"content": "hi", "options": {"a": 1}}
    (response,) = responses_to(("__send_text", payload, "s"), desk=Listener)
    assert response.data == ["hi", {"a": 1}, "s"]


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        ({"content": "hi"}, "worker 'desk' takes no text"),
        ("hi", "the payload of __send_text is an object with"),
        (None, "the payload of __send_text is an object with"),
        ({}, "the `content` of a text is a text, not None"),
        ({"content": 5}, "the `content` of a text is a text, not 5"),
    ],
)
def test_a_text_that_is_none_or_that_nobody_takes_is_refused(payload, error):
    """By what is wrong with it."""
    (response,) = responses_to(("__send_text", payload))
    assert response.error.startswith(error)


def test_events_are_taken_while_hooks_are_busy():
    """They wait in no lane; `on_bus_message` sees them too, when it gets to it."""

    class Busy(Desk):
        seen = ()

        async def on_bus_message(self, message):
            self.seen = (*self.seen, type(message))
            await trio.sleep(100)

    async def main():
        desk, server = Busy("desk"), Server()
        async with on_stage(desk, server, Peer("a"), quiet=False) as runner:
            await desk.start_user_job_group("a", name="work", payload={"a": {"seconds": 50}})
            await trio.sleep(0.5)
            (news,) = server.group_news
            response = await server.ask("__cancel_task", {"task_id": news.job_id})
            assert response.data["cancelled"]
            assert trio.current_time() == 0.5
            await trio.sleep(1000)
            assert BusUIEventMessage in desk.seen
            await runner.cancel()

    run(main)


def test_on_bus_message_is_not_needed_to_get_events():
    """A plain UI worker handles reserved events alone."""
    (response,) = responses_to(("go",), desk=BaseUIWorker)
    assert response.error == "worker 'desk' has no handler for event 'go'; its events: none"
