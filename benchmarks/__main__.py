"""``python -m benchmarks``."""

import sys

from trioworkers.errors import MissingExtraError


def main() -> int:
    """Run the command line; return the exit status."""
    try:
        from ._command import run
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"click", "rich"}:
            raise
        print(MissingExtraError("python -m benchmarks", "benchmarks"), file=sys.stderr)
        return 2
    return run()


if __name__ == "__main__":
    sys.exit(main())
