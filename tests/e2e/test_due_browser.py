"""Due work in a real browser: seen, recorded by keyboard, and gone from what is overdue; wide and narrow."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.test_console_browser import browser
from tests.e2e.test_demo import DemoProcess

__all__ = ["browser"]  # a fixture, used by its name


@pytest.fixture(scope="module")
def department(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoProcess]:
    with DemoProcess(temporary=Path(tmp_path_factory.mktemp("temporary"))) as demo:
        assert demo.url, demo.said
        yield demo


@pytest.fixture(params=[1280, 390])
def page(browser: Browser, department: DemoProcess, request: pytest.FixtureRequest) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": request.param, "height": 900}, locale="en-GB")
    context.set_default_timeout(15_000)
    page = context.new_page()
    page.goto(department.url)
    page.get_by_role("button", name="Operator").click()
    page.goto(f"{department.url}/due")
    yield page
    context.close()


def test_the_page_fits_and_names_what_it_shows(page: Page) -> None:
    expect(page.get_by_role("heading", level=1)).to_contain_text("Due work:")
    width = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert width == 0, "nothing is to be scrolled sideways"
    page.get_by_role("link", name="Certificates").click()
    expect(page.get_by_text("Certificate of W20", exact=True)).to_be_visible()
    expect(page.get_by_text("Maintenance by the manufacturer")).to_have_count(0)


@pytest.mark.parametrize("page", [1280], indirect=True)
def test_overdue_work_is_recorded_by_keyboard_and_is_coming_then(page: Page, department: DemoProcess) -> None:
    overdue = page.get_by_role("region", name="Overdue").locator("[data-duty=calibration]")
    expect(overdue).to_contain_text("3 days ago")
    overdue.get_by_role("link", name="Record as done").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Yearly calibration: was due")).to_be_checked()
    page.get_by_label("Who did it?").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Enter who did it")
    page.get_by_label("Who did it?").fill("Eve of Invented Ltd")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Recorded as done.")).to_be_visible()
    page.goto(f"{department.url}/due")
    coming = page.get_by_role("region", name="Coming").locator("[data-duty=calibration]")
    expect(coming).to_contain_text("Done last today")
