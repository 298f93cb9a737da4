"""Debian's chromium, through playwright, and what must not happen in it."""

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from npm_packages import npm_packages
from playwright.sync_api import Browser, Page, expect, sync_playwright

#: Seconds that a page may take to show what is waited for.
PATIENCE = 15.0
WIDE, PHONE = (1280, 900), (360, 780)
#: What chromium says by itself when a server is away.
AWAY = r"WebSocket connection to .* failed|ERR_CONNECTION_REFUSED"


def find_chromium() -> str:
    """Return the program; without one skip the test, or fail it where all must be there (CI)."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is not None:
        return found
    why = "there is no chromium: apt-get install chromium"
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)


expect.set_options(timeout=PATIENCE * 1000)


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Run a chromium without a window while the block does."""
    program = find_chromium()
    # Root has no sandbox.
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=options)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def open_page(
    browser: Browser,
    url: str,
    *,
    scheme: Any = "light",
    size: tuple[int, int] = WIDE,
    scale: float = 1,
    allowed: Sequence[str] = (),
) -> Iterator[Page]:
    """Open a page, with a session of its own, while the block runs.

    It fails at the end if the page has logged an error or a warning, has raised, or has met a
    policy of the server; but for messages that match a pattern in ``allowed``.
    """
    context = browser.new_context(
        color_scheme=scheme,
        viewport={"width": size[0], "height": size[1]},
        device_scale_factor=scale,
    )
    context.set_default_timeout(PATIENCE * 1000)
    context.add_init_script(_KEEP_SOCKETS)
    page = context.new_page()
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(f"raised: {error}"))
    page.on(
        "console",
        lambda said: troubles.append(said.text) if said.type in {"error", "warning"} else None,
    )
    try:
        page.goto(url)
        yield page
        page.evaluate("0")  # What it has logged until now has come in.
    finally:
        context.close()
    unexpected = [one for one in troubles if not any(re.search(p, one) for p in allowed)]
    assert unexpected == []


# So that a test can cut a connection; the page knows nothing of it.
_KEEP_SOCKETS = """
const Real = WebSocket;
window.sockets = [];
window.WebSocket = class extends Real {
  constructor(...all) { super(...all); window.sockets.push(this); }
};
"""


def cut(page: Page) -> None:
    """Cut the page's connection as a network does, that is without its doing."""
    page.evaluate("window.sockets.at(-1).close()")


def violations(page: Page) -> list[str]:
    """Return what axe-core has to say against the page as it is."""
    if not page.evaluate("'axe' in window"):
        source = npm_packages() / "node_modules" / "axe-core" / "axe.min.js"
        page.evaluate(Path(source).read_text())
    found = page.evaluate(
        "axe.run().then(({violations}) => violations.map(one => "
        "`${one.id}: ${one.nodes.map(node => node.html + ' ' + node.failureSummary)}`))"
    )
    return list(found)
