"""NCI (SCP-01) of Avery Weigh-Tronix and others: asked with ``W``, answers with weight and status bytes.

The status bytes are raw bits, not text: in the first, bit 0 is motion and bit 1 is zero, bits 2 and 3 are memory
faults; in the second, bit 0 is under and bit 1 over capacity, bits 2 and 3 faults of ROM and calibration. Read in
public copies of manuals; never tried on a device.
"""

import re
from typing import Final

from collectors.protocols.framing import Frame, Frames
from collectors.protocols.items import Condition, DeviceError, Item, Noise, Quantity, Reading
from collectors.protocols.numbers import number
from collectors.protocols.units import unit

ASK: Final = b"W\r"
ZERO: Final = b"Z\r"

_MOTION, _AT_ZERO, _MEMORY = 0b0001, 0b0010, 0b1100
_UNDER, _OVER, _CALIBRATION = 0b0001, 0b0010, 0b1100
_FIXED, _FIXED_BITS = 0b0111_0000, 0b0011_0000
_ANSWER: Final = re.compile(
    rb"\n(?:(?P<weight>[ +-]*[0-9.]+) *(?P<unit>[A-Za-z]{2})\r\n)?(?P<status>[\x30-\x7f]{2,3})\r", re.DOTALL
)


class NciParser:
    """Frames that end with ETX."""

    def __init__(self) -> None:
        self._frames = Frames(b"\x03", longest=64)

    def feed(self, data: bytes) -> list[Item]:
        """Take bytes as they came; return what they complete."""
        return [item for frame in self._frames.feed(data) for item in _items(frame)]


def _items(frame: Frame) -> list[Item]:
    raw = frame.data
    if frame.overlong:
        return [Noise(raw, "longer than any answer")]
    start = raw.rfind(b"\n?\r")
    if start >= 0 and raw.endswith(b"\n?\r"):
        return [*_before(raw[:start]), DeviceError("?", raw[start:])]
    found = _last_answer(raw)
    if found is None:
        return [Noise(raw, "no answer that is known")]
    return [*_before(raw[: found.start()]), _reading(found)]


def _before(data: bytes) -> list[Item]:
    return [Noise(data, "before an answer")] if data else []


def _last_answer(raw: bytes) -> re.Match[bytes] | None:
    """Return the answer that ends the frame, after whatever noise."""
    place = raw.rfind(b"\n")
    before = raw.rfind(b"\n", 0, place) if place > 0 else -1
    for start in (before, place):
        found = _ANSWER.fullmatch(raw, start) if start >= 0 else None
        if found is not None:
            return found
    return None


def _reading(found: re.Match[bytes]) -> Item:
    first, second = found["status"][:2]
    if first & _FIXED != _FIXED_BITS or second & _FIXED & ~0b0100_0000 != _FIXED_BITS:
        return Noise(found[0], "status bytes with wrong fixed bits")
    if first & _MEMORY or second & _CALIBRATION:
        return DeviceError(f"status {first:02x} {second:02x}", found[0])
    condition = Condition.UNSTABLE if first & _MOTION else Condition.STABLE
    if second & _OVER:
        condition = Condition.OVERLOAD
    elif second & _UNDER:
        condition = Condition.UNDERLOAD
    text = (found["weight"] or b"").decode("ascii")
    spelling = (found["unit"] or b"").decode("ascii")
    known, value = unit(spelling), number(text)
    if text and (known is None or known.quantity is not Quantity.WEIGHT or value is None):
        return Noise(found[0], "no weight")
    kilograms = value * known.factor if known is not None and value is not None else None
    return Reading(
        Quantity.WEIGHT,
        kilograms,
        condition,
        spelling,
        imperial=known is not None and known.imperial,
        zero=bool(first & _AT_ZERO) or kilograms == 0,
        raw=found[0],
    )
