"""The main actions from the keyboard alone: Tab and Enter; what has the focus is seen, and large enough."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from streams.roles import Role
from tests.accessible_site import AccessibleSite
from tests.accounts import PASSWORD

SEEN = """() => {
    const one = document.activeElement, style = getComputedStyle(one);
    return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
}"""
LEAST = 24
"""Pixels of a target's sides (WCAG 2.2, 2.5.8), but for links within a line of text."""

SMALL = """least => [...document.querySelectorAll("button, select, input:not([type=hidden]), nav a, .actions a")]
    .filter(one => one.checkVisibility({ opacityProperty: true, visibilityProperty: true }))
    .map(one => [one.outerHTML.slice(0, 120), one.getBoundingClientRect()])
    .filter(([, box]) => box.width > 1 && (box.width < least || box.height < least))
    .map(([html, box]) => `${html} ${Math.round(box.width)} x ${Math.round(box.height)}`)
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AccessibleSite]:
    made = AccessibleSite(tmp_path_factory.mktemp("site"))
    yield made
    made.end()


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_context(viewport={"width": 390, "height": 844}).new_page()
        page.set_default_timeout(15_000)
        yield page
        browser.close()


def tab_to(page: Page, selector: str, *, most: int = 120) -> None:
    """Press Tab until the focus is there; it must be seen."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            assert page.evaluate(SEEN), f"the focus on {selector} is not seen"
            return
    raise AssertionError(f"Tab does not come to {selector}")


def sign_in(page: Page, site: AccessibleSite, role: Role, there: str) -> None:
    page.goto(f"{site.url}/sign-in?next={there}")
    tab_to(page, "#name")
    page.keyboard.type(f"The {role.value}")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(site.url + there)


def test_a_fault_is_reported_from_the_menu_on(page: Page, site: AccessibleSite) -> None:
    sign_in(page, site, Role.OPERATOR, "/")
    tab_to(page, ".places__menu")
    expect(page.locator("#places")).to_be_hidden()
    page.keyboard.press("Enter")
    expect(page.locator("#places")).to_be_visible()
    tab_to(page, "#places a[href='/log']")
    page.keyboard.press("Escape")
    expect(page.locator("#places")).to_be_hidden()
    page.goto(f"{site.url}/devices/dxa-2")
    tab_to(page, "#do-log-fault")
    page.keyboard.press("Enter")
    page.wait_for_url("**/do/log-fault")
    tab_to(page, "textarea")
    page.keyboard.type("Laser is dim")
    tab_to(page, "input[type=radio]")
    page.keyboard.press("Space")
    tab_to(page, "main form [type=submit]")
    page.keyboard.press("Enter")
    page.wait_for_url("**/devices/dxa-2?done=log-fault")


def test_a_false_alarm_is_decided_after_its_trend(page: Page, site: AccessibleSite) -> None:
    sign_in(page, site, Role.PHYSICIST, "/reviews")
    tab_to(page, ".due__open")
    page.keyboard.press("Enter")
    page.locator(".trend__plot").wait_for()
    page.locator("#main").focus()
    tab_to_box = "input[name=viewed]"
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", tab_to_box):
            break
    page.keyboard.press("Space")
    expect(page.locator(tab_to_box)).to_be_checked()
    tab_to(page, "#decision")
    page.keyboard.type("The room was cold")
    tab_to(page, ".bulk [type=submit]")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="1 of 1 decided")).to_be_visible()


@pytest.mark.parametrize("path", ["/", "/reviews", "/measurements", "/log", "/devices/dxa-1", "/due"])
def test_targets_are_large_enough(page: Page, site: AccessibleSite, path: str) -> None:
    if "sign-in" in page.url or page.url == "about:blank":
        sign_in(page, site, Role.PHYSICIST, "/")
    page.goto(site.url + path)
    assert page.evaluate(SMALL, LEAST) == []
