"""The table of docs/promises.md is that of the mutations, and each can be tried."""

import importlib.util
import re
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

spec = importlib.util.spec_from_file_location("mutations", HERE / "mutations.py")
assert spec is not None
assert spec.loader is not None
mutations = importlib.util.module_from_spec(spec)
spec.loader.exec_module(mutations)


def test_the_docs_show_the_mutations() -> None:
    """What the docs say is broken on purpose is what the script breaks."""
    page = (ROOT / "docs" / "promises.md").read_text(encoding="utf-8")
    shown = re.search(r"(?s)<!-- mutations -->\n(.*?)<!-- /mutations -->", page)
    assert shown is not None
    assert shown[1] == mutations.table()


def test_every_promise_is_broken_at_least_once() -> None:
    """Each has a change that breaks it."""
    assert {m.promise for m in mutations.MUTATIONS} == {f"P{number}" for number in range(1, 16)}


def test_every_mutation_finds_its_code() -> None:
    """The code that a mutation changes is there, and so are its tests."""
    for mutation in mutations.MUTATIONS:
        mutations.changed_file(ROOT / "trioworkers", mutation)
        for test in mutation.tests.split():
            assert (ROOT / test.split("::")[0]).exists()
