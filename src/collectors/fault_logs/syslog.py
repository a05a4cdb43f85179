"""One syslog message: RFC 5424, RFC 3164 as it is really sent, or whatever else stands there.

A parser of our own: those on PyPI read one of the two forms and refuse what departs from it, and have not been released
for years, while devices send both, and both inexactly. Nothing here raises: what has no header is a line of text.
"""

import re
from enum import StrEnum
from typing import Final, NamedTuple

from streams.messages import Severity

SEVERITIES: Final = tuple(Severity)

_PRI: Final = re.compile(rb"<(\d{1,3})>")
_ELEMENT: Final = rb'\[(?:[^"\]]|"(?:[^"\\]|\\.)*+")*+\]'
_RFC5424: Final = re.compile(
    rb"1 (?P<sent>\S{1,64}) (?P<host>\S{1,255}) (?P<app>\S{1,48}) \S{1,128} \S{1,32} (?:-|(?:"
    + _ELEMENT
    + rb")++)(?: (?P<text>.*))?",
    re.DOTALL,
)
_RFC3164: Final = re.compile(
    rb"(?P<sent>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT\S{8,27}) (?P<host>\S{1,255})"
    rb"(?: (?P<app>[^\s:\[]{1,48})(?:\[[^\]\s]{0,64}\])?:)? ?(?P<text>.*)",
    re.DOTALL,
)
_BOM: Final = b"\xef\xbb\xbf"


class Form(StrEnum):
    """Which form a message has."""

    RFC5424 = "rfc5424"
    RFC3164 = "rfc3164"
    OTHER = "other"


class SyslogMessage(NamedTuple):
    """What a message says; `sent` as it stands there, for its clock is the sender's; empty where nothing was said."""

    text: str
    severity: Severity | None = None
    facility: int | None = None
    host: str = ""
    app: str = ""
    sent: str = ""
    form: Form = Form.OTHER


def message_from_bytes(data: bytes) -> SyslogMessage:
    """Return what these bytes say."""
    pri = _PRI.match(data)
    if pri is None or int(pri[1]) > 191:
        return SyslogMessage(text_from_bytes(data))
    facility, level = divmod(int(pri[1]), 8)
    for form, pattern in ((Form.RFC5424, _RFC5424), (Form.RFC3164, _RFC3164)):
        found = pattern.fullmatch(data, pri.end())
        if found is not None:
            host, app, sent = (_said(found[name]) for name in ("host", "app", "sent"))
            text = text_from_bytes((found["text"] or b"").removeprefix(_BOM))
            return SyslogMessage(text, SEVERITIES[level], facility, host, app, sent, form)
    return SyslogMessage(text_from_bytes(data[pri.end() :]), SEVERITIES[level], facility)


def text_from_bytes(data: bytes) -> str:
    """Return bytes as text: UTF-8, what is not UTF-8 replaced; NUL left out (UTF-16 of plain letters becomes text)."""
    return data.replace(b"\0", b"").decode("utf-8", "replace").strip()


def _said(data: bytes | None) -> str:
    return "" if data is None or data == b"-" else text_from_bytes(data)
