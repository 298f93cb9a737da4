"""The scripts that run on the server: one for each operation, in the files under ``lua/``."""

from functools import cache
from hashlib import sha1
from importlib.resources import files

import attrs

#: What the keys of a namespace look like; told by the key ``version``.
VERSION = b"1"


@attrs.frozen
class Script:
    """A script and its name on the server.

    Attributes:
      text: In Lua.
      sha: By which the server knows it, once it has been sent there.
      refusable: Whether a server that takes nothing new refuses it before it has begun.
        The others go on while it is out of memory.
    """

    text: str
    sha: str
    refusable: bool


@cache
def load_script(name: str, *, refusable: bool = False) -> Script:
    """Return the script of ``lua/<name>.lua``, behind what all scripts share."""
    folder = files(__package__) / "lua"
    first = "#!lua" if refusable else "#!lua flags=allow-oom"
    parts = (folder / "_shared.lua", folder / f"{name}.lua")
    text = "\n".join([first, *(part.read_text(encoding="utf-8") for part in parts)])
    return Script(text, sha1(text.encode(), usedforsecurity=False).hexdigest(), refusable)
