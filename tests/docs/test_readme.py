"""The README's example and commands are those that are run."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")

DEMO = (
    "python3 -m venv .venv && .venv/bin/pip install -e '.[all]' "
    '&& .venv/bin/trioworkers demo research "cancel scope" .'
)
TEST = "python3 -m venv .venv && .venv/bin/pip install -e '.[all,dev]' && .venv/bin/pytest"


def commands() -> list[str]:
    """Return the commands that the README tells to run: its ``sh`` blocks' lines."""
    blocks = re.findall(r"(?s)```sh\n(.*?)```", README)
    return [line for block in blocks for line in block.splitlines() if line]


def test_the_example_is_the_file() -> None:
    """The first block is docs/examples/first.py, which test_docs_examples runs."""
    code = (ROOT / "docs" / "examples" / "first.py").read_text(encoding="utf-8")
    assert f"```python\n{code}```" in README
    assert len(code.splitlines()) <= 25


def test_there_are_two_commands() -> None:
    """One to see it, one to test it; each sets up all it needs."""
    assert commands() == [DEMO, TEST]


def test_ci_runs_the_readme_commands() -> None:
    """CI takes both lines out of the README itself, by what they end in."""
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    patterns = re.findall(r"(?m)^\w+=\$\(readme_command '(.*)'\)$", ci)
    found = [[line for line in commands() if re.search(p, line)] for p in patterns]
    assert found == [[TEST], [DEMO]]


def loaded(*modules: str) -> set[str]:
    """Return the packages that an interpreter loads for ``modules``, but the standard library."""
    code = (
        f"import sys; before = {{*sys.modules}}; import {', '.join(modules)};"
        "new = {name.partition('.')[0] for name in {*sys.modules} - before};"
        "print(*new - sys.stdlib_module_names)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=True,
    )
    return set(done.stdout.split())


def test_the_library_needs_trio_attrs_and_cattrs_alone() -> None:
    """With orjson, which comes with cattrs: `cattrs[orjson]`. No extra is imported."""
    needed = loaded("trio", "attrs", "cattrs.preconf.orjson")
    assert loaded("trioworkers") - needed == {"trioworkers"}


def test_a_ui_worker_needs_no_websockets() -> None:
    """Only the server of browsers does, which may be in another process."""
    assert "websockets" not in loaded("trioworkers.ui")
    assert "websockets" in loaded("trioworkers.ui.panel")


def test_every_page_is_linked() -> None:
    """Who reads the README finds all of docs."""
    pages = {page.name for page in (ROOT / "docs").glob("*.md")}
    assert set(re.findall(r"\]\(docs/([\w-]+\.md)\)", README)) == pages


def test_no_machine_is_named() -> None:
    """The README has no paths of anyone's machine, and no registry."""
    assert not re.search(r"/home/|/root|/work/|localhost|pypi", README)
