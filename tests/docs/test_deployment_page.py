"""The commands of docs/deployment.md, each machine as a process."""

import re
import shlex
import shutil
from pathlib import Path

from command_processes import finished, running
from redis_servers import open_server

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")


def commands(machine: str) -> list[list[str]]:
    """Return the words of each line that the page gives to a machine."""
    found = re.findall(rf"(?s)<!-- machine: {machine} -->\n+```sh\n(.*?)```", PAGE)
    return [shlex.split(line) for block in found for line in block.splitlines()]


def prepared(machine: str, port: int) -> tuple[dict[str, str], list[list[str]]]:
    """Return what a machine exports, with the server's real port, and its other commands."""
    lines = commands(machine)
    exported = dict(words[1].split("=", 1) for words in lines if words[0] == "export")
    env = {
        name: value.replace("@server:6379", f"@127.0.0.1:{port}")
        for name, value in exported.items()
    }
    rest = [words for words in lines if words[0] != "export"]
    assert all(words[0] == "trioworkers" for words in rest)
    return env, [words[1:] for words in rest]


def test_two_machines_and_a_server(tmp_path: Path) -> None:
    """What is typed at the second one is answered by the first one."""
    shutil.copy(ROOT / "docs" / "examples" / "redis_workers.py", tmp_path)
    serve, *set_up = commands("server")
    assert serve[0] == "valkey-server"
    options = dict(zip(serve[1::2], serve[2::2], strict=True))
    assert options.pop("--port") == "6379"
    settings = [(name.removeprefix("--"), value) for name, value in options.items()]
    with open_server("valkey", args=settings) as server:
        for words in set_up:
            assert words[0] == "valkey-cli"
            assert server.call(*words[1:]) == b"OK"
        env, ((*host, name),) = prepared("one", server.port)
        with running(tmp_path, *host, name, env=env) as first:
            first.wait_stderr("\nready\n")
            env, asked = prepared("two", server.port)
            listed, counted, split = [finished(tmp_path, *words, env=env) for words in asked]
    assert f"runner {name}: pid {first.process.pid} on " in listed.stdout
    assert "  counter since " in listed.stdout
    assert "  splitter since " in listed.stdout
    assert counted.stdout.endswith('{"type": "response", "data": {"words": 4}}\n')
    assert split.stdout.count('"stream_data"') == 4
    assert all(done.returncode == 0 and not done.stderr for done in (listed, counted, split))
