"""The child's side of the line protocol: measures when it is asked to.

    python -m benchmarks._serve MODULE

Each line on standard input is a request, a JSON object with the fields of
`Request`; each is answered by a line on standard output: ``{"values": [...]}``,
or ``{"failure": "..."}``. What libraries print goes to standard error instead.
At the end of its input the child ends.
"""

import importlib
import json
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any


@dataclass(frozen=True)
class Request:
    """What a child is asked to measure.

    Attributes:
      function: Name of a function in the child's module. It gets how many
        times to do the work, and ``arguments``; it returns one number or
        several. The module's ``run`` runs it.
      arguments: Sizes.
      few: How many times in a warm-up.
      most: How many times at most.
      seconds: About how long to measure, going by the warm-up; None to do the
        work ``most`` times.
      per: How many of the things that the first number is about are done each
        time, such as the members of a group.
    """

    function: str
    arguments: dict[str, int]
    few: int
    most: int
    seconds: float | None
    per: int


class Server:
    """Answers requests for the functions of one module."""

    def __init__(self, module: str) -> None:
        self._module = module
        self._counts: dict[str, int] = {}

    def answer(self, line: str) -> dict[str, Any]:
        """Return the answer to one request."""
        try:
            return {"values": self._measure(Request(**json.loads(line)))}
        except NotImplementedError as error:
            return {"failure": f"not available: {error}"}
        except Exception as error:  # noqa: BLE001 - told, and the next request may do better
            traceback.print_exc()
            return {"failure": f"{type(error).__name__}: {error}"}

    def _measure(self, request: Request) -> tuple[float, ...]:
        module = importlib.import_module(self._module)
        function = partial(getattr(module, request.function), **request.arguments)
        measure = partial(_call, module.run, function)
        key = f"{request.function} {request.arguments}"
        if key not in self._counts:
            self._counts[key] = _choose_count(request, measure(request.few)[0])
        return measure(self._counts[key])


def _call(
    run: Callable[[Callable[[], Any]], float | tuple[float, ...]],
    function: Callable[..., Any],
    count: int,
) -> tuple[float, ...]:
    values = run(partial(function, count))
    return values if isinstance(values, tuple) else (values,)


def _choose_count(request: Request, seconds_each: float) -> int:
    if request.seconds is None:
        return request.most
    fitting = request.seconds / max(seconds_each * request.per, 1e-9)
    return max(request.few, min(request.most, round(fitting)))


def main() -> None:
    """Serve until the input ends."""
    # Only answers may go where answers are read.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    server = Server(sys.argv[1])
    for line in sys.stdin:
        print(json.dumps(server.answer(line)), file=answers, flush=True)


if __name__ == "__main__":
    main()
