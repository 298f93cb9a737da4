"""Who gets a message: targets, interests, observers, and handing it over."""

import logging
from collections.abc import Iterator

import attrs

from ..errors import DuplicateWorkerError, LaneFull, UnknownWorkerError
from ._lane_run import LaneRun
from ._lanes import Lanes, LaneStatistics
from ._messages import BusMessage
from ._subscriber import BusSubscriber

logger = logging.getLogger("trioworkers.bus")


@attrs.define(eq=False)
class Subscription:
    """One subscriber of a bus.

    Attributes:
      subscriber: Who it is.
      lanes: Where its hooks run.
      run: What runs the lanes, if the bus does.
      interests: Classes whose broadcasts it gets.
    """

    subscriber: BusSubscriber
    lanes: Lanes
    run: LaneRun | None
    interests: tuple[type[BusMessage], ...]


class Router:
    """The subscribers of one bus. All is synchronous; who may wait is the bus's matter.

    Args:
      lane_capacity: Of the lanes that it makes, as in `Lanes`.

    Attributes:
      targets: Those that messages can be sent to, by name.
      observers: Those that see every message, by name.
      delivered: Counts messages handed over.
      missed: Counts messages dropped, since their target had gone.
      unobserved: Counts messages that observers missed, by being slow.
      errors: Counts what subscribers raised.
    """

    __slots__ = (
        "_lane_capacity",
        "_wanting",
        "delivered",
        "errors",
        "missed",
        "observers",
        "targets",
        "unobserved",
    )

    def __init__(self, lane_capacity: int) -> None:
        self._lane_capacity = lane_capacity
        self.targets: dict[str, Subscription] = {}
        self.observers: dict[str, Subscription] = {}
        self._wanting: dict[type[BusMessage], dict[str, Subscription]] = {}
        self.delivered = self.missed = self.unobserved = self.errors = 0

    # Who is there

    def __iter__(self) -> Iterator[Subscription]:
        """Iterate over a snapshot of targets and observers."""
        return iter([*self.targets.values(), *self.observers.values()])

    def __contains__(self, subscriber: BusSubscriber) -> bool:
        """Whether this very subscriber is there."""
        known = self.targets.get(subscriber.name) or self.observers.get(subscriber.name)
        return known is not None and known.subscriber is subscriber

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the targets."""
        return tuple(self.targets)

    def subscribe(
        self, subscriber: BusSubscriber, lanes: Lanes | None, *, observe: bool
    ) -> Subscription:
        """Add a subscriber, or read the interests of a known one again.

        Args:
          subscriber: Whom to add.
          lanes: Where its hooks run; None makes some for the bus to run.
          observe: Whether it is an observer, not a target.

        Raises:
          DuplicateWorkerError: Another subscriber has that name.
        """
        name = subscriber.name
        known = self.targets.get(name) or self.observers.get(name)
        if known is not None and known.subscriber is subscriber:
            self._forget_interests(known)
            known.interests = subscriber.interests
        else:
            self.check_free(name)
            run = None
            if lanes is None:
                lanes = Lanes(self._lane_capacity, self._failed)
                run = LaneRun(lanes)
            known = Subscription(subscriber, lanes, run, subscriber.interests)
            (self.observers if observe else self.targets)[name] = known
        if name in self.targets:
            for wanted in known.interests:
                self._wanting.setdefault(wanted, {})[name] = known
        return known

    def check_free(self, name: str) -> None:
        """Raise `DuplicateWorkerError` if a subscriber has that name."""
        if name in self.targets or name in self.observers:
            raise DuplicateWorkerError(name, "the bus")

    def unsubscribe(self, subscriber: BusSubscriber) -> Subscription | None:
        """Remove a subscriber; return what it had, or None for one that isn't there."""
        for table in (self.targets, self.observers):
            found = table.get(subscriber.name)
            if found is not None and found.subscriber is subscriber:
                del table[subscriber.name]
                self._forget_interests(found)
                return found
        return None

    def lane_statistics(self) -> dict[str, LaneStatistics]:
        """Return a snapshot of the lanes that are not empty, by name."""
        return {
            subscription.subscriber.name: subscription.lanes.statistics()
            for subscription in self
            if not subscription.lanes.is_idle
        }

    def _forget_interests(self, subscription: Subscription) -> None:
        for wanted in subscription.interests:
            names = self._wanting.get(wanted, {})
            names.pop(subscription.subscriber.name, None)
            if not names:
                self._wanting.pop(wanted, None)

    # Delivering

    def deliver(self, message: BusMessage, *, force: bool = False) -> None:
        """Hand ``message`` to its target, or to all that want it; and to observers.

        Args:
          message: What is delivered.
          force: Whether lanes take it though they are full. Observers' don't.

        Raises:
          UnknownWorkerError: Nobody here has the name it is targeted to.
          LaneFull: Those named had no room; all other targets got it, but no observer.
        """
        target = message.target
        if target is None:
            self._broadcast(message, force=force)
        else:
            subscription = self.targets.get(target)
            if subscription is None:
                self.miss(target, message)
            elif not self.hand_over(subscription, message, force=force):
                raise LaneFull((target,))
        if self.observers:
            self.observe(message)

    def hand_over(
        self, subscription: Subscription, message: BusMessage, *, force: bool = False
    ) -> bool:
        """Deliver to one subscriber; return whether its lane had room, or needed none."""
        if (
            message.waits_for_room
            and not force
            and subscription.lanes.full(system=message.is_system)
        ):
            return False
        self.delivered += 1
        try:
            hook = subscription.subscriber.on_delivery(message)
        except LaneFull:
            raise
        except Exception as error:  # noqa: BLE001 - a subscriber never fails the sender
            self._failed(error)
        else:
            if hook is not None:
                subscription.lanes.put(hook, message, system=message.is_system)
        return True

    def full_lanes(self, message: BusMessage) -> tuple[str, ...]:
        """Return the names of those that ``message`` is for and whose lane is full."""
        if message.target is not None:
            subscription = self.targets.get(message.target)
            wanted = {} if subscription is None else {message.target: subscription}
        else:
            wanted = self._interested(message)
        system = message.is_system
        return tuple(name for name, found in wanted.items() if found.lanes.full(system=system))

    def observe(self, message: BusMessage) -> None:
        """Show ``message`` to the observers that have room."""
        for subscription in self.observers.values():
            if subscription.lanes.full(system=False):
                self.unobserved += 1
            else:
                subscription.lanes.put(
                    subscription.subscriber.on_bus_message, message, system=False
                )

    def miss(self, target: str, message: BusMessage) -> None:
        """Count ``message``, whose ``target`` isn't there, as missed.

        Raises:
          UnknownWorkerError: It may not be missed.
        """
        if not message.may_miss:
            raise UnknownWorkerError(target, self.names)
        self.missed += 1

    def _broadcast(self, message: BusMessage, *, force: bool) -> None:
        full: list[str] = []
        for name, subscription in self._interested(message).items():
            try:
                if not self.hand_over(subscription, message, force=force):
                    full.append(name)
            except LaneFull:  # it does not run yet, and keeps no more
                full.append(name)
        if full:
            raise LaneFull(tuple(full))

    def _interested(self, message: BusMessage) -> dict[str, Subscription]:
        """Return those that want broadcasts of the message's class."""
        interested: dict[str, Subscription] = {}
        for cls in type(message).__mro__:
            interested.update(self._wanting.get(cls, {}))
        return interested

    def _failed(self, error: Exception) -> None:
        self.errors += 1
        logger.error("a bus subscriber raised", exc_info=error)
