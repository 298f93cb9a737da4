"""Clauses of a bus's contract: who gets what, and in which order."""

import trio

from ..errors import DuplicateWorkerError, UnknownWorkerError
from ._bus_trial import BusTrial
from ._probes import ProbeAlarm, ProbeLocal, ProbeNote, ProbePosted

MANY = 40


async def _send_some(trial: BusTrial, source: str, targets: tuple[str, ...]) -> None:
    """Send numbered messages in both lanes to each of ``targets``, in order."""
    for number in range(MANY):
        for target in targets:
            await trial.bus.send(ProbeNote(number, source=source, target=target))
            await trial.bus.send(ProbeAlarm(number, source=source, target=target))


async def delivery(trial: BusTrial) -> None:
    """Each message that is sent arrives once."""
    a = trial.probe("a")
    async with trial.bus as bus:
        await bus.subscribe(a)
        for number in range(MANY):
            await bus.send(ProbeNote(number, source="x", target=a.name))
        await trial.expect_numbers(a, list(range(MANY)), f"Of {MANY} messages, numbered from 0")


async def order(trial: BusTrial) -> None:
    """Messages of one sender to one target and lane arrive in the order sent."""
    a, b = trial.probe("a"), trial.probe("b")
    async with trial.bus as bus:
        await bus.subscribe(a)
        await bus.subscribe(b)
        async with trio.open_nursery() as nursery:
            for source in ("x", "y"):
                nursery.start_soon(_send_some, trial, source, (a.name, b.name))
        for target in (a, b):
            await trial.wait_heard(target, 4 * MANY)
            for source in ("x", "y"):
                for kind in (ProbeNote, ProbeAlarm):
                    got = target.numbers(kind, source)
                    trial.expect(
                        got == sorted(got),
                        f"{kind.__name__} from {source!r} to {target.name!r} came as {got}.",
                    )


async def posting(trial: BusTrial) -> None:
    """What is posted arrives, in order with what is sent."""
    a = trial.probe("a")
    async with trial.bus as bus:
        await bus.subscribe(a)
        for number in range(0, MANY, 2):
            await bus.send(ProbeNote(number, source="x", target=a.name))
            bus.post(ProbePosted(number + 1, source="x", target=a.name))
        await trial.wait_heard(a, MANY)
        got = a.numbers()
        trial.expect(got == list(range(MANY)), f"Sent and posted in turn, they came as {got}.")


async def targets(trial: BusTrial) -> None:
    """A targeted message reaches its target alone."""
    a, bystander = trial.probe("a"), trial.probe("bystander")
    async with trial.bus as bus:
        await bus.subscribe(a)
        await bus.subscribe(bystander)
        for number in range(MANY):
            await bus.send(ProbeNote(number, source="x", target=a.name))
        await bus.send(ProbeAlarm(MANY, source="x", target=a.name))
        await trial.wait_heard(a, MANY + 1)
        await trial.wait_steady(lambda: len(bystander.delivered))
        strays = len(bystander.delivered)
        trial.expect(strays == 0, f"A bystander got {strays} messages for another.")


async def broadcasts(trial: BusTrial) -> None:
    """A broadcast reaches once all those that want its class, and nobody else."""
    everything, notes = trial.probe("everything"), trial.probe("notes", ProbeNote)
    alarms = trial.probe("alarms", ProbeAlarm)
    async with trial.bus as bus:
        for probe in (everything, notes, alarms):
            await bus.subscribe(probe)
        for number in range(5):
            await bus.send(ProbeNote(number, source="x"))
            await bus.send(ProbeAlarm(10 + number, source="x"))
        low, high = list(range(5)), list(range(10, 15))
        await trial.expect_numbers(notes, low, "Wanting notes, 0 to 4")
        await trial.expect_numbers(alarms, high, "Wanting alarms, 10 to 14")
        await trial.expect_numbers(everything, low + high, "Wanting both, 0 to 4 and 10 to 14")


async def unknown_targets(trial: BusTrial) -> None:
    """A message to a name that nobody has raises UnknownWorkerError from send."""
    a = trial.probe("a")
    async with trial.bus as bus:
        await bus.subscribe(a)
        await trial.expect_raises(
            UnknownWorkerError,
            lambda: bus.send(ProbeNote(source="x", target="probe-nobody")),
            "send",
        )
        await bus.send(ProbeNote(source="x", target=a.name))
        await trial.wait_heard(a, 1)


async def names(trial: BusTrial) -> None:
    """Two subscribers of one name are refused; the first keeps it."""
    first, second = trial.probe("a"), trial.probe("a")
    bus = trial.bus
    await bus.subscribe(first)
    await bus.subscribe(first)  # again: changes nothing
    await trial.expect_raises(
        DuplicateWorkerError, lambda: bus.subscribe(second), "A second subscribe"
    )
    await trial.expect_raises(
        DuplicateWorkerError,
        lambda: bus.subscribe(second, observe=True),
        "An observer's subscribe",
    )
    trial.expect(bus.names == (first.name,), f"Its names are {bus.names}, not ({first.name!r},).")
    async with bus:
        await bus.send(ProbeNote(1, source="x", target=first.name))
        await trial.expect_numbers(first, [1], "After a second one of that name was refused")
        trial.expect(not second.delivered, "The second one got a message.")


async def before_running(trial: BusTrial) -> None:
    """What is sent to a subscriber before the bus runs is kept, and heard once it runs."""
    a = trial.probe("a")
    bus = trial.bus
    await bus.subscribe(a)
    await bus.send(ProbeNote(0, source="x", target=a.name))
    await bus.send(ProbeAlarm(1, source="x", target=a.name))  # each lane holds one at least
    trial.expect(not a.heard, "Its hook ran before the bus did.")
    async with bus:
        await trial.expect_numbers(a, [0, 1], "Of 0 and 1, sent before the bus ran")


async def unsubscribing(trial: BusTrial) -> None:
    """Nothing comes after unsubscribe, its hooks are cancelled, and its name is free."""
    old, new = trial.probe("a", stuck=True), trial.probe("a")
    async with trial.bus as bus:
        await bus.subscribe(old)
        await bus.send(ProbeNote(0, source="x", target=old.name))
        await trial.wait_until(lambda: old.inside == 1, lambda: "its hook had not begun")
        with trio.move_on_after(trial.within) as scope:
            await bus.unsubscribe(old)
        trial.expect(not scope.cancelled_caught, "It did not return.")
        trial.expect(old.inside == 0, "It returned while the hook was running.")
        trial.expect(old.left == 1, f"`on_unsubscribed` was called {old.left} times.")
        await trial.expect_raises(
            UnknownWorkerError,
            lambda: bus.send(ProbeNote(1, source="x", target=old.name)),
            "A later send",
        )
        await bus.subscribe(new)
        await bus.send(ProbeNote(2, source="x", target=new.name))
        await bus.send(ProbeNote(3, source="x"))
        await trial.expect_numbers(new, [2, 3], "Under the name that was free again")
        trial.expect(len(old.delivered) == 1, "The old subscriber got more messages.")


async def local_messages(trial: BusTrial) -> None:
    """A local message is not put on the transport: it is delivered, itself, by send."""
    a = trial.probe("a")
    async with trial.bus as bus:
        await bus.subscribe(a)
        message = ProbeLocal(7, source="x", target=a.name)
        await bus.send(message)
        trial.expect(len(a.delivered) == 1, "It had not been delivered when send returned.")
        trial.expect(a.delivered[0] is message, "What was delivered is a copy.")
        await trial.expect_numbers(a, [7], "Of one local message, 7")


ROUTING = (
    delivery,
    order,
    posting,
    targets,
    broadcasts,
    unknown_targets,
    names,
    before_running,
    unsubscribing,
    local_messages,
)
