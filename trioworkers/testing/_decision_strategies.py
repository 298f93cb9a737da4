"""Hypothesis strategies for who decides on deliveries, drawn before a run."""

from collections.abc import Hashable, Sequence

import attrs
from hypothesis import strategies as st

from ._decisions import Decisions, InOrder, Priorities, RandomChoices


@attrs.define(eq=False)
class Repeating:
    """Makes the same choices again and again.

    Args:
      choices: What to choose, in turn; at least one. Numbers that are too large
        for what is there are taken as the last option.
    """

    choices: Sequence[int] = attrs.field(validator=attrs.validators.min_len(1))
    _step: int = attrs.field(init=False, default=0, repr=False)

    def choose(self, options: Sequence[Hashable]) -> int:
        """Return the next choice."""
        choice = self.choices[self._step % len(self.choices)]
        self._step += 1
        return min(choice, len(options) - 1)


def all_decisions() -> st.SearchStrategy[Decisions]:
    """Return a strategy for decisions of each kind; it shrinks to `InOrder`.

    What is drawn does not depend on the run, so that leaving out steps of the
    run leaves the rest as it was, and failures shrink well.
    """
    seeds = st.integers(0, 2**16 - 1)
    return st.one_of(
        st.builds(InOrder),
        st.builds(Repeating, st.lists(st.integers(0, 5), min_size=1)),
        st.builds(RandomChoices, seeds),
        st.builds(Priorities, seeds),
    )
