"""Servers that attach to a UI worker and note what they are told, and peers for its groups."""

from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio
from support import assert_quiet, hosting
from trio.testing import wait_all_tasks_blocked

from trioworkers import BaseWorker, JobError, WorkerRunner, job
from trioworkers.ui import (
    BaseUIWorker,
    BusUIEventMessage,
    BusUIGroupMessage,
    BusUIJobCompletedMessage,
    BusUIJobGroupCompletedMessage,
    BusUIJobGroupStartedMessage,
    BusUIJobUpdateMessage,
    BusUIMessage,
    BusUIResponseMessage,
    ui_event,
)
from trioworkers.ui._messages import ATTACH_JOB


class Server(BaseWorker):
    """Attaches to a UI worker when it starts, and notes what it is told.

    Attributes:
      told: All messages since it has attached last.
      ends: How each attachment has ended: None, or the error.
    """

    def __init__(self, name: str = "server", *, desk: str = "desk", again: bool = False) -> None:
        super().__init__(name)
        self.desk = desk
        self.again = again
        self.told: list[BusUIMessage] = []
        self.ends: list[JobError | None] = []
        self.scope = trio.CancelScope()

    async def start(self) -> None:
        self.nursery.start_soon(self._keep_attached)
        await super().start()

    async def _keep_attached(self) -> None:
        with self.scope:
            while True:
                await self.attach_once()
                if not self.again:
                    return
                await trio.sleep(1)

    async def attach_once(self) -> None:
        self.told = []
        try:
            await self.call(self.desk, name=ATTACH_JOB)
        except JobError as error:
            self.ends.append(error)
        else:
            self.ends.append(None)

    def begin_ending(self) -> None:
        super().begin_ending()
        self.scope.cancel()

    def on_delivery(self, message: Any) -> Any:
        if isinstance(message, BusUIMessage):
            self.told.append(message)
            return None
        return super().on_delivery(message)

    async def do(
        self, event: str, payload: Any = None, session: Any = None, request_id: Any = "?"
    ) -> None:
        """Send an event."""
        await self.send_bus_message(
            BusUIEventMessage(
                event,
                payload,
                session=session,
                request_id=request_id,
                source=self.name,
                target=self.desk,
            )
        )

    async def ask(self, event: str, payload: Any = None, session: Any = None) -> Any:
        """Send an event; return its response, once all is quiet."""
        before = len(self.responses)
        await self.do(event, payload, session)
        await wait_all_tasks_blocked()
        (response,) = self.responses[before:]
        return response

    @property
    def responses(self) -> list[BusUIResponseMessage]:
        return [m for m in self.told if isinstance(m, BusUIResponseMessage)]

    @property
    def group_news(self) -> list[BusUIGroupMessage]:
        return [m for m in self.told if isinstance(m, BusUIGroupMessage)]


class Desk(BaseUIWorker):
    """A UI worker whose clients start groups by events."""

    @ui_event("start")
    async def start_group(self, message: BusUIEventMessage) -> str:
        return await self.start_user_job_group(
            *message.payload["workers"], name="work", label="a group"
        )


class Peer(BaseWorker):
    """Works for ``seconds``, says so, and ends as its payload says, by its name."""

    running = 0

    @job(name="work")
    async def work(self, message: Any) -> dict[str, Any]:
        orders = (message.payload or {}).get(self.name, {})
        self.running += 1
        try:
            for number in range(orders.get("updates", 0)):
                await self.send_job_update(message.job_id, {"done": number})
                await trio.sleep(0.1)
            for number in range(orders.get("chunks", 0)):
                await self.send_job_stream_data(message.job_id, {"part": number})
            await trio.sleep(orders.get("seconds", 1))
            if "raises" in orders:
                raise orders["raises"]
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(orders.get("stopping", 0))
            self.running -= 1
        return {"by": self.name}


async def groups_ended(worker: BaseWorker) -> None:
    """Wait until a worker has no group open."""
    while worker.job_groups:  # noqa: ASYNC110 - a worker with servers attached is never idle
        await trio.sleep(0.01)


@asynccontextmanager
async def on_stage(*workers: BaseWorker, quiet: bool = True) -> AsyncIterator[WorkerRunner]:
    """Run ``workers``; then detach the servers, and check that nothing is left."""
    async with hosting(*workers, quiet=False) as runner:
        yield runner
        for worker in workers:
            if isinstance(worker, Server):
                worker.scope.cancel()
        if quiet:
            await assert_quiet(runner)
    for worker in workers:
        if isinstance(worker, BaseUIWorker):
            assert worker.attached_servers == ()
        if isinstance(worker, Server):
            check_told(worker.told)


def story(messages: list[BusUIMessage], job_id: str | None = None) -> list[str]:
    """Return what was told of groups, in words; check that each is told as it must be."""
    check_told(messages)
    words = []
    for message in messages:
        if not isinstance(message, BusUIGroupMessage) or job_id not in (None, message.job_id):
            continue
        match message:
            case BusUIJobGroupStartedMessage():
                words.append("started " + " ".join(message.workers))
            case BusUIJobUpdateMessage():
                words.append(f"{message.worker_name} {message.data}")
            case BusUIJobCompletedMessage():
                words.append(f"{message.worker_name} {message.status}")
            case BusUIJobGroupCompletedMessage():
                words.append("completed")
    return words


def check_told(messages: list[BusUIMessage], *, all_ended: bool = False) -> None:
    """Check that of each group is told: its start, what is sent, each end once, its end."""
    of_group: dict[str, list[BusUIGroupMessage]] = defaultdict(list)
    for message in messages:
        if isinstance(message, BusUIGroupMessage):
            of_group[message.job_id].append(message)
    for news in of_group.values():
        first, last = news[0], news[-1]
        assert isinstance(first, BusUIJobGroupStartedMessage), news
        assert sum(isinstance(m, BusUIJobGroupStartedMessage) for m in news) == 1, news
        ended: set[str] = set()
        for message in news[1:]:
            if isinstance(message, BusUIJobCompletedMessage):
                assert message.worker_name in first.workers, news
                assert message.worker_name not in ended, ("two ends", news)
                ended.add(message.worker_name)
                assert (message.error is None) == (message.status == "completed"), message
            elif isinstance(message, BusUIJobUpdateMessage):
                assert message.worker_name not in ended, ("an update after the end", news)
            else:
                assert message is last, ("something after the end", news)
        if isinstance(last, BusUIJobGroupCompletedMessage):
            assert ended == set(first.workers), ("members without an end", news)
        assert not all_ended or isinstance(last, BusUIJobGroupCompletedMessage), news
        assert {m.session for m in news} == {first.session}
