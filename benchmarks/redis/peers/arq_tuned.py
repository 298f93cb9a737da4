"""arq, looking every 5 ms on both sides: a setting that nobody ships."""

from functools import partial

from . import arq

run = arq.run
round_trip = partial(arq.round_trip, interval=5)
concurrent = partial(arq.concurrent, interval=5)
