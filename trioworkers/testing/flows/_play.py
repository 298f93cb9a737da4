"""Plays a random graph: its handlers follow their scripts, and tell the model what they do."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

import trio

from ...graph import TaskFailure, TaskWorker
from ._build import PARCELS, Built, Parcel, build
from ._model import FlowModel
from ._plan import FlowPlan, Outlet, Script
from ._values import Chain, FlowBroken, Said, Work, flat_tasks


class ScriptedError(Exception):
    """What a handler raises because its script says so."""


class CleanUpError(Exception):
    """What a handler raises because it was cancelled, and its script says so."""


def _nothing(*_: str) -> None:
    pass


async def play_flow(plan: FlowPlan, note: Callable[[str, str, str], None] = _nothing) -> FlowModel:
    """Run the graph of a plan, held against a model of what it must do.

    Args:
      plan: What to play.
      note: Is told what happens: a word, whom it happens to, and more.

    Returns:
      The model, when all has ended.

    Raises:
      FlowBroken: The graph has done what it must not, or not what it must.
    """
    player = _Player(plan, note)
    try:
        await player.play()
    except BaseException:
        if player.broken is not None:
            raise player.broken from None
        raise
    if player.broken is not None:
        raise player.broken
    return player.model


class _Player:
    """Plays a plan once."""

    def __init__(self, plan: FlowPlan, note: Callable[[str, str, str], None]) -> None:
        self.plan = plan
        self.built: Built = build(plan, self)
        self.graph = self.built.graph
        self.failed: tuple[TaskFailure, ...] = ()
        self.model = FlowModel(plan, self.built, self._failures, note)
        self.broken: FlowBroken | None = None
        self.scope = trio.CancelScope()
        self._serial = 0

    def _failures(self) -> Sequence[TaskFailure]:
        run = self.graph._running
        return self.failed if run is None else run.failures.first

    def _guard(self, event: Callable[..., Any], *args: Any) -> Any:
        """Tell the model; if it finds that something is broken, end the run."""
        try:
            return event(*args)
        except FlowBroken as error:
            if self.broken is None:
                self.broken = error
            self.model.stopped = True
            self.scope.cancel()
            return None

    def parcel(self, type_: int, key: int, budget: int) -> Parcel:
        """Return a new task."""
        self._serial += 1
        return PARCELS[type_](serial=self._serial, key=key & 0xFFFFFFFF, budget=budget)

    # The run

    async def play(self) -> None:
        """Run the graph, and disturb it meanwhile."""
        plan, model = self.plan, self.model
        raised: BaseException | None = None
        async with trio.open_nursery() as nursery:
            for seconds, number, length in plan.aborts:
                nursery.start_soon(self._abort_later, seconds, number, length)
            if plan.cancelled_after is not None:
                nursery.start_soon(self._cancel_later, plan.cancelled_after)
            try:
                with self.scope:
                    await self._run()
            except Exception as error:  # noqa: BLE001 - the model knows what may come
                raised = error
            nursery.cancel_scope.cancel()
        if self.scope.cancelled_caught and not model.stopped:
            raise FlowBroken("P7: the run was cancelled by nobody")
        self._guard(model.at_end, raised)

    async def _run(self) -> None:
        if self.plan.mode == "open":
            async with self.graph.open(on_failure="collect") as opened:
                for seconds, index, task in self._initial_tasks():
                    await trio.sleep(seconds)
                    await self.graph.add_work(
                        self.built.workers[index], task, status_callback=self._told
                    )
                    self._guard(self.model.pulls)
                    self._guard(self.model.submitted, index, task)
            self.failed = opened.failures
        elif self.plan.mode == "async":
            self.failed = await self.graph.run(self._async_pairs(), on_failure="collect")
        else:
            self.failed = await self.graph.run(self._pairs(), on_failure="collect")

    def _initial_tasks(self) -> Iterator[tuple[float, int, Parcel]]:
        for number, (index, seconds) in enumerate(self.plan.initials):
            color = number % len(PARCELS)
            yield seconds, index, self.parcel(color, 977 * number, self.plan.budget)

    def _pairs(self) -> Iterator[tuple[TaskWorker, Parcel]]:
        for _, index, task in self._initial_tasks():
            self._guard(self.model.pulls)
            self._guard(self.model.submitted, index, task)
            yield self.built.workers[index], task

    async def _async_pairs(self) -> AsyncIterator[tuple[TaskWorker, Parcel]]:
        for seconds, index, task in self._initial_tasks():
            self._guard(self.model.pulls)
            await trio.sleep(seconds)
            self._guard(self.model.submitted, index, task)
            yield self.built.workers[index], task

    def _told(self, _metadata: object, _chain: object, _worker: object, *rest: Any) -> None:
        self._guard(self.model.told, rest[1])

    async def _abort_later(self, seconds: float, number: int, length: int) -> None:
        await trio.sleep(seconds)
        if self.graph._running is not None and not self.model.stopped:
            self._abort(self.model.nth_in_flight(number), length)

    def _abort(self, chain: Chain | None, length: int) -> None:
        if chain is not None:
            self._guard(self.model.aborts, chain[:length], self.graph.abort_work)

    async def _cancel_later(self, seconds: float) -> None:
        await trio.sleep(seconds)
        if not self.model.over:
            self.model.stops()
            self.scope.cancel()

    # Handlers

    def collected(self, worker: int, task: Parcel) -> None:
        """See `Handlers`."""
        self._guard(self.model.sunk, worker, task)

    def notified(self, worker: int, prefix: Chain) -> None:
        """See `Handlers`."""
        self._guard(self.model.notified, worker, prefix)

    async def step(self, worker: int, task: Parcel) -> None:
        """See `Handlers`."""
        work = self._guard(self.model.begins, worker, task)
        if work is not None:
            await self._act(work, task, task.key, task.budget)

    async def join(self, worker: int, tasks: Any) -> None:
        """See `Handlers`."""
        work = self._guard(self.model.joins, worker, tasks)
        if work is not None:
            flat = list(flat_tasks(tasks))
            key = sum(task.key for task in flat) + 7 * len(tasks.missing)
            first = flat[0] if flat else None
            await self._act(work, first, key, sum(task.budget for task in flat))

    def _script(self, worker: int, key: int) -> Script:
        scripts = self.plan.workers[worker].scripts
        return scripts[key % len(scripts)]

    async def _act(self, work: Work, task: Parcel | None, key: int, budget: int) -> None:
        script, said = self._script(work.worker, key), Said()
        try:
            await self._follow(script, work, task, key, budget, said)
        except trio.Cancelled:
            await self._leave(script, work)
        except ScriptedError as error:
            self._guard(self.model.failed, work, error)
            raise
        except Exception as error:
            self._guard(self._surprise, error)
            raise
        else:
            self._guard(self.model.returned, work, said)

    @staticmethod
    def _surprise(error: Exception) -> None:
        raise FlowBroken(f"P6: a handler was refused something: {error!r}") from error

    async def _leave(self, script: Script, work: Work) -> None:
        """Act upon being cancelled, which is what is being handled."""
        if script.on_cancel == "swallow":
            self._guard(self.model.returned, work, Said())
            return
        if script.on_cancel == "raise":
            error = CleanUpError()
            self._guard(self.model.failed, work, error)
            raise error from None
        if script.on_cancel == "linger":
            with trio.CancelScope(shield=True):
                await trio.sleep(1)
        self._guard(self.model.cancelled, work)
        raise

    async def _follow(
        self, script: Script, work: Work, task: Parcel | None, key: int, budget: int, said: Said
    ) -> None:
        worker = self.built.workers[work.worker]
        if script.sleeps:
            await trio.sleep(script.sleeps)
        place = work.parent[: script.counts]
        state: dict[str, Any] = {}
        if script.counts:
            state = worker.get_worker_state(place)
            seen = self._guard(self.model.counted, work.worker, place, state.get("count", 0))
            said.counts[work.worker, place] = seen
        if script.watches:
            worker.watch(work.parent[: script.watches])
            said.watches.append(work.parent[: script.watches])
        if script.tells and task is not None and self.plan.mode == "open":
            text = f"{worker.name} {work.label} try {work.tries}"
            worker.notify_status(task, text)
            said.statuses.append(text)
        made_from = _further_up(task, script.upward)
        outlets = self.plan.outlets[work.worker]
        for number, (outlet, rest) in enumerate(_shares(script, outlets, budget)):
            output = self.parcel(outlet.type, 31 * key + 7 * number + 1, rest)
            consumer = None if outlet.consumer is None else self.built.workers[outlet.consumer]
            worker.publish_work(output, input_task=made_from, consumer=consumer)
            said.outputs.append((output, outlet, made_from))
        if script.aborts > 0:
            self._abort(work.label, script.aborts)
        elif script.aborts < 0:
            self._abort(self.model.nth_in_flight(-script.aborts), 1000)
        if script.rests:
            await trio.sleep(script.rests)
        state["count"] = state.get("count", 0) + 1
        # A join that has nothing to go on must not fail for ever, in a circle with another.
        if work.tries < script.fails and (budget or work.task is not None):
            raise ScriptedError

    async def source(self, worker: int, task: Parcel) -> AsyncIterator[Parcel | None]:
        """See `Handlers`."""
        work = self._guard(self.model.begins, worker, task)
        if work is None:
            return
        script = self._script(worker, task.key)
        try:
            if script.sleeps:
                await trio.sleep(script.sleeps)
            outlets = _without_choice(self.plan.outlets[worker])
            for number, (outlet, rest) in enumerate(_shares(script, outlets, task.budget)):
                if script.aborts and number == 1:
                    self._abort(work.label, max(1, script.aborts))
                output = self.parcel(outlet.type, 31 * task.key + 7 * number + 1, rest)
                self._guard(self.model.yields, work, Said([(output, outlet, None)]))
                yield output
                self._guard(self.model.resumes, work)
                if script.rests:
                    await trio.sleep(script.rests)
            if script.fails:
                raise ScriptedError
        except (trio.Cancelled, GeneratorExit):
            self._guard(self.model.cancelled, work)
            raise
        except ScriptedError as error:
            self._guard(self.model.failed, work, error)
            raise
        self._guard(self.model.returned, work, Said())


def _further_up(task: Parcel | None, steps: int) -> Any:
    """Return what a task came from, so many steps back; None for the task itself."""
    found: Any = task
    for _ in range(steps if task is not None else 0):
        found = found.previous_input_task() or found
    return None if found is task else found


def _shares(script: Script, outlets: Sequence[Outlet], budget: int) -> list[tuple[Outlet, int]]:
    """Return what is published, and the budget of each; sinks need none."""
    if not outlets:
        return []
    chosen = [outlets[number % len(outlets)] for number in script.outputs]
    taken = [outlet for outlet in chosen if outlet.consumer is not None]
    count = min(len(taken), budget)
    share = (budget - count) // count if count else 0
    found = []
    for outlet in chosen:
        if outlet.consumer is None:
            found.append((outlet, 0))
        elif count:
            count -= 1
            found.append((outlet, share))
    return found


def _without_choice(outlets: Sequence[Outlet]) -> list[Outlet]:
    """Return those of a type that one alone takes: a source can't say who gets it."""
    types = Counter(outlet.type for outlet in outlets)
    return [outlet for outlet in outlets if types[outlet.type] == 1]
