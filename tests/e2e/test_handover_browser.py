"""A fault to the engineer and back in a real browser: what is asked for, what is refused, and when patients return."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.test_console_browser import browser
from tests.e2e.test_demo import DemoProcess, card, press

__all__ = ["browser"]  # a fixture, used by its name

DEVICE = "/devices/dxa-1"


@pytest.fixture(scope="module")
def department(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoProcess]:
    with DemoProcess(temporary=Path(tmp_path_factory.mktemp("temporary"))) as demo:
        assert demo.url, demo.said
        yield demo


@pytest.fixture
def page(browser: Browser, department: DemoProcess) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 1200}, locale="en-GB")
    context.set_default_timeout(15_000)
    page = context.new_page()
    page.goto(department.url)
    page.get_by_role("button", name="Physicist").click()
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    press(page, "night")
    yield page
    context.close()


def do(page: Page, title: str) -> None:
    page.locator("#part-actions").get_by_role("link", name=title).click()


def stage(page: Page, name: str) -> None:
    expect(page.locator(".about")).to_contain_text(re.compile(rf"Stage\s*{name}"))


def test_a_fault_goes_to_the_engineer_and_comes_back_after_a_failed_and_a_passed_verification(
    page: Page, department: DemoProcess
) -> None:
    page.goto(department.url + DEVICE)
    do(page, "Report a fault")
    page.fill("[name=text]", "The table is stuck")
    page.get_by_label("Yes: no patients until it is cleared").check()
    page.get_by_role("button", name="Report").click()
    do(page, "Hand over to an engineer")
    page.get_by_label("Breakdown").check()
    page.fill("[name=reason]", "The table is stuck")
    page.get_by_label("The table is stuck").check()
    page.fill("[name=engineer]", "Eve Engineer")
    page.fill("[name=company]", "Invented Ltd")
    page.get_by_role("button", name="Hand over").click()
    expect(page.get_by_role("alert")).to_contain_text("The engineer signs on this screen")  # nothing was recorded
    page.get_by_label("signs for it on this screen").check()
    page.get_by_role("button", name="Hand over").click()
    stage(page, "with engineer")
    expect(page.get_by_text("This hold cannot be overridden")).to_be_visible()

    do(page, "Hand back")
    page.fill("[name=work_done]", "Belt replaced")
    page.get_by_label("signs for it on this screen").check()
    page.get_by_role("button", name="Hand back").click()
    expect(page.get_by_role("alert")).to_contain_text("Say yes or no for the radiation dose")
    for name in ("dose", "image_quality", "safety", "measurement"):
        page.locator(f"[name={name}][value=no]").check()
    page.locator("[name=is_working][value=yes]").check()
    page.get_by_role("button", name="Hand back").click()
    stage(page, "handed back")

    do(page, "Decide on its return")
    page.get_by_label("It returns").check()
    page.get_by_role("button", name="Record decision").click()
    stage(page, "verifying")
    do(page, "Clear a fault")
    page.fill("[name=text]", "Belt replaced")
    page.get_by_role("button", name=re.compile("Clear|Record")).click()

    page.goto(department.url)
    page.wait_for_timeout(1_100)  # a scanner's times are whole seconds: in that of the repair it is before the repair
    press(page, "fail", "dxa-1")
    expect(card(page, "dxa-1", "held").locator("[data-code=verification_required]").first).to_be_visible()
    page.wait_for_timeout(1_100)
    press(page, "pass", "dxa-1")
    card(page, "dxa-1", "held")
    page.goto(department.url + DEVICE)
    stage(page, "verifying")
    do(page, "Enter daily QC")
    page.get_by_label("Passed").check()
    page.fill("[name=reviewed_by]", "Pat Physicist")
    page.get_by_role("button", name=re.compile("Record")).click()
    stage(page, "clinical")
    expect(page.locator("#gate-dxa-1[data-status=open]")).to_be_visible()

    page.get_by_role("link", name="Uptime").click()
    device = page.get_by_role("region", name=re.compile("^dxa-1"))
    expect(device).to_contain_text("Repairs that ended in this month: 1")
    expect(device).to_contain_text(re.compile(r"Reported to released\s*\d.* h \(1\)"))
    with page.expect_download() as file:
        page.get_by_role("link", name="PDF").click()
    assert file.value.suggested_filename.startswith("uptime-")
    assert file.value.path().read_bytes().startswith(b"%PDF-")
