"""Messages of users, and subscribers that note what they get: for tests of all packages."""

import attrs

from trioworkers.bus import BusDataMessage, BusMessage, BusSubscriber, BusSystemMessage


@attrs.define
class Note(BusDataMessage):
    """A user's message."""

    text: str = ""


@attrs.define
class Alarm(BusSystemMessage):
    """A user's message in the system lane."""


class Listener(BusSubscriber):
    """Notes what its hook gets, in the lanes that the bus runs."""

    def __init__(self, name, *interests):
        self._name = name
        self.wants = interests or (BusMessage,)
        self.heard = []
        self.left = 0

    @property
    def name(self):
        return self._name

    @property
    def interests(self):
        return self.wants

    @property
    def texts(self):
        """The texts of the notes that it has heard."""
        return [message.text for message in self.heard]

    async def on_bus_message(self, message):
        self.heard.append(message)

    def on_unsubscribed(self):
        self.left += 1


class AtDelivery(Listener):
    """Calls a function at delivery, and runs no hook."""

    def __init__(self, name, function, *interests):
        super().__init__(name, *interests)
        self.function = function

    def on_delivery(self, message):
        return self.function(message)


class Ear(BusSubscriber):
    """Notes at delivery what it is sent, and broadcasts unless it is ``deaf`` to them."""

    def __init__(self, name="ear", *, deaf=False):
        self._name = name
        self.deaf = deaf
        self.heard = []

    @property
    def name(self):
        return self._name

    @property
    def interests(self):
        return () if self.deaf else (BusMessage,)

    def on_delivery(self, message):
        self.heard.append(message)

    def of(self, cls):
        """Return the messages of exactly this class."""
        return [message for message in self.heard if type(message) is cls]
