"""The page in a real browser: asking, cards, cancelling, results, and text that isn't to run."""

import re

import pytest
from browsers import PHONE, open_page
from page_children import EVIL, EVIL_WORKER, open_page_child
from playwright.sync_api import expect
from visits import ask, card, row


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with open_page_child(tmp_path_factory.mktemp("page")) as child:
        yield child.url


def test_a_group_is_a_card_that_progresses_and_becomes_a_result(browser, url):
    """Asked for, it shows who works and how far they are; at its end what they answered."""
    with open_page(browser, url) as page:
        ask(page, "hold moon")
        open_card = page.locator("#open .card")
        expect(open_card.get_by_role("heading", name="Work on moon")).to_be_visible()
        expect(open_card.locator(".chip")).to_have_text("0 of 2 ended")
        expect(open_card.locator(".elapsed")).to_have_text(re.compile(r"0:\d\d"))
        expect(row(open_card, "ann").locator(".word")).to_have_text("Searching")
        expect(row(open_card, "ann").locator(".figures")).to_have_text("found 1 · 1 of 4")
        assert row(open_card, "ann").get_by_role("progressbar").get_attribute("value") == "1"
        found = row(open_card, "bob").locator(".findings")
        expect(found).to_have_text("moon.py:1\u00d72in moon.py:1")
        ask(page, "go moon")
        ended = page.locator("#ended .card")
        expect(ended.locator(".chip")).to_have_text("Completed")
        expect(ended.get_by_role("heading", name="Work on moon")).to_be_visible()
        expect(row(ended, "ann").locator(".word")).to_have_text("Completed")
        expect(row(ended, "ann").locator(".facts")).to_have_text("found2notemoon")
        # The best first.
        expect(row(ended, "ann").locator(".where")).to_have_text(["moon.py:2", "moon.py:1"])
        expect(page.locator("#open .card")).to_have_count(0)
        expect(page.get_by_text("Nothing is in flight")).to_be_visible()


def test_the_clock_of_a_card_goes_on(browser, url):
    """The elapsed time is that since the group began, second by second."""
    with open_page(browser, url) as page:
        ask(page, "hold clock")
        elapsed = card(page, "Work on clock").locator(".elapsed")
        expect(elapsed).to_have_text("0:01")
        expect(elapsed).to_have_text("0:02")


def test_a_wrong_clock_of_the_browser_does_not_matter(browser, url):
    """What counts is the server's."""
    with open_page(browser, url) as page:
        page.add_init_script("const now = Date.now; Date.now = () => now() + 600_000;")
        page.reload()
        ask(page, "hold clock")
        elapsed = card(page, "Work on clock").locator(".elapsed")
        expect(elapsed).to_have_text(re.compile("^0:0[1-9]$"))


def test_cancel_goes_from_cancelling_to_cancelled(browser, url):
    """The button says that it was pressed; then each worker, and the card, were cancelled."""
    with open_page(browser, url) as page:
        ask(page, "hold mars")
        page.evaluate(_NOTE_TEXTS_OF_CANCEL)
        page.get_by_role("button", name="Cancel Work on mars").click()
        ended = page.locator("#ended .card")
        expect(ended.locator(".chip")).to_have_text("Cancelled")
        expect(ended.locator(".row .word")).to_have_text(["Cancelled", "Cancelled"])
        expect(ended.locator(".note")).to_contain_text(re.compile("by a person", re.IGNORECASE))
        expect(ended.get_by_role("button", name=re.compile("Cancel"))).to_have_count(0)
        assert "Cancelling…" in page.evaluate("window.texts")


_NOTE_TEXTS_OF_CANCEL = """
window.texts = [];
new MutationObserver(() => {
  const button = document.querySelector(".cancel");
  if (button) window.texts.push(button.textContent);
}).observe(document.body, {subtree: true, childList: true, characterData: true});
"""


def test_two_groups_at_once_are_two_cards_and_one_is_cancelled(browser, url):
    """Cards stack, the newest first; a cancel is for one of them."""
    with open_page(browser, url) as page:
        ask(page, "hold one")
        ask(page, "hold two")
        headings = page.locator("#open").get_by_role("heading")
        expect(headings).to_have_text(["Work on two", "Work on one"])
        expect(page.locator("#badge-groups")).to_have_text("2")
        page.get_by_role("button", name="Cancel Work on one").click()
        expect(page.locator("#ended .card")).to_have_count(1)
        expect(page.locator("#ended").get_by_role("heading")).to_have_text(["Work on one"])
        expect(row(card(page, "Work on two"), "ann").locator(".word")).to_have_text("Searching")
        ask(page, "go two")
        expect(page.locator("#ended").get_by_role("heading")).to_have_text(
            ["Work on two", "Work on one"]
        )


def test_a_failed_worker_is_shown_with_its_reason(browser, url):
    """The card says that not all went well; the row why; the other one's answer is there."""
    with open_page(browser, url) as page:
        ask(page, "fail notes")
        ended = page.locator("#ended .card")
        expect(ended.locator(".chip")).to_have_text("Failed")
        expect(row(ended, "bob").locator(".word")).to_have_text("Failed")
        expect(row(ended, "bob").locator(".why")).to_have_text("Can't read notes")
        expect(row(ended, "ann").locator(".word")).to_have_text("Completed")


def test_other_text_gets_a_reply(browser, url):
    """It stands in the conversation with what was typed; no card comes of it."""
    with open_page(browser, url) as page:
        ask(page, "Hello there")
        expect(page.get_by_role("log").locator("p")).to_have_text(
            ["Hello there", "You said Hello there"]
        )
        expect(page.get_by_label("What should be done?")).to_have_value("")
        expect(page.locator(".card")).to_have_count(0)


def test_many_findings_are_bounded_and_shown_when_wanted(browser, url):
    """Three are shown, all that are kept on demand, which are the best 200."""
    with open_page(browser, url) as page:
        ask(page, "many 400")
        ann = row(page.locator("#ended .card"), "ann")
        expect(ann.locator(".findings li")).to_have_count(3)
        more = ann.get_by_role("button", name="findings of ann")
        more.click()
        expect(more).to_have_attribute("aria-expanded", "true")
        count = ann.locator(".findings li").count()
        assert 3 < count <= 200
        scores = [int(text.split(":")[1]) % 50 for text in ann.locator(".where").all_inner_texts()]
        assert scores == sorted(scores, reverse=True)
        more.click()
        expect(ann.locator(".findings li")).to_have_count(3)


def test_long_texts_of_others_are_cut_off(browser, url):
    """A label, and why a worker has failed."""
    with open_page(browser, url) as page:
        ask(page, "fail " + "x" * 9_000)
        ended = page.locator("#ended .card")
        expect(ended.get_by_role("heading")).to_have_text(re.compile("^Work on x{291}…$"))
        expect(row(ended, "bob").locator(".why")).to_have_text(re.compile("^Can't read x{988}…$"))


def test_what_others_send_shows_as_text_and_never_runs(browser, url):
    """Labels, updates, findings, answers, reasons and names with markup are just text."""
    with open_page(browser, url) as page:
        ask(page, "evil x")
        found = page.locator("#open .card")
        expect(found.get_by_role("heading", name=EVIL)).to_be_visible()
        expect(found.locator(".name", has_text=EVIL_WORKER)).to_be_visible()
        expect(row(found, "ann").locator(".figures")).to_contain_text("<script>")
        expect(row(found, "ann").locator(".where")).to_have_text(EVIL)
        expect(row(found, "ann").locator(".word")).to_contain_text("<img src=x")
        ask(page, "go x")
        ended = page.locator("#ended .card")
        expect(row(ended, "bob").locator(".why")).to_contain_text(EVIL)
        ask(page, EVIL)
        expect(page.get_by_role("log")).to_contain_text(f"You said {EVIL}")
        assert page.locator("main img, main script, main b").count() == 0
        assert page.title() == "bench · trioworkers"


def test_a_phone_shows_all_without_scrolling_sideways(browser, url):
    """Nothing is wider than 360 pixels, whatever the texts."""
    with open_page(browser, url, size=PHONE) as page:
        ask(page, "hold " + "averyveryverylongword" * 10)
        ask(page, "evil phone")
        expect(page.locator("#open .card")).to_have_count(2)
        for tab in ["Workers", "Graphs", "Ask"]:
            page.get_by_role("tab", name=tab).click()
            assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
