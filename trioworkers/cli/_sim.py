"""``trioworkers sim``: built-in scenarios over many schedules, to see no promise broken."""

import json
import os
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, ModuleType
from typing import TYPE_CHECKING

import attrs
import click
from rich.console import Console

from trioworkers import MissingExtraError

from ._sim_display import as_document, open_console, open_progress, print_summary, print_violation

if TYPE_CHECKING:
    from trioworkers.testing.scenarios import Findings, Search


def _scenarios() -> ModuleType:
    """Import the scenarios; `trioworkers.testing` is an extra, so only when asked for."""
    try:
        from trioworkers.testing import scenarios
    except MissingExtraError as error:
        raise click.ClickException(str(error)) from error
    return scenarios


@attrs.define(eq=False)
class Stopper:
    """Says when to stop: the time is up, a signal has come, or enough was found.

    The first SIGINT or SIGTERM stops politely: what runs is ended and counted. A
    second one raises `KeyboardInterrupt`.

    Attributes:
      seconds: From now on; None is no limit.
      caught: The signal, or None.
      enough: Whether nothing more is to be found.
    """

    seconds: float | None
    caught: signal.Signals | None = None
    enough: bool = False
    began: float = attrs.field(factory=time.monotonic)

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self.began

    def __call__(self) -> bool:
        """Whether to stop now."""
        late = self.seconds is not None and self.elapsed >= self.seconds
        return late or self.enough or self.caught is not None

    def catch(self, number: int, _frame: FrameType | None) -> None:
        """Note a signal."""
        if self.caught is not None:
            raise KeyboardInterrupt
        self.caught = signal.Signals(number)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Catch signals inside the block."""
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = [signal.signal(number, self.catch) for number in numbers]
        try:
            yield
        finally:
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)


def search_for(
    search: "Search",
    jobs: int,
    stopper: Stopper,
    show: Callable[["Findings", "Findings"], None],
) -> "Findings":
    """Explore until ``stopper`` says so, or all is done; return all that was found.

    Args:
      search: What to run.
      jobs: In how many processes; one is this process itself.
      stopper: When to stop.
      show: Called again and again, with what is new and with all.
    """
    scenarios = _scenarios()
    if jobs == 1:
        reports = scenarios.explore(search, stopper)
    else:
        reports = scenarios.explore_apart(search, stopper, jobs)
    found: Findings = scenarios.Findings()
    for news in reports:
        found.add(news)
        show(news, found)
    return found


def _replay(console: Console, name: str, seed: int) -> int:
    """Run one schedule, print all that happens, and return the exit status."""
    scenarios = _scenarios()
    try:
        run = scenarios.BUILT_IN[name].run(seed)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what was asked for
        print_violation(console, scenarios.violation_of(name, seed, error))
        console.out("".join(traceback.format_exception(error)), highlight=False)
        return 1
    console.out(str(run.timeline), highlight=False)
    console.out(f"\n{name}:{seed} broke no promise; {len(run.timeline)} events", highlight=False)
    return 0


def _check_names(
    _context: click.Context, _parameter: click.Parameter, names: tuple[str, ...]
) -> tuple[str, ...]:
    for name in names:
        _check_name(name)
    return tuple(dict.fromkeys(names))


def _check_name(name: str) -> None:
    known = _scenarios().BUILT_IN
    if name not in known:
        raise click.BadParameter(f"there is no scenario {name!r}, only {', '.join(known)}")


def _check_replay(
    _context: click.Context, _parameter: click.Parameter, place: str | None
) -> tuple[str, int] | None:
    if place is None:
        return None
    name, colon, seed = place.rpartition(":")
    if not colon or not seed.isdecimal():
        raise click.BadParameter(f"{place!r} is not NAME:SEED, such as groups:17")
    _check_name(name)
    return name, int(seed)


def _list_scenarios(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if not wanted:
        return
    known = _scenarios().BUILT_IN
    width = max(map(len, known))
    for name, scenario in known.items():
        click.echo(f"{name:<{width}}  {scenario.about}")
    context.exit(0)


@click.command(
    epilog="""\b
Examples:
  trioworkers sim --seconds 60
  trioworkers sim --scenario groups --scenario nested --schedules 1000
  trioworkers sim --replay groups:17
  trioworkers sim --list

\b
Exit status: 0 if no promise was broken, 1 if one was, 2 for a wrong option, 130
after Ctrl-C. What was found until then is printed in any case.
"""
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    help="Stop after this time.  [default: 10, or no limit with --schedules]",
)
@click.option("--schedules", type=click.IntRange(min=1), help="Stop after this many runs.")
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=os.cpu_count() or 1,
    show_default="one for each processor",
    help="Run in this many processes.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="The first seed; each run has the next one. Others explore elsewhere.",
)
@click.option(
    "--scenario",
    "names",
    metavar="NAME",
    multiple=True,
    callback=_check_names,
    help="Explore this one. Can be given again.  [default: all]",
)
@click.option("--exitfirst", "-x", is_flag=True, help="Stop at the first violation.")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON document at the end.")
@click.option(
    "--replay",
    metavar="NAME:SEED",
    callback=_check_replay,
    help="Run this one schedule, and print everything that happens in it.",
)
@click.option(
    "--list",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_list_scenarios,
    help="List the scenarios.",
)
@click.pass_context
def sim(
    context: click.Context,
    seconds: float | None,
    schedules: int | None,
    jobs: int,
    seed: int,
    names: tuple[str, ...],
    exitfirst: bool,
    as_json: bool,
    replay: tuple[str, int] | None,
) -> None:
    """Explore the built-in scenarios: run them in virtual time, over and over.

    Each run has a seed. It decides what workers are asked and do, in which order
    messages arrive, and what goes wrong: cancelled blocks, workers that crash, lost
    messages, runners that vanish. A run must break no promise and leave nothing
    behind. A line that replays it is printed with each violation.
    """
    console = open_console()
    if replay is not None:
        context.exit(_replay(console, *replay))
    scenarios = _scenarios()
    search = scenarios.Search(names or tuple(scenarios.BUILT_IN), seed, schedules)
    stopper = Stopper(10.0 if seconds is None and schedules is None else seconds)
    seen: set[str] = set()

    def show(news: "Findings", found: "Findings") -> None:
        progress.show(found, stopper.elapsed)
        for violation in news.violations:
            if violation.kind not in seen and not as_json:
                print_violation(console, violation)
            seen.add(violation.kind)
            stopper.enough = exitfirst

    with stopper.listening(), open_progress(console, seconds=stopper.seconds) as progress:
        found = search_for(search, jobs, stopper, show)
    if as_json:
        console.out(json.dumps(as_document(found, stopper.elapsed), indent=2), highlight=False)
    else:
        print_summary(console, found, stopper.elapsed)
    if stopper.caught is not None:
        click.echo("cancelled", err=True)
        context.exit(128 + stopper.caught)
    context.exit(1 if found.violations else 0)
