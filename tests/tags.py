"""Wire tags for message classes of tests, so that no other test meets these classes."""

from collections.abc import Iterator
from contextlib import contextmanager

from trioworkers.bus import BusMessage, _messages, tagged_messages, wire_tag


@contextmanager
def own_tags(*classes: type[BusMessage]) -> Iterator[None]:
    """Tag ``classes`` as ``test.<name in lower case>``; untag what was tagged meanwhile.

    `trioworkers.testing.messages` draws from all tagged classes, and no user
    needs to take a tag back: hence the way past the public functions.
    """
    before = dict(tagged_messages())
    try:
        for cls in classes:
            wire_tag(f"test.{cls.__name__.lower()}")(cls)
        yield
    finally:
        _messages._by_tag.clear()
        _messages._by_tag.update(before)
