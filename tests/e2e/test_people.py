"""Each person of the design, from the message that reaches them to the end of what it was about, in a real browser.

Monday 30 March 2026 is the first clinic after the clocks went forward.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser, Page, expect

from simulators.ris import Appointment, VirtualRis
from streams.roles import Role
from tests.e2e.test_console_browser import browser
from tests.hospital import Hospital
from tests.mail_server import MailServer, mail_server

__all__ = ["browser"]  # a fixture, used by its name

MONDAY: Final = datetime(2026, 3, 30, 6, 10, tzinfo=UTC)
"""07:10 in London, by summer time."""


@pytest.fixture
def mails() -> Iterator[MailServer]:
    with mail_server() as server:
        yield server


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hospital's clock jumps, and nobody need wait for the next look after it."""
    monkeypatch.setattr("alerts.watch.TICK_S", 1.0)


@pytest.fixture
def hospital(tmp_path: Path, mails: MailServer) -> Iterator[Hospital]:
    """Monday, 07:10: the scanners' own QC is done, both phantoms have passed."""
    hospital = Hospital(tmp_path / "hospital", MONDAY, mails)
    for n in (1, 2):
        hospital.vendor_qc(n)
        hospital.scan(n, 1.001)
    yield hospital
    hospital.stop()


def gate(page: Page, n: int, status: str) -> None:
    expect(page.locator(f"#gate-dxa-{n}[data-status={status}]").first).to_be_visible()


def do(page: Page, title: str) -> None:
    page.locator("#part-actions").get_by_role("link", name=title).click()


def take(page: Page, hospital: Hospital, what: str) -> None:
    """Take an alert on the page of alerts."""
    page.goto(f"{hospital.url}/alerts")
    one = page.locator("article[data-alert]").filter(has_text=what).first
    one.get_by_role("button", name="I am dealing with it").click()
    expect(page.locator("article[data-alert]").filter(has_text=what).first).to_contain_text("deals with it")


def stands(page: Page, hospital: Hospital, what: str) -> None:
    """Wait until an alert stands."""
    page.goto(f"{hospital.url}/alerts")
    expect(page.locator("main")).to_contain_text(what, timeout=45_000)


def over(page: Page, hospital: Hospital, what: str) -> None:
    """Wait until an alert is among those that are over."""
    page.goto(f"{hospital.url}/alerts")
    expect(page.get_by_role("region", name="Lately over")).to_contain_text(what, timeout=30_000)


def test_the_operator_before_the_clinic(hospital: Hospital, mails: MailServer, browser: Browser) -> None:
    hospital.scan(1, 1.019)
    hospital.later(7, 44)
    with hospital.at_desk(browser, Role.OPERATOR, width=390) as page:
        gate(page, 1, "held")
        assert mails.came == [], "the clinic is more than 45 minutes away"
        hospital.later(7, 45)
        mail = hospital.told(Role.OPERATOR, "Scanner DXA1 is not cleared", "+1.9 %", "Clinic starts 08:30")
        assert "Medical physics, extension 0001" in mail.text
        page.goto(mail.link)
        page.get_by_role("button", name="I, Olive Operator, am dealing with it").click()
        hospital.scan(1, 1.002)
        page.goto(hospital.url)
        gate(page, 1, "open")
        hospital.told(Role.OPERATOR, "Scanner DXA1 is cleared")
        over(page, hospital, "Scanner DXA1 is not cleared")
        assert {address for one in mails.came for address in one.to} == {"operator@invented.example"}


def test_the_operator_is_told_when_the_first_patient_comes(tmp_path: Path, mails: MailServer) -> None:
    ris = VirtualRis([Appointment(n, ("DXA1",), day=MONDAY.date(), start=f"{8 + n:02}4000") for n in range(3)])
    ris.start()
    behind = f"""
[dicom.upstream]
ae_title = "RIS"
host = "127.0.0.1"
port = {ris.port}
"""
    hospital = Hospital(tmp_path / "hospital", MONDAY, mails, more=behind)
    try:
        hospital.vendor_qc(1)
        hospital.vendor_qc(2)
        hospital.scan(2, 1.001)
        hospital.scan(1, 1.019)
        assert ris.in_query.wait(30.0), "it is asked from 06:45 on"
        hospital.later(7, 45)
        mail = hospital.told(Role.OPERATOR, "Scanner DXA1 is not cleared")
        assert "this morning's phantom failed (+1.9 %). Clinic starts 08:30 (first patient 08:40)." in mail.text
        assert "Since 07:10 today." in mail.text
        assert "TEST0" not in mail.text
    finally:
        hospital.stop()
        ris.stop()


def test_the_physicist_off_site(hospital: Hospital, browser: Browser) -> None:
    hospital.later(8, 0)
    hospital.scan(1, 1.021)
    hospital.scan(1, 1.022)
    hospital.told(Role.PHYSICIST, "Scanner DXA1", "failed twice", "+2.2 %")
    with hospital.at_desk(browser, Role.PHYSICIST) as page:
        take(page, hospital, "failed twice")
        hospital.scan(1, 1.001)
        page.goto(f"{hospital.url}/devices/dxa-1")
        do(page, "Release")
        page.fill("[name=cause]", "The phantom lay on the cable; it was laid flat")
        page.get_by_role("button", name=re.compile("Release|Record")).click()
        gate(page, 1, "open")
        page.goto(f"{hospital.url}/reviews")
        page.get_by_role("link", name=re.compile("SPINE-0001|Open|Look|review", re.IGNORECASE)).first.click()
        page.get_by_role("link", name="Decide").click()
        page.get_by_label(re.compile("[Nn]othing")).first.check()
        page.fill("[name=decision]", "Nobody was scanned between the pass and the failure")
        page.get_by_role("button", name=re.compile("Record|Decide")).click()
        page.goto(f"{hospital.url}/reviews")
        expect(page.locator("main")).to_contain_text("Nobody was scanned between the pass and the failure")
        over(page, hospital, "phantom SPINE-0001 failed")


def test_the_engineer_whose_work_waits_for_the_decision_on_its_return(hospital: Hospital, browser: Browser) -> None:
    hospital.later(9, 0)
    with hospital.at_desk(browser, Role.OPERATOR) as page:
        page.goto(f"{hospital.url}/devices/dxa-1")
        do(page, "Hand over to an engineer")
        page.get_by_label("Breakdown").check()
        page.fill("[name=reason]", "The table is stuck")
        page.fill("[name=engineer]", "Eve Engineer")
        page.fill("[name=company]", "Invented Ltd")
        page.get_by_label("signs for it on this screen").check()
        page.get_by_role("button", name="Hand over").click()
        gate(page, 1, "held")
    hospital.later(18, 0, days=2)
    with hospital.at_desk(browser, Role.ENGINEER) as page:
        stands(page, hospital, "has been with the engineer")
        hospital.later(8, 0, days=1)
        hospital.told(Role.MANAGER, "Scanner DXA1 has been with the engineer (Invented Ltd) for 2 days")
        page.goto(f"{hospital.url}/engineer")
        page.get_by_role("link", name=re.compile("DXA1")).first.click()
        do(page, "Hand back")
        page.fill("[name=work_done]", "Belt replaced")
        for name in ("dose", "image_quality", "safety", "measurement"):
            page.locator(f"[name={name}][value=no]").check()
        page.locator("[name=is_working][value=yes]").check()
        page.get_by_role("button", name="Hand back").click()
        expect(page.locator(".about")).to_contain_text(re.compile(r"Stage\s*handed back"))
        expect(page.locator("#part-actions")).not_to_contain_text("Decide on its return")
    hospital.told(Role.OPERATOR, "Scanner DXA1 was handed back by the engineer and nobody has decided on its return")
    with hospital.at_desk(browser, Role.OPERATOR) as page:
        page.goto(f"{hospital.url}/devices/dxa-1")
        do(page, "Decide on its return")
        page.get_by_label("It returns").check()
        page.get_by_role("button", name="Record decision").click()
        hospital.clock.skip(2)
        hospital.scan(1, 1.001)
        hospital.vendor_qc(1)
        page.goto(hospital.url)
        gate(page, 1, "open")
        over(page, hospital, "was handed back by the engineer")


def test_the_manager_when_a_patient_was_scanned_past_a_held_gate(hospital: Hospital, browser: Browser) -> None:
    hospital.later(9, 0)
    hospital.scan(1, 1.03)
    hospital.clock.skip(60)
    hospital.patient(1)
    mail = hospital.told(Role.OPERATOR, "patient was scanned on Scanner DXA1")
    assert "INVENTED" not in mail.text + mail.subject
    hospital.later(18, 0, days=7)
    with hospital.at_desk(browser, Role.MANAGER) as page:
        stands(page, hospital, "incident has been open for 7 days")
        hospital.later(8, 0, days=1)
        hospital.told(Role.MANAGER, "incident has been open for 7 days")
        page.goto(f"{hospital.url}/devices/dxa-1")
        do(page, "Close an incident")
        page.locator("textarea").first.fill("The list was printed the day before; the card by the console says so now")
        page.get_by_role("button", name=re.compile("Close|Record")).click()
        over(page, hospital, "ncident")
        page.get_by_role("link", name="Reports").click()
        page.get_by_role("button", name="Show report").click()
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        with page.expect_download() as file:
            page.get_by_role("link", name=re.compile("PDF")).first.click()
        assert file.value.path().read_bytes().startswith(b"%PDF-")


def test_the_clinical_service_that_waits_for_a_measurement(tmp_path: Path, mails: MailServer, browser: Browser) -> None:
    hospital = Hospital(tmp_path / "hospital", MONDAY, mails, database=True)
    try:
        hospital.vendor_qc(1)
        hospital.later(9, 0)
        hospital.patient(1)  # the phantom was forgotten
        hospital.told(Role.PHYSICIST, "patient was scanned on Scanner DXA1")
        told = hospital.as_service("/api/v1/measurements", until=bool)
        assert [(one["status"], one["raw"]["regions"]) for one in told] == [("withheld", [])]
        assert told[0]["withheld_for"] == ["independent_overdue"]
        with hospital.at_desk(browser, Role.PHYSICIST) as page:
            hospital.scan(1, 1.001)
            page.goto(f"{hospital.url}/measurements")
            page.get_by_role("link", name=re.compile("Release")).first.click()
            page.locator("textarea").first.fill("The phantom was scanned right after and passed")
            page.get_by_role("button", name=re.compile("Release")).click()
        told = hospital.as_service("/api/v1/measurements", until=lambda found: found[0]["status"] != "withheld")
        assert (told[0]["status"], told[0]["released_by"]) == ("released", "Phil Physicist")
        assert told[0]["raw"]["regions"]
    finally:
        hospital.stop()


def test_it_on_call_when_messages_do_not_go_out(hospital: Hospital, mails: MailServer, browser: Browser) -> None:
    mails.stop()
    hospital.later(7, 46)
    hospital.scan(1, 1.03)
    with hospital.at_desk(browser, Role.ADMIN) as page:
        page.goto(f"{hospital.url}/alerts")
        expect(page.get_by_role("heading", name="Alerts cannot be delivered")).to_be_visible(timeout=45_000)
        mails.start()
        hospital.told(Role.OPERATOR, "Scanner DXA1 is not cleared")
        expect(page.get_by_role("heading", name="Alerts cannot be delivered")).to_have_count(0, timeout=45_000)
        page.goto(f"{hospital.url}/audit")
        page.reload()  # that the record was read stands in it
        expect(page.locator("main")).to_contain_text("Ada Admin")
