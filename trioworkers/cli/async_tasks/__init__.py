"""A desk at which people ask for research in words of their own."""

from ._desk import Desk as Desk
from ._researchers import make_researchers as make_researchers
from ._responder import Reply as Reply
from ._responder import Responder as Responder
from ._rules import RuleResponder as RuleResponder
from ._rules import plan_reply as plan_reply
