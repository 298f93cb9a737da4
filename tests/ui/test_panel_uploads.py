"""Files from clients, in pieces, without a server."""

import base64
import contextlib
import random
import shutil
import stat
from pathlib import Path

import pytest
import trio
from flows import A
from hypothesis import given, settings
from hypothesis import strategies as st
from panels import asked, asking, ids_of, questions
from trio.testing import wait_all_tasks_blocked

from trioworkers.errors import JobError
from trioworkers.ui.panel import _uploads
from trioworkers.ui.panel._folder import Folder
from trioworkers.ui.panel._input import Input
from trioworkers.ui.panel._uploads import MAX_SESSION_BYTES, Uploads

MIB = 2**20


class Client:
    """One who sends files: a connection of a session."""

    def __init__(self, uploads, name="c1", session="s1"):
        self.uploads, self.name, self.session = uploads, name, session

    async def begin(self, size, question="q1", mime_type="image/png"):
        data = {"question": question, "size": size, "mime_type": mime_type}
        got = await self.uploads.begin(of("begin", data), self.session, self.name)
        return got["upload"]

    async def chunk(self, upload, offset, data):
        text = base64.b64encode(data).decode() if isinstance(data, bytes) else data
        asked = of("chunk", {"upload": upload, "offset": offset, "data": text})
        return (await self.uploads.chunk(asked, self.name))["received"]

    async def end(self, upload):
        return await self.uploads.end(of("end", {"upload": upload}), self.name)

    def cancel(self, upload):
        return self.uploads.cancel(of("cancel", {"upload": upload}), self.name)


def of(what, data):
    return Input.of(f"panel.upload.{what}", data)


@contextlib.asynccontextmanager
async def uploading(tmp_path, *numbers, mime_types=("image/*",), **options):
    """Give a client, its uploads and a graph that has asked for pictures; nothing is left."""
    async with asked(*numbers, graph=asking(*mime_types)) as (questions, graph):
        uploads = Uploads(questions, Folder(str(tmp_path)), **options)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(uploads.keep)
            yield Client(uploads), uploads, graph
            nursery.cancel_scope.cancel()
        await uploads.aclose()
    assert list(tmp_path.iterdir()) == []


def files(tmp_path):
    return sorted(path for path in tmp_path.rglob("*") if path.is_file())


async def test_file_comes_in_pieces_and_is_the_answer(tmp_path):
    """A path in a private directory, with a name of ours, and what was announced as its type."""
    content = random.Random(1).randbytes(300_000)
    async with uploading(tmp_path) as (client, uploads, graph):
        upload = await client.begin(len(content))
        assert files(tmp_path) == []
        for offset in range(0, len(content), uploads.chunk_bytes):
            piece = content[offset : offset + uploads.chunk_bytes]
            assert await client.chunk(upload, offset, piece) == offset + len(piece)
        assert await client.end(upload) == {}
        await wait_all_tasks_blocked()
        ((path, mime_type),) = graph.answers
        assert mime_type == "image/png"
        assert isinstance(path, Path)
        assert path.read_bytes() == content
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert len(path.name) == 32
        assert path.is_absolute()
        with pytest.raises(JobError, match="there is no upload 'u1' of yours"):
            await client.end(upload)


async def test_empty_file_is_one(tmp_path):
    """Announced as such."""
    async with uploading(tmp_path) as (client, _, graph):
        await client.end(await client.begin(0))
        await wait_all_tasks_blocked()
        assert graph.answers[0][0].read_bytes() == b""


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ({}, "panel.upload.begin: question is missing"),
        ({"question": "q1"}, "size is missing"),
        ({"question": "q1", "size": -1}, "size must be a whole number >= 0, not -1"),
        ({"question": "q1", "size": 1.5}, "size must be a whole number >= 0, not 1.5"),
        ({"question": "q1", "size": True}, "size must be a whole number >= 0, not True"),
        ({"question": "q1", "size": "5"}, "size must be a whole number >= 0, not '5'"),
        ({"question": "q1", "size": 1}, "mime_type is missing"),
        ({"question": "q1", "size": 1, "mime_type": "png"}, "'png' is no MIME type"),
        ({"question": "q1", "size": 1, "mime_type": "image/*"}, "'image/\\*' is no MIME type"),
        ({"question": "q1", "size": 1, "mime_type": "text/html"}, "Ask accepts image/\\* as an"),
        ({"question": "q1", "size": 100 * MIB + 1, "mime_type": "image/png"}, "104,857,600 bytes"),
        ({"question": "q1", "size": 10**400, "mime_type": "image/png"}, "very many digits"),
    ],
)
async def test_bad_announcement_is_refused(tmp_path, data, error):
    """And leaves nothing."""
    async with uploading(tmp_path) as (_, uploads, _):
        with pytest.raises(ValueError, match=error):
            await uploads.begin(of("begin", data), "s1", "c1")
        assert not uploads.open_files


@pytest.mark.parametrize(
    ("offset", "data", "error"),
    [
        (1, b"ab", "offset must be 0, as so many bytes are there, not 1"),
        (-1, b"ab", "offset must be a whole number >= 0, not -1"),
        (None, b"ab", "offset must be a whole number >= 0, not None"),
        (0, 5, "data must be a text, not 5"),
        (0, None, "data must be a text, not None"),
        (0, "", "data must be 1 to 131,072 bytes, not 0"),
        (0, "YW", "data is no base64"),
        (0, "YWI=\n", "data is no base64"),
        (0, "YW I=", "data is no base64"),
        (0, "YWI=YWI=", "data is no base64"),
        (0, "é", "data is no base64"),
        (0, "\ud800", "data is no base64"),
        (0, "YW-_", "data is no base64"),
        (0, b"abcdef", "the file would have 6 bytes, and 5 were announced"),
        (0, b"a" * (131_072 + 1), "data must be 1 to 131,072 bytes, not 131,073"),
        (0, "A" * 1_000_000, "data may have 174,764 characters, not 1,000,000"),
    ],
)
async def test_bad_piece_is_refused(tmp_path, offset, data, error):
    """And the right one is taken after it."""
    async with uploading(tmp_path) as (client, _, graph):
        upload = await client.begin(5)
        with pytest.raises(ValueError, match=error):
            await client.chunk(upload, offset, data)
        assert await client.chunk(upload, 0, b"abc") == 3
        with pytest.raises(ValueError, match="offset must be 3"):
            await client.chunk(upload, 0, b"abc")
        with pytest.raises(JobError, match="has 3 of 5 bytes: send the rest first"):
            await client.end(upload)
        assert await client.chunk(upload, 3, b"de") == 5
        await client.end(upload)
        await wait_all_tasks_blocked()
        assert graph.answers[0][0].read_bytes() == b"abcde"


async def test_upload_is_its_clients_alone(tmp_path):
    """Others of the same session can't even see that it is there."""
    async with uploading(tmp_path) as (client, uploads, _):
        upload = await client.begin(5)
        other = Client(uploads, "c2")
        for attempt in (
            lambda: other.chunk(upload, 0, b"a"),
            lambda: other.end(upload),
            lambda: trio.to_thread.run_sync(other.cancel, upload),
            lambda: client.chunk("u9", 0, b"a"),
        ):
            with pytest.raises(JobError, match=r"there is no upload 'u[19]' of yours"):
                await attempt()
        with pytest.raises(ValueError, match="upload must be a text, not 5"):
            await client.end(5)


async def test_cancelled_upload_is_removed(tmp_path):
    """And others go on."""
    async with uploading(tmp_path) as (client, _, _):
        first, second = await client.begin(5), await client.begin(5)
        await client.chunk(first, 0, b"abc")
        await client.chunk(second, 0, b"abc")
        assert len(files(tmp_path)) == 2
        assert client.cancel(first) == {}
        await until(lambda: len(files(tmp_path)) == 1)
        with pytest.raises(JobError, match="no upload 'u1' of yours"):
            await client.chunk(first, 3, b"de")
        assert await client.chunk(second, 3, b"de") == 5


async def until(condition):
    with trio.fail_after(5):
        while not condition():  # noqa: ASYNC110
            await trio.sleep(0.005)


async def test_what_a_client_leaves_behind_is_removed(tmp_path):
    """What others have begun is not."""
    async with uploading(tmp_path) as (client, uploads, graph):
        other = Client(uploads, "c2")
        for one in (client, client, other):
            await one.chunk(await one.begin(5), 0, b"abc")
        uploads.client_gone(client.name)
        await until(lambda: len(files(tmp_path)) == 1)
        await other.chunk("u3", 3, b"de")
        await other.end("u3")
        uploads.client_gone(other.name)
        await wait_all_tasks_blocked()
        assert graph.answers[0][0].exists()


async def test_idle_upload_is_removed(tmp_path, monkeypatch):
    """After some time without a piece; each piece gives it more."""
    monkeypatch.setattr(_uploads, "MAX_IDLE", 0.3)
    async with uploading(tmp_path) as (client, _, _):
        upload = await client.begin(50)
        for number in range(5):
            await client.chunk(upload, number, b"a")
            await trio.sleep(0.15)
        assert len(files(tmp_path)) == 1
        await until(lambda: not files(tmp_path))
        with pytest.raises(JobError, match=r"took longer than 0.3 s for a piece"):
            await client.chunk(upload, 5, b"a")


async def test_sessions_have_a_quota(tmp_path):
    """Of bytes that are announced or there, and of uploads at once."""
    async with uploading(tmp_path) as (client, uploads, _):
        await client.begin(60 * MIB)
        second = await client.begin(40 * MIB)
        with pytest.raises(JobError, match="may have 104,857,600 bytes together"):
            await client.begin(1)
        await Client(uploads, "c2", "s2").begin(100 * MIB)
        client.cancel(second)
        await wait_all_tasks_blocked()
        for _ in range(3):
            await client.begin(0)
        with pytest.raises(JobError, match="4 uploads are open already: end or cancel one"):
            await client.begin(0)
        with pytest.raises(JobError, match="4 uploads are open already"):
            await Client(uploads, "c3", "s1").begin(0)


async def test_all_sessions_have_a_quota(tmp_path):
    """The panel's disk is not theirs."""
    async with uploading(tmp_path) as (_, uploads, _):
        for number in range(10):
            await Client(uploads, f"c{number}", f"s{number}").begin(100 * MIB)
        with pytest.raises(JobError, match="no room for further files"):
            await Client(uploads, "c11", "s11").begin(100 * MIB)
        await Client(uploads, "c11", "s11").begin(20 * MIB)


async def test_quota_counts_what_handlers_have_got_until_they_remove_it(tmp_path, monkeypatch):
    """A handler that is done with a file removes it, and makes room."""
    monkeypatch.setattr(_uploads, "MAX_SESSION_BYTES", 10)
    async with uploading(tmp_path, 1, 2) as (client, _, graph):
        upload = await client.begin(8)
        await client.chunk(upload, 0, b"12345678")
        await client.end(upload)
        await wait_all_tasks_blocked()
        with pytest.raises(JobError, match="no room for this one"):
            await client.begin(8, "q2")
        graph.answers[0][0].unlink()
        await client.begin(8, "q2")


async def test_question_closed_meanwhile_gives_the_upload_up(tmp_path):
    """At the next piece, or at the end; its file goes, and somebody else's answer stays."""
    async with uploading(tmp_path, mime_types=("*/*",)) as (client, uploads, graph):
        first, second = await client.begin(5), await client.begin(1)
        await client.chunk(first, 0, b"abc")
        await client.chunk(second, 0, b"a")
        uploads.questions.answer(Input.of("panel.answer", {"question": "q1", "text": "typed"}))
        with pytest.raises(JobError, match="there is no open question 'q1'"):
            await client.chunk(first, 3, b"de")
        with pytest.raises(JobError, match="there is no open question 'q1'"):
            await client.end(second)
        await until(lambda: not files(tmp_path))
        with pytest.raises(JobError, match="there is no open question 'q1'"):
            await client.begin(5)
        assert graph.answers == [("typed", "text/plain")]


async def test_pieces_at_once_are_taken_one_by_one(tmp_path):
    """Who comes out of order is told, and nothing is written twice."""
    async with uploading(tmp_path) as (client, _, _):
        upload = await client.begin(100)
        results = []

        async def send():
            try:
                results.append(await client.chunk(upload, 0, b"a" * 10))
            except ValueError as error:
                results.append(str(error))

        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(send)
        assert results.count(10) == 1
        assert sum("offset must be 10" in str(one) for one in results) == 4
        assert [path.stat().st_size for path in files(tmp_path)] == [10]


async def test_client_that_goes_while_a_piece_is_written_leaves_nothing(tmp_path):
    """Whatever the thread that writes does."""
    async with uploading(tmp_path) as (client, uploads, _):
        for number in range(20):
            upload = await client.begin(100)

            async def send(upload=upload):
                with pytest.raises(JobError):
                    for offset in range(100):
                        await client.chunk(upload, offset, b"a")

            async with trio.open_nursery() as nursery:
                nursery.start_soon(send)
                await trio.sleep(0.0002 * number)
                uploads.client_gone(client.name)
        await until(lambda: not files(tmp_path))


async def test_disk_that_fails_is_told(tmp_path):
    """Without its path; what was begun is given up, and the next one works."""
    async with uploading(tmp_path) as (client, _, _):
        upload = await client.begin(5)
        await client.chunk(upload, 0, b"abc")
        (path,) = files(tmp_path)
        path.unlink()
        with pytest.raises(JobError, match=r"can't be written: No such file or directory$"):
            await client.chunk(upload, 3, b"de")
        assert await client.chunk(await client.begin(5), 0, b"abc") == 3


@pytest.mark.parametrize("instead", [None, "link"])
async def test_directory_that_was_tidied_away_is_made_anew(tmp_path, instead):
    """A system that removes old temporary files ends the uploads there are, and no others."""
    other = tmp_path / "other"
    async with uploading(tmp_path) as (client, _, graph):
        upload = await client.begin(4)
        await client.chunk(upload, 0, b"ab")
        (file,) = files(tmp_path)
        shutil.rmtree(file.parent)
        if instead == "link":
            other.mkdir()
            file.parent.symlink_to(other)
        with pytest.raises(JobError, match="can't be written: No such file"):
            await client.chunk(upload, 2, b"cd")
        upload = await client.begin(2)
        await client.chunk(upload, 0, b"ef")
        await client.end(upload)
        await wait_all_tasks_blocked()
        ((path, _),) = graph.answers
        assert path.read_bytes() == b"ef"
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        if instead == "link":
            assert list(other.iterdir()) == []
            file.parent.unlink()
            other.rmdir()


async def test_file_that_is_there_is_not_written_into(tmp_path):
    """Nor is what a link points to: a file begins with what is written at 0."""
    folder, other = Folder(str(tmp_path)), tmp_path / "other"
    other.write_bytes(b"mine")
    await folder.write("first", 0, b"ab")
    with pytest.raises(FileExistsError):
        await folder.write("first", 0, b"cd")
    folder.path_of("second").symlink_to(other)
    for offset in (0, 4):
        with pytest.raises(OSError, match="second"):
            await folder.write("second", offset, b"theirs")
    assert folder.path_of("first").read_bytes() == b"ab"
    assert other.read_bytes() == b"mine"
    await folder.aclose()
    assert list(tmp_path.iterdir()) == [other]


async def test_without_a_place_for_files_it_is_told(tmp_path):
    """The panel works but for uploads."""
    async with asked(graph=asking("*/*")) as (of_graph, _):
        client = Client(Uploads(of_graph, Folder(str(tmp_path / "nowhere"))))
        with pytest.raises(JobError, match="No such file or directory"):
            await client.chunk(await client.begin(5), 0, b"abc")
        await client.uploads.aclose()


class CancelAt(trio.abc.Instrument):
    """Cancels ``scope`` after the n-th step of any Trio task. In real time, as threads are."""

    def __init__(self, at):
        self.left = at
        self.scope = trio.CancelScope()

    def after_task_step(self, task):
        self.left -= 1
        if self.left == 0:
            self.scope.cancel()


def test_nothing_is_left_whenever_it_is_cancelled(tmp_path):
    """At each step of an upload, with the graph that has asked."""
    answered = []

    async def scenario():
        of_graph, graph = questions(), asking("image/png")
        uploads = Uploads(of_graph, Folder(str(tmp_path)))
        of_graph.adopt(graph)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(uploads.keep)
                async with graph.open():
                    await graph.add_work(graph.workers[0], A(n=1))
                    with trio.fail_after(5):
                        while not ids_of(of_graph):
                            await trio.lowlevel.checkpoint()
                    client = Client(uploads)
                    upload, other = await client.begin(5), await client.begin(5)
                    # As they are cancelled, the question may be gone already.
                    with contextlib.suppress(JobError):
                        await client.chunk(other, 0, b"a")
                        await client.chunk(upload, 0, b"abcde")
                        client.cancel(other)
                        await client.end(upload)
                nursery.cancel_scope.cancel()
        finally:
            of_graph.close()
            await uploads.aclose()
            answered.append(len(graph.answers))
            assert list(tmp_path.iterdir()) == []
            assert graph.get_user_request_callback() is None
            assert ids_of(of_graph) == []

    async def cancelled(canceller):
        with canceller.scope:
            await scenario()

    at = 0
    while True:
        at += 1
        canceller = CancelAt(at)
        trio.run(cancelled, canceller, instruments=[canceller])
        if canceller.left > 0:
            break
    assert at > 20
    assert answered[0] == 0
    assert answered[-1] == 1


@settings(max_examples=30, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 10), max_size=6),
    size=st.integers(0, 30),
    extra=st.integers(-1, 1),
)
def test_any_pieces_make_the_file(sizes, size, extra):
    """Exactly when they are as many bytes as were announced, in order."""
    content = bytes(range(sum(sizes)))
    announced = max(0, len(content) + extra) if size % 2 else size

    async def main():
        async with asked(graph=asking("*/*")) as (of_graph, graph):
            uploads = Uploads(of_graph)
            client = Client(uploads)
            upload, at, fits = await client.begin(announced), 0, True
            for piece in sizes:
                try:
                    await client.chunk(upload, at, content[at : at + piece])
                except ValueError:
                    fits = False
                    assert at + piece > announced
                    break
                at += piece
            try:
                await client.end(upload)
            except JobError:
                assert at != announced
            else:
                assert at == announced
                assert not fits or at == len(content)
                await wait_all_tasks_blocked()
                assert graph.answers[0][0].read_bytes() == content[:at]
            await uploads.aclose()

    trio.run(main)


def test_quota_is_what_it_says():
    """In bytes."""
    assert MAX_SESSION_BYTES == 100 * MIB
