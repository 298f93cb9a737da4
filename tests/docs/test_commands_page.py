"""What docs/commands.md shows is what the commands do."""

import re
import shlex
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from click.testing import CliRunner
from command_processes import finished, running
from redis_servers import open_server

from trioworkers.cli._call import STATUSES
from trioworkers.cli._main import cli

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")


def sessions() -> Iterator[tuple[list[str], str]]:
    """Yield the arguments of each command that the page shows, and what it writes."""
    for block in re.findall(r"(?s)```console\n(.*?)```", PAGE):
        for shown in re.split(r"(?m)^\$ ", block)[1:]:
            line, _, output = shown.partition("\n")
            command, *arguments = shlex.split(line)
            assert command == "trioworkers"
            yield arguments, output


def plain(text: str) -> str:
    """Return ``text`` without what is another one each time."""
    for pattern, word in (
        (r"127\.0\.0\.1:\d+", "SERVER"),
        (r"(pid|process) \d+ on [\w.-]+", r"\1 PID"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(,\d+)?(\+\d\d:\d\d)?", "TIME"),
        (r"\b[0-9a-f]{8}\b", "BUS"),
        (r"TIME INFO trioworkers.bus.redis: BUS: connect\w+ .*\n", ""),
    ):
        text = re.sub(pattern, word, text)
    return text


def test_the_commands_write_what_the_page_shows(tmp_path: Path) -> None:
    """One after the other; the first one goes on beside the others."""
    shutil.copy(ROOT / "docs" / "examples" / "redis_workers.py", tmp_path)
    with open_server("valkey") as server, ExitStack() as stack:
        env = {"TRIOWORKERS_BUS": server.url, "TZ": "UTC"}
        (first, shown), *others = sessions()
        host = stack.enter_context(running(tmp_path, *first, env=env))
        host.wait_stderr("\nready\n")
        # Which worker is ready first is chance.
        assert sorted(plain(host.stderr).splitlines()) == sorted(plain(shown).splitlines())
        assert len(others) == 6
        for arguments, output in others:
            done = finished(tmp_path, *arguments, env=env)
            assert plain(done.stdout + done.stderr) == plain(output)


def test_the_statuses_are_those_of_the_commands() -> None:
    """Each is in the table and in the help, and no other one."""
    rows = [line.split("|")[1:-1] for line in PAGE.splitlines() if re.match(r"\| \d+ \|", line)]
    for column, command in enumerate(("run", "call", "workers"), 1):
        told = CliRunner().invoke(cli, [command, "--help"]).output
        in_help = set(re.findall(r"(?m)^    (\d+)  ", told))
        in_table = {row[0].strip() for row in rows if row[column].strip()}
        assert in_table | {"1"} == in_help | {"1"}
    assert {row[0].strip() for row in rows} == {str(n) for n in {1, 2, 3, *STATUSES.values()}}
