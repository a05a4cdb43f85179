"""Cuts a syslog connection into messages (RFC 6587, RFC 5425), in bounded memory and alike for any pieces.

Each message is either counted (``104 <131>1 ...``) or ends with LF; which of the two is seen at its start, so a sender
may use either. After noise the next LF, or what looks like the start of a counted message, begins a new one.
"""

import re
from typing import Final, NamedTuple, TypeVar

LONGEST: Final = 65_536
"""Bytes of one message; DICOM PS3.15 asks for 32,768."""

_COUNTED: Final = re.compile(rb"([1-9]\d{0,5}) <")
_PERHAPS_COUNTED: Final = re.compile(rb"[1-9]\d{0,5} ?")
_WITHIN: Final = re.compile(rb"(?<!\d)[1-9]\d{0,5} <\d{1,3}>")
_KEPT: Final = 16
"""Bytes that are looked at again when more come: one more than the longest start of a counted message."""


class Message(NamedTuple):
    """One message as it was sent, without its frame."""

    data: bytes


class Skipped(NamedTuple):
    """So many bytes were no message, or one that is too long."""

    size: int


Taken = TypeVar("Taken", Message, Skipped)


class SyslogFrames:
    """One connection.

    Parameters
    ----------
    longest
        Longest message; longer ones are skipped.
    """

    def __init__(self, longest: int = LONGEST) -> None:
        self._longest = longest
        self._rest = b""
        self._looked = 0
        self._skipping: tuple[int, int] | None = None
        self._dropped: int | None = None

    def feed(self, data: bytes) -> list[Message | Skipped]:
        """Return what these bytes complete."""
        self._rest += data
        items: list[Message | Skipped] = []
        while (item := self._next()) is not None:
            items.append(item)
        return items

    def end(self) -> list[Message | Skipped]:
        """Return what stands there when the sender has closed: a last line need not end with LF."""
        rest, self._rest = self._rest, b""
        if self._skipping is not None:
            return [Skipped(self._skipping[0] - self._skipping[1])]
        if self._dropped is not None:
            return [Skipped(self._dropped + len(rest))]
        if not rest:
            return []
        return [Skipped(len(rest)) if _COUNTED.match(rest) else Message(rest.rstrip(b"\r\0"))]

    def _next(self) -> Message | Skipped | None:
        if self._skipping is not None:
            return self._skip()
        if self._dropped is not None:
            return self._resynchronise(self._dropped)
        if self._looked == 0:
            self._rest = self._rest.lstrip(b"\r\n\0")
        if not self._rest or _PERHAPS_COUNTED.fullmatch(self._rest):
            return None
        counted = _COUNTED.match(self._rest)
        return self._line() if counted is None else self._counted(int(counted[1]), counted.end() - 1)

    def _counted(self, count: int, start: int) -> Message | Skipped | None:
        if count > self._longest:
            self._rest, self._skipping = self._rest[start:], (count, count)
            return self._skip()
        end = start + count
        if len(self._rest) < end:
            return None
        data, self._rest = self._rest[start:end], self._rest[end:]
        return Message(data.rstrip(b"\r\n\0"))

    def _skip(self) -> Skipped | None:
        assert self._skipping is not None  # noqa: S101 - asked before
        whole, left = self._skipping
        gone = min(left, len(self._rest))
        self._rest, self._skipping = self._rest[gone:], (whole, left - gone)
        if left > gone:
            return None
        self._skipping = None
        return Skipped(whole)

    def _line(self) -> Message | Skipped | None:
        seen = self._rest[: self._longest + 1]
        start = max(0, self._looked - _KEPT)
        end = seen.find(b"\n", start)
        if not seen.startswith(b"<"):
            found = _WITHIN.search(seen, start, len(seen) if end < 0 else end)
            if found is not None:
                return self._take(found.start(), Skipped(found.start()))
        if end >= 0:
            return self._take(end + 1, Message(seen[:end].rstrip(b"\r\0")))
        self._looked = len(seen)
        if len(seen) <= self._longest:
            return None
        self._dropped = len(seen) - _KEPT
        self._rest, self._looked = self._rest[self._dropped :], 0
        return self._resynchronise(self._dropped)

    def _resynchronise(self, dropped: int) -> Skipped | None:
        end = self._rest.find(b"\n")
        # from 1: what stood before the first byte is gone, and a digit may have
        found = _WITHIN.search(self._rest, 1, len(self._rest) if end < 0 else end)
        place = end if found is None else found.start()
        if place >= 0:
            self._dropped = None
            return self._take(place, Skipped(dropped + place))
        gone = max(0, len(self._rest) - _KEPT)
        self._rest, self._dropped = self._rest[gone:], dropped + gone
        return None

    def _take(self, count: int, item: Taken) -> Taken:
        self._rest, self._looked = self._rest[count:], 0
        return item
