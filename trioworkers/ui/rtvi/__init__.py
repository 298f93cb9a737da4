"""RTVI over WebSockets: browsers and other clients in front of a UI worker."""

from importlib.util import find_spec

from ...errors import MissingExtraError

if find_spec("websockets") is None:
    raise MissingExtraError("trioworkers.ui.rtvi", "ui")

from ._gate import is_loopback as is_loopback
from ._http import Page as Page
from ._server import RTVIServer as RTVIServer
from ._services import Service as Service
from ._services import ServiceRequest as ServiceRequest
from ._sessions import Session as Session
from ._statistics import RTVIServerStatistics as RTVIServerStatistics
