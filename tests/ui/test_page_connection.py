"""The page in a real browser: servers that go and come back, and tokens."""

import re

from browsers import AWAY, cut, open_page
from page_children import open_page_child
from playwright.sync_api import expect
from visits import ask, card, row

TOKEN = "tok+en/with%20=signs"
REFUSED = "401"


def test_a_cut_connection_comes_back_with_the_groups_in_flight(browser, tmp_path):
    """They are told again to the page, which shows each of them, and each finding, once."""
    with open_page_child(tmp_path) as child, open_page(browser, child.url) as page:
        ask(page, "hold one")
        ask(page, "hold two")
        expect(row(card(page, "Work on two"), "bob").locator(".findings li")).to_have_count(1)
        cut(page)
        expect(page.locator("#banner-text")).to_have_text(re.compile("The connection was lost."))
        expect(page.locator("#state")).to_have_text("Connected")
        expect(page.locator("#banner")).to_be_hidden()
        ask(page, "go one")
        expect(page.locator("#ended .card")).to_have_count(1)
        expect(row(card(page, "Work on one"), "ann").locator(".findings li")).to_have_count(2)
        expect(page.locator("#open .card")).to_have_count(1)
        expect(row(card(page, "Work on two"), "bob").locator(".findings li")).to_have_count(1)
        page.get_by_role("button", name="Cancel Work on two").click()
        expect(card(page, "Work on two").locator(".chip")).to_have_text("Cancelled")


def test_what_ends_while_the_page_is_away_is_told_when_it_is_back(browser, tmp_path):
    """A group that ended meanwhile becomes a result, with all that was found."""
    with (
        open_page_child(tmp_path) as child,
        open_page(browser, child.url) as other,
        open_page(browser, child.url, allowed=[AWAY, "ERR_INTERNET_DISCONNECTED"]) as page,
    ):
        ask(page, "hold one")
        expect(row(card(page, "Work on one"), "bob").locator(".findings li")).to_have_count(1)
        page.context.set_offline(True)
        cut(page)
        expect(page.locator("#state")).to_have_text("Disconnected")
        ask(other, "go one")
        ask(other, "hello")
        expect(other.get_by_role("log")).to_contain_text("You said hello")
        expect(page.locator("#open .card")).to_have_count(1)
        page.context.set_offline(False)
        expect(page.locator("#ended .chip")).to_have_text("Completed")
        expect(row(card(page, "Work on one"), "ann").locator(".findings li")).to_have_count(2)
        expect(page.locator(".card")).to_have_count(1)


def test_a_server_that_is_away_is_seen_and_nothing_can_be_pressed(browser, tmp_path):
    """There is a countdown; Send and Cancel wait; what was typed stays; then all is back."""
    with (
        open_page_child(tmp_path) as child,
        open_page(browser, child.url, allowed=[AWAY]) as page,
    ):
        ask(page, "hold one")
        expect(card(page, "Work on one")).to_be_visible()
        child.down()
        expect(page.locator("#state")).to_have_text("Disconnected")
        expect(page.locator("#banner-text")).to_have_text(re.compile(r"Next try in \d+ s\."))
        for name in ["Send", "Cancel Work on one"]:
            button = page.get_by_role("button", name=name)
            expect(button).to_have_attribute("aria-disabled", "true")
            button.click(force=True)
        box = page.get_by_label("What should be done?")
        box.fill("Hello again")
        box.press("Enter")
        expect(box).to_have_value("Hello again")
        child.up()
        page.get_by_role("button", name="Try now").click()
        expect(page.locator("#state")).to_have_text("Connected")
        expect(page.locator("#banner")).to_be_hidden()
        expect(page.locator("#open .card")).to_have_count(1)
        expect(row(card(page, "Work on one"), "ann").locator(".findings li")).to_have_count(1)
        box.press("Enter")
        expect(page.get_by_role("log")).to_contain_text("You said Hello again")
        page.get_by_role("button", name="Cancel Work on one").click()
        expect(page.locator("#ended .chip")).to_have_text("Cancelled")


def test_what_is_typed_while_the_connection_closes_stays(browser, tmp_path):
    """It isn't taken for sent."""
    with open_page_child(tmp_path) as child, open_page(browser, child.url) as page:
        expect(page.locator("#state")).to_have_text("Connected")
        box = page.get_by_label("What should be done?")
        box.fill("hello")
        page.evaluate("""() => {
            window.sockets.at(-1).close();
            document.getElementById("composer").requestSubmit();
        }""")
        expect(box).to_have_value("hello")
        expect(page.locator(".said")).to_have_count(0)
        expect(page.locator("#banner")).to_be_visible()
        expect(page.locator("#state")).to_have_text("Connected")
        box.press("Enter")
        expect(page.get_by_role("log")).to_contain_text("You said hello")


def test_a_text_that_may_be_lost_is_named(browser, tmp_path):
    """One that was sent to a server which never read it; not one that was read."""
    with (
        open_page_child(tmp_path) as child,
        open_page(browser, child.url, allowed=[AWAY]) as page,
    ):
        log = page.get_by_role("log")
        ask(page, "first")
        expect(log).to_contain_text("You said first")
        child.freeze()
        ask(page, "second")
        expect(log).to_contain_text("second")
        child.kill()
        expect(page.locator(".said-trouble")).to_contain_text("whether this has arrived: “second”.")
        child.start()
        ask(page, "third")
        expect(log).to_contain_text("You said third")
        expect(page.locator(".said-trouble")).to_have_count(1)


def test_a_new_server_that_knows_nothing_of_a_group_ends_its_card(browser, tmp_path):
    """The page finds it by itself, and doesn't let the card go on for ever."""
    with (
        open_page_child(tmp_path) as child,
        open_page(browser, child.url, allowed=[AWAY]) as page,
    ):
        ask(page, "hold one")
        expect(card(page, "Work on one")).to_be_visible()
        child.kill()
        expect(page.locator("#banner")).to_be_visible()
        child.start()
        expect(page.locator("#state")).to_have_text("Connected")
        expect(page.locator("#ended .chip")).to_have_text("Lost sight of")
        expect(page.locator("#ended .problem")).to_contain_text("knows nothing of this group")
        ask(page, "hold two")
        expect(card(page, "Work on two")).to_be_visible()


def test_a_token_in_the_address_is_taken_out_of_it_and_lets_in(browser, tmp_path):
    """It is in no address afterwards, and not asked for again when the page is loaded anew."""
    with (
        open_page_child(tmp_path, token=TOKEN) as child,
        open_page(browser, f"{child.url}#token=tok%2Ben%2Fwith%2520%3Dsigns") as page,
    ):
        ask(page, "hello")
        expect(page.get_by_role("log")).to_contain_text("You said hello")
        assert page.url == child.url
        assert page.evaluate("history.length") <= 2
        page.reload()
        expect(page.locator("#state")).to_have_text("Connected")
        expect(page.get_by_label("Token", exact=True)).to_be_hidden()
        # The secret of the session is not for scripts.
        assert page.evaluate("document.cookie") == ""
        assert page.evaluate("JSON.stringify([localStorage, sessionStorage])") == "[{},{}]"
        assert TOKEN not in child.log


def test_a_wrong_token_in_the_address_is_taken_out_of_it_too(browser, tmp_path):
    """The form says that it is wrong; the next address that is opened may have the right one."""
    with (
        open_page_child(tmp_path, token=TOKEN) as child,
        open_page(browser, f"{child.url}#token=wrong", allowed=[REFUSED]) as page,
    ):
        expect(page.get_by_role("alert")).to_have_text("That is not the token of this panel.")
        assert page.url == child.url
        page.evaluate(f"location.hash = 'token=' + encodeURIComponent({TOKEN!r})")
        ask(page, "hello")
        expect(page.get_by_role("log")).to_contain_text("You said hello")
        assert page.url == child.url


def test_without_a_token_there_is_a_form_that_says_what_is_wrong(browser, tmp_path):
    """A wrong token is refused with a text; the right one opens the panel."""
    with (
        open_page_child(tmp_path, token=TOKEN) as child,
        open_page(browser, child.url, allowed=[REFUSED]) as page,
    ):
        box = page.get_by_label("Token", exact=True)
        expect(box).to_be_focused()
        expect(page.get_by_role("tablist")).to_be_hidden()
        for wrong in ["wrong", "wröng ✓"]:
            box.fill(wrong)
            box.press("Enter")
            expect(page.get_by_role("alert")).to_have_text("That is not the token of this panel.")
            expect(box).to_be_focused()
        box.fill(TOKEN)
        page.get_by_role("button", name="Open the panel").click()
        ask(page, "hello")
        expect(box).to_be_hidden()


def test_a_token_lets_in_again_after_a_restart_of_the_server(browser, tmp_path):
    """The new server knows no session: the page, which knows the token, asks nobody."""
    with (
        open_page_child(tmp_path, token="secret-" * 4) as child,
        open_page(browser, f"{child.url}#token={'secret-' * 4}", allowed=[AWAY]) as page,
    ):
        ask(page, "hello")
        child.down()
        expect(page.locator("#state")).to_have_text("Disconnected")
        child.up()
        ask(page, "hello again")
        expect(page.get_by_role("log")).to_contain_text("You said hello again")
