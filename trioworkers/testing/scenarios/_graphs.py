"""A scenario without a bus: random task graphs."""

import trio

from ...workers import WorkerRunner
from .._bus import SimulatedBus
from .._timeline import TimelineEvent
from ..flows import draw_flow, play_flow
from ._draw import Draw


async def graphs(runner: WorkerRunner, draw: Draw) -> None:
    """Random task graphs with cycles and joins fail, are aborted and cancelled."""
    assert isinstance(runner.bus, SimulatedBus)
    timeline = runner.bus.monitor.timeline

    def note(what: str, where: str, detail: str) -> None:
        timeline.events.append(TimelineEvent(trio.current_time(), what, where, detail))

    model = await play_flow(draw_flow(draw.number), note)
    timeline.exercised.update(+model.used)
