"""The page in a real browser: workers, graphs, traces, and answers to questions."""

import hashlib
import random
import re

import pytest
from browsers import PHONE, open_page
from page_children import EVIL, open_page_child
from playwright.sync_api import expect
from visits import ask, go_to


@pytest.fixture
def url(tmp_path):
    with open_page_child(tmp_path) as child:
        yield child.url


def test_the_workers_are_a_table_that_lives(browser, url):
    """Jobs come into it when they begin, and go at their end."""
    with open_page(browser, url) as page:
        go_to(page, "Workers")
        ann = page.get_by_role("row", name=re.compile("^ann "))
        expect(ann).to_contain_text("Peer")
        expect(ann.get_by_role("cell")).to_have_text(["0", "0", "0", "0", "0", "\u2013", "0"])
        with open_page(browser, url) as other:
            ask(other, "hold moon")
            expect(ann.get_by_role("cell").first).to_have_text("1")
            expect(ann.get_by_role("listitem")).to_have_text(["work for desk"])
            ask(other, "go moon")
            expect(ann.get_by_role("cell").first).to_have_text("0")
        expect(page.get_by_role("row", name=re.compile("^<b onmouse"))).to_be_visible()


def test_a_graph_is_drawn_with_counts(browser, url):
    """Each worker is a box whose counts go on; a table says the same."""
    with open_page(browser, url) as page:
        ask(page, "question text")
        go_to(page, "Graphs")
        drawing = page.get_by_role("img", name="Drawing of graph reviews")
        expect(drawing.locator(".box-name")).to_have_text(["InitialTaskWorker", "Review", "Tell"])
        review = drawing.locator(".box", has_text="Review")
        expect(review).to_contain_text("0 done")
        counts = page.get_by_role("region", name="Counts")
        expect(counts.get_by_role("row", name=re.compile("^Review"))).to_be_visible()
        page.get_by_label("Answer").fill("the first")
        page.get_by_role("button", name="Answer").click()
        expect(review).to_contain_text("1 done")
        tell = counts.get_by_role("row", name=re.compile("^Tell"))
        expect(tell.get_by_role("cell")).to_have_text(["0", "0", "1", "0"])


def test_a_provenance_is_traced(browser, url):
    """What comes of a task comes into the table of its trace; what is no provenance is said."""
    with open_page(browser, url) as page:
        ask(page, "question text")
        go_to(page, "Graphs")
        expect(page.get_by_role("heading", name="1 question")).to_be_visible()
        box = page.get_by_label("Provenance of a task")
        box.fill("nonsense")
        box.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("is no provenance")
        box.fill("InitialTaskWorker:1")
        page.get_by_role("button", name="Trace").click()
        expect(page.get_by_text("not complete yet")).to_be_visible()
        page.get_by_label("Answer").fill("so be it")
        page.get_by_role("button", name="Answer").click()
        expect(page.get_by_text("InitialTaskWorker:1: 2 tasks, complete")).to_be_visible()
        rows = page.get_by_role("region", name="Trace").locator("tbody tr")
        expect(rows.get_by_role("rowheader")).to_have_text(
            [re.compile("InitialTaskWorker:1 Wanted"), re.compile("Review:1 Given")]
        )
        expect(rows.first.get_by_role("cell").first).to_have_text("Review")


def test_a_question_is_answered_with_text(browser, url):
    """It is told of on each tab, shown as text, and goes when it is answered."""
    with open_page(browser, url) as page:
        ask(page, "question text")
        expect(page.locator("#badge-graphs")).to_have_text("1")
        go_to(page, "Graphs")
        question = page.get_by_role("article", name="Review asks")
        expect(question.locator(".instruction")).to_have_text(f"Which text? {EVIL}")
        question.get_by_role("button", name="Answer").click()
        expect(question.get_by_role("alert")).to_have_text("Type an answer, or choose a file.")
        box = question.get_by_label("Answer")
        expect(box).to_be_focused()
        box.fill("yes, indeed")
        # Typed text stays while the page asks the server again and again.
        page.wait_for_function(_ANOTHER_ANSWER)
        expect(box).to_have_value("yes, indeed")
        question.get_by_role("button", name="Answer").click()
        expect(question).to_have_count(0)
        expect(page.locator("#badge-graphs")).to_be_hidden()
        go_to(page, "Ask")
        expect(page.get_by_role("log")).to_contain_text("Answered: yes, indeed as text/plain")


_ANOTHER_ANSWER = """
() => {
  if (!window.counting) {
    window.counting = true;
    window.answers = 0;
    window.sockets.at(-1).addEventListener("message", () => window.answers++);
  }
  return window.answers > 1;
}
"""


def test_a_question_is_answered_with_a_file(browser, url, tmp_path):
    """300 kB arrive in pieces, byte for byte; also on a phone."""
    data = random.Random(7).randbytes(300_000)
    (tmp_path / "answer.bin").write_bytes(data)
    with open_page(browser, url, size=PHONE) as page:
        ask(page, "question file")
        go_to(page, "Graphs")
        question = page.get_by_role("article", name="Review asks")
        expect(question.get_by_role("textbox")).to_have_count(0)
        question.get_by_role("button", name="Answer").click()
        expect(question.get_by_role("alert")).to_have_text("Choose a file.")
        question.get_by_label("File").set_input_files(tmp_path / "answer.bin")
        question.get_by_role("button", name="Answer").click()
        expect(question).to_have_count(0)
        go_to(page, "Ask")
        digest = hashlib.sha256(data).hexdigest()
        said = f"Answered: {digest} as application/octet-stream"
        expect(page.get_by_role("log")).to_contain_text(said)


def test_a_file_of_the_wrong_kind_is_refused_with_a_reason(browser, url, tmp_path):
    """Nothing is sent; the question stays."""
    (tmp_path / "picture.png").write_bytes(b"not one")
    with open_page(browser, url) as page:
        ask(page, "question text")
        go_to(page, "Graphs")
        question = page.get_by_role("article", name="Review asks")
        question.get_by_label("Or a file").set_input_files(tmp_path / "picture.png")
        question.get_by_role("button", name="Answer").click()
        expect(question.get_by_role("alert")).to_have_text(
            "“picture.png” is image/png. This question takes text/plain."
        )
        expect(question).to_be_visible()
