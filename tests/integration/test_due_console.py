"""Due work in the console without a browser: the page, the form, the calendar; who may see and do what."""

import base64
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import icalendar
import msgspec
import pytest
from litestar.testing import TestClient

from dashboards.app import create_app
from dashboards.settings import HttpSettings
from dashboards.users import UserStore
from streams.commands import RecordDuty
from streams.due import DueItem, QcKind
from streams.messages import DutyStanding
from streams.policy import DutyKind
from streams.roles import Role
from tests.accounts import CHEAP
from tests.console_client import Visitor
from tests.console_fakes import NOW, FakeSite, department

PASSWORD = "correct horse battery"  # noqa: S105 - of invented users
SETTINGS = HttpSettings(site_name="Test hospital", time_zone="Europe/London")
FORM = "/devices/scale-1/do/duty-done"
# It is Friday 20 November 2026.
DUE = {
    "scale-1": (
        DueItem(
            DutyKind.CALIBRATION,
            "Yearly calibration",
            DutyStanding.OVERDUE,
            date(2026, 11, 17),
            date(2025, 11, 17),
            "calibration",
            holds=True,
        ),
        DueItem(DutyKind.CERTIFICATE, "Certificate of W20", DutyStanding.OK, date(2027, 3, 1), None, "certificate-W20"),
        DueItem(DutyKind.OTHER, "Moved <once>", DutyStanding.OK, None, date(2026, 1, 5), "move"),
    ),
    "dxa-1": (
        DueItem(QcKind.MANUFACTURER_QC, "Manufacturer's daily QC", DutyStanding.DUE, date(2026, 11, 20), None),
        DueItem(DutyKind.MAINTENANCE, "Maintenance", DutyStanding.DUE_SOON, date(2026, 11, 21), None, "maintenance"),
    ),
    "dxa-2": (),
}


@pytest.fixture
def site() -> FakeSite:
    made = department()
    for name, items in DUE.items():
        made.views[name] = msgspec.structs.replace(made.views[name], due=items)
    return made


@pytest.fixture
def visitor(site: FakeSite, tmp_path: Path) -> Iterator[Visitor]:
    def clock() -> datetime:
        return NOW

    users = UserStore(tmp_path / "users.sqlite", clock=clock, hasher=CHEAP, waits_s=0.5)
    for role in Role:
        users.add_user(f"The {role.value}", role, PASSWORD)
    app = create_app(site=site, readings=site, users=users, settings=SETTINGS, clock=clock)
    with TestClient(app) as client:
        yield Visitor(client)
    users.close()


def signed_in(visitor: Visitor, role: Role) -> Visitor:
    assert visitor.sign_in(f"The {role.value}", PASSWORD).status_code == 303
    return visitor


def section(page: str, standing: str) -> str:
    """The part of the page under one standing."""
    assert f'id="due-{standing}"' in page
    return page.split(f'id="due-{standing}"', 1)[1].split("</section>", 1)[0]


def test_the_page_says_what_is_overdue_due_soon_and_coming_over_all_devices(visitor: Visitor) -> None:
    page = signed_in(visitor, Role.OPERATOR).get("/due").text
    assert "Due work: 1 overdue, 1 due" in page
    overdue = section(page, "overdue")
    assert "Scale scale-1" in overdue
    assert "was due Tue 17 Nov, 3 days ago" in overdue
    assert "Done last 17 Nov 2025" in overdue
    assert "holds the device" in overdue
    assert "Manufacturer&#39;s daily QC" in section(page, "due")
    assert "due tomorrow" in section(page, "due_soon")
    assert "Certificate of W20" in section(page, "ok")
    assert "Moved" not in page, "what is due no more is not listed"


def test_colour_is_never_alone(visitor: Visitor) -> None:
    page = signed_in(visitor, Role.OPERATOR).get("/due").text
    shapes = set()
    for standing, word in (("overdue", "Overdue"), ("due", "Due"), ("due_soon", "Due soon"), ("ok", "In order")):
        tag = section(page, standing).split(f"due-tag--{standing}", 1)[1].split("</span>", 1)[0]
        assert tag.endswith(f"</svg>\n {word}")
        shapes.add(tag.split('focusable="false">', 1)[1])
    assert len(shapes) == 4, "each has a shape of its own"


def test_the_page_can_be_narrowed_to_one_kind(visitor: Visitor) -> None:
    page = signed_in(visitor, Role.OPERATOR).get("/due?kind=certificate").text
    assert "Certificate of W20" in page
    assert "Yearly calibration" not in page
    wrong = visitor.get("/due?kind=certificat")
    assert wrong.status_code == 400
    assert "no such kind of work; there are manufacturer_qc" in wrong.text


def test_only_what_can_be_recorded_has_its_button_and_only_for_those_who_may(visitor: Visitor) -> None:
    page = signed_in(visitor, Role.OPERATOR).get("/due").text
    assert page.count("Record as done") == 3
    assert f'href="{FORM}?chosen=calibration"' in page
    assert "Record as done" not in signed_in(visitor, Role.MANAGER).get("/due").text


def test_the_form_opens_with_what_was_chosen_and_records_it(visitor: Visitor, site: FakeSite) -> None:
    operator = signed_in(visitor, Role.OPERATOR)
    page = operator.get(f"{FORM}?chosen=calibration").text
    assert 'value="calibration" checked' in page
    assert 'type="date" value="2026-11-20"' in page
    answer = operator.fill_in(
        FORM, duty_id="certificate-W20", done_on="2026-11-19", done_by="Eve", valid_until="2028-11-19", reference="C7"
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/devices/scale-1?done=duty-done")
    (command,) = site.commands
    assert isinstance(command, RecordDuty)
    assert (command.duty_id, command.done_on, command.done_by) == ("certificate-W20", "2026-11-19", "Eve")
    assert (command.valid_until, command.reference, command.actor.role) == ("2028-11-19", "C7", "operator")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"duty_id": ""}, "Choose what was done"),
        ({"duty_id": "maintenance"}, "Choose what was done"),
        ({"done_on": ""}, "Enter the day on which it was done"),
        ({"done_on": "19/11/2026"}, "Enter a day that exists"),
        ({"done_on": "2026-02-30"}, "Enter a day that exists"),
        ({"valid_until": "soon"}, "Enter a day that exists"),
        ({"done_by": " "}, "Enter who did it"),
    ],
)
def test_a_form_that_is_not_complete_says_what_is_missing_and_records_nothing(
    visitor: Visitor, site: FakeSite, fields: dict[str, str], words: str
) -> None:
    given = {"duty_id": "calibration", "done_on": "2026-11-19", "done_by": "Eve"} | fields
    answer = signed_in(visitor, Role.OPERATOR).fill_in(FORM, **given)
    assert answer.status_code == 422
    assert words in answer.text
    assert site.commands == []


def test_a_manager_may_not_record_and_a_stale_form_records_nothing(visitor: Visitor, site: FakeSite) -> None:
    assert signed_in(visitor, Role.MANAGER).get(FORM).status_code == 403
    operator = signed_in(visitor, Role.OPERATOR)
    given = {"duty_id": "calibration", "done_on": "2026-11-19", "done_by": "Eve"}
    assert operator.fill_in(FORM, **given, expected_device_seq="3").status_code == 409
    assert site.commands == []


def test_board_and_device_page_say_what_is_due_soon_or_overdue(visitor: Visitor) -> None:
    board = visitor.get("/").text
    scanner, scale = (board.split(f'id="gate-{name}"')[1].split("</article>")[0] for name in ("dxa-1", "scale-1"))
    assert "Maintenance: due tomorrow" in scanner
    assert "Yearly calibration: was due Tue 17 Nov, 3 days ago" in scale
    assert "Certificate of W20" not in scale
    page = signed_in(visitor, Role.OPERATOR).get("/devices/scale-1").text
    assert "Moved &lt;once&gt;" in page
    assert "not due any more" in page


def test_nobody_sees_due_work_without_signing_in(visitor: Visitor) -> None:
    answer = visitor.get("/due")
    assert (answer.status_code, answer.headers["location"]) == (302, "/sign-in?next=/due")
    calendar = visitor.get("/due.ics")
    assert calendar.status_code == 401
    assert calendar.headers["www-authenticate"].startswith('Basic realm="Bonewatch"')


def basic(name: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def test_the_calendar_holds_each_next_due_day_for_a_session_and_for_a_password(visitor: Visitor) -> None:
    by_password = visitor.client.get("/due.ics", headers=basic("The manager", PASSWORD))
    assert by_password.headers["content-type"].startswith("text/calendar")
    events: list[Any] = icalendar.Calendar.from_ical(by_password.content).walk("VEVENT")
    told = [(str(event["SUMMARY"]), event["DTSTART"].dt, event["DTEND"].dt) for event in events]
    assert told == [
        ("OVERDUE Scale scale-1: Yearly calibration", date(2026, 11, 17), date(2026, 11, 18)),
        ("Scanner DXA1: Manufacturer's daily QC", date(2026, 11, 20), date(2026, 11, 21)),
        ("Scanner DXA1: Maintenance", date(2026, 11, 21), date(2026, 11, 22)),
        ("Scale scale-1: Certificate of W20", date(2027, 3, 1), date(2027, 3, 2)),
    ]
    assert len({str(event["UID"]) for event in events}) == 4
    assert signed_in(visitor, Role.OPERATOR).get("/due.ics").content == by_password.content


def test_a_name_and_password_that_cannot_be_read_get_no_calendar(visitor: Visitor) -> None:
    for sent in (b"Basic \xc3\xa9", b"Basic /w==", b"Basic \xff"):
        assert visitor.client.get("/due.ics", headers=[(b"Authorization", sent)]).status_code == 401


def test_a_wrong_password_gets_no_calendar(visitor: Visitor) -> None:
    for headers in (basic("The manager", "wrong"), {"Authorization": "Bearer x"}, {"Authorization": "Basic %%"}):
        answer = visitor.client.get("/due.ics", headers=headers)
        assert answer.status_code == 401
        assert "VCALENDAR" not in answer.text
        assert "www-authenticate" in answer.headers
