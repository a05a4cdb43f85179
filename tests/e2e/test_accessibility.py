"""Every page of the console, for every role that sees it, by axe-core: narrow and wide, light and dark.

The pages come from the application's own routes: a page that nobody visits here fails the test.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from dashboards.console.catalogue import ACTIONS
from dashboards.console.check_actions import CHECK_ACTIONS
from streams.messages import FaultLogged, IncidentRecorded
from streams.roles import Role
from tests.accessible_site import PHYSICIST, AccessibleSite
from tests.accounts import PASSWORD
from tests.contracts import npm_file

TAGS: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
LOOKS: Final[list[tuple[int, Literal["light", "dark"]]]] = [
    (1280, "light"),
    (390, "dark"),
    (1280, "dark"),
    (390, "light"),
]

TOO_WIDE: Final = "document.documentElement.scrollWidth > document.documentElement.clientWidth"

NO_PAGES: Final = {
    "/events": "a stream",
    "/favicon.ico": "an image",
    "/due.ics": "a calendar",
    "/parts/board": "part of the board",
    "/devices/{device_id:str}/parts/{part:str}": "parts of the device's page",
    "/devices/{device_id:str}/files/{event_id:str}": "a file",
    "/devices/{device_id:str}/handover-form.pdf": "paper",
    "/devices/{device_id:str}/qc-card.pdf": "paper",
    "/uptime/files/{name:str}": "a file",
    "/reports/qa/{device_id:str}/{name:str}": "a file",
    "/reports/evidence": "a file",
    "/parts/alerts": "part of the page of alerts",
    "/healthz": "for programs",
    "/readyz": "for programs",
    "/metrics": "for programs",
}
"""Routes that answer a GET and show no page of their own, and what they are."""

DEVICES: Final = ("dxa-1", "dxa-2", "scale-1")
PUBLIC_TO_ROLES: Final = ("/", "/wall", "/reviews", "/due", "/uptime", "/log")
"""What everybody who signs in may look at, whatever the role."""

EVERYBODY: Final = tuple(Role)


def _visits(site: AccessibleSite) -> dict[str, list[str]]:
    """Return the addresses to visit under each route that is a page."""
    return {
        "/": ["/"],
        "/wall": ["/wall"],
        "/wall/open": ["/wall/open"],
        "/sign-in": ["/sign-in"],
        "/reviews": ["/reviews"],
        "/reviews/{device_id:str}/{review_id:str}": [f"/reviews/dxa-2/{site.review_id}"],
        "/reviews/{device_id:str}/{review_id:str}/trend": [],  # inside the page of reviews, see below
        "/due": ["/due"],
        "/engineer": ["/engineer"],
        "/uptime": ["/uptime"],
        "/log": ["/log", "/log?kind=entry"],
        "/audit": ["/audit", "/audit?verify=true"],
        "/people": ["/people", "/people?done=add"],
        "/people/{change:str}": [
            "/people/add",
            "/people/password?name=The+operator",
            "/people/close?name=The+operator",
        ],
        "/measurements": ["/measurements", "/measurements?day=2020-01-01"],
        "/devices/{device_id:str}/measurements/{event_id:str}/release": [
            f"/devices/dxa-1/measurements/{site.withheld_id}/release"
        ],
        "/before-the-scan": ["/before-the-scan"],
        "/alerts": ["/alerts"],
        "/acknowledge": [site.link, "/acknowledge?token=none"],
        "/reports": ["/reports"],
        "/reports/qa": ["/reports/qa?device=dxa-2&month=2026-11", "/reports/qa?device=scale-1&month=2026-11"],
        "/devices/{device_id:str}/what-if": ["/devices/dxa-2/what-if"],
        "/devices/{device_id:str}": [f"/devices/{one}" for one in DEVICES],
        "/devices/{device_id:str}/do/{slug:str}": [
            f"/devices/{'scale-1' if action in CHECK_ACTIONS else 'dxa-2'}/do/{slug}"
            for slug, action in ACTIONS.items()
        ],
        "/devices/{device_id:str}/log": ["/devices/dxa-1/log", "/devices/dxa-1/log?kind=comment"],
        "/devices/{device_id:str}/log/{item_id:str}": [f"/devices/dxa-1/log/{site.entry_id}"],
        "/devices/{device_id:str}/log/{item_id:str}/file": [f"/devices/dxa-1/log/{site.entry_id}/file"],
    }


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AccessibleSite]:
    made = AccessibleSite(tmp_path_factory.mktemp("site"))
    yield made
    made.end()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=arguments)
        yield browser
        browser.close()


def context(browser: Browser, width: int, scheme: Literal["light", "dark"]) -> BrowserContext:
    """Return a window with axe-core in each page; it comes past our own content policy, which forbids such."""
    made = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True)
    made.add_init_script(path=npm_file("axe-core/axe.min.js"))
    made.set_default_timeout(15_000)
    return made


def violations(page: Page) -> list[str]:
    """Return what axe-core finds wrong with the page as it stands."""
    found = page.evaluate(
        "tags => axe.run(document, { runOnly: { type: 'tag', values: tags }, resultTypes: ['violations'] })", TAGS
    )
    return [
        f"{one['id']}: {one['help']}: {node['html'][:160]} {node['any'][0]['message'][:200] if node['any'] else ''}"
        for one in found["violations"]
        for node in one["nodes"][:3]
    ]


def _is_shown(window: BrowserContext, url: str) -> bool:
    """Whether a page is shown to who is signed in, or refused to the role."""
    status = window.request.get(url, max_redirects=0).status
    assert status in {200, 403, 410}, f"{url}: {status}"  # a link that is over has a page of its own
    return status != 403


def sign_in(page: Page, site: AccessibleSite, role: Role) -> None:
    page.goto(f"{site.url}/sign-in")
    page.get_by_label("Name").fill(f"The {role.value}")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{site.url}/")


def test_every_page_of_the_application_is_visited(site: AccessibleSite) -> None:
    assert site.pages() - set(_visits(site)) - set(NO_PAGES) == set()


@pytest.mark.parametrize("role", EVERYBODY)
def test_axe_finds_nothing_on_any_page_of_a_role(browser: Browser, site: AccessibleSite, role: Role) -> None:
    addresses = [one for under in _visits(site).values() for one in under]
    window = context(browser, *LOOKS[0])
    page = window.new_page()
    sign_in(page, site, role)
    seen, wrong = 0, []
    for place, address in enumerate(addresses, start=EVERYBODY.index(role)):
        if not _is_shown(window, site.url + address):
            continue
        width, scheme = LOOKS[place % 4]  # the roles take turns: together they see each page in every look
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        page.goto(site.url + address)
        seen += 1
        wrong += [f"{width} {scheme} {address}: {one}" for one in violations(page)]
        if page.evaluate(TOO_WIDE):
            wrong.append(f"{width} {scheme} {address}: wider than the screen")
    window.close()
    assert wrong == []
    assert seen >= len(PUBLIC_TO_ROLES)


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_axe_finds_nothing_where_nobody_is_signed_in_nor_in_refused_forms(
    browser: Browser, site: AccessibleSite, width: int, scheme: Literal["light", "dark"]
) -> None:
    window = context(browser, width, scheme)
    page = window.new_page()
    wrong = []
    for address in ("/", "/wall", "/sign-in", "/wall/open"):
        page.goto(site.url + address)
        wrong += [f"{address}: {one}" for one in violations(page)]
    sign_in(page, site, Role.PHYSICIST)
    for address in ("/devices/dxa-2/do/decide-review", "/devices/dxa-2/do/log-fault", "/before-the-scan"):
        page.goto(site.url + address)
        page.locator("main form [type=submit]").click()
        page.locator(".nhsuk-error-summary").wait_for()
        wrong += [f"{address} refused: {one}" for one in violations(page)]
    page.goto(f"{site.url}/reviews")
    page.get_by_role("link", name="Open the trend").first.click()
    page.locator(".trend__plot").first.wait_for()
    wrong += [f"/reviews with its trend: {one}" for one in violations(page)]
    if width == 390:
        page.get_by_role("button", name="Menu").click()
        wrong += [f"the menu: {one}" for one in violations(page)]
    window.close()
    assert wrong == []


def test_axe_finds_what_is_wrong(browser: Browser, site: AccessibleSite) -> None:
    window = context(browser, 1280, "light")
    page = window.new_page()
    page.goto(site.url)
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<input type=text>')")
    assert any(one.startswith("label") for one in violations(page))
    window.close()


def test_one_endless_word_makes_no_page_wider_than_the_screen(browser: Browser, tmp_path: Path) -> None:
    made = AccessibleSite(tmp_path)
    window = context(browser, 390, "light")
    try:
        word = "Tischverschiebungsmotorsteuerungsplatine" * 12
        made.happens("dxa-1", FaultLogged("f9", word, stops_scanning=True, logged_by=PHYSICIST))
        made.happens("dxa-1", IncidentRecorded("near_miss", word, PHYSICIST))
        page = window.new_page()
        sign_in(page, made, Role.PHYSICIST)
        for address in (
            "/",
            "/devices/dxa-1",
            "/devices/dxa-1/log",
            "/engineer",
            "/log",
            "/devices/dxa-1/do/clear-fault",
        ):
            page.goto(made.url + address)
            assert not page.evaluate(TOO_WIDE), address
    finally:
        window.close()
        made.end()


@pytest.mark.parametrize("device", ["dxa-1", "dxa-2"])
def test_the_table_of_verdicts_is_whole_at_a_desk(site: AccessibleSite, browser: Browser, device: str) -> None:
    window = context(browser, 1280, "light")
    page = window.new_page()
    sign_in(page, site, Role.PHYSICIST)
    page.goto(f"{site.url}/devices/{device}")
    table = page.get_by_role("region", name="Table of the latest verdicts")
    assert table.get_by_role("link", name="Comment").count() > 10
    assert table.evaluate("one => one.scrollWidth - one.clientWidth") == 0
    window.close()
