"""What a server answers by itself, without its UI worker."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import attrs
from trio.lowlevel import disable_ki_protection

from ...errors import JobError
from ...jobs import check_name
from .._reasons import without_details
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


#: Returns the answer: a JSON value. The text of a `JobError` or `ValueError` is told to the client,
#: but not that of an exception in another worker; of other exceptions it is told the name alone.
Service = Callable[[ServiceRequest], Awaitable[object]]


@disable_ki_protection  # a service is as any handler
async def answer(name: str, service: Service, request: ServiceRequest) -> object:
    """Return what ``service`` answers.

    Raises:
      Denied: It has failed; the text is for the client.
    """
    try:
        return await service(request)
    except (JobError, ValueError) as error:
        raise Denied(without_details(str(error))) from None
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
