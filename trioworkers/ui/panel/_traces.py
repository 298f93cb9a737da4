"""What the panel tells of one provenance."""

import re
from itertools import islice
from typing import Any

from ...errors import JobError
from ...graph import Graph, ProvenanceChain, TracedTask
from ._input import clip

#: Tasks of a trace that are told.
MAX_TASKS = 200
#: Pairs of a provenance that are told in full.
MAX_PAIRS = 100
#: Characters of a provenance that a client may send, and is sent.
MAX_PROVENANCE = 4_000
#: Characters of what became of a task.
MAX_OUTCOME = 300

# A name may have spaces and colons in it; its number ends the pair.
_PAIR = re.compile(r"\s*(\S.*?):([0-9]{1,18})(?=\s|\Z)", re.DOTALL)


def provenance_text(chain: ProvenanceChain) -> str:
    """Return a provenance as a person reads and writes it: ``Split:1 Count:2``."""
    text = " ".join(f"{name}:{number}" for name, number in chain[:MAX_PAIRS])
    return clip(text if len(chain) <= MAX_PAIRS else f"{text} …", MAX_PROVENANCE)


def read_provenance(text: str) -> ProvenanceChain:
    """Return the provenance that ``text`` is.

    Raises:
      ValueError: It is none; it says how one is written.
    """
    pairs: list[tuple[str, int]] = []
    text, at = text.strip(), 0
    while at < len(text):
        found = _PAIR.match(text, at)
        if found is None:
            break
        pairs.append((found[1], int(found[2])))
        at = found.end()
    if not pairs or at < len(text):
        raise ValueError(
            f"{clip(text, 100)!r} is no provenance: that is written as names and numbers, such as "
            "InitialTaskWorker:1 or InitialTaskWorker:1 Split:3"
        )
    return tuple(pairs)


def trace(graph: Graph, text: str) -> dict[str, Any]:
    """Return what has happened below a provenance, from the first time that it was asked for.

    Raises:
      ValueError: ``text`` is no provenance.
      JobError: Nothing with that provenance is in flight, nor was it traced before.
    """
    prefix = read_provenance(text)
    try:
        found = graph.trace(prefix)
    except ValueError:
        raise JobError(
            f"nothing of {clip(text, 100)} is in flight in graph {clip(graph.name, 100)!r}, and it "
            "was not traced while it was"
        ) from None
    return {
        "prefix": provenance_text(found.prefix),
        "count": found.count,
        "is_complete": found.is_complete,
        "tasks": [_task(one) for one in islice(found.tasks, MAX_TASKS)],
    }


def _task(task: TracedTask) -> dict[str, Any]:
    return {
        "provenance": provenance_text(task.provenance),
        "worker": clip(task.worker),
        "type": clip(task.type),
        "queued": task.queued,
        "began": task.began,
        "ended": task.ended,
        "outcome": clip(task.outcome, MAX_OUTCOME),
        "tries": task.tries,
    }
