"""How large are the parts of streams: roughly, and quickly."""

#: Bytes beyond which nobody needs to know how large something is.
LARGE = 64 * 2**20


def size_of(value: object) -> int:
    """Return about how many bytes ``value`` takes; of what is nested in itself `LARGE`."""
    size, pending = 0, [value]
    while pending and size < LARGE:
        one = pending.pop()
        size += 8
        if isinstance(one, str | bytes):
            size += len(one)
        elif isinstance(one, dict):
            pending += [*one, *one.values()]
        elif isinstance(one, list | tuple):
            pending += one
    return min(size, LARGE)
