"""The messages a bus carries, and the tags that name them on the wire."""

import attrs
import pytest
from subscribers import Ear

import trioworkers
from trioworkers import bus as bus_package
from trioworkers.bus import (
    CREDIT_WINDOW,
    BusActivateWorkerMessage,
    BusDataMessage,
    BusJobCancelMessage,
    BusJobRequestMessage,
    BusJobResponseMessage,
    BusLocalMessage,
    BusMessage,
    BusSystemMessage,
    BusWorkerReadyMessage,
    BusWorkerRegistryMessage,
    JobFailure,
    JobStatus,
    MemoryChannelBus,
    WorkerRegistryEntry,
    tagged_messages,
    wire_tag,
)

# Document 003: class, its base, and its own fields with defaults ("!" = required).
REFERENCE = {
    "BusActivateWorkerMessage": ("data", {"args": None}),
    "BusAddWorkerMessage": ("local system", {"worker": "!"}),
    "BusWorkerErrorMessage": ("system", {"error": "!"}),
    "BusWorkerLocalErrorMessage": ("local system", {"error": "!"}),
    "BusWorkerReadyMessage": (
        "data",
        {"runner": "!", "parent": None, "active": False, "bridged": False, "started_at": None},
    ),
    "BusWorkerRegistryMessage": ("system", {"runner": "!", "workers": "!"}),
    "BusCancelWorkerMessage": ("system", {"reason": None}),
    "BusCancelMessage": ("system", {"reason": None}),
    "BusDeactivateWorkerMessage": ("data", {}),
    "BusEndWorkerMessage": ("data", {"reason": None}),
    "BusEndMessage": ("data", {"reason": None}),
    "BusJobCancelMessage": ("system", {"job_id": "!", "reason": None}),
    "BusJobRequestMessage": ("data", {"job_id": "!", "job_name": None, "payload": None}),
    "BusJobResponseMessage": ("data", {"job_id": "!", "status": "!", "response": None}),
    "BusJobResponseUrgentMessage": ("system", {"job_id": "!", "status": "!", "response": None}),
    "BusJobStreamDataMessage": ("data", {"job_id": "!", "data": None}),
    "BusJobStreamEndMessage": ("data", {"job_id": "!", "data": None}),
    "BusJobStreamStartMessage": ("data", {"job_id": "!", "data": None}),
    "BusJobUpdateMessage": ("data", {"job_id": "!", "update": None}),
    "BusJobUpdateRequestMessage": ("data", {"job_id": "!"}),
    "BusJobUpdateUrgentMessage": ("system", {"job_id": "!", "update": None}),
}


@attrs.define
class SystemFirst(BusSystemMessage, BusLocalMessage):
    """A local message that names its kind first."""

    text: str = ""


@attrs.define
class LocalFirst(BusLocalMessage, BusSystemMessage):
    """A local message that names the mixin first."""

    text: str = ""


@pytest.mark.parametrize("name", REFERENCE)
def test_a_message_of_the_reference_has_its_kind_and_fields(name):
    """Class names, lanes, positional order and defaults are those of document 003."""
    kind, fields = REFERENCE[name]
    cls = getattr(bus_package, name)
    assert getattr(trioworkers, name) is cls
    assert issubclass(cls, BusSystemMessage if "system" in kind else BusDataMessage)
    assert issubclass(cls, BusLocalMessage) == ("local" in kind)
    assert cls.is_system == ("system" in kind)
    positional = [f for f in attrs.fields(cls) if not f.kw_only]
    assert [f.name for f in positional] == list(fields)
    for field in positional:
        default = "!" if field.default is attrs.NOTHING else field.default
        assert default == fields[field.name]


@pytest.mark.parametrize("name", REFERENCE)
def test_source_is_required_and_target_is_optional(name):
    """Both are keywords: a message without a source is refused."""
    cls = getattr(bus_package, name)
    values = ["x" for f in attrs.fields(cls) if not f.kw_only and f.default is attrs.NOTHING]
    with pytest.raises(TypeError, match="source"):
        cls(*values)
    message = cls(*values, source="me")
    assert (message.source, message.target) == ("me", None)
    assert cls(*values, source="me", target="you").target == "you"


def test_every_message_but_local_ones_has_a_wire_tag_of_its_own():
    """A tag leads back to exactly the class that carries it."""
    classes = [
        cls
        for cls in vars(bus_package).values()
        if isinstance(cls, type) and issubclass(cls, BusMessage)
    ]
    kinds = {BusMessage, BusDataMessage, BusSystemMessage}
    for cls in set(classes) - kinds:
        if issubclass(cls, BusLocalMessage):
            assert cls.wire_tag is None
        else:
            assert tagged_messages()[cls.wire_tag] is cls
    for tag, cls in tagged_messages().items():
        assert cls.wire_tag == tag


def test_the_table_of_tags_is_read_only():
    """Users can't put classes into it past `wire_tag`."""
    with pytest.raises(TypeError):
        tagged_messages()["x"] = BusMessage


def test_a_wire_tag_can_be_taken_once():
    """A second class with the same tag is refused, and the first keeps it."""

    @wire_tag("test.taken")
    @attrs.define
    class First(BusDataMessage):
        pass

    with pytest.raises(ValueError, match=r"'test.taken' for .*Second.* taken"):

        @wire_tag("test.taken")
        @attrs.define
        class Second(BusDataMessage):
            pass

    assert tagged_messages()["test.taken"] is First


def test_classes_of_one_name_in_two_modules_do_not_share_a_tag():
    """The module counts too when two classes ask for one tag."""
    first = type("Same", (BusDataMessage,), {"__module__": "package.a", "__slots__": ()})
    second = type("Same", (BusDataMessage,), {"__module__": "package.b", "__slots__": ()})
    wire_tag("test.same-name")(first)
    with pytest.raises(ValueError, match="taken"):
        wire_tag("test.same-name")(second)


def test_a_class_may_be_registered_again_when_its_module_is_reloaded():
    """The newest definition of the same class wins."""

    def define():
        @wire_tag("test.reloaded")
        @attrs.define
        class Reloaded(BusDataMessage):
            pass

        return Reloaded

    first, second = define(), define()
    assert first is not second
    assert tagged_messages()["test.reloaded"] is second


def test_an_empty_wire_tag_is_refused():
    """An empty tag can't name anything."""
    with pytest.raises(ValueError, match="empty"):
        wire_tag("")(BusDataMessage)


def test_a_users_message_chooses_its_lane_by_its_base():
    """Fields of a user's own follow the usual attrs rules."""

    @attrs.define
    class Note(BusDataMessage):
        text: str

    note = Note("hello", source="a", target="b")
    assert (note.text, note.is_system, note.may_miss, note.waits_for_room) == (
        "hello",
        False,
        False,
        True,
    )
    assert note.wire_tag is None


@pytest.mark.parametrize("cls", [SystemFirst, LocalFirst])
async def test_local_messages_work_with_either_order_of_bases(cls):
    """They are system messages, and delivered."""
    bus = MemoryChannelBus()
    listener = Ear("b")
    await bus.subscribe(listener)
    message = cls("hi", source="a", target="b")
    assert message.is_system
    await bus.send(message)
    bus.post(message)
    assert listener.heard == [message, message]


def test_job_messages_carry_what_the_design_adds():
    """Deadline, lineage, attempt, trace and credit are keywords with neutral defaults."""
    request = BusJobRequestMessage("j", source="a", target="b")
    assert request.deadline == float("inf")
    assert (request.parent_job_id, request.ancestors, request.attempt) == (None, (), 1)
    assert (request.trace, request.credit) == (None, CREDIT_WINDOW)
    response = BusJobResponseMessage("j", JobStatus.ERROR, source="b", target="a")
    assert (response.error, response.seq) == (None, None)


def test_job_statuses_are_plain_strings():
    """Values compare and format as the words of the reference."""
    assert [str(status) for status in JobStatus] == [
        "completed",
        "cancelled",
        "failed",
        "error",
        "timed_out",
        "lost",
    ]
    assert JobStatus("lost") is JobStatus.LOST


def test_a_failure_reads_as_type_and_message():
    """Without a message only the type is shown."""
    assert str(JobFailure("ValueError", "too small")) == "ValueError: too small"
    assert str(JobFailure("Cancelled", "")) == "Cancelled"


def test_messages_of_the_job_protocol_never_wait_for_room():
    """Their number is bounded by jobs and credit; those to requesters may miss them."""
    assert not BusJobRequestMessage.waits_for_room
    assert not BusJobRequestMessage.may_miss
    assert not BusJobCancelMessage.waits_for_room
    assert BusJobResponseMessage.may_miss
    assert BusActivateWorkerMessage.waits_for_room


def test_a_registry_entry_describes_a_worker():
    """It has the fields of the reference, with the same defaults."""
    entry = WorkerRegistryEntry("w")
    assert attrs.astuple(entry) == ("w", None, False, False, None)
    message = BusWorkerRegistryMessage("r", (entry,), source="r")
    assert message.workers == (entry,)
    assert BusWorkerReadyMessage("r", source="w").started_at is None
