"""The web panel: a page on which people see the job groups, workers and graphs of a runner."""

from importlib.util import find_spec

from ...errors import MissingExtraError

if find_spec("websockets") is None:
    raise MissingExtraError("trioworkers.ui.panel", "ui")

from ._open_panel import Panel as Panel
from ._open_panel import open_panel as open_panel
from ._server import PanelOptions as PanelOptions
from ._server import PanelServer as PanelServer
