"""Clauses of the contract between two buses: who gets what, and who has which name."""

from contextlib import AsyncExitStack

import trio

from ..bus import BusMessage
from ..errors import DuplicateWorkerError, UnknownWorkerError
from ._network_bus_trial import NetworkBusTrial
from ._probes import ProbeAlarm, ProbeLocal, ProbeNote, ProbePosted

MANY = 40


async def delivery(trial: NetworkBusTrial) -> None:
    """Each message that is sent arrives once, in both directions."""
    a = trial.probe("a")
    async with trial.running(a) as bus:
        for number in range(MANY):
            await bus.send(trial.note(number, a))
            await trial.there.send(ProbeAlarm(number, source=a.name, target=trial.sender.name))
        every = list(range(MANY))
        await trial.expect_numbers(a, every, f"Of {MANY} messages, numbered from 0")
        await trial.expect_numbers(trial.sender, every, f"Of {MANY} answers, numbered from 0")


async def order(trial: NetworkBusTrial) -> None:
    """Messages of one sender to one target and lane arrive in the order sent."""
    a, b, second = trial.probe("a"), trial.probe("b"), trial.probe("second")
    async with trial.running(a, b) as bus:
        await bus.subscribe(second)
        sources = trial.sender.name, second.name

        async def send(source: str) -> None:
            for number in range(MANY):
                for target in (a, b):
                    await bus.send(ProbeNote(number, source=source, target=target.name))
                    await bus.send(ProbeAlarm(number, source=source, target=target.name))

        async with trio.open_nursery() as nursery:
            for source in sources:
                nursery.start_soon(send, source)
        for target in (a, b):
            await trial.wait_heard(target, 4 * MANY)
            for source in sources:
                for kind in (ProbeNote, ProbeAlarm):
                    got = target.numbers(kind, source)
                    trial.expect(
                        got == list(range(MANY)),
                        f"{kind.__name__} from {source!r} to {target.name!r} came as {got}.",
                    )


async def posting(trial: NetworkBusTrial) -> None:
    """What is posted arrives, in order with what is sent."""
    a = trial.probe("a")
    async with trial.running(a) as bus:
        for number in range(0, MANY, 2):
            await bus.send(trial.note(number, a))
            bus.post(ProbePosted(number + 1, source=trial.sender.name, target=a.name))
        await trial.wait_heard(a, MANY)
        got = a.numbers()
        trial.expect(got == list(range(MANY)), f"Sent and posted in turn, they came as {got}.")


async def targets(trial: NetworkBusTrial) -> None:
    """A targeted message reaches its target alone, wherever others are."""
    a, there, here = trial.probe("a"), trial.probe("there"), trial.probe("here")
    async with trial.running(a, there) as bus:
        await bus.subscribe(here)
        await trial.send_some(a, MANY)
        await trial.wait_heard(a, MANY)
        await trial.wait_steady(lambda: len(a.delivered))
        for bystander in (there, here, trial.sender):
            strays = len(bystander.delivered)
            trial.expect(
                strays == 0, f"{bystander.name!r} got {strays} messages that are for another."
            )


async def broadcasts(trial: NetworkBusTrial) -> None:
    """A broadcast reaches once, on every bus, all those that want its class."""
    everything, notes = trial.probe("everything"), trial.probe("notes", ProbeNote)
    here, third = trial.probe("here", ProbeNote), trial.probe("third")
    async with trial.running(everything, notes) as bus, await trial.make_another() as other:
        await bus.subscribe(here)
        await other.subscribe(third)
        for number in range(5):
            await bus.send(trial.note(number))
            await bus.send(ProbeAlarm(10 + number, source=trial.sender.name))
        low, high = list(range(5)), list(range(10, 15))
        for probe in (notes, here):
            await trial.expect_numbers(probe, low, "Wanting notes, 0 to 4")
        for probe in (everything, third):
            await trial.expect_numbers(probe, low + high, "Wanting both, 0 to 4 and 10 to 14")


async def late_comers(trial: NetworkBusTrial) -> None:
    """A bus that comes later takes part as the others do."""
    a, late = trial.probe("a"), trial.probe("late")
    async with trial.running(a) as bus, AsyncExitStack() as stack:
        await bus.send(trial.note(0))
        await trial.wait_heard(a, 1)
        other = await stack.enter_async_context(await trial.make_another())
        await other.subscribe(late)
        await bus.send(trial.note(1, late))
        await bus.send(trial.note(2))
        await other.send(ProbeNote(3, source=late.name, target=a.name))
        await trial.expect_numbers(late, [1, 2], "Of one message to it and one to all, 1 and 2")
        await trial.expect_numbers(a, [0, 2, 3], "Of two to all and one from the new one")


async def unknown_targets(trial: NetworkBusTrial) -> None:
    """A message to a name that nobody has anywhere raises UnknownWorkerError from send."""
    a = trial.probe("a")
    async with trial.running(a) as bus:
        await trial.expect_raises(
            UnknownWorkerError,
            lambda: bus.send(ProbeNote(source=trial.sender.name, target="probe-nobody")),
            "send",
        )
        await bus.send(trial.note(0, a))
        await trial.wait_heard(a, 1)


async def names(trial: NetworkBusTrial) -> None:
    """Two subscribers of one name are refused, whichever buses they are on."""
    first, second = trial.probe("a"), trial.probe("a")
    async with trial.running(first) as bus:
        await trial.expect_raises(
            DuplicateWorkerError, lambda: bus.subscribe(second), "A second subscribe"
        )
        trial.expect(
            bus.names == (trial.sender.name,), f"After it was refused, its bus has {bus.names}."
        )
        another = await trial.make_another()
        await another.subscribe(second)
        await trial.expect_raises(
            DuplicateWorkerError, another.__aenter__, "A bus that has the name as it starts"
        )
        await bus.send(trial.note(1, first))
        await trial.expect_numbers(first, [1], "After others of that name were refused")
        trial.expect(not second.delivered, "Another of that name got a message.")


async def names_at_once(trial: NetworkBusTrial) -> None:
    """Of two that claim one name at once, one gets it."""
    first, second = trial.probe("a"), trial.probe("a")
    async with trial.running() as bus:
        refused = []

        async def claim(where: str) -> None:
            who, at = (first, bus) if where == "here" else (second, trial.there)
            try:
                await at.subscribe(who)
            except DuplicateWorkerError:
                refused.append(where)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(claim, "here")
            nursery.start_soon(claim, "there")
        trial.expect(len(refused) == 1, f"Of two, {len(refused)} were refused.")


async def unsubscribing(trial: NetworkBusTrial) -> None:
    """Nothing comes after unsubscribe, and the name is free for whoever wants it."""
    old, new = trial.probe("a"), trial.probe("a")
    async with trial.running(old) as bus, await trial.make_another() as other:
        await bus.send(trial.note(0, old))
        await trial.wait_heard(old, 1)
        await trial.there.unsubscribe(old)
        await trial.expect_unknown(lambda: trial.note(1, old), "After it has left")
        await trial.subscribe_when_free(other, new, "When its name was claimed elsewhere")
        await bus.send(trial.note(2, new))
        await bus.send(trial.note(3))
        await trial.expect_numbers(new, [2, 3], "Under the name that was free again")
        trial.expect(len(old.delivered) == 1, "The old subscriber got more messages.")


async def leaving(trial: NetworkBusTrial) -> None:
    """When a bus has ended, its names are free, and nobody elsewhere is named so any more."""
    a, new = trial.probe("a"), trial.probe("a")
    async with trial.running() as bus:
        async with await trial.make_another() as other:
            await other.subscribe(a)
            await bus.send(trial.note(0, a))
            await trial.wait_heard(a, 1)
        await trial.expect_unknown(lambda: trial.note(1, a), "After its bus has ended")
        await trial.subscribe_when_free(trial.there, new, "When its name was claimed elsewhere")
        await bus.send(trial.note(2, new))
        await trial.expect_numbers(new, [2], "Under the name of one whose bus has ended")


async def local_messages(trial: NetworkBusTrial) -> None:
    """A local message stays on its bus, to whomever it goes."""
    a = trial.probe("a")

    def local(number: int, target: str | None) -> BusMessage:
        return ProbeLocal(number, source=trial.sender.name, target=target)

    async with trial.running(a) as bus:
        await trial.expect_raises(
            UnknownWorkerError,
            lambda: bus.send(local(0, a.name)),
            "Sending one to a name of another bus",
        )
        await bus.send(local(1, None))
        await bus.send(trial.note(2, a))
        await trial.expect_numbers(a, [2], "Of one that is not local, 2")
        got = trial.sender.numbers(ProbeLocal)
        trial.expect(got == [1], f"Of one to all, 1, its own bus got {got}.")


NETWORK_ROUTING = (
    delivery,
    order,
    posting,
    targets,
    broadcasts,
    late_comers,
    unknown_targets,
    names,
    names_at_once,
    unsubscribing,
    leaving,
    local_messages,
)
