"""A scale and a stadiometer from the cable to the gate: checked in sessions, used for patients, unplugged."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from bonewatch.configuration.loading import load, parse, warnings
from bonewatch.errors import ConfigError
from bonewatch.site import Site
from dashboards.users import UserStore
from simulators.scale import TcpPort, VirtualScale
from streams import codec
from streams.commands import CloseSession, Command, EnterCheck, OpenSession, Refusal
from streams.messages import (
    CalibrationCheckRead,
    DeviceHeard,
    Fact,
    GateStatus,
    PatientMeasured,
    Person,
    SessionPurpose,
)
from streams.roles import Role
from streams.sqlite_log import SqliteEventLog
from tests.accounts import CHEAP
from tests.console_client import Visitor
from tests.kafka import wait_until
from tests.site_logs import facts_in

OPERATOR = Person("Oz Operator", "operator")
SCALE, STADIOMETER = "test-site/scale-1", "test-site/height-1"


def configuration(scale: str, stadiometer: str, *, protocol: str = "adam-muw") -> str:
    return f"""
[site]
id = "test-site"
time_zone = "Etc/GMT"

[dicom]
port = 0

[http]
port = 0

[database]
enabled = false

[[device]]
id = "scale-1"
kind = "scale"
serial = "SIM-0001"
protocol = "mt-sics"
port = "{scale}"
  [device.checks]
  ranges = [[200, 100]]
  [[device.standard]]
  id = "W20"
  nominal = 20
  certificate = "TEST-CERT-1"
  [[device.standard]]
  id = "W80"
  nominal = 80

[[device]]
id = "height-1"
kind = "stadiometer"
protocol = "{protocol}"
port = "{stadiometer}"
  [[device.standard]]
  id = "R100"
  nominal = 100
"""


class Department:
    """A running site with two virtual devices on TCP serial servers."""

    def __init__(self, site: Site, scale: TcpPort, stadiometer: TcpPort) -> None:
        self.site, self.scale, self.stadiometer = site, scale, stadiometer
        self._requests = 0

    def ask(self, kind: type[Command], device: str, **fields: Any) -> Refusal | None:
        self._requests += 1
        state = self.site.engine.states[device]
        command = kind(device=device, actor=OPERATOR, request_id=f"r{self._requests}", **fields)
        answer = self.site.engine.execute(command, expected_device_seq=state.device_seq)
        return answer if isinstance(answer, Refusal) else None

    def check(self, device: str, standard_id: str) -> None:
        assert self.ask(OpenSession, device, purpose=SessionPurpose.CHECK, standard_id=standard_id) is None

    def patient(self, device: str) -> Refusal | None:
        number = "TEST-4711"
        return self.ask(OpenSession, device, purpose=SessionPurpose.PATIENT, accession_number=number, read_back=number)

    def weigh(self, kilograms: float) -> None:
        """Put something on the scale, wait until it has been asked, take it off."""
        self.scale.scale.load_kg = kilograms
        wait_until(lambda: self._shows(SCALE, kilograms))
        self.scale.scale.load_kg = 0.0
        wait_until(lambda: self._shows(SCALE, 0.0))

    def _shows(self, device: str, value: float) -> bool:
        status = self.site.lines.status(device)
        return status is not None and any(reading.value == value for reading in status.readings)

    def recorded(self, device: str) -> list[float | None]:
        status = self.site.lines.status(device)
        return [] if status is None else [reading.value for reading in status.recorded]

    def gate(self, device: str) -> GateStatus:
        return self.site.engine.gate(device).status

    def facts(self, folder: Path, kind: type[Fact]) -> list[Any]:
        return [fact for fact in facts_in(folder / "site-log.sqlite") if isinstance(fact, kind)]


@contextmanager
def department(folder: Path) -> Iterator[Department]:
    scale = TcpPort(VirtualScale())
    stadiometer = TcpPort(VirtualScale("adam-muw", load_kg=1.0, height_cm=100.0))
    site = Site(parse(configuration(scale.url, stadiometer.url), "site.toml"), folder)
    site.start()
    try:
        yield Department(site, scale, stadiometer)
    finally:
        site.stop()
        scale.stop()
        stadiometer.stop()


def test_a_scale_is_checked_in_sessions_and_then_weighs_patients(tmp_path: Path) -> None:
    with department(tmp_path) as at:
        wait_until(lambda: at.site.lines.status(SCALE).state == "heard")  # type: ignore[union-attr]
        at.weigh(20.0)  # nobody has said what for
        assert at.gate(SCALE) is GateStatus.HELD
        assert at.patient(SCALE) is not None
        for standard_id, kilograms in (("W20", 20.0), ("W80", 80.0)):
            at.check(SCALE, standard_id)
            at.weigh(kilograms)
        wait_until(lambda: at.gate(SCALE) is GateStatus.OPEN)
        assert at.patient(SCALE) is None
        at.weigh(71.4)
        wait_until(lambda: bool(at.facts(tmp_path, PatientMeasured)))
        wait_until(lambda: at.recorded(SCALE) == [71.4])
        assert at.ask(CloseSession, SCALE) is None
        at.weigh(64.0)  # the next person, for whom nobody opened a session
        status = at.site.lines.status(SCALE)
        assert status is not None
        assert status.unclaimed == 2
        checks = at.facts(tmp_path, CalibrationCheckRead)
        assert [(check.standard_id, check.read) for check in checks] == [("W20", 20.0), ("W80", 80.0)]
        (measured,) = at.facts(tmp_path, PatientMeasured)
        assert (measured.accession_number, measured.weight_kg, measured.height_cm) == ("TEST-4711", 71.4, None)
        assert measured.performed_by == OPERATOR.name


def test_a_stadiometers_rod_is_its_height_and_not_the_weight_of_the_same_frame(tmp_path: Path) -> None:
    with department(tmp_path) as at:
        wait_until(lambda: at.site.lines.status(STADIOMETER).state == "open")  # type: ignore[union-attr]
        at.check(STADIOMETER, "R100")
        at.stadiometer.scale.press()
        wait_until(lambda: at.gate(STADIOMETER) is GateStatus.OPEN)
        (check,) = at.facts(tmp_path, CalibrationCheckRead)
        assert (check.standard_id, check.read) == ("R100", 100.0)


def test_pounds_are_recorded_as_kilograms_and_say_so(tmp_path: Path) -> None:
    with department(tmp_path) as at:
        wait_until(lambda: at.site.lines.status(SCALE).state == "heard")  # type: ignore[union-attr]
        at.scale.scale.unit = "lb"
        at.check(SCALE, "W20")
        at.scale.scale.load_kg = 44.09
        wait_until(lambda: bool(at.facts(tmp_path, CalibrationCheckRead)))
        (check,) = at.facts(tmp_path, CalibrationCheckRead)
        assert (check.read, check.unit_sent, check.imperial) == (19.9989, "lb", True)


def test_an_unstable_reading_is_no_measurement_in_any_session(tmp_path: Path) -> None:
    with department(tmp_path) as at:
        wait_until(lambda: at.site.lines.status(SCALE).state == "heard")  # type: ignore[union-attr]
        at.check(SCALE, "W20")
        at.scale.scale.stable = False
        at.weigh(20.0)
        assert at.facts(tmp_path, CalibrationCheckRead) == []


def test_how_the_lines_stand_is_recorded_when_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collectors.serial.desk.STEADY_S", 0.2)
    with department(tmp_path) as at:

        def states() -> list[str]:
            with SqliteEventLog(tmp_path / "site-log.sqlite", read_only=True) as log:
                events = [codec.decode_event(row.body) for row in log.rows(SCALE)]
            return [event.fact.state for event in events if isinstance(event.fact, DeviceHeard)]

        wait_until(lambda: states() == ["heard"])
        at.scale.stop()
        wait_until(lambda: states() == ["heard", "away"])
        at.scale = TcpPort(VirtualScale(serial="SIM-0002"), at.scale.port)
        wait_until(lambda: states() == ["heard", "away", "swapped"])
        at.check(SCALE, "W20")
        at.scale.scale.load_kg = 20.0
        status = at.site.lines.status(SCALE)
        assert status is not None
        assert "SIM-0002, not SIM-0001" in status.why
        assert at.facts(tmp_path, CalibrationCheckRead) == []


# --- the console -------------------------------------------------------------------------------------------


def test_an_operator_checks_the_scale_and_weighs_a_patient_in_the_console(tmp_path: Path) -> None:
    with department(tmp_path) as at:
        wait_until(lambda: at.site.lines.status(SCALE).state == "heard")  # type: ignore[union-attr]
        users = UserStore(tmp_path / "users.sqlite", hasher=CHEAP)
        users.add_user(OPERATOR.name, Role.OPERATOR, "correct horse battery")
        users.close()
        with httpx.Client(base_url=at.site.url, timeout=30) as client:
            visitor = Visitor(client)
            assert visitor.sign_in(OPERATOR.name, "correct horse battery").status_code == 303
            page = visitor.get("/devices/scale-1").text
            assert "Do not use Scale scale-1 for patients" in page
            assert "Nobody has said what the next reading is for" in page
            assert "Enter daily QC" not in page  # that is of scanners
            assert "Measure a patient" not in page  # not while it is held
            for standard_id, kilograms in (("W20", 20.0), ("W80", 80.0)):
                assert visitor.fill_in("/devices/scale-1/do/start-check", standard_id=standard_id).status_code == 303
                assert f"Check with {standard_id}" in visitor.get("/devices/scale-1/parts/line").text
                at.weigh(kilograms)
            wait_until(lambda: at.gate(SCALE) is GateStatus.OPEN)
            standards = visitor.get("/devices/scale-1/parts/standards").text
            assert standards.count("Pass") == 2
            assert "certificate TEST-CERT-1" in standards
            slip = visitor.fill_in(
                "/devices/scale-1/do/measure-patient", accession_number="TEST-4711", read_back="TEST-4712"
            )
            assert "The two numbers differ: look at the request again" in slip.text
            named = visitor.fill_in(
                "/devices/scale-1/do/measure-patient", accession_number="TEST-4711", read_back="TEST-4711"
            )
            assert named.status_code == 303
            at.weigh(71.4)
            wait_until(lambda: "Recorded: <strong>71.40 kg" in visitor.get("/devices/scale-1/parts/line").text)
            assert "Request TEST-4711" in visitor.get("/devices/scale-1").text
            assert visitor.fill_in("/devices/scale-1/do/end-session").status_code == 303
            entered = visitor.fill_in("/devices/scale-1/do/enter-check", standard_id="W80", read="80.9")
            assert entered.status_code == 303
            assert "+0.9 kg off" in visitor.get("/devices/scale-1").text


def test_a_stadiometer_without_a_cable_is_checked_by_hand(tmp_path: Path) -> None:
    text = configuration("socket://127.0.0.1:1", "").replace('protocol = "adam-muw"\nport = ""\n', "")
    site = Site(parse(text, "site.toml"), tmp_path).start()
    try:
        assert site.lines.status(STADIOMETER) is None
        command = EnterCheck(device=STADIOMETER, actor=OPERATOR, request_id="r1", standard_id="R100", read=100.1)
        seq = site.engine.states[STADIOMETER].device_seq
        assert not isinstance(site.engine.execute(command, expected_device_seq=seq), Refusal)
        assert site.engine.gate(STADIOMETER).status is GateStatus.OPEN
    finally:
        site.stop()


# --- configuration -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('protocol = "mt-sics"', 'protocol = "mt-six"', "mt-six is no protocol: esc, kern-kcp"),
        ('protocol = "mt-sics"\n', "", "protocol and port go together"),
        ("ranges = [[200, 100]]", "", "say what is permitted: limit_kg, or ranges"),
        ("ranges = [[200, 100]]", "ranges = [[200, 100], [100, 50]]", "does not grow"),
        ("ranges = [[200, 100]]", "limit_kg = 0", "limit_kg is above 0"),
        ("nominal = 80", "nominal = 0", "lies above 0"),
        ('id = "W80"', 'id = "W20"', "a short id of its own"),
    ],
)
def test_a_configuration_that_does_not_hold_says_where(old: str, new: str, words: str) -> None:
    with pytest.raises(ConfigError, match=r"site\.toml, line \d+: ") as failed:
        parse(configuration("socket://127.0.0.1:1", "socket://127.0.0.1:2").replace(old, new, 1), "site.toml")
    assert words in str(failed.value)


def test_a_departments_own_profile_is_checked_with_the_configuration(tmp_path: Path) -> None:
    text = configuration("socket://127.0.0.1:1", "socket://127.0.0.1:2", protocol="own.toml")
    (tmp_path / "site.toml").write_text(text)
    with pytest.raises(ConfigError, match=r"height-1: .*own\.toml"):
        load(tmp_path / "site.toml")
    (tmp_path / "own.toml").write_text("title = 'Own'\nsource = 'its manual'\n[[forms]]\npattern = 'H(?P<height>.*)'\n")
    with pytest.raises(ConfigError, match="a height needs its unit"):
        load(tmp_path / "site.toml")
    (tmp_path / "own.toml").write_text(
        "title = 'Own'\nsource = 'its manual'\n"
        "[[forms]]\npattern = 'H(?P<height>[0-9.]+)'\ncondition = 'stable'\nheight_unit = 'cm'\n"
    )
    assert load(tmp_path / "site.toml").device[1].protocol == "own.toml"


def test_what_will_surprise_is_said() -> None:
    said = " ".join(warnings(parse(configuration("socket://127.0.0.1:1", "socket://127.0.0.1:2"), "site.toml")))
    assert "height-1: give its serial number" in said
