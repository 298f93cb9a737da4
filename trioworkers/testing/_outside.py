"""What a simulated run can't decide, and so refuses: threads and sockets."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import trio
import trio.abc
from trio import _threads

from ..errors import OutsideError


class Outside(trio.abc.SocketFactory):
    """Refuses threads, and as a socket factory Trio's sockets.

    Attributes:
      used: What was refused; the run fails, even if somebody caught the error.
    """

    def __init__(self) -> None:
        self.used: list[str] = []

    def socket(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse; see `trio.socket.set_custom_socket_factory`."""
        self._refuse(
            "a simulated run can't use sockets: their timing can't be repeated. Use "
            "`trio.testing.memory_stream_pair`, or let the test replace the connection"
        )

    @contextmanager
    def no_threads(self) -> Iterator[None]:
        """Refuse new threads of Trio inside the block.

        Trio has no public hook for it. A thread that is waited for would look to
        the virtual clock like one more sleeper, and time would jump past it.
        """

        def refuse(*_: object, **__: object) -> NoReturn:
            self._refuse(
                "a simulated run can't use threads: their order can't be repeated. Call the "
                "function directly, or let the test replace what needs the thread"
            )

        names = vars(_threads)
        start = names["start_thread_soon"]
        names["start_thread_soon"] = refuse
        try:
            yield
        finally:
            names["start_thread_soon"] = start

    def _refuse(self, why: str) -> NoReturn:
        if why not in self.used:
            self.used.append(why)
        raise OutsideError(why)
