"""Makes the pictures of the web panel in docs anew: ``python tests/page_pictures.py``.

They show ``trioworkers demo async-tasks --slow docs``. They look best where the font Inter is
installed (apt-get install fonts-inter).
"""

import io
import sys
import tempfile
from pathlib import Path

from browsers import PHONE, open_browser, open_page
from command_processes import ROOT, running
from PIL import Image
from playwright.sync_api import Browser, Page, expect
from visits import ask, card

#: By name: colours, size, and how many pixels of the picture are one of the page.
PICTURES = {
    "panel-light": ("light", (1180, 860), 1.5),
    "panel-dark": ("dark", (1180, 860), 1.5),
    "panel-phone": ("light", (PHONE[0], 760), 2),
}
#: No picture may have more bytes.
LARGEST = 200_000


def main() -> None:
    """Make all of them."""
    with tempfile.TemporaryDirectory() as directory, open_browser() as browser:
        (Path(directory) / "docs").symlink_to(ROOT / "docs")
        arguments = "demo", "async-tasks", "--slow", "--no-open", "--port", "0", "docs"
        with running(Path(directory), *arguments) as command:
            command.wait_stdout("http://")
            url = command.stdout.split()[-1]
            for name in PICTURES:
                path = ROOT / "docs" / f"{name}.png"
                path.write_bytes(take(browser, url, name))
                sys.stdout.write(f"{path}: {path.stat().st_size:,} bytes\n")


def take(browser: Browser, url: str, name: str) -> bytes:
    """Return a picture of groups in flight, with one that was cancelled."""
    scheme, size, scale = PICTURES[name]
    with open_page(browser, url, scheme=scheme, size=size, scale=scale) as page:
        if name != "panel-phone":
            ask(page, "How are you?")
            expect(page.locator(".said")).to_have_count(2)
        ask(page, "Research cancel scopes")
        _wait_share(page, "Research: cancel scopes", 0.15)
        page.get_by_role("button", name="Cancel Research: cancel scopes").click()
        expect(page.locator("#ended .card")).to_have_count(1)
        ask(page, "Research nursery")
        _wait_share(page, "Research: nursery", 0.3)
        page.mouse.move(0, 0)
        page.evaluate("document.activeElement.blur()")
        return _small(page.screenshot())


def _wait_share(page: Page, label: str, share: float) -> None:
    """Wait until the standard library is searched to that share."""
    expect(card(page, label)).to_be_visible()
    page.wait_for_function(
        "share => Array.from(document.querySelectorAll('#open progress'))"
        ".some(bar => bar.max > 200 && bar.value / bar.max > share)",
        arg=share,
    )


def _small(picture: bytes) -> bytes:
    """Return it with 256 colours."""
    kept = io.BytesIO()
    Image.open(io.BytesIO(picture)).convert("RGB").quantize(
        256, method=Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE
    ).save(kept, "PNG", optimize=True)
    assert len(kept.getvalue()) < LARGEST, f"{len(kept.getvalue())} bytes are too many"
    return kept.getvalue()


if __name__ == "__main__":
    main()
