"""The files of the page: these, and no others, are served."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from ..rtvi import Page

_HTML = "text/html; charset=utf-8"
_CSS = "text/css; charset=utf-8"
_SCRIPT = "text/javascript; charset=utf-8"
_SVG = "image/svg+xml"

#: The modules of the page.
_MODULES = (
    "announce",
    "banner",
    "cards",
    "clock",
    "composer",
    "conversation",
    "dom",
    "drawing",
    "facts",
    "findings",
    "graphs",
    "groups",
    "layout",
    "main",
    "poll",
    "questions",
    "rtvi",
    "signin",
    "tabs",
    "text",
    "trace",
    "uploads",
    "workers",
)

#: Its style sheets.
_STYLES = ("graphs", "groups", "panel", "workers")

#: What is served, by path: a file of `trioworkers.ui.page`, and what it is.
PAGE_FILES = {
    "/": ("index.html", _HTML),
    **{f"/{name}.css": (f"{name}.css", _CSS) for name in _STYLES},
    "/icon.svg": ("icon.svg", _SVG),
    **{f"/{name}.js": (f"{name}.js", _SCRIPT) for name in _MODULES},
}


@cache
def load_pages() -> Mapping[str, Page]:
    """Return the files of the page by path, read once.

    Raises:
      OSError: One can't be read: the installation lacks it.
    """
    folder = files("trioworkers.ui") / "page"
    pages = {
        path: Page(content_type, (folder / name).read_bytes())
        for path, (name, content_type) in PAGE_FILES.items()
    }
    return MappingProxyType(pages)
