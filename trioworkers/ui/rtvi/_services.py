"""What a server answers by itself, without its UI worker."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import attrs

from ...errors import JobError
from ...jobs import check_name
from ._errors import Denied
from ._sessions import Session

logger = logging.getLogger("trioworkers.ui.rtvi")


@attrs.frozen
class ServiceRequest:
    """A ``client-message`` that a service is to answer.

    Attributes:
      session: Of the client.
      client: Which connection it is: unique in the life of the server.
      data: What the client has sent: a JSON value that nobody has checked.
    """

    session: Session
    client: str
    data: Any


#: Returns the answer: a JSON value. `JobError` and `ValueError` are told to the client, text and
#: all; of other exceptions it is told no more than the name.
Service = Callable[[ServiceRequest], Awaitable[object]]


async def answer(name: str, service: Service, request: ServiceRequest) -> object:
    """Return what ``service`` answers.

    Raises:
      Denied: It has failed; the text is for the client.
    """
    try:
        return await service(request)
    except (JobError, ValueError) as error:
        raise Denied(str(error)) from None
    except Exception as error:
        logger.exception("service %r failed", name)
        raise Denied(f"{name} failed: {type(error).__name__}") from None


def check_services(services: Mapping[str, Service]) -> dict[str, Service]:
    """Return a copy of ``services``.

    Raises:
      TypeError, ValueError: One has no name, or can't be called.
    """
    for name, service in services.items():
        check_name(name, "a service's name")
        if name.startswith("__"):
            raise ValueError(f"a service's name must not begin with '__': {name!r}")
        if not callable(service):
            raise TypeError(f"service {name!r} must be an async function, not {service!r}")
    return dict(services)
