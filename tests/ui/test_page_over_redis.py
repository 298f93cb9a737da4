"""The page in a real browser, its server and the workers in two processes over a real server."""

import itertools
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import trio
from browsers import AWAY, open_page
from panel_children import open_panel_child
from panel_clients import wait_answered
from playwright.sync_api import expect
from redis_servers import free_port
from visits import ask, card, row

_numbers = itertools.count()


@pytest.fixture
def options(real_server):
    """What the processes of a test have in common."""
    return {
        "bus": real_server.url,
        "namespace": f"page-{next(_numbers)}",
        "lease": 1.0,
        "port": free_port(),
        "shared": True,
    }


def url_of(panel):
    """Wait until a panel is there; return where."""
    deadline = time.monotonic() + 20
    while not panel.url:
        assert time.monotonic() < deadline, panel.log.read_text()
        time.sleep(0.02)
    return panel.url


def wait_for_workers(panel):
    """Wait until the workers behind a panel answer."""
    with ThreadPoolExecutor(1) as threads:  # the browser's loop is in this one
        threads.submit(trio.run, wait_answered, url_of(panel)).result()


def test_a_group_is_watched_and_cancelled_over_two_processes(browser, options, tmp_path):
    """As in one process: cards progress, are cancelled, and become results."""
    with (
        open_panel_child("workers", tmp_path, options),
        open_panel_child("panel", tmp_path, options) as panel,
        open_page(browser, url_of(panel)) as page,
    ):
        wait_for_workers(panel)
        ask(page, "hold lanes")
        open_card = card(page, "hold lanes")
        expect(row(open_card, "ann").locator(".word")).to_have_text("Summarizing")
        ask(page, "scopes")
        ended = page.locator("#ended").get_by_role("article", name="scopes", exact=True)
        expect(ended.locator(".row .word")).to_have_text(["Completed"] * 3)
        page.get_by_role("button", name="Cancel hold lanes").click()
        ended = page.locator("#ended").get_by_role("article", name="hold lanes", exact=True)
        expect(ended.locator(".row .word")).to_have_text(["Cancelled"] * 3)


def test_the_page_outlives_both_processes(browser, options, tmp_path):
    """It says what was lost with the workers, and shows what goes on when its server is back."""
    with open_panel_child("panel", tmp_path, options) as panel:
        with open_page(browser, url_of(panel), allowed=[AWAY]) as page:
            with open_panel_child("workers", tmp_path, options) as workers:
                wait_for_workers(panel)
                ask(page, "hold lanes")
                expect(row(card(page, "hold lanes"), "ann").locator(".word")).to_have_text(
                    "Summarizing"
                )
                workers.signal(signal.SIGKILL)
                ended = page.locator("#ended").get_by_role("article", name="hold lanes")
                expect(ended.locator(".row .word")).to_have_text(["Failed"] * 3)
            with open_panel_child("workers", tmp_path, options):
                wait_for_workers(panel)
                ask(page, "hold scopes")
                expect(card(page, "hold scopes")).to_have_count(1)
                panel.signal(signal.SIGKILL)
                expect(page.locator("#state")).not_to_have_text("Connected")
                with open_panel_child("panel", tmp_path, options):
                    expect(page.locator("#state")).to_have_text("Connected")
                    expect(card(page, "hold scopes")).to_have_count(1)
                    page.get_by_role("button", name="Cancel hold scopes").click()
                    ended = page.locator("#ended").get_by_role("article", name="hold scopes")
                    expect(ended.locator(".row .word")).to_have_text(["Cancelled"] * 3)
