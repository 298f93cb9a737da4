"""The page in a real browser, with ``trioworkers demo async-tasks`` behind it."""

import re

from browsers import open_page
from command_processes import running
from playwright.sync_api import expect
from visits import ask, card, row


def test_research_is_asked_for_watched_and_cancelled(browser, tmp_path):
    """Two groups at once, paced so that one can be cancelled on its way; a reply besides."""
    (tmp_path / "notes.md").write_text("# On nurseries\n\nA nursery is a scope.\n")
    arguments = "demo", "async-tasks", "--slow", "--no-open", "--port", "0", "notes.md"
    with running(tmp_path, *arguments) as command:
        command.wait_stdout("http://")
        with open_page(browser, command.stdout.split()[-1]) as page:
            ask(page, "How are you?")
            expect(page.get_by_role("log").locator(".said-panel")).to_have_count(1)
            ask(page, "Research nursery, then research channel")
            expect(page.locator("#open .card")).to_have_count(2)
            for label in ["nursery", "channel"]:
                stdlib = row(card(page, f"Research: {label}"), "stdlib")
                expect(stdlib.locator(".word")).to_have_text("Searching")
                expect(stdlib.locator(".figures")).to_have_text(
                    re.compile(r"found \d+ · \d+ of \d+")
                )
            files = row(card(page, "Research: nursery"), "files")
            expect(files.locator(".where")).to_have_text("notes.md:3")
            page.get_by_role("button", name="Cancel Research: channel").click()
            ended = page.locator("#ended .card")
            expect(ended.get_by_role("heading")).to_have_text("Research: channel")
            expect(ended.locator(".chip")).to_have_text("Cancelled")
            expect(row(ended, "stdlib").locator(".word")).to_have_text("Cancelled")
            expect(page.locator("#open .card")).to_have_count(1)
            expect(files.locator(".word")).to_have_text("Completed")
            expect(files.locator(".facts")).to_contain_text("searched1")
