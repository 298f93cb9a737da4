"""The pytest plugin, as installed, in runs of pytest of its own."""

import subprocess
import sys
from pathlib import Path

import pytest
import trio
from support import run

from trioworkers import JobError, MemoryChannelBus
from trioworkers.testing import CleanUp, JobScript, NeverAnswer, ScriptedWorker
from trioworkers.testing._leftovers import LeftoverError
from trioworkers.testing._open_runner import open_runner

pytest_plugins = ["pytester"]

ROOT = Path(__file__).resolve().parents[2]

HEAD = """
import pytest, trio
from trioworkers import MemoryChannelBus
from trioworkers.testing import *
"""

MISSING = "needs packages that are not installed. Run: pip install 'trioworkers[[]testing]'"


@pytest.fixture
def try_tests(pytester):
    """Return a function that runs pytest, warnings as errors, on a file of tests."""

    def try_tests(code, *options, **configuration):
        pytester.makepyfile(test_it=code)
        lines = (f"{name} = {value}" for name, value in configuration.items())
        pytester.makeini("\n".join(["[pytest]", *lines]))
        strict = ("-W", "error", "--strict-markers", "-p", "no:cacheprovider")
        return pytester.runpytest_subprocess(*strict, *options, timeout=60)

    return try_tests


# Not in the way


def test_importing_it_imports_nothing_but_pytest():
    """And what of the standard library is loaded anyway."""
    code = (
        "import sys, pytest; before = {*sys.modules}; import trioworkers_pytest;"
        "print(*{*sys.modules} - before - sys.stdlib_module_names)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("trioworkers_pytest\n", "")


def test_its_directory_holds_nothing_else():
    """What is in there is installed at the top, where every module has to be told apart."""
    place = ROOT / "trioworkers" / "testing" / "pytest_plugin"
    assert [file.name for file in place.iterdir() if file.is_file()] == ["trioworkers_pytest.py"]


def test_a_run_that_does_not_use_it_imports_nothing_of_it(try_tests):
    """Also when a test fails, and with fixtures of the same names; other plugins may."""
    code = """
        import sys, pytest

        @pytest.fixture
        def timeline():
            return [1, 2]

        def test_loaded(pytestconfig):
            assert pytestconfig.pluginmanager.has_plugin("trioworkers")

        def test_fails(timeline):
            assert timeline == [3]

        def test_imports():
            assert not {"trio", "trioworkers", "hypothesis"} & {*sys.modules}
        """
    result = try_tests(code, "--disable-plugin-autoload", "-p", "trioworkers")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.no_fnmatch_line("*trioworkers timeline*")


def test_the_fixtures_are_listed(try_tests):
    """With what they are for; the one that only helps is not."""
    result = try_tests("", "--fixtures")
    result.stdout.fnmatch_lines_random(
        ["timeline -- *", "    What happens on `bus`*", "bus -- *", "runner -- *", "scripted_*"]
    )
    result.stdout.no_fnmatch_line("*_trio_test*")


# The fixtures

USES = """
    async def test_all(runner, bus, timeline, scripted_worker, autojump_clock):
        assert (runner.bus, runner.name) == (bus, "runner")
        assert isinstance(bus, SimulatedBus)
        assert isinstance(timeline, Timeline)
        assert runner.get_worker("scripted_worker") is scripted_worker
        script = JobScript((Sleep(5), SendUpdate(2)))
        assert await runner.call("scripted_worker", name="play", payload=script) == {"sent": 2}
        assert trio.current_time() == 5
        assert any("JobRequest" in event.detail for event in timeline.of("scripted_worker"))

    async def test_one(scripted_worker):
        assert scripted_worker.bus.is_running

    async def test_method(runner):
        assert runner.workers == ()
    """


def test_with_marks(try_tests):
    """Only the marked tests are run by Trio."""
    marked = USES.replace("async def", "@pytest.mark.trio\n    async def")
    try_tests(HEAD + marked.replace("\n    ", "\n")).assert_outcomes(passed=3)


def test_with_trio_mode(try_tests):
    """Marks are not needed then."""
    result = try_tests(HEAD + USES.replace("\n    ", "\n"), trio_mode="true")
    result.assert_outcomes(passed=3)


def test_timeline_and_bus_do_without_pytest_trio(try_tests):
    """They need no Trio run; so a test may run Trio by itself."""
    code = """
def test_by_itself(bus, timeline):
    async def main():
        async with bus:
            assert bus.is_running

    trio.run(main)
    assert not timeline
"""
    try_tests(HEAD + code, "-p", "no:trio").assert_outcomes(passed=1)


def test_fixtures_can_be_replaced(try_tests):
    """One of the user's, by the same name, is used by those that need it."""
    code = """
@pytest.fixture
def bus():
    return MemoryChannelBus()

@pytest.fixture
async def runner(runner):
    await runner.add_workers(ScriptedWorker("mine"))
    return runner

async def test_mine(scripted_worker, runner, bus):
    assert {worker.name for worker in runner.workers} == {"mine", "scripted_worker"}
    assert runner.bus is bus and type(bus) is MemoryChannelBus
"""
    try_tests(HEAD + code, trio_mode="true").assert_outcomes(passed=1)


# The end of a test


def test_the_runner_ends_gracefully(try_tests):
    """After the test its workers finish what they have accepted."""
    code = """
seen = []

@pytest.fixture
async def asker(runner):
    yield seen
    assert not seen

class Slow(ScriptedWorker):
    async def on_job_completed(self, job_id, *args):
        seen.append(trio.current_time())

async def test_leaves_a_job(runner, scripted_worker, asker, autojump_clock):
    slow = Slow("slow")
    await runner.add_workers(slow)
    await slow.request_job("scripted_worker", name="play", payload=JobScript((Sleep(7),)))

def test_afterwards():
    assert seen == [7.0]
"""
    try_tests(HEAD + code, trio_mode="true").assert_outcomes(passed=2)


def test_open_runner_tells_what_did_not_end():
    """Instead of waiting for ever: it cancels, and names the worker and what it does."""
    one, other = ScriptedWorker("one"), ScriptedWorker("other")

    async def main():
        async with open_runner(MemoryChannelBus()) as runner:
            await runner.add_workers(one, other)
            script = JobScript((CleanUp(2), NeverAnswer()))
            await one.request_job("other", name="play", payload=script)

    with pytest.raises(LeftoverError) as raised:
        run(main)
    assert str(raised.value) == (
        "60 s after the test: worker 'one' has not ended: 0 handlers run, 1 job groups are open; "
        "worker 'other' has not ended: 1 handlers run, 0 job groups are open. "
        "Wait for this in the test, or cancel it."
    )
    assert other.running == []
    assert other.ended == other.begun


def test_open_runner_leaves_the_error_of_its_body_alone():
    """And cancels then, so that it is told at once."""

    async def main():
        with pytest.raises(JobError, match="my own"):
            async with open_runner(MemoryChannelBus()) as runner:
                await runner.add_workers(worker := ScriptedWorker("w"))
                await worker.request_job("w", name="play", payload=JobScript((NeverAnswer(),)))
                raise JobError("my own")
        return trio.current_time()

    assert run(main) == 0.0


# What a failure shows


def test_a_failure_shows_the_timeline_and_the_seed(try_tests):
    """Of the tests that use it, and that fail, once each."""
    code = """
async def test_fails(runner, scripted_worker, autojump_clock):
    await trio.sleep(3)
    await runner.call("scripted_worker", name="play", payload=JobScript())
    raise AssertionError

async def test_passes(scripted_worker):
    pass

@pytest.mark.xfail
async def test_is_known_to_fail(scripted_worker):
    raise AssertionError

def test_fails_twice(bus, request):
    request.addfinalizer(lambda: 1 / 0)
    raise AssertionError
"""
    result = try_tests(HEAD + code, "--trioworkers-seed=5", trio_mode="true")
    result.assert_outcomes(passed=1, failed=2, errors=1, xfailed=1)
    title, seed = "-* trioworkers timeline -*", "seed 5; to run it again: pytest --*-seed=5"
    sent = " 3.000  sent       runner -> scripted_worker JobRequest sim-1"
    result.stdout.fnmatch_lines([title, seed, f"*{sent}", title, seed, "nothing happened"])
    assert result.stdout.str().count("trioworkers timeline") == 2


def test_the_timeline_is_cut(try_tests):
    """To its newest events, and long events to their beginning."""
    code = """
def test_long(timeline):
    for number in range(250):
        timeline.events.append(TimelineEvent(number, "noted", "here", "x" * 1000))
    raise AssertionError
"""
    result = try_tests(HEAD + code)
    shown = [line for line in result.stdout.lines if " noted " in line]
    assert [line.split()[0] for line in shown] == [f"{number}.000" for number in range(150, 250)]
    assert {len(line) for line in shown} == {200}
    result.stdout.fnmatch_lines(["... 150 older events"])


# The seed

RACE = """
async def test_race(runner, timeline, scripted_worker, autojump_clock):
    await runner.add_workers(ScriptedWorker("other"))
    await runner.registry.wait_ready("other")
    script = JobScript((SendUpdate(3), Sleep(1), SendUpdate(3)))
    async with runner.job_group("scripted_worker", "other", name="play", payload=script):
        pass
    raise AssertionError
"""


def test_the_same_seed_gives_the_same_run(try_tests):
    """From the command line, from the configuration, or the default, 0."""

    def seen(*options, **configuration):
        result = try_tests(HEAD + RACE, *options, trio_mode="true", **configuration)
        result.assert_outcomes(failed=1)
        section = result.stdout.str().partition(" trioworkers timeline ")[2].partition("\n=")[0]
        return section.splitlines()[1:]

    default, option, configured = (
        seen(),
        seen("--trioworkers-seed=0", trioworkers_seed=7),
        seen(trioworkers_seed=7),
    )
    assert default[0].startswith("seed 0;")
    assert configured[0].startswith("seed 7;")
    assert option == default
    assert configured[1:] != default[1:]


def test_a_seed_that_is_no_number_is_refused(try_tests):
    """Before any test runs, with the name of the option."""
    result = try_tests("", trioworkers_seed="x")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: trioworkers_seed must be an integer: *'x'"])
    result = try_tests("", "--trioworkers-seed=x")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*argument --trioworkers-seed: invalid int value: 'x'"])


# What it needs

PLAIN = """
def test_sync(runner):
    pass

async def test_async(scripted_worker):
    pass
"""


@pytest.mark.parametrize("trio_mode", [False, True])
def test_a_test_that_pytest_trio_does_not_run(try_tests, trio_mode):
    """It is told how to become one; with trio_mode, that is only the sync one."""
    result = try_tests(PLAIN, trio_mode=str(trio_mode).lower())
    result.assert_outcomes(errors=2 - trio_mode, passed=int(trio_mode))
    told = (
        "the fixture `runner` of trioworkers needs a test that pytest-trio runs: an `async def` "
        "with the mark `@pytest.mark.trio`, or with `trio_mode = true` in the configuration of "
        "pytest"
    )
    assert result.stdout.lines.count(told) == 2 - trio_mode


def test_pytest_trio_is_switched_off(try_tests):
    """Then it is told how to switch it on."""
    result = try_tests(PLAIN, "-p", "no:trio")
    result.assert_outcomes(errors=2)
    told = "pytest-trio is installed but switched off: run pytest with `-p trio`"
    assert result.stdout.lines.count(told) == 2


@pytest.mark.parametrize(
    ("package", "plugin", "tells"),
    [("pytest_trio", "trio", "`runner`"), ("hypothesis", "hypothesispytest", "testing")],
)
def test_a_package_is_missing(try_tests, pytester, package, plugin, tells):
    """The line that installs it is shown."""
    pytester.makepyfile(hide=f"import sys; sys.modules[{package!r}] = None")
    pytester.syspathinsert()
    code = "import pytest\n\n@pytest.mark.trio\nasync def test_it(runner):\n    pass\n"
    result = try_tests(code, "-p", "hide", "-p", f"no:{plugin}", markers="trio")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"E *MissingExtraError: *{tells} {MISSING}"])
