"""``trioworkers demo async-tasks``: research that people ask for, watch and cancel in a browser."""

import contextlib
import logging
import os
import secrets
import socket
import sys
import webbrowser
from urllib.parse import quote

import attrs
import click
import trio

from trioworkers import MissingExtraError, WorkerRunner

from ._bus_options import say, show_logs
from ._signals import run_until_signal

#: Bytes of a token that is made up.
TOKEN_BYTES = 24
#: All addresses of the machine, as a host.
ANY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104
#: Shorter tokens, given by the environment, could be guessed.
MIN_TOKEN = 16


@attrs.frozen(repr=False)
class Settings:
    """What the command is to do.

    Attributes:
      paths: What is searched, besides the standard library and installed packages.
      host, port: Where the page is served; port 0 takes any that is free.
      allowed_hosts: Further names by which browsers may call this machine.
      token: What a browser has to know; None for nothing.
      open_page: Whether to open a browser.
      slow: Whether to pace the researchers.
    """

    paths: tuple[str, ...]
    host: str
    port: int
    allowed_hosts: tuple[str, ...]
    token: str | None
    open_page: bool
    slow: bool


@attrs.define(eq=False)
class Serving:
    """One run of the demo.

    Attributes:
      settings: What it is to do.
      trouble: Why it could not begin; None if it could.
    """

    settings: Settings
    trouble: Exception | None = None

    async def run(self) -> None:
        """Serve until cancelled; or say in `trouble` why that is impossible."""
        from trioworkers.ui.panel import open_panel

        from .async_tasks import Desk, RuleResponder, make_researchers

        settings = self.settings
        researchers = make_researchers(slow=settings.slow)
        names = [researcher.name for researcher in researchers]
        desk = Desk(names, responder=RuleResponder(), paths=settings.paths, tell=say)
        async with WorkerRunner(name="async-tasks") as runner:
            await runner.add_workers(desk, *researchers)
            try:
                async with open_panel(
                    runner,
                    name="page",
                    ui_worker=desk.name,
                    host=settings.host,
                    port=settings.port,
                    token=settings.token,
                    allowed_hosts=settings.allowed_hosts,
                ) as panel:
                    await self._show(panel.url)
                    await trio.sleep_forever()
            except (OSError, ValueError) as error:
                self.trouble = error

    async def _show(self, url: str) -> None:
        """Print the page's address, and open it if that was asked for."""
        settings = self.settings
        if settings.host in ANY_ADDRESS:
            names = " or ".join((*settings.allowed_hosts, "an IP address"))
            say(f"on other machines put {names} of this one into the address of the page")
        say("open this page; Ctrl-C ends it:")
        secret = f"#token={quote(settings.token, safe='')}" if settings.token else ""
        with contextlib.suppress(BrokenPipeError):
            click.echo(url + secret)
        if settings.open_page:
            # Without the token: all users of a machine can see how a program was started.
            opened = await trio.to_thread.run_sync(webbrowser.open, url, abandon_on_cancel=True)
            if not opened:
                say("there is no browser to be found: open it yourself")


def _read_token() -> str | None:
    """Return the token that the environment has, if it has one."""
    token = os.environ.get("TRIOWORKERS_TOKEN") or None
    if token is not None and len(token) < MIN_TOKEN:
        raise click.UsageError(
            f"TRIOWORKERS_TOKEN has {len(token)} characters, which can be guessed: "
            f"at least {MIN_TOKEN} are needed"
        )
    return token


def _own_names(host: str) -> tuple[str, ...]:
    """Return the name of this machine, if all its addresses are ``host``."""
    name = socket.gethostname()
    return (name,) if host in ANY_ADDRESS and name else ()


def _has_display() -> bool:
    """Return whether somebody sits here who would see a browser."""
    if not sys.stdout.isatty():
        return False
    return sys.platform in {"darwin", "win32"} or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )


@click.command(
    "async-tasks",
    epilog=f"""\b
Examples:
  trioworkers demo async-tasks
  trioworkers demo async-tasks --slow docs src
  trioworkers demo async-tasks --port 0 --no-open

\b
What to type into the page:
  Research cancellation
  Look up threads, then look up sockets
  How are you?

Whoever can reach the page can search in PATH. Without --host that is this machine
alone. With another one a token is asked for: that of TRIOWORKERS_TOKEN, of at least
{MIN_TOKEN} characters, or one that is made up and shown in the address of the page.
The page is never encrypted: put a proxy with TLS in front of it, or use a tunnel.

\b
Exit status: 130 after Ctrl-C, 143 after SIGTERM, 1 if the page can't be served, as
when the port is taken, 2 for a wrong option.
""",
)
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path(exists=True, readable=True))
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Serve the page at this address of this machine.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=7860,
    show_default=True,
    help="Serve it at this port; 0 takes any that is free.",
)
@click.option(
    "--allow-host",
    "allowed_hosts",
    metavar="NAME",
    multiple=True,
    help="A further name by which browsers may call this machine; may be repeated.",
)
@click.option("--token", "ask_token", is_flag=True, help="Ask for a token on this machine, too.")
@click.option(
    "--open/--no-open",
    "open_page",
    default=None,
    help="Open the page in a browser, or don't.  [default: on a terminal with a display]",
)
@click.option("--slow", is_flag=True, help="Search at a pace at which one can watch and cancel.")
@click.pass_context
def async_tasks(
    context: click.Context,
    paths: tuple[str, ...],
    host: str,
    port: int,
    allowed_hosts: tuple[str, ...],
    ask_token: bool,
    open_page: bool | None,
    slow: bool,
) -> None:
    """Serve a page where research can be asked for, watched and cancelled.

    "Research X" or "Look up X", typed into the page, starts a job group of three
    workers, which search for X at the same time: "files" the text files in each PATH
    (the current directory, if there is none), "stdlib" the docstrings of the standard
    library, "packages" what installed packages say of themselves. Several groups may
    run at once. All else gets a quick reply.

    The address of the page goes to standard output, and what happens to standard
    error.
    """
    try:
        from trioworkers.ui.rtvi import is_loopback
    except MissingExtraError as error:
        raise click.ClickException(str(error)) from None
    token = _read_token()
    if token is None and (ask_token or not is_loopback(host)):
        token = secrets.token_urlsafe(TOKEN_BYTES)
    serving = Serving(
        Settings(
            paths=paths or (".",),
            host=host,
            port=port,
            allowed_hosts=_own_names(host) + allowed_hosts,
            token=token,
            open_page=_has_display() if open_page is None else open_page,
            slow=slow,
        )
    )
    show_logs(logging.INFO, "%(message)s")
    caught = trio.run(run_until_signal, serving.run)
    if caught is not None:
        say("ended")
        context.exit(128 + caught)
    trouble = serving.trouble
    if isinstance(trouble, ValueError):
        raise click.UsageError(str(trouble))
    raise click.ClickException(getattr(trouble, "strerror", None) or str(trouble))
