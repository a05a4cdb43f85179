"""MT-SICS of Mettler-Toledo, and its twin KCP of Kern: asked with a line, answers with a line.

Commands and answers after "Reference Manual MT-SICS" as read in public copies of balance manuals; never tried on a
device.
"""

from typing import Final

from collectors.protocols.framing import Frame, Frames
from collectors.protocols.items import (
    Answer,
    Condition,
    DeviceError,
    Identity,
    Item,
    Noise,
    Quantity,
    Reading,
)
from collectors.protocols.numbers import number
from collectors.protocols.units import unit

ASK_NOW: Final = b"SI\r\n"
"""Value at once, stable or not."""
ASK_SERIAL: Final = b"I4\r\n"
ZERO: Final = b"Z\r\n"

_CONDITIONS: Final = {"S": Condition.STABLE, "D": Condition.UNSTABLE}
_REFUSALS: Final = {"I": Condition.INVALID, "+": Condition.OVERLOAD, "-": Condition.UNDERLOAD}
_ERRORS: Final = frozenset({"ES", "ET", "EL"})
_WEIGHTS: Final = frozenset({"S", "SI", "SR", "SIR"})
_DONE: Final = frozenset({"A", "S", "D"})
_COMMANDS: Final = frozenset({"Z", "ZI", "T", "TI", "TAC", "TA"})


class MtSicsParser:
    """Lines that end with CR LF."""

    def __init__(self) -> None:
        self._frames = Frames(b"\r\n")

    def feed(self, data: bytes) -> list[Item]:
        """Take bytes as they came; return what they complete."""
        return [_item(frame) for frame in self._frames.feed(data)]


def _item(frame: Frame) -> Item:
    raw = frame.data
    words = [] if frame.overlong else raw.decode("latin-1").split()
    match words:
        case [head, *_] if head in _WEIGHTS:
            return _weight(words, raw)
        case [head] if head in _ERRORS:
            return DeviceError(head, raw)
        case ["I4", "A", _, *_]:
            return _identity(raw)
        case [head, status, *_] if head in _COMMANDS:
            return Answer(head, status in _DONE, raw)
    return Noise(raw, "longer than any answer" if frame.overlong else "no answer that is known")


def _weight(words: list[str], raw: bytes) -> Item:
    status = words[1] if len(words) > 1 else ""
    if len(words) == 2 and status in _REFUSALS:
        return Reading(Quantity.WEIGHT, None, _REFUSALS[status], "", raw=raw)
    if len(words) != 4 or status not in _CONDITIONS:
        return Noise(raw, "no weight")
    known, value = unit(words[3]), number(words[2])
    if known is None or known.quantity is not Quantity.WEIGHT or value is None:
        return Noise(raw, "no weight")
    kilograms = value * known.factor
    return Reading(
        Quantity.WEIGHT, kilograms, _CONDITIONS[status], words[3], known.imperial, zero=not kilograms, raw=raw
    )


def _identity(raw: bytes) -> Item:
    text = raw.decode("latin-1")
    first, last = text.find('"'), text.rfind('"')
    serial = text[first + 1 : last].strip() if 0 <= first < last else ""
    return Identity(serial, raw) if serial and serial.isprintable() else Noise(raw, "no serial number")
