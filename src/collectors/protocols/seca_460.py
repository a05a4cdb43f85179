"""seca's RS232 block of the 460 interface: sent about once a second, hex digits between STX and ETX, CRC-8.

    STX  KK  BCD BCD BCD BCD BCD  DISPTYPE  CTRL1  CTRL2  CRC  CR LF ETX      kinds A0, A1 (weight)
    STX  KK  BCD BCD BCD BCD  DISPTYPE  CTRL1  CRC  CR LF ETX                 kind A4 (height)

KK, CTRL and CRC are two hex digits each, high first; a BCD place is one digit; DISPTYPE is one digit in A0 and A1, two
in A4. Read in public copies of "RS232 interface 460" (index c, 2005) and never tried on a device. What the copies
leave open is configuration, and chosen so that a wrong choice gives no measurement rather than a wrong one:

- the order of the flags in CTRL1 (`first_flag_is_high_bit`): a stable reading read the wrong way round says "zero point
  time out" and is not stable;
- where the decimal point stands (`decimals`): compare with the display;
- what the CRC covers: the characters from KK to the one before the CRC, remainder 0 at the start.
"""

from decimal import Decimal
from typing import Final

from collectors.protocols.framing import Frame, Frames
from collectors.protocols.items import Condition, Item, Noise, Quantity, Reading

_POLYNOMIAL: Final = 0x07
_NO_CRC: Final = b"00"
_HEX: Final = frozenset(b"0123456789ABCDEF")
_DIGITS: Final = frozenset(b"0123456789")
_WEIGHT_LENGTH: Final = 2 + 5 + 1 + 2 + 2 + 2
_HEIGHT_LENGTH: Final = 2 + 4 + 2 + 2 + 2

_STABLE, _HOLD, _MINUS, _NET, _NO_VALUE, _DRIFT, _ZERO_LOST = 0, 2, 3, 4, 5, 6, 7
"""Places of the flags in the order of the document; 1 is the battery."""
_VALID, _HEIGHT_MINUS = 0, 4
"""Places of a height's flags: data valid, periodic, user zero, module on, minus."""


def _crc_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        crc = value
        for _ in range(8):
            crc = (crc << 1) ^ (_POLYNOMIAL if crc & 0x80 else 0)
            crc &= 0xFF
        table.append(crc)
    return tuple(table)


_TABLE: Final = _crc_table()


def crc8(data: bytes) -> int:
    """Return the CRC-8 with generator 0x107, remainder 0 at the start.

    Examples
    --------
    >>> hex(crc8(b"123456789"))  # the check value of CRC-8/SMBUS
    '0xf4'
    """
    crc = 0
    for byte in data:
        crc = _TABLE[crc ^ byte]
    return crc


class Seca460Parser:
    """Blocks from STX to ETX.

    Parameters
    ----------
    decimals
        Digits after the point of a weight in kg; a height is in cm with `height_decimals`.
    first_flag_is_high_bit
        Whether "stable", the first flag of the document, is bit 7 of CTRL1 (else bit 0).
    """

    def __init__(self, *, decimals: int = 2, height_decimals: int = 1, first_flag_is_high_bit: bool = False) -> None:
        self._frames = Frames(b"\x03", longest=64)
        self._weight, self._height = Decimal(10) ** -decimals, Decimal(10) ** -height_decimals
        self._is_high_first = first_flag_is_high_bit

    def feed(self, data: bytes) -> list[Item]:
        """Take bytes as they came; return what they complete."""
        return [item for frame in self._frames.feed(data) for item in self._items(frame)]

    def _items(self, frame: Frame) -> list[Item]:
        if frame.overlong:
            return [Noise(frame.data, "longer than any block")]
        before, begins, block = frame.data.rpartition(b"\x02")
        if not begins:
            return [Noise(frame.data, "no start of a block")]
        noise: list[Item] = [Noise(before, "before a block")] if before else []
        return [*noise, self._block(begins + block)]

    def _block(self, block: bytes) -> Item:
        content = block[1:].removesuffix(b"\r\n")
        is_whole = len(content) in {_WEIGHT_LENGTH, _HEIGHT_LENGTH} and len(content) < len(block) - 1
        if not is_whole or not _HEX.issuperset(content):
            return Noise(block, "no block of hex digits that ends with CR LF, or cut short")
        body, crc = content[:-2], content[-2:]
        if crc != _NO_CRC and int(crc, 16) != crc8(body):
            return Noise(block, f"CRC {crc.decode()} where {crc8(body):02X} was expected")
        kind = content[:2]
        if kind in {b"A0", b"A1"} and len(content) == _WEIGHT_LENGTH:
            return self._weight_of(content, block)
        if kind == b"A4" and len(content) == _HEIGHT_LENGTH:
            return self._height_of(content, block)
        return Noise(block, "a kind of block that is not known")

    def _weight_of(self, content: bytes, block: bytes) -> Item:
        flags = self._flags(content[8:10])
        if flags[_NO_VALUE]:
            return Reading(Quantity.WEIGHT, None, Condition.INVALID, "", raw=block)
        value = _value(content[2:7], self._weight, minus=flags[_MINUS])
        if value is None:
            return Noise(block, "digits of the value are none")
        sound = flags[_STABLE] and not flags[_DRIFT] and not flags[_ZERO_LOST]
        condition = Condition.STABLE if sound else Condition.UNSTABLE
        return Reading(Quantity.WEIGHT, value, condition, "", zero=not value, net=flags[_NET], raw=block)

    def _height_of(self, content: bytes, block: bytes) -> Item:
        flags = self._flags(content[8:10])
        if not flags[_VALID]:
            return Reading(Quantity.HEIGHT, None, Condition.INVALID, "", raw=block)
        value = _value(content[2:6], self._height, minus=flags[_HEIGHT_MINUS])
        if value is None:
            return Noise(block, "digits of the value are none")
        return Reading(Quantity.HEIGHT, value, Condition.UNTOLD, "", zero=not value, raw=block)

    def _flags(self, digits: bytes) -> tuple[bool, ...]:
        """Return the flags in the order of the document."""
        bits = int(digits, 16)
        order = range(7, -1, -1) if self._is_high_first else range(8)
        return tuple(bool(bits >> place & 1) for place in order)


def _value(digits: bytes, step: Decimal, *, minus: bool) -> Decimal | None:
    if not _DIGITS.issuperset(digits):
        return None
    value = int(digits) * step
    return -value if minus else value
