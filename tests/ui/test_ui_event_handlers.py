"""Which methods of a class are handlers of events."""

import pytest
from ui_events import Events, responses_to

from trioworkers.ui import BaseUIWorker, ui_event


def test_two_handlers_of_one_event_are_refused():
    """When the class is defined."""
    with pytest.raises(TypeError, match="Two has two handlers for event 'go': first and second"):

        class Two(BaseUIWorker):
            @ui_event("go")
            async def first(self, message): ...

            @ui_event("go")
            async def second(self, message): ...


def test_a_method_that_overrides_a_handler_is_one():
    """Decorated or not; None takes the event out of service."""

    class Other(Events):
        echo = None

        async def page(self, message):
            return "other"

    echo, page = responses_to(("echo",), ("page",), desk=Other)
    assert "no handler for event 'echo'" in echo.error
    assert page.data == "other"


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: ui_event(5), TypeError, "the name of a @ui_event must be a str, not 5"),
        (lambda: ui_event(""), ValueError, "the name of a @ui_event must not be empty"),
        (lambda: ui_event("__x"), ValueError, "names that begin with '__' are reserved"),
        (lambda: ui_event("x")(lambda self, m: None), TypeError, "must be `async def`"),
    ],
)
def test_what_is_no_handler_is_refused(make, error, text):
    """When it is decorated."""
    with pytest.raises(error, match=text):
        make()


def test_a_handler_with_other_parameters_is_refused():
    """It takes the message alone."""
    with pytest.raises(TypeError, match=r"handler .*wide must take \(self, message\)"):

        @ui_event("x")
        async def wide(self, message, payload): ...
