"""Tests of the drawings of a graph."""

import re

from trioworkers.graph import (
    Graph,
    GraphArrow,
    GraphBox,
    GraphDrawing,
    InitialTaskWorker,
    JoinedTaskWorker,
    Task,
    TaskWorker,
)


class Text(Task):
    text: str = ""


class Word(Task):
    word: str = ""


class Splitter(TaskWorker):
    output_types = [Text, Word]

    async def consume_work(self, task: Text): ...


class Total(JoinedTaskWorker):
    output_types = [Word]
    join_type = InitialTaskWorker

    async def consume_work_joined(self, tasks: list[Word]): ...


def drawn(name="Splitter"):
    splitter, total = Splitter(name=name), Total()
    graph = Graph(name="my graph").add_workers(splitter, total).set_entry(splitter)
    graph.set_dependency(splitter, total)
    graph.set_dependency(splitter, splitter)
    graph.set_sink(total, Word)
    graph.set_exit(total)
    return graph


def test_mermaid_has_workers_joins_sinks_and_types():
    """Entries come from whoever submits the initial tasks."""
    assert drawn().to_mermaid() == (
        "flowchart TD\n"
        '    initial(["InitialTaskWorker"])\n'
        '    w0["Splitter"]\n'
        '    w1{{"Total"}}\n'
        '    s0[("sink of Word")]\n'
        '    exit(["exit"])\n'
        '    initial -->|"Text"| w0\n'
        '    w0 -->|"Word"| w1\n'
        '    w0 -->|"Text"| w0\n'
        '    w1 -->|"Word"| s0\n'
        '    w1 -->|"Word"| exit\n'
    )


def test_dot_has_workers_joins_sinks_and_types():
    """The same."""
    assert drawn().to_dot() == (
        'digraph "my graph" {\n'
        '    initial [label="InitialTaskWorker", shape=oval];\n'
        '    w0 [label="Splitter", shape=box];\n'
        '    w1 [label="Total", shape=hexagon];\n'
        '    s0 [label="sink of Word", shape=cylinder];\n'
        '    exit [label="exit", shape=oval];\n'
        '    initial -> w0 [label="Text"];\n'
        '    w0 -> w1 [label="Word"];\n'
        '    w0 -> w0 [label="Text"];\n'
        '    w1 -> s0 [label="Word"];\n'
        '    w1 -> exit [label="Word"];\n'
        "}\n"
    )


def test_drawing_as_data_has_the_same():
    """And says which worker each box stands for; names are as they are."""
    assert drawn(NASTY).drawing() == GraphDrawing(
        (
            GraphBox("initial", "InitialTaskWorker", "end"),
            GraphBox("w0", NASTY, "worker", NASTY),
            GraphBox("w1", "Total", "join", "Total"),
            GraphBox("s0", "sink of Word", "sink", "Total"),
            GraphBox("exit", "exit", "end"),
        ),
        (
            GraphArrow("initial", "w0", "Text"),
            GraphArrow("w0", "w1", "Word"),
            GraphArrow("w0", "w0", "Text"),
            GraphArrow("w1", "s0", "Word"),
            GraphArrow("w1", "exit", "Word"),
        ),
    )


NASTY = 'a"] --> x; <script>\\"\n`#|é'


def test_names_cannot_break_out_of_mermaid_labels():
    """Whatever a worker is called."""
    line = drawn(NASTY).to_mermaid().splitlines()[2]
    label = re.fullmatch(r'    w0\["([^"\n]*)"\]', line).group(1)
    assert not set(label) & set('"<>`|\\\n')
    back = re.sub(r"#(\d+);", lambda match: chr(int(match.group(1))), label)
    assert back == NASTY


def test_names_cannot_break_out_of_dot_labels():
    """Whatever a worker is called."""
    line = drawn(NASTY).to_dot().splitlines()[2]
    label = re.fullmatch(r'    w0 \[label="((?:[^"\\\n]|\\.)*)", shape=box\];', line).group(1)
    assert label == 'a\\"] --> x; <script>\\\\\\"\\n`#|é'


def test_graph_with_faults_can_be_drawn():
    """To see what is wrong."""

    class Vague(TaskWorker):
        async def consume_work(self, task): ...

    graph = Graph().add_workers(splitter := Splitter(), vague := Vague()).set_entry(vague)
    graph.set_dependency(splitter, vague)
    assert "    w0 --> w1\n" in graph.to_mermaid()
    assert '    w0 -> w1 [label=""];\n' in graph.to_dot()


def test_mermaid_sees_no_list_in_a_name():
    """Which it would not draw."""
    assert '["1#46; split"]' in drawn("1. split").to_mermaid()
    assert '["#45; split - 2.0"]' in drawn("- split - 2.0").to_mermaid()
