"""The parent's side of the line protocol: children that measure."""

import json
import os
import subprocess
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import IO

import attrs
import trio

from ._serve import Request

ROOT = Path(__file__).resolve().parents[1]

#: Seconds that a child which was told to end is given to do so.
GRACE = 2.0
#: Characters of what a child wrote last that are shown when it has died.
TAIL = 300


@attrs.frozen
class Program:
    """How to start a side.

    Attributes:
      python: The interpreter.
      module: The module with its functions.
      environment: Variables that it gets besides those of this process.
    """

    python: str
    module: str
    environment: Mapping[str, str] = {}


@attrs.frozen
class Failure:
    """Why there is no reading.

    Attributes:
      reason: For a person to read, in one line.
    """

    reason: str


#: What a child answered: one number for each quantity of the case.
Reading = tuple[float, ...]


class Child:
    """A child process, between `open_child` and the end of its block."""

    def __init__(self, process: trio.Process, errors: IO[bytes]) -> None:
        self._process = process
        self._errors = errors
        self._buffer = bytearray()

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return self._process.poll() is None

    async def measure(self, request: Request, timeout: float) -> Reading | Failure:
        """Ask for a measurement; wait at most ``timeout`` seconds.

        A child that doesn't answer in time is killed.
        """
        line = None
        with trio.move_on_after(timeout):
            line = await self._ask(json.dumps(vars(request)).encode() + b"\n")
        if line is None:
            self._process.kill()
            await self._process.wait()
            return Failure(f"no answer within {timeout:g} s")
        if not line:
            status = await self._process.wait()
            return Failure(f"its process ended with {status}: {self._tail()}")
        answer = json.loads(line)
        if "failure" in answer:
            return Failure(answer["failure"])
        return tuple(answer["values"])

    async def _ask(self, line: bytes) -> bytes:
        """Return the answer, or nothing if the child has ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            await self._process.stdin.send_all(line)
        except trio.BrokenResourceError:
            return b""
        while b"\n" not in self._buffer:
            received = await self._process.stdout.receive_some()
            if not received:
                return b""
            self._buffer += received
        answer, _, rest = self._buffer.partition(b"\n")
        self._buffer = bytearray(rest)
        return bytes(answer)

    def _tail(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").splitlines()
        return " / ".join(filter(None, map(str.strip, lines)))[-TAIL:] or "no message"

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    async def aclose(self) -> None:
        """Close its input, so that it ends; kill it if it doesn't."""
        assert self._process.stdin is not None
        await self._process.stdin.aclose()
        with trio.move_on_after(GRACE):
            await self._process.wait()
        self._process.kill()
        await self._process.wait()


@asynccontextmanager
async def open_child(program: Program) -> AsyncIterator[Child]:
    """Start a child; it has ended when the block has, at once after an error.

    It works in a directory of its own that is removed, and gets no signals
    from the terminal: Ctrl-C is the parent's to handle.

    Raises:
      OSError: It can't be started.
    """
    with (
        tempfile.TemporaryDirectory(prefix="trioworkers-benchmarks-") as directory,
        tempfile.TemporaryFile() as errors,
    ):
        process = await trio.lowlevel.open_process(
            [program.python, "-m", "benchmarks._serve", program.module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=directory,
            env={**os.environ, "PYTHONPATH": str(ROOT), **program.environment},
            start_new_session=True,
        )
        child = Child(process, errors)
        try:
            yield child
        except BaseException:
            child.kill()
            raise
        finally:
            with trio.move_on_after(2 * GRACE, shield=True):
                await child.aclose()


class Children:
    """Starts children when they are first asked, and again when they have died.

    Made by `open_children`.
    """

    def __init__(self, programs: Mapping[str, Program], stack: AsyncExitStack) -> None:
        self._programs = programs
        self._stack = stack
        self._open: dict[str, Child] = {}

    async def measure(
        self, side: str, request: Request, *, timeout: float, alone: bool
    ) -> Reading | Failure:
        """Ask a side for a measurement.

        Args:
          side: Whom to ask, by its key in the programs.
          request: What for.
          timeout: Seconds after which it is killed.
          alone: Whether to ask a child that has done nothing else.
        """
        try:
            if alone:
                async with open_child(self._programs[side]) as child:
                    return await child.measure(request, timeout)
            return await (await self._child_of(side)).measure(request, timeout)
        except OSError as error:
            return Failure(f"can't be started: {error}")

    async def _child_of(self, side: str) -> Child:
        child = self._open.get(side)
        if child is None or not child.alive:
            opening = open_child(self._programs[side])
            child = self._open[side] = await self._stack.enter_async_context(opening)
        return child


@asynccontextmanager
async def open_children(programs: Mapping[str, Program]) -> AsyncIterator[Children]:
    """Yield the children that ``programs`` start; they have ended when the block has."""
    async with AsyncExitStack() as stack:
        yield Children(programs, stack)
