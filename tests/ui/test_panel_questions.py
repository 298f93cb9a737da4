"""Questions of graphs, and their answers, without a server."""

import pytest
import trio
from flows import A, found
from panels import NOW, asked, asking, ids_of, questions
from trio.testing import wait_all_tasks_blocked

from trioworkers.errors import JobError
from trioworkers.ui.panel._input import Input
from trioworkers.ui.panel._questions import MAX_INSTRUCTION, MAX_QUESTIONS, Questions


def answer(of: Questions, **data):
    return of.answer(Input.of("panel.answer", data))


async def test_question_is_shown_until_it_is_answered(autojump_clock):
    """With whose it is and what may be answered."""
    async with asked(7) as (of, graph):
        shown = of.describe(lambda one: one.name)
        assert shown == {
            "questions": [
                {
                    "id": "q1",
                    "graph": "asking",
                    "worker": "Ask",
                    "provenance": "InitialTaskWorker:1",
                    "instruction": "what, 7?",
                    "accepted_mime_types": ["text/plain"],
                    "asked_at": int(NOW * 1000),
                }
            ],
            "more_questions": 0,
        }
        assert answer(of, question="q1", text="that") == {}
        await wait_all_tasks_blocked()
        assert ids_of(of) == []
        assert graph.answers == [("that", "text/plain")]
    assert found(graph) == [7]


@pytest.mark.parametrize(
    ("accepted", "sent", "given"),
    [
        (["text/plain"], None, "text/plain"),
        (["text/*"], None, "text/plain"),
        (["*/*"], None, "text/plain"),
        (["image/png", "text/html"], None, "text/html"),
        (["text/html"], "text/html; charset=utf-8", "text/html; charset=utf-8"),
        (["application/json"], "application/json", "application/json"),
    ],
)
async def test_mime_type_of_a_text(autojump_clock, accepted, sent, given):
    """As it is sent, or one that fits."""
    async with asked(graph=asking(*accepted)) as (of, graph):
        answer(of, question="q1", text="{}", mime_type=sent)
        await wait_all_tasks_blocked()
        assert graph.answers == [("{}", given)]


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ({}, "panel.answer: question is missing"),
        ({"question": 1, "text": ""}, "question must be a text, not 1"),
        ({"question": "q1"}, "text is missing"),
        ({"question": "q1", "text": ["a"]}, "text must be a text, not an array"),
        ({"question": "q1", "text": "\ud800"}, "text is no Unicode text"),
        ({"question": "q1", "text": "", "mime_type": 1}, "mime_type must be a text, not 1"),
        ({"question": "q1", "text": "", "mime_type": "plain"}, "'plain' is no MIME type"),
        ({"question": "q1", "text": "", "mime_type": "text/*"}, "is no MIME type"),
        ({"question": "q1", "text": "", "mime_type": "a/b\nc"}, "is no MIME type"),
        ({"question": "q1", "text": "", "mime_type": "a/" + "b" * 200}, "may have 120 characters"),
        ({"question": "q1", "text": "", "mime_type": "image/png"}, "Ask accepts text/plain as an"),
    ],
)
async def test_bad_answer_is_refused(autojump_clock, data, error):
    """And the question is still open."""
    async with asked() as (of, _):
        with pytest.raises(ValueError, match=error):
            answer(of, **data)
        assert ids_of(of) == ["q1"]


@pytest.mark.parametrize("name", ["q2", "", "\x00", "q1 ", "x" * 40])
async def test_unknown_question_is_refused(autojump_clock, name):
    """Shortly."""
    async with asked() as (of, _):
        with pytest.raises(JobError, match="there is no open question"):
            answer(of, question=name, text="")


async def test_question_counts_one_answer(autojump_clock):
    """The second one is told, also before the handler has gone on."""
    async with asked() as (of, graph):
        answer(of, question="q1", text="first")
        with pytest.raises(JobError, match="there is no open question 'q1': it was answered"):
            answer(of, question="q1", text="second")
        await wait_all_tasks_blocked()
        assert graph.answers == [("first", "text/plain")]


async def test_question_goes_with_its_time(autojump_clock):
    """Nobody waits for an answer any more."""
    async with asked(graph=asking(timeout=5)) as (of, _):
        await trio.sleep(6)
        assert ids_of(of) == []
        with pytest.raises(JobError, match="not waited for any more"):
            answer(of, question="q1", text="late")


async def test_question_goes_with_its_task(autojump_clock):
    """When that is aborted."""
    async with asked() as (of, graph):
        graph.abort_work((("InitialTaskWorker", 1),))
        await wait_all_tasks_blocked()
        assert ids_of(of) == []


async def test_question_goes_with_a_cancelled_graph(autojump_clock):
    """Which asks nobody any more."""
    of, graph = questions(), asking()
    of.adopt(graph)
    with trio.move_on_after(5):
        await graph.run([A()])
    assert ids_of(of) == []
    assert graph.get_user_request_callback() is not None
    of.close()
    assert graph.get_user_request_callback() is None


async def test_closing_tells_those_who_wait(autojump_clock):
    """Their tasks fail, with an error that says why; nobody else is asked from then on."""
    of, graph = questions(), asking()
    of.adopt(graph)
    async with graph.open(on_failure="collect") as opened:
        for number in (1, 2):
            await graph.add_work(graph.workers[0], A(n=number))
        await wait_all_tasks_blocked()
        of.close()
        of.close()
        await wait_all_tasks_blocked()
        assert len(opened.failures) == 2
        assert "nobody has answered Ask as the panel was closed" in str(opened.failures[0].error)
        assert ids_of(of) == []
        assert graph.get_user_request_callback() is None
        of.adopt(graph)
        assert graph.get_user_request_callback() is None


async def test_who_asks_when_it_is_closed_is_told(autojump_clock):
    """It was about to ask as it was closed."""
    of, graph = questions(), asking()
    of.adopt(graph)
    callback = graph.get_user_request_callback()
    of.close()
    graph.set_user_request_callback(callback)
    (failure,) = await graph.run([A()], on_failure="collect")
    assert "nobody has answered Ask as the panel was closed" in str(failure.error)


async def test_answer_and_closing_at_once_is_an_answer(autojump_clock):
    """What was taken counts."""
    async with asked() as (of, graph):
        answer(of, question="q1", text="in time")
        of.close()
        await wait_all_tasks_blocked()
        assert graph.answers == [("in time", "text/plain")]


async def test_somebody_else_who_is_asked_stays_so():
    """A callback that was there before, and one that came after."""
    mine, graph, of = (lambda *_: None), asking(), questions()
    graph.set_user_request_callback(mine)
    of.adopt(graph)
    assert of.graphs == ()
    other = asking()
    of.adopt(other)
    other.set_user_request_callback(mine)
    of.close()
    assert graph.get_user_request_callback() is mine
    assert other.get_user_request_callback() is mine


async def test_graph_is_adopted_once():
    """Twice is the same."""
    of, graph = questions(), asking()
    of.adopt(graph)
    callback = graph.get_user_request_callback()
    of.adopt(graph)
    assert graph.get_user_request_callback() is callback
    of.release([graph, asking()])
    assert graph.get_user_request_callback() is None


async def test_many_and_long_questions_are_bounded(autojump_clock):
    """The oldest are shown, cut, and the rest counted; answering makes room."""
    graph = asking(*[f"text/{n}{'x' * 300}" for n in range(50)], "text/plain")
    graph.workers[0].name = "n" * 1000
    async with asked(*range(MAX_QUESTIONS + 7), graph=graph) as (of, _):
        shown = of.describe(lambda _: "g")
        assert len(shown["questions"]) == MAX_QUESTIONS
        assert shown["more_questions"] == 7
        first = shown["questions"][0]
        assert len(first["worker"]) == 200
        assert len(first["accepted_mime_types"]) == 20
        assert max(map(len, first["accepted_mime_types"])) == 120
        assert len(first["instruction"]) <= MAX_INSTRUCTION
        answer(of, question=first["id"], text="", mime_type="text/plain")
        await wait_all_tasks_blocked()
        assert of.describe(lambda _: "g")["more_questions"] == 6


async def test_thread_that_asks_is_answered():
    """A plain ``def`` waits in its thread."""
    from flows import B, line, make

    def ask(self, task: A):
        data, _ = self.request_user_input(task, "?", ["text/plain"])
        self.publish_work(B(n=len(data)))

    of, graph = questions(), line(make(ask, B), sink=B)
    of.adopt(graph)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(graph.run, [A()])
        with trio.fail_after(5):
            while not ids_of(of):  # noqa: ASYNC110
                await trio.sleep(0.01)
        answer(of, question="q1", text="four")
    assert found(graph) == [4]
