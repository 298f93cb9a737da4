"""The ``trioworkers`` command.

Importing this package imports neither click nor rich: `main` does, when called.
"""

import sys

from trioworkers.errors import MissingExtraError


def main() -> None:
    """Run the command with the arguments in ``sys.argv``; never returns.

    Raises:
      SystemExit: With the exit status, or with a message that names the
        ``pip install`` line if click or rich is missing.
    """
    try:
        from ._main import run
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"click", "rich"}:
            raise
        sys.exit(str(MissingExtraError("the trioworkers command", "cli")))
    sys.exit(run())
