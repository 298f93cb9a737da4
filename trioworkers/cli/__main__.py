"""``python -m trioworkers.cli``: the same as the ``trioworkers`` command."""

from . import main

main()
