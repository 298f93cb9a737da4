"""Hypothesis strategies for random graphs."""

import functools

from hypothesis import strategies as st

from ._draw import draw_flow
from ._plan import FlowPlan


@functools.lru_cache(200)
def _below(number: int) -> st.SearchStrategy[int]:
    return st.integers(0, number - 1)


@st.composite
def flow_plans(draw: st.DrawFn) -> FlowPlan:
    """Return a strategy for graphs of up to six workers; it shrinks to a single one.

    They have cycles, joins and merges, sources, sinks and limits; their handlers fail, sleep,
    abort one another, keep state and watch. What comes of an initial task is bounded.
    """
    return draw_flow(lambda number: draw(_below(number)))
