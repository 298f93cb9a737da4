"""Contracts made of clauses, each checked on its own."""

import inspect
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from typing import NoReturn, TypeVar

import attrs
import trio

from ..errors import BrokenContractError as BrokenContractError

T = TypeVar("T")
S = TypeVar("S", bound="Trial")


@attrs.define(eq=False)
class Trial:
    """One clause that is being checked, and how long it may wait.

    Attributes:
      contract: As in `BrokenContractError`.
      clause: As in `BrokenContractError`.
      promise: As in `BrokenContractError`.
      within: Seconds after which what has not come will not come.
      settle: Seconds in which what must not come would have come.
      changed: Wakes `wait_until`.
    """

    contract: str
    clause: str
    promise: str
    within: float
    settle: float
    changed: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)

    def broken(self, detail: str) -> NoReturn:
        """Raise the error."""
        raise BrokenContractError(self.contract, self.clause, self.promise, detail)

    def expect(self, condition: bool, detail: str) -> None:
        """Raise the error unless ``condition`` holds."""
        if not condition:
            self.broken(detail)

    async def wait_until(self, condition: Callable[[], bool], missing: Callable[[], str]) -> None:
        """Wait until ``condition()`` holds; after `within` seconds raise the error.

        Args:
          condition: Tried again each time that `changed` is unparked.
          missing: What to say.
        """
        with trio.move_on_after(self.within):
            await trio.lowlevel.checkpoint()
            while not condition():
                await self.changed.park()
        self.expect(condition(), f"After {self.within:g} s, {missing()}.")

    async def wait_steady(self, value: Callable[[], int]) -> int:
        """Return ``value()`` once it has not changed for `settle` seconds."""
        while True:
            before = value()
            await trio.sleep(self.settle)
            if value() == before:
                return before

    async def expect_raises(
        self, error: type[Exception], async_fn: Callable[[], Awaitable[object]], what: str
    ) -> None:
        """Raise the error unless ``async_fn()`` raises ``error``; ``what`` names the call."""
        try:
            with trio.fail_after(self.within):
                await async_fn()
        except error:
            return
        except Exception as other:
            detail = f"{what} raised {other!r}, not {error.__name__}."
            raise BrokenContractError(self.contract, self.clause, self.promise, detail) from other
        self.broken(f"{what} did not raise {error.__name__}.")


def clause_name(check: Callable[..., object]) -> str:
    """Return the name of a clause: that of its function, with spaces."""
    return check.__name__.replace("_", " ").strip()


def choose(
    clauses: Sequence[Callable[[T], Awaitable[None]]], only: Collection[str], skip: Collection[str]
) -> list[Callable[[T], Awaitable[None]]]:
    """Return the clauses to check.

    Raises:
      ValueError: There is no clause of some name; the error lists those there are.
    """
    names = [clause_name(check) for check in clauses]
    for name in (*only, *skip):
        if name not in names:
            raise ValueError(f"there is no clause {name!r}; clauses: {', '.join(map(repr, names))}")
    return [
        check
        for name, check in zip(names, clauses, strict=True)
        if (not only or name in only) and name not in skip
    ]


async def judge(trial: Trial, check: Callable[[], Awaitable[None]]) -> None:
    """Run one clause; whatever goes wrong in it breaks the contract.

    Raises:
      BrokenContractError: Unwrapped, also where nurseries were around it.
    """
    limit = 20 * trial.within
    try:
        with trio.fail_after(limit):
            await check()
    except Exception as error:
        found = _first_broken(error)
        if found is error:
            raise
        if found is not None:
            raise found from None
        detail = f"It raised {error!r}."
        if isinstance(error, trio.TooSlowError):
            detail = f"It has not ended after {limit:g} s."
        raise BrokenContractError(trial.contract, trial.clause, trial.promise, detail) from error


async def check_clauses(
    clauses: Sequence[Callable[[S], Awaitable[None]]],
    only: Collection[str],
    skip: Collection[str],
    open_trial: Callable[[str, str], Awaitable[S]],
) -> tuple[str, ...]:
    """Check clauses one after the other; return the names of those checked, which all hold.

    Args:
      clauses: Those there are.
      only: As in `choose`.
      skip: As in `choose`.
      open_trial: Returns a fresh trial, given a clause's name and what it promises.

    Raises:
      BrokenContractError: The first one that does not hold.
      ValueError: As from `choose`.
    """
    held = []
    for check in choose(clauses, only, skip):
        trial = await open_trial(clause_name(check), first_line(check))
        await judge(trial, partial(check, trial))
        held.append(trial.clause)
    return tuple(held)


def first_line(check: Callable[..., object]) -> str:
    """Return the first line of a docstring: what the clause promises."""
    return (inspect.getdoc(check) or "").partition("\n")[0]


async def make(factory: Callable[[], T | Awaitable[T]]) -> T:
    """Call ``factory``, async or not."""
    made = factory()
    return await made if inspect.isawaitable(made) else made


def _first_broken(error: BaseException) -> BrokenContractError | None:
    if isinstance(error, BrokenContractError):
        return error
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            found = _first_broken(part)
            if found is not None:
                return found
    return None
