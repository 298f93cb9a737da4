"""What a `RedisBus` needs of the server: the operations, their replies, their errors.

`_server.py` has them on a real server. The simulator has a model of one, so that
thousands of schedules run without; both pass the same tests. docs/deployment.md
tells how the keys are laid out.

An **incarnation** is one lease of one bus: a bus that has lost its lease comes
back as another. A **lane** is 0 (system) or 1 (data), and each incarnation has a
stream for each. Entries that one incarnation sends to a lane of another one are
numbered from 1, without gaps, by the sender: so what the server has lost, or was
told twice, is noticed.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from enum import Enum
from typing import Protocol

import attrs

SYSTEM, DATA = 0, 1
#: Where a stream begins: no entry has this id.
START = b"0-0"
#: Seconds for which the names that an incarnation has given up are remembered as its own.
FORMER_SECONDS = 60.0


class StoreUnavailableError(Exception):
    """The server can't be used now; the session is of no use any more.

    Args:
      reason: What happened, for a person to read; without passwords.
    """


class StoreRefusesError(Exception):
    """The server answers, but takes nothing new: it is out of memory, say. Nothing was written."""


class StoreDeniedError(Exception):
    """The server will never serve us as we are: wrong password, no permission, wrong version."""


#: After these a session is of no use any more.
SESSION_ERRORS = (StoreUnavailableError, StoreDeniedError)


class FencedError(Exception):
    """The incarnation has no lease any more: nothing was done in its name."""


class LostWritesError(Exception):
    """The server has lost what it had confirmed: an old copy of its data was restored."""


@attrs.define
class NamesTakenError(Exception):
    """Somebody else has a name; none was claimed.

    Attributes:
      name: The first one that is taken.
      about: What its owner has told about itself when it joined.
    """

    name: str
    about: bytes


class Appended(Enum):
    """What came of one entry.

    Attributes:
      DONE: It is in the stream; or was before, if it was sent twice.
      FULL: Its lane holds as many unread entries as it may. When there is room again,
        a room note comes in the sender's system lane.
      GONE: Its destination has no lease.
    """

    DONE = "k"
    FULL = "f"
    GONE = "g"


class Standing(Enum):
    """What an incarnation is to a name.

    Attributes:
      OWNER: It has that name, or had it within the last `FORMER_SECONDS`.
      STRANGER: It lives, but has no right to the name.
      GONE: It has no lease.
    """

    OWNER = "o"
    STRANGER = "s"
    GONE = "g"


@attrs.frozen
class Entry:
    """What is to be put into a stream.

    Attributes:
      destination: The incarnation whose stream it is.
      lane: Which of its streams.
      number: How many entries its sender has sent to that lane, this one included.
      body: The messages.
    """

    destination: str
    lane: int
    number: int
    body: bytes


@attrs.frozen
class Joined:
    """What an incarnation learns when it joins.

    Attributes:
      peers: All other incarnations that have a lease.
      next_expiry: Seconds until the first of their leases will expire, if nobody
        renews it; 0 if one has expired already; infinite if there is none.
    """

    peers: tuple[str, ...]
    next_expiry: float


@attrs.frozen
class Renewed:
    """What an incarnation learns when it renews its lease.

    Attributes:
      next_expiry: As in `Joined`.
      names_kept: Whether the server knows as many names of it as it has.
    """

    next_expiry: float
    names_kept: bool


@attrs.frozen
class AppendReply:
    """What came of the entries, in their order, and who lives.

    Attributes:
      results: One for each entry.
      living: All incarnations that have a lease, the sender included, if their
        number is not the one that was expected; None if it is, or none was.
    """

    results: tuple[Appended, ...]
    living: tuple[str, ...] | None


@attrs.frozen
class Received:
    """One entry of a stream, as it was found there; anyone may have put it there.

    An entry that a bus has sent has the fields ``i`` (its incarnation), ``n`` (the
    number) and ``d`` (the body). Notes of the server's scripts have one field:
    ``gone`` (an incarnation whose lease has ended) or ``room`` (``incarnation:lane``,
    to which entries can be sent again).

    Attributes:
      id: Its place in the stream.
      fields: Names and values in turn.
    """

    id: bytes
    fields: Sequence[bytes]


class Session(Protocol):
    """A connection to the server; what one incarnation at a time does with it.

    Every operation takes effect as a whole or not at all, by the server's clock, and
    is a checkpoint. All raise `StoreUnavailableError` or `StoreDeniedError` (then it isn't
    known whether it took effect, and all later calls raise it, too), and those that are
    done in an incarnation's name raise `FencedError` if that has no lease. Those that
    write raise `StoreRefusesError` where noted. Any may be called while another one is under way;
    `read` by one Trio task at a time.
    """

    async def join(
        self, incarnation: str, names: Sequence[str], about: bytes, lease: float
    ) -> Joined:
        """Take a lease of ``lease`` seconds, and claim all ``names``.

        An incarnation that has one already keeps it: its names are then exactly these,
        and what it has sent and got stays. Ends leases that have expired, as `renew` does.

        Args:
          incarnation: Who joins; has never had a lease that ended.
          names: Its subscribers.
          about: What others may know of it: a JSON object.
          lease: Seconds.

        Raises:
          NamesTakenError: Another incarnation that has a lease has one of the names.
          StoreRefusesError: Nothing was written.
        """

    async def renew(self, incarnation: str, lease: float, names: int) -> Renewed:
        """Let the lease end in ``lease`` seconds from now; end leases that have expired.

        Whoever renews ends leases that have expired: their names are free, their streams
        are deleted, and each incarnation that lives gets a ``gone`` note. If they are very
        many, some are left for the next one, and ``next_expiry`` is 0.

        Args:
          incarnation: Whose.
          lease: Seconds.
          names: How many names it has, as far as it knows.
        """

    async def resume(
        self,
        incarnation: str,
        lease: float,
        names: Sequence[str],
        sent: Mapping[tuple[str, int], int],
    ) -> Renewed:
        """Do what `renew` does for one that has been out of touch; claim all ``names`` again.

        Args:
          incarnation: Whose.
          lease: Seconds.
          names: Its subscribers.
          sent: The number of the last entry that was confirmed, by destination and lane.

        Raises:
          LostWritesError: The server knows of fewer entries to a destination that lives.
          NamesTakenError: Another one has a name.
        """

    async def leave(self, incarnation: str) -> None:
        """End the lease now, and tell all others; nothing if it has none."""

    async def claim(self, incarnation: str, names: Sequence[str]) -> None:
        """Claim all ``names``, or none. Those that it has already are no matter.

        Ends leases that have expired, as `renew` does: somebody may have had a name,
        and all others must hear that it has gone before they hear of its new owner.

        Raises:
          NamesTakenError: Another incarnation that has a lease has one of the names.
          StoreRefusesError: Nothing was written.
        """

    async def release(self, incarnation: str, names: Sequence[str]) -> None:
        """Give names up; those that it doesn't have are no matter."""

    async def find(self, names: Sequence[str]) -> tuple[str | None, ...]:
        """Return who has each name, and a lease; None where nobody does."""

    async def judge(self, pairs: Sequence[tuple[str, str]]) -> tuple[Standing, ...]:
        """Return what each incarnation is to a name: pairs of incarnation and name."""

    async def peers(self) -> dict[str, bytes]:
        """Return what all incarnations that have a lease have told about themselves."""

    async def append(
        self,
        incarnation: str,
        entries: Sequence[Entry],
        *,
        limit: int,
        acknowledged: tuple[bytes, bytes] = (START, START),
        expected: int | None = None,
    ) -> AppendReply:
        """Put entries into streams; those that are there already are no matter.

        Args:
          incarnation: Who sends.
          entries: In the order of their numbers, for each destination and lane. Once
            one is `Appended.FULL`, so are those behind it in its lane.
          limit: Unread entries that a lane holds at most.
          acknowledged: For each of the sender's own lanes, the last entry that it has
            read and needs no more: they are deleted up to it, and those that wait for
            room are told when no more than half of ``limit`` is left.
          expected: How many incarnations the sender takes to have a lease.

        Raises:
          LostWritesError: An entry's number shows that the one before it is lost.
            Some of the entries may have been put.
          StoreRefusesError: Nothing was written.
        """

    async def acknowledge(
        self, incarnation: str, acknowledged: tuple[bytes, bytes], *, limit: int
    ) -> None:
        """Do what `append` does with ``acknowledged``, alone; also while out of memory."""

    async def read(
        self, incarnation: str, after: tuple[bytes, bytes], *, count: int, wait: float
    ) -> tuple[Sequence[Received], Sequence[Received]]:
        """Return up to ``count`` entries of each lane that come after the given ones.

        Waits for the first one, ``wait`` seconds at most; then both are empty.
        """


class Server(Protocol):
    """Where sessions come from."""

    @property
    def address(self) -> str:
        """Where the next session will be, for a person to read; without passwords."""

    def connect(self) -> AbstractAsyncContextManager[Session]:
        """Open a session; leaving the block closes it, without waiting for the server.

        After a failure the next one may go to another address. Entering takes a
        bounded time.

        Raises:
          StoreUnavailableError: As in `Session`.
          StoreDeniedError: Trying again is of no use.
        """
