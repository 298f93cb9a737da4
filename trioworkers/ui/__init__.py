"""Job groups in front of people: UI workers, the RTVI server, and the web panel."""

from ._base_ui_worker import BaseUIWorker as BaseUIWorker
from ._events import ui_event as ui_event
from ._messages import BusUICommandMessage as BusUICommandMessage
from ._messages import BusUIEventMessage as BusUIEventMessage
from ._messages import BusUIGroupMessage as BusUIGroupMessage
from ._messages import BusUIJobCompletedMessage as BusUIJobCompletedMessage
from ._messages import BusUIJobGroupCompletedMessage as BusUIJobGroupCompletedMessage
from ._messages import BusUIJobGroupStartedMessage as BusUIJobGroupStartedMessage
from ._messages import BusUIJobUpdateMessage as BusUIJobUpdateMessage
from ._messages import BusUIMessage as BusUIMessage
from ._messages import BusUIResponseMessage as BusUIResponseMessage
from ._messages import BusUITextMessage as BusUITextMessage
