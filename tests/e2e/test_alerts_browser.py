"""From a failed phantom to its end: the site process, DICOM, a real mail server, the link, the console."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from dashboards.users import UserStore
from streams.roles import Role
from tests.accounts import CHEAP, PASSWORD
from tests.e2e.test_console_browser import browser
from tests.mail_server import MailServer, eventually, free_port, mail_server
from tests.running import SiteProcess, configuration, console, seed

__all__ = ["browser"]  # a fixture, used by its name

ALERTS = """
[alerts]
console_url = "http://127.0.0.1:{port}"
fallback = ["Em Manager"]

[alerts.rules]
group_seconds = 1
settle_minutes = 0

[[alerts.channel]]
name = "mail"
url_file = "mail-url"

[[alerts.person]]
name = "Anna Example"
roles = ["operator"]
address = "anna@example.org"
channels = ["mail"]

[[alerts.person]]
name = "Em Manager"
roles = ["manager"]
address = "em@example.org"
channels = ["mail"]
"""


@pytest.fixture
def mails() -> Iterator[MailServer]:
    with mail_server() as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path, mails: MailServer) -> Path:
    port = free_port()
    text = configuration(scanners=1).replace("[http]\nport = 0", f"[http]\nport = {port}")
    seed(tmp_path, text + ALERTS.format(port=port))
    (tmp_path / "mail-url").write_text(mails.url())
    users = UserStore(tmp_path / "var" / "users.sqlite", hasher=CHEAP)
    users.add_user("Ben Example", Role.OPERATOR, PASSWORD)
    users.close()
    return tmp_path


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 390, "height": 844}, locale="en-GB")
    context.set_default_timeout(15_000)
    yield context.new_page()
    context.close()


def fits(page: Page) -> bool:
    """Whether nothing is to be scrolled sideways."""
    wider: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return wider == 0


@pytest.mark.timeout(240)
def test_a_failed_phantom_is_told_taken_by_link_shown_and_over_when_the_repeat_passes(
    folder: Path, mails: MailServer, page: Page, browser: Browser
) -> None:
    with SiteProcess(folder) as site, console("DXA1", site.dicom_port, phantom="SPINE-0001") as scanner:
        assert "QC not done" in mails.wait_for(1)[0].text
        scanner.scan(1.0)
        assert mails.wait_for(2)[1].subject == "Scanner DXA1 is cleared"
        scanner.scan(1.019)
        mail = mails.wait_for(3)[2]
        assert mail.to == ("anna@example.org",)
        assert "Scanner DXA1 is not cleared: today's phantom failed (+1.9 %)" in mail.text.replace(
            "this morning's", "today's"
        )
        assert "Medical physics, extension 0001" in mail.text

        page.goto(mail.link)
        expect(page.get_by_role("heading", level=1)).to_have_text("Deal with this alert")
        assert fits(page)
        other = browser.new_page()
        other.goto(f"{site.url}/sign-in?next=/alerts")
        other.get_by_label("Name").fill("Ben Example")
        other.get_by_label("Password").fill(PASSWORD)
        other.get_by_role("button", name="Sign in").click()
        alert = other.locator("article[data-alert]")
        expect(alert).to_contain_text("Anna Example")
        expect(alert.get_by_role("button")).to_have_count(1)
        page.get_by_role("button", name="I, Anna Example, am dealing with it").click()
        expect(page.get_by_text("It is on record that Anna Example deals with it")).to_be_visible()
        expect(alert).to_contain_text("Anna Example deals with it")  # by itself: the page is live
        page.goto(mail.link)
        expect(page.get_by_text("This link was used before")).to_be_visible()

        assert site.metric("bonewatch_alerts_open", severity="urgent") == 1
        scanner.scan(1.001)
        last = mails.wait_for(4)[3]
        assert (last.to, last.subject) == (("anna@example.org",), "Scanner DXA1 is cleared")
        expect(other.get_by_role("heading", level=1)).to_have_text("No alert is open")
        expect(other.get_by_role("region", name="Lately over")).to_contain_text("Anna Example dealt with it")
        other.close()
        eventually(lambda: site.metric("bonewatch_alert_notes_total", result="sent") == 4)
        assert site.metric("bonewatch_alert_notes_total", result="queued") == 4
        assert site.metric("bonewatch_alert_oldest_waiting_seconds") == 0
        scanner.scan(1.06)
        mails.wait_for(5)
        eventually(lambda: site.metric("bonewatch_alert_notes_total", result="sent") == 5)
    with SiteProcess(folder) as site:  # started anew: it stands, it was told, and nobody is told again
        eventually(lambda: site.metric("bonewatch_alert_last_step_timestamp_seconds") > 0)
        eventually(lambda: site.metric("bonewatch_alerts_open", severity="urgent") == 1)
        assert site.metric("bonewatch_alert_notes_total", result="queued") == 0
    assert len(mails.came) == 5
    assert "mail-url" not in "".join(site.log)
