"""The demo with a page, as a process, seen by a client as a browser would see it."""

import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from contextlib import asynccontextmanager, contextmanager

import pytest
import trio
from click.testing import CliRunner
from command_processes import COMMAND, environment, finished, running
from panel_clients import WebClient, visit_nowait

from trioworkers.cli._main import cli

DEMO = ["demo", "async-tasks"]
RESEARCHERS = ["files", "stdlib", "packages"]


@pytest.fixture
def tree(tmp_path):
    """A directory with something in it about octopuses."""
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "a.md").write_text("# Octopus cognition\nof an octopus\n")
    (tree / "b.txt").write_text("octopus cognition\n")
    return tree


@contextmanager
def demo(directory, *arguments, env=None):
    """Run it at a free port while the block does; yield it and the address of the page."""
    command = running(directory, *DEMO, "--port", 0, *arguments, env=env)
    with command as process:
        process.wait_stdout("\n")
        yield process, process.stdout.strip()


@asynccontextmanager
async def open_client(url, **options):
    async with trio.open_nursery() as nursery:
        client = WebClient(url, **options)
        await nursery.start(client.run)
        yield client
        nursery.cancel_scope.cancel()


async def ask(client, text, groups=1):
    """Type a text; return the beginnings of the groups that it starts, and what is said."""
    said, begun = len(client.of_type("bot-output")), len(client.told("group_started"))
    await client.send("send-text", {"content": text, "options": {}})
    await client.seen.until(lambda _: len(client.of_type("bot-output")) > said)
    if groups:
        await client.until_told("group_started", begun + groups)
    return client.told("group_started")[begun:], client.of_type("bot-output")[said]["text"]


async def test_a_topic_is_researched_and_the_best_findings_come(tmp_path, tree):
    """Each worker tells its stages, and ends once; what happens is told on standard error."""
    with demo(tmp_path, "tree") as (process, url):
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", url)
        async with open_client(url) as client:
            (group,), said = await ask(client, "Look up octopus cognition.")
            assert said == "Researching octopus cognition now."
            assert group["label"] == "Research: octopus cognition"
            assert (group["workers"], group["cancellable"]) == (RESEARCHERS, True)
            await client.until_told("group_completed", job_id=group["job_id"])
        assert client.ends(group["job_id"]) == dict.fromkeys(RESEARCHERS, "completed")
        (files,) = client.told("job_completed", worker_name="files")
        results = [result["where"] for result in files["response"].pop("results")]
        assert results == ["tree/a.md:1", "tree/b.txt:1"]
        assert files["response"] == {"found": 2, "searched": 2, "skipped": {}}
        process.wait_stderr("client page-1 has gone\n")
        told = process.stderr.splitlines()
        assert "open this page; Ctrl-C ends it:" in told
        happened = [told.index(line) for line in told if "page-1" in line or "octopus" in line]
        assert [told[number] for number in happened[:2]] == [
            "client page-1 has come",
            "research 'octopus cognition'",
        ]
        assert told[happened[2]].startswith("research 'octopus cognition': files found 2, stdlib")


async def test_the_page_is_there(tmp_path, tree):
    """At the address that is printed."""
    with demo(tmp_path, tree) as (_, url):
        cookie = await trio.to_thread.run_sync(visit_nowait, url)
        async with open_client(url, cookie=cookie) as client:
            assert (await client.ask("panel.hello"))["ui_worker"] == "desk"
            workers = (await client.ask("panel.workers"))["workers"]
            assert {*RESEARCHERS, "desk"} <= {worker["name"] for worker in workers}


async def test_two_groups_at_once_of_which_one_is_cancelled(tmp_path, tree):
    """Midway, at a pace that leaves time for it; the other one goes on."""
    with demo(tmp_path, tree, "--slow") as (process, url):
        async with open_client(url) as client:
            groups, said = await ask(client, "Research the moon, then research Mars.", groups=2)
            assert said == "Researching the moon and Mars now."
            by_label = {group["label"]: group["job_id"] for group in groups}
            moon, mars = by_label["Research: moon"], by_label["Research: Mars"]
            await client.until_told("job_update", job_id=moon, worker_name="stdlib")
            await client.until_told("job_update", job_id=mars, worker_name="stdlib")
            await client.cancel(moon)
            await client.until_told("group_completed", job_id=moon)
            assert client.ends(moon)["stdlib"] == "cancelled"
            assert not client.told("group_completed", job_id=mars)
            seen = len(client.told("job_update", job_id=mars))
            await client.until_told("job_update", seen + 1, job_id=mars)
        process.wait_stderr("research 'moon': ")
        assert "stdlib cancelled" in process.stderr


async def test_small_talk_gets_a_quick_reply(tmp_path, tree):
    """And no group."""
    with demo(tmp_path, tree) as (_, url):
        async with open_client(url) as client:
            _, said = await ask(client, "How are you?", groups=0)
            assert said == "All is well here, thank you. What shall I research?"
            await ask(client, "", groups=0)
            assert not client.of_type("ui-job-group")


async def test_a_client_that_comes_later_is_told_what_is_in_flight(tmp_path, tree):
    """If it is of the same session, as a page that is loaded anew."""
    with demo(tmp_path, tree, "--slow") as (_, url):
        cookie = await trio.to_thread.run_sync(visit_nowait, url)
        async with open_client(url, cookie=cookie) as client:
            (group,), _ = await ask(client, "Research tea")
        async with open_client(url, cookie=cookie) as client:
            again = await client.until_told("group_started")
            assert (again["job_id"], again["label"]) == (group["job_id"], "Research: tea")
        async with open_client(url) as client:
            await ask(client, "Hello", groups=0)
            assert not client.of_type("ui-job-group")


def authorize(url, token):
    """Exchange a token for a cookie."""
    request = urllib.request.Request(f"{url}session", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.headers["Set-Cookie"].split(";")[0]


@pytest.mark.parametrize("given", [None, "a/b%41c&d=e#0123456789"])
async def test_a_token_is_part_of_the_address_and_needed(tmp_path, tree, given):
    """In the part that browsers send to nobody; it is made up, or that of the environment."""
    env = {} if given is None else {"TRIOWORKERS_TOKEN": given}
    with demo(tmp_path, tree, *([] if given else ["--token"]), env=env) as (_, shown):
        url, _, fragment = shown.partition("#token=")
        token = urllib.parse.unquote(fragment)
        assert len(token) == 32 if given is None else token == given
        with pytest.raises(urllib.error.HTTPError, match="401") as refused:
            await trio.to_thread.run_sync(authorize, url, "wrong")
        refused.value.close()
        cookie = await trio.to_thread.run_sync(authorize, url, token)
        async with open_client(url, cookie=cookie) as client:
            await ask(client, "Hello", groups=0)


def status_for(url, host):
    """Return the status of the page for a browser that calls the machine ``host``."""
    port = urllib.parse.urlsplit(url).port
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/", headers={"Host": f"{host}:{port}"}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def test_another_host_needs_a_token(tmp_path, tree):
    """One is made up; a short one of one's own is refused. The machine's name is known."""
    options = ["--host", "0.0.0.0", "--allow-host", "here.example"]
    with demo(tmp_path, tree, *options) as (process, url):
        assert re.fullmatch(r"http://[\w.-]+:\d+/#token=[\w-]{32}", url)
        assert "token" not in process.stderr
        name = socket.gethostname()
        assert f"put {name} or here.example or an IP address of this one" in process.stderr
        statuses = [status_for(url, host) for host in (name, "here.example", "evil.example")]
        assert statuses == [200, 200, 421]
    done = finished(tmp_path, *DEMO, tree, env={"TRIOWORKERS_TOKEN": "hunter2"})
    assert done.returncode == 2
    assert "TRIOWORKERS_TOKEN has 7 characters, which can be guessed" in done.stderr
    assert "hunter2" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_it_cleanly(tmp_path, tree, number):
    """With a group in flight and a client there, which is told; in one line."""
    with demo(tmp_path, tree, "--slow") as (process, url):
        async with open_client(url) as client:
            await ask(client, "Research tea")
            process.send(number)
            assert await trio.to_thread.run_sync(process.wait) == 128 + number
            await client.seen.until(lambda _: client.seen.over)
            assert client.seen.over == "closed: 1001"
        assert process.stderr.splitlines()[-1] == "ended"
        assert "Traceback" not in process.stderr


def test_a_port_that_is_taken_is_named(tmp_path, tree):
    """And what to do about it."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        done = finished(tmp_path, *DEMO, "--port", port, tree)
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"Error: can't listen at host '127.0.0.1', port {port}: ")
    assert "choose another port" in line


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["nowhere"], 2, "Path 'nowhere' does not exist"),
        (["--port", "65536"], 2, "65536 is not in the range"),
        (["--port", "http"], 2, "'http' is not a valid integer"),
        (["--host", "no such host"], 1, "no such host"),
        (["--host", "192.0.2.1"], 1, "192.0.2.1"),
        (["--host", ""], 2, "host must not be empty"),
        (["--allow-host", "http://here/"], 2, "a host is like 'example.org'"),
    ],
)
def test_wrong_use_is_refused(tmp_path, arguments, status, said):
    """With a reason, before anything runs."""
    done = finished(tmp_path, *DEMO, *arguments)
    assert (done.returncode, done.stdout) == (status, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_the_help_says_what_to_type():
    """And what the exit statuses are."""
    told = CliRunner().invoke(cli, [*DEMO, "--help"])
    assert told.exit_code == 0
    for words in ("Research cancellation", "--slow", "--open / --no-open", "130 after Ctrl-C"):
        assert words in told.output


def test_without_websockets_the_remedy_is_named(tmp_path):
    """The other commands work without it."""
    code = (
        "import sys; sys.modules['websockets'] = None; sys.argv = ['trioworkers', *sys.argv[1:]];"
        "import trioworkers.cli as c; c.main()"
    )
    for arguments, status in ((DEMO, 1), (["demo", "--help"], 0)):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            env=environment(),
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        assert done.returncode == status
        assert ("pip install 'trioworkers[ui]'" in done.stderr) == (status == 1)
        assert "Traceback" not in done.stderr


@contextmanager
def fake_browser(directory):
    """Yield an environment with a display and a browser, and what returns the URLs it was given."""
    opened, browser = directory / "opened", directory / "browser"
    os.mkfifo(opened)
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}\n')
    browser.chmod(0o755)
    reader = os.open(opened, os.O_RDONLY | os.O_NONBLOCK)

    def read(seconds):
        is_told, _, _ = select.select([reader], [], [], seconds)
        return os.read(reader, 1000).decode() if is_told else ""

    try:
        yield {"DISPLAY": ":0", "WAYLAND_DISPLAY": "", "BROWSER": str(browser)}, read
    finally:
        os.close(reader)


@pytest.mark.parametrize(
    ("options", "display", "is_opened"),
    [([], ":0", True), ([], "", False), (["--open"], "", True), (["--no-open"], ":0", False)],
)
def test_a_browser_is_opened_where_somebody_sits(tmp_path, tree, options, display, is_opened):
    """On a terminal with a display, or if asked for. It isn't told the token: others see that."""
    ours, theirs = pty.openpty()
    with (
        fake_browser(tmp_path) as (env, opened),
        subprocess.Popen(
            [*COMMAND, *DEMO, "--port", "0", "--token", *options, str(tree)],
            env=environment(**{**env, "DISPLAY": display}),
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
        ) as process,
    ):
        os.close(theirs)
        try:
            written = b""
            while not (shown := re.search(rb"(http\S+)#token=\S+\r\n", written)):
                written += os.read(ours, 1000)
            told = opened(20 if is_opened else 0.5)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)
            os.close(ours)
    assert told == (shown[1].decode() + "\n" if is_opened else "")


def test_no_browser_is_opened_for_a_program(tmp_path, tree):
    """Which reads the address."""
    with fake_browser(tmp_path) as (env, opened), demo(tmp_path, tree, env=env):
        assert opened(0.5) == ""
