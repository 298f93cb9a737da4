"""What a word is. Pure."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping

_WORD = re.compile(r"\w+")

#: What else than the text counts depend on: part of their keys in a cache.
WORD_RULES = f"1 unicode {unicodedata.unidata_version}"

#: All bytes that can be within a word, in UTF-8; no other byte can be part of a letter.
WORD_BYTES = bytes(
    byte for byte in range(256) if byte >= 0x80 or chr(byte).isalnum() or byte == ord("_")
)


def count_words(data: bytes) -> dict[str, int]:
    """Return how often each word is in a text in UTF-8, whatever its case.

    Undecodable bytes are in no word. Counts of a text that is cut after a byte
    that is not in `WORD_BYTES` add up to those of the whole.
    """
    counts: Counter[str] = Counter()
    for word, count in Counter(_WORD.findall(data.decode("utf-8", "replace"))).items():
        # One by one: whether lower case has a final sigma would depend on what follows.
        counts[word.casefold()] += count
    return dict(counts)


def add_up(parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Return the sums of counts."""
    total: Counter[str] = Counter()
    for part in parts:
        total.update(part)
    return dict(total)
