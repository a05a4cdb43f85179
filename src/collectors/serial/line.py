"""One serial port: opened, asked, read, re-opened when it comes back. A thread each; a stuck port stops no other."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import serial
import structlog
from prometheus_client import Counter

from collectors.protocols.items import Item, Noise, Reading
from collectors.protocols.known import Protocol
from collectors.protocols.profile import LineSettings
from collectors.serial.link import Link

READ_BYTES: Final = 4096
READ_S: Final = 0.1
WRITE_S: Final = 1.0
BACK_OFF_S: Final = (0.5, 1.0, 2.0, 5.0, 10.0)
ASK_SERIAL_EVERY_S: Final = 60.0
SILENT_AFTER_ASKS: Final = 10
SILENT_AT_LEAST_S: Final = 10.0

BYTES: Final = Counter("bonewatch_serial_bytes_total", "Bytes that came from a device", ["device"])
NOISE: Final = Counter("bonewatch_serial_noise_bytes_total", "Bytes that are no frame of its protocol", ["device"])
READINGS: Final = Counter("bonewatch_serial_readings_total", "Readings, by how they stood", ["device", "condition"])
OPENED: Final = Counter("bonewatch_serial_opened_total", "Times that a device's port was opened", ["device"])

_PARITY: Final = {"none": serial.PARITY_NONE, "even": serial.PARITY_EVEN, "odd": serial.PARITY_ODD}


@dataclass(frozen=True, slots=True)
class SerialDevice:
    """What a line is configured with.

    Parameters
    ----------
    device
        Device key, ``site/device``.
    port
        ``/dev/ttyUSB0``, ``COM3``, or a URL of pyserial: ``socket://host:port``, ``rfc2217://host:port``.
    protocol
        What it speaks.
    line
        Settings of the line, if others than the protocol's.
    serial
        Serial number of the device, if it is to be checked.
    """

    device: str
    port: str
    protocol: Protocol
    line: LineSettings | None = None
    serial: str = ""

    @property
    def settings(self) -> LineSettings:
        """Settings of the line."""
        return self.line or self.protocol.line


OnReadings = Callable[[str, Sequence[Reading]], None]
OnChange = Callable[[str, Link], None]
OnItems = Callable[[Sequence[Item], int], None]


class SerialLine:
    """Follows one device's port from `start` to `stop`.

    Parameters
    ----------
    given
        The device and its port.
    on_readings
        Called with the device's key and the readings that are surely its, on the line's thread.
    on_change
        Called with the device's key and its link when the link stands otherwise than before.
    on_items
        Called with everything that some bytes came to, and their number: for whoever looks for a fault.
    clock
        Seconds that only grow.
    """

    def __init__(
        self,
        given: SerialDevice,
        on_readings: OnReadings,
        on_change: OnChange = lambda _device, _link: None,
        *,
        on_items: OnItems = lambda _items, _count: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.given = given
        asked = bool(given.protocol.ask)
        silent_after = max(SILENT_AT_LEAST_S, SILENT_AFTER_ASKS * given.protocol.ask_every_s) if asked else None
        self.link = Link(given.serial, bool(given.protocol.ask_serial), silent_after)
        self._on_readings, self._on_change, self._on_items, self._clock = on_readings, on_change, on_items, clock
        self._stopped = threading.Event()
        self._zero = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"serial {given.device}", daemon=True)
        self._logger = structlog.get_logger("collectors.serial").bind(device=given.device, port=given.port)

    def start(self) -> None:
        """Begin to open the port."""
        self._thread.start()

    def stop(self) -> None:
        """Close the port and end."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(5.0)

    def zero(self) -> bool:
        """Have the device zeroed; False where its protocol has no word for that."""
        if not self.given.protocol.zero:
            return False
        self._zero.set()
        return True

    def _run(self) -> None:
        tries = 0
        while not self._stopped.is_set():
            try:
                with _opened(self.given) as port:
                    tries = 0
                    OPENED.labels(self.given.device).inc()
                    self._tell(changed=self.link.opened(self._clock()))
                    self._follow(port)
            except (serial.SerialException, OSError, ValueError, NotImplementedError) as error:
                self._tell(changed=self.link.closed(_words(error)))
                self._stopped.wait(BACK_OFF_S[min(tries, len(BACK_OFF_S) - 1)])
                tries += 1

    def _follow(self, port: Any) -> None:
        """Ask and read until the port is gone or we are stopped."""
        protocol, parser = self.given.protocol, self.given.protocol.parser()
        next_ask = next_identity = self._clock()
        while not self._stopped.is_set():
            now = self._clock()
            if protocol.ask_serial and now >= next_identity:
                port.write(protocol.ask_serial)
                next_identity = now + ASK_SERIAL_EVERY_S
            if self._zero.is_set():
                self._zero.clear()
                port.write(protocol.zero)
            if protocol.ask and now >= next_ask:
                port.write(protocol.ask)
                next_ask = now + protocol.ask_every_s
            data = port.read(READ_BYTES)  # what came within READ_S
            self._took(parser.feed(data), len(data))

    def _took(self, items: Sequence[Item], count: int) -> None:
        now, device = self._clock(), self.given.device
        BYTES.labels(device).inc(count)
        self._on_items(items, count)
        for item in items:
            if isinstance(item, Noise):
                NOISE.labels(device).inc(len(item.data))
            elif isinstance(item, Reading):
                READINGS.labels(device, item.condition.value).inc()
        trusted, changed = self.link.took(items, count, now) if count else ([], False)
        self._tell(changed=self.link.passed(now) or changed)
        if trusted:
            self._on_readings(device, trusted)

    def _tell(self, *, changed: bool) -> None:
        if changed:
            self._logger.info("serial_link", state=self.link.state.value, why=self.link.why)
            self._on_change(self.given.device, self.link)


def _opened(given: SerialDevice) -> Any:
    settings = given.settings
    return serial.serial_for_url(
        given.port,
        baudrate=settings.baud,
        bytesize=settings.bits,
        parity=_PARITY[settings.parity],
        stopbits=settings.stop,
        xonxoff=settings.flow == "xonxoff",
        rtscts=settings.flow == "rtscts",
        timeout=READ_S,
        write_timeout=None if given.port.startswith("rfc2217:") else WRITE_S,  # pyserial has none there
    )


def _words(error: Exception) -> str:
    """Return an error of pyserial or the system as one line for people."""
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return text[:200]
