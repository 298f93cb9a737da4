"""What a random graph is, and what its handlers do: values."""

from typing import Literal

import attrs

#: How a worker takes tasks: one by one, as a source, or as a join or merge of several.
Kind = Literal["step", "source", "join", "merge"]
#: How the initial tasks come: from an iterable, an async one, or one by one.
Mode = Literal["run", "async", "open"]
#: What a handler does that is cancelled.
OnCancel = Literal["leave", "swallow", "raise", "linger"]
#: More tries than any task has.
ALWAYS = 99


@attrs.frozen
class Script:
    """What a handler does with one task, in this order.

    Attributes:
      sleeps: Seconds, at first.
      counts: Which prefix's state it reads then, and writes at the end; 0 for none.
      watches: Which prefix it watches; 0 for none.
      tells: Whether it tells a status.
      outputs: What it publishes: numbers of outlets, of which only so many are used as
        there is budget for.
      upward: From how many tasks further up the outputs are said to be made.
      aborts: 0 for nothing, ``n`` for its own prefix of length ``n``, ``-n`` for
        some other task in flight.
      rests: Seconds, after that.
      fails: How many tries then fail.
      on_cancel: What it does when it is cancelled.
    """

    sleeps: float = 0.0
    counts: int = 0
    watches: int = 0
    tells: bool = False
    outputs: tuple[int, ...] = ()
    upward: int = 0
    aborts: int = 0
    rests: float = 0.0
    fails: int = 0
    on_cancel: OnCancel = "leave"


@attrs.frozen
class WorkerPlan:
    """One worker of a random graph.

    Attributes:
      kind: How it takes tasks.
      cls: Which of the classes of its kind it is of.
      on: Of a join: which class it joins on; None for the initial tasks.
      policy: Of a join: a number ``n`` is ``at_least(n)``.
      retries: How often a task is tried again.
      backoff: Seconds before that; 0 for at once.
      scripts: What it does; which of them depends on the task.
    """

    kind: Kind = "step"
    cls: int = 0
    on: int | None = None
    policy: Literal["all", "settled"] | int = "all"
    retries: int = 0
    backoff: float = 0.0
    scripts: tuple[Script, ...] = (Script(),)


@attrs.frozen
class Outlet:
    """One way that outputs of a worker can go.

    Attributes:
      type: Which type of task.
      consumer: The number of the worker that gets it; None if only a sink does.
    """

    type: int
    consumer: int | None = None


@attrs.frozen
class SinkPlan:
    """What is collected of one worker.

    Attributes:
      type: Which type of task.
      notifies: Whether a callback gets it.
    """

    type: int
    notifies: bool = False


@attrs.frozen
class FlowPlan:
    """A random graph, its initial tasks, and what is done to it meanwhile.

    Attributes:
      workers: By number.
      outlets: Of each worker.
      sinks: Of each worker.
      entries: Numbers of the workers that get initial tasks.
      limits: How many tasks of a class are worked on at once.
      window: Of the graph, and of its sources.
      max_running: Handlers at once.
      max_held: Tasks that joins may hold.
      budget: How many tasks may come of one initial task, joins aside.
      mode: How the initial tasks come.
      initials: Which entry each goes to, and seconds before it.
      aborts: Seconds, which task in flight, and how many pairs of its provenance.
      cancelled_after: Seconds after which all is cancelled; None for never.
    """

    workers: tuple[WorkerPlan, ...] = (WorkerPlan(),)
    outlets: tuple[tuple[Outlet, ...], ...] = ((),)
    sinks: tuple[tuple[SinkPlan, ...], ...] = ((),)
    entries: tuple[int, ...] = (0,)
    limits: tuple[tuple[int, int], ...] = ()
    window: int = 1000
    max_running: int = 1000
    max_held: int = 1_000_000
    budget: int = 12
    mode: Mode = "run"
    initials: tuple[tuple[int, float], ...] = ((0, 0.0),)
    aborts: tuple[tuple[float, int, int], ...] = ()
    cancelled_after: float | None = None
