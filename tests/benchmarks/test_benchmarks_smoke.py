"""The benchmarks run. What they measure is asserted nowhere: that is not a test's business."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_figures_print_a_table() -> None:
    """Each case has what, size, unit, median, spread, and ratio to its floor."""
    done = run("benchmarks.figures", "--quick")
    assert done.returncode == 0, done.stderr
    header, _, *rows = re.findall(r"(?m)^\|(.*)\|$", done.stdout)
    columns = [column.strip() for column in header.split("|")]
    assert columns[:6] == ["what", "size", "unit", "median", "spread", "ratio to floor"]
    assert {row.split("|")[0].strip() for row in rows} == {
        "job round trip",
        "group, per member",
        "stream, per chunk",
        "cancel running handlers",
    }
    for row in rows:
        assert re.fullmatch(r"[\d,]+\.\d\d", row.split("|")[3].strip()), row


@pytest.mark.parametrize("subject", ["job", "job-floor", "member", "member-floor"])
def test_counted_subjects_run(subject: str) -> None:
    """The children of the instruction counter do their work, here without valgrind."""
    done = run("benchmarks.instructions", "--child", subject, "100")
    assert done.returncode == 0, done.stderr


def test_missing_valgrind_is_told(tmp_path: Path) -> None:
    """Without valgrind the counter says how to get it, and fails."""
    done = run("benchmarks.instructions", PATH=str(tmp_path))
    assert done.returncode == 1
    assert "apt-get install valgrind" in done.stderr
    assert done.stdout == ""
