"""Drawings of a graph: as data, and as Mermaid and Graphviz read them."""

import re
from collections.abc import Callable, Iterator
from typing import Literal

import attrs

from ._task import Task
from ._wiring import INITIAL, Wiring, join_type_of
from ._worker import TaskWorker


@attrs.frozen
class GraphBox:
    """One box of a `GraphDrawing`.

    Attributes:
      key: Its own in the drawing.
      text: What to write into it. Names come from anywhere: text that is not trusted.
      kind: ``end`` is whoever submits the initial tasks, or the exit.
      worker: The name of the worker that it stands for, or whose sink it is; None at the ends.
    """

    key: str
    text: str
    kind: Literal["end", "worker", "join", "sink"]
    worker: str | None = None


@attrs.frozen
class GraphArrow:
    """What goes from one box of a `GraphDrawing` to another.

    Attributes:
      start: The key of the box where it begins.
      end: The key of the box where it ends; perhaps the same one.
      text: The names of the types of the tasks, with commas between.
    """

    start: str
    end: str
    text: str


@attrs.frozen
class GraphDrawing:
    """A graph as boxes and arrows, to be drawn by whoever likes to.

    Attributes:
      boxes: The initial tasks, then the workers in the order in which they were added, then
        the sinks, then the exit if there is one.
      arrows: Between them.
    """

    boxes: tuple[GraphBox, ...]
    arrows: tuple[GraphArrow, ...]


def draw(wiring: Wiring) -> GraphDrawing:
    """Return the graph as data."""
    return GraphDrawing(tuple(_boxes(wiring)), tuple(_arrows(wiring)))


def _boxes(wiring: Wiring) -> Iterator[GraphBox]:
    yield GraphBox("initial", INITIAL, "end")
    for index, worker in enumerate(wiring.workers):
        kind: Literal["worker", "join"] = "worker" if join_type_of(worker) is None else "join"
        yield GraphBox(f"w{index}", worker.name, kind, worker.name)
    for index, sink in enumerate(wiring.sinks):
        name = sink.worker.name
        yield GraphBox(f"s{index}", f"sink of {sink.output_type.__name__}", "sink", name)
    if wiring.exit is not None:
        yield GraphBox("exit", "exit", "end")


def _arrows(wiring: Wiring) -> Iterator[GraphArrow]:
    keys = {worker: f"w{index}" for index, worker in enumerate(wiring.workers)}
    for worker in wiring.entries:
        yield GraphArrow("initial", keys[worker], _named(_takes(worker)))
    for edge in wiring.edges.values():
        taken = edge.types or tuple(_takes(edge.downstream))
        types = [cls for cls in edge.upstream.output_types if issubclass(cls, tuple(taken))]
        yield GraphArrow(keys[edge.upstream], keys[edge.downstream], _named(types))
    for index, sink in enumerate(wiring.sinks):
        yield GraphArrow(keys[sink.worker], f"s{index}", sink.output_type.__name__)
    if wiring.exit is not None:
        yield GraphArrow(keys[wiring.exit], "exit", _named(wiring.exit.output_types))


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
    drawing = draw(wiring)
    lines = ["flowchart TD"]
    lines += [f"    {box.key}{shapes[box.kind](_mermaid_text(box.text))}" for box in drawing.boxes]
    for arrow in drawing.arrows:
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
    drawing = draw(wiring)
    lines = [f"digraph {_dot_text(wiring.graph)} {{"]
    lines += [
        f"    {box.key} [label={_dot_text(box.text)}, shape={shapes[box.kind]}];"
        for box in drawing.boxes
    ]
    lines += [
        f"    {arrow.start} -> {arrow.end} [label={_dot_text(arrow.text)}];"
        for arrow in drawing.arrows
    ]
    return "\n".join([*lines, "}"]) + "\n"


def _dot_text(text: str) -> str:
    """Return a label in quotes, on one line."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    for char, code in (("\n", "\\n"), ("\r", ""), ("\0", "")):
        escaped = escaped.replace(char, code)
    return f'"{escaped}"'
