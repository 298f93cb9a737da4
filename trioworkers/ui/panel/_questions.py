"""What handlers of graphs want to know from a person, until somebody answers."""

import re
from collections.abc import Callable, Iterable
from functools import partial
from itertools import count, islice
from typing import Any

import attrs
import trio
from trio.lowlevel import enable_ki_protection

from ...errors import JobError, NoAnswerError
from ...graph import Graph, UserRequest
from ._input import Input, clip
from ._traces import provenance_text

#: Questions that are listed.
MAX_QUESTIONS = 100
#: Characters of an instruction that are shown.
MAX_INSTRUCTION = 4_000
#: Characters of an answer. What a client may send at once is less, by default.
MAX_ANSWER = 10_000_000
#: MIME types of one question that are shown, and characters of one.
MAX_MIME_TYPES = 20
MAX_MIME_TYPE = 120

_WORD = r"[A-Za-z0-9!#$&^_.+-]+"
_MIME_TYPE = re.compile(rf"{_WORD}/{_WORD}(?:[ \t]*;[\x20-\x7e]*)?", re.ASCII)

_Callback = Callable[[dict[str, Any], UserRequest], object]


@attrs.define(eq=False)
class Question:
    """One question that is open.

    Attributes:
      id: What clients call it.
      graph: Whose handler asks.
      request: What it asks.
      asked_at: When, in milliseconds since 1970.
      scope: Cancelled when nobody can answer any more.
    """

    id: str
    graph: Graph
    request: UserRequest
    asked_at: int
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)


@attrs.define(eq=False)
class Questions:
    """The open questions of graphs, the oldest first, and their answers.

    A question is open while its handler waits: until it is answered, its time is up, its
    task was aborted, or the questions are closed, which its handler is told.

    Attributes:
      clock: Gives the wall time as Unix seconds.
    """

    clock: Callable[[], float]
    _open: dict[str, Question] = attrs.field(factory=dict)
    _numbers: "count[int]" = attrs.field(factory=lambda: count(1))
    _callbacks: dict[Graph, _Callback] = attrs.field(factory=dict)
    _is_closed: bool = False

    # Who is asked

    @enable_ki_protection
    def adopt(self, graph: Graph) -> None:
        """Be asked what the handlers of a graph want to know, unless somebody else is already."""
        if not self._is_closed and graph.get_user_request_callback() is None:
            callback = self._callbacks[graph] = partial(self.ask, graph)
            graph.set_user_request_callback(callback)

    @enable_ki_protection
    def release(self, graphs: Iterable[Graph]) -> None:
        """Be asked no more, where nobody else has been made the one to ask meanwhile."""
        for graph in graphs:
            callback = self._callbacks.pop(graph, None)
            if callback is not None and graph.get_user_request_callback() is callback:
                graph.set_user_request_callback(None)

    @property
    def graphs(self) -> tuple[Graph, ...]:
        """The graphs that were adopted and not released."""
        return tuple(self._callbacks)

    @enable_ki_protection
    def close(self) -> None:
        """Be asked no more, and tell those who still wait that nobody answers."""
        self._is_closed = True
        self.release(self.graphs)
        for question in self._open.values():
            question.scope.cancel()

    @enable_ki_protection
    async def ask(self, graph: Graph, metadata: dict[str, Any], request: UserRequest) -> None:
        """Show a question until it is answered. What a graph calls.

        Raises:
          NoAnswerError: The panel was closed.
        """
        if self._is_closed:
            raise NoAnswerError(request.worker, "as the panel was closed")
        name = f"q{next(self._numbers)}"
        question = Question(name, graph, request, int(self.clock() * 1000))
        self._open[name] = question
        try:
            with question.scope:
                await request.wait()
        finally:
            del self._open[name]
        if question.scope.cancelled_caught:
            raise NoAnswerError(request.worker, "as the panel was closed")

    # What clients see and say

    def describe(self, ids: Callable[[Graph], str]) -> dict[str, Any]:
        """Return the first `MAX_QUESTIONS`, and how many more there are.

        Args:
          ids: Returns what clients call a graph.
        """
        shown = islice(self._open.values(), MAX_QUESTIONS)
        return {
            "questions": [_described(one, ids(one.graph)) for one in shown],
            "more_questions": max(0, len(self._open) - MAX_QUESTIONS),
        }

    def find(self, name: str) -> Question:
        """Return an open question.

        Raises:
          JobError: There is none of that name.
        """
        question = self._open.get(name)
        if question is None or not question.request.is_open:
            raise JobError(
                f"there is no open question {clip(name, 40)!r}: it was answered, or is not "
                "waited for any more"
            )
        return question

    def answer(self, asked: Input) -> dict[str, Any]:
        """Answer a question with a text.

        Raises:
          ValueError: The input is wrong, or the question doesn't accept that MIME type.
          JobError: It is not open.
        """
        question = self.find(asked.text("question", 40))
        text = asked.text("text", MAX_ANSWER)
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"{asked.service}: text is no Unicode text ({error.reason})") from None
        mime_type = asked.optional_text("mime_type", MAX_MIME_TYPE)
        if mime_type is None:
            mime_type = _text_type(question.request)
        check_mime_type(asked.service, question.request, mime_type)
        question.request.answer(text, mime_type)
        return {}


def check_mime_type(service: str, request: UserRequest, mime_type: str) -> None:
    """Refuse what is no MIME type, or none that a request accepts.

    Raises:
      ValueError: It is refused; it says what is accepted.
    """
    if _MIME_TYPE.fullmatch(mime_type) is None:
        raise ValueError(
            f"{service}: {clip(mime_type, 40)!r} is no MIME type; text/plain would be one"
        )
    if not request.accepts(mime_type):
        accepted = ", ".join(_mime_types(request))
        raise ValueError(
            f"{service}: {clip(request.worker, 100)} accepts {accepted} as an answer, not "
            f"{mime_type!r}"
        )


def _text_type(request: UserRequest) -> str:
    """Return the MIME type of a text that a person has typed."""
    texts = (one for one in request.accepted_mime_types if one.lower().startswith("text/"))
    named = (one for one in texts if "*" not in one)
    return "text/plain" if request.accepts("text/plain") else next(named, "text/plain")


def _mime_types(request: UserRequest) -> list[str]:
    return [clip(one, MAX_MIME_TYPE) for one in request.accepted_mime_types[:MAX_MIME_TYPES]]


def _described(question: Question, graph: str) -> dict[str, Any]:
    request = question.request
    return {
        "id": question.id,
        "graph": graph,
        "worker": clip(request.worker),
        "provenance": provenance_text(request.provenance),
        "instruction": clip(request.instruction, MAX_INSTRUCTION),
        "accepted_mime_types": _mime_types(request),
        "asked_at": question.asked_at,
    }
