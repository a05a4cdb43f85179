"""All lines of a site: how they stand, and which readings become facts by the session that a person has opened."""

import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import structlog
from prometheus_client import Counter

from collectors.protocols.items import Quantity, Reading
from collectors.serial.line import SerialDevice, SerialLine
from collectors.serial.link import Link, LinkState
from collectors.serial.plateau import Plateau
from streams.lines import LineStatus, LiveReading
from streams.messages import CalibrationCheckRead, DeviceHeard, Draft, Fact, PatientMeasured, SessionPurpose, Source
from streams.policy import DeviceKind, DevicePolicy
from streams.site import CurrentSession, SitePort, SiteUnavailableError

STEADY_S: Final = 3.0
"""A line that stands otherwise for so long is recorded; a plug that wobbles does not fill the log."""
WAITING: Final = 100
"""Facts kept while the site cannot commit."""

UNCLAIMED: Final = Counter(
    "bonewatch_serial_unclaimed_total", "Measurements that came while no session was open for them", ["device"]
)
_QUANTITY: Final = {
    DeviceKind.SCALE: Quantity.WEIGHT,
    DeviceKind.HOIST: Quantity.WEIGHT,
    DeviceKind.STADIOMETER: Quantity.HEIGHT,
}


@dataclass
class _Place:
    """One device's line, and what was last seen on it."""

    line: SerialLine
    checked: Quantity
    plateaus: dict[Quantity, Plateau]
    live: dict[Quantity, LiveReading] = field(default_factory=dict)
    unclaimed: int = 0
    taken_in: str = ""
    taken: dict[Quantity, LiveReading] = field(default_factory=dict)
    recorded: LinkState | None = None
    since_s: float = 0.0


class SerialDesk:
    """The lines of a site, from `start` to `stop`.

    Parameters
    ----------
    site
        Where facts go, and who says which session is open.
    devices
        The lines.
    policies
        By device key: what each device is.
    clock
        Says what time it is, UTC.
    """

    def __init__(
        self,
        site: SitePort,
        devices: Sequence[SerialDevice],
        policies: dict[str, DevicePolicy],
        *,
        clock: Callable[[], datetime],
    ) -> None:
        self._site, self._clock = site, clock
        self._places: dict[str, _Place] = {}
        for given in devices:
            agree = 2 if given.protocol.ask else 1  # what is sent on a key press is not sent twice
            self._places[given.device] = _Place(
                SerialLine(given, self._took, self._changed),
                _QUANTITY[policies[given.device].kind],
                {quantity: Plateau(agree=agree) for quantity in Quantity},
            )
        self._waiting: deque[Draft] = deque(maxlen=WAITING)
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="serial desk", daemon=True)
        self._logger: Any = structlog.get_logger("collectors.serial")

    def start(self) -> None:
        """Open every port."""
        for place in self._places.values():
            place.line.start()
        self._thread.start()

    def stop(self) -> None:
        """Close every port."""
        self._stopped.set()
        for place in self._places.values():
            place.line.stop()
        if self._thread.is_alive():
            self._thread.join(5.0)

    def status(self, device: str) -> LineStatus | None:
        """Return how a device's line stands (see `streams.lines.Lines`)."""
        place = self._places.get(device)
        if place is None:
            return None
        link = place.line.link
        readings = tuple(place.live[quantity] for quantity in Quantity if quantity in place.live)
        return LineStatus(
            link.state.value, link.why, link.heard_serial, readings, place.unclaimed, tuple(place.taken.values())
        )

    def _took(self, device: str, readings: Sequence[Reading]) -> None:
        place, now = self._places[device], self._clock()
        for reading in readings:
            value = None if reading.value is None else float(reading.value)
            place.live[reading.quantity] = LiveReading(
                reading.quantity.value, value, reading.condition.value, reading.imperial, now
            )
            counted = place.plateaus[reading.quantity].take(reading)
            if counted is not None:
                self._claim(device, place, counted, now)

    def _claim(self, device: str, place: _Place, reading: Reading, now: datetime) -> None:
        """Give a measurement to the session that is open; never guess what it is for."""
        session = self._site.session(device)
        fact = _fact(reading, session, place.checked, now)
        if session is None or fact is None:
            place.unclaimed += 1
            UNCLAIMED.labels(device).inc()
            return
        if place.taken_in != session.session_id:
            place.taken_in, place.taken = session.session_id, {}
        place.taken[reading.quantity] = place.live[reading.quantity]
        self._record(Draft(uuid.uuid4().hex[:24], device, fact))

    def _record(self, draft: Draft) -> None:
        with self._lock:
            self._waiting.append(draft)
            self._flush()

    def _flush(self) -> None:
        while self._waiting:
            try:
                self._site.append([self._waiting[0]])
            except SiteUnavailableError:
                return
            self._waiting.popleft()

    def _changed(self, device: str, link: Link) -> None:  # noqa: ARG002 - the line's form
        self._places[device].since_s = time.monotonic()

    def _keep(self) -> None:
        """Record how lines stand once that is steady, and what could not be recorded before."""
        while not self._stopped.wait(0.5):
            for device, place in self._places.items():
                link, steady = place.line.link, time.monotonic() - place.since_s >= STEADY_S
                if steady and link.state not in {place.recorded, LinkState.OPEN}:
                    place.recorded = link.state
                    self._record(
                        Draft(uuid.uuid4().hex[:24], device, DeviceHeard(link.state.value, link.why, link.heard_serial))
                    )
            with self._lock:
                self._flush()


def _fact(reading: Reading, session: CurrentSession | None, checked: Quantity, now: datetime) -> Fact | None:
    """Return what a measurement is in a session, or None where it is for nothing."""
    if session is None or reading.value is None:
        return None
    value = round(float(reading.value), 4)
    if session.purpose is SessionPurpose.CHECK:
        if reading.quantity is not checked:
            return None
        return CalibrationCheckRead(
            standard_id=session.standard_id,
            read=value,
            measured_at=now,
            performed_by=session.by,
            session_id=session.session_id,
            unit_sent=reading.unit,
            imperial=reading.imperial,
        )
    return PatientMeasured(
        accession_number=session.accession_number,
        measured_at=now,
        acquisition_id=uuid.uuid4().hex,
        weight_kg=value if reading.quantity is Quantity.WEIGHT else None,
        height_cm=value if reading.quantity is Quantity.HEIGHT else None,
        session_id=session.session_id,
        unit_sent=reading.unit,
        imperial=reading.imperial,
        performed_by=session.by,
        source=Source.SERIAL,
    )
