"""``trioworkers workers`` as a user meets it: real processes, a real server."""

import json
import os
import re
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import trio
from click.testing import CliRunner
from command_processes import COMMAND, finished, running
from terminals import PATIENCE, talk

from trioworkers import BaseWorker, WorkerRunner
from trioworkers.bus.redis import RedisBus
from trioworkers.cli._main import cli
from trioworkers.cli._onlooker import open_onlooker

HOST = re.escape(socket.gethostname())


@pytest.fixture
def host(shop, bus):
    """A process with the worker ``clerk``."""
    with running(shop, "run", "shop:one", "--name", "front", *bus) as host:
        host.wait_stderr("\nready\n")
        yield host


# A list


def test_nobody_is_there(shop, bus):
    """That is said, at once, and it is no failure."""
    began = time.monotonic()
    done = finished(shop, "workers", *bus)
    assert (done.returncode, done.stdout, done.stderr) == (0, "nobody is there\n", "")
    assert time.monotonic() - began < 2  # the time in which others might answer
    assert json.loads(finished(shop, "workers", "--json", *bus).stdout) == {
        "runners": [],
        "silent": [],
    }


def test_workers_are_listed_below_their_runners(shop, bus, host):
    """With the process, the lease, and since when; runners of the command are not."""
    with running(shop, "run", "shop:several", "--name", "back", *bus) as back:
        back.wait_stderr("\nready\n")
        with running(shop, "workers", "--watch", *bus) as watcher:
            watcher.wait_stdout("arrived worker clerk")
            done = finished(shop, "workers", *bus)
        since = r"since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d"
        assert re.fullmatch(
            rf"runner back: pid {back.process.pid} on {HOST}, lease 10 s\n"
            rf"  a {since}\n  b {since}\n"
            rf"runner front: pid {host.process.pid} on {HOST}, lease 10 s\n"
            rf"  clerk {since}\n",
            done.stdout,
        )
        assert done.returncode == 0


def test_the_document_has_it_all(shop, bus, host):
    """For programs."""
    (runner,) = json.loads(finished(shop, "workers", "--json", *bus).stdout)["runners"]
    (worker,) = runner.pop("workers")
    assert runner == {
        "name": "front",
        "host": socket.gethostname(),
        "pid": host.process.pid,
        "lease": 10.0,
    }
    assert abs(worker.pop("started_at") - time.time()) < PATIENCE
    assert worker == {"name": "clerk", "parent": None, "active": True}


async def test_children_are_listed_below_their_parents(shop, bus):
    """And a runner without workers is listed, too."""
    async with WorkerRunner(name="many", bus=RedisBus(bus[1], namespace=bus[3])) as runner:
        parent = BaseWorker("parent")
        await runner.add_workers(parent, BaseWorker("lone", active=False))
        await runner.registry.wait_ready("parent", "lone")
        await parent.add_workers(child := BaseWorker("child"))
        await runner.registry.wait_ready("child")
        await child.add_workers(BaseWorker("grandchild"))
        await runner.registry.wait_ready("grandchild")
        async with WorkerRunner(name="idle", bus=RedisBus(bus[1], namespace=bus[3])):
            done = await trio.to_thread.run_sync(finished, shop, "workers", *bus)
            lines = [line.partition(" since")[0] for line in done.stdout.splitlines()]
            process = f"pid {os.getpid()} on {socket.gethostname()}, lease 10 s"
            assert lines == [
                f"runner idle: {process}, no workers",
                f"runner many: {process}",
                "  lone inactive",
                "  parent",
                "    child",
                "      grandchild",
            ]


async def test_a_long_answer_is_waited_for_as_a_whole(bus):
    """It comes in several messages, and none of them says that it is the last one."""

    def open_bus():
        return RedisBus(bus[1], namespace=bus[3])

    names = [f"worker-{number}" for number in range(1201)]
    async with WorkerRunner(name="many", bus=open_bus()) as runner:
        await runner.add_workers(*map(BaseWorker, names))
        await runner.registry.wait_ready(*names)
        for _ in range(5):
            async with open_onlooker(open_bus()) as onlooker:
                await onlooker.wait_complete(PATIENCE)
                (seen,) = onlooker.view().runners
                assert len(seen.workers) == len(names)


def test_a_process_that_does_not_answer_is_named(shop, bus, host):
    """After 2 s; the others are listed."""
    with running(shop, "run", "shop:several", "--name", "back", *bus) as back:
        back.wait_stderr("\nready\n")
        back.send(signal.SIGSTOP)
        began = time.monotonic()
        done = finished(shop, "workers", *bus)
        back.send(signal.SIGCONT)
    assert time.monotonic() - began >= 2
    assert "  clerk since" in done.stdout
    assert re.search(
        rf"^\w+\.1: pid {back.process.pid} on {HOST}, lease 10 s, has not told what it has$",
        done.stdout,
        re.MULTILINE,
    )
    assert done.returncode == 0


def test_what_others_write_about_themselves_may_be_anything(shop, bus, valkey):
    """It is shown as far as it can be."""
    with running(shop, "run", "shop:one", "--name", "front", *bus) as host:
        host.wait_stderr("\nready\n")
        about = f"{{{bus[3]}}}:about"
        (incarnation, _) = valkey.call("HGETALL", about)
        for text in ("[", "7", '{"host": 1, "pid": "x", "lease": null}', '{"host": "\\u001b[2J"}'):
            valkey.call("HSET", about, incarnation, text)
            done = finished(shop, "workers", *bus)
            assert done.returncode == 0
            assert "runner front: an unknown process on " in done.stdout
            assert "\x1b" not in done.stdout
            assert "  clerk since" in done.stdout


# Watching


def test_watch_writes_a_line_for_each_change(shop, bus):
    """As it happens; Ctrl-C is how it ends."""
    with running(shop, "workers", "--watch", *bus) as watcher:
        with running(shop, "run", "shop:one", "--name", "front", *bus) as host:
            watcher.wait_stdout("arrived worker clerk")
            process = f"runner front: pid {host.process.pid} on {socket.gethostname()}, lease 10 s"
            assert watcher.stdout.splitlines()[0] == f"arrived {process}"
            host.send(signal.SIGTERM)
            watcher.wait_stdout("left runner front")
        assert [line.partition(" since")[0] for line in watcher.stdout.splitlines()] == [
            f"arrived {process}",
            "arrived worker clerk",
            "left worker clerk",
            f"left {process}",
        ]
        watcher.send(signal.SIGINT)
        assert watcher.wait() == 0
        assert watcher.stderr == ""


def test_watch_sees_a_killed_process_leave(shop, bus):
    """When its lease is over."""
    short = ("run", "shop:one", "--name", "front", "--lease", "1")
    with (
        running(shop, *short, *bus) as host,
        running(shop, "workers", "--watch", "--json", *bus) as watcher,
    ):
        watcher.wait_stdout('"name": "clerk"')
        host.send(signal.SIGKILL)
        watcher.wait_stdout('"left"', 2)
        lines = [json.loads(line) for line in watcher.stdout.splitlines()]
        for line in lines:
            line.get("worker", {}).pop("started_at", None)
        process = {"host": socket.gethostname(), "pid": host.process.pid, "lease": 1.0}
        worker = {"name": "clerk", "parent": None, "active": True}
        assert lines == [
            {"event": "arrived", "runner": "front", **process},
            {"event": "arrived", "runner": "front", "worker": worker},
            {"event": "left", "runner": "front", "worker": worker},
            {"event": "left", "runner": "front", **process},
        ]
        watcher.send(signal.SIGTERM)
        assert watcher.wait() == 143


def test_a_terminal_is_kept_up_to_date(shop, bus, host, valkey):
    """It is drawn again at each change, and stays in the end."""
    with ThreadPoolExecutor() as pool:
        watching = pool.submit(talk, [*COMMAND, "workers", "--watch", *bus], {"back": "\x03"})
        deadline = time.monotonic() + PATIENCE
        while valkey.call("HLEN", f"{{{bus[3]}}}:about") < 2:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        with running(shop, "run", "shop:several", "--name", "back", *bus):
            shown = watching.result(PATIENCE)
    assert shown.count("clerk") >= 2
    assert "\x1b[?25h" in shown  # the cursor is there again
    assert "Traceback" not in shown
    assert "cancelled" not in shown


def test_help_tells_what_to_expect():
    """How long it waits, and the statuses."""
    result = CliRunner().invoke(cli, ["workers", "--help"])
    assert result.exit_code == 0
    text = " ".join(result.output.split())
    for told in ("at most 2 s", "with --watch, also after Ctrl-C", "3 the bus", "TRIOWORKERS_BUS"):
        assert told in text
