"""What pages look like: the last description that each session has sent."""

from collections import OrderedDict
from typing import Any

import attrs

#: Sessions whose snapshot is kept.
MAX_SNAPSHOTS = 256


@attrs.define(eq=False)
class Snapshots:
    """The last snapshot of each session; of too many sessions, those that came last."""

    _by_session: OrderedDict[str | None, Any] = attrs.field(factory=OrderedDict)

    def __len__(self) -> int:
        return len(self._by_session)

    def put(self, session: str | None, snapshot: Any) -> None:
        """Keep ``snapshot`` in place of the session's last one."""
        self._by_session[session] = snapshot
        self._by_session.move_to_end(session)
        if len(self._by_session) > MAX_SNAPSHOTS:
            self._by_session.popitem(last=False)

    def get(self, session: str | None) -> Any:
        """Return that of ``session``, or for None the newest of all; None if there is none."""
        if session is None and self._by_session:
            session = next(reversed(self._by_session))
        return self._by_session.get(session)
