"""Drawings of a graph, as Mermaid and as Graphviz read them."""

import re
from collections.abc import Callable, Iterator

import attrs

from ._task import Task
from ._wiring import INITIAL, Wiring, join_type_of
from ._worker import TaskWorker


@attrs.frozen
class _Box:
    key: str
    text: str
    kind: str


@attrs.frozen
class _Arrow:
    start: str
    end: str
    text: str


def _boxes(wiring: Wiring) -> Iterator[_Box]:
    yield _Box("initial", INITIAL, "end")
    for index, worker in enumerate(wiring.workers):
        yield _Box(f"w{index}", worker.name, "worker" if join_type_of(worker) is None else "join")
    for index, sink in enumerate(wiring.sinks):
        yield _Box(f"s{index}", f"sink of {sink.output_type.__name__}", "sink")
    if wiring.exit is not None:
        yield _Box("exit", "exit", "end")


def _arrows(wiring: Wiring) -> Iterator[_Arrow]:
    keys = {worker: f"w{index}" for index, worker in enumerate(wiring.workers)}
    for worker in wiring.entries:
        yield _Arrow("initial", keys[worker], _named(_takes(worker)))
    for edge in wiring.edges.values():
        taken = edge.types or tuple(_takes(edge.downstream))
        types = [cls for cls in edge.upstream.output_types if issubclass(cls, tuple(taken))]
        yield _Arrow(keys[edge.upstream], keys[edge.downstream], _named(types))
    for index, sink in enumerate(wiring.sinks):
        yield _Arrow(keys[sink.worker], f"s{index}", sink.output_type.__name__)
    if wiring.exit is not None:
        yield _Arrow(keys[wiring.exit], "exit", _named(wiring.exit.output_types))


def _takes(worker: TaskWorker) -> list[type[Task]]:
    try:
        return worker.get_task_classes()
    except TypeError:
        return []  # A graph can be drawn before it is right.


def _named(classes: list[type[Task]]) -> str:
    return ", ".join(cls.__name__ for cls in classes)


def to_mermaid(wiring: Wiring) -> str:
    """Return the graph as a Mermaid flowchart."""
    shapes: dict[str, Callable[[str], str]] = {
        "end": lambda text: f"([{text}])",
        "worker": lambda text: f"[{text}]",
        "join": lambda text: f"{{{{{text}}}}}",
        "sink": lambda text: f"[({text})]",
    }
    lines = ["flowchart TD"]
    lines += [f"    {box.key}{shapes[box.kind](_mermaid_text(box.text))}" for box in _boxes(wiring)]
    for arrow in _arrows(wiring):
        label = f"|{_mermaid_text(arrow.text)}|" if arrow.text else ""
        lines.append(f"    {arrow.start} -->{label} {arrow.end}")
    return "\n".join(lines) + "\n"


def _mermaid_text(text: str) -> str:
    """Return a label in quotes; letters, digits and plain signs stay, all others become codes."""
    plain = "".join(
        char if char.isalnum() or char in " -_.,:/()[]" else f"#{ord(char)};" for char in text
    )
    # Mermaid takes what looks like a list for Markdown, and doesn't draw it.
    plain = re.sub(r"^(\s*)(?:-(?= )|(\d+)\.(?= ))", _as_code, plain)
    return f'"{plain}"'


def _as_code(found: "re.Match[str]") -> str:
    space, number = found.groups()
    return f"{space}#45;" if number is None else f"{space}{number}#46;"


def to_dot(wiring: Wiring) -> str:
    """Return the graph in the language of Graphviz."""
    shapes = {"end": "oval", "worker": "box", "join": "hexagon", "sink": "cylinder"}
    lines = [f"digraph {_dot_text(wiring.graph)} {{"]
    lines += [
        f"    {box.key} [label={_dot_text(box.text)}, shape={shapes[box.kind]}];"
        for box in _boxes(wiring)
    ]
    lines += [
        f"    {arrow.start} -> {arrow.end} [label={_dot_text(arrow.text)}];"
        for arrow in _arrows(wiring)
    ]
    return "\n".join([*lines, "}"]) + "\n"


def _dot_text(text: str) -> str:
    """Return a label in quotes, on one line."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    for char, code in (("\n", "\\n"), ("\r", ""), ("\0", "")):
        escaped = escaped.replace(char, code)
    return f'"{escaped}"'
