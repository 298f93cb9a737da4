"""Tests of workers under many schedules: simulation, conformance, scripted workers."""

from importlib.util import find_spec

from ..errors import MissingExtraError

if find_spec("hypothesis") is None or find_spec("pytest") is None:
    raise MissingExtraError("trioworkers.testing", "testing")

from ..errors import BrokenContractError as BrokenContractError
from ..errors import LeftoverError as LeftoverError
from ..errors import OutsideError as OutsideError
from ..errors import PromiseBroken as PromiseBroken
from ..errors import SimulationError as SimulationError
from ..errors import StuckError as StuckError
from ._blocks import Block as Block
from ._bus import SimulatedBus as SimulatedBus
from ._cancel import cancel_at_every_checkpoint as cancel_at_every_checkpoint
from ._cancel import cancelled_everywhere as cancelled_everywhere
from ._check_bus import check_bus as check_bus
from ._check_network_bus import check_network_bus as check_network_bus
from ._check_worker import check_worker as check_worker
from ._decision_strategies import Repeating as Repeating
from ._decisions import Decisions as Decisions
from ._decisions import InOrder as InOrder
from ._decisions import Priorities as Priorities
from ._decisions import RandomChoices as RandomChoices
from ._decisions import Recorder as Recorder
from ._decisions import Script as Script
from ._determinism import seeded_run as seeded_run
from ._everywhere import Scenario as Scenario
from ._fault_strategies import fault_plans as fault_plans
from ._faults import Crash as Crash
from ._faults import Cut as Cut
from ._faults import Delay as Delay
from ._faults import Disconnect as Disconnect
from ._faults import Drop as Drop
from ._faults import Duplicate as Duplicate
from ._faults import Fault as Fault
from ._faults import Pause as Pause
from ._faults import Reorder as Reorder
from ._faults import SlowConsumer as SlowConsumer
from ._interrupt import interrupt_at_every_line as interrupt_at_every_line
from ._interrupt import interrupted_everywhere as interrupted_everywhere
from ._invariants import Invariant as Invariant
from ._invariants import ReferenceModel as ReferenceModel
from ._invoke import InvokedStatus as InvokedStatus
from ._invoke import InvokeTaskWorker as InvokeTaskWorker
from ._job_scripts import Ask as Ask
from ._job_scripts import AskGroup as AskGroup
from ._job_scripts import CleanUp as CleanUp
from ._job_scripts import EndStream as EndStream
from ._job_scripts import JobScript as JobScript
from ._job_scripts import NeverAnswer as NeverAnswer
from ._job_scripts import Raise as Raise
from ._job_scripts import Respond as Respond
from ._job_scripts import SendChunk as SendChunk
from ._job_scripts import SendUpdate as SendUpdate
from ._job_scripts import Sleep as Sleep
from ._job_scripts import StartStream as StartStream
from ._job_scripts import Step as Step
from ._links import Link as Link
from ._machine import TrioStateMachine as TrioStateMachine
from ._memory_cache import MemoryCache as MemoryCache
from ._message_strategies import messages as messages
from ._message_strategies import payloads as payloads
from ._network import SimulatedNetwork as SimulatedNetwork
from ._plans import GroupPlan as GroupPlan
from ._plans import PlannedError as PlannedError
from ._plans import PlanResult as PlanResult
from ._plans import play as play
from ._scripted import ScriptedWorker as ScriptedWorker
from ._simulate import NetworkScenario as NetworkScenario
from ._simulate import Simulation as Simulation
from ._simulate import simulate as simulate
from ._simulated import simulated as simulated
from ._situations import Situation as Situation
from ._situations import unexercised as unexercised
from ._started import Started as Started
from ._strategies import group_plans as group_plans
from ._strategies import job_scripts as job_scripts
from ._strategies import topologies as topologies
from ._timeline import Timeline as Timeline
from ._timeline import TimelineEvent as TimelineEvent
from ._topologies import add_topology as add_topology
from ._worker_machine import WorkerMachine as WorkerMachine
from .flows import FlowBroken as FlowBroken
from .flows import FlowPlan as FlowPlan
from .flows import flow_plans as flow_plans
from .flows import play_flow as play_flow
