"""The benchmarks run. What they measure is asserted nowhere: that is not a test's business."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def without(module: str) -> str:
    """Return a program that runs the command where ``module`` is not installed."""
    return (
        f"import sys; sys.modules[{module!r}] = None; "
        "from benchmarks.__main__ import main; sys.exit(main())"
    )


def test_everything_is_measured(tmp_path: Path) -> None:
    """Each case has ours and the floor; all goes into a table, a JSON file and charts."""
    options = ("--json", str(tmp_path / "all.json"), "--plot", str(tmp_path / "charts"))
    done = run("-m", "benchmarks", "--quick", "--peers", "none", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    header, _, *rows = re.findall(r"(?m)^\|(.*)\|$", done.stdout)
    columns = [column.strip() for column in header.split("|")]
    assert columns[:6] == ["case", "size", "unit", "ours", "floor", "ours / floor"]
    for row in rows:
        assert re.fullmatch(r"[\d,]+(\.\d+)?", row.split("|")[3].strip()), row
        assert re.fullmatch(r"[\d,]+(\.\d+)?", row.split("|")[4].strip()), row
    everything = json.loads((tmp_path / "all.json").read_text("utf-8"))
    assert len(everything["rows"]) == len(rows)
    charts = {path.name: path.read_bytes() for path in (tmp_path / "charts").iterdir()}
    assert set(charts) == {
        f"{name}.png" for name in ("bystanders", "group", "history", "memory", "redis", "stream")
    }
    assert all(data.startswith(b"\x89PNG") for data in charts.values())


def test_cases_are_listed() -> None:
    """Listing measures nothing."""
    done = run("-m", "benchmarks", "--list")
    assert done.returncode == 0, done.stderr
    assert {"round-trip", "soak", "redis-stream"} <= {
        line.split(" ")[0] for line in done.stdout.splitlines()
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "nosuch"], "no case is called 'nosuch'"),
        (["--peers", "nosuch"], "'none', 'all', or some of: pipecat-ai"),
    ],
)
def test_wrong_names_are_told(arguments: list[str], message: str) -> None:
    """With the names that there are."""
    done = run("-m", "benchmarks", *arguments)
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("module", "arguments"),
    [("rich", []), ("click", []), ("matplotlib", ["--plot", "charts", "--only", "hook"])],
)
def test_a_missing_extra_is_named(module: str, arguments: list[str]) -> None:
    """The message has the command that installs it, and nothing was measured."""
    done = run("-c", without(module), *arguments)
    assert done.returncode == 2, done.stderr
    assert "pip install 'trioworkers[benchmarks]'" in " ".join(done.stderr.split())
    assert done.stdout == ""


def test_ctrl_c_shows_what_was_measured() -> None:
    """It stops at once, with the shell's status for it."""
    with subprocess.Popen(
        [
            sys.executable,
            "-W",
            "error",
            "-m",
            "benchmarks",
            "--peers",
            "none",
            "--only",
            "hook,soak",
        ],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stderr is not None
            for line in process.stderr:
                if "soak" in line:
                    break
            process.send_signal(signal.SIGINT)
            output, _ = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 128 + signal.SIGINT
    assert "stopped early" in output
    assert re.search(r"\| job round trip with a hook \| \S+ overridden \| us \| [\d.]+ \|", output)


@pytest.mark.parametrize("subject", ["job", "job-floor", "member", "member-floor"])
def test_counted_subjects_run(subject: str) -> None:
    """The children of the instruction counter do their work, here without valgrind."""
    done = run("-m", "benchmarks.instructions", "--child", subject, "100")
    assert done.returncode == 0, done.stderr


def test_missing_valgrind_is_told(tmp_path: Path) -> None:
    """Without valgrind the counter says how to get it, and fails."""
    done = run("-m", "benchmarks.instructions", PATH=str(tmp_path))
    assert done.returncode == 1
    assert "apt-get install valgrind" in done.stderr
    assert done.stdout == ""
