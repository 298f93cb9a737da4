"""Tasks as XML, and back; document types are refused, depth and size are bounded.

The root element has the class's name. An object has a child for each key: with
the key's name, or ``<entry key="...">`` where that is no name. A list has an
``<item>`` for each of its items. Values that are no texts or objects say so in an
attribute: ``type="int"``. A text that XML can't hold, such as one with control
characters, is written with the escapes of JSON, and says so: ``escaped="true"``.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Never, TypeVar
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

import attrs

from ..bus import Misfit, cut, shown
from ._dump import check_size, checked, from_dict, json_values

T = TypeVar("T")

#: Elements inside one another.
MAX_DEPTH = 100

_NAME = re.compile(r"(?!xml)[A-Za-z_][A-Za-z0-9_.-]*\Z", re.IGNORECASE)
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_INT = re.compile(r"-?[0-9]+\Z")
_TYPES = frozenset({"null", "bool", "int", "float", "list", "dict"})
_ATTRIBUTES = frozenset({"type", "escaped", "key", "escaped-key"})


def _root_name(cls: type) -> str:
    return cls.__name__ if _NAME.match(cls.__name__) else "Task"


# -- Writing -------------------------------------------------------------------


def to_xml(task: Any) -> str:
    """Return the fields of a task as an XML text. See `Task.to_xml`."""
    cls = type(task)
    values = json_values(task)
    name = _root_name(cls)
    text = checked(cls, "dump", TypeError, lambda: "\n".join(_element(name, "", values, 0)) + "\n")
    check_size(cls, text, "dump")
    return text


def _escaped(text: str) -> str:
    return json.dumps(text)[1:-1]


def _element(name: str, attributes: str, value: Any, depth: int) -> Iterator[str]:
    """Yield the lines of an element that holds a JSON value."""
    if depth >= MAX_DEPTH:
        raise Misfit(f"nested deeper than {MAX_DEPTH}, which XML is limited to")
    indent = "  " * depth
    kind = type(value)
    if kind is dict or kind is list:
        if kind is list or not value:
            attributes += f' type="{kind.__name__}"'
        if not value:
            yield f"{indent}<{name}{attributes}/>"
            return
        yield f"{indent}<{name}{attributes}>"
        for key, one in value.items() if kind is dict else (("item", one) for one in value):
            yield from _element(*_tag(key), one, depth + 1)
        yield f"{indent}</{name}>"
    elif kind is str:
        if _NO_XML.search(value):
            attributes, value = f'{attributes} escaped="true"', _escaped(value)
        text = escape(value, {"\r": "&#13;"})
        yield f"{indent}<{name}{attributes}>{text}</{name}>"
    elif value is None:
        yield f'{indent}<{name}{attributes} type="null"/>'
    else:
        try:
            text = str(value).lower() if kind is bool else repr(value)
        except ValueError:
            raise Misfit("a number of thousands of digits") from None
        yield f'{indent}<{name}{attributes} type="{kind.__name__}">{text}</{name}>'


def _tag(key: str) -> tuple[str, str]:
    """Return the name of the element for a key, and its attributes."""
    if _NAME.match(key):
        return key, ""
    if _NO_XML.search(key):
        return "entry", f" escaped-key={quoteattr(_escaped(key))}"
    return "entry", f" key={quoteattr(key, {chr(13): '&#13;', chr(10): '&#10;', chr(9): '&#9;'})}"


# -- Reading -------------------------------------------------------------------


@attrs.define(eq=False)
class _Open:
    """An element that has begun."""

    name: str
    attributes: dict[str, str]
    texts: list[str] = attrs.field(factory=list)
    children: list[tuple[str, Any]] = attrs.field(factory=list)

    def key(self) -> str:
        """Return which key of its parent this is."""
        if self.name == "entry":
            if "escaped-key" in self.attributes:
                return _unescaped(self.attributes["escaped-key"])
            return self.attributes.get("key", self.name)
        return self.name

    def value(self) -> Any:
        """Return the JSON value that it holds.

        Raises:
          Misfit: It holds none.
        """
        kind = self.attributes.get("type")
        unknown = self.attributes.keys() - _ATTRIBUTES
        if unknown:
            raise Misfit(f"unknown attribute {shown(min(unknown))}")
        if kind is not None and kind not in _TYPES:
            raise Misfit(f"unknown type {shown(kind)}")
        text = "".join(self.texts)
        if self.children or kind in ("list", "dict"):
            if text.strip(" \t\r\n"):
                raise Misfit(f"text between elements: {shown(text.strip())}")
            return self._list() if kind == "list" else self._dict(kind)
        if "escaped" in self.attributes:
            return _unescaped(text)
        return text if kind is None else _scalar(kind, text)

    def _list(self) -> list[Any]:
        for name, _ in self.children:
            if name != "item":
                raise Misfit(f"expected <item> in a list, got {shown(name)}")
        return [value for _, value in self.children]

    def _dict(self, kind: str | None) -> dict[str, Any]:
        if kind not in (None, "dict"):
            raise Misfit(f"elements in a value of type {kind}")
        values = dict(self.children)
        if len(values) < len(self.children):
            for name, _ in self.children:
                if name not in values:
                    raise Misfit("is there twice", [name])
                del values[name]
        return values


def _unescaped(text: str) -> str:
    try:
        value = json.loads(f'"{text}"', strict=False)
    except ValueError:
        value = None
    if not isinstance(value, str):
        raise Misfit(f"bad escapes in {shown(text)}")
    return value


def _scalar(kind: str, text: str) -> Any:
    text = text.strip()
    if kind == "null" and not text:
        return None
    if kind == "bool" and text in ("true", "false"):
        return text == "true"
    try:
        if kind == "int" and _INT.match(text):
            return int(text)
        if kind == "float":
            return float(text)
    except ValueError:
        pass
    raise Misfit(f"expected {kind}, got {shown(text)}")


class _Reader:
    """Makes JSON values of XML, without entities, and not deeper than `MAX_DEPTH`."""

    def __init__(self, encoding: str | None) -> None:
        self.open: list[_Open] = []
        self.root: tuple[str, Any] | None = None
        parser = self.parser = expat.ParserCreate(encoding)
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = self._doctype

    def _doctype(self, *_: object) -> Never:
        raise Misfit("document types are refused, as they can hide anything; take <!DOCTYPE> out")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self.open) >= MAX_DEPTH:
            raise Misfit(f"nested deeper than {MAX_DEPTH}")
        self.open.append(_Open(name, attributes))

    def _text(self, text: str) -> None:
        self.open[-1].texts.append(text)

    def _end(self, name: str) -> None:
        element = self.open.pop()
        try:
            value = element.value()
            if self.open:
                self.open[-1].children.append((element.key(), value))
            else:
                self.root = name, value
        except Misfit as fault:
            for outer in [element, *reversed(self.open[1:])] if self.open else []:
                fault.inside(outer.name)
            raise


def _read(text: str | bytes) -> tuple[str, Any]:
    try:
        data = text.encode() if isinstance(text, str) else text
        reader = _Reader("utf-8" if isinstance(text, str) else None)
        reader.parser.Parse(data, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise Misfit(f"not XML: {cut(str(error), 100)}") from None
    assert reader.root is not None
    return reader.root


def from_xml(cls: type[T], text: str | bytes) -> T:
    """Return the task that an XML text stands for. See `Task.from_xml`."""
    check_size(cls, text, "load")
    name, values = checked(cls, "load", ValueError, lambda: _read(text))
    if name != _root_name(cls):
        raise ValueError(f"can't load {cls.__name__}: the root element is {shown(name)}")
    # An object without keys looks like an empty text.
    return from_dict(cls, {} if values == "" else values)
