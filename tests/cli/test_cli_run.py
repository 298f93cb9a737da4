"""``trioworkers run`` as a user meets it: real processes, a real server."""

import json
import re
import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner
from command_processes import finished, running
from redis_servers import free_port, open_server

from trioworkers.cli._main import cli, run


def hosting(shop, bus, *options, factory="one"):
    """Run workers while a block does."""
    return running(shop, "run", f"shop:{factory}", *bus, *options)


def asking(shop, bus, job, *options, payload=None):
    """Ask ``clerk`` while a block runs."""
    given = [] if payload is None else ["--payload", json.dumps(payload)]
    return running(shop, "call", "clerk", job, *given, *bus, *options)


# What is run


@pytest.mark.parametrize(
    ("factory", "workers"),
    [("one", ["clerk"]), ("several", ["a", "b"]), ("Named", ["named"]), ("Box.one", ["clerk"])],
)
def test_a_factory_makes_workers(shop, bus, valkey, factory, workers):
    """Sync or async, one or several; a class of worker will do."""
    with hosting(shop, bus, "--name", "counter", factory=factory) as host:
        host.wait_stderr("\nready\n")
        lines = host.stderr.splitlines()
        names = ", ".join(map(repr, workers))
        assert re.fullmatch(
            rf"runner 'counter', pid {host.process.pid} on \S+, {valkey.url}: "
            rf"{names} of shop:{factory}",
            lines[0],
        )
        assert lines[1].endswith(f"connected {valkey.url}")
        assert sorted(lines[2:-1]) == [f"worker {name!r} is ready" for name in workers]
        asked = finished(shop, "workers", *bus, "--json")
        (runner,) = json.loads(asked.stdout)["runners"]
        assert [worker["name"] for worker in runner["workers"]] == workers


def test_it_ends_when_its_workers_have(shop, bus):
    """By themselves, with 0."""
    with hosting(shop, bus) as host:
        host.wait_stderr("\nready\n")
        assert finished(shop, "call", "clerk", "leave", *bus).returncode in (0, 6)
        assert host.wait() == 0
        assert host.stderr.endswith("\nended\n")


# Signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["term", "int"])
def test_a_signal_drains(shop, bus, number):
    """What was accepted is finished, and answered; then it ends with 0."""
    with hosting(shop, bus) as host, asking(shop, bus, "work", payload={"steps": 20}) as asker:
        asker.wait_stdout('"step": 1}')
        host.send(number)
        host.wait_stderr(f"{number.name}: finishing what was accepted, for 30 s at most")
        assert not (shop / "finished").exists()
        late = finished(shop, "call", "clerk", "add", "--timeout", "0.2", *bus)
        assert late.returncode in (6, 7)
        assert asker.wait() == 0
        assert asker.stdout.endswith('{"type": "response", "data": {"done": true}}\n')
        assert host.wait() == 0
        assert host.stderr.endswith("\nended\n")
    assert (shop / "finished").exists()
    assert not (shop / "cancelled").exists()


def test_what_is_not_finished_in_time_is_cancelled(shop, bus):
    """The one who asked is told, and the exit status says that work was cut off."""
    with (
        hosting(shop, bus, "--grace", "0.3") as host,
        asking(shop, bus, "work", payload={}) as asker,
    ):
        asker.wait_stdout('"step": 1}')
        host.send(signal.SIGTERM)
        assert host.wait() == 143
        assert "not finished within 0.3 s: cancelling 1 job\n" in host.stderr
        assert host.stderr.endswith("\ncancelled\n")
        assert asker.wait() == 6
        assert "'clerk' was cancelled: " in asker.stderr
    assert (shop / "cancelled").exists()


@pytest.mark.parametrize(
    ("first", "second", "status"),
    [(signal.SIGTERM, signal.SIGTERM, 143), (signal.SIGTERM, signal.SIGINT, 130)],
)
def test_a_second_signal_cancels_at_once(shop, bus, first, second, status):
    """However long the grace period is."""
    with (
        hosting(shop, bus, "--grace", "600") as host,
        asking(shop, bus, "work", payload={}) as asker,
    ):
        asker.wait_stdout('"step": 1}')
        host.send(first)
        host.wait_stderr("another signal cancels it")
        host.send(second)
        assert host.wait() == status
        assert f"{second.name}: cancelling 1 job\n" in host.stderr
        assert asker.wait() == 6
    assert (shop / "cancelled").exists()


def test_no_grace_cancels_at_the_first_signal(shop, bus):
    """As is said by ``--grace 0``."""
    with hosting(shop, bus, "--grace", "0") as host, asking(shop, bus, "work", payload={}) as asker:
        asker.wait_stdout('"step": 1}')
        host.send(signal.SIGTERM)
        assert host.wait() == 143
        assert asker.wait() == 6


def test_a_third_signal_ends_the_process(shop, bus):
    """Even if a handler is deaf to the second one."""
    with hosting(shop, bus) as host, asking(shop, bus, "deaf") as asker:
        asker.wait_stdout('"deaf"')
        host.send(signal.SIGTERM)
        host.wait_stderr("another signal cancels it")
        host.send(signal.SIGTERM)
        host.wait_stderr("cancelling 1 job")
        with pytest.raises(subprocess.TimeoutExpired):
            host.process.wait(0.5)
        host.send(signal.SIGTERM)
        assert host.wait() == -signal.SIGTERM


@pytest.mark.parametrize("factory", ["hangs", "waits"])
def test_a_signal_ends_a_factory_that_hangs(shop, bus, factory):
    """Sync or async."""
    with hosting(shop, bus, factory=factory) as host:
        host.wait_stdout("begun")
        host.send(signal.SIGINT)
        assert host.wait() == 130
        assert host.stderr.strip() == "cancelled"


def test_a_signal_while_it_connects_ends_it(shop):
    """Nothing was accepted yet."""
    nowhere = f"redis://127.0.0.1:{free_port()}"
    with running(shop, "run", "shop:one", "--bus", nowhere, "--connect-timeout", "60") as host:
        host.wait_stderr("disconnected")
        host.send(signal.SIGTERM)
        assert host.wait() == 143
        assert "Traceback" not in host.stderr


# What goes wrong while it runs


def test_a_crash_is_told_once(shop, bus):
    """The traceback, and status 1; the one who asked learns that the job is lost."""
    with hosting(shop, bus) as host, asking(shop, bus, "crash") as asker:
        assert host.wait() == 1
        assert host.stderr.count("RuntimeError: the shop burns") == 1
        assert host.stderr.endswith("\ncrashed\n")
        assert asker.wait() == 8
        assert "'clerk' was lost: " in asker.stderr


def test_connection_changes_are_lines(shop):
    """One for each change of state, and the jobs go on afterwards."""
    with open_server("valkey") as server:
        bus = ["--bus", server.url]
        with hosting(shop, bus) as host:
            host.wait_stderr("\nready\n")
            server.stop()
            host.wait_stderr(f"disconnected {server.url}")
            server.start()
            host.wait_stderr(f" connected {server.url}", 2)
            assert host.stderr.count("disconnected") == 1
            asked = finished(
                shop, "call", "clerk", "add", "-q", "--payload", '{"numbers": [1]}', *bus
            )
            assert asked.stdout == '{"sum": 1}\n'


# What is refused before anything starts


@pytest.mark.parametrize(
    ("place", "reasons"),
    [
        ("shop", ["'shop' is not MODULE:FACTORY"]),
        (":one", ["':one' is not MODULE:FACTORY"]),
        ("nowhere:one", ["there is no module 'nowhere', neither in "]),
        ("shop.inner:one", ["there is no module 'shop.inner'"]),
        ("shop:two", ["module 'shop' has no 'two'; it has 'Clerk', 'one', 'several', "]),
        ("shop:Box.two", ["'Box' of module 'shop' has no 'two'; it has "]),
        ("shop:number", ["'number' of module 'shop' is a int, not a function"]),
        ("shop:raises", ["shop:raises has raised:", "ZeroDivisionError: no workers today"]),
        ("shop:Clerk.add", ["shop:Clerk.add has raised:", "missing 2 required positional"]),
        ("shop:none", ["shop:none has returned no workers"]),
        ("shop:nonsense", ["shop:nonsense has returned ['clerk']; it must return a worker"]),
        ("shop:forgets", ["shop:forgets has returned None; it must return a worker"]),
        ("shop:twice", ["'clerk' is already in this call"]),
        ("broken:one", ["module 'broken' can't be imported:", "NameError: name 'oops'"]),
        ("needy:one", ["module 'needy' can't be imported:", "No module named 'nowhere'"]),
    ],
)
def test_what_can_not_be_run_is_told(shop, bus, place, reasons):
    """With status 2, before a connection is made, and without a traceback of ours."""
    (shop / "broken.py").write_text("def one():\n    pass\n\noops\n")
    (shop / "needy.py").write_text("import nowhere\n")
    done = finished(shop, "run", place, *bus)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    for reason in reasons:
        assert reason in done.stderr
    assert "trioworkers/cli" not in done.stderr
    assert "importlib" not in done.stderr
    assert "connected" not in done.stderr


@pytest.mark.parametrize("taken", ["clerk", "counter"])
def test_a_taken_name_is_told_before_anything_starts(shop, bus, taken):
    """With its owner, and status 3; whether it is a worker's or the runner's."""
    with hosting(shop, bus, "--name", "counter") as host:
        host.wait_stderr("\nready\n")
        other = ("one", "other") if taken == "clerk" else ("several", "counter")
        done = finished(shop, "run", f"shop:{other[0]}", "--name", other[1], *bus)
        assert done.returncode == 3
        assert f"'{taken}' is already in process {host.process.pid} on " in done.stderr
        assert "is ready" not in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", [["run", "shop:one"], ["workers"], ["call", "clerk", "add"]])
def test_a_server_that_is_not_there_is_told(shop, command):
    """After the connect timeout, with status 3."""
    nowhere = f"redis://127.0.0.1:{free_port()}"
    done = finished(shop, *command, "--bus", nowhere, "--connect-timeout", "0.3")
    assert done.returncode == 3
    assert f"Error: the bus can't be reached: {nowhere}: " in done.stderr
    assert "Connection refused" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", [["run", "shop:one"], ["workers"], ["call", "clerk", "add"]])
def test_a_wrong_password_is_told_and_never_shown(shop, command):
    """With status 3, at once; also from the environment."""
    with open_server("valkey", password="opensesame") as server:
        url = f"redis://:sesameseed@127.0.0.1:{server.port}"
        done = finished(shop, *command, env={"TRIOWORKERS_BUS": url})
    assert done.returncode == 3
    assert "refuses us" in done.stderr
    assert "check address, user, password" in done.stderr
    assert "sesame" not in done.stderr + done.stdout


@pytest.mark.parametrize("command", [["run", "shop:one"], ["workers"], ["call", "clerk"]])
@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ([], "--bus URL is missing; or set TRIOWORKERS_BUS"),
        (["--bus", "sesame"], "a server's URL looks like redis://"),
        (["--bus", "redis://:sesame@host:port"], "a port is a number"),
        (["--bus", "redis://x", "--namespace", "{x}"], "namespace must be 1 to 100 letters"),
        (["--bus", "redis://x", "--connect-timeout", "-1"], "-1 is not a number of seconds"),
        (["--bus", "redis://x", "--connect-timeout", "nan"], "nan is not a number of seconds"),
        (["--bus", "redis://x", "--connect-timeout", "0"], "connect_timeout must be > 0"),
    ],
)
def test_wrong_options_are_refused(command, options, reason, capsys, monkeypatch):
    """With status 2; what may be a password isn't shown."""
    monkeypatch.delenv("TRIOWORKERS_BUS", raising=False)
    assert run([*command, *options]) == 2
    told = capsys.readouterr().err
    assert reason in told
    assert "sesame" not in told


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--grace", "nan"], "nan is not"),
        (["--name", ""], "at least one"),
        (["--name", "cli#1"], "own"),
    ],
)
def test_wrong_options_of_run_are_refused(options, reason, capsys):
    """With status 2."""
    assert run(["run", "shop:one", "--bus", "redis://x", *options]) == 2
    assert reason in capsys.readouterr().err


def test_help_tells_what_to_expect():
    """Signals, grace, statuses, and where a password belongs."""
    result = CliRunner().invoke(cli, ["run", "--help"])
    assert result.exit_code == 0
    text = " ".join(result.output.split())
    for told in (
        "default: 30.0",
        "A second signal cancels at once",
        "1 a worker has crashed",
        "3 the bus can't be reached",
        "143 for SIGTERM",
        "TRIOWORKERS_BUS",
        "TRIOWORKERS_NAMESPACE",
        "A password on a command line can be seen",
    ):
        assert told in text


@pytest.mark.parametrize("command", [["run", "shop:one"], ["workers"], ["call", "clerk"]])
def test_a_missing_extra_names_the_remedy(command, capsys, monkeypatch):
    """Instead of a traceback."""
    for name in [*sys.modules]:
        if name.partition(".")[0] == "coredis" or name.startswith("trioworkers.bus.redis._s"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "coredis", None)
    assert run([*command, "--bus", "redis://x"]) == 1
    assert "pip install 'trioworkers[redis]'" in capsys.readouterr().err
