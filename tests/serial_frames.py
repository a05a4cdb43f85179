"""Frames of every serial protocol as their manuals print them, and what each stands for."""

from decimal import Decimal
from typing import Final, NamedTuple

STX, ETX, ESC = b"\x02", b"\x03", b"\x1b"


class Said(NamedTuple):
    """What a frame says: value in kg or cm, or None, and the condition by its name."""

    value: str | None
    condition: str
    quantity: str = "weight"
    imperial: bool = False


def esc(*fields: str) -> bytes:
    return b"".join(ESC + field.encode() for field in fields)


def seca(body: str, *, crc: str | None = None) -> bytes:
    """A block whose CRC-8 is worked out bit by bit, not with the parser's table."""
    remainder = 0
    for byte in body.encode():
        for bit in range(7, -1, -1):
            top = remainder >> 7 ^ (byte >> bit & 1)
            remainder = (remainder << 1 & 0xFF) ^ (0x07 if top else 0)
    return STX + body.encode() + (crc or f"{remainder:02X}").encode() + b"\r\n" + ETX


PRINTED: Final[dict[str, list[tuple[bytes, list[Said]]]]] = {
    "mt-sics": [
        (b"S S     100.00 g\r\n", [Said("0.1", "stable")]),
        (b"S D     100.00 g\r\n", [Said("0.1", "unstable")]),
        (b"S S      70.45 kg\r\n", [Said("70.45", "stable")]),
        (b"S S      -0.10 kg\r\n", [Said("-0.1", "stable")]),
        (b"S S     155.00 lb\r\n", [Said("70.30681735", "stable", imperial=True)]),
        (b"S I\r\n", [Said(None, "invalid")]),
        (b"S +\r\n", [Said(None, "overload")]),
        (b"S -\r\n", [Said(None, "underload")]),
    ],
    "kern-kcp": [
        (b"S S      82.40 kg\r\n", [Said("82.4", "stable")]),
        (b"S I\r\n", [Said(None, "invalid")]),
        (b"S +\r\n", [Said(None, "overload")]),
        (b"S -\r\n", [Said(None, "underload")]),
    ],
    "nci": [
        (b"\n0154.6lb\r\n00\r" + ETX, [Said("70.125380402", "stable", imperial=True)]),
        (b"\n 70.10kg\r\n00\r" + ETX, [Said("70.10", "stable")]),
        (b"\n 70.10kg\r\n10\r" + ETX, [Said("70.10", "unstable")]),  # bit 0 of the first: motion
        (b"\n 00.00kg\r\n20\r" + ETX, [Said("0", "stable")]),  # bit 1 of the first: at zero
        (b"\n02\r" + ETX, [Said(None, "overload")]),
        (b"\n01\r" + ETX, [Said(None, "underload")]),
        (b"\n10\r" + ETX, [Said(None, "unstable")]),
    ],
    "esc": [
        (
            esc("R", "I1234567890", "W200.00", "H178.70", "T5.7", "B28.0", "Nm", "E"),
            [Said("200.00", "untold"), Said("178.70", "untold", "height")],
        ),
        (esc("R", "W0200.5", "Nm", "E"), [Said("200.5", "untold")]),
        (esc("R", "W200.05", "Nm", "E"), [Said("200.05", "untold")]),
        (esc("R", "W0200.5", "Nc", "E"), [Said("90.945270185", "untold", imperial=True)]),
        (esc("R", "W999.99", "Nm", "E"), [Said(None, "overload")]),
        (esc("R", "W999.9", "Nm", "E"), [Said(None, "overload")]),
    ],
    "and-standard": [
        (b"ST,+00123.45 kg\r\n", [Said("123.45", "stable")]),
        (b"ST,+00123,45 kg\r\n", [Said("123.45", "stable")]),
        (b"WT,+00123.45 kg\r\n", [Said("123.45", "stable")]),
        (b"US,+00123.45 kg\r\n", [Said("123.45", "unstable")]),
        (b"ST,-00000.10 kg\r\n", [Said("-0.10", "stable")]),
        (b"OL,+999999.9\r\n", [Said(None, "overload")]),
        (b"OL,-999999.9\r\n", [Said(None, "underload")]),
    ],
    "and-indicator": [
        (b"ST,GS,+  4.876kg\r\n", [Said("4.876", "stable")]),
        (b"US,GS,+  4.876kg\r\n", [Said("4.876", "unstable")]),
        (b"OL,GS,+       kg\r\n", [Said(None, "overload")]),
        (b"OL,GS,+999999 kg\r\n", [Said(None, "overload")]),
    ],
    "detecto-solo": [
        (
            b"12:00,08/07/15,21.5,5'03.0\",132.3lb\r",
            [Said("60.010270551", "untold", imperial=True), Said("160.02", "untold", "height", imperial=True)],
        ),
    ],
    "tanita-wb": [
        (
            b'{0,16,~0,1,~1,1,~2,1,MO,"WB-3000",Hm,170.0,Wk,82.7,MI,28.6,CS,FD\r\n\x00',
            [Said("82.7", "stable"), Said("170.0", "stable", "height")],
        ),
    ],
    "tanita-bc418": [
        (b"KS 82.7\r\n", [Said("82.7", "stable")]),
        (b"KD 82.7\r\n", [Said("82.7", "unstable")]),
        (b"LS182.3\r\n", [Said("82.689889051", "stable", imperial=True)]),
        (b"KI999.9\r\n", [Said(None, "overload")]),
    ],
    "toledo-8217": [
        (STX + b"070.45\r", [Said("70.45", "stable")]),
        (STX + b"?A\r", [Said(None, "invalid")]),
    ],
    "sartorius-sbi": [
        (b"+    70.45 kg \r\n", [Said("70.45", "stable")]),
        (b"-     0.05 kg \r\n", [Said("-0.05", "stable")]),
        (b"+    70.45    \r\n", [Said("70.45", "unstable")]),
        (b"N     +    70.45 kg \r\n", [Said("70.45", "stable")]),
        (b"     High     \r\n", [Said(None, "overload")]),
        (b"     Low      \r\n", [Said(None, "underload")]),
        (b"Stat       \r\n", [Said(None, "invalid")]),
        (b"+ 123.5[6] g  \r\n", [Said(None, "invalid")]),
    ],
    "ohaus": [
        (b"      70.45 kg  \r\n", [Said("70.45", "stable")]),
        (b"      70.45 kg ?\r\n", [Said("70.45", "unstable")]),
    ],
    "adam-muw": [
        (b"Weight: 80.00 kg\r\n", [Said("80.00", "stable")]),
        (b"Height: 183 cm\r\n", [Said("183", "stable", "height")]),
    ],
    "rice-lake-print": [
        (b"    200.5 kg Gross\r\n", [Said("200.5", "stable")]),
    ],
}
"""By the protocol's name; numbers that are converted are worked out by hand (1 lb is 0.45359237 kg)."""

PRINTED["seca-460"] = [  # kind, digits, display, CTRL1, CTRL2: "stable" is the document's first flag, here bit 0
    (seca("A0" + "07045" + "2" + "01" + "00"), [Said("70.45", "stable")]),
    (seca("A1" + "07045" + "2" + "00" + "00"), [Said("70.45", "unstable")]),
    (seca("A0" + "00010" + "2" + "09" + "00"), [Said("-0.10", "stable")]),
    (seca("A0" + "07045" + "2" + "21" + "00"), [Said(None, "invalid")]),
    (seca("A0" + "07045" + "2" + "41" + "00"), [Said("70.45", "unstable")]),
    (seca("A0" + "07045" + "2" + "81" + "00"), [Said("70.45", "unstable")]),
    (seca("A0" + "07045" + "2" + "01" + "00", crc="00"), [Said("70.45", "stable")]),
    (seca("A4" + "1787" + "01" + "03"), [Said("178.7", "untold", "height")]),
]


def value(said: Said) -> Decimal | None:
    return None if said.value is None else Decimal(said.value)
