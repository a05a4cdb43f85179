"""The equipment log in the console, on a real log: who may write what, files up and down, the handover form."""

import re
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pypdfium2
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from collectors.attachments import Attachments
from dashboards.app import create_app
from dashboards.settings import HttpSettings
from dashboards.users import UserStore
from streams.commands import AddAttachment, HandBack, HandOver, LogFault, RecordIncident, SaidAffected
from streams.equipment_log import LogKind
from streams.fold.decisions.records import MAX_FILES
from streams.messages import Attachment
from streams.roles import Role
from streams.sqlite_readings import SqliteReadings
from tests.accounts import CHEAP
from tests.console_client import HIDDEN, Visitor
from tests.equipment_files import JPEG, PDF, PNG
from tests.folding import DEVICE, ENGINEER, OPERATOR
from tests.integration.test_equipment_log import OTHER, Department

PASSWORD = "correct horse battery"  # noqa: S105 - of invented users
LOG = "/devices/dxa-1/log"
NOTHING = SaidAffected(dose=False, image_quality=False, safety=False, measurement=False)


class Console(Visitor):
    """A visitor who changes roles, before a department with a log."""

    def __init__(self, client: "TestClient[Litestar]", department: Department, folder: Path) -> None:
        super().__init__(client)
        self.department = department
        self.folder = folder

    def become(self, role: str) -> "Console":
        name = {"engineer": ENGINEER.name, "operator": OPERATOR.name}.get(role, f"The {role}")
        assert self.sign_in(name, PASSWORD).status_code == 303
        return self

    def newest(self, kind: LogKind | None = None) -> str:
        """The id of the newest item in the log."""
        (item,) = self.department.log.items("dxa-1", kinds=[kind] if kind else (), limit=1)
        return item.id

    def entry(self) -> str:
        """Write an entry by the form; return its id."""
        answer = self.fill_in("/devices/dxa-1/do/log-entry", kind="daily", text="Table squeaks a little")
        assert answer.status_code == 303
        assert answer.headers["location"] == f"{LOG}?done=log-entry"
        return self.newest()

    def form(self, about: str) -> dict[str, str]:
        page = self.get(f"{LOG}/{about}/file")
        assert page.status_code == 200, page.text
        return dict(HIDDEN.findall(page.text[page.text.index("<main") :]))

    def send(
        self, about: str, data: bytes, name: str = "report.pdf", *, hidden: dict[str, str] | None = None
    ) -> httpx.Response:
        """Send a file as a browser does."""
        fields = self.form(about) if hidden is None else hidden
        sent = {"file": (name, data, "application/octet-stream")}
        return self.client.post(f"{LOG}/{about}/file", data=fields, files=sent, follow_redirects=False)


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Console]:
    department = Department(tmp_path / "log.sqlite")
    readings = SqliteReadings(tmp_path / "log.sqlite", department.engine, {"dxa-1": DEVICE, "dxa-2": OTHER})
    users = UserStore(tmp_path / "users.sqlite", hasher=CHEAP)
    for role in Role:
        name = {Role.ENGINEER: ENGINEER.name, Role.OPERATOR: OPERATOR.name}.get(role, f"The {role.value}")
        users.add_user(name, role, PASSWORD)
    files = Attachments(tmp_path, min_free_bytes=0)
    app = create_app(
        site=department.engine,
        readings=readings,
        users=users,
        settings=HttpSettings(site_name="Test hospital"),
        clock=lambda: department.now,
        equipment_log=readings.equipment_log,
        files=files,
    )
    with TestClient(app) as client:
        yield Console(client, department, tmp_path)
    files.close()
    users.close()
    department.stop()


def test_an_entry_a_comment_and_an_incident_stand_in_the_list_and_are_filtered(console: Console) -> None:
    entry = console.become("operator").entry()
    form = console.get(f"/devices/dxa-1/do/comment?about={entry}").text
    assert "Table squeaks a little" in form
    said = console.fill_in(f"/devices/dxa-1/do/comment?about={entry}", text="Oiled <b>it</b>")
    assert said.status_code == 303
    console.fill_in("/devices/dxa-1/do/report-incident", kind="near_miss", text="Wrong side marked")
    listed = console.get(LOG).text
    assert re.findall(r'data-kind="(\w+)"', listed) == ["incident", "comment", "entry"]
    assert "Oiled &lt;b&gt;it&lt;/b&gt;" in listed
    assert "1 comment" in listed
    assert re.findall(r'data-kind="(\w+)"', console.get(f"{LOG}?kind=incident").text) == ["incident"]
    assert "Nothing of this kind" in console.get(f"{LOG}?kind=fault").text
    assert "1 incident is open" in console.get("/").text
    assert "Oz Operator, operator" in console.get(f"{LOG}/{entry}").text


@pytest.mark.parametrize(("before", "shown"), [(1 << 63, 1), (10**40, 1), (-(1 << 70), 1), (1, 0)])
def test_a_place_beyond_the_log_s_end_shows_the_log(console: Console, before: int, shown: int) -> None:
    console.become("operator").entry()
    answer = console.get(f"{LOG}?before={before}")
    assert (answer.status_code, answer.text.count('data-kind="entry"')) == (200, shown)


def test_an_incident_is_closed_by_who_may_and_the_board_forgets_it(console: Console) -> None:
    console.department.ask(RecordIncident, kind="incident", text="Fell off the table")
    incident = console.newest()
    page = console.become("operator").get(f"{LOG}/{incident}").text
    assert "Close the incident" not in page
    assert console.get("/devices/dxa-1/do/close-incident").status_code == 403
    console.become("manager")
    assert "Close the incident" in console.get(f"{LOG}/{incident}").text
    missing = console.fill_in(f"/devices/dxa-1/do/close-incident?incident_id={incident}", incident_id=incident)
    assert (missing.status_code, "Say what was found" in missing.text) == (422, True)
    done = console.fill_in(
        f"/devices/dxa-1/do/close-incident?incident_id={incident}", incident_id=incident, finding="Strap was loose"
    )
    assert done.status_code == 303
    assert "open" not in re.findall(r"\d incidents? (?:is|are) (\w+)", console.get("/").text)
    assert "Strap was loose" in console.get(f"{LOG}/{incident}").text


def test_a_visitor_who_is_not_signed_in_sees_no_log_no_file_and_no_form(console: Console) -> None:
    entry = console.become("operator").entry()
    console.send(entry, PDF)
    file = console.newest(LogKind.FILE)
    console.client.cookies.clear()
    for path in (
        LOG,
        f"{LOG}/{entry}",
        f"/devices/dxa-1/files/{file}",
        "/devices/dxa-1/handover-form.pdf",
        "/engineer",
    ):
        answer = console.get(path)
        assert (answer.status_code, answer.headers["location"].startswith("/sign-in")) == (302, True), path
    assert "incident" not in console.get("/").text


@pytest.mark.parametrize(("data", "name"), [(PDF, "report.pdf"), (PNG, "photo.png"), (JPEG, "photo.jpg")])
def test_a_file_is_added_and_given_back_to_be_saved(console: Console, data: bytes, name: str) -> None:
    entry = console.become("engineer").entry()
    answer = console.send(entry, data, name)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{LOG}/{entry}?done=add-file")
    assert name in console.get(f"{LOG}/{entry}").text
    console.become("service")  # who may view
    given = console.get(f"/devices/dxa-1/files/{console.newest()}")
    assert given.content == data
    assert given.headers["content-disposition"] == f"attachment; filename*=UTF-8''{name}"
    assert given.headers["x-content-type-options"] == "nosniff"
    assert given.headers["content-type"] in {"application/pdf", "image/png", "image/jpeg"}
    assert given.headers["cache-control"] == "no-store"


def test_a_file_twice_is_recorded_twice_and_kept_once(console: Console) -> None:
    entry = console.become("operator").entry()
    assert console.send(entry, PDF).status_code == 303
    assert console.send(entry, PDF, "again.pdf").status_code == 303
    page = console.get(f"{LOG}/{entry}").text
    assert "report.pdf" in page
    assert "again.pdf" in page
    store = Attachments(console.folder)
    assert store.keep(PDF).size == len(PDF)
    store.close()


@pytest.mark.parametrize(
    ("data", "status", "says"),
    [
        (b"", 422, "Choose one file"),
        (b"<script>alert(1)</script>", 422, "no PDF, PNG or JPEG"),
        (PDF[:200], 422, "not whole"),
        (PDF + bytes(10_000_001 - len(PDF)), 422, "larger than 10 MB"),
        (PDF + bytes(10_200_000), 413, "at most 10 MB"),
    ],
)
def test_a_file_that_is_not_kept_is_refused_and_nothing_is_recorded(
    console: Console, data: bytes, status: int, says: str
) -> None:
    entry = console.become("operator").entry()
    answer = console.send(entry, data, "report.pdf" if data else "")
    assert (answer.status_code, says in answer.text) == (status, True)
    assert console.newest() == entry


def test_a_large_file_never_lies_unsealed_on_the_disk(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = console.become("operator").entry()
    monkeypatch.setattr(tempfile, "tempdir", str(console.folder / "no such folder"))
    large = PDF + b"\n%" + b"x" * 3_000_000 + b"\n%%EOF"
    assert console.send(entry, large).status_code == 303
    assert console.get(f"/devices/dxa-1/files/{console.newest()}").content == large


def test_nothing_is_read_of_a_file_whose_sender_is_not_signed_in(console: Console) -> None:
    entry = console.become("operator").entry()
    hidden = console.form(entry)
    console.client.cookies.delete("bonewatch_session")
    assert console.send(entry, PDF + bytes(10_200_000), hidden=hidden).status_code == 401  # and not 413: too long
    assert console.newest() == entry


def test_nor_does_it_with_the_token_in_the_header(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = console.become("operator").entry()
    fields = console.form(entry)
    token = {"x-csrf-token": fields.pop("_csrf_token")}
    monkeypatch.setattr(tempfile, "tempdir", str(console.folder / "no such folder"))
    large = PDF + b"\n%" + b"x" * 3_000_000 + b"\n%%EOF"
    sent = {"file": ("report.pdf", large, "application/pdf")}
    path = f"{LOG}/{entry}/file"
    answer = console.client.post(path, data=fields, files=sent, headers=token, follow_redirects=False)
    assert answer.status_code == 303
    assert console.get(f"/devices/dxa-1/files/{console.newest()}").content == large


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"garbage",
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.pdf"\r\n\r\n%PDF-',
        b'--x\r\nContent-Disposition: form-data; name="text"\r\n\r\n\xff\xfe\r\n--x--\r\n',
        b'--x\r\nContent-Disposition: form-data; name="_csrf_token"; filename="a.pdf"\r\n\r\n%PDF-\r\n--x--\r\n',
        b'--x\r\nContent-Disposition: form-data; name="_csrf_token"\r\n\r\n' + b"\xc3\xa9" * 70 + b"\r\n--x--\r\n",
        b"".join(b'--x\r\nContent-Disposition: form-data; name="%d"\r\n\r\n\r\n' % n for n in range(60)) + b"--x--\r\n",
    ],
    ids=["empty", "garbage", "cut off", "no UTF-8", "token as a file", "token no ASCII", "too many fields"],
)
def test_a_form_that_cannot_be_read_is_refused(console: Console, body: bytes) -> None:
    entry = console.become("operator").entry()
    kind = {"content-type": "multipart/form-data; boundary=x"}
    answer = console.client.post(f"{LOG}/{entry}/file", content=body, headers=kind)
    assert answer.status_code in {400, 403}
    assert console.newest() == entry


def test_a_name_with_a_path_in_it_is_only_a_name(console: Console) -> None:
    entry = console.become("operator").entry()
    assert console.send(entry, PDF, "../../../tmp/evil.html").status_code == 303
    given = console.get(f"/devices/dxa-1/files/{console.newest()}")
    assert given.headers["content-disposition"] == "attachment; filename*=UTF-8''evil.html.pdf"
    assert given.headers["content-type"] == "application/pdf"
    assert not list(console.folder.rglob("*evil*"))


def test_another_device_s_entry_and_file_are_not_reached_from_this_one(console: Console) -> None:
    entry = console.become("operator").entry()
    console.send(entry, PDF)
    file = console.newest()
    for path in (f"/devices/dxa-2/log/{entry}", f"/devices/dxa-2/files/{file}", f"/devices/dxa-2/log/{entry}/file"):
        assert console.get(path).status_code == 404
    assert console.get(f"/devices/dxa-1/files/{entry}").status_code == 404  # an entry is no file
    assert console.get(f"/devices/dxa-1/files/{'a' * 64}").status_code == 404


def test_who_may_not_write_adds_no_file(console: Console) -> None:
    entry = console.become("operator").entry()
    hidden = console.form(entry)
    console.become("admin")
    assert console.get(f"{LOG}/{entry}/file").status_code == 403
    assert console.send(entry, PDF, hidden=hidden).status_code == 403
    assert console.newest() == entry


def test_a_form_of_an_old_page_or_sent_twice_keeps_and_records_nothing_more(console: Console) -> None:
    entry = console.become("operator").entry()
    hidden = console.form(entry)
    assert console.send(entry, PDF, hidden=hidden).status_code == 303
    file = console.newest()
    again = console.send(entry, PNG, hidden=hidden)
    assert (again.status_code, "out of date" in again.text) == (409, True)
    assert console.newest() == file
    without_token = console.client.post(f"{LOG}/{entry}/file", data=hidden | {"_csrf_token": "0" * 64})
    assert without_token.status_code == 403
    page = dict(HIDDEN.findall(console.get("/devices/dxa-1/do/log-entry").text))
    console.department.ask(LogFault, text="Meanwhile", stops_scanning=False)
    stale = console.client.post(
        "/devices/dxa-1/do/log-entry", data=page | {"kind": "daily", "text": "late"}, follow_redirects=False
    )
    assert (stale.status_code, "out of date" in stale.text) == (409, True)


def kept_files(console: Console) -> int:
    path = console.folder / "attachments.sqlite"
    if not path.exists():  # it is made with the first file
        return 0
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute("SELECT COUNT(*) FROM files").fetchone()[0])


def test_a_file_that_was_recorded_and_is_sent_again_is_done(console: Console) -> None:
    entry = console.become("operator").entry()
    hidden = console.form(entry)
    for _ in range(2):
        answer = console.send(entry, PDF, hidden=hidden)
        assert (answer.status_code, answer.headers.get("location")) == (303, f"{LOG}/{entry}?done=add-file")
    other = console.send(entry, PNG, hidden=hidden)
    assert (other.status_code, hidden["request_id"] in other.text) == (409, False)
    assert (len(console.department.log.about("dxa-1", entry)), kept_files(console)) == (1, 1)


def test_a_form_shown_again_is_the_same_request(console: Console) -> None:
    entry = console.become("operator").entry()
    hidden = console.form(entry)
    assert f'value="{hidden["request_id"]}"' in console.send(entry, b"no file", hidden=hidden).text


def test_nothing_is_kept_of_a_request_without_a_name_or_of_a_file_too_many(console: Console) -> None:
    entry = console.become("operator").entry()
    nameless = console.send(entry, PDF, hidden=console.form(entry) | {"request_id": "?"})
    assert (nameless.status_code, "not complete" in nameless.text, 'value="?"' in nameless.text) == (422, True, False)
    for place in range(MAX_FILES):
        file = Attachment(f"{place:064x}", "report.pdf", "application/pdf", 1200)
        console.department.ask(AddAttachment, attachment=file, about=entry)
    answer = console.send(entry, PDF)
    assert (answer.status_code, "20 files were added" in answer.text, kept_files(console)) == (409, True, 0)


def test_a_store_that_cannot_be_read_says_so_and_the_console_goes_on(console: Console) -> None:
    entry = console.become("operator").entry()
    console.send(entry, PDF)
    (console.folder / "attachments.key").write_bytes(b"\x01" * 32)
    answer = console.send(entry, PNG)
    assert (answer.status_code, "could not be kept" in answer.text) == (503, True)
    file = console.newest()
    with sqlite3.connect(console.folder / "attachments.sqlite") as db:
        db.execute("DELETE FROM files")
    db.close()
    lost = console.get(f"/devices/dxa-1/files/{file}")
    assert (lost.status_code, "restore it from a backup" in lost.text) == (500, True)
    assert console.get(LOG).status_code == 200


# --- the handover ------------------------------------------------------------------------------------------


def text_of(answer: httpx.Response) -> str:
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/pdf"
    document = pypdfium2.PdfDocument(answer.content)
    assert len(document) <= 2
    text = " ".join(page.get_textpage().get_text_bounded() for page in document)
    document.close()
    return " ".join(text.split())


def test_one_action_leads_from_a_fault_to_a_handover_with_the_fault_filled_in(console: Console) -> None:
    console.department.ask(LogFault, text="Table is stuck", stops_scanning=True)
    page = console.become("operator").get("/devices/dxa-1").text
    found = re.search(r'href="(/devices/dxa-1/do/hand-over\?fault_id=[^"]+)"', page)
    assert found is not None
    assert found[1] in console.get("/engineer").text
    form = console.get(found[1]).text
    assert re.search(r'name="kind" type="radio" value="breakdown" checked', form)
    assert re.search(r'name="fault_id" type="radio" value="[\w-]+" checked', form)
    assert ">Table is stuck</textarea>" in form
    fault = re.search(r'name="fault_id" type="radio" value="([\w-]+)" checked', form)
    assert fault is not None
    given = {"reason": "Table is stuck", "engineer": "Eve Engineer", "company": "Invented Ltd", "fault_id": fault[1]}
    refused = console.fill_in(found[1], **given, engineer_signed="yes")
    assert (refused.status_code, "Say what it is for" in refused.text) == (422, True)
    assert console.fill_in(found[1], **given, engineer_signed="yes", kind="upgrade").status_code == 303
    assert "Handed over: upgrade" in console.get(f"{LOG}?kind=service").text


def test_an_engineer_sees_what_was_handed_to_them_and_nobody_without_devices_looks_on(console: Console) -> None:
    given = {"reason": "stuck", "engineer": "eve  ENGINEER", "company": "Invented Ltd", "engineer_signed": True}
    console.department.ask(HandOver, **given)
    page = console.become("engineer").get("/engineer").text
    assert "Devices that you have" in page
    assert "/devices/dxa-1/do/hand-back" in page
    assert 'href="/engineer"' in console.get("/").text
    console.department.ask(HandOver, device=OTHER, **{**given, "engineer": "Al Other"})
    assert "With other engineers" in console.get("/engineer").text
    assert "Hand over for this fault" not in page
    assert console.become("manager").get("/engineer").status_code == 403
    assert "/engineer" not in console.get("/").text


def test_the_form_is_blank_then_filled_in_stage_by_stage(console: Console) -> None:
    console.become("operator")
    blank = text_of(console.get("/devices/dxa-1/handover-form.pdf"))
    assert "Radiation controlled area and equipment handover" in blank
    assert "\u2612 Breakdown" not in blank
    console.department.ask(LogFault, text="Table is stuck", stops_scanning=True)
    fault = console.department.engine.states[DEVICE].faults[0].fault_id
    over = {"engineer": "Łukasz Żak", "company": "Invented Ltd", "engineer_signed": True, "hazards": "mind the arm"}
    console.department.ask(HandOver, reason="motor", fault_id=fault, **over)
    first = text_of(console.get("/devices/dxa-1/handover-form.pdf"))
    for said in (
        "\u2612 Breakdown",
        "Table is stuck",
        "motor",
        "Łukasz Żak, Invented Ltd",
        "mind the arm",
        "Oz Operator",
    ):
        assert said in first
    assert "\u2610 Operational" in first
    assert "\u2612 Breakdown" not in text_of(console.get("/devices/dxa-1/handover-form.pdf?blank=true"))
    console.department.ask(
        HandBack, engineer="Łukasz Żak", work_done="belt", affected=NOTHING, is_working=True, engineer_signed=True
    )
    second = text_of(console.get("/devices/dxa-1/handover-form.pdf"))
    assert "\u2612 Operational \u2610 Operational with limits" in second
    assert "belt" in second
    number = re.search(r"Handover ([\w-]{8})", second)
    assert number is not None
    assert "belt" in text_of(console.get(f"/devices/dxa-1/handover-form.pdf?handover={number[1]}"))
    assert console.get("/devices/dxa-1/handover-form.pdf?handover=unknown").status_code == 404
