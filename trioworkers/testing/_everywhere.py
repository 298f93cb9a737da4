"""What runs of a scenario that is disturbed everywhere have in common."""

import inspect
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from ..workers import BaseWorker, WorkerRunner

#: An async function that uses a runner, a new one each time.
Scenario = Callable[[WorkerRunner], Awaitable[object]]
#: Makes the workers that are ready when the scenario begins, new ones each time.
MakeWorkers = Callable[[], Iterable[BaseWorker]]
#: Makes the runner, a new one each time.
MakeRunner = Callable[[], WorkerRunner]

#: Virtual seconds after which a run is taken to hang.
HANGS = 10_000.0


def as_test(
    scenario: Callable[..., Awaitable[object]], run: Callable[[Scenario], object]
) -> Callable[..., None]:
    """Return a sync test that calls ``run`` with ``scenario``.

    The scenario's parameters after the first one, the runner, are the test's:
    pytest fills them in, from fixtures and `parametrize`.
    """
    signature = inspect.signature(scenario)
    _runner, *others = signature.parameters.values()

    def test(**arguments: Any) -> None:
        async def with_arguments(runner: WorkerRunner) -> object:
            return await scenario(runner, **arguments)

        run(with_arguments)

    for name in ("__name__", "__qualname__", "__module__", "__doc__"):
        setattr(test, name, getattr(scenario, name))
    test.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=others, return_annotation=None
    )
    # Marks that stand below the decorator.
    test.__dict__.update(getattr(scenario, "__dict__", {}))
    return test
