"""`CachedTaskWorker`: what it has once published for a task, it publishes again."""

import contextlib
import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Mapping
from typing import TYPE_CHECKING, Any

import attrs

from ._attempt import Attempt, Output, PutAside, current_attempt
from ._cache import CacheLabel, ResultCache, cache_key, worker_text
from ._cached_outputs import CachedOutput, decode_outputs, encode_outputs, types_by_name
from ._calls import call_in_thread
from ._provenance import Node
from ._single_flight import SingleFlight
from ._sqlite_cache import open_sqlite_cache
from ._stations import Station
from ._task import Task
from ._worker import TaskWorker

if TYPE_CHECKING:
    from ._run import GraphRun

logger = logging.getLogger("trioworkers.graph")


@attrs.frozen
class _Landing:
    """How work has ended, for those who waited.

    Attributes:
      value: What has come of it; None if that can't be given to others, so that
        each has to do it for itself.
    """

    value: bytes | None


@attrs.define(eq=False)
class _Aside:
    """A task that waits for the work on an equal one.

    Attributes:
      key: Its key.
      attempt: What was said for it until then.
      is_back: Whether it waits no longer, and will be worked on.
      landing: How the other one's work has ended; None if it is to do it now.
    """

    key: str
    attempt: Attempt
    is_back: bool = False
    landing: _Landing | None = None


@attrs.define(eq=False)
class _Live:
    """What a worker has while its graph runs.

    Attributes:
      cache: Where results are kept.
      text: The worker's part of their keys.
      types: What the outputs may be, by name.
      flights: What is being worked on, and who waits for it.
      asides: Those who wait, or have waited and are not worked on yet.
      told: Whether the log says that a result could not be kept.
    """

    cache: ResultCache
    text: str
    types: Mapping[str, type[Task]]
    flights: SingleFlight[Node] = attrs.field(factory=SingleFlight)
    asides: dict[Node, _Aside] = attrs.field(factory=dict)
    told: bool = False

    def land(self, run: "GraphRun", key: str, landing: _Landing | None) -> None:
        """End the work for ``key``; without a landing let the next one do it."""
        if landing is not None:
            followers = self.flights.land(key)
        else:
            follower = self.flights.give_up(key)
            followers = [] if follower is None else [follower]
        for node in followers:
            aside = self.asides[node]
            aside.is_back, aside.landing = True, landing
            run.bring_back(node)


class CachedTaskWorker(TaskWorker):
    """Keeps what it has published for a task, and publishes it again for an equal one.

    ::

        class Summarizer(CachedTaskWorker):
            output_types: list[type[Task]] = [Summary]
            model: str = "small"

            async def consume_work(self, task: Page):
                self.publish_work(Summary(text=await summarize(task.text, self.model)))

            def extra_cache_key(self, task: Page) -> str:
                return self.model

    A task is equal to another if its class and its public fields are; what it came
    from doesn't count. `consume_work` should do nothing but publish, and use nothing
    but the task and what is in `extra_cache_key`: whatever else it does is not done
    again. Of outputs the public fields are kept.

    Results are kept only if `consume_work` succeeds. Of equal tasks in flight at
    once one is worked on, and the others publish the same; if that one fails or is
    aborted, the next is worked on.

    All who give the same ``cache_dir`` share a cache, also in other processes. Its
    directory is made with mode 0700. Trouble with it while the graph runs is a
    warning in the log of ``trioworkers.graph``, and work that is done again.

    Attributes:
      cache_dir: Where the cache is, or will be made.
      cache_size_limit: Bytes, > 0. Beyond it the least recently used results go.
      cache: A cache of your own in place of one in ``cache_dir``.

    Raises:
      TypeError: The handler is a source, whose outputs could not be replayed at once.
      CacheError: When the graph starts: there can be no cache in ``cache_dir``.
    """

    cache_dir: str = attrs.field(default="./cache", validator=attrs.validators.min_len(1))
    cache_size_limit: int = attrs.field(default=25_000_000_000, validator=attrs.validators.gt(0))
    cache: Any = attrs.field(default=None, repr=False)
    _live: _Live | None = attrs.field(default=None, init=False, repr=False)

    #: What a run calls in place of the handler.
    _wrapper_name = "_consume_cached"

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if cls._consume_kind == "source":
            raise TypeError(
                f"{cls.__name__}.consume_work is a source, which can't be cached: publish with "
                "self.publish_work(...) in place of `yield`"
            )

    # -- To override -----------------------------------------------------------

    def pre_consume_work(self, task: Any) -> Awaitable[None] | None:
        """Is called before the work on a task, also if a cache has the result.

        May be ``async def``; a plain ``def`` must not block. What it publishes is
        no part of what is kept, as it is called again.
        """

    def post_consume_work(self, task: Any) -> Awaitable[None] | None:
        """Is called after the work on a task, also if a cache had the result.

        As `pre_consume_work`. If it raises, the work has failed; but the result is kept.
        """

    def extra_cache_key(self, task: Any) -> str:
        """Return what else the outputs depend on, such as settings of the worker.

        Called after `pre_consume_work`; must not block.
        """
        return ""

    # -- While the graph runs --------------------------------------------------

    @contextlib.asynccontextmanager
    async def _opened(self) -> AsyncIterator[None]:
        """Have the cache open."""
        types = types_by_name(self.output_types)
        text = worker_text(self.name, type(self), self.output_types)
        async with contextlib.AsyncExitStack() as stack:
            cache = self.cache
            if cache is None:
                cache = await stack.enter_async_context(
                    open_sqlite_cache(self.cache_dir, size_limit=self.cache_size_limit)
                )
            self._live = _Live(cache, text, types)
            stack.callback(setattr, self, "_live", None)
            yield

    async def _consume_cached(self, task: Task) -> object:
        """Do the work on one task, or find it done. What a run calls.

        Returns:
          What the handler has returned, which should be None.

        Raises:
          PutAside: An equal task is worked on. When that has ended this is called again.
        """
        attempt, live = current_attempt.get(), self._live
        assert attempt is not None
        assert live is not None
        aside = live.asides.pop(attempt.node, None)
        if aside is not None:
            key, landing = aside.key, aside.landing
            attempt.go_on_from(aside.attempt)
        else:
            await _wait_for(self.pre_consume_work(task))
            key, landing = cache_key(live.text, task, self.extra_cache_key(task)), None
            if not live.flights.lead(key):
                live.flights.wait(key, attempt.node)
                live.asides[attempt.node] = _Aside(key, attempt)
                raise PutAside
        returned, cached = None, True
        if landing is None:
            returned, cached = await self._lead(attempt, live, task, key)
        elif landing.value is None or not self._replay(attempt, live, task, landing.value):
            returned, cached = await self._work(attempt, task), False
        if returned is None:
            await _wait_for(self.post_consume_work(task))
            attempt.station.cached += cached
        return returned

    async def _lead(
        self, attempt: Attempt, live: _Live, task: Task, key: str
    ) -> tuple[object, bool]:
        """Find the work done, or do it, for all who wait for it.

        Returns:
          What the handler has returned, and whether the work was found done.
        """
        cache, landing, returned = live.cache, None, None
        try:
            value = await cache.get(key)
            if value is not None:
                if self._replay(attempt, live, task, value):
                    landing = _Landing(value)
                    return None, True
                await cache.drop(key, value)
            before = len(attempt.outputs)
            returned = await self._work(attempt, task)
            if returned is None:
                landing = self._land(attempt, live, attempt.outputs[before:])
                if landing.value is not None:
                    await cache.put(key, landing.value, self._label(attempt, task, before))
        finally:
            # Newcomers find either the flight or the result. Without a landing the next one tries.
            live.land(attempt.run, key, landing)
        return returned, False

    def _forget(self, node: Node) -> None:
        """Note that a task was aborted. What a run calls."""
        live = self._live
        aside = live.asides.pop(node, None) if live is not None else None
        if live is None or aside is None:
            return
        aside.attempt.drop()
        if not aside.is_back:
            live.flights.leave(aside.key, node)
        elif aside.landing is None:
            live.land(aside.attempt.run, aside.key, None)

    async def _work(self, attempt: Attempt, task: Task) -> object:
        """Call the handler, and return what it does."""
        if self._consume_kind == "thread":
            return await call_in_thread(attempt.run, self.consume_work, task)
        return await self.consume_work(task)

    def _label(self, attempt: Attempt, task: Task, before: int) -> CacheLabel:
        types = {type(output[0]).__name__ for output in attempt.outputs[before:]}
        return CacheLabel(self.name, type(task).__name__, tuple(sorted(types)))

    def _land(self, attempt: Attempt, live: _Live, outputs: list[Output]) -> _Landing:
        """Return what has come of the work, to be kept and given to those who wait."""
        try:
            return _Landing(encode_outputs(_as_cached(attempt.station, outputs)))
        except (TypeError, ValueError) as error:
            if not live.told:
                live.told = True
                logger.warning("a result of worker %r is not cached: %s", self.name, error)
            return _Landing(None)

    def _replay(self, attempt: Attempt, live: _Live, task: Task, value: bytes) -> bool:
        """Publish what was kept; return whether that could be done, else nothing is published."""
        before = len(attempt.outputs)
        try:
            for output in decode_outputs(value, live.types):
                consumer = _find_consumer(attempt.station, output)
                self.publish_work(output.task, input_task=task, consumer=consumer)
        except (TypeError, ValueError) as error:
            del attempt.outputs[before:]
            logger.warning(
                "a cached result of worker %r is of no use, and is made again: %s", self.name, error
            )
            return False
        return True


async def _wait_for(result: Awaitable[None] | None) -> None:
    """Wait for what a hook has returned, if it is async."""
    if result is not None:
        if not inspect.isawaitable(result):
            raise TypeError(f"a hook must return None, not {result!r:.100}")
        await result


def _takers(station: Station, cls: type[Task]) -> dict[str, tuple[TaskWorker, object]]:
    """Return who consumes outputs of one type, by name, and what the engine calls that."""
    return {
        taker.name: (taker, target)
        for (kind, taker), target in station.chosen.items()
        if kind is cls and isinstance(taker, TaskWorker)
    }


def _as_cached(station: Station, outputs: list[Output]) -> list[CachedOutput]:
    """Return outputs as they are kept.

    Raises:
      ValueError: One was made from another task than the one that is worked on.
    """
    cached = []
    for task, target, _, input_task in outputs:
        if input_task is not None:
            raise ValueError(
                f"{type(task).__name__} was published with an input_task "
                f"({type(input_task).__name__}) other than the task that is worked on"
            )
        takers = _takers(station, type(task)).items()
        names = [name for name, (_, chosen) in takers if chosen is target]
        cached.append(CachedOutput(task, names[0] if names else ""))
    return cached


def _find_consumer(station: Station, output: CachedOutput) -> TaskWorker | None:
    """Return who is to consume an output, or None if that is clear.

    Raises:
      ValueError: It is not, and whoever did is not there.
    """
    takers = _takers(station, type(output.task))
    if len(takers) <= 1:
        return None
    found = takers.get(output.consumer)
    if found is None:
        raise ValueError(f"it is for {output.consumer!r}, which takes no such task now")
    return found[0]
