"""Whether the bytes of a data set are whole.

pydicom reads a truncated data set without a word (its sequences end where the bytes end), so that half a report
would pass for one. This walks lengths and delimiters only; values stay closed.
"""

import struct
import zlib
from typing import Final

from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32, VR

from collectors.errors import UndecodableError

MAX_DEPTH: Final = 32
"""Deeper nesting than any real report's is an attack on the parser."""

_UNDEFINED: Final = 0xFFFFFFFF
_ITEM: Final = 0xFFFEE000
_ITEM_END: Final = 0xFFFEE00D
_SEQUENCE_END: Final = 0xFFFEE0DD
_PIXEL_DATA: Final = 0x7FE00010
_KNOWN_VR: Final = frozenset(vr.value.encode() for vr in VR if len(vr.value) == 2)
_LONG_VR: Final = frozenset(str(vr).encode() for vr in EXPLICIT_VR_LENGTH_32)


def inflated(data: bytes, transfer_syntax: UID, *, max_bytes: int) -> bytes:
    """Return the data set as it is encoded beneath a deflated transfer syntax; other syntaxes as they are.

    Raises
    ------
    UndecodableError
        If the stream is broken, or would grow beyond `max_bytes`.
    """
    if transfer_syntax != DeflatedExplicitVRLittleEndian:
        return data
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        plain = inflater.decompress(data, max_bytes)
    except zlib.error as error:
        raise UndecodableError("the deflated data set is broken") from error
    if not inflater.eof:
        raise UndecodableError("the deflated data set is truncated or too large")
    return plain


def check_whole(data: bytes, transfer_syntax: UID) -> None:
    """Raise `UndecodableError` unless every element, item and sequence of the data set ends where it says."""
    if not data:
        raise UndecodableError("the data set is empty")
    order = "<" if transfer_syntax.is_little_endian else ">"
    _Walk(data, order).elements(0, len(data), implicit=transfer_syntax.is_implicit_VR, depth=0)


class _Walk:
    """One pass over one data set; each method takes a place and returns the place after what it walked."""

    def __init__(self, data: bytes, order: str) -> None:
        self._data = data
        self._tag = struct.Struct(f"{order}HH")
        self._long = struct.Struct(f"{order}L")
        self._short = struct.Struct(f"{order}H")

    def elements(self, at: int, end: int, *, implicit: bool, depth: int, delimited: bool = False) -> int:
        if depth > MAX_DEPTH:
            raise UndecodableError("the data set is nested too deeply")
        while at < end:
            tag = self._read_tag(at, end)
            if tag == _ITEM_END and delimited:
                return at + 8
            at = self._element(tag, at, end, implicit=implicit, depth=depth)
        if delimited:
            raise UndecodableError("the data set is truncated: an item has no end")
        return at

    def _element(self, tag: int, at: int, end: int, *, implicit: bool, depth: int) -> int:
        vr, length, value_at = self._header(tag, at, end, implicit=implicit)
        if length == _UNDEFINED:
            if vr not in {b"SQ", b"UN", b"OB", b"OW"}:
                raise UndecodableError("an element has no length")
            is_pixels = tag == _PIXEL_DATA
            inner_implicit = implicit or vr == b"UN"
            return self._items(value_at, end, implicit=inner_implicit, depth=depth, delimited=True, opaque=is_pixels)
        value_end = value_at + length
        if value_end > end:
            raise UndecodableError("the data set is truncated: a value is cut short")
        if vr == b"SQ":
            self._items(value_at, value_end, implicit=implicit, depth=depth, delimited=False, opaque=False)
        return value_end

    def _items(self, at: int, end: int, *, implicit: bool, depth: int, delimited: bool, opaque: bool) -> int:
        while at < end:
            tag = self._read_tag(at, end)
            length = self._long.unpack_from(self._data, at + 4)[0]
            at += 8
            if tag == _SEQUENCE_END and delimited:
                return at
            if tag != _ITEM:
                raise UndecodableError("a sequence holds something that is no item")
            at = self._item(at, end, length, implicit=implicit, depth=depth, opaque=opaque)
        if delimited:
            raise UndecodableError("the data set is truncated: a sequence has no end")
        return at

    def _item(self, at: int, end: int, length: int, *, implicit: bool, depth: int, opaque: bool) -> int:
        if length == _UNDEFINED and not opaque:
            return self.elements(at, end, implicit=implicit, depth=depth + 1, delimited=True)
        if at + length > end:
            raise UndecodableError("the data set is truncated: an item is cut short")
        if not opaque:
            self.elements(at, at + length, implicit=implicit, depth=depth + 1)
        return at + length

    def _header(self, tag: int, at: int, end: int, *, implicit: bool) -> tuple[bytes, int, int]:
        """Return VR, length and where the value starts."""
        if implicit:
            length = self._long.unpack_from(self._data, at + 4)[0]
            return _implicit_vr(tag, length), length, at + 8
        vr = self._data[at + 4 : at + 6]
        if vr not in _KNOWN_VR:
            raise UndecodableError("an element has no known value representation")
        if vr not in _LONG_VR:
            return vr, self._short.unpack_from(self._data, at + 6)[0], at + 8
        if end - at < 12:
            raise UndecodableError("the data set is truncated: an element is cut short")
        return vr, self._long.unpack_from(self._data, at + 8)[0], at + 12

    def _read_tag(self, at: int, end: int) -> int:
        if end - at < 8:
            raise UndecodableError("the data set is truncated: an element is cut short")
        group, element = self._tag.unpack_from(self._data, at)
        return int(group) << 16 | int(element)


def _implicit_vr(tag: int, length: int) -> bytes:
    """Return SQ for a sequence, by its length or the dictionary; OB for pixels; UN for the rest."""
    if tag == _PIXEL_DATA:
        return b"OB"
    if length == _UNDEFINED or (dictionary_has_tag(tag) and dictionary_VR(tag) == "SQ"):
        return b"SQ"
    return b"UN"
