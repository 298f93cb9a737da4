"""Programs on a terminal of their own, for tests."""

import fcntl
import os
import pty
import select
import struct
import termios
import time
from collections.abc import Mapping, Sequence

#: Seconds that a program may take.
PATIENCE = 60.0


def talk(command: Sequence[str], answers: Mapping[str, str] | None = None) -> str:
    """Run a program on a terminal of 100 by 40; return what is on it.

    Args:
      command: The program, and its arguments.
      answers: What to type once when something is shown.
    """
    pid, person = pty.fork()
    if pid == 0:  # pragma: no cover - another process
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        os.execvpe(command[0], list(command), {**os.environ, "TERM": "xterm"})
    text, left = "", dict(answers or {})
    deadline = time.monotonic() + PATIENCE
    try:
        while True:
            seconds = max(0.0, deadline - time.monotonic())
            assert select.select([person], [], [], seconds)[0], f"it hangs: {text}"
            try:
                more = os.read(person, 4096)
            except OSError:
                return text
            if not more:
                return text
            text += more.decode(errors="replace")
            for shown in [shown for shown in left if shown in text]:
                os.write(person, left.pop(shown).encode())
    finally:
        os.close(person)
        os.waitpid(pid, 0)
