"""What `floor` does, done by the library."""

import trio

from ._cancelling import cancel as cancel
from ._codec import codec as codec
from ._graphs import graph as graph
from ._graphs import graph_source as graph_source
from ._graphs import graph_threads as graph_threads
from ._groups import group as group
from ._jobs import concurrent as concurrent
from ._jobs import hook as hook
from ._jobs import round_trip as round_trip
from ._jobs import soak as soak
from ._jobs import typed as typed
from ._lives import idle_memory as idle_memory
from ._lives import job_memory as job_memory
from ._lives import start_stop as start_stop
from ._pools import pool as pool
from ._streams import slow_stream as slow_stream
from ._streams import stream as stream

run = trio.run
