"""What all commands that join a bus of many processes share: its options, its errors."""

import functools
import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import attrs
import click

from trioworkers import (
    BusDeniedError,
    BusDisconnected,
    DuplicateWorkerError,
    MissingExtraError,
)

if TYPE_CHECKING:
    from trioworkers.bus.redis import RedisBus

#: Exit status: the bus can't be used.
NO_BUS = 3
#: Begins the names of runners that only look on, or ask.
CLI_PREFIX = "cli#"

#: Told in the help of each command.
PASSWORDS = """A password on a command line can be seen by all users of the machine: put the URL
into the environment variable TRIOWORKERS_BUS."""


class BusFault(click.ClickException):
    """The bus can't be used: it isn't there, or it refuses us."""

    exit_code = NO_BUS


@attrs.frozen(repr=False)
class BusOptions:
    """Where the bus is.

    Attributes:
      urls: Of the server; several for a failover. They may hold passwords.
      namespace: Begins the names of its keys.
      connect_timeout: Seconds.
    """

    urls: tuple[str, ...]
    namespace: str
    connect_timeout: float

    def open(self, *, lease: float = 10.0) -> "RedisBus":
        """Return a bus, which does not run yet.

        Args:
          lease: As in `RedisBus`.

        Raises:
          click.ClickException: An option is wrong, or the extra isn't installed.
        """
        try:
            from trioworkers.bus.redis import RedisBus

            return RedisBus(
                self.urls,
                namespace=self.namespace,
                connect_timeout=self.connect_timeout,
                lease=lease,
            )
        except MissingExtraError as error:
            raise click.ClickException(str(error)) from None
        except ValueError as error:
            raise click.UsageError(str(error)) from None


def _check_urls(
    _context: click.Context, _parameter: click.Parameter, urls: tuple[str, ...]
) -> tuple[str, ...]:
    if not urls:
        raise click.UsageError("--bus URL is missing; or set TRIOWORKERS_BUS")
    return urls


def _check_seconds(
    _context: click.Context, _parameter: click.Parameter, seconds: float | None
) -> float | None:
    """Refuse what is no number of seconds >= 0."""
    if seconds is not None and not (seconds >= 0 and math.isfinite(seconds)):
        raise click.BadParameter(f"{seconds:g} is not a number of seconds")
    return seconds


def seconds_option(
    name: str, help_text: str, default: float | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return an option that takes seconds; a default is shown, None isn't."""
    return click.option(
        name,
        type=float,
        metavar="SECONDS",
        callback=_check_seconds,
        default=default,
        show_default=default is not None,
        help=help_text,
    )


def bus_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options to a command, which gets them as ``where``, a `BusOptions`."""

    @functools.wraps(command)
    def with_options(
        *args: object,
        bus: tuple[str, ...],
        namespace: str,
        connect_timeout: float,
        **kwargs: object,
    ) -> None:
        command(*args, where=BusOptions(bus, namespace, connect_timeout), **kwargs)

    decorated: Callable[..., None] = with_options
    for option in (
        seconds_option(
            "--connect-timeout", "Give up if the server can't be reached for this time.", 5.0
        ),
        click.option(
            "--namespace",
            envvar="TRIOWORKERS_NAMESPACE",
            show_envvar=True,
            metavar="NAME",
            default="trioworkers",
            show_default=True,
            help="Meet those alone that use the same one.",
        ),
        click.option(
            "--bus",
            envvar="TRIOWORKERS_BUS",
            show_envvar=True,
            metavar="URL",
            multiple=True,
            callback=_check_urls,
            help="Where the Redis or Valkey server is: redis://[[user:]password@]host[:port], "
            "rediss:// for TLS, or unix:///path. Can be given again, for a failover.",
        ),
    ):
        decorated = option(decorated)
    return decorated


@contextmanager
def bus_faults() -> Iterator[None]:
    """Tell in a line what makes a bus unusable, in place of a traceback."""
    try:
        yield
    except BusDisconnected as error:
        raise BusFault(f"the bus can't be reached: {error.reason}") from None
    except (BusDeniedError, DuplicateWorkerError) as error:
        raise BusFault(str(error)) from None


class _LogLines(logging.Handler):
    """Writes to what is standard error at that time: a live display has its own."""

    def emit(self, record: logging.LogRecord) -> None:
        say(self.format(record))


def show_logs(level: int, form: str = "%(asctime)s %(levelname)s %(name)s: %(message)s") -> None:
    """Write what the library logs to standard error, unless logging was set up already."""
    logging.basicConfig(format=form, handlers=[_LogLines()])
    ours = logging.getLogger("trioworkers")
    if ours.level == logging.NOTSET:
        ours.setLevel(level)


def say(text: str) -> None:
    """Write to standard error. That nobody reads there is no reason to stop."""
    with suppress(BrokenPipeError):
        click.echo(text, err=True)
