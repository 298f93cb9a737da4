"""A model of the server behind `RedisBus`, and runners on it, in virtual time."""

from ._faults import EVERYTHING as EVERYTHING
from ._faults import CutAfter as CutAfter
from ._faults import CutBefore as CutBefore
from ._faults import Foreign as Foreign
from ._faults import Mute as Mute
from ._faults import OutOfMemory as OutOfMemory
from ._faults import Repeat as Repeat
from ._faults import Restart as Restart
from ._faults import Stall as Stall
from ._faults import StreamFault as StreamFault
from ._faults import Unreachable as Unreachable
from ._link import StreamLink as StreamLink
from ._network import StreamNetwork as StreamNetwork
from ._server import StreamServer as StreamServer
