"""What people do at the page, and where they look."""

from playwright.sync_api import Locator, Page, expect


def ask(page: Page, text: str) -> None:
    """Type a text and send it."""
    expect(page.locator("#state")).to_have_text("Connected")
    box = page.get_by_label("What should be done?")
    box.fill(text)
    box.press("Enter")
    expect(box).to_have_value("")


def card(page: Page, label: str) -> Locator:
    """Return the card of a group."""
    return page.get_by_role("article", name=label, exact=True)


def row(card: Locator, worker: str) -> Locator:
    """Return what a card says of a worker."""
    return card.locator(".row").filter(has=card.page.get_by_text(worker, exact=True))


def go_to(page: Page, tab: str) -> None:
    """Go to a tab."""
    page.get_by_role("tab", name=tab).click()
