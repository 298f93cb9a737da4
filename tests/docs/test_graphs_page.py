"""What docs/graphs.md shows besides its examples is what there is."""

import json
import re
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path

import trioworkers.errors
import trioworkers.graph
import trioworkers.testing

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "graphs.md").read_text(encoding="utf-8")


def test_the_drawing_is_what_the_example_prints() -> None:
    """So that a page that renders Mermaid shows it."""
    code = (DOCS / "examples" / "graph_drawing.py").read_text(encoding="utf-8")
    printed = code.rpartition("\n# Output:\n")[2]
    drawing = re.search(r"(?s)```mermaid\n(.*?)```", PAGE)
    assert drawing is not None
    assert drawing[1] == re.sub(r"(?m)^# ", "", printed)


def test_every_public_name_is_told() -> None:
    """In the text, or in an example, or it is listed here as one that types alone need."""
    types = {"InitialTask", "JoinPolicy", "AtLeast", "CacheLabel", "CacheStatistics",
             "GraphStatistics", "TaskWorkerStatistics", "OpenGraph", "SqliteCache",
             "open_sqlite_cache", "GraphTask", "TracedTask"}  # fmt: skip
    words = set(re.findall(r"\w+", PAGE))
    public = {name for name in vars(trioworkers.graph) if name[0] != "_"}
    assert {name for name in public - types if name not in words and name[0].isupper()} == set()


def test_the_demo_runs_twice(tmp_path: Path) -> None:
    """As the page says: all is counted, then nothing. ``pytest -s`` shows how long each took."""
    command = re.search(r"(?m)^    trioworkers (demo wordgraph .* )src$", PAGE)
    assert command is not None
    library = Path(sysconfig.get_paths()["stdlib"])
    paths = [str(library / name) for name in ("asyncio", "email", "json", "unittest", "xml")]
    documents = []
    for run in ("first", "second"):
        arguments = [*shlex.split(command[1]), "--json", "--cache-dir", str(tmp_path), *paths]
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "trioworkers.cli", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        document = json.loads(done.stdout)
        sys.stdout.write(
            f"{run} run: {document['pieces']} pieces, {document['cached']} of them from the cache, "
            f"{document.pop('elapsed')} s\n"
        )
        documents.append(document)
    first, second = documents
    assert first.pop("cached") < first["pieces"] / 10
    assert second.pop("cached") == second["pieces"] == first["pieces"] > 100
    assert first == second


def test_names_in_the_text_exist() -> None:
    """Errors and classes that the page names can be imported."""
    text = re.sub(r"(?s)```.*?```", "", PAGE)
    for name in set(re.findall(r"`(\w+Error|\w+TaskWorker|Memory\w+)`", text)):
        if "LLM" not in name:
            homes = (trioworkers.errors, trioworkers.graph, trioworkers.testing)
            assert any(hasattr(home, name) for home in homes), name
