"""Each researcher on small data, through a real runner."""

import contextlib
import os
import tempfile
from itertools import count
from pathlib import Path

import pytest
import trio

from trioworkers import JobGroupError, JobGroupEvent, JobStatus, WorkerRunner
from trioworkers.cli.research import (
    FilesResearcher,
    Finding,
    PackagesResearcher,
    Researcher,
    ResearchQuery,
    StdlibResearcher,
)
from trioworkers.cli.research._researcher import Search, Step
from trioworkers.cli.research._stdlib import iter_docstrings


async def ask(researcher, text, *paths):
    """Return the findings by place, all updates, and the outcome."""
    query = ResearchQuery(text, tuple(map(str, paths)) or (".",))
    findings, updates = {}, []
    async with WorkerRunner() as runner:
        await runner.add_workers(researcher)
        async with runner.job_group(
            researcher.name, name="research", payload=query, cancel_on_error=False
        ) as group:
            async for event in group:
                if event.type == JobGroupEvent.STREAM_DATA:
                    finding = Finding(**event.data)
                    findings[finding.where] = finding
                else:
                    updates.append(event.data)
        return findings, updates, group.outcomes[researcher.name]


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


async def test_files_finds_the_best_line_of_each_file(tmp_path):
    """With its place, and the figures in updates and response."""
    write(tmp_path / "a.md", "intro\nabout trio\n# Trio\n")
    write(tmp_path / "trio.py", "import outcome, trio\n")
    write(tmp_path / "none.txt", "nothing\n")
    (tmp_path / "binary").write_bytes(b"trio\0")
    findings, updates, outcome = await ask(FilesResearcher(), "trio", tmp_path)
    assert {f"{tmp_path}/a.md:2", f"{tmp_path}/trio.py:1"} == set(findings)
    assert findings[f"{tmp_path}/a.md:2"].matches == 2
    assert findings[f"{tmp_path}/trio.py:1"].excerpt == "import outcome, trio"
    assert outcome.status == JobStatus.COMPLETED
    assert outcome.response == {"found": 2, "searched": 3, "skipped": {"binary": 1}}
    assert updates[0] == {"stage": "listing", "done": 0, "total": 0, "found": 0}
    assert updates[-1] == {"stage": "done", "done": 4, "total": 4, "found": 2}


async def test_files_knows_headings_of_prose_and_definitions_in_code(tmp_path):
    """The line that says most about the file is shown."""
    write(tmp_path / "a.md", "about trio\n# trio\ndef trio\n")
    write(tmp_path / "a.py", "about trio\n# trio\nasync def trio():\n")
    findings, _, _ = await ask(FilesResearcher(), "trio", tmp_path)
    assert set(findings) == {f"{tmp_path}/a.md:2", f"{tmp_path}/a.py:3"}


async def test_files_shows_short_places_for_the_current_directory(tmp_path, monkeypatch):
    """As the user would write them."""
    write(tmp_path / "sub" / "a.txt", "trio")
    monkeypatch.chdir(tmp_path)
    findings, _, _ = await ask(FilesResearcher(), "trio")
    assert set(findings) == {"sub/a.txt:1"}


async def test_files_skips_what_is_too_large(tmp_path):
    """And says so."""
    write(tmp_path / "large.txt", "trio " * 3)
    _, _, outcome = await ask(FilesResearcher(max_file_bytes=14), "trio", tmp_path)
    assert outcome.response == {"found": 0, "searched": 0, "skipped": {"too large": 1}}
    with pytest.raises(ValueError, match="at least 1, not 0"):
        FilesResearcher(max_file_bytes=0)


async def test_files_never_lets_a_name_or_a_text_reach_the_terminal_raw(tmp_path):
    """File names can be hostile, and need not be text."""
    write(tmp_path / os.fsdecode(b"\xff\x1b[31m") / "a", "trio \x1b[2J")
    findings, _, _ = await ask(FilesResearcher(), "trio", tmp_path)
    [finding] = findings.values()
    assert finding.where == f"{tmp_path}/??[31m/a:1"
    assert finding.excerpt == "trio ?[2J"


async def test_files_fails_if_a_path_is_missing_or_of_no_use(tmp_path):
    """One message names all of them, before anything is searched."""
    write(tmp_path / "a.txt", "trio")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    os.mkfifo(tmp_path / "fifo")
    bad = [tmp_path / "nowhere", tmp_path / "loop", tmp_path / "fifo", "nul\0"]
    findings, _, outcome = await ask(FilesResearcher(), "trio", tmp_path, *bad)
    assert findings == {}
    assert outcome.status == JobStatus.FAILED
    message = outcome.error.message
    assert message.startswith("can't search ")
    for problem in ("nowhere': No such file", "loop': Too many levels", "fifo': neither", "null"):
        assert problem in message


@pytest.fixture
def unprivileged():
    """Yield a directory, and be nobody: root may read everything."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        path = Path(name)
        path.chmod(0o755)
        write(path / "open.txt", "trio")
        write(path / "closed.txt", "trio").chmod(0)
        (path / "closed").mkdir(mode=0)
        if os.geteuid() != 0:
            yield path
            return
        os.seteuid(65534)
        try:
            yield path
        finally:
            os.seteuid(0)


async def test_files_counts_what_is_unreadable_inside_a_path(unprivileged):
    """The rest is searched."""
    findings, _, outcome = await ask(FilesResearcher(), "trio", unprivileged)
    assert set(findings) == {f"{unprivileged}/open.txt:1"}
    assert outcome.status == JobStatus.COMPLETED
    assert outcome.response["skipped"] == {"unreadable": 2}


@pytest.mark.parametrize("name", ["closed", "closed.txt"])
async def test_files_fails_if_a_path_is_unreadable(unprivileged, name):
    """It was asked for, so to skip it would hide a mistake."""
    _, _, outcome = await ask(FilesResearcher(), "trio", unprivileged / name)
    assert outcome.status == JobStatus.FAILED
    assert outcome.error.message == f"can't search '{unprivileged / name}': Permission denied"


SOURCE = '''\
"""The module about naïve things."""
import sys
if sys.platform == "any":
    class Outer:
        r\'\'\'Outer is\\d
        two lines.\'\'\'
        async def method(self):
            "One 'quoted' line."; x = "no docstring"
            def inner():
                """\\
                Deep inside.
                """
else:
    def other(): pass
'''


def test_docstrings_have_names_lines_and_source_text():
    """A line found is a line of the file."""
    found = [(each.qualname, each.line, each.text) for each in iter_docstrings("pkg.mod", SOURCE)]
    assert found == [
        ("pkg.mod", 1, "The module about naïve things."),
        ("pkg.mod.Outer", 5, "Outer is\\d\n        two lines."),
        ("pkg.mod.Outer.method", 8, "One 'quoted' line."),
        (
            "pkg.mod.Outer.method.<locals>.inner",
            10,
            "\\\n                Deep inside.\n                ",
        ),
    ]
    for end in ("\r\n", "\r"):
        other = iter_docstrings("pkg.mod", SOURCE.replace("\n", end))
        assert [(each.qualname, each.line, each.text) for each in other] == found


async def test_stdlib_searches_docstrings_only(tmp_path):
    """Not code, not comments, not tests; what can't be parsed is counted."""
    write(tmp_path / "pkg" / "__init__.py", '"""All about trio."""\ntrio = 1  # trio\n')
    write(tmp_path / "pkg" / "mod.py", 'def f():\n    """\\\n    Trio.\n\n    trio, trio."""\n')
    write(tmp_path / "pkg" / "test" / "x.py", '"""trio"""')
    write(tmp_path / "site-packages" / "x.py", '"""trio"""')
    write(tmp_path / "pkg" / "data.txt", '"""trio"""')
    write(tmp_path / "__init__.py", '"""trio"""')
    write(tmp_path / "broken.py", '"""trio"""\n(')
    write(tmp_path / "other.py", '"""Another."""')
    write(tmp_path / "code.py", "trio = 1")
    findings, updates, outcome = await ask(StdlibResearcher(root=str(tmp_path)), "trio")
    assert set(findings) == {"__init__:1", "pkg:1", "pkg.mod.f:3"}
    assert findings["pkg:1"].excerpt == "All about trio."
    assert findings["pkg.mod.f:3"].matches == 3
    assert outcome.response == {"found": 3, "searched": 5, "skipped": {"unparsable": 1}}
    assert updates[-1]["total"] == 6


async def test_stdlib_counts_what_is_binary(tmp_path):
    """As for files."""
    (tmp_path / "x.py").write_bytes(b"\0")
    _, _, outcome = await ask(StdlibResearcher(root=str(tmp_path)), "trio")
    assert outcome.response == {"found": 0, "searched": 0, "skipped": {"binary": 1}}


async def test_stdlib_fails_without_source(tmp_path):
    """As in a Python whose library is an archive."""
    _, _, outcome = await ask(StdlibResearcher(root=str(tmp_path)), "trio")
    assert outcome.status == JobStatus.FAILED
    assert "source is not in" in outcome.error.message


async def test_stdlib_knows_the_real_library():
    """All of it can be parsed, and a known docstring is found."""
    findings, _, outcome = await ask(
        StdlibResearcher(), "pointing to the CURRENT working directory"
    )
    assert any(where.startswith("pathlib.") for where in findings)
    assert outcome.status == JobStatus.COMPLETED
    assert outcome.response["skipped"] == {}


def distribution(directory, name, metadata, *, file="METADATA"):
    write(directory / f"{name}.dist-info" / file, metadata)


async def test_packages_searches_metadata_and_descriptions(tmp_path):
    """One finding for each distribution, named with its version."""
    first, second = tmp_path / "first", tmp_path / "second"
    header = "Metadata-Version: 2.1\nName: {}\nVersion: {}\n"
    distribution(first, "trio-0.35", header.format("trio", "0.35") + "Summary: Trio!\n\ntrio\n")
    distribution(first, "other-1", header.format("other", "1") + "\nNeeds trio.\n")
    distribution(first, "quiet-1", header.format("quiet", "1"))
    distribution(first, "bare-1", "Name: bare\n\ntrio")
    distribution(first, "nameless-1", "trio")
    distribution(first, "empty-1", "", file="RECORD")
    (first / "latin-1.dist-info").mkdir()
    (first / "latin-1.dist-info" / "METADATA").write_bytes(b"Name: trio\xff")
    write(first / "egg-1.egg-info", header.format("egg", "1") + "Keywords: trio\n")
    distribution(second, "Trio-0.1", header.format("Trio", "0.1") + "\ntrio\n")
    researcher = PackagesResearcher(path=[str(first), str(second)])
    findings, updates, outcome = await ask(researcher, "trio")
    assert set(findings) == {"trio 0.35", "other 1", "bare (no version)", "egg 1"}
    assert findings["egg 1"].excerpt == "Keywords: trio"
    assert findings["trio 0.35"].score > findings["egg 1"].score > findings["other 1"].score
    skipped = {"shadowed": 1, "unreadable": 3}
    assert outcome.response == {"found": 4, "searched": 5, "skipped": skipped}
    assert updates[-1]["total"] == 9


async def test_packages_knows_what_is_installed():
    """Trio is, or no test would run."""
    findings, _, outcome = await ask(PackagesResearcher(), "trio")
    assert any(where.startswith("trio 0.") for where in findings)
    assert outcome.status == JobStatus.COMPLETED


class Endless(Researcher):
    """Never stops of itself; notes whether a thread of its is at work."""

    def __init__(self, *, endless_listing=False):
        super().__init__("endless")
        self.endless_listing = endless_listing
        self.in_thread = False

    def open_search(self, query, checkpoint):
        self.in_thread = True
        try:
            while self.endless_listing:
                checkpoint()
        finally:
            self.in_thread = False
        return Search(1, self.steps())

    def steps(self):
        for number in count():
            yield Step((Finding(f"place:{number}", "trio", 1.0, 1),))


@pytest.mark.parametrize("endless_listing", [False, True])
async def test_cancelling_stops_the_thread_soon(endless_listing):
    """In the middle of a block or of the listing, without waiting for its end."""
    researcher = Endless(endless_listing=endless_listing)
    async with WorkerRunner() as runner:
        await runner.add_workers(researcher)
        with trio.fail_after(5), trio.CancelScope() as scope:
            async with runner.job_group(
                "endless", name="research", payload=ResearchQuery("trio")
            ) as group:
                async for _event in group:
                    scope.cancel()
        assert scope.cancelled_caught
        assert not researcher.in_thread
        assert group.outcomes["endless"].status == JobStatus.CANCELLED


class CancelledInside(Researcher):
    """Waits in its first step until it is cancelled; notes if it is asked for another."""

    def __init__(self):
        super().__init__("inside")
        self.in_step = trio.Event()
        self.was_cancelled = self.asked_again = False

    def open_search(self, query, checkpoint):
        return Search(2, self.steps(checkpoint))

    def steps(self, checkpoint):
        trio.from_thread.run_sync(self.in_step.set)
        with contextlib.suppress(trio.Cancelled):  # the block is to notice by itself
            while True:
                checkpoint()
        self.was_cancelled = True
        yield Step()
        self.asked_again = True


async def test_no_step_begins_after_a_cancellation():
    """A file that is being parsed is finished; the next is not opened."""
    researcher = CancelledInside()
    async with WorkerRunner() as runner:
        await runner.add_workers(researcher)
        with trio.fail_after(5), trio.CancelScope() as scope:
            async with runner.job_group("inside", name="research", payload=ResearchQuery("trio")):
                await researcher.in_step.wait()
                scope.cancel()
    assert researcher.was_cancelled
    assert not researcher.asked_again


async def test_a_bad_query_fails_at_the_edge():
    """A payload that comes as plain data is checked like any other."""
    async with WorkerRunner() as runner:
        await runner.add_workers(StdlibResearcher())
        with pytest.raises(JobGroupError) as caught:
            async with runner.job_group("stdlib", name="research", payload={"text": ""}):
                pass
    outcome = caught.value.outcomes["stdlib"]
    assert outcome.status == JobStatus.FAILED
    assert "bad payload for ResearchQuery" in outcome.error.message


async def test_a_shared_limiter_bounds_the_threads(tmp_path):
    """With one thread, two researchers take turns and both finish."""
    write(tmp_path / "a.py", '"""trio"""')
    limiter = trio.CapacityLimiter(1)
    workers = [
        FilesResearcher(limiter=limiter),
        StdlibResearcher(root=str(tmp_path), limiter=limiter),
    ]
    most = 0
    async with WorkerRunner() as runner:
        await runner.add_workers(*workers)
        query = ResearchQuery("trio", (str(tmp_path),))
        async with runner.job_group("files", "stdlib", name="research", payload=query) as group:
            async for _event in group:
                most = max(most, limiter.borrowed_tokens)
    assert most <= 1
    assert {name: each["found"] for name, each in group.responses.items()} == {
        "files": 1,
        "stdlib": 1,
    }
