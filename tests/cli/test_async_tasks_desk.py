"""The desk and its researchers, without a server."""

import pytest
import trio

from trioworkers import BaseWorker, BusJobRequestMessage, JobError, JobGroupEvent, WorkerRunner, job
from trioworkers.cli.async_tasks import Desk, Reply, make_researchers
from trioworkers.cli.async_tasks._desk import MAX_SEARCHES
from trioworkers.cli.async_tasks._researchers import BEST, BLOCKS, STDLIB_PAUSE
from trioworkers.cli.research import FilesResearcher, Manner, ResearchQuery
from trioworkers.ui import BusUIEventMessage
from trioworkers.ui._messages import TEXT_EVENT


class Topics:
    """A responder that takes each line for a topic."""

    async def respond(self, text):
        await trio.lowlevel.checkpoint()
        return Reply("Well.", tuple(text.splitlines()))


class Fake(BaseWorker):
    """Finds something in the end."""

    gate = None

    @job(name="research")
    async def research(self, message: BusJobRequestMessage, query: ResearchQuery):
        if query.text == "trouble":
            raise JobError("no books")
        if self.gate is not None:
            await self.gate.wait()
        return {"found": 7, "paths": list(query.paths)}


class Spoken(Desk):
    """Notes what it says."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.said = []

    async def send_text(self, text, **kwargs):
        self.said.append(text)
        await super().send_text(text, **kwargs)


async def ask(desk, text):
    await desk.wait_running()
    event = BusUIEventMessage(TEXT_EVENT, {"content": text}, source="x")
    await desk.on_user_text(event)


async def test_each_topic_is_a_group_and_its_end_is_told(autojump_clock):
    """What one worker lacks, others have found."""
    told = []
    desk = Spoken(["a", "b"], responder=Topics(), paths=("here",), tell=told.append)
    async with WorkerRunner() as runner:
        await runner.add_workers(desk, Fake("a"), Fake("b"))
        await ask(desk, "tea\ntrouble")
        assert desk.said == ["Well."]
        await trio.testing.wait_all_tasks_blocked()
    assert told[:2] in (
        ["research 'tea'", "research 'trouble'"],
        ["research 'trouble'", "research 'tea'"],
    )
    assert set(told[2:]) == {
        "research 'tea': a found 7, b found 7",
        "research 'trouble': a failed, b failed",
    }


async def test_searches_in_hand_are_bounded(autojump_clock):
    """Who wants more is told to wait; when they have ended there is room again."""
    told = []
    desk = Spoken(["a"], responder=Topics(), paths=(".",), tell=told.append)
    fake = Fake("a")
    fake.gate = trio.Event()
    async with WorkerRunner() as runner:
        await runner.add_workers(desk, fake)
        await ask(desk, "\n".join(f"topic {number}" for number in range(MAX_SEARCHES)))
        await ask(desk, "more")
        assert "20 searches are in hand" in desk.said[-1]
        fake.gate.set()
        await trio.testing.wait_all_tasks_blocked()
        await ask(desk, "more")
        assert desk.said[-1] == "Well."
    assert sum("found 7" in line for line in told) == MAX_SEARCHES + 1


async def research(researcher, text, *paths):
    updates = []
    async with WorkerRunner() as runner:
        await runner.add_workers(researcher)
        query = ResearchQuery(text, tuple(map(str, paths)))
        async with runner.job(researcher.name, name="research", payload=query) as job:
            async for event in job:
                if event.type == JobGroupEvent.UPDATE:
                    updates.append(event.data)
    return updates, job.response


async def test_the_best_findings_are_in_the_response(tmp_path):
    """After an update that says that they are being chosen."""
    for number in range(BEST + 3):
        (tmp_path / f"{number}.txt").write_text("about tea\n" * (number + 1))
    updates, response = await research(FilesResearcher(manner=Manner(BEST)), "tea", tmp_path)
    assert updates[0]["stage"] == "listing"
    assert updates[-1] == {"stage": "summarizing", "done": 8, "total": 8, "found": 8}
    scores = [result["score"] for result in response.pop("results")]
    assert len(scores) == BEST
    assert scores == sorted(scores, reverse=True)
    assert response == {"found": 8, "searched": 8, "skipped": {}}


async def test_a_pace_makes_blocks_small_and_rests_between_them(tmp_path, mock_clock):
    """So that a person can see it, and step in."""
    mock_clock.rate = 1000
    for number in range(10):
        (tmp_path / f"{number}.txt").write_text("tea")
    slow = FilesResearcher(manner=Manner(blocks=5, pause=2.0))
    began = trio.current_time()
    updates, _ = await research(slow, "tea", tmp_path)
    assert trio.current_time() - began >= 5 * 2.0 + 2 * 4 * 2.0
    assert [update["done"] for update in updates] == [0, 2, 4, 6, 8, 10, 10]


def test_the_slow_ones_take_their_time_each_at_its_own_pace():
    """Long enough to find the Cancel button, and not much longer."""
    assert 8 < (BLOCKS + 8) * STDLIB_PAUSE < 20
    names = [researcher.name for researcher in make_researchers(slow=True)]
    assert names == ["files", "stdlib", "packages"]


@pytest.mark.parametrize("wrong", [{"best": -1}, {"blocks": -1}, {"pause": -0.1}])
def test_a_manner_that_makes_no_sense_is_refused(wrong):
    """Naming what is wrong."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Manner(**wrong)
