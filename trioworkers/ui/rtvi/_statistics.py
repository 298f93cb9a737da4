"""Snapshots of RTVI servers."""

import attrs

from ...workers import WorkerStatistics


@attrs.define(eq=False)
class Counters:
    """What a server counts; see `RTVIServerStatistics`."""

    messages_received: int = 0
    messages_refused: int = 0
    messages_sent: int = 0
    bytes_sent: int = 0
    updates_merged: int = 0
    requests_refused: int = 0
    clients_dropped: int = 0


@attrs.frozen(kw_only=True)
class RTVIServerStatistics(WorkerStatistics):
    """A snapshot of an `RTVIServer`.

    Attributes:
      clients: WebSocket connections.
      sessions: Sessions that are known.
      groups: Job groups in flight that users may see.
      requests: What clients have asked for, and was not answered yet.
      attached: Whether the UI worker is there, and tells of its groups.
      messages_received: Counts complete messages from clients.
      messages_refused: Counts those that were answered with an error at once.
      messages_sent: Counts messages to clients.
      bytes_sent: Counts the bytes in them.
      updates_merged: Counts updates that a client was not sent, since a newer one came.
      requests_refused: Counts HTTP requests that were refused.
      clients_dropped: Counts clients that did not read, or were gone without a word.
    """

    clients: int
    sessions: int
    groups: int
    requests: int
    attached: bool
    messages_received: int
    messages_refused: int
    messages_sent: int
    bytes_sent: int
    updates_merged: int
    requests_refused: int
    clients_dropped: int
