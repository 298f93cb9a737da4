"""The command as a user meets it."""

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
from itertools import count
from pathlib import Path

import click
import pytest
import trio
import trio.testing
from click.testing import CliRunner

import trioworkers
from trioworkers import JobError, JobStatus
from trioworkers.cli._demo_research import Options, run_research
from trioworkers.cli._display import Silent
from trioworkers.cli._main import cli, run
from trioworkers.cli._report import Report
from trioworkers.cli.research import FilesResearcher, Finding, Researcher, ResearchQuery
from trioworkers.cli.research._researcher import Search, Step

ENVIRONMENT = {
    **{
        name: value for name, value in os.environ.items() if name not in {"FORCE_COLOR", "NO_COLOR"}
    },
    "PYTHONPATH": str(Path(trioworkers.__file__).parents[1]),
    "TERM": "xterm",
    "COLUMNS": "120",
}
COMMAND = [sys.executable, "-W", "error", "-m", "trioworkers.cli", "demo", "research"]
# Each worker finds something, and none of them much.
QUERY = "metaclass conflict"


def invoke(*arguments):
    return CliRunner().invoke(cli, ["demo", "research", *map(str, arguments)])


def finished(arguments, **options):
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
        **options,
    )


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "a.md").write_text(f"# {QUERY}\n")
    (tmp_path / "b.txt").write_text(f"the {QUERY.upper()} and \x1b[31m[red]\n" * 2)
    return tmp_path


@pytest.mark.parametrize("arguments", [[], ["demo"], ["demo", "research"]])
def test_help_has_examples(arguments):
    """On each command."""
    result = CliRunner().invoke(cli, [*arguments, "--help"])
    assert result.exit_code == 0
    assert "  Examples:\n    trioworkers demo research" in result.output


def test_version_is_that_of_the_distribution():
    """Or says that there is none."""
    result = CliRunner().invoke(cli, ["--version"])
    assert result.exit_code == 0
    assert result.output.startswith("trioworkers ")


def test_plain_output_is_ranked_lines_and_a_summary(tree):
    """Without a terminal there is no ANSI, on either stream."""
    result = invoke(QUERY, tree)
    assert result.exit_code == 0
    assert "\x1b" not in result.output
    assert "files: listing\n" in result.stderr
    assert "files: done (2 of 2, 2 found)\n" in result.stderr
    lines = result.stdout.splitlines()
    start = lines.index("files: completed, 2 found in 2 searched")
    assert lines[start + 1].endswith(f"{tree}/a.md:1  # {QUERY}")
    assert lines[start + 2].endswith(f"{tree}/b.txt:1  the {QUERY.upper()} and ?[31m[red]")
    assert any(line.startswith("stdlib: completed, ") for line in lines)
    assert any(line.startswith("packages: completed, ") for line in lines)
    assert lines[-1].startswith("found 2 in files, ")
    assert lines[-1].endswith(" s")


def test_limit_caps_what_is_shown_not_what_is_counted(tree):
    """And says that there is more."""
    result = invoke("--limit", 1, QUERY, tree)
    assert f"{tree}/a.md:1" in result.stdout
    assert f"{tree}/b.txt:1" not in result.stdout
    assert "and 1 more: see --limit" in result.stdout
    assert "files: completed, 2 found" in result.stdout


def test_json_is_one_document(tree):
    """With nothing else on standard output, or on standard error."""
    result = invoke("--json", QUERY, tree)
    assert result.exit_code == 0
    assert result.stderr == ""
    document = json.loads(result.stdout)
    assert document["query"] == QUERY
    assert document["complete"] is True
    assert document["reason"] is None
    assert document["elapsed"] > 0
    assert list(document["workers"]) == ["files", "stdlib", "packages"]
    files = document["workers"]["files"]
    best = files["results"][0]
    assert (files["status"], files["error"], files["found"]) == ("completed", None, 2)
    assert best == {
        "where": f"{tree}/a.md:1",
        "excerpt": f"# {QUERY}",
        "score": best["score"],
        "matches": 1,
    }
    assert best["score"] > files["results"][1]["score"]


def test_a_missing_path_fails_files_alone(tree):
    """What the others found stays, and the status tells."""
    result = invoke("--json", "trio", tree, tree / "nowhere")
    assert result.exit_code == 1
    workers = json.loads(result.stdout)["workers"]
    assert workers["files"]["status"] == "failed"
    assert workers["files"]["error"] == f"can't search '{tree}/nowhere': No such file or directory"
    assert workers["stdlib"]["status"] == workers["packages"]["status"] == "completed"
    assert workers["packages"]["results"]
    plain = invoke("trio", tree / "nowhere")
    assert plain.exit_code == 1
    assert f"files: failed: can't search '{tree}/nowhere': No such file" in plain.stdout


def test_cancel_on_error_stops_the_others(tree):
    """A search for every 'e' in the standard library would take longer."""
    result = invoke("--cancel-on-error", "--json", "e", tree / "nowhere")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert document["complete"] is False
    assert "files" in document["reason"]
    assert document["workers"]["files"]["status"] == "failed"
    assert document["workers"]["stdlib"]["status"] == "cancelled"


def test_a_timeout_is_told(tree):
    """In the summary, the statuses and the exit status."""
    result = invoke("--timeout", "0.01", "e", tree)
    assert result.exit_code == 1
    assert "stdlib: timed_out" in result.stdout
    assert "stopped early: " in result.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([""], "the query is empty"),
        (["a\nb"], "one line of text"),
        ([], "Missing argument 'QUERY'"),
        (["x", "--timeout", "0"], "0 is not a number of seconds above 0"),
        (["x", "--timeout", "nan"], "nan is not a number of seconds above 0"),
        (["x", "--timeout", "inf"], "inf is not a number of seconds above 0"),
        (["x", "--limit", "0"], "0 is not in the range x>=1"),
        (["x", "--nonsense"], "No such option"),
    ],
)
def test_wrong_use_is_refused(arguments, reason, capsys):
    """With a reason and status 2, before anything runs."""
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert reason in result.output
    assert run(["demo", "research", *arguments]) == 2
    assert reason in capsys.readouterr().err


def test_an_interrupt_outside_of_the_search_has_the_same_status(capsys):
    """Click alone would say 1."""

    @cli.command("interrupted")
    def interrupted() -> None:
        raise KeyboardInterrupt

    try:
        assert run(["interrupted"]) == 130
    finally:
        del cli.commands["interrupted"]
    assert capsys.readouterr().err.strip() == "cancelled"
    assert isinstance(interrupted, click.Command)


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["int", "term"]
)
def test_a_signal_cancels_cleanly(tree, number, status):
    """One line, no traceback, the shell's status."""
    with subprocess.Popen(
        [*COMMAND, "e", str(tree)],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            first = process.stderr.readline()
            process.send_signal(number)
            output, errors = process.communicate(timeout=20)
        finally:
            process.kill()
    assert first.endswith(": listing\n")
    assert process.returncode == status
    assert errors.splitlines()[-1] == "cancelled"
    assert "Traceback" not in errors
    assert output == ""


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_reader_that_leaves_is_no_traceback(tree, options):
    """As in ``trioworkers ... | head -1``."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        process = subprocess.run(
            [*COMMAND, *options, QUERY, str(tree)],
            env=ENVIRONMENT,
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            timeout=20,
            check=False,
        )
    finally:
        os.close(writer)
    assert process.returncode == 1
    assert "Traceback" not in process.stderr
    assert "BrokenPipe" not in process.stderr


def test_an_encoding_without_the_letters_is_no_traceback(tree):
    """They are replaced."""
    (tree / "c.txt").write_text(f"{QUERY} naïve")
    process = subprocess.run(
        [*COMMAND, QUERY, str(tree)],
        env={**ENVIRONMENT, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        timeout=20,
        check=False,
    )
    assert process.returncode == 0
    assert b"na?ve" in process.stdout


def read_terminal(*arguments):
    """Run the command on a terminal; return what it wrote, and its status."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, *map(str, arguments)], env=ENVIRONMENT, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        written = b""
        try:
            # The end, as terminals tell it, is an error: nobody is left on the other side.
            with contextlib.suppress(OSError):
                while block := os.read(ours, 1 << 16):
                    written += block
            return written.decode(), process.wait(timeout=20)
        finally:
            process.kill()
            os.close(ours)


def test_a_terminal_shows_live_progress_then_the_report(tree):
    """Bars are erased; what was found stays, and is never taken for markup."""
    written, status = read_terminal(QUERY, tree)
    assert status == 0
    assert "\x1b[?25l" in written  # the cursor is hidden while bars are drawn
    assert "\x1b[?25h" in written
    assert "━" in written
    assert "completed" in written
    assert "[red]" in written
    assert "\x1b[31m[red]" not in written


def test_a_dumb_terminal_gets_plain_lines(tree, monkeypatch):
    """Such as the shell of an editor."""
    monkeypatch.setitem(ENVIRONMENT, "TERM", "dumb")
    written, status = read_terminal(QUERY, tree)
    assert status == 0
    assert "\x1b" not in written
    assert "files: done" in written


@pytest.mark.parametrize("missing", ["click", "rich"])
def test_a_missing_extra_names_the_remedy(missing):
    """Instead of a traceback."""
    code = f"import sys; sys.modules[{missing!r}] = None; import trioworkers.cli as c; c.main()"
    process = subprocess.run(
        [sys.executable, "-c", code],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert process.returncode == 1
    assert "pip install 'trioworkers[cli]'" in process.stderr
    assert "Traceback" not in process.stderr


def test_importing_needs_no_extra():
    """Neither the package, nor the researchers, import click or rich."""
    code = (
        "import sys, trioworkers, trioworkers.cli, trioworkers.cli.research; "
        "sys.exit(bool({'click', 'rich'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, timeout=20, check=True)


class Scripted(Researcher):
    """Finds without end, or fails at once."""

    def __init__(self, name, *, failure=None):
        super().__init__(name)
        self.failure = failure

    def open_search(self, query, checkpoint):
        if self.failure is not None:
            raise self.failure
        steps = (Step((Finding(f"{n}", query.text, 1.0, 1),)) for n in count())
        return Search(1, steps)


class JumpAtFirstFinding(Silent):
    """Lets the deadline pass when something has been found."""

    def __init__(self, clock):
        self.clock = clock

    def show(self, report):
        if report.workers["endless"].found == 1:
            self.clock.jump(100)


async def test_what_was_found_before_the_deadline_stays(mock_clock):
    """The report has it, and why the search stopped."""
    report = Report.on("x", ["endless"], limit=5)
    await run_research(
        [Scripted("endless")],
        ResearchQuery("x"),
        Options(timeout=10, cancel_on_error=False),
        report,
        JumpAtFirstFinding(mock_clock),
    )
    assert report.workers["endless"].status == JobStatus.TIMED_OUT
    assert report.workers["endless"].top.ranked()
    assert report.reason
    assert not report.complete
    assert report.elapsed == 100


async def test_a_failure_cancels_the_others_if_asked():
    """The one that fails is named, the one that was cancelled is told apart."""
    report = Report.on("x", ["endless", "bad"], limit=5)
    with trio.fail_after(5):
        await run_research(
            [Scripted("endless"), Scripted("bad", failure=JobError("out of order"))],
            ResearchQuery("x"),
            Options(timeout=None, cancel_on_error=True),
            report,
            Silent(),
        )
    assert report.workers["bad"].status == JobStatus.FAILED
    assert report.workers["bad"].error == "out of order"
    assert report.workers["endless"].status == JobStatus.CANCELLED
    assert "bad" in report.reason


async def test_a_bug_in_a_researcher_is_that_workers_error(tmp_path):
    """The others' results stay, and nothing is raised at the user."""
    report = Report.on("x", ["files", "bad"], limit=5)
    (tmp_path / "x.txt").write_text("x")
    await run_research(
        [FilesResearcher(), Scripted("bad", failure=ZeroDivisionError("a bug"))],
        ResearchQuery("x", (str(tmp_path),)),
        Options(timeout=None, cancel_on_error=False),
        report,
        Silent(),
    )
    assert report.workers["bad"].status == JobStatus.ERROR
    assert report.workers["bad"].error == "a bug"
    assert report.workers["files"].found == 1
    assert not report.reason
