"""The demonstration's weighing corner: a scale, a stadiometer, and somebody who checks them and measures patients."""

import threading
from collections.abc import Callable
from typing import Any, Final

from simulators.scale import TcpPort, VirtualScale
from streams.commands import CloseSession, Command, OpenSession, Refusal
from streams.engine import SiteEngine
from streams.lines import Lines
from streams.messages import Person, SessionPurpose
from streams.site import SiteUnavailableError

SCALE: Final = "scale-1"
STADIOMETER: Final = "height-1"
STEP_S: Final = 0.5
PATIENT_EVERY_S: Final = 45.0
PATIENTS: Final = 12
"""Measured each day, so that a demonstration left alone does not fill its log."""
OPERATOR: Final = Person("Demo Operator", "operator")
WEIGHTS_KG: Final = (61.4, 83.2, 70.8, 55.0, 92.6, 77.1)
HEIGHTS_CM: Final = (158.0, 176.0, 165.0, 151.0, 181.0, 170.0)

CONFIGURATION: Final = """
[[device]]
id = "scale-1"
kind = "scale"
make = "Invented"
model = "Virtual scale"
serial = "SIM-0001"
protocol = "mt-sics"
port = "{scale}"
ring = "Medical physics (demo), extension 0001"
  [device.checks]
  frequency = "daily"
  ranges = [[200, 100]]
  [[device.standard]]
  id = "W20"
  nominal = 20
  certificate = "DEMO-1"
  [[device.standard]]
  id = "W80"
  nominal = 80
  certificate = "DEMO-2"

[[device]]
id = "height-1"
kind = "stadiometer"
make = "Invented"
model = "Virtual stadiometer"
protocol = "adam-muw"
port = "{stadiometer}"
ring = "Medical physics (demo), extension 0001"
  [device.checks]
  frequency = "daily"
  [[device.standard]]
  id = "R100"
  nominal = 100
  certificate = "DEMO-3"
"""


class WeighingCorner:
    """Two virtual devices on TCP serial servers; `follow` brings the operator, `stop` ends all."""

    def __init__(self) -> None:
        self._scale = TcpPort(VirtualScale())
        self._stadiometer = TcpPort(VirtualScale("adam-muw", height_cm=0.0))
        self._stopped = threading.Event()
        self._morning = threading.Event()
        self._requests = 0

    def configuration(self) -> str:
        """Return the sections of the two devices."""
        return CONFIGURATION.format(scale=self._scale.url, stadiometer=self._stadiometer.url)

    def follow(self, engine: SiteEngine, lines: Lines, key: Callable[[str], str]) -> None:
        """Let the operator work in a thread of its own."""
        self._engine, self._lines, self._key = engine, lines, key
        self._thread = threading.Thread(target=self._work, name="demo weighing corner", daemon=True)
        self._thread.start()

    def morning(self) -> None:
        """A day begins: the checks are done anew."""
        self._morning.set()

    def stop(self) -> None:
        """End the operator and the devices."""
        self._stopped.set()
        if hasattr(self, "_thread"):
            self._thread.join(10.0)
        self._scale.stop()
        self._stadiometer.stop()

    def _work(self) -> None:
        while not self._stopped.is_set():
            self._morning.clear()
            self._check(SCALE, "W20", 20.0)
            self._check(SCALE, "W80", 80.0)
            self._check(STADIOMETER, "R100", 100.0)
            for number in range(PATIENTS):
                if self._wait(PATIENT_EVERY_S) or self._morning.is_set():
                    break
                self._patient(number)
            while not self._morning.is_set() and not self._wait(STEP_S):
                pass

    def _check(self, device: str, standard_id: str, value: float) -> None:
        while not self._is_connected(device):
            if self._wait(STEP_S):
                return
        if self._ask(OpenSession, device, purpose=SessionPurpose.CHECK, standard_id=standard_id):
            self._measure(device, value)

    def _patient(self, number: int) -> None:
        accession = f"DEMO-{number + 1:04}"
        named = {"purpose": SessionPurpose.PATIENT, "accession_number": accession, "read_back": accession}
        for device, values in ((SCALE, WEIGHTS_KG), (STADIOMETER, HEIGHTS_CM)):
            if self._ask(OpenSession, device, **named):
                self._measure(device, values[number % len(values)])
                self._ask(CloseSession, device)

    def _measure(self, device: str, value: float) -> None:
        """Stand on it for a while, and step off."""
        if device == STADIOMETER:
            self._stadiometer.scale.height_cm = value
            self._stadiometer.scale.press()
            self._wait(2 * STEP_S)
            return
        self._scale.scale.stable = False
        self._scale.scale.load_kg = value
        self._wait(2 * STEP_S)
        self._scale.scale.stable = True
        self._wait(4 * STEP_S)
        self._scale.scale.load_kg = 0.0
        self._wait(2 * STEP_S)

    def _is_connected(self, device: str) -> bool:
        status = self._lines.status(self._key(device))
        return status is not None and status.state in {"heard", "unverified", "open"}

    def _ask(self, kind: type[Command], device: str, **fields: Any) -> bool:
        """Ask as a person at the console would; a visitor who was quicker is let through."""
        self._requests += 1
        state = self._engine.states.get(self._key(device))
        if state is None:
            return False
        request = f"corner-{self._requests}-{state.device_seq}"
        command: Any = kind(device=self._key(device), actor=OPERATOR, request_id=request, **fields)
        try:
            answer = self._engine.execute(command, expected_device_seq=state.device_seq)
        except SiteUnavailableError:
            return False
        return not isinstance(answer, Refusal)

    def _wait(self, seconds: float) -> bool:
        return self._stopped.wait(seconds)
