"""Whoever knows the reference finds its names here."""

from types import SimpleNamespace

import attrs
import pytest
from reference import faces

import trioworkers
import trioworkers.graph
from trioworkers import BaseWorker, BusJobCancelMessage, BusMessage, InactiveJobError, JobEvent


def test_every_name_is_there() -> None:
    """Classes, members, parameters and defaults, but for those absent on purpose."""
    assert faces.unexplained() == {}


def test_what_is_absent_on_purpose_is_absent() -> None:
    """A reason that is not needed any more is a mistake."""
    assert faces.complaints().keys() == faces.ABSENT.keys()


@pytest.mark.parametrize(
    "name",
    [
        "WorkerRunner",
        "WorkerRegistry",
        "WorkerReadyData",
        "WorkerErrorData",
        "job",
    ],
)
def test_names_that_signatures_mention(name: str) -> None:
    """What the pages use without a section of their own is public here too."""
    assert hasattr(trioworkers, name)


def test_what_is_used_too_early_is_a_runtime_error() -> None:
    """`bus` and `registry` before `attach`."""
    for name in ("bus", "registry"):
        with pytest.raises(RuntimeError, match="add it to a WorkerRunner first"):
            getattr(BaseWorker(), name)


def test_a_send_for_no_active_job_is_a_runtime_error() -> None:
    """As the pages say of all that a handler sends."""
    assert issubclass(InactiveJobError, RuntimeError)


@attrs.define
class NoReason(trioworkers.BusSystemMessage):
    job_id: str


NoReason.__name__ = "BusJobCancelMessage"


class NotAsync(BaseWorker):
    def stop(self) -> None: ...


class OtherOrder(BaseWorker):
    async def request_job_update(self, worker_name: str, job_id: str) -> None: ...


class OtherDefault(BaseWorker):
    def __init__(self, name: str | None = None, *, active: bool = False) -> None:
        super().__init__(name, active=active)


class OneMore(BaseWorker):
    async def on_activated(self, args: object, more: object) -> None: ...


class NoProperty(BaseWorker):
    children = ()


class OtherConstant(JobEvent):
    UPDATE = "progress"


@pytest.mark.parametrize(
    ("cls", "place", "wrong"),
    [
        (None, "BaseWorker", "no such class"),
        (NoReason, "BusJobCancelMessage.reason", "no such field"),
        (NotAsync, "BaseWorker.stop", "is not async"),
        (OtherOrder, "BaseWorker.request_job_update", "parameter 1 is not 'job_id'"),
        (OtherDefault, "BaseWorker.init", "'active' is False by default, not True"),
        (OneMore, "BaseWorker.on_activated", "needs 'more'"),
        (NoProperty, "BaseWorker.children", "no such property"),
        (OtherConstant, "JobEvent.UPDATE", "is not 'update'"),
        (BusMessage, "BusCancelMessage.bases.BusSystemMessage", "BusMessage is no BusSystem"),
    ],
)
def test_the_comparison_sees(cls: type | None, place: str, wrong: str) -> None:
    """Break one thing, and it is named."""
    module = SimpleNamespace(**{**vars(trioworkers), place.partition(".")[0]: cls})
    assert wrong in faces.unexplained(module)[place]


class OtherLimit(trioworkers.graph.CachedTaskWorker):
    cache_size_limit: int = 1

    async def consume_work(self, task: trioworkers.graph.Task) -> None: ...


def test_the_comparison_sees_what_is_in_a_module_of_its_own() -> None:
    """As above, for names that are not at the top."""
    graph = SimpleNamespace(**{**vars(trioworkers.graph), "CachedTaskWorker": OtherLimit})
    module = SimpleNamespace(**{**vars(trioworkers), "graph": graph})
    wrong = faces.unexplained(module)
    assert list(wrong) == ["CachedTaskWorker.init"]
    assert "'cache_size_limit' is 1 by default" in wrong["CachedTaskWorker.init"]


def test_a_message_is_made_as_there() -> None:
    """Its own fields by position, source and target by name."""
    message = BusJobCancelMessage("job", "why", source="a", target="b")
    assert (message.job_id, message.reason) == ("job", "why")
