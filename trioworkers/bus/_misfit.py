"""What does not fit, and where: how the codec's inner parts say no.

They raise `Misfit`; each container on the way out adds its step of the path;
`MessageCodec` makes one `CodecError` of it. Texts are cut, so that hostile
input never comes back at full length in an error or a log.
"""

import attrs

#: Characters of a value, key or foreign text that an error shows.
_SHOWN = 40
#: Characters of a path that an error shows.
_PATH = 160


@attrs.define(eq=False)
class Misfit(Exception):
    """A value does not fit the type that is declared for it.

    Attributes:
      problem: What is wrong, for a person to read.
      path: Steps to the value, innermost first: field names, keys, indices.
    """

    problem: str
    path: list[str | int] = attrs.field(factory=list)

    def inside(self, step: str | int) -> "Misfit":
        """Return this misfit, seen from the container that holds it at ``step``."""
        self.path.append(step)
        return self

    def where(self) -> str:
        """Return the path as text, such as ``payload.items[3].when``, cut in the middle."""
        text = ""
        for step in reversed(self.path):
            if isinstance(step, int):
                text += f"[{step}]"
            elif step.isidentifier() and len(step) <= _SHOWN:
                text += f".{step}" if text else step
            else:
                text += f"[{shown(step)}]" if text else shown(step)
        return text if len(text) <= _PATH else f"{text[: _PATH // 2]}...{text[-_PATH // 2 :]}"


def cut(text: str, size: int = 5 * _SHOWN) -> str:
    """Return at most ``size`` characters of ``text``, and dots if there were more."""
    return text if len(text) <= size else f"{text[:size]}..."


def shown(value: object) -> str:
    """Return ``value`` for an error: short scalars as they are, the type's name for others."""
    if type(value) is str:
        # repr: no line breaks, control characters or lone surrogates reach a log.
        return repr(value) if len(value) <= _SHOWN else f"{value[:_SHOWN]!r}..."
    if value is None or type(value) in (bool, float):
        return repr(value)
    if type(value) is int and -(2**63) <= value < 2**64:
        return repr(value)
    return cut(type(value).__name__, _SHOWN)
