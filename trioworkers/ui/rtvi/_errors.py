"""What is wrong with what a client has sent."""


class BadMessage(ValueError):
    """A message that can't be taken; its text is for the client, and names what is wrong."""


class Denied(Exception):
    """A client may not do something; its text is for the client."""
