"""A scanner in service is adopted in a real browser: five years of its history, a dated baseline, the sign-off."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from dashboards.users import UserStore
from streams.roles import Role
from tests.e2e.test_console_browser import browser
from tests.exported_files import PHANTOM_MAP, csv_export, line
from tests.running import SiteProcess, configuration, console

__all__ = ["browser"]  # a fixture, used by its name

PASSWORD = "correct horse battery"  # noqa: S105 - of invented users
TODAY = datetime.now(UTC)
FIRST = TODAY - timedelta(days=5 * 365)
WEEKDAYS = [day for n in range(5 * 365) if (day := FIRST + timedelta(days=n)).weekday() < 5]
CHOSEN = WEEKDAYS[-60:-20]
"""Forty days that the physicist picks: readings in turn 0.996 and 1.004, so their mean is 1.000."""


def history() -> list[str]:
    rows = []
    for n, day in enumerate(WEEKDAYS):
        value = ("0,996", "1,004")[n % 2] if day >= CHOSEN[0] else ("0,976", "0,984")[n % 2]
        rows.append(line(day.day, value, phantom="SPINE-0001", year=day.year, month=day.month, scan=f"S{n}"))
    return rows


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SiteProcess]:
    folder = tmp_path_factory.mktemp("adopted")
    (folder / "site.toml").write_text(configuration(scanners=1), encoding="utf-8")
    (folder / "qc.toml").write_text(PHANTOM_MAP, encoding="utf-8")
    (folder / "history.csv").write_bytes(csv_export(history()))
    told = bonewatch(folder, "import", "history.csv", "--device", "dxa-1", "--map", "qc.toml")
    assert f"recorded {len(WEEKDAYS)}" in " ".join(told.split())
    users = UserStore(folder / "var" / "users.sqlite")
    users.add_user("Pat Physicist", Role.PHYSICIST, PASSWORD)
    users.close()
    with SiteProcess(folder) as process:
        yield process


def bonewatch(folder: Path, *words: str) -> str:
    command = [sys.executable, "-m", "bonewatch", *words, "-c", str(folder / "site.toml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def page(browser: Browser, site: SiteProcess) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 1200}, locale="en-GB")
    context.set_default_timeout(15_000)
    page = context.new_page()
    page.goto(f"{site.url}/sign-in")
    page.fill("[name=name]", "Pat Physicist")
    page.fill("[name=password]", PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.goto(f"{site.url}/devices/dxa-1")
    yield page
    context.close()


def do(page: Page, title: str) -> None:
    page.locator("#part-actions").get_by_role("link", name=title).click()


def test_a_scanner_is_adopted_with_five_years_of_history(page: Page, site: SiteProcess) -> None:
    about = page.locator(".about")
    expect(about).to_contain_text("commissioning")
    expect(page.get_by_text("a baseline for SPINE-0001, the critical examination")).to_be_visible()

    do(page, "Sign off for clinical use")
    page.fill("[name=in_service_since]", f"{FIRST:%Y-%m-%d}")
    page.fill("[name=note]", "The red folder in the control room")
    page.get_by_role("button", name="Sign it off").click()
    expect(page.get_by_role("alert")).to_contain_text("Still missing: a baseline for SPINE-0001.")

    page.goto(f"{site.url}/devices/dxa-1")
    do(page, "Accept a baseline from its history")
    page.fill("[name=first]", f"{CHOSEN[0]:%Y-%m-%d}")
    page.fill("[name=last]", f"{CHOSEN[4]:%Y-%m-%d}")
    page.fill("[name=reason]", "Forty days after the tube was replaced; nothing has changed since")
    page.get_by_role("button", name="Accept this baseline").click()
    expect(page.get_by_role("alert")).to_contain_text("A baseline needs 10 scans; 5 are on record.")
    page.fill("[name=last]", f"{CHOSEN[-1]:%Y-%m-%d}")
    page.get_by_role("button", name="Accept this baseline").click()
    expect(page.get_by_text("Epoch 1, established, 40 scans, mean 1.0000 g/cm²")).to_be_visible()

    do(page, "Sign off for clinical use")
    page.fill("[name=in_service_since]", f"{FIRST:%Y-%m-%d}")
    page.fill("[name=note]", "The red folder in the control room")
    page.get_by_role("button", name="Sign it off").click()
    expect(about).to_contain_text("clinical")
    expect(page.locator("#gate-dxa-1[data-status=held]")).to_be_visible()  # no QC of today yet

    do(page, "Enter daily QC")
    page.get_by_label("Passed").check()
    page.fill("[name=reviewed_by]", "Pat Physicist")
    page.get_by_role("button", name="Record daily QC").click()
    with console("DXA1", site.dicom_port, phantom="SPINE-0001") as scanner:
        assert scanner.scan(1.002).status == 0x0000
    expect(page.locator("#gate-dxa-1[data-status=open]")).to_be_visible()
    page.get_by_role("link", name="All", exact=True).click()
    expect(page.locator("#part-verdicts")).to_contain_text("SPINE-0001")
