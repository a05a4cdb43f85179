"""Rule replay from a site's log: the command line and the page; the log is left as it was."""

import hashlib
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from litestar.testing import TestClient

from bonewatch.cli import app as command_line
from bonewatch.errors import ConfigError
from bonewatch.what_if import since_of
from dashboards.app import create_app
from dashboards.settings import HttpSettings
from dashboards.users import UserStore
from streams.engine import SiteEngine
from streams.messages import (
    CommissioningSignedOff,
    DeviceRegistered,
    Draft,
    Fact,
    PhantomMeasured,
    VendorQcReported,
    event_id,
)
from streams.roles import Role
from streams.sqlite_log import SqliteEventLog
from streams.what_if.reader import LoggedPast
from tests.accounts import CHEAP
from tests.console_client import Visitor
from tests.console_fakes import department
from tests.folding import PHYSICIST, POLICY, baseline
from tests.uptime_site import CLINIC, MONDAY, NOW

PASSWORD = "correct horse battery"  # noqa: S105 - of an invented user
CONFIG = """
[site]
id = "bath"
name = "Bath"

[[device]]
id = "dxa-1"
kind = "scanner"
ae_title = "DXA1"
  [[device.phantom]]
  role = "independent"
  patient_id = "SPINE-0001"
  [device.qc]
  tolerance_percent = {tolerance}
"""
FORM = {
    "tolerance_percent": "1.0",
    "sigma_floor_percent": "0.5",
    "cusum_k": "0.5",
    "cusum_h": "5",
    "repeats": "1",
    "independent_grace_days": "1",
    "rules": "none",
    "frequency-0": "daily",
    "days": "182",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scanner with twelve weekdays of QC: 1.000 but for +1.2 % on the third and fourth day."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "var").mkdir()
    began = MONDAY + timedelta(hours=7)
    facts: list[Fact] = [DeviceRegistered(POLICY, CLINIC), CommissioningSignedOff(PHYSICIST), baseline()]
    drafts = [(began, Draft(f"first-{n}", "bath/dxa-1", fact)) for n, fact in enumerate(facts)]
    for day in (n for n in range(16) if n % 7 < 5):
        at = began + timedelta(days=day, minutes=30)
        own = VendorQcReported(passed=True, measured_at=at, performed_by="Oz", reviewed_by="Pat")
        bmd = 1.012 if day in (2, 3) else 1.0 + (day % 3 - 1) * 0.004
        scan = PhantomMeasured("SPINE-0001", "L1-L4", bmd, at, f"acquisition-{day}")
        read: tuple[Fact, ...] = (own, scan)
        drafts += [(at, Draft(event_id(type(one).__name__, str(day)), "bath/dxa-1", one)) for one in read]
    with SqliteEventLog(folder / "var" / "site-log.sqlite") as log:
        SiteEngine(log, clock=lambda: NOW).import_history(drafts)
    for tolerance in (1.5, 1.0):
        (folder / f"tolerance-{tolerance}.toml").write_text(CONFIG.format(tolerance=tolerance))
    return folder


def replay(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as ended:
        command_line(["replay", "-c", str(folder / "tolerance-1.5.toml"), "--since", "2026-11-01", *words])
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_the_command_line_tells_the_difference_and_leaves_the_log(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: hashlib.sha256(path.read_bytes()).digest() for path in (folder / "var").iterdir()}
    said = replay(folder, capsys, "--with", str(folder / "tolerance-1.0.toml"))
    assert "2026-11-04 07:30 SPINE-0001: pass would have been fail\n" in said
    assert "2026-11-05 07:30 SPINE-0001: pass would have been fail confirmed\n" in said
    assert "held where it was open, 8.0 h of clinics" in said
    assert "repeats that nobody was asked for were not taken" in said
    same = replay(folder, capsys, "--with", str(folder / "tolerance-1.5.toml"), "--device", "dxa-1")
    assert "Nothing would have been otherwise." in same
    (answer,) = json.loads(replay(folder, capsys, "--with", str(folder / "tolerance-1.0.toml"), "--json"))
    assert [one["bmd_g_cm2"] for one in answer["difference"]["verdicts"]] == [1.012, 1.012]
    assert answer["expected"]["SPINE-0001"][1]["charts"][0]["name"] == "tolerance"
    after = {path: hashlib.sha256(path.read_bytes()).digest() for path in before}
    assert after == before


def test_what_cannot_be_asked_is_refused_with_what_to_do(folder: Path) -> None:
    config = str(folder / "tolerance-1.5.toml")
    with pytest.raises(ConfigError, match="has no scanner dxa-9: it has dxa-1"):
        command_line(["replay", "-c", config, "--with", config, "--device", "dxa-9"], result_action="return_value")
    with pytest.raises(ConfigError, match="give a span such as 2y"):
        since_of("soon", NOW)


@pytest.fixture
def visitor(tmp_path: Path, folder: Path) -> Iterator[Visitor]:
    users = UserStore(tmp_path / "users.sqlite", hasher=CHEAP)
    users.add_user("Ph Ysicist", Role.PHYSICIST, PASSWORD)
    users.add_user("Mo Manager", Role.MANAGER, PASSWORD)
    site = department()
    settings = HttpSettings(site_name="Bath", time_zone="Europe/London")
    past = LoggedPast(folder / "var")
    with TestClient(create_app(site=site, readings=site, users=users, settings=settings, clock=_now, past=past)) as it:
        yield Visitor(it)
    users.close()


def _now() -> datetime:
    return NOW


def _asked(**changed: str) -> str:
    return "/devices/dxa-1/what-if?" + "&".join(f"{name}={value}" for name, value in (FORM | changed).items())


def test_a_physicist_sees_the_difference_and_the_lines_to_adopt_and_nobody_else(visitor: Visitor) -> None:
    assert visitor.get("/devices/dxa-1/what-if").status_code == 302
    visitor.sign_in("Mo Manager", PASSWORD)
    assert visitor.get("/devices/dxa-1/what-if").status_code == 403
    assert "/what-if" not in visitor.get("/devices/dxa-1").text
    visitor.client.cookies.clear()
    visitor.sign_in("Ph Ysicist", PASSWORD)
    assert 'href="/devices/dxa-1/what-if"' in visitor.get("/devices/dxa-1").text
    form = visitor.get("/devices/dxa-1/what-if").text
    assert "In force: 1.5" in form
    assert "The difference since" not in form
    said = visitor.get(_asked()).text
    assert "under the proposed rules alone" in said
    assert "[device.qc]\ntolerance_percent = 1.0</pre>" in said
    assert "repeats that nobody was asked for were not taken" in said
    same = visitor.get(_asked(tolerance_percent="1.5")).text
    assert "Nothing would have been otherwise" in same
    assert "These are the rules in force" in same


def test_rules_that_cannot_be_are_refused_beside_their_field(visitor: Visitor) -> None:
    visitor.sign_in("Ph Ysicist", PASSWORD)
    wrong = {"tolerance_percent": "-1", "repeats": "1.5", "cusum_h": "nan", "days": "9", "rules": "x"}
    for name, value in wrong.items():
        answer = visitor.get(_asked(**{name: value}))
        assert (answer.status_code, f'href="#{name}"' in answer.text) == (422, True)
        assert "The difference since" not in answer.text
    assert visitor.get("/devices/dxa-9/what-if").status_code == 404
