"""``run(progress=True)``: how a run stands, on standard error."""

import re
import subprocess
import sys
import textwrap

import pytest
import trio
from flows import A, B, assert_quiet, fan, found, line, make
from terminals import talk

from trioworkers.errors import MissingExtraError

PROGRAM = textwrap.dedent("""
    import sys, trio
    from trioworkers.graph import Graph, Task, TaskWorker

    class A(Task):
        n: int = 0

    class B(Task):
        n: int = 0

    class Split(TaskWorker):
        output_types: list[type[Task]] = [B]

        async def consume_work(self, task: A):
            for n in range(3):
                self.publish_work(B(n=n))

    class Count(TaskWorker):
        def consume_work(self, task: B):
            self.print(f"[bold]at {task.n}")
            print("stray", file=sys.stderr)
            trio.from_thread.run(trio.sleep, 0.3)
            if task.n == 2:
                raise ValueError("mine")

    split, count = Split(name="[red]Split"), Count()
    graph = Graph(name="the words").add_workers(split, count).set_entry(split)
    graph.set_dependency(split, count)
    trio.run(lambda: graph.run([A()], progress=True, on_failure="collect"))
""")


def sleeper():
    async def sleep(self, task: A):
        await trio.sleep(task.n)
        self.publish_work(B(n=task.n))

    return make(sleep, B)


async def test_lines_where_there_is_no_terminal(autojump_clock, capsys):
    """Every ten seconds if something has changed, and at the end; only what there is."""
    graph = line(sleeper(), sink=B, name="mine")
    await graph.run([A(n=15), A(n=35)], progress=True)
    assert capsys.readouterr().err.splitlines() == [
        "mine, 10 s: Sleep 2 active",
        "mine, 20 s: Sleep 1 active, 1 done",
        "mine, 35 s: Sleep 2 done",
    ]
    async with graph.open(progress=True):
        pass
    assert capsys.readouterr().err.splitlines() == ["mine, 0 s: nothing yet"]


async def test_nothing_is_shown_unless_asked(autojump_clock, capsys):
    """It costs nothing then."""
    graph = line(sleeper(), sink=B)
    async with graph.open():
        await graph.add_work(graph.workers[0], A(n=25))
    assert capsys.readouterr().err == ""


def test_rich_is_not_imported_unless_asked():
    """It takes long."""
    code = "import trioworkers.graph, sys; sys.exit('rich' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


async def test_failures_leave_it_closed(autojump_clock, capsys):
    """Of ``init``, of the block, and of a task."""
    graph = line(make(sleeper().consume_work.__func__, B, init=lambda self: 1 / 0), sink=B)
    with pytest.raises(ZeroDivisionError):
        await graph.run([A()], progress=True)
    graph = line(sleeper(), sink=B)
    with pytest.raises(KeyError):
        async with graph.open(progress=True):
            await graph.add_work(graph.workers[0], A(n=100))
            await trio.sleep(1)
            raise KeyError
    assert "Sleep" in capsys.readouterr().err.splitlines()[-1]
    assert found(graph) == []


async def test_missing_rich_names_the_pip_line(autojump_clock, monkeypatch):
    """Before anything is begun; without progress all is as ever."""
    monkeypatch.setitem(sys.modules, "rich", None)
    graph = line(fan(2), sink=B)
    with pytest.raises(MissingExtraError, match=r"progress of a graph.*trioworkers\[cli\]"):
        await graph.run([A()], progress=True)
    with pytest.raises(MissingExtraError):
        graph.open(progress=True)
    await graph.run([A()])
    assert found(graph) == [0, 1]
    assert_quiet(graph)


def test_live_table_on_a_terminal():
    """Each worker with its counts, names as they are; what is printed stays above."""
    text = talk([sys.executable, "-c", PROGRAM])
    head, _, last = text.rpartition("the words, ")
    rows = [row for row in plain(last).splitlines() if row.strip()]
    assert rows[1].split() == ["worker", "queued", "active", "done", "failed", "cached", "held"]
    assert rows[3].split() == ["[red]Split", "·", "·", "1", "·", "·", "·"]
    assert rows[4].split() == ["Count", "·", "·", "2", "1", "·", "·"]
    assert rows[5].split() == ["all", "·", "·", "3", "1", "·", "·"]
    for n in range(3):
        assert f"[bold]at {n}" in head
    assert "3" in plain(head).partition("Count")[2].splitlines()[0]  # they were active once


def plain(text):
    """Return a text without escape sequences."""
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text).replace("\r", "")


def test_what_is_printed_goes_to_standard_output(tmp_path):
    """Also under a live table, if that is no terminal."""
    path = tmp_path / "out"
    code = f"exec {sys.executable} -c '{PROGRAM}' > {path}"
    text = talk(["sh", "-c", code])
    assert sorted(path.read_text().splitlines()) == [f"[bold]at {n}" for n in range(3)]
    assert "the words" in text
    assert "[bold]" not in text
