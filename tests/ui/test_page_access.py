"""The page in a real browser: by the keyboard alone, and as axe-core sees it."""

import pytest
from browsers import PHONE, WIDE, open_page, violations
from page_children import open_page_child
from playwright.sync_api import expect
from visits import ask, go_to


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with open_page_child(tmp_path_factory.mktemp("page")) as child:
        yield child.url


def test_all_is_done_by_the_keyboard(browser, url):
    """Tab goes through the controls in their order; arrow keys choose a tab; Enter sends."""
    with open_page(browser, url) as page:
        expect(page.locator("#state")).to_have_text("Connected")
        keys = page.keyboard
        keys.press("Tab")
        expect(page.get_by_role("tab", name="Ask")).to_be_focused()
        keys.press("ArrowRight")
        expect(page.get_by_role("tab", name="Workers")).to_be_focused()
        expect(page.get_by_role("tabpanel", name="Workers")).to_be_visible()
        keys.press("End")
        expect(page.get_by_role("tabpanel", name="Graphs")).to_be_visible()
        keys.press("ArrowRight")
        expect(page.get_by_role("tab", name="Ask")).to_be_focused()
        keys.press("ArrowLeft")
        expect(page.get_by_role("tab", name="Graphs")).to_be_focused()
        keys.press("Home")
        keys.press("Tab")
        expect(page.get_by_label("What should be done?")).to_be_focused()
        keys.type("hold keys")
        keys.press("Enter")
        keys.press("Tab")
        expect(page.get_by_role("button", name="Send")).to_be_focused()
        expect(page.get_by_role("button", name="Cancel Work on keys")).to_be_visible()
        keys.press("Tab")
        expect(page.get_by_role("button", name="Cancel Work on keys")).to_be_focused()
        keys.press("Enter")
        # The button goes; the focus goes with the card to the results.
        expect(page.locator("#ended .card")).to_be_focused()
        keys.press("Shift+Tab")
        expect(page.get_by_role("button", name="Send")).to_be_focused()
        keys.press("Shift+Tab")
        keys.press("Shift+Tab")
        expect(page.get_by_role("log")).to_be_focused()
        expect(page.locator("#announcer")).to_contain_text("Work on keys was cancelled.")


def test_the_focus_stays_when_a_card_moves(browser, url):
    """Who reads findings in a card goes on to do so when it becomes a result."""
    with open_page(browser, url) as page, open_page(browser, url) as other:
        ask(page, "hold focus")
        ask(page, "hold other")
        page.get_by_role("article", name="Work on other").focus()
        ask(other, "go other")
        expect(page.locator("#ended .card")).to_have_count(1)
        assert page.evaluate("document.activeElement.matches('#ended .card')")
        page.get_by_label("What should be done?").focus()
        ask(other, "go focus")
        expect(page.locator("#ended .card")).to_have_count(2)
        assert page.evaluate("document.activeElement.id") == "composer-text"


def test_shift_enter_starts_a_line(browser, url):
    """Nothing is sent by it."""
    with open_page(browser, url) as page:
        expect(page.locator("#state")).to_have_text("Connected")
        box = page.get_by_label("What should be done?")
        box.focus()
        page.keyboard.type("one")
        page.keyboard.press("Shift+Enter")
        page.keyboard.type("two")
        expect(box).to_have_value("one\ntwo")
        page.keyboard.press("Enter")
        expect(page.get_by_role("log")).to_contain_text("You said one\ntwo")


def test_the_enter_that_ends_a_composition_does_not_send(browser, url):
    """Nor where an input method tells only by its key code that it is at work."""
    with open_page(browser, url) as page:
        expect(page.locator("#state")).to_have_text("Connected")
        box = page.get_by_label("What should be done?")
        box.fill("にほん")
        for said in [{"isComposing": True}, {"keyCode": 229}]:
            box.dispatch_event("keydown", {"key": "Enter", **said})
        expect(box).to_have_value("にほん")
        box.press("Enter")
        expect(page.get_by_role("log")).to_contain_text("You said にほん")
        expect(page.locator(".said-you")).to_have_count(1)


def test_progress_is_not_read_out(browser, url):
    """Of a group its beginning and its end are; updates and findings are in no live region."""
    with open_page(browser, url) as page:
        page.evaluate(_NOTE_ANNOUNCED)
        ask(page, "many 40")
        expect(page.locator("#ended .card")).to_have_count(1)
        expect(page.locator("#announcer")).to_contain_text("Work on 40 has completed.")
        assert page.evaluate("window.announced") <= 3
        assert page.locator(".stacks [aria-live], .stacks [role=status]").count() == 0


_NOTE_ANNOUNCED = """
window.announced = 0;
new MutationObserver(() => window.announced++)
  .observe(document.getElementById("announcer"), {childList: true});
"""


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_has_nothing_against_it(browser, url, scheme, size):
    """On each tab, with cards of all kinds, questions, a trace, and while the server is away."""
    with open_page(browser, url, scheme=scheme, size=size) as page:
        for text in ["hello", "hold axe", "fail axe", "evil axe", "many 20", "question text"]:
            ask(page, text)
        expect(page.locator("#open .card")).to_have_count(2)
        page.get_by_role("button", name="Cancel Work on axe").click()
        expect(page.locator("#ended .card")).to_have_count(3)
        assert violations(page) == []
        go_to(page, "Workers")
        expect(page.get_by_role("table", name="Workers")).to_be_visible()
        assert violations(page) == []
        go_to(page, "Graphs")
        page.get_by_label("Provenance of a task").fill("InitialTaskWorker:1")
        page.keyboard.press("Enter")
        expect(page.get_by_role("region", name="Trace")).to_be_visible()
        assert violations(page) == []


def test_axe_has_nothing_against_the_form_for_a_token(browser, tmp_path):
    """Nor against what it says of a wrong one, in the dark."""
    with (
        open_page_child(tmp_path, token="secret") as child,
        open_page(browser, child.url, scheme="dark", allowed=["401"]) as page,
    ):
        page.get_by_label("Token", exact=True).fill("wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).not_to_be_empty()
        assert violations(page) == []


def test_axe_has_nothing_against_a_page_whose_server_is_away(browser, tmp_path):
    """The banner, and what can't be pressed, are legible."""
    with (
        open_page_child(tmp_path) as child,
        open_page(browser, child.url, allowed=["WebSocket", "ERR_CONNECTION"]) as page,
    ):
        ask(page, "hold axe")
        expect(page.locator("#open .card")).to_have_count(1)
        child.down()
        expect(page.locator("#banner")).to_be_visible()
        assert violations(page) == []
