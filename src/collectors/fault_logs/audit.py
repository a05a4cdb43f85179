"""DICOM audit messages (PS3.15 A.5, and the older form of RFC 3881) as one line of text for rules.

Of the message only the event, its outcome and its source are read; who took part and whom it was about (patients) is
passed over. The XML is read by the standard library's expat with every document type refused: without one there are
no entities to expand and nothing external to load, which is all that defusedxml would add; size is bounded by the
frame, depth here.
"""

import re
from typing import Final
from xml.parsers import expat

DEEPEST: Final = 16

_ROOT: Final = re.compile(r"<(?:\w+:)?AuditMessage[\s>]")
_CODED: Final = {"EventID": "event", "EventTypeCode": "type"}


class AuditError(Exception):
    """The text is no whole audit message, or not safe to read."""


def is_audit(text: str) -> bool:
    """Whether a message holds an audit message."""
    return _ROOT.search(text) is not None


def line_from_audit(text: str) -> str:
    """Return an audit message as text.

    Raises
    ------
    AuditError
        If the XML is damaged, too deep, or has a document type.

    Examples
    --------
    >>> line_from_audit('<AuditMessage><EventIdentification EventOutcomeIndicator="8" EventActionCode="E">'
    ...     '<EventID csd-code="110100" originalText="Application Activity"/>'
    ...     '</EventIdentification></AuditMessage>')
    'AuditMessage event=110100 "Application Activity" action=E outcome=8'
    """
    start = text.find("<?xml")
    root = _ROOT.search(text)
    if root is None:
        raise AuditError("no audit message")
    reader = _Reader()
    reader.read(text[root.start() if start < 0 or start > root.start() else start :])
    return "AuditMessage " + " ".join(f"{name}={value}" for name, value in reader.said)


class _Reader:
    """Collects what is said of the event and its source."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []
        self._depth = 0
        self._outcome: list[tuple[str, str]] = []
        self._description: list[str] | None = None

    def read(self, text: str) -> None:
        parser = expat.ParserCreate("utf-8", namespace_separator=" ")
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        try:
            parser.Parse(text.encode(), True)  # noqa: FBT003 - the parser's own form
        except (expat.ExpatError, UnicodeEncodeError) as error:
            raise AuditError("the XML is damaged") from error

    def _doctype(self, *_words: object) -> None:
        raise AuditError("an audit message has no document type")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > DEEPEST:
            raise AuditError("the XML is too deep")
        name = name.rpartition(" ")[2]
        if name == "EventIdentification":
            pairs = (("action", "EventActionCode"), ("outcome", "EventOutcomeIndicator"))
            self._outcome = [(said, attributes[key]) for said, key in pairs if key in attributes]
        elif name in _CODED:
            self.said.append((_CODED[name], _coded(attributes)))
        elif name == "AuditSourceIdentification":
            self.said.append(("source", attributes.get("AuditSourceID", "")))
        elif name == "EventOutcomeDescription":
            self._description = []

    def _end(self, name: str) -> None:
        self._depth -= 1
        name = name.rpartition(" ")[2]
        if name == "EventOutcomeDescription" and self._description is not None:
            self._outcome.append(("description", f'"{"".join(self._description).strip()}"'))
            self._description = None
        elif name == "EventIdentification":
            self.said += self._outcome

    def _text(self, data: str) -> None:
        if self._description is not None:
            self._description.append(data)


def _coded(attributes: dict[str, str]) -> str:
    code = attributes.get("csd-code") or attributes.get("code") or "?"
    words = attributes.get("originalText") or attributes.get("displayName") or ""
    return f'{code} "{words}"' if words else code
