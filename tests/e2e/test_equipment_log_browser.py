"""The equipment log in a real browser: from a fault to a handover with its papers, an incident to its end."""

from collections.abc import Iterator
from pathlib import Path

import pypdfium2
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.test_console_browser import browser
from tests.e2e.test_demo import DemoProcess
from tests.equipment_files import JPEG, PDF

__all__ = ["browser"]  # a fixture, used by its name

DEVICE = "/devices/dxa-1"


@pytest.fixture(scope="module")
def department(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoProcess]:
    with DemoProcess(temporary=Path(tmp_path_factory.mktemp("temporary"))) as demo:
        assert demo.url, demo.said
        yield demo


@pytest.fixture(params=[(1280, True), (390, False)], ids=["wide", "narrow without JavaScript"])
def page(browser: Browser, department: DemoProcess, request: pytest.FixtureRequest) -> Iterator[Page]:
    width, scripts = request.param
    context = browser.new_context(
        viewport={"width": width, "height": 900}, locale="en-GB", java_script_enabled=scripts, accept_downloads=True
    )
    context.set_default_timeout(15_000)
    page = context.new_page()
    page.goto(department.url)
    page.get_by_role("button", name="Physicist").click()
    yield page
    context.close()


def fits(page: Page) -> None:
    """Nothing is wider than the window."""
    size = page.viewport_size
    assert size is not None
    box = page.locator("main").bounding_box()
    assert box is not None
    assert box["x"] + box["width"] <= size["width"]


def test_a_fault_is_handed_over_with_one_action_and_its_papers_are_kept(
    page: Page, department: DemoProcess, tmp_path: Path
) -> None:
    page.goto(f"{department.url}{DEVICE}/do/log-fault")
    page.fill("[name=text]", "Table is stuck")
    page.get_by_label("No: record it only").check()
    page.get_by_role("button", name="Report").click()
    page.goto(f"{department.url}/engineer")
    fits(page)
    page.get_by_role("link", name="Hand over for this fault").first.click()
    expect(page.get_by_label("Breakdown")).to_be_checked()
    expect(page.locator("[name=reason]")).to_have_value("Table is stuck")
    page.fill("[name=engineer]", "Eve Engineer")
    page.fill("[name=company]", "Invented Ltd")
    page.get_by_label("signs for it on this screen").check()
    page.get_by_role("button", name="Hand over").click()

    page.get_by_role("link", name="Equipment log", exact=True).click()
    page.get_by_role("link", name="Service and handovers").click()
    fits(page)
    page.get_by_role("link", name="Handed over: breakdown").first.click()
    page.get_by_role("link", name="Add a file").click()
    page.get_by_role("button", name="Add file").click()
    expect(page.get_by_role("alert")).to_contain_text("Choose one file")
    (tmp_path / "signed.pdf").write_bytes(PDF)
    page.set_input_files("[name=file]", tmp_path / "signed.pdf")
    page.fill("[name=text]", "Signed paper")
    page.get_by_role("button", name="Add file").click()
    expect(page.get_by_role("alert")).to_contain_text("File added.")
    fits(page)
    with page.expect_download() as saved:
        page.get_by_role("link", name="signed.pdf", exact=True).click()
    assert saved.value.suggested_filename == "signed.pdf"
    assert Path(saved.value.path()).read_bytes() == PDF

    printed = page.request.get(f"{department.url}{DEVICE}/handover-form.pdf")
    document = pypdfium2.PdfDocument(printed.body())
    text = document[0].get_textpage().get_text_bounded()
    document.close()
    assert "Eve Engineer, Invented Ltd" in text

    page.goto(f"{department.url}{DEVICE}/do/hand-back")
    page.fill("[name=work_done]", "Belt replaced")
    for name in ("dose", "image_quality", "safety", "measurement"):
        page.locator(f"[name={name}][value=no]").check()
    page.locator("[name=is_working][value=yes]").check()
    page.get_by_label("signs for it on this screen").check()
    page.get_by_role("button", name="Hand back").click()
    page.goto(f"{department.url}{DEVICE}/do/decide-return")
    page.get_by_label("It returns").check()
    page.get_by_role("button", name="Record decision").click()
    page.goto(f"{department.url}{DEVICE}/do/clear-fault")
    page.get_by_label("Table is stuck").check()
    page.fill("[name=text]", "Belt replaced")
    page.get_by_role("button", name="Clear").click()


def test_an_incident_is_reported_commented_shown_with_a_photo_and_closed(
    page: Page, department: DemoProcess, tmp_path: Path
) -> None:
    page.goto(f"{department.url}{DEVICE}/log")
    page.get_by_role("link", name="Report an incident").click()
    page.get_by_label("A near miss").check()
    page.get_by_role("button", name="Report incident").click()
    expect(page.get_by_role("alert")).to_contain_text("Say what happened")
    page.fill("[name=text]", "Strap came loose")
    page.get_by_role("button", name="Report incident").click()
    expect(page.get_by_role("alert")).to_contain_text("Incident recorded")
    page.goto(department.url)
    expect(page.locator("#gate-dxa-1")).to_contain_text("1 incident is open")
    page.locator("#gate-dxa-1").get_by_role("link", name="1 incident is open").click()
    page.get_by_role("link", name="Near miss").first.click()
    page.get_by_role("link", name="Comment").click()
    expect(page.get_by_text("Strap came loose")).to_be_visible()
    page.fill("[name=text]", "Second time this month")
    page.get_by_role("button", name="Add comment").click()
    page.get_by_role("link", name="Near miss").first.click()
    page.get_by_role("link", name="Add a file").click()
    (tmp_path / "strap.jpg").write_bytes(JPEG)
    page.set_input_files("[name=file]", tmp_path / "strap.jpg")
    page.get_by_role("button", name="Add file").click()
    page.get_by_role("link", name="Close the incident").click()
    expect(page.locator("[name=incident_id]:checked")).to_have_count(1)
    page.fill("[name=finding]", "Buckle replaced")
    page.get_by_role("button", name="Close incident").click()
    expect(page.get_by_role("alert")).to_contain_text("Incident closed")
    page.get_by_role("link", name="Near miss").first.click()
    for said in ("Closed", "Second time this month", "strap.jpg", "Buckle replaced"):
        expect(page.get_by_text(said).first).to_be_visible()
    page.goto(department.url)
    expect(page.locator("#gate-dxa-1")).not_to_contain_text("incident")
