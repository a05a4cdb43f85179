"""What people enter by hand from the command line: the console's forms over its API, with the same checks."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import httpx
import pytest

from bonewatch.entering import Entrance, NotDoneError, asked_for, typed_values
from bonewatch.errors import ConfigError
from dashboards.api.shapes import ActionOut, ActionsOut, FieldOut
from dashboards.users import UserStore
from streams import codec
from streams.messages import (
    CalibrationCheckRead,
    Event,
    FaultLogged,
    PatientMeasured,
    PhantomMeasured,
    Source,
    VendorQcReported,
)
from streams.roles import Role
from streams.sqlite_log import SqliteEventLog
from tests.running import SiteProcess, configuration, seed

PASSWORD = "correct horse battery"  # noqa: S105 - of invented users
SCALE = """
[[device]]
id = "scale-1"
kind = "scale"
serial = "SIM-0001"
  [device.checks]
  limit_kg = 0.1
  [[device.standard]]
  id = "W20"
  nominal = 20
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SiteProcess]:
    folder = tmp_path_factory.mktemp("site")
    seed(folder, configuration(scanners=1))
    with (folder / "site.toml").open("a", encoding="utf-8") as file:
        file.write(SCALE)
    users = UserStore(folder / "var" / "users.sqlite")
    users.add_user("Pat Nurse", Role.OPERATOR, PASSWORD)
    users.add_user("Mo Manager", Role.MANAGER, PASSWORD)
    users.close()
    with SiteProcess(folder) as process:
        yield process


def enter(site: SiteProcess, *arguments: str, person: str = "Pat Nurse", password: str = PASSWORD) -> tuple[int, str]:
    """Run ``bonewatch enter`` with the password on its input; return status and what it said."""
    command = [sys.executable, "-m", "bonewatch", "enter", *arguments, "--as", person, "--url", site.url]
    done = subprocess.run(command, input=f"{password}\n", capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


def recorded(site: SiteProcess, device: str) -> list[Event]:
    with SqliteEventLog(site.folder / "var" / "site-log.sqlite", read_only=True) as log:
        return [codec.decode_event(row.body) for row in log.rows(f"test-site/{device}")]


def test_everything_of_a_department_with_nothing_connected_is_entered(site: SiteProcess) -> None:
    assert enter(site, "dxa-1", "daily-qc", "result=passed", "reviewed_by=Pat Physicist")[0] == 0
    assert enter(site, "dxa-1", "phantom-scan", "phantom_id=SPINE-0001", "bmd_g_cm2=1.002")[0] == 0
    assert enter(site, "dxa-1", "log-fault", "text=Table creaks", "stops_scanning=no")[0] == 0
    assert enter(site, "scale-1", "enter-check", "standard_id=W20", "read=20.04")[0] == 0
    numbers = ("accession_number=RK9-0000001", "read_back=RK9-0000001")
    assert enter(site, "scale-1", "enter-measurement", *numbers, "read=71.5") == (0, "Reading recorded.\n")
    scanner, scale = (
        [event.fact for event in recorded(site, device) if getattr(event.fact, "source", None) is Source.MANUAL]
        for device in ("dxa-1", "scale-1")
    )
    assert [type(fact) for fact in scanner][-2:] == [VendorQcReported, PhantomMeasured]
    assert [type(fact) for fact in scale] == [CalibrationCheckRead, PatientMeasured]
    assert isinstance(scanner[-1], PhantomMeasured)
    assert (scanner[-1].bmd_g_cm2, scanner[-1].performed_by) == (1.002, "Pat Nurse")
    (fault,) = (event.fact for event in recorded(site, "dxa-1") if isinstance(event.fact, FaultLogged))
    assert (fault.text, fault.stops_scanning) == ("Table creaks", False)


def test_what_may_be_entered_is_listed_with_its_fields(site: SiteProcess) -> None:
    status, said = enter(site, "dxa-1", "--json")
    offered = {one["slug"]: [field["name"] for field in one["fields"]] for one in json.loads(said)["actions"]}
    assert status == 0
    assert offered["phantom-scan"][:2] == ["phantom_id", "bmd_g_cm2"]
    assert "accept-baseline" not in offered  # an operator's role does not permit it
    assert "phantom-scan" in enter(site, "dxa-1")[1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("dxa-1", "phantom-scan", "phantom_id=SPINE-0001", "bmd_g_cm2=1,5,3"), "bmd_g_cm2: BMD must be a number"),
        (("dxa-1", "phantom-scan", "phantom_id=SPINE-9"), "phantom_id"),
        (("dxa-1", "phantom-scan", "weight=1"), "weight=1 is no field; write name=value with phantom_id"),
        (("dxa-1", "accept-baseline"), "accept-baseline cannot be done now; these can: "),
        (("dxa-9",), "There is no device dxa-9"),
    ],
)
def test_what_is_not_right_is_said_and_nothing_recorded(
    site: SiteProcess, arguments: tuple[str, ...], words: str
) -> None:
    before = len(recorded(site, "dxa-1"))
    status, said = enter(site, *arguments)
    assert status == 1
    assert words in said
    assert len(recorded(site, "dxa-1")) == before


def test_a_wrong_password_and_a_role_that_may_not_are_refused(site: SiteProcess) -> None:
    assert "name or the password is not right" in enter(site, "dxa-1", password="wrong horse battery")[1]
    address = f"{site.url}/api/v1/devices/dxa-1/actions/daily-qc"
    asked = {"request_id": "a" * 32, "device_seq": 1, "values": {"result": "passed", "reviewed_by": "Pat"}}
    assert httpx.post(address, json=asked, auth=("Mo Manager", PASSWORD)).status_code == 403


def test_no_session_and_no_form_reaches_the_api(site: SiteProcess) -> None:
    address = f"{site.url}/api/v1/devices/dxa-1/actions/daily-qc"
    asked = {"request_id": "a" * 32, "device_seq": 1, "values": {}}
    answer = httpx.post(address, json=asked, cookies={"bonewatch_session": "x" * 43})
    assert (answer.status_code, answer.headers.get("www-authenticate")) == (401, 'Bearer realm="bonewatch"')
    form = httpx.post(address, data={"request_id": "a" * 32}, auth=("Pat Nurse", PASSWORD))
    assert form.status_code == 400


def test_the_same_request_counts_once_and_what_is_out_of_date_is_refused(site: SiteProcess) -> None:
    entrance = Entrance(site.url, "Pat Nurse", PASSWORD)
    seq = entrance.offered("dxa-1").device_seq
    address = f"{site.url}/api/v1/devices/dxa-1/actions/log-fault"
    asked = {"request_id": "b" * 32, "device_seq": seq, "values": {"text": "A rattle", "stops_scanning": "no"}}
    answers = [httpx.post(address, json=asked, auth=("Pat Nurse", PASSWORD)).status_code for _ in range(2)]
    assert answers == [200, 409]
    assert sum(isinstance(e.fact, FaultLogged) and e.fact.text == "A rattle" for e in recorded(site, "dxa-1")) == 1
    stale = httpx.post(address, json=asked | {"request_id": "c" * 32}, auth=("Pat Nurse", PASSWORD))
    assert stale.status_code == 409
    assert "out of date" in stale.json()["detail"]


def test_a_password_goes_nowhere_in_clear() -> None:
    with pytest.raises(ConfigError, match="in clear"):
        Entrance("http://bonewatch.example.org", "Pat", PASSWORD)
    with pytest.raises(ConfigError, match="no address"):
        Entrance("file:///etc/passwd", "Pat", PASSWORD)


class Elsewhere(BaseHTTPRequestHandler):
    """Sends everybody somewhere else, or takes what it is sent and hangs up."""

    seen: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.seen.append(self.path)
        self.send_response(302)
        self.send_header("Location", f"http://localhost:{self.headers['Host'].rpartition(':')[2]}/")
        self.end_headers()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.server_port}")
    Elsewhere.seen.clear()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join(10)


def test_a_password_follows_no_redirect_and_goes_through_no_proxy(elsewhere: str) -> None:
    with pytest.raises(NotDoneError):
        Entrance(elsewhere, "Pat", PASSWORD).offered("dxa-1")
    assert Elsewhere.seen == ["/api/v1/devices/dxa-1/actions"]  # once, and not as a proxy is asked


def test_an_answer_that_is_lost_is_no_invitation_to_enter_it_again(elsewhere: str) -> None:
    with pytest.raises(ConfigError, match="look at the device's page before you enter it again"):
        Entrance(elsewhere, "Pat", PASSWORD).do("dxa-1", ActionsOut(1, ()), "daily-qc", {})


def test_a_site_that_does_not_answer_is_named() -> None:
    with pytest.raises(ConfigError, match=r"no site answers at http://127\.0\.0\.1:9"):
        Entrance("http://127.0.0.1:9", "Pat", PASSWORD).offered("dxa-1")


FORM = ActionOut(
    "x",
    "X",
    "",
    (
        FieldOut("phantom_id", "Which phantom?", "choice", required=True, choices={"S-1": "Spine 1"}),
        FieldOut("repeat", "Repositioned?", "tick", required=False),
        FieldOut("note", "Note", "text", required=False),
    ),
)


def test_what_is_missing_is_asked_for_and_sent_as_the_form_would() -> None:
    answers = {"Which phantom? (S-1)": "spine 1", "Repositioned? (yes or no)": "Yes"}
    assert asked_for(FORM, {}, lambda label, _value: answers[label]) == {"phantom_id": "S-1", "repeat": "yes"}
    assert typed_values(FORM, ["repeat=no", "note=a=b"]) == {"repeat": "", "note": "a=b"}
