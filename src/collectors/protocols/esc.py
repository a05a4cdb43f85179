"""Fields after ESC, as Health o meter / Pelstar and Rice Lake send them: one frame carries weight and height.

``ESC R  ESC I1234567890  ESC W200.00  ESC H178.70  ESC T5.7  ESC B28.0  ESC Nm  ESC E``; ``Nm`` is metric, ``Nc``
pounds and inches. The width of fields varies by model. Read in public copies of manuals; never tried on a device. The
protocol has no word for stability, so its readings are `Condition.UNTOLD`.
"""

import re
from typing import Final

from collectors.protocols.framing import Frame, Frames
from collectors.protocols.items import Condition, DeviceError, Identity, Item, Noise, Quantity, Reading
from collectors.protocols.numbers import number
from collectors.protocols.units import UNITS, Unit

ASK: Final = b"\x1bR\x1bE"

_BEGIN, _END = b"\x1bR", b"\x1bE"
_FIELD: Final = re.compile(r"\x1b([A-Z])([^\x1b]*)")
_BEYOND_RANGE: Final = re.compile(r"0*9{3}\.9{1,2}")
"""What stands in the place of a weight that is over or under range: 999.9 or 999.99 by model."""
_OVERLOAD_CODE: Final = "E10"
_SOUND: Final = "000"
_METRIC: Final = {"W": ("kg", UNITS["kg"]), "H": ("cm", UNITS["cm"])}
_CONSTITUTIONAL: Final = {"W": ("lb", UNITS["lb"]), "H": ("in", UNITS["in"])}
_SYSTEMS: Final = {"m": _METRIC, "c": _CONSTITUTIONAL}


class EscParser:
    """Frames from ESC R to ESC E."""

    def __init__(self) -> None:
        self._frames = Frames(sequence=_END)

    def feed(self, data: bytes) -> list[Item]:
        """Take bytes as they came; return what they complete."""
        return [item for frame in self._frames.feed(data) for item in _items(frame)]


def _items(frame: Frame) -> list[Item]:
    if frame.overlong:
        return [Noise(frame.data, "longer than any frame")]
    before, begins, content = frame.data.rpartition(_BEGIN)
    if not begins:
        return [Noise(frame.data, "no start of a frame")]
    noise: list[Item] = [Noise(before, "before a frame")] if before else []
    return [*noise, *_read(content, _BEGIN + content + _END)]


def _read(content: bytes, raw: bytes) -> list[Item]:
    """Return what the fields of a frame say; a frame with a field that does not hold is none."""
    found = _FIELD.findall(content.decode("latin-1"))
    fields = {name: said.strip() for name, said in found}
    if len(fields) != len(found) or sum(2 + len(said) for _, said in found) != len(content):
        return [Noise(raw, "fields that do not follow one another")]
    if not fields:
        return []  # the question, heard back
    system = _SYSTEMS.get(fields.get("N", ""))
    if system is None:
        return [Noise(raw, "it does not say whether it is metric")]
    items: list[Item] = []
    if (serial := fields.get("I", "")).strip("0"):
        items.append(Identity(serial, raw))
    diagnosis = fields.get("Z", _SOUND)
    if diagnosis not in {_SOUND, _OVERLOAD_CODE}:
        return [*items, DeviceError(diagnosis, raw)]
    for name, quantity in (("W", Quantity.WEIGHT), ("H", Quantity.HEIGHT)):
        if name in fields:
            is_over = quantity is Quantity.WEIGHT and diagnosis == _OVERLOAD_CODE
            items.append(_reading(quantity, fields[name], *system[name], raw, is_over=is_over))
    return items


def _reading(quantity: Quantity, text: str, spelling: str, known: Unit, raw: bytes, *, is_over: bool) -> Item:
    if is_over or _BEYOND_RANGE.fullmatch(text):
        return Reading(quantity, None, Condition.OVERLOAD, spelling, known.imperial, raw=raw)
    value = number(text)
    if value is None:
        return Noise(raw, f"no {quantity}")
    value = value * known.factor
    return Reading(quantity, value, Condition.UNTOLD, spelling, known.imperial, zero=not value, raw=raw)
