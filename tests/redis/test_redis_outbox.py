"""What waits to be sent goes into the right entries, once, in order."""

import pytest

from trioworkers.bus import BusWorkerDepartedMessage
from trioworkers.bus.redis._outbox import ENTRY_BYTES, Outbox, lane_of
from trioworkers.bus.redis._peers import Item, Peer
from trioworkers.bus.redis._receipt import Receipt
from trioworkers.bus.redis._store import DATA, SYSTEM, Appended
from trioworkers.testing._probes import ProbeAlarm, ProbeNote

NOTE = ProbeNote(source="x", target="y")


def item(data: bytes, receipt: Receipt | None = None) -> Item:
    return Item(data, NOTE, receipt)


def bodies(batch):
    return [(entry.lane, entry.number, entry.body) for _, entry in batch]


def confirm(outbox, batch, *results):
    return outbox.confirm(batch, results or [Appended.DONE] * len(batch))


def test_what_waits_for_one_lane_goes_in_one_entry():
    """Messages are joined in their order; lanes and peers have entries of their own."""
    outbox, one, other = Outbox(), Peer("one"), Peer("other")
    for data in (b"1", b"2"):
        outbox.put(one.lanes[DATA], item(data))
    outbox.put(other.lanes[DATA], item(b"3"))
    outbox.put(one.lanes[SYSTEM], item(b"4"))
    assert bodies(outbox.collect()) == [(SYSTEM, 1, b"4"), (DATA, 1, b"1\n2"), (DATA, 1, b"3")]


def test_what_is_not_confirmed_is_collected_again_with_its_number():
    """After a lost reply the same entry goes out, whatever came meanwhile."""
    outbox, peer = Outbox(), Peer("one")
    outbox.put(peer.lanes[DATA], item(b"1"))
    outbox.collect()
    outbox.put(peer.lanes[DATA], item(b"2"))
    again = outbox.collect()
    assert bodies(again) == [(DATA, 1, b"1")]
    confirm(outbox, again)
    assert bodies(outbox.collect()) == [(DATA, 2, b"2")]


def test_receipts_are_settled_when_confirmed():
    """A sender goes on when its message is in the stream, not before."""
    outbox, peer, receipt = Outbox(), Peer("one"), Receipt()
    outbox.put(peer.lanes[DATA], item(b"1", receipt))
    batch = outbox.collect()
    assert not receipt.is_done
    confirm(outbox, batch)
    assert receipt.is_done
    assert receipt.error is None
    assert outbox.is_empty


def test_a_full_lane_holds_up_nobody_else():
    """It is left out until a room note comes, and then sent again under its number."""
    outbox, full, free = Outbox(), Peer("full"), Peer("free")
    outbox.put(full.lanes[DATA], item(b"1"))
    outbox.put(free.lanes[DATA], item(b"2"))
    confirm(outbox, outbox.collect(), Appended.FULL, Appended.DONE)
    outbox.put(full.lanes[DATA], item(b"3"))
    outbox.put(full.lanes[SYSTEM], item(b"4"))
    batch = outbox.collect()
    assert bodies(batch) == [(SYSTEM, 1, b"4")]
    confirm(outbox, batch)
    assert outbox.is_empty
    outbox.has_room(full.lanes[DATA])
    assert bodies(outbox.collect()) == [(DATA, 1, b"1")]


def test_long_messages_have_entries_of_their_own():
    """An entry isn't filled beyond its size, but for one message that is larger."""
    outbox, peer = Outbox(), Peer("one")
    large = b"x" * (2 * ENTRY_BYTES)
    for data in (b"1", large, b"2"):
        outbox.put(peer.lanes[DATA], item(data))
    seen = []
    while not outbox.is_empty:
        batch = outbox.collect()
        seen += [entry.body for _, entry in batch]
        confirm(outbox, batch)
    assert seen == [b"1", large, b"2"]


def test_a_peer_that_has_gone_takes_what_waited_with_it():
    """All of it is handed back, what was under way too; late confirmations are no matter."""
    outbox, peer = Outbox(), Peer("one")
    outbox.put(peer.lanes[DATA], item(b"1"))
    batch = outbox.collect()
    outbox.put(peer.lanes[DATA], item(b"2"))
    assert [found.data for found in outbox.close(peer)] == [b"1", b"2"]
    assert confirm(outbox, batch) == []
    assert outbox.is_empty
    assert peer.lanes[DATA].number == 0


def test_gone_is_told():
    """A destination without a lease is named, so that its peer is parted from."""
    outbox, peer = Outbox(), Peer("one")
    outbox.put(peer.lanes[DATA], item(b"1"))
    assert confirm(outbox, outbox.collect(), Appended.GONE) == [peer]


@pytest.mark.parametrize("under_way", [False, True])
def test_only_what_is_not_under_way_can_be_withdrawn(under_way):
    """A sender that gives up takes its message back, if nobody may have got it."""
    outbox, peer, mine = Outbox(), Peer("one"), item(b"1", Receipt())
    outbox.put(peer.lanes[DATA], mine)
    if under_way:
        outbox.collect()
    outbox.withdraw(peer, mine)
    assert bool(outbox.collect()) is under_way


def test_only_what_is_due_is_given_up():
    """What is under way isn't: it may have been sent."""
    outbox, peer = Outbox(), Peer("one")
    sent, late, early = item(b"1"), item(b"2"), item(b"3")
    outbox.put(peer.lanes[DATA], sent)
    outbox.collect()
    late.due, early.due = 5.0, 7.0
    sent.due = 1.0
    outbox.put(peer.lanes[DATA], late)
    outbox.put(peer.lanes[DATA], early)
    unknown = item(b"4")
    unknown.due = 5.0
    outbox.put_unresolved("nobody", unknown)
    assert outbox.give_up([peer], 5.0) == [late, unknown]
    assert list(outbox.waiting([peer])) == [early]
    assert not outbox.unresolved


def test_departures_travel_behind_answers():
    """Though they are system messages: what a worker has answered comes before it has left."""
    assert lane_of(BusWorkerDepartedMessage("r", source="w")) == DATA
    assert lane_of(ProbeAlarm(source="x")) == SYSTEM
    assert lane_of(NOTE) == DATA


def test_a_room_note_may_come_before_it_is_known_that_a_lane_is_full():
    """The note came by another connection, and no second one will: it is tried again."""
    outbox, peer = Outbox(), Peer("one")
    outbox.put(peer.lanes[DATA], item(b"1"))
    batch = outbox.collect()
    outbox.has_room(peer.lanes[DATA])
    confirm(outbox, batch, Appended.FULL)
    assert bodies(outbox.collect()) == [(DATA, 1, b"1")]
    confirm(outbox, batch, Appended.FULL)
    assert outbox.collect() == []


def test_what_waits_for_the_owner_of_a_name_can_be_withdrawn():
    """Its sender has been told that it wasn't sent."""
    outbox = Outbox()
    withdrawn, kept = item(b"x", Receipt()), item(b"y", Receipt())
    outbox.put_unresolved("y", withdrawn)
    outbox.put_unresolved("y", kept)
    outbox.withdraw(Peer("b.1"), withdrawn)
    assert list(outbox.unresolved["y"]) == [kept]
    outbox.withdraw(Peer("b.1"), kept)
    assert outbox.is_empty
