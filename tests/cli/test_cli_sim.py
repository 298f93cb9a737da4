"""``trioworkers sim`` as a user meets it."""

import json
import multiprocessing
import os
import pty
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner

import trioworkers
from trioworkers.cli import _sim_display
from trioworkers.cli._main import cli, run
from trioworkers.jobs import _group
from trioworkers.testing import scenarios
from trioworkers.testing.scenarios import BUILT_IN, Findings, Search, explore_apart
from trioworkers.testing.scenarios import _explore as exploring

ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if name not in {"FORCE_COLOR", "COLUMNS"}},
    "PYTHONPATH": str(Path(trioworkers.__file__).parents[1]),
    "TERM": "xterm",
}
COMMAND = [sys.executable, "-W", "error", "-m", "trioworkers.cli", "sim"]


def invoke(*arguments):
    """Run the command in this process."""
    return CliRunner().invoke(cli, ["sim", *map(str, arguments)])


def explored(*arguments):
    """Return the JSON document of a run in this process."""
    return json.loads(invoke("--json", "--jobs", 1, *arguments).stdout)


@pytest.fixture
def planted_bug(monkeypatch):
    """Blocks that are left early don't wait for their handlers."""
    begin_close = _group.JobGroup.begin_close

    def leave_at_once(group):
        begin_close(group)
        for name in tuple(group.open_members):
            group.settle(name, trioworkers.JobStatus.LOST, "Bug", "nobody waits for it")

    monkeypatch.setattr(_group.JobGroup, "begin_close", leave_at_once)


# What is found


def test_every_scenario_keeps_the_promises():
    """A few runs of each; many more are what the command is for."""
    result = invoke("--schedules", 3 * len(BUILT_IN), "--jobs", 1)
    assert result.exit_code == 0, result.output
    for name in BUILT_IN:
        assert re.search(rf"^ {name} +3 +[\d,]+ +0\b", result.stdout, re.MULTILINE)
    assert re.search(r"^ a message overtook an older one +\d", result.stdout, re.MULTILINE)
    summary = result.stdout.splitlines()[-1]
    assert re.fullmatch(
        rf"{3 * len(BUILT_IN)} schedules, 0 violations; [\d.]+ s, \d+ schedules per second", summary
    )
    assert "\x1b" not in result.output
    assert re.match(r"0 s: \d+ schedules, 0 violations\n", result.stderr)


def test_the_document_counts_faults_and_races():
    """For each scenario, and for all."""
    names = ("groups", "net-once")
    document = explored("--schedules", 40, "--scenario", names[0], "--scenario", names[1])
    assert list(document["scenarios"]) == list(names)
    assert document["scenarios"]["groups"]["faults"] == {}
    assert {"crashed", "delay"} <= set(document["total"]["faults"])
    assert document["total"]["races"]["a cancel raced a response"] > 0
    for key in ("schedules", "events", "violations"):
        each = [document["scenarios"][name][key] for name in names]
        assert sum(each) == document["total"][key]
    assert document["total"]["schedules"] == 40
    assert document["violations"] == []


def test_other_seeds_are_other_runs_and_the_same_are_the_same():
    """Whatever is in them."""
    first, again, other = (
        explored("--schedules", 5, "--scenario", "nested", "--seed", seed)["total"]
        for seed in (3, 3, 8)
    )
    assert first == again
    assert first["events"] != other["events"]


def test_several_processes_make_the_same_runs():
    """Each has a hash seed of its own, and that has no say in what happens."""
    arguments = ["--json", "--schedules", "42", "--seed", "10"]
    process = subprocess.run(
        [*COMMAND, *arguments, "--jobs", "2"],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    apart, here = json.loads(process.stdout), explored(*arguments)
    assert apart["scenarios"] == here["scenarios"]
    assert apart["total"] == here["total"]


# Violations


def test_a_violation_is_told_and_replayed(planted_bug):
    """The line that it prints shows the same once more."""
    result = invoke("--scenario", "jobs", "--jobs", 1, "--exitfirst")
    assert result.exit_code == 1
    place = re.search(r"^violation in (jobs:\d+)$", result.stdout, re.MULTILINE)[1]
    reason = result.stdout[result.stdout.index("violation in") :].splitlines()[1]
    assert "P2" in reason
    assert "JobRequest" in result.stdout
    assert result.stdout.count(f"replay: trioworkers sim --replay {place}\n") == 2
    assert "1 violations" in result.stdout.splitlines()[-1]
    replayed = invoke("--replay", place)
    assert replayed.exit_code == 1
    assert f"violation in {place}\n{reason}\n" in replayed.stdout
    assert "Traceback" in replayed.stdout


def test_a_replay_of_a_good_run_prints_all_of_it():
    """Which is how one sees that a bug is gone."""
    result = invoke("--replay", "jobs:3")
    assert result.exit_code == 0
    run = BUILT_IN["jobs"].run(3)
    assert result.stdout.startswith(str(run.timeline))
    assert result.stdout.endswith(f"jobs:3 broke no promise; {len(run.timeline)} events\n")


def test_exploring_goes_on_after_a_violation(planted_bug):
    """The same one is shown once, and all are listed."""
    result = invoke("--scenario", "jobs", "--scenario", "messages", "--jobs", 1, "--schedules", 40)
    assert result.exit_code == 1
    shown = re.findall(r"^violation in (\S+)$", result.stdout, re.MULTILINE)
    assert len(set(shown)) == len(shown)
    listed = re.findall(r"^replay: trioworkers sim --replay (\S+)$", result.stdout, re.MULTILINE)
    assert len(listed) > 2 * len(shown)
    assert re.search(r"^40 schedules, ", result.stdout, re.MULTILINE)


def test_more_violations_than_one_wants_to_see_are_counted(planted_bug, monkeypatch):
    """And are in the document, with what happened before."""
    monkeypatch.setattr(_sim_display, "LISTED", 2)
    result = invoke("--scenario", "jobs", "--jobs", 1, "--schedules", 30)
    assert result.stdout.count("\nreplay: trioworkers sim --replay ") >= 2
    assert re.search(r"^and \d+ more$", result.stdout, re.MULTILINE)
    document = explored("--scenario", "jobs", "--schedules", 10)
    assert document["total"]["violations"] == len(document["violations"]) > 0
    first = document["violations"][0]
    assert first["replay"].startswith("jobs:")
    assert "P2" in first["reason"]
    assert any("JobCancel" in line for line in first["timeline"])


class Spins:
    """Hangs for real, and is not impressed by an exception."""

    name, about = "spins", "It hangs."

    def run(self, seed):
        """Go on for ever, or until somebody objects."""
        try:
            while True:
                pass
        except BaseException:
            if seed:
                raise
        return BUILT_IN["jobs"].run(seed)


def test_a_run_that_hangs_is_broken_off(monkeypatch):
    """After some real time, whatever it does with the exception; and the next one is run."""
    monkeypatch.setattr(exploring, "HANGS_SECONDS", 0.05)
    monkeypatch.setitem(BUILT_IN, "spins", Spins())
    result = invoke("--scenario", "spins", "--jobs", 1, "--schedules", 2)
    assert result.exit_code == 1
    assert "violation in spins:0\ndid not end within 0.05 s of real time\n" in result.stdout
    assert "2 schedules, 2 violations" in result.stdout
    assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL


def test_a_process_that_dies_is_a_violation():
    """The run that it was in is named; the others go on."""
    found = Findings()
    killed = []
    reports = explore_apart(Search(("groups",)), lambda: found.total.schedules > 0 < len(lost), 2)
    lost = found.violations
    for news in reports:
        found.add(news)
        if news.tallies and not killed:
            killed += multiprocessing.active_children()[:1]
            killed[0].kill()
    assert re.fullmatch(r"groups:\d+", lost[0].place)
    assert lost[0].reason == "its process ended in this run, with status -9"
    assert multiprocessing.active_children() == []


# Being stopped


def living_in_group(group):
    """Return the commands of a process group's processes that have not ended.

    But for one of `multiprocessing` itself, which ends a moment after its parent.
    """
    living = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile
            state, _parent, its_group = (path / "stat").read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state != "Z":  # who has ended may not be buried yet
                living.append((path / "cmdline").read_text())
    # One without a command is about to end.
    return [command for command in living if command and "resource_tracker" not in command]


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["int", "term"]
)
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_signal_stops_it_cleanly(jobs, number, status):
    """What was measured is printed, and no process is left."""
    with subprocess.Popen(
        [*COMMAND, "--seconds", "60", "--jobs", str(jobs)],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            first = process.stderr.readline()
            # As a terminal does: to all of the group.
            os.killpg(process.pid, number) if number == signal.SIGINT else process.terminate()
            output, errors = process.communicate(timeout=30)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    assert " schedules, " in first
    assert process.returncode == status
    assert errors.splitlines()[-1] == "cancelled"
    assert "Traceback" not in errors
    assert re.search(r"^[\d,]+ schedules, \d+ violations; ", output, re.MULTILINE)
    assert living_in_group(process.pid) == []


def test_the_time_is_kept():
    """Also where runs would go on for ever."""
    document = explored("--seconds", "0.3")
    assert 0.3 <= document["seconds"] < 5
    assert document["total"]["schedules"] > 0


# On a terminal, and with wrong options


def test_a_terminal_shows_live_progress_then_tables():
    """The bar is erased in the end."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, "--schedules", "20", "--jobs", "1"],
        env=ENVIRONMENT,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        written = b""
        try:
            with suppress(OSError):  # how a terminal tells that nobody is left
                while block := os.read(ours, 1 << 16):
                    written += block
            assert process.wait(timeout=20) == 0
        finally:
            process.kill()
            os.close(ours)
    text = written.decode()
    assert "\x1b[?25l" in text  # the cursor is hidden while the bar is drawn
    assert "\x1b[?25h" in text
    assert "races met" in text
    assert "20 schedules, 0 violations" in text


def test_scenarios_are_listed_with_a_line_each():
    """What `--scenario` takes, and what happens in it."""
    result = invoke("--list")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(BUILT_IN)
    assert all(line.endswith(".") and len(line) <= 100 for line in lines)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--scenario", "nonsense"], "there is no scenario 'nonsense', only jobs, groups, "),
        (["--replay", "groups"], "'groups' is not NAME:SEED, such as groups:17"),
        (["--replay", "groups:x"], "'groups:x' is not NAME:SEED"),
        (["--replay", "nonsense:1"], "there is no scenario 'nonsense'"),
        (["--seconds", "0"], "0.0 is not in the range x>0"),
        (["--schedules", "0"], "0 is not in the range x>=1"),
        (["--jobs", "0"], "0 is not in the range x>=1"),
        (["--seed", "-1"], "-1 is not in the range x>=0"),
        (["more"], "unexpected extra argument"),
    ],
)
def test_wrong_use_is_refused(arguments, reason):
    """With a reason and status 2, before anything runs."""
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert reason in result.output


def test_help_has_examples():
    """And says what exit statuses mean."""
    result = invoke("--help")
    assert result.exit_code == 0
    assert "trioworkers sim --seconds 60\n" in result.output
    assert "Exit status: 0" in result.output


def test_the_command_needs_no_testing_tools_until_it_runs():
    """`trioworkers --help` works without the extra, and is quick."""
    code = (
        "import sys, trioworkers.cli._main as m; m.run(['sim', '--help']); "
        "sys.exit(bool({'hypothesis', 'pytest', 'trioworkers.testing'} & set(sys.modules)))"
    )
    subprocess.run(
        [sys.executable, "-c", code],
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        timeout=20,
        check=True,
    )


def test_a_missing_extra_names_the_remedy(monkeypatch, capsys):
    """Instead of a traceback."""
    for name in [*sys.modules]:
        if name.startswith("trioworkers.testing"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(trioworkers, "testing")
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    assert run(["sim", "--schedules", "1"]) == 1
    assert "pip install 'trioworkers[testing]'" in capsys.readouterr().err
    assert scenarios is not None
