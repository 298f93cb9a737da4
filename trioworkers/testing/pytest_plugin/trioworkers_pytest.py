"""The pytest plugin: fixtures `timeline`, `bus`, `runner` and `scripted_worker`.

This directory is no package: the module is installed as `trioworkers_pytest`, beside
`trioworkers`. As a part of that it would have pytest import all of it at its start,
also for people whose tests never use it. So everything but pytest is imported by the
fixtures. And as such people may have an older pytest than the extra `testing` asks for,
it must load there too, from pytest 7 on.
"""

import sys
from collections.abc import AsyncIterator, Generator, Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

import pytest

if TYPE_CHECKING:
    from pluggy import Result

    from trioworkers import WorkerRunner
    from trioworkers.testing import ScriptedWorker, SimulatedBus, Timeline

#: How much of a timeline is shown when a test fails: its newest events.
MOST_EVENTS = 100
#: Characters of an event that are shown.
MOST_CHARACTERS = 200

_SEED = pytest.StashKey[int]()
_TIMELINE = pytest.StashKey["Timeline"]()


# The seed


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option of the command line and the one of the configuration."""
    parser.getgroup("trioworkers").addoption(
        "--trioworkers-seed",
        type=int,
        metavar="N",
        help="seed of deliveries and schedules in tests that use the fixture `bus` "
        "(default: trioworkers_seed)",
    )
    kind: Literal["int", "string"] = "int" if pytest.version_tuple >= (8, 4) else "string"
    parser.addini(
        "trioworkers_seed",
        "seed of deliveries and schedules in tests that use the fixture `bus` (default: 0)",
        type=kind,
        default=0,
    )


def pytest_configure(config: pytest.Config) -> None:
    """Take the seed from the command line, or else from the configuration."""
    seed: int | None = config.getoption("trioworkers_seed")
    if seed is None:
        try:
            seed = int(config.getini("trioworkers_seed"))
        except (pytest.UsageError, TypeError, ValueError) as error:
            raise pytest.UsageError(f"trioworkers_seed must be an integer: {error}") from None
    config.stash[_SEED] = seed


# The fixtures


@pytest.fixture
def timeline(request: pytest.FixtureRequest) -> "Timeline":
    """What happens on `bus`. Its newest events are shown when the test fails."""
    from trioworkers.testing import Timeline

    timeline = request.node.stash[_TIMELINE] = Timeline()
    return timeline


@pytest.fixture
def bus(request: pytest.FixtureRequest, timeline: "Timeline") -> Iterator["SimulatedBus"]:
    """A `SimulatedBus` that delivers in random order and notes it on `timeline`.

    While it lives, Trio's scheduler is seeded too. So the same ``--trioworkers-seed``
    gives the same run, if the test takes `autojump_clock`, and randomness from nowhere
    else.
    """
    from trioworkers.testing import RandomChoices, SimulatedBus
    from trioworkers.testing._determinism import seeded_schedules

    seed = request.config.stash[_SEED]
    with seeded_schedules(seed):
        yield SimulatedBus(RandomChoices(seed), timeline)


@pytest.fixture
def _trio_test(request: pytest.FixtureRequest) -> None:
    """Say what to do if pytest-trio does not run the test: pytest would not know.

    A fixture of its own, since those that a fixture needs are evaluated before anybody
    looks at whether that one is async.
    """
    if find_spec("pytest_trio") is None:
        from trioworkers.errors import MissingExtraError

        raise MissingExtraError("the fixture `runner`", "testing")
    plugin = sys.modules.get("pytest_trio.plugin")
    if plugin is None or not request.config.pluginmanager.is_registered(plugin):
        pytest.fail(
            "pytest-trio is installed but switched off: run pytest with `-p trio`", pytrace=False
        )
    if request.node.get_closest_marker("trio") is None:
        pytest.fail(
            "the fixture `runner` of trioworkers needs a test that pytest-trio runs: an "
            "`async def` with the mark `@pytest.mark.trio`, or with `trio_mode = true` in "
            "the configuration of pytest",
            pytrace=False,
        )


@pytest.fixture
async def runner(_trio_test: None, bus: "SimulatedBus") -> AsyncIterator["WorkerRunner"]:
    """A `WorkerRunner` that runs on `bus`; after the test its workers end gracefully."""
    from trioworkers.testing._open_runner import open_runner

    async with open_runner(bus) as runner:
        yield runner


@pytest.fixture
async def scripted_worker(runner: "WorkerRunner") -> "ScriptedWorker":
    """A `ScriptedWorker` named ``scripted_worker``, ready at `runner`."""
    from trioworkers.testing import ScriptedWorker

    worker = ScriptedWorker("scripted_worker")
    await runner.add_workers(worker)
    await runner.registry.wait_ready(worker.name)
    return worker


# What failed


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, "Result[pytest.TestReport]", None]:
    """Show the timeline of a test that failed, once."""
    report = (yield).get_result()
    timeline = item.stash.get(_TIMELINE, None)
    if report.failed and timeline is not None:
        del item.stash[_TIMELINE]
        report.sections.append(("trioworkers timeline", _told(timeline, item.config.stash[_SEED])))


def _told(timeline: "Timeline", seed: int) -> str:
    lines = [f"seed {seed}; to run it again: pytest --trioworkers-seed={seed}"]
    older = max(0, len(timeline) - MOST_EVENTS)
    if older:
        lines.append(f"... {older} older events")
    lines += [str(event)[:MOST_CHARACTERS] for event in timeline.events[older:]]
    return "\n".join(lines if len(timeline) else [*lines, "nothing happened"])
