"""The form that tries other rules says that it works while the log is read, and can be sent once."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from streams.roles import Role
from tests.accessible_site import AccessibleSite
from tests.accounts import PASSWORD
from tests.e2e.test_console_browser import browser

__all__ = ["browser"]  # a fixture, used by its name
WATCH = """() => new MutationObserver(() => {
    const button = document.querySelector(".what-if [type=submit]");
    const said = document.querySelector("[data-working-sign]").textContent;
    sessionStorage.setItem("said", `${said}, ${button.disabled ? "disabled" : "enabled"}`);
}).observe(document.querySelector(".what-if"), { subtree: true, childList: true, attributes: true })"""
"""Keep what the form says after the button was pressed, beyond the page's end."""


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AccessibleSite]:
    made = AccessibleSite(tmp_path_factory.mktemp("site"))
    yield made
    made.end()


def test_the_form_says_that_it_works_until_the_answer_is_there(site: AccessibleSite, browser: Browser) -> None:
    page = browser.new_page()
    page.goto(f"{site.url}/sign-in?next=/devices/dxa-2/what-if")
    page.get_by_label("Name").fill(f"The {Role.PHYSICIST.value}")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    button, status = page.get_by_role("button", name="Show what would have differed"), page.get_by_role("status")
    expect(status).to_have_text("")
    page.evaluate(WATCH)
    button.click()
    expect(page.get_by_role("heading", name="The difference since")).to_be_visible()
    assert page.evaluate("sessionStorage.getItem('said')") == "Reading the log: this takes some seconds, disabled"
    expect(button).to_be_enabled()
    expect(status).to_have_text("")
    page.close()
