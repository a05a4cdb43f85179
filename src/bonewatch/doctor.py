"""Looks at one serial port for a person who has just connected a device: raw bytes, and what they say."""

import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from collectors.protocols.items import Answer, DeviceError, Identity, Item, Noise, Reading
from collectors.protocols.known import Protocol, protocol
from collectors.protocols.profile import LineSettings, ProfileError
from collectors.serial.line import SerialDevice, SerialLine
from collectors.serial.link import Link, LinkState

SHOWN: int = 48
"""Bytes of a frame that are shown."""


class Seen(NamedTuple):
    """One thing that came, or a change of the line: the bytes, and words."""

    raw: str
    words: str
    is_good: bool


class Diagnosis(NamedTuple):
    """How it went: the line's last state, in words, and how many readings were measurements."""

    state: LinkState
    why: str
    bytes_seen: int
    readings: int
    measurements: int

    @property
    def works(self) -> bool:
        """Whether at least one measurement was read on a line that is this device's."""
        return self.measurements > 0 and self.state in {LinkState.HEARD, LinkState.UNVERIFIED}


class Doctor:
    """Watches a port for some seconds.

    Parameters
    ----------
    port, name, serial, line
        As in the configuration of a device.
    folder
        Where the path of a site's own profile starts.

    Raises
    ------
    ProfileError
        If there is no such protocol.
    """

    def __init__(
        self, port: str, name: str, *, serial: str = "", line: LineSettings | None = None, folder: Path = Path()
    ) -> None:
        self.protocol: Protocol = protocol(name, folder=folder)
        self._seen: list[Seen] = []
        self._news = threading.Event()
        self._bytes = self._readings = self._measurements = 0
        given = SerialDevice("doctor", port, self.protocol, line, serial)
        self._line = SerialLine(given, lambda _device, _readings: None, self._changed, on_items=self._took)

    def watch(self, seconds: float) -> Iterator[Seen]:
        """Yield what comes, as it comes."""
        self._line.start()
        ends, told = time.monotonic() + seconds, 0
        try:
            while (left := ends - time.monotonic()) > 0:
                self._news.wait(min(left, 0.5))
                self._news.clear()
                fresh, told = self._seen[told:], len(self._seen)
                yield from fresh
        finally:
            self._line.stop()

    def diagnosis(self) -> Diagnosis:
        """Return how it went."""
        link = self._line.link
        return Diagnosis(link.state, link.why, self._bytes, self._readings, self._measurements)

    def _took(self, items: Sequence[Item], count: int) -> None:
        self._bytes += count
        for item in items:
            if isinstance(item, Reading):
                self._readings += 1
                self._measurements += item.is_measurement
            self._tell(_seen(item))

    def _changed(self, _device: str, link: Link) -> None:
        self._tell(Seen("", f"line {link.state.value}: {link.why}", link.state is LinkState.HEARD))

    def _tell(self, seen: Seen) -> None:
        self._seen.append(seen)
        self._news.set()


def _seen(item: Item) -> Seen:
    """Say an item for people."""
    match item:
        case Reading(quantity=quantity, value=value, condition=condition, imperial=imperial):
            unit = "kg" if quantity == "weight" else "cm"
            said = "no value" if value is None else f"{value} {unit}"
            converted = ", converted from pounds or inches" if imperial else ""
            return Seen(_shown(item.raw), f"{quantity}: {said}, {condition}{converted}", item.is_measurement)
        case Identity(serial=serial):
            return Seen(_shown(item.raw), f"serial number {serial}", is_good=True)
        case Answer(command=command, accepted=accepted):
            return Seen(_shown(item.raw), f"{command} {'done' if accepted else 'not done'}", accepted)
        case DeviceError(code=code):
            return Seen(_shown(item.raw), f"the device reports an error: {code}", is_good=False)
        case Noise(data=data, why=why):
            return Seen(_shown(data), f"not understood: {why}", is_good=False)


def _shown(raw: bytes) -> str:
    """Return bytes as people can compare them with a manual: text where it is text, hexadecimal where not."""
    text = "".join(chr(byte) if 0x20 <= byte < 0x7F else f"\\x{byte:02x}" for byte in raw[:SHOWN])
    return text + ("…" if len(raw) > SHOWN else "")


__all__ = ["Diagnosis", "Doctor", "ProfileError", "Seen"]
