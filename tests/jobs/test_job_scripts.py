"""One property over everything: random handlers, random requesters, any schedule.

Run it longer with ``JOB_SCRIPTS=20000``.
"""

import os
from typing import Any

import attrs
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import Asker, Doer, assert_quiet, hosting, run

from trioworkers import JobError, JobGroupError, JobStatus

NAMES = ("w0", "w1", "w2", "w3")

_short = st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.0])

#: What a handler may do, one step after the other.
_steps = st.one_of(
    st.tuples(st.just("update"), st.integers(1, 5), st.booleans()),
    st.tuples(st.just("stream"), st.sampled_from([1, 3, 40, 100, 200])),
    st.tuples(st.just("sleep"), _short),
    st.tuples(st.just("checkpoint")),
    st.tuples(st.just("tidy"), _short),
    st.tuples(st.just("never")),
    st.tuples(st.just("raise"), st.sampled_from([ValueError, JobError])),
    st.tuples(st.just("respond"), st.booleans()),
    st.tuples(st.just("ask"), st.integers(0, 3), st.none() | _short, st.booleans()),
)


@attrs.frozen
class Script:
    """A handler: its steps, and whether it is sequential."""

    steps: tuple[Any, ...]
    job_name: str


@attrs.frozen
class Ask:
    """A requester: whom it asks, and how it treats them."""

    members: tuple[str, ...]
    timeout: float | None
    cancel_on_error: bool
    cancel_at: float | None
    read: int | None
    pause: float
    body_sleep: float | None
    body_raises: bool
    as_runner: bool


_scripts = st.builds(
    Script, st.lists(_steps, max_size=4).map(tuple), st.sampled_from(["do", "queue"])
)
_asks = st.builds(
    Ask,
    st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True).map(tuple),
    st.none() | _short,
    st.booleans(),
    st.none() | _short,
    st.none() | st.integers(0, 300),
    st.sampled_from([0.0, 0.0, 0.01]),
    st.none() | _short,
    st.booleans(),
    st.booleans(),
)


class _BodyError(Exception):
    """What a body raises by itself."""


class World:
    """The workers of one example, and what happened in it."""

    def __init__(self, scripts):
        self.scripts = dict(zip(NAMES, scripts, strict=True))
        self.doers = [Doer(name, self.handle) for name in NAMES]
        self.asker = Asker()
        self.sent = {}

    async def handle(self, worker, message):
        """Do what the script of ``worker`` says; nested jobs go one level down."""
        key = message.job_id, worker.name
        sent = self.sent[key] = []
        for step in self.scripts[worker.name].steps:
            answered = message.job_id not in worker.active_jobs
            match step:
                case ("update", n, urgent) if not answered:
                    for _ in range(n):
                        await worker.send_job_update(
                            message.job_id, {"i": len(sent), "urgent": urgent}, urgent=urgent
                        )
                        sent.append(urgent)
                case ("stream", n) if not answered:
                    for _ in range(n):
                        await worker.send_job_stream_data(message.job_id, {"i": len(sent)})
                        sent.append(False)
                case ("sleep", seconds):
                    await trio.sleep(seconds)
                case ("checkpoint",):
                    await trio.lowlevel.checkpoint()
                case ("tidy", seconds):
                    try:
                        await trio.sleep(seconds)
                    finally:
                        with trio.CancelScope(shield=True):
                            await trio.sleep(seconds)
                case ("never",):
                    await trio.sleep_forever()
                case ("raise", error):
                    raise error("by script")
                case ("respond", urgent) if not answered:
                    await worker.send_job_response(message.job_id, {"n": 1}, urgent=urgent)
                case ("ask", whom, timeout, shielded):
                    await self._ask_nested(worker, message, NAMES[whom], timeout, shielded)

    async def _ask_nested(self, worker, message, name, timeout, shielded):
        if len(message.ancestors) >= 2:
            return
        script = self.scripts[name]
        with trio.CancelScope(shield=shielded and timeout is not None):
            context = worker.job(name, name=script.job_name, timeout=timeout)
            try:
                async with context:
                    pass
            finally:
                key = context.job_id, name
                assert list(context.outcomes) == [name]
                assert self.doers[int(name[1:])].ended.count(key[0]) <= 1

    async def ask(self, runner, ask):
        """Be one requester, and check what must hold when its block is left."""
        asker = runner if ask.as_runner else self.asker
        names = {self.scripts[name].job_name for name in ask.members}
        context = asker.job_group(
            *ask.members,
            name=names.pop() if len(names) == 1 else "do",
            timeout=ask.timeout,
            cancel_on_error=ask.cancel_on_error,
        )
        got = {name: [] for name in ask.members}
        ended = raised = None
        with trio.CancelScope() as scope:
            if ask.cancel_at is not None:
                scope.deadline = trio.current_time() + ask.cancel_at
            try:
                async with context:
                    ended = await self._body(ask, context, got)
            except (JobGroupError, _BodyError) as error:
                raised = error
            finally:
                self._check_stopped(ask, context)
        self._check(ask, context, got, ended, raised, scope)

    async def _body(self, ask, context, got):
        ended = False
        if ask.read is not None:
            left = ask.read
            async for event in context:
                got[event.worker_name].append(event.data)
                left -= 1
                if left <= 0:
                    break
                if ask.pause:
                    await trio.sleep(ask.pause)
            else:
                ended = True
        if ask.body_sleep is not None:
            await trio.sleep(ask.body_sleep)
        if ask.body_raises:
            raise _BodyError
        return ended

    def _check_stopped(self, ask, context):
        """P1 and P2: one outcome per member, and no handler of this job runs."""
        assert set(context.outcomes) == set(ask.members)
        for doer in self.doers:
            if doer.name in ask.members:
                begun = doer.begun.count(context.job_id)
                assert begun == doer.ended.count(context.job_id) <= 1
        assert context.job_id not in self.asker.job_groups

    def _check(self, ask, context, got, ended, raised, scope):
        statuses = {name: outcome.status for name, outcome in context.outcomes.items()}
        for name, events in got.items():
            in_order = [e["i"] for e in events if not e.get("urgent")]
            assert in_order == sorted(set(in_order))
            if ended and statuses[name] is JobStatus.COMPLETED:
                # P3, but for an urgent response, which may overtake events.
                urgent = ("respond", True) in self.scripts[name].steps
                sent = self.sent.get((context.job_id, name), [])
                assert urgent or sorted(e["i"] for e in events) == list(range(len(sent)))
        if isinstance(raised, JobGroupError):
            assert raised.outcomes == context.outcomes
            assert ask.cancel_on_error or ask.timeout is not None
        elif raised is None and not scope.cancelled_caught:
            # P6: what didn't complete never looks like a success.
            assert not ask.cancel_on_error or set(statuses.values()) == {JobStatus.COMPLETED}
            assert not ask.body_raises
        if scope.cancelled_caught:
            assert raised is None


@settings(
    max_examples=int(os.environ.get("JOB_SCRIPTS", "300")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(
    st.random_module(),
    st.lists(_scripts, min_size=4, max_size=4),
    st.lists(_asks, min_size=1, max_size=4),
)
def test_any_script_keeps_the_promises(schedule, scripts, asks):
    """P1, P2, P3 and P6 for all requesters, and nothing is left at the end."""

    async def main():
        world = World(scripts)
        async with hosting(*world.doers, world.asker) as runner:
            async with trio.open_nursery() as nursery:
                for ask in asks:
                    nursery.start_soon(world.ask, runner, ask)
                # What nobody bounds ends with the world.
                nursery.cancel_scope.deadline = trio.current_time() + 50
            await assert_quiet(runner)
            responses = [m for event, m in world.asker.seen if event == "response"]
            assert len({(m.job_id, m.source) for m in responses}) == len(responses)

    run(main)
