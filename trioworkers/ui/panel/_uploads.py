"""Files from clients, in pieces, as answers to questions."""

import binascii
import contextlib
import math
from itertools import count
from typing import Any

import attrs
import trio
from trio.lowlevel import enable_ki_protection

from ...errors import JobError
from ._folder import Folder
from ._input import Input, number_text
from ._questions import MAX_MIME_TYPE, Question, Questions, check_mime_type

#: Bytes of the files of one session, and of all, that are there or have been announced.
MAX_SESSION_BYTES = 100 * 2**20
MAX_BYTES = 2**30
#: Files of one session that have begun and not ended, and of all sessions that are there.
MAX_OPEN = 4
MAX_FILES = 1_000
#: Seconds without a piece, after which an upload is given up.
MAX_IDLE = 300.0
#: Bytes in a piece, at most.
CHUNK_BYTES = 128 * 1024


@attrs.define(eq=False)
class Upload:
    """A file that a client sends.

    Attributes:
      id: What the client calls it.
      session: Whose quota it counts for.
      client: Who sends it.
      question: What it answers.
      mime_type: What it is.
      size: How many bytes it will have.
      name: Of the file.
      received: How many bytes are there.
      expires: When it is given up, on Trio's clock.
      lock: Held while its file is worked on.
      is_given_up: Whether its file goes, or has gone.
    """

    id: str
    session: str
    client: str
    question: Question
    mime_type: str
    size: int
    name: str
    received: int = 0
    expires: float = math.inf
    lock: trio.Lock = attrs.field(factory=trio.Lock)
    is_given_up: bool = False


@attrs.define(eq=False)
class Uploads:
    """The files that clients send, and those that were given to handlers.

    An upload is given up when its client has gone, when no piece came for `MAX_IDLE` seconds,
    or if one comes and its question is not open any more. All files go when this is closed. A
    handler may remove the file that it got before, which makes room.

    Attributes:
      questions: What files may answer.
      folder: Where they are.
      chunk_bytes: How many bytes clients may send at once.
    """

    questions: Questions
    folder: Folder = attrs.field(factory=Folder)
    chunk_bytes: int = CHUNK_BYTES
    _open: dict[str, Upload] = attrs.field(factory=dict)
    _given: dict[str, Upload] = attrs.field(factory=dict)
    _going: list[Upload] = attrs.field(factory=list)
    _numbers: "count[int]" = attrs.field(factory=lambda: count(1))
    _changed: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)

    @property
    def open_files(self) -> int:
        """How many files have begun and not ended."""
        return len(self._open)

    # What clients ask

    async def begin(self, asked: Input, session: str, client: str) -> dict[str, Any]:
        """Announce a file, of a size that is known.

        Raises:
          ValueError: The input is wrong, or the question doesn't accept that MIME type.
          JobError: The question is not open, or there is no room.
        """
        question = self.questions.find(asked.text("question", 40))
        size = asked.whole("size")
        mime_type = asked.text("mime_type", MAX_MIME_TYPE)
        check_mime_type(asked.service, question.request, mime_type)
        if size > MAX_SESSION_BYTES:
            raise ValueError(
                f"{asked.service}: a file may have {MAX_SESSION_BYTES:,} bytes, not "
                f"{number_text(size)}"
            )
        if self._lacks_room(session, size) is not None:
            await self._forget_removed()
        problem = self._lacks_room(session, size)
        if problem is not None:
            raise JobError(problem)
        name = self.folder.new_name()
        upload = Upload(f"u{next(self._numbers)}", session, client, question, mime_type, size, name)
        self._touch(upload)
        self._add(upload)
        return {"upload": upload.id, "chunk_bytes": self.chunk_bytes}

    async def chunk(self, asked: Input, client: str) -> dict[str, Any]:
        """Take the next piece of a file.

        Raises:
          ValueError: The input is wrong: not base64, too much at once, or not the next piece.
          JobError: There is no such upload, or its question is not open any more.
        """
        upload = self._find(asked, client)
        offset = asked.whole("offset")
        data = self._decoded(asked)
        async with upload.lock:
            self._check_open(upload)
            if offset != upload.received:
                raise ValueError(
                    f"{asked.service}: offset must be {upload.received}, as so many bytes are "
                    f"there, not {number_text(offset)}"
                )
            if offset + len(data) > upload.size:
                raise ValueError(
                    f"{asked.service}: the file would have {offset + len(data):,} bytes, and "
                    f"{upload.size:,} were announced"
                )
            await self._write(upload, data)
        return {"received": upload.received}

    async def end(self, asked: Input, client: str) -> dict[str, Any]:
        """Answer the question with the file: its `pathlib.Path` and MIME type.

        Raises:
          ValueError: The input is wrong.
          JobError: There is no such upload, it is not complete, or its question is closed.
        """
        upload = self._find(asked, client)
        async with upload.lock:
            self._check_open(upload)
            if upload.received != upload.size:
                raise JobError(
                    f"upload {upload.id} has {upload.received:,} of {upload.size:,} bytes: send "
                    "the rest first"
                )
            await self._answer(upload)
        return {}

    def cancel(self, asked: Input, client: str) -> dict[str, Any]:
        """Give an upload up.

        Raises:
          ValueError: The input is wrong.
          JobError: There is no such upload.
        """
        self._give_up(self._find(asked, client))
        return {}

    def client_gone(self, client: str) -> None:
        """Give up what a client has begun; it won't end it any more."""
        for upload in list(self._open.values()):
            if upload.client == client:
                self._give_up(upload)

    # Rules

    def _lacks_room(self, session: str, size: int) -> str | None:
        """Return why there is no room for a file, or None."""
        own = [one for one in self._open.values() if one.session == session]
        if len(own) >= MAX_OPEN:
            return f"{MAX_OPEN} uploads are open already: end or cancel one first"
        every = [*self._open.values(), *self._given.values(), *self._going]
        if sum(one.size for one in every if one.session == session) + size > MAX_SESSION_BYTES:
            return (
                f"all files of a session may have {MAX_SESSION_BYTES:,} bytes together, and there "
                "is no room for this one"
            )
        if len(every) >= MAX_FILES or sum(one.size for one in every) + size > MAX_BYTES:
            return "the panel has no room for further files"
        return None

    def _find(self, asked: Input, client: str) -> Upload:
        name = asked.text("upload", 40)
        upload = self._open.get(name)
        if upload is None or upload.client != client:
            raise JobError(
                f"there is no upload {name!r} of yours: it has ended, or took longer than "
                f"{MAX_IDLE:g} s for a piece"
            )
        return upload

    def _check_open(self, upload: Upload) -> None:
        """Raise `JobError` if an upload, or its question, was closed meanwhile."""
        if upload.is_given_up or upload.id not in self._open:
            raise JobError(f"upload {upload.id} has ended")
        try:
            self.questions.find(upload.question.id)
        except JobError:
            self._give_up(upload)
            raise

    def _decoded(self, asked: Input) -> bytes:
        most = -(-self.chunk_bytes // 3) * 4
        text = asked.text("data", most)
        try:
            data = binascii.a2b_base64(text, strict_mode=True)
        except ValueError as error:  # also of what is not ASCII
            raise ValueError(f"{asked.service}: data is no base64: {error}") from None
        if not data or len(data) > self.chunk_bytes:
            raise ValueError(
                f"{asked.service}: data must be 1 to {self.chunk_bytes:,} bytes, not {len(data):,}"
            )
        return data

    # Files

    async def _write(self, upload: Upload, data: bytes) -> None:
        """Write the next bytes of a file. With its lock."""
        try:
            await self.folder.write(upload.name, upload.received, data)
        except OSError as error:
            self._give_up(upload)
            raise JobError(
                f"upload {upload.id} was given up, as its file can't be written: {error.strerror}"
            ) from error
        upload.received += len(data)
        self._touch(upload)

    @enable_ki_protection
    async def _answer(self, upload: Upload) -> None:
        """Give a complete file to who asked for it. With its lock."""
        if not upload.size:
            await self._write(upload, b"")
            self._check_open(upload)
        del self._open[upload.id]
        self._given[upload.name] = upload
        upload.question.request.answer(self.folder.path_of(upload.name), upload.mime_type)

    def _touch(self, upload: Upload) -> None:
        upload.expires = trio.current_time() + MAX_IDLE

    @enable_ki_protection
    def _add(self, upload: Upload) -> None:
        self._open[upload.id] = upload
        self._changed.unpark_all()

    @enable_ki_protection
    def _give_up(self, upload: Upload) -> None:
        """Have the file of an upload removed."""
        self._open.pop(upload.id, None)
        if not upload.is_given_up:
            upload.is_given_up = True
            self._going.append(upload)
            self._changed.unpark_all()

    async def _forget_removed(self) -> None:
        """Forget files that were given to handlers and that these have removed."""
        for name in await self.folder.missing(list(self._given)):
            self._given.pop(name, None)

    async def keep(self) -> None:
        """Remove what was given up, and give up what has had no piece for long. Runs for ever."""
        while True:
            now = trio.current_time()
            for upload in list(self._open.values()):
                if upload.expires <= now:
                    self._give_up(upload)
            while self._going:
                await self._remove(self._going[0])
            next_one = min((one.expires for one in self._open.values()), default=math.inf)
            with trio.move_on_at(next_one):
                await self._changed.park()

    async def _remove(self, upload: Upload) -> None:
        async with upload.lock:
            with contextlib.suppress(OSError):  # the directory goes in the end
                await self.folder.remove(upload.name)
        self._going.remove(upload)

    async def aclose(self) -> None:
        """Remove all files. Shielded, and bounded in time."""
        self._open.clear()
        self._given.clear()
        self._going.clear()
        await self.folder.aclose()
