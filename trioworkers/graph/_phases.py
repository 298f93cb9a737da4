"""Where the handler of a task is: values of `Node.phase`."""

#: It waits: for places of its worker, or for its turn.
QUEUED = 0
#: It has places, and waits for a runner.
READY = 1
#: It is called.
RUNNING = 2
#: It waits until it is time to try again.
RETRYING = 3
#: It is called, and waits for something without having places.
RESTING = 4
#: It is called, and waits to have places again.
RESUMING = 5
#: It has ended for good.
ENDED = 6
