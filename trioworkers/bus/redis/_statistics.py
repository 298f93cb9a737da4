"""Snapshots of a `RedisBus`."""

import attrs

from .._bus import BusStatistics


@attrs.frozen
class RedisBusStatistics(BusStatistics):
    """A snapshot of a `RedisBus`; also what all buses tell.

    Attributes:
      state: How the connection is: ``connecting``, ``connected``, ``refused``,
        ``disconnected`` or ``stopped``.
      reason: Why it is not connected; empty if it is.
      state_seconds: Seconds since the state began.
      address: Where the server is, without user and password.
      connections: Connections so far.
      incarnation: What this bus is called now in the streams; it changes when the lease is lost.
      lease_left: Seconds that the lease lasts, as far as is known.
      leases_lost: Leases lost so far: as often, all remote jobs ended as LOST.
      peers: Other incarnations that are known now.
      full_peers: Lanes of others that take nothing more until they have been read.
      sent: Entries put into streams so far; each holds many messages.
      received: Entries taken so far.
      duplicates: Entries that came again so far, and were dropped.
      late: Entries so far of incarnations that had gone.
      refused: Entries and messages that were refused so far, by reason.
    """

    state: str
    reason: str
    state_seconds: float
    address: str
    connections: int
    incarnation: str
    lease_left: float
    leases_lost: int
    peers: int
    full_peers: int
    sent: int
    received: int
    duplicates: int
    late: int
    refused: dict[str, int]
