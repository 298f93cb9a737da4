"""`TaskWorker.request_user_input`: by a callback, and on a terminal."""

import contextlib
import os
import pty
import subprocess
import sys
import textwrap
import threading

import pytest
import trio
from flows import A, B, assert_quiet, found, line, make
from terminals import talk
from trio.testing import wait_all_tasks_blocked

from trioworkers.errors import GraphError, NoAnswerError, NotAttachedError, StoppedError
from trioworkers.graph import TaskWorker
from trioworkers.graph._terminal import ask_terminal
from trioworkers.graph._user_input import UserRequest


def asker(**options):
    async def ask(self, task: A):
        options.setdefault("accepted_mime_types", ["text/plain"])
        data, kind = await self.request_user_input(task, f"how many, {task.n}?", **options)
        self.publish_work(B(n=len(data)))
        assert kind == "text/plain"

    return make(ask, B)


async def test_callback_answers_at_once(autojump_clock):
    """Sync or async; it gets the metadata and what is asked."""
    seen = []

    def answer(metadata, request):
        seen.append((metadata, request.worker, request.provenance, request.task.n))
        seen.append((request.instruction, request.accepted_mime_types, request.is_open))
        request.answer("abc", "text/plain")
        assert not request.is_open

    async def answer_async(metadata, request):
        await trio.sleep(5)
        answer(metadata, request)

    for callback in (answer, answer_async):
        seen.clear()
        worker = asker()
        graph = line(worker, sink=B)
        graph.set_user_request_callback(callback)
        async with graph.open():
            chain = await graph.add_work(worker, A(n=7), metadata={"who": "Ada"})
        assert found(graph) == [3]
        assert seen == [
            ({"who": "Ada"}, "Ask", chain, 7),
            ("how many, 7?", ("text/plain",), True),
        ]


async def test_callback_may_be_set_while_the_graph_runs(autojump_clock):
    """It counts for what is asked from then on; who was asked before is still waited for."""
    requests = []
    worker = asker()
    graph = line(worker, sink=B)
    assert graph.get_user_request_callback() is None

    def first(_, request):
        requests.append(request)

    def second(_, request):
        request.answer("ab", "text/plain")

    graph.set_user_request_callback(first)
    async with graph.open():
        await graph.add_work(worker, A())
        await wait_all_tasks_blocked()
        graph.set_user_request_callback(second)
        assert graph.get_user_request_callback() is second
        await graph.add_work(worker, A())
        await wait_all_tasks_blocked()
        assert found(graph) == [2]
        (request,) = requests
        request.answer("a", "text/plain")
    assert sorted(found(graph)) == [1, 2]


async def test_answer_may_come_later_and_counts_once(autojump_clock):
    """What is not accepted is refused, and still waited for."""
    requests = []
    graph = line(asker(), sink=B)
    graph.set_user_request_callback(lambda _, request: requests.append(request))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(graph.run, [A()])
        await trio.sleep(1000)
        (request,) = requests
        with pytest.raises(
            ValueError, match="Ask accepts text/plain as an answer, not 'text/html'"
        ):
            request.answer("<p>", "text/html")
        assert request.is_open
        request.answer("ab", "text/plain; charset=utf-8".partition(";")[0])
        with pytest.raises(StoppedError, match="request of Ask was answered before"):
            request.answer("cde", "text/plain")
    assert found(graph) == [2]


async def test_timeout_fails_the_task(autojump_clock):
    """With an error that says so, and is a `trio.TooSlowError`."""
    requests = []
    graph = line(asker(timeout=5), sink=B)
    graph.set_user_request_callback(lambda _, request: requests.append(request))
    start = trio.current_time()
    with pytest.raises(
        GraphError, match="NoAnswerError: nobody has answered Ask within 5 s"
    ) as caught:
        await graph.run([A()])
    assert trio.current_time() - start == 5
    assert isinstance(caught.value.failures[0].error, trio.TooSlowError)
    with pytest.raises(StoppedError, match="not waited for any more"):
        requests[0].answer("", "text/plain")


async def test_timeout_also_bounds_the_callback(autojump_clock):
    """It is cancelled."""

    async def never(metadata, request):
        await trio.sleep_forever()

    graph = line(asker(timeout=5), sink=B)
    graph.set_user_request_callback(never)
    with pytest.raises(GraphError, match="within 5 s"):
        await graph.run([A()])


async def test_error_of_the_callback_fails_the_task(autojump_clock):
    """As it is."""

    def refuse(metadata, request):
        raise KeyError("mine")

    graph = line(asker(), sink=B)
    graph.set_user_request_callback(refuse)
    with pytest.raises(GraphError, match="KeyError: 'mine'"):
        await graph.run([A()])


async def test_abort_ends_the_request(autojump_clock):
    """Nobody waits any more."""
    requests = []
    worker = asker()
    graph = line(worker, sink=B)
    graph.set_user_request_callback(lambda _, request: requests.append(request))
    async with graph.open():
        chain = await graph.add_work(worker, A())
        await wait_all_tasks_blocked()
        assert requests[0].is_open
        graph.abort_work(chain)
        await graph.wait_completed(chain)
        assert not requests[0].is_open
    assert found(graph) == []
    assert_quiet(graph)


async def test_who_waits_holds_no_place(autojump_clock):
    """Neither of its worker, nor of those that may run at once; all are asked at once."""
    requests = []
    most = []

    async def ask(self, task: A):
        data, _ = await self.request_user_input(task, "?", ["text/plain"])
        most.append(graph.statistics().workers["Ask"].running)
        await trio.sleep(1)
        self.publish_work(B(n=int(data)))

    graph = line(make(ask, B), sink=B, max_running=1)
    graph.set_max_parallel_tasks(TaskWorker, 1)
    graph.set_user_request_callback(lambda _, request: requests.append(request))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(graph.run, [A(n=n) for n in range(5)])
        await wait_all_tasks_blocked()
        assert len(requests) == 5
        start = trio.current_time()
        for number, request in enumerate(requests):
            request.answer(str(number), "text/plain")
    assert sorted(found(graph)) == list(range(5))
    assert trio.current_time() - start == 5  # one at a time
    assert_quiet(graph)


async def assert_one_at_a_time(graph, busy):
    """Check, while the graph is open, that its limit of one still holds."""
    for n in range(-4, 0):
        await graph.add_work(graph.workers[0], A(n=n))
    await trio.sleep(100)
    assert busy == [1] * 4


async def be_busy(graph, busy):
    busy.append(graph.statistics().workers["Ask"].running)
    await trio.sleep(1)


async def test_waiting_may_end_by_any_scope(autojump_clock):
    """A scope of the handler's own; the places are counted right afterwards."""
    busy = []

    async def ask(self, task: A):
        if task.n < 0:
            await be_busy(graph, busy)
            return
        with trio.move_on_after(3):
            await self.request_user_input(task, "?", ["text/plain"])
        await trio.sleep(1)
        with pytest.raises(NoAnswerError):
            await self.request_user_input(task, "?", ["text/plain"], timeout=1)
        self.publish_work(B(n=task.n))

    graph = line(make(ask, B), sink=B)
    graph.set_max_parallel_tasks(TaskWorker, 1)
    graph.set_user_request_callback(lambda *_: None)
    async with graph.open():
        for n in range(3):
            await graph.add_work(graph.workers[0], A(n=n))
        await trio.sleep(100)
        assert sorted(found(graph)) == [0, 1, 2]
        await assert_one_at_a_time(graph, busy)
    assert_quiet(graph)


async def test_several_requests_of_one_handler(autojump_clock):
    """In Trio tasks of its own: it keeps its place meanwhile."""
    busy = []

    async def ask(self, task: A):
        async def one(n):
            data, _ = await self.request_user_input(task, str(n), ["text/plain"])
            answers.append(data)

        if task.n < 0:
            await be_busy(graph, busy)
            return
        answers = []
        async with trio.open_nursery() as nursery:
            for n in range(3):
                nursery.start_soon(one, n)
        self.publish_work(B(n=len(answers)))

    async def answer(metadata, request):
        await trio.sleep(1)
        request.answer(request.instruction, "text/plain")

    graph = line(make(ask, B), sink=B)
    graph.set_max_parallel_tasks(TaskWorker, 1)
    graph.set_user_request_callback(answer)
    async with graph.open():
        await graph.add_work(graph.workers[0], A())
        await wait_all_tasks_blocked()
        await assert_one_at_a_time(graph, busy)
        assert found(graph) == [3]
    assert_quiet(graph)


async def test_from_a_thread():
    """A plain ``def`` asks by `trio.from_thread.run`; it is cancelled with its task."""

    def ask(self, task: A):
        data, _ = trio.from_thread.run(self.request_user_input, task, "?", ["text/plain"])
        self.publish_work(B(n=len(data)))

    graph = line(make(ask, B), sink=B)
    graph.set_user_request_callback(lambda _, request: request.answer("abc", "text/plain"))
    await graph.run([A()])
    assert found(graph) == [3]

    asked = trio.Event()
    graph.set_user_request_callback(lambda *_: asked.set())
    async with graph.open():
        chain = await graph.add_work(graph.workers[0], A())
        await asked.wait()
        graph.abort_work(chain)
        await graph.wait_completed(chain)
    assert found(graph) == []
    assert_quiet(graph)


@pytest.mark.parametrize(
    ("arguments", "options", "error"),
    [
        ((1, "?"), {}, "takes a Task first, not 1"),
        ((A(), 1), {}, "an instruction that is a str, not 1"),
        ((A(), "?", "text/plain"), {}, "a list of MIME types, not 'text/plain'"),
        ((A(), "?", []), {}, "one MIME type or more"),
        ((A(), "?", ["plain"]), {}, "one MIME type or more"),
        ((A(), "?", ["a/b"]), {"timeout": -1}, "timeout must be >= 0 or None, not -1"),
    ],
)
async def test_wrong_arguments(autojump_clock, arguments, options, error):
    """Are told at once."""

    async def ask(self, task: A):
        await self.request_user_input(*arguments, **options)

    graph = line(make(ask))
    graph.set_user_request_callback(lambda *_: None)
    with pytest.raises(GraphError, match=error):
        await graph.run([A()])


@pytest.mark.parametrize(
    ("accepted", "kind", "fits"),
    [
        ("text/*", "text/html", True),
        ("*/*", "image/png", True),
        ("image/*", "text/plain", False),
        ("TEXT/Html", "text/html; charset=utf-8", True),
        ("text/html", 3, False),
    ],
)
def test_mime_types(accepted, kind, fits):
    """Are compared without parameters, in any case, and with wildcards."""
    assert a_request(accepted).accepts(kind) is fits


def a_request(*accepted, instruction="what?"):
    return UserRequest("Ask", (), A(), instruction, accepted or ("text/plain",))


# On a terminal


@contextlib.contextmanager
def a_terminal():
    """Give the person's end, and the path of the other."""
    person, other = pty.openpty()
    try:
        yield person, os.ttyname(other)
    finally:
        os.close(person)
        os.close(other)


async def shown(person, until):
    """Return what is on the screen, when ``until`` is."""
    text = ""
    with trio.fail_after(5):
        while True:
            await trio.lowlevel.wait_readable(person)
            text += os.read(person, 4096).decode()
            if until in text:
                return text


def quiet():
    return contextlib.nullcontext()


async def test_terminal_asks_and_reads_a_line():
    """What was typed before the question is no answer; escapes are not shown."""
    with a_terminal() as (person, path):
        os.write(person, b"too early\n")
        request = a_request(instruction="what\x1b[2J?\nsay")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask_terminal, request, quiet(), path)
            text = await shown(person, "> ")
            assert "Ask asks:" in text
            assert "\x1b" not in text
            await wait_all_tasks_blocked()
            os.write(person, "grün\n".encode())
        assert await request.wait() == ("grün", "text/plain")


async def test_terminal_is_cancelled_while_it_reads():
    """And can be asked again; two requests wait for one another."""
    with a_terminal() as (person, path):
        with trio.move_on_after(0.05) as scope:
            await ask_terminal(a_request(), quiet(), path)
        assert scope.cancelled_caught
        first, second = a_request(instruction="1?"), a_request("text/html", instruction="2?")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask_terminal, first, quiet(), path)
            await shown(person, "1?\r\n> ")
            nursery.start_soon(ask_terminal, second, quiet(), path)
            await wait_all_tasks_blocked()
            os.write(person, b"a\n")
            await shown(person, "2?\r\n> ")
            await wait_all_tasks_blocked()
            os.write(person, b"b\n")
        assert await first.wait() == ("a", "text/plain")
        assert await second.wait() == ("b", "text/html")


async def test_terminal_end_of_input_is_no_answer():
    """Ctrl-D on an empty line; after some text it ends that."""
    with a_terminal() as (person, path):
        request = a_request()
        with pytest.RaisesGroup(pytest.RaisesExc(NoAnswerError, match="terminal was closed")):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask_terminal, request, quiet(), path)
                await shown(person, "> ")
                await wait_all_tasks_blocked()
                os.write(person, b"\x04")


async def test_terminal_gives_text_alone(autojump_clock):
    """It is told at once that it can't give a picture."""
    with pytest.raises(ValueError, match="Ask accepts image/png, and a terminal gives text"):
        await ask_terminal(a_request("image/png"), quiet(), "/dev/null")


async def test_no_terminal_is_told_at_once(autojump_clock):
    """With what to do instead."""
    with pytest.raises(NotAttachedError, match=r"no terminal to ask on.*set_user_request_callback"):
        await ask_terminal(a_request("text/*"), quiet(), "/nowhere/tty")


PROGRAM = """
    import trio
    from trioworkers.graph import Graph, Task, TaskWorker

    class A(Task):
        n: int = 0

    class Ask(TaskWorker):
        output_types: list[type[Task]] = [A]

        async def consume_work(self, task: A):
            data, kind = await self.request_user_input(task, "how many?", timeout=20)
            self.print("answered", data, kind)

    graph = Graph().add_workers(worker := Ask()).set_entry(worker)
    graph.set_sink(worker, A)
    trio.run(lambda: graph.run([A()], progress=PROGRESS))
"""


@pytest.mark.parametrize("progress", [False, True])
@pytest.mark.parametrize("has_terminal", [True, False])
def test_in_a_process_of_its_own(has_terminal, progress):
    """With its controlling terminal, and with none; with a live display that pauses."""
    code = textwrap.dedent(PROGRAM).replace("PROGRESS", str(progress))
    if not has_terminal:
        end = subprocess.run(
            [sys.executable, "-c", code],
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert end.returncode == 1
        assert "no terminal to ask on" in end.stderr
        return
    text = talk([sys.executable, "-c", code], {"> ": "three\n"})
    assert "answered three text/html" in text, text


async def test_plain_def_asks_without_await():
    """It waits in its thread; the first error is the caller's, too."""

    def ask(self, task: A):
        data, kind = self.request_user_input(
            task=task, instruction="?", accepted_mime_types=["*/*"]
        )
        self.publish_work(B(n=len(data)))
        assert kind == "text/plain"
        with pytest.raises(TypeError, match="takes a Task first, not 1"):
            self.request_user_input(1, "?")
        with pytest.raises(NoAnswerError):
            self.request_user_input(task, "?", ["text/none"], timeout=0)

    def answer(_, request):
        if request.accepts("text/plain"):
            request.answer("abc", "text/plain")

    graph = line(make(ask, B), sink=B)
    graph.set_user_request_callback(answer)
    await graph.run([A()])
    assert found(graph) == [3]


async def test_foreign_thread_is_told_that_it_is_one():
    """Nobody would know which task is meant."""

    def ask(self, task: A):
        def elsewhere():
            with pytest.raises(NotAttachedError, match="outside of any handler"):
                self.request_user_input(task, "?")
            told.append(True)

        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()

    told = []
    await line(make(ask)).run([A()])
    assert told == [True]
