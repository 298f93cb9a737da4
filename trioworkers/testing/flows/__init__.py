"""Random task graphs, played and held against a reference model of provenance."""

from ._draw import draw_flow as draw_flow
from ._plan import FlowPlan as FlowPlan
from ._play import play_flow as play_flow
from ._strategies import flow_plans as flow_plans
from ._values import FlowBroken as FlowBroken
