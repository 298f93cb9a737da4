"""Every example of the docs runs, prints what it says, and is shown as it is."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "docs" / "examples").glob("*.py"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def load_embed() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_embed", ROOT / "docs" / "embed.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def expected_output(code: str) -> str:
    """Return the lines after the last ``# Output:`` of an example."""
    _, mark, rest = code.rpartition("\n# Output:")
    assert mark, "an example ends with a comment `# Output:` that has what it prints"
    lines = [rest.partition("\n")[0].strip()] if rest.partition("\n")[0].strip() else []
    for line in rest.partition("\n")[2].splitlines():
        assert line.startswith("# "), f"not a comment: {line!r}"
        lines.append(line[2:])
    return "".join(f"{line}\n" for line in lines)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_prints_what_it_says(path: Path) -> None:
    """Run it as a user would, with warnings as errors."""
    expected = expected_output(path.read_text(encoding="utf-8"))
    done = subprocess.run(
        [sys.executable, "-W", "error", str(path)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout == expected
    assert done.returncode == 0


def test_pages_show_the_examples_as_they_are() -> None:
    """`python docs/embed.py` would change nothing."""
    embed = load_embed()
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        assert embed.embed(text) == text, f"{page.name}: run python docs/embed.py"


def test_pages_have_no_code_that_is_not_run() -> None:
    """Each Python block is an example, and each example is shown."""
    embed = load_embed()
    shown = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        names = embed.shown(text)
        assert text.count("```python") == len(names), f"{page.name} has a block of its own"
        shown += names
    assert set(shown) == {path.stem for path in EXAMPLES}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Relative links name files that exist, and anchors headings that exist."""
    text = re.sub(r"(?s)```.*?```", "", page.read_text(encoding="utf-8"))
    headings = re.findall(r"(?m)^#+ (.+)$", text)
    anchors = {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if target.startswith("#"):
            assert target[1:] in anchors, target
        else:
            assert not target.startswith(("http:", "/")), target
            if not target.startswith("https:"):
                assert (page.parent / target.partition("#")[0]).exists(), target
