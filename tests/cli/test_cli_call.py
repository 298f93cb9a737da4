"""``trioworkers call`` as a user meets it: real processes, a real server."""

import json
import os
import re
import signal
import subprocess

import pytest
from click.testing import CliRunner
from command_processes import COMMAND, environment, finished, running
from terminals import talk

from trioworkers.cli._main import cli, run


@pytest.fixture
def clerk(shop, bus):
    """A process with the worker ``clerk``."""
    with running(shop, "run", "shop:one", *bus) as host:
        host.wait_stderr("\nready\n")
        yield host


def called(shop, bus, job, *options, payload=None, given=None):
    """Ask ``clerk``, to the end."""
    text = [] if payload is None else ["--payload", json.dumps(payload)]
    return finished(shop, "call", "clerk", job, *text, *bus, *options, given=given)


# What is written


def test_events_and_response_are_lines_of_json(shop, bus, clerk):
    """Each as soon as it has come; nothing else on either stream."""
    payload = {"steps": 3, "seconds": 0}
    done = called(shop, bus, "work", payload=payload)
    assert done.returncode == 0
    assert done.stderr == ""
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        *({"type": "update", "data": {"step": number}} for number in range(3)),
        {"type": "response", "data": {"done": True}},
    ]


def test_quiet_writes_the_response_alone(shop, bus, clerk):
    """As what comes next in a pipe wants it."""
    done = called(shop, bus, "work", "--quiet", payload={"steps": 3, "seconds": 0})
    assert (done.returncode, done.stdout) == (0, '{"done": true}\n')


def test_a_terminal_shows_it_readably(shop, bus, clerk):
    """Without JSON around events, and with indentation in the response."""
    payload = ["--payload", '{"steps": 1, "seconds": 0}']
    shown = talk([*COMMAND, "call", "clerk", "work", *payload, *bus])
    assert re.search(r'update\S*  {"step": 0}', shown)
    assert '  "done": true' in shown
    assert '"type"' not in shown


@pytest.mark.parametrize("way", ["text", "file", "stdin"])
def test_a_payload_comes_in_three_ways(shop, bus, clerk, way):
    """Itself, in a file, or on standard input."""
    text = '{"numbers": [1, 2, 39]}'
    (shop / "job.json").write_text(text)
    option = {"text": text, "file": "@job.json", "stdin": "-"}[way]
    done = called(shop, bus, "add", "-q", "--payload", option, given=text)
    assert done.stdout == '{"sum": 42}\n'


def test_bus_and_namespace_come_from_the_environment(shop, bus, clerk):
    """So that a password isn't on the command line."""
    env = {"TRIOWORKERS_BUS": bus[1], "TRIOWORKERS_NAMESPACE": bus[3]}
    done = finished(shop, "call", "clerk", "add", "--payload", '{"numbers": []}', "-q", env=env)
    assert (done.returncode, done.stdout) == (0, '{"sum": 0}\n')


# How a job ends


def test_a_failed_job_has_status_4(shop, bus, clerk):
    """Its handler's own words, without a traceback."""
    done = called(shop, bus, "fail")
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr == "'clerk' failed: out of stock\n"


def test_a_handler_that_raises_has_status_5(shop, bus, clerk):
    """With the traceback of where it ran."""
    done = called(shop, bus, "raise")
    assert (done.returncode, done.stdout) == (5, "")
    assert done.stderr.startswith("where 'clerk' ran:\nTraceback (most recent call last):\n")
    assert 'shop.py", line ' in done.stderr
    assert done.stderr.endswith("'clerk' raised: KeyError: 'no such shelf'\n")


def test_a_job_that_nobody_does_has_status_5(shop, bus, clerk):
    """And names those that there are."""
    done = called(shop, bus, "sell")
    assert done.returncode == 5
    assert "no handler for job 'sell'; its handlers: 'add', " in done.stderr


def test_a_timeout_has_status_7_and_stops_the_job(shop, bus, clerk):
    """On the other side, too."""
    done = called(shop, bus, "work", "--timeout", "0.3", payload={})
    assert done.returncode == 7
    assert done.stderr == "'clerk' was too slow: timed out after 0.3 s\n"
    assert (shop / "cancelled").exists()


def test_a_worker_that_is_not_there_is_waited_for(shop, bus):
    """After 2 s it is told who is there; when it comes, it is asked."""
    with running(shop, "run", "shop:several", *bus) as others:
        others.wait_stderr("\nready\n")
        with running(shop, "call", "clerk", "fail", *bus) as asker:
            asker.wait_stderr("waiting for 'clerk'; workers that are there: 'a', 'b'\n")
            with running(shop, "run", "shop:one", *bus):
                assert asker.wait() == 4


def test_a_worker_that_does_not_come_has_status_7(shop, bus):
    """Whom was waited for is told."""
    done = called(shop, bus, "fail", "--timeout", "0.2")
    assert done.returncode == 7
    assert "'clerk' was too slow: timed out after 0.2 s, waiting for 'clerk'" in done.stderr


def test_a_killed_process_has_status_8(shop, bus):
    """When its lease is over, at the latest."""
    with (
        running(shop, "run", "shop:one", "--lease", "1", *bus) as clerk,
        running(shop, "call", "clerk", "work", "--payload", "{}", *bus) as asker,
    ):
        asker.wait_stdout('"step": 1}')
        clerk.send(signal.SIGKILL)
        assert asker.wait() == 8
        assert "'clerk' was lost: " in asker.stderr


# Signals


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["int", "term"]
)
def test_a_signal_cancels_the_job_and_waits_for_it(shop, bus, clerk, number, status):
    """When it ends, the handler has ended."""
    with running(shop, "call", "clerk", "work", "--payload", "{}", *bus) as asker:
        asker.wait_stdout('"step": 1}')
        asker.send(number)
        assert asker.wait() == status
        assert (shop / "cancelled").exists()
        assert "'clerk' was cancelled: " in asker.stderr
        assert "Traceback" not in asker.stderr


def test_a_second_ctrl_c_does_not_wait(shop, bus, clerk):
    """While the handler is deaf to the first one."""
    with running(shop, "call", "clerk", "deaf", *bus) as asker:
        asker.wait_stdout('"deaf"')
        asker.send(signal.SIGINT)
        asker.wait_stderr("once more doesn't wait until it has stopped")
        assert asker.process.poll() is None
        asker.send(signal.SIGINT)
        assert asker.wait() == 130
        assert "'clerk' was lost: " in asker.stderr
        assert "Traceback" not in asker.stderr
    (shop / "enough").touch()


def test_a_signal_while_it_waits_for_a_worker(shop, bus):
    """Nobody was asked yet."""
    with running(shop, "call", "clerk", "add", *bus) as asker:
        asker.wait_stderr("workers that are there: none")
        asker.send(signal.SIGINT)
        assert asker.wait() == 130
        assert "Traceback" not in asker.stderr


# What is refused


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ("", "the payload is no JSON: "),
        ("{", "the payload is no JSON: "),
        ('{"a": NaN}', "the payload is no JSON: "),
        ("[1]", "the payload is an array, not a JSON object such as {}"),
        ('"a"', "the payload is a string, not"),
        ("null", "the payload is null, not"),
        ("3", "the payload is a number or a truth value, not"),
        ("@nowhere.json", "can't read 'nowhere.json': "),
        ("@", "can't read ''"),
        ("@\0", "can't read "),
        ("@list.json", "list.json is an array, not"),
        ('{"a": "' + 2**20 * "x" + '"}', "the limit is 1048576 (max_bytes)"),
        ('{"a": ' + 200 * "[" + 200 * "]" + "}", "this can't be sent: "),
    ],
)
def test_a_wrong_payload_is_told_before_anything_is_sent(
    payload, reason, capsys, tmp_path, monkeypatch
):
    """With status 2, and without a server."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.json").write_text("[]")
    assert run(["call", "clerk", "add", "--bus", "redis://x", "--payload", payload]) == 2
    assert reason in " ".join(capsys.readouterr().err.split())


def test_standard_input_that_is_no_json_is_told():
    """By that name."""
    arguments = ["call", "clerk", "--bus", "redis://x", "--payload", "-"]
    result = CliRunner().invoke(cli, arguments, input="{]")
    assert result.exit_code == 2
    assert "standard input is no JSON: " in result.output


@pytest.mark.parametrize("seconds", ["-1", "nan", "inf"])
def test_a_wrong_timeout_is_refused(seconds, capsys):
    """With status 2."""
    assert run(["call", "clerk", "--bus", "redis://x", "--timeout", seconds]) == 2
    assert "is not a number of seconds" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("worker", "reason"), [("", "at least one character"), ("\udc80", "this can't be sent: ")]
)
def test_a_name_that_nobody_can_have_is_refused(worker, reason, capsys):
    """With status 2."""
    assert run(["call", worker, "--bus", "redis://x"]) == 2
    assert reason in capsys.readouterr().err


@pytest.mark.parametrize("options", [["work", "--payload", "{}"], ["add", "--quiet"]])
def test_a_reader_that_leaves_is_no_traceback(shop, bus, clerk, options):
    """As in ``trioworkers call ... | head -1``; a job that goes on is cancelled."""
    reader, writer = os.pipe()
    os.close(reader)
    more = [] if options[0] == "work" else ["--payload", '{"numbers": []}']
    try:
        process = subprocess.run(
            [*COMMAND, "call", "clerk", *options, *more, *bus],
            env=environment(),
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            timeout=20,
            check=False,
        )
    finally:
        os.close(writer)
    assert process.returncode == 1
    assert process.stderr == ""
    assert (shop / "cancelled").exists() is (options[0] == "work")


def test_help_tells_the_statuses():
    """Each outcome has its own."""
    result = CliRunner().invoke(cli, ["call", "--help"])
    assert result.exit_code == 0
    text = " ".join(result.output.split())
    for told in (
        "0 the job has completed",
        "4 the job has failed",
        "5 its handler has raised",
        "6 it was cancelled",
        "7 it was not done",
        "8 it was lost",
        "130 for Ctrl-C",
        '{"type": ..., "data": ...}',
        """--payload '{"number": 7}'""",
        "TRIOWORKERS_BUS",
    ):
        assert told in text
