"""Cutting foreign text down to something a terminal may be shown."""

EXCERPT_WIDTH = 160


def printable(text: str) -> str:
    """Return ``text`` with a space for each tab and a ``?`` for each other unprintable.

    What is found comes from files and file names that nobody vouches for: an
    escape sequence or a lone surrogate must not reach a terminal or an encoder.
    """
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else " " if character.isspace() else "?"
        for character in text
    )


def excerpt(line: str, start: int, length: int, *, width: int = EXCERPT_WIDTH) -> str:
    """Return at most ``width`` characters of ``line`` around a match.

    The match, ``length`` characters from ``start``, is wholly in the excerpt if
    it fits ``width``; ``…`` stands where the line was cut. The result is printable.
    """
    inner = width - 2
    first = max(0, min(start - (inner - length) // 2, len(line) - inner))
    first = min(first, start)
    last = min(len(line), first + inner)
    shown = printable(line[first:last]).strip()
    return ("…" if first > 0 else "") + shown + ("…" if last < len(line) else "")
