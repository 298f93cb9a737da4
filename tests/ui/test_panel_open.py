"""`open_panel`: its life, and that of what it opens."""

import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
from pathlib import Path

import pytest
import trio
from flows import A, found
from panels import Refused, asking, chunk_of, visiting
from trio.testing import wait_all_tasks_blocked
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK

from trioworkers import BaseWorker, DuplicateWorkerError, StoppedError, WorkerRunner, job
from trioworkers.graph import GraphWorker
from trioworkers.ui import BaseUIWorker
from trioworkers.ui.panel import open_panel
from trioworkers.ui.panel._pages import PAGE_FILES, load_pages


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """Have temporary files made where the test sees them; no test leaves one."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield tmp_path
    assert list(tmp_path.iterdir()) == []


async def until(condition):
    with trio.fail_after(5):
        while not condition():  # noqa: ASYNC110
            await trio.sleep(0.005)


async def is_listening(port):
    try:
        stream = await trio.open_tcp_stream("127.0.0.1", port)
    except OSError:
        return False
    await stream.aclose()
    return True


# Entering and leaving


async def test_panel_serves_until_the_block_is_left():
    """Clients are told with 1001, the port is closed, and the worker has gone."""
    async with WorkerRunner(name="bakery") as runner:
        await runner.add_workers(BaseUIWorker("desk"))
        await runner.registry.wait_ready("desk")
        watches = runner.statistics().watches
        async with open_panel(runner, ui_worker="desk", name="front") as panel:
            assert panel.url == f"http://127.0.0.1:{panel.port}/"
            assert panel.server is runner.get_worker("front")
            await runner.registry.wait_ready("front", "desk")
            async with visiting(panel) as visitor:
                hello = await visitor.ask("panel.hello", {})
                assert abs(hello.pop("now") - 1000 * runner.bus.clock()) < 60_000
                assert hello == {
                    "title": "bakery",
                    "tabs": ["groups", "workers", "graphs"],
                    "ui_worker": "desk",
                    "ui_worker_ready": True,
                }
        assert not await is_listening(panel.port)
        await wait_all_tasks_blocked()
        assert [worker.name for worker in runner.workers] == ["desk"]
        assert runner.statistics().watches == watches
        async with open_panel(runner, ui_worker="desk", name="front") as again:
            async with visiting(again) as visitor:
                assert (await visitor.ask("panel.hello"))["title"] == "bakery"


async def test_clients_that_are_connected_see_1001():
    """So that they know that it was no accident."""
    async with WorkerRunner() as runner:
        await runner.add_workers(BaseUIWorker("desk"))
        async with trio.open_nursery() as nursery:
            codes, come = [], []

            async def visit():
                async with visiting(panel) as visitor:
                    come.append(visitor)
                    with pytest.raises((ConnectionClosedOK, ConnectionClosedError)) as caught:
                        await visitor.socket.recv()
                    codes.append(caught.value.rcvd.code)

            async with open_panel(runner, ui_worker="desk") as panel:
                for _ in range(5):
                    nursery.start_soon(visit)
                await until(lambda: len(come) == 5)
    assert codes == [1001] * 5


async def test_error_of_the_block_leaves_it_as_it_is():
    """Not in a group; all is closed before."""
    async with WorkerRunner() as runner:
        with pytest.raises(KeyError, match="mine"):
            async with open_panel(runner, ui_worker="desk") as panel:
                raise KeyError("mine")
        assert not await is_listening(panel.port)


async def test_error_of_the_block_is_told_after_the_clients():
    """They see 1001 all the same."""
    async with WorkerRunner() as runner, trio.open_nursery() as nursery:
        come, codes = trio.Event(), []

        async def visit():
            async with visiting(panel) as visitor:
                come.set()
                with pytest.raises((ConnectionClosedOK, ConnectionClosedError)) as caught:
                    await visitor.socket.recv()
                codes.append(caught.value.rcvd.code)

        with pytest.raises(KeyError, match="mine"):
            async with open_panel(runner, ui_worker="desk") as panel:
                nursery.start_soon(visit)
                await come.wait()
                raise KeyError("mine")
        await until(lambda: codes)
        assert codes == [1001]


async def test_cancelled_block_is_left_in_time():
    """With a client that is connected, and one that says nothing."""
    async with WorkerRunner() as runner:
        with trio.move_on_after(0.3) as scope:
            async with open_panel(runner, ui_worker="desk") as panel:
                async with visiting(panel), await trio.open_tcp_stream("127.0.0.1", panel.port):
                    await trio.sleep_forever()
        assert scope.cancelled_caught
        assert not await is_listening(panel.port)


async def test_port_that_is_taken_is_told():
    """With host, port and what to do; the runner goes on, and the name is free."""
    async with WorkerRunner() as runner:
        async with open_panel(runner, ui_worker="desk") as panel:
            with pytest.raises(OSError, match=rf"127.0.0.1', port {panel.port}: another program"):
                async with open_panel(runner, ui_worker="desk", port=panel.port, name="second"):
                    pass
            async with open_panel(runner, ui_worker="desk", name="second") as second:
                assert second.port != panel.port


async def test_name_that_is_taken_is_told():
    """And nothing listens."""
    async with WorkerRunner() as runner:
        await runner.add_workers(BaseWorker("front"))
        graph = asking()
        with pytest.raises(DuplicateWorkerError):
            async with open_panel(runner, ui_worker="desk", name="front", graphs=[graph]):
                pass
        assert graph.get_user_request_callback() is None
        assert runner.get_worker("front") is not None
    with pytest.raises(StoppedError):
        async with open_panel(runner, ui_worker="desk"):
            pass


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"host": "0.0.0.0"}, ValueError, "give the server a token"),
        ({"port": "x"}, TypeError, "port must be an int"),
        ({"port": 70000}, ValueError, "port must be at most 65535"),
        ({"graphs": asking()}, TypeError, r"graphs must be several Graphs, not one: \[graph\]"),
        ({"graphs": [5]}, TypeError, "graphs must be several Graphs, not 5"),
        ({"max_clients": 0}, ValueError, "max_clients must be at least 1"),
        ({"max_message_bytes": 10}, ValueError, "max_message_bytes must be at least 1024"),
        ({"max_message_bytes": "big"}, TypeError, "max_message_bytes must be an int"),
        ({"nonsense": 1}, TypeError, "nonsense"),
        ({"ui_worker": ""}, ValueError, "ui_worker must not be empty"),
        ({"host": "no.such.host.invalid", "token": "secret"}, OSError, "can't listen at host 'no"),
    ],
)
async def test_wrong_arguments_are_told_before_anything_begins(options, error, text):
    """As those of the server are."""
    async with WorkerRunner() as runner:
        with pytest.raises(error, match=text):
            async with open_panel(runner, **{"ui_worker": "desk", **options}):
                pass
        assert runner.workers == ()


async def test_panel_needs_a_runner():
    """And says so."""
    with pytest.raises(TypeError, match="a panel is that of a WorkerRunner, not of 5"):
        async with open_panel(5, ui_worker="desk"):
            pass


# The runner


async def test_runner_may_run_later():
    """Who comes before waits."""
    runner = WorkerRunner(name="late")
    async with open_panel(runner, ui_worker="desk", name="front") as panel:
        async with trio.open_nursery() as nursery:
            titles = []

            async def visit():
                async with visiting(panel) as visitor:
                    titles.append((await visitor.ask("panel.hello"))["title"])
                runner.end_nowait()

            nursery.start_soon(visit)
            await trio.sleep(0.1)
            assert titles == []
            await runner.run()
        assert titles == ["late"]


async def test_runner_that_never_runs_is_no_trouble():
    """Nor one that runs after the panel was closed."""
    runner = WorkerRunner()
    async with open_panel(runner, ui_worker="desk", name="front") as panel:
        pass
    assert not await is_listening(panel.port)
    async with open_panel(runner, ui_worker="desk", name="front"):
        pass
    with trio.fail_after(5):
        async with runner:
            await wait_all_tasks_blocked()
            assert runner.workers == ()
            async with open_panel(runner, ui_worker="desk", name="front") as panel:
                async with visiting(panel) as visitor:
                    await visitor.ask("panel.hello")


async def test_panel_closed_as_the_runner_begins_is_no_trouble():
    """Before its server has had a turn."""
    for pauses in range(12):
        async with WorkerRunner() as runner:
            async with open_panel(runner, ui_worker="desk"):
                for _ in range(pauses):
                    await trio.lowlevel.checkpoint()


async def test_runner_that_ends_within_takes_the_panel_with_it():
    """Leaving the block is no error then."""
    async with WorkerRunner() as runner:
        await runner.add_workers(BaseUIWorker("desk"))
        async with open_panel(runner, ui_worker="desk") as panel:
            async with visiting(panel) as visitor:
                await runner.end()
                with pytest.raises((ConnectionClosedOK, ConnectionClosedError)) as caught:
                    await visitor.socket.recv()
                assert caught.value.rcvd.code == 1001
            await panel.server.wait()
            assert not await is_listening(panel.port)


async def test_panel_keeps_its_runner_running():
    """Until it is closed."""
    runner, left = WorkerRunner(), []
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            async with open_panel(runner, ui_worker="desk"):
                nursery.start_soon(runner.run)
                await trio.sleep(0.1)
                left.append("panel")
            left.append("runner")
    assert left == ["panel", "runner"]


async def test_crashing_runner_closes_the_panel():
    """What crashed it is what is raised."""

    class Bad(BaseWorker):
        async def on_activated(self, args):
            await trio.sleep(0.1)
            raise OSError("broken")

    with pytest.RaisesGroup(OSError, flatten_subgroups=True, allow_unwrapped=True):
        async with WorkerRunner() as runner:
            await runner.add_workers(Bad("bad"))
            async with open_panel(runner, ui_worker="desk") as panel:
                await trio.sleep_forever()
    assert not await is_listening(panel.port)


# The UI worker


async def test_ui_worker_that_is_not_there_is_waited_for():
    """The page is told; all else works."""
    async with WorkerRunner() as runner:
        async with open_panel(runner, ui_worker="desk") as panel:
            async with visiting(panel) as visitor:
                hello = await visitor.ask("panel.hello")
                assert (hello["ui_worker"], hello["ui_worker_ready"]) == ("desk", False)
                with pytest.raises(Refused, match="try again later"):
                    await visitor.ask("order", {})
                await runner.add_workers(BaseUIWorker("desk"))
                await runner.registry.wait_ready("desk")
                assert (await visitor.ask("panel.hello"))["ui_worker_ready"] is True
                await until(lambda: panel.server.statistics().attached)


async def test_two_panels_of_one_runner():
    """Each with its port and clients; the first one is asked what graphs want to know."""
    graph = asking()
    async with WorkerRunner() as runner:
        await runner.add_workers(BaseUIWorker("desk"))
        async with (
            open_panel(runner, ui_worker="desk", graphs=[graph]) as first,
            open_panel(runner, ui_worker="desk", graphs=[graph]) as second,
            trio.open_nursery() as nursery,
        ):
            names = {first.server.name, second.server.name}
            assert len(names) == 2
            nursery.start_soon(graph.run, [A(n=1)])
            async with visiting(first) as one, visiting(second) as two:
                told = await asked_questions(one)
                assert (await two.ask("panel.graphs"))["questions"] == []
                assert len((await two.ask("panel.graphs"))["graphs"]) == 1
                await one.ask("panel.answer", {"question": told[0]["id"], "text": "yes"})
    assert graph.answers == [("yes", "text/plain")]


async def asked_questions(visitor):
    """Wait until there are questions; return them."""
    with trio.fail_after(5):
        while True:
            told = (await visitor.ask("panel.graphs"))["questions"]
            if told:
                return told
            await trio.sleep(0.01)


# Graphs


async def test_questions_of_graphs_and_graph_workers(temporary):
    """Asked while nobody was connected, answered by text and by a file."""
    given, served, late = asking("text/*"), asking("image/png"), asking()
    async with WorkerRunner() as runner:
        await runner.add_workers(GraphWorker("running", served))
        await runner.registry.wait_ready("running")
        async with open_panel(runner, ui_worker="desk", graphs=[given]) as panel:
            await runner.add_workers(GraphWorker("late", late))
            await runner.registry.wait_ready("late")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(given.run, [A(n=1)])
                for name in ("running", "late"):
                    nursery.start_soon(call_graph, runner, name)
                await trio.sleep(0.2)
                async with visiting(panel) as visitor:
                    told = await visitor.ask("panel.graphs")
                    names = {one["id"]: one["worker"] for one in told["graphs"]}
                    asked = {names[one["graph"]]: one["id"] for one in told["questions"]}
                    about = {"graph": "g1", "provenance": told["questions"][0]["provenance"]}
                    assert (await visitor.ask("panel.trace", about))["is_complete"] is False
                    assert asked.keys() == {None, "running", "late"}
                    assert await visitor.upload(asked["running"], b"x" * 300_000, "image/png") == {}
                    for name in (None, "late"):
                        await visitor.ask("panel.answer", {"question": asked[name], "text": "42"})
                    await until(lambda: served.answers)
                    ((path, kind),) = served.answers
                    assert (isinstance(path, Path), kind) == (True, "image/png")
                    assert path.read_bytes() == b"x" * 300_000
                    assert path.parent.parent == temporary
            assert late.answers == given.answers == [("42", "text/plain")]
        assert not path.exists()
        for graph in (given, served, late):
            assert graph.get_user_request_callback() is None


async def call_graph(runner, name):
    await runner.call(name, name="run_task", payload={"n": 1})


async def test_children_that_serve_graphs_are_found_when_somebody_looks():
    """And let go when they have ended."""

    class Parent(BaseWorker):
        @job(name="grow")
        async def grow(self, message):
            await self.add_workers(GraphWorker("child", graph))

    graph = asking()
    async with WorkerRunner() as runner:
        await runner.add_workers(Parent("parent"))
        async with open_panel(runner, ui_worker="desk") as panel, visiting(panel) as visitor:
            assert (await visitor.ask("panel.graphs"))["graphs"] == []
            await runner.call("parent", name="grow")
            await runner.registry.wait_ready("child")
            assert [one["worker"] for one in (await visitor.ask("panel.graphs"))["graphs"]] == [
                "child"
            ]
            assert graph.get_user_request_callback() is not None
            await runner.get_worker("child").stop()
            await wait_all_tasks_blocked()
            assert (await visitor.ask("panel.graphs"))["graphs"] == []
            assert graph.get_user_request_callback() is None


async def test_handlers_that_wait_are_told_when_the_panel_closes():
    """Their tasks fail; the app's own callback is left alone."""
    mine, graph = asking(), asking()
    mine.set_user_request_callback(lambda _, request: request.answer("me", "text/plain"))
    async with WorkerRunner() as runner, graph.open(on_failure="collect") as opened:
        async with open_panel(runner, ui_worker="desk", graphs=[mine, graph]):
            await graph.add_work(graph.workers[0], A(n=1))
            await mine.run([A(n=2)])
            await trio.sleep(0.05)
        await wait_all_tasks_blocked()
        assert "as the panel was closed" in str(opened.failures[0].error)
    assert found(mine) == [2]
    assert mine.get_user_request_callback() is not None
    assert graph.get_user_request_callback() is None


async def test_runner_that_ends_lets_people_answer_first():
    """A graph worker that drains waits for the answer, and the panel is still there."""
    graph = asking()
    async with WorkerRunner() as runner:
        await runner.add_workers(GraphWorker("served", graph))
        async with open_panel(runner, ui_worker="desk") as panel, visiting(panel) as visitor:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(call_graph, runner, "served")
                (question,) = await asked_questions(visitor)
                await runner.end()
                await trio.sleep(0.1)
                await visitor.ask("panel.answer", {"question": question["id"], "text": "yes"})
            with trio.fail_after(5):
                await panel.server.wait()
    assert graph.answers == [("yes", "text/plain")]


# Uploads over the socket


async def test_client_that_vanishes_leaves_no_file(temporary):
    """Cut off in the middle of an upload."""
    graph = asking("*/*")
    async with WorkerRunner() as runner:
        async with (
            open_panel(runner, ui_worker="desk", graphs=[graph]) as panel,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(graph.run, [A(n=1)])
            async with visiting(panel) as visitor:
                (question,) = await asked_questions(visitor)
                begun = await visitor.ask(
                    "panel.upload.begin",
                    {"question": question["id"], "size": 10, "mime_type": "a/b"},
                )
                await visitor.ask("panel.upload.chunk", chunk_of(begun["upload"], 0, b"abc"))
                files = [path for path in temporary.rglob("*") if path.is_file()]
                assert len(files) == 1
                await trio.aclose_forcefully(visitor.socket.stream)
            await until(lambda: not files[0].exists())
            async with visiting(panel) as visitor:
                with pytest.raises(Refused, match="there is no upload 'u1' of yours"):
                    await visitor.ask("panel.upload.end", begun)
                await visitor.ask("panel.answer", {"question": question["id"], "text": "typed"})


async def test_panel_closed_in_the_middle_of_an_upload_leaves_no_file(temporary):
    """The fixture looks at what is left."""
    graph = asking("*/*")
    async with WorkerRunner() as runner, graph.open(on_failure="collect"):
        async with open_panel(runner, ui_worker="desk", graphs=[graph]) as panel:
            await graph.add_work(graph.workers[0], A(n=1))
            async with visiting(panel) as visitor:
                (question,) = await asked_questions(visitor)
                begun = await visitor.ask(
                    "panel.upload.begin",
                    {"question": question["id"], "size": 10, "mime_type": "a/b"},
                )
                await visitor.ask("panel.upload.chunk", chunk_of(begun["upload"], 0, b"abc"))
                assert list(temporary.iterdir()) != []


async def test_pieces_fit_into_messages():
    """However small those may be."""
    for limit in (1024, 4096, 262_144):
        graph = asking("*/*")
        async with WorkerRunner() as runner:
            async with (
                open_panel(
                    runner, ui_worker="desk", graphs=[graph], max_message_bytes=limit
                ) as panel,
                trio.open_nursery() as nursery,
            ):
                nursery.start_soon(graph.run, [A(n=1)])
                async with visiting(panel) as visitor:
                    (question,) = await asked_questions(visitor)
                    content = os.urandom(limit)
                    await visitor.upload(question["id"], content, "a/b")
                    await until(lambda: graph.answers)  # noqa: B023
                    assert graph.answers[0][0].read_bytes() == content


@pytest.mark.parametrize("data", [None, [], "x", 5, {"question": []}, {"upload": None}])
async def test_bad_input_is_told_to_the_client(data):
    """Of each service; the connection goes on."""
    async with WorkerRunner() as runner:
        async with open_panel(runner, ui_worker="desk") as panel, visiting(panel) as visitor:
            for name in (
                "trace",
                "answer",
                "upload.begin",
                "upload.chunk",
                "upload.end",
                "upload.cancel",
            ):
                with pytest.raises(Refused, match=f"^panel.{name}: "):
                    await visitor.ask(f"panel.{name}", data)
            for name in ("hello", "workers", "graphs"):
                assert await visitor.ask(f"panel.{name}", data)
            with pytest.raises(Refused, match="there is no graph 'g7'"):
                await visitor.ask("panel.trace", {"graph": "g7", "provenance": "A:1"})


# Cancelled


class CancelAt(trio.abc.Instrument):
    """Cancels ``scope`` after the n-th step of any Trio task. In real time, as sockets are."""

    def __init__(self, at):
        self.left = at
        self.is_counting = False
        self.scope = trio.CancelScope()

    def after_task_step(self, task):
        if self.is_counting:
            self.left -= 1
            if self.left == 0:
                self.scope.cancel()


def test_nothing_is_left_whenever_it_is_cancelled(temporary):
    """At every step of a visit; the runner goes on, and so does the graph."""
    whole = []

    async def visit(runner, graph):
        async with open_panel(runner, ui_worker="desk", graphs=[graph], name="front") as panel:
            async with visiting(panel) as visitor:
                (question,) = await asked_questions(visitor)
                begun = await visitor.ask(
                    "panel.upload.begin",
                    {"question": question["id"], "size": 4, "mime_type": "a/b"},
                )
                await visitor.ask("panel.upload.chunk", chunk_of(begun["upload"], 0, b"ab"))
                await visitor.ask("panel.upload.chunk", chunk_of(begun["upload"], 2, b"cd"))
                await visitor.ask("panel.upload.end", {"upload": begun["upload"]})
            whole.append(panel)

    async def main(canceller):
        async with WorkerRunner() as runner:
            await runner.add_workers(BaseUIWorker("desk"))
            await runner.registry.wait_ready("desk")
            before = runner.statistics().watches
            graph = asking("*/*")
            async with graph.open(on_failure="collect"):
                canceller.is_counting = True
                with canceller.scope:
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(visit, runner, graph)
                        await until(lambda: graph.get_user_request_callback() is not None)
                        await graph.add_work(graph.workers[0], A(n=1))
                canceller.is_counting = False
                assert list(temporary.iterdir()) == []
                assert graph.get_user_request_callback() is None
                assert runner.statistics().watches == before
                await wait_all_tasks_blocked()
                assert [worker.name for worker in runner.workers] == ["desk"]
                assert graph.statistics().in_flight == 0

    at = 1
    while not whole:
        canceller = CancelAt(at)
        trio.run(main, canceller, instruments=[canceller])
        at += 1
    assert at > 100


# Pages


async def test_page_files_are_served_and_no_others():
    """What is in the package, and what is listed, is the same."""
    folder = Path(__file__).parents[2] / "trioworkers" / "ui" / "page"
    there = {path.name for path in folder.iterdir() if path.is_file()}
    assert {name for name, _ in PAGE_FILES.values()} == there
    assert load_pages() is load_pages()
    async with WorkerRunner() as runner:
        async with open_panel(runner, ui_worker="desk") as panel:
            for path, page in load_pages().items():
                head, body = await get(panel, path)
                assert head.startswith("HTTP/1.1 200 ")
                assert f"Content-Type: {page.content_type}" in head
                assert body == page.body
            for path in ("/index.html", "/../_server.py", "/page/main.js", "/main.js/", "/%2e/"):
                head, _ = await get(panel, path)
                assert head.startswith("HTTP/1.1 404 "), path


async def get(panel, path):
    async with await trio.open_tcp_stream("127.0.0.1", panel.port) as stream:
        request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{panel.port}\r\n\r\n"
        await stream.send_all(request.encode())
        data = b""
        async for piece in stream:
            data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    return head.decode(), body


# Ctrl-C


PROGRAM = """
    import tempfile, trio
    from trioworkers import WorkerRunner
    from trioworkers.ui import BaseUIWorker
    from trioworkers.ui.panel import open_panel

    async def main():
        async with WorkerRunner() as runner:
            await runner.add_workers(BaseUIWorker("desk"))
            try:
                async with open_panel(runner, ui_worker="desk") as panel:
                    print(panel.port, flush=True)
                    await trio.sleep_forever()
            finally:
                print("left", flush=True)

    trio.run(main)
"""


def test_control_c_stops_it():
    """With clients connected; as a `KeyboardInterrupt`."""
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PROGRAM)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    watchdog = threading.Timer(30, child.kill)
    watchdog.start()
    try:
        port = int(child.stdout.readline())

        async def visit():
            class Panel:
                url = f"http://127.0.0.1:{port}/"

            async with visiting(Panel) as visitor:
                # While it serves somebody, that one would be cut off by the interrupt itself.
                await trio.sleep(0.2)
                child.send_signal(signal.SIGINT)
                with pytest.raises((ConnectionClosedOK, ConnectionClosedError)) as caught:
                    await visitor.socket.recv()
                return caught.value.rcvd.code

        assert trio.run(visit) == 1001
        out, err = child.communicate(timeout=20)
    finally:
        watchdog.cancel()
        child.kill()
        child.wait()
    assert out == "left\n"
    assert "KeyboardInterrupt" in err
    assert "panel was" not in err


def test_without_websockets_it_says_what_to_install():
    """And the rest of the package is there."""
    code = (
        "import sys; sys.modules['websockets'] = None; import trioworkers.ui, trioworkers.ui.panel"
    )
    end = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert end.stderr.strip().endswith(
        "trioworkers.ui.panel needs packages that are not installed. "
        "Run: pip install 'trioworkers[ui]'"
    )
