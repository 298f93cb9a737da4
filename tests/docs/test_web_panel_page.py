"""What docs/web-panel.md says of commands, limits, messages and names is so."""

import inspect
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import trio
from command_processes import environment, running
from panel_clients import WebClient
from redis_servers import free_port, open_server

from trioworkers.ui import _event_desk, _outbox, _recent
from trioworkers.ui.panel import _graphs, _questions, _uploads, _workers, open_panel
from trioworkers.ui.rtvi import (
    RTVIServer,
    _client,
    _conversation,
    _letters,
    _protocol,
    _requests,
    _sessions,
)

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "web-panel.md").read_text(encoding="utf-8")


def commands(process: str) -> list[list[str]]:
    """Return the words of each line that the page gives to a process."""
    (block,) = re.findall(rf"(?s)<!-- process: {process} -->\n+```sh\n(.*?)```", PAGE)
    return [shlex.split(line) for line in block.splitlines()]


async def count(url: str) -> dict[str, str]:
    """Ask on the page at ``url``; return how each worker has ended."""
    async with trio.open_nursery() as nursery:
        client = WebClient(url)
        await nursery.start(client.run)
        with trio.fail_after(20):
            while not (await client.ask("panel.hello"))["ui_worker_ready"]:  # noqa: ASYNC110
                await trio.sleep(0.05)
        await client.send("send-text", {"content": "many hands", "options": {}})
        group = await client.until_told("group_completed")
        nursery.cancel_scope.cancel()
    return client.ends(group["job_id"])


def test_two_processes_and_a_server(tmp_path: Path) -> None:
    """The page is in one, the workers are in the other one."""
    for name in ("panel", "panel_server"):
        shutil.copy(ROOT / "docs" / "examples" / f"{name}.py", tmp_path)
    with open_server("valkey") as server:
        (_, exported), (command, *host) = commands("workers")
        assert exported == "TRIOWORKERS_BUS=redis://127.0.0.1:6379"
        assert command == "trioworkers"
        ((python, script, bus_url, port),) = commands("page")
        assert (python, bus_url, port) == ("python", "redis://127.0.0.1:6379", "7860")
        own = [sys.executable, "-W", "error", script, server.url, str(free_port())]
        with (
            running(tmp_path, *host, env={"TRIOWORKERS_BUS": server.url}) as workers,
            subprocess.Popen(
                own, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, text=True
            ) as page,
        ):
            try:
                workers.wait_stderr("\nready\n")
                ends = trio.run(count, page.stdout.readline().strip())
            finally:
                page.terminate()
    assert ends == {"east": "completed", "west": "completed"}


def limits() -> dict[str, str]:
    """Return the page's limits: what is in the second column, by what is in the first one."""
    table = PAGE.partition("\n## Limits\n")[2].partition("\n## ")[0]
    rows = (line.split("|")[1:-1] for line in table.splitlines() if line.startswith("| "))
    return {what.strip(): limit.strip() for what, limit in rows}


def test_the_limits_are_those_of_the_code() -> None:
    """Each number that the page gives is that of a constant, or of an argument's default."""
    default = {
        name: parameter.default
        for name, parameter in inspect.signature(RTVIServer.__init__).parameters.items()
    }
    per_second, mib = default["messages_per_second"], 2**20
    assert limits() == {
        "what": "limit",
        "clients at once, `max_clients`": f"{default['max_clients']:,}",
        "one message of a client, `max_message_bytes`": (
            f"{default['max_message_bytes']:,} bytes, nested {_protocol.MAX_DEPTH} deep"
        ),
        "messages of a client, `messages_per_second`": (
            f"{per_second:g} a second, {4 * per_second:g} at once; then it is read more slowly"
        ),
        "requests of a client that are not answered yet": (
            f"{_requests.MAX_OPEN}; further ones are refused"
        ),
        "events that a UI worker handles at once": (
            f"{_event_desk.MAX_EVENTS}, and {_event_desk.MAX_SESSION_EVENTS} of one session; "
            "further ones are refused"
        ),
        "messages that wait for a client": (
            f"{_outbox.MAX_WAITING:,}, or {_letters.MAX_BYTES // mib} MiB"
        ),
        "parts of a stream that wait for a client, or are shown to one that comes late, of each "
        "worker": (
            f"the newest {_recent.MAX_CHUNKS}; to one that comes late "
            f"{_recent.MAX_CHUNK_BYTES // 1024} KiB of them"
        ),
        "time that a message to a client may take, `stall_timeout`": (
            f"{default['stall_timeout']:g} s"
        ),
        "silence of a client before it is asked whether it is there, and time to answer": (
            f"{_client.PING_INTERVAL:g} s each"
        ),
        "sessions that are remembered without clients and groups": f"{_sessions.MAX_IDLE:,}",
        "groups that ended while nobody of their session was there, and are told to who comes "
        "next": f"{_sessions.MAX_MISSED}, for {_sessions.MISSED_SECONDS / 60:g} minutes",
        "workers, graphs and questions shown": (
            f"{_workers.MAX_WORKERS}, {_graphs.MAX_GRAPHS} and {_questions.MAX_QUESTIONS}"
        ),
        "files of a session, and of all": (
            f"{_uploads.MAX_SESSION_BYTES // mib} MiB and {_uploads.MAX_BYTES // 1024**3} GiB, in "
            f"pieces of {_uploads.CHUNK_BYTES // 1024} KiB; {_uploads.MAX_OPEN} at once"
        ),
        "pause between two pieces of a file": f"{_uploads.MAX_IDLE / 60:g} minutes",
    }
    assert _client.PING_INTERVAL == _client.PING_TIMEOUT
    text = " ".join(PAGE.split())
    told = re.search(r"within (\d+) s\. It is compared", text)
    assert float(told[1]) == _client.AUTHENTICATION_SECONDS
    told = re.search(r"closed with 1013 if it reads on within (\d+) s", text)
    assert float(told[1]) == _client.GRACE


def test_the_messages_are_those_of_the_protocol() -> None:
    """Each type that a client may send is in the table, and no other one."""
    table = PAGE.partition("\nA client says:\n")[2].partition("\nWhatever goes wrong")[0]
    first = "".join(line.split("|")[1] for line in table.splitlines() if line.startswith("| `"))
    assert set(re.findall(r"`([\w-]+)`", first)) == set(_conversation._HANDLERS)


def test_the_arguments_are_those_of_the_function() -> None:
    """All that `open_panel` takes is told, and no more."""
    table = PAGE.partition("\n| argument | |\n")[2].partition("\n\n")[0]
    first = "".join(line.split("|")[1] for line in table.splitlines() if line.startswith("| `"))
    taken = {*inspect.signature(open_panel).parameters} - {"runner", "name", "limits", "options"}
    told = set(re.findall(r"`(\w+)`", first))
    assert taken <= told
    assert told <= {*taken, *inspect.signature(RTVIServer.__init__).parameters}


def test_the_clients_are_those_that_are_tested() -> None:
    """In the versions that tests install."""
    table = PAGE.partition("\n### Clients\n")[2].partition("\n#")[0]
    told = set(re.findall(r"(?m)^\| ([\d.]+) \|", table))
    transports = set(re.findall(r"websocket-transport` ([\d.]+)", table))
    installed = [
        json.loads(path.read_text(encoding="utf-8"))["dependencies"]
        for path in (ROOT / "tests" / "clients").glob("v*/package.json")
    ]
    assert {versions["@pipecat-ai/client-js"] for versions in installed} == told
    assert {versions["@pipecat-ai/websocket-transport"] for versions in installed} == transports
