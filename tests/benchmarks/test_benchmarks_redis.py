"""The cases over Redis: a server and helper processes that end with whom they are for."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import trio

from benchmarks.redis._helpers import HelperError, ask, helper
from benchmarks.redis._measuring import median_and_p99, warm_up
from benchmarks.redis._server import ServerError, find_binary, open_server, version_of

ROOT = Path(__file__).resolve().parents[2]
HELPING = "tests.benchmarks.helping"


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def wait_ended(pid):
    """Wait until there is no such process, or only its status."""
    deadline = time.monotonic() + 20
    while Path(f"/proc/{pid}").exists():
        if "State:\tZ" in Path(f"/proc/{pid}/status").read_text():
            return
        assert time.monotonic() < deadline, f"{pid} still runs"
        time.sleep(0.01)


async def test_the_server_lives_as_long_as_its_block() -> None:
    """It is another one each time, and has ended when the block has, whatever ends that."""
    with pytest.raises(ZeroDivisionError):
        async with open_server(find_binary(None)) as url:
            assert ask(url, "PING") == "PONG"
            assert "process_id:" in ask(url, "INFO", "server")
            raise ZeroDivisionError
    with pytest.raises(OSError, match="refused"):
        ask(url, "PING")


async def test_an_error_of_the_server_is_no_reply() -> None:
    """What it says is in the error."""
    async with open_server(find_binary(None)) as url:
        with pytest.raises(ConnectionError, match="unknown command"):
            ask(url, "NOSUCH")


async def test_what_is_no_server_is_told(tmp_path) -> None:
    """That it can't be run, or has ended."""
    with pytest.raises(ServerError, match="the server ended with status 1"):
        async with open_server(Path("/bin/false")):
            pass
    with pytest.raises(ServerError, match=r"can't be run: .*No such file"):
        async with open_server(tmp_path / "nothing"):
            pass
    with pytest.raises(ServerError, match="can't be run"):
        version_of(Path("/bin/false"))


def test_the_version_is_that_of_the_server() -> None:
    """With the name that it gives itself."""
    name, number = version_of(find_binary(None))
    assert name == "valkey"
    assert number.count(".") == 2


def test_a_helper_lives_as_long_as_its_block() -> None:
    """The block begins when the helper is ready."""
    with helper(HELPING, "waiting", number=1) as pid:
        os.kill(pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_helper_ends_with_whom_has_started_it() -> None:
    """Also if that one was killed."""
    program = (
        "import time\n"
        "from benchmarks.redis._helpers import helper\n"
        f"with helper({HELPING!r}, 'waiting', number=1) as pid:\n"
        "    print(pid, flush=True)\n"
        "    time.sleep(3600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, cwd=ROOT
    ) as process:
        try:
            assert process.stdout is not None
            pid = int(process.stdout.readline())
        finally:
            process.kill()
    wait_ended(pid)


def test_a_helper_that_dies_is_an_error() -> None:
    """Instead of a wait without end."""
    with pytest.raises(HelperError, match=r"helping\.dying ended before it was ready"):
        with helper(HELPING, "dying"):
            pass


def test_medians_and_slow_ones() -> None:
    """Of many, one in a hundred is slower than the 99th percentile."""
    assert median_and_p99([3.0, 1.0, 2.0]) == (2.0, 3.0)
    assert median_and_p99(range(1000)) == (499.5, 990)
    assert (warm_up(5), warm_up(2000)) == (1, 200)


async def test_without_a_server_all_else_is_measured() -> None:
    """The table says what is missing, and the exit status, too."""
    options = ["--quick", "--peers", "none", "--only", "hook,redis-first", "--server", "/bin/false"]
    done = await trio.run_process(
        [sys.executable, "-W", "error", "-m", "benchmarks", *options],
        cwd=ROOT,
        capture_stdout=True,
        capture_stderr=True,
        check=False,
    )
    output = done.stdout.decode()
    assert done.returncode == 1, done.stderr.decode()
    assert "ours: the server ended with status 1 (in: redis-first-chunk)" in output
    assert "| job round trip with a hook |" in output
