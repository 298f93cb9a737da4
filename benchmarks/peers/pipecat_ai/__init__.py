"""pipecat-ai: workers on an `AsyncQueueBus`, the peer that is most like the library."""

from ._cancelling import cancel as cancel
from ._codec import codec as codec
from ._groups import group as group
from ._jobs import concurrent as concurrent
from ._jobs import hook as hook
from ._jobs import round_trip as round_trip
from ._lives import idle_memory as idle_memory
from ._lives import job_memory as job_memory
from ._lives import start_stop as start_stop
from ._streams import slow_stream as slow_stream
from ._streams import stream as stream
from ._workers import run as run
