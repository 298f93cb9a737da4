"""The arguments of requests and the `@job` decorator: mistakes are told at once."""

import math

import attrs
import pytest
from support import Doer, hosting, on_schedules

from trioworkers import BaseWorker, DuplicateWorkerError, NotAttachedError, WorkerRunner, job
from trioworkers.jobs import (
    collect_handlers,
    is_async,
    make_request,
    resolve_payload_type,
)


@attrs.frozen
class Config:
    n: int = 0


def test_a_request_keeps_what_was_asked():
    """Defaults are those of the docs; attrs payloads become dicts."""
    request = make_request(("a",))
    assert (request.worker_names, request.name, request.payload) == (("a",), None, None)
    assert (request.timeout, request.cancel_grace) == (None, math.inf)
    assert request.cancel_on_error
    assert request.cancellable
    assert not request.single
    request = make_request(
        ("a", "b"), name="x", payload=Config(3), timeout=2, label="l", cancel_grace=1
    )
    assert request.payload == {"n": 3}
    assert (request.timeout, request.cancel_grace, request.label) == (2, 1, "l")


@pytest.mark.parametrize(
    ("names", "options", "error", "match"),
    [
        ((), {}, ValueError, "at least one worker name"),
        (("",), {}, ValueError, "a worker name must not be empty"),
        ((3,), {}, TypeError, "a worker name must be a str, not 3"),
        (("a", "b", "a"), {}, DuplicateWorkerError, "'a' is already in this job group"),
        (("a",), {"name": ""}, ValueError, "a job name must not be empty"),
        (("a",), {"name": 1}, TypeError, "a job name must be a str"),
        (("a",), {"timeout": -1}, ValueError, "timeout must be >= 0 seconds, not -1"),
        (("a",), {"timeout": math.nan}, ValueError, "timeout must be >= 0 seconds, not nan"),
        (("a",), {"timeout": "5"}, TypeError, "timeout must be a number of seconds or None"),
        (("a",), {"timeout": True}, TypeError, "timeout must be a number"),
        (("a",), {"cancel_grace": -2}, ValueError, "cancel_grace must be >= 0"),
        (("a",), {"cancel_grace": None}, TypeError, "cancel_grace must be a number"),
        (("a",), {"label": 1}, TypeError, "label must be a str or None, not 1"),
        (("a",), {"payload": [1]}, TypeError, "the payload of a job must be a dict"),
    ],
)
def test_bad_arguments_are_refused(names, options, error, match):
    """Before anything starts."""
    with pytest.raises(error, match=match):
        make_request(names, **options)


@on_schedules(2)
async def test_bad_arguments_are_refused_at_the_call():
    """Not on entering the block: the traceback points at the mistake."""
    async with hosting(Doer("doer")) as runner:
        with pytest.raises(ValueError, match="at least one worker name"):
            runner.job_group()
        with pytest.raises(ValueError, match="timeout"):
            runner.job("doer", timeout=-1)
        with pytest.raises(TypeError, match="payload"):
            await runner.call("doer", payload="text")


def test_asking_too_early_says_what_to_do():
    """A runner that doesn't run and a worker that nobody added can't ask."""
    with pytest.raises(NotAttachedError, match="does not run yet; use `async with runner:`"):
        WorkerRunner(name="r").job("a")
    with pytest.raises(RuntimeError, match="add it to a WorkerRunner first"):
        Doer("doer").job("a")
    assert Doer("doer").active_jobs == {}
    assert Doer("doer").job_groups == {}


# The decorator


def test_the_name_must_be_a_text():
    """Mistakes in the decorator are told where it stands."""
    with pytest.raises(TypeError, match=r"@job\(name=\.\.\.\) takes a str, not 3"):
        job(name=3)
    with pytest.raises(ValueError, match="must not be empty"):
        job(name="")


def test_a_handler_must_be_async():
    """A plain function would block everyone."""
    with pytest.raises(TypeError, match="must be `async def`; for blocking work await"):

        @job(name="x")
        def handler(self, message):
            pass


@pytest.mark.parametrize("count", [1, 4])
def test_a_handler_takes_two_or_three_parameters(count):
    """Self and message, and maybe the payload."""

    async def one(self):
        pass

    async def four(self, message, payload, more):
        pass

    with pytest.raises(TypeError, match=r"must take \(self, message\)"):
        job(name="x")(one if count == 1 else four)


def test_two_handlers_for_one_name_are_refused():
    """When the class is made."""
    with pytest.raises(TypeError, match="Twice has two handlers for job 'x': one and two"):

        class Twice(BaseWorker):
            @job(name="x")
            async def one(self, message):
                pass

            @job(name="x")
            async def two(self, message):
                pass


def test_handlers_are_inherited_and_overridden():
    """An override serves the job whether it is decorated or not."""

    class Base(BaseWorker):
        @job(name="a", sequential=True)
        async def a(self, message):
            return {"by": "base"}

        @job(name="b")
        async def b(self, message):
            return {"by": "base"}

    class Sub(Base):
        async def a(self, message):
            return {"by": "sub"}

        @job(name="c")
        async def b(self, message):
            return {"by": "sub"}

    base, sub = collect_handlers(Base), collect_handlers(Sub)
    assert set(base) == {"a", "b"}
    assert set(sub) == {"a", "c"}
    assert sub["a"].function is Sub.a
    assert sub["a"].sequential
    assert sub["c"].function is Sub.b
    assert not sub["c"].sequential
    assert is_async(Sub.a)


def test_a_handler_made_none_is_gone():
    """A subclass may take a job out of service."""

    class Base(BaseWorker):
        @job(name="a")
        async def a(self, message):
            pass

    class Sub(Base):
        a = None

    assert set(collect_handlers(Sub)) == set()


def test_payload_types_are_read_when_a_worker_is_made():
    """Annotations may name classes that come later in the module."""

    class Typed(BaseWorker):
        @job(name="a")
        async def a(self, message, config: "Config"):
            pass

    handlers = collect_handlers(Typed)
    resolve_payload_type(handlers["a"])
    resolve_payload_type(handlers["a"])
    assert handlers["a"].payload_type is Config
    Typed("t")


def test_payload_types_that_cannot_be_read():
    """The error names the parameter and the handler."""

    class Missing(BaseWorker):
        @job(name="a")
        async def a(self, message, config):
            pass

    class Wrong(BaseWorker):
        @job(name="a")
        async def a(self, message, config: dict):
            pass

    class Unknown(BaseWorker):
        @job(name="a")
        async def a(self, message, config: "Nowhere"):  # noqa: F821
            pass

    where = r"parameter 'config' of @job handler .*\.a"
    with pytest.raises(TypeError, match=where + " must be annotated with an attrs class, not None"):
        Missing("m")
    with pytest.raises(TypeError, match="not <class 'dict'>"):
        Wrong("w")
    with pytest.raises(TypeError, match=where + " can't be resolved at run time.*Nowhere"):
        Unknown("u")
