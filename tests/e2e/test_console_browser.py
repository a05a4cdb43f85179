"""The console in a real browser: what an operator and a physicist see, and that it stays true without reload."""

import re
import time
from collections.abc import Iterator
from datetime import timedelta
from itertools import combinations
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from streams.readings import Epoch
from tests.console_fakes import NOW, accepted
from tests.console_stage import OPERATOR, PASSWORD, PHYSICIST, FakeStage, SiteStage, Stage

CHROMIUM_ARGUMENTS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
EXPECTED: Final = re.compile(r"status of (404|409|422|503)|net::ERR_|Failed to fetch")
"""What a browser notes when we refuse, when the server is away, or when a page is left while it reads."""

NOTE_EPOCHS: Final = """
window.drawn = [];
const fillText = CanvasRenderingContext2D.prototype.fillText;
CanvasRenderingContext2D.prototype.fillText = function (text, x, y, ...more) {
    const wide = this.measureText(text).width, left = this.textAlign === "right" ? x - wide : x;
    if (text.startsWith("Epoch")) drawn.push({ text, left, right: left + wide, y });
    return fillText.call(this, text, x, y, ...more);
};
"""
"""Keeps where the names of epochs were drawn."""

LOOPBACK: Final = {"127.0.0.1", "localhost", "::1"}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Stage]:
    stage = SiteStage(tmp_path)
    yield stage
    stage.end()


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[FakeStage]:
    stage = FakeStage(tmp_path, demo=False)
    yield stage
    stage.end()


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Stage]:
    stage = FakeStage(tmp_path, demo=True)
    yield stage
    stage.end()


class Watched:
    """A page, with everything that it asked for and everything that it complained of."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.hosts: set[str | None] = set()
        self.complaints: list[str] = []
        page.on("request", lambda request: self.hosts.add(urlsplit(request.url).hostname))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on(
            "console",
            lambda message: self.complaints.append(message.text) if message.type in {"error", "warning"} else None,
        )


@pytest.fixture
def watched(browser: Browser) -> Iterator[Watched]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB", timezone_id="Asia/Tokyo")
    context.set_default_timeout(10_000)
    watched = Watched(context.new_page())
    yield watched
    context.close()
    assert watched.hosts <= LOOPBACK
    assert [text for text in watched.complaints if not EXPECTED.search(text)] == []


@pytest.fixture
def page(watched: Watched) -> Page:
    return watched.page


def sign_in(page: Page, console: Stage, name: str, there: str = "/") -> None:
    page.goto(f"{console.url}/sign-in?next={there}")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def test_the_board_answers_the_question_of_the_morning(page: Page, console: Stage) -> None:
    page.goto(console.url)
    first = page.locator("#gate-dxa-1")
    expect(first.get_by_role("heading")).to_have_text("Do not scan patients on Scanner DXA1")
    expect(first).to_contain_text("Whom to ring")
    expect(page.locator("#gate-dxa-2").get_by_role("heading")).to_contain_text("Clear to scan until")
    expect(page.get_by_text("Live", exact=True)).to_be_visible()


def test_a_gate_closes_before_the_eyes_without_reload(page: Page, console: Stage) -> None:
    page.goto(console.url)
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    page.evaluate("window.notReloaded = true")
    console.close_gate("dxa-2")
    closed = page.locator("#gate-dxa-2[data-status=held]")
    expect(closed).to_be_visible(timeout=3_000)
    expect(closed.get_by_role("heading")).to_have_text("Do not scan patients on Scanner DXA2")
    expect(page.get_by_role("heading", level=1)).to_have_text("No scanner is clear to scan")
    assert page.evaluate("window.notReloaded") is True


def test_a_lost_connection_is_said_loudly_and_taken_back(page: Page, console: Stage) -> None:
    page.goto(console.url)
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    console.stop()
    lost = page.get_by_role("alert")
    expect(lost).to_contain_text(re.compile(r"Not live since \d\d:\d\d"), timeout=15_000)
    expect(page.locator("#gate-dxa-2 .gate__stale")).to_be_visible()
    expect(page.locator("#gate-dxa-2 .gate__headline")).to_have_css("text-decoration-line", "line-through")
    expect(page.locator("#gate-dxa-1 .gate__headline")).to_have_css("text-decoration-line", "none")
    console.start_again()
    expect(page.get_by_text("Live", exact=True)).to_be_visible(timeout=20_000)
    expect(lost).to_be_hidden()


def test_daily_qc_is_entered_in_under_30_seconds_and_opens_the_scanner(page: Page, console: Stage) -> None:
    sign_in(page, console, OPERATOR)
    started = time.monotonic()
    page.locator("#gate-dxa-1").get_by_role("link", name="Enter daily QC").click()
    page.get_by_label("Passed").check()
    page.get_by_role("button", name=PHYSICIST).click()
    page.get_by_role("button", name="Record daily QC").click()
    expect(page.get_by_text("Daily QC recorded.")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Clear to scan")
    assert time.monotonic() - started < 30


def test_the_chart_is_drawn_and_read_out(page: Page, console: Stage) -> None:
    sign_in(page, console, PHYSICIST, "/devices/dxa-2")
    page.locator("#chart[data-points]").wait_for()
    for plot in ("bmd", "cusum"):
        assert colours_on(page, f"[data-plot={plot}] canvas") > 5
    page.locator("[data-plot=bmd] .u-over").hover(position={"x": 300, "y": 80})
    expect(page.locator("[data-readout]")).to_contain_text(re.compile(r"g/cm² · [+−]\d\.\d\d % from target · "))  # noqa: RUF001 - a minus sign
    shown = int(page.locator("#chart").get_attribute("data-points") or 0)
    page.get_by_role("link", name="All", exact=True).click()
    page.wait_for_function("shown => Number(document.getElementById('chart').dataset.points) > shown", arg=shown)


def test_the_chart_takes_a_new_reading_without_reload(page: Page, console: Stage) -> None:
    sign_in(page, console, PHYSICIST, "/devices/dxa-2")
    page.locator("#chart[data-points]").wait_for()
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    with page.expect_response(re.compile("/api/v1/devices/dxa-2/qc")):
        console.close_gate("dxa-2")
    expect(page.locator("#gate-dxa-2[data-status=held]")).to_be_visible()


def test_a_stale_page_is_refused_and_nothing_typed_is_lost(page: Page, console: Stage) -> None:
    sign_in(page, console, OPERATOR, "/devices/dxa-1/do/daily-qc")
    page.get_by_label("Passed").check()
    page.get_by_label("Who reviewed the result?").fill("Sam Lee")
    console.touch("dxa-1")
    with page.expect_response(re.compile("/do/daily-qc")) as answer:
        page.get_by_role("button", name="Record daily QC").click()
    assert answer.value.status == 409
    expect(page.get_by_role("alert")).to_contain_text("out of date")
    expect(page.locator(".nhsuk-error-summary")).to_be_focused()
    expect(page.get_by_label("Passed")).to_be_checked()
    expect(page.get_by_label("Who reviewed the result?")).to_have_value("Sam Lee")
    page.get_by_role("button", name="Record daily QC").click()
    expect(page.get_by_text("Daily QC recorded.")).to_be_visible()


def test_a_form_sent_twice_counts_once_and_ends_well(page: Page, memory: FakeStage) -> None:
    sign_in(page, memory, OPERATOR, "/devices/dxa-1/do/daily-qc")
    memory.site.answers_after_s = 4.0
    page.get_by_label("Passed").check()
    page.get_by_label("Who reviewed the result?").fill("Sam Lee")
    sent = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    assert page.get_by_role("button", name="Record daily QC").evaluate(
        """button => {
            for (const after of [0, 50, 1500]) setTimeout(() => button.click(), after);
            return new Promise(done => setTimeout(() => done(button.disabled), 1600));
        }"""
    )
    expect(page.get_by_text("Daily QC recorded.")).to_be_visible()
    assert len(sent) == len(memory.site.commands) == 1


def test_a_form_that_comes_back_can_be_sent(page: Page, memory: FakeStage) -> None:
    sign_in(page, memory, OPERATOR, "/devices/dxa-1/do/log-fault")
    page.get_by_label("What is wrong?").fill("Table squeaks")
    page.get_by_label("No: record it only").check()
    page.get_by_role("button", name="Report fault").click()
    expect(page.get_by_text("Fault reported.")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("button", name="Report fault")).to_be_enabled()


def test_forms_work_without_javascript(browser: Browser, memory: FakeStage) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    sign_in(page, memory, OPERATOR, "/devices/dxa-1/do/daily-qc")
    page.get_by_label("Passed").check()
    page.get_by_label("Who reviewed the result?").fill("Sam Lee")
    page.get_by_role("button", name="Record daily QC").click()
    expect(page.get_by_text("Daily QC recorded.")).to_be_visible()
    context.close()


@pytest.mark.parametrize("days_ago", [(60, 58, 57), (60, 2, 1), (60, 18, 12)])
def test_names_of_epochs_on_the_chart_do_not_run_into_each_other(
    page: Page, memory: FakeStage, days_ago: tuple[int, ...]
) -> None:
    memory.site.accepted["dxa-2"] = [
        Epoch(NOW - timedelta(days=days), accepted("SPINE-5678", place)) for place, days in enumerate(days_ago, 1)
    ]
    page.add_init_script(NOTE_EPOCHS)
    sign_in(page, memory, PHYSICIST, "/devices/dxa-2")
    page.locator("#chart[data-points]").wait_for()
    drawn = {name["text"]: name for name in page.evaluate("drawn")}
    assert sorted(drawn) == ["Epoch 1", "Epoch 2", "Epoch 3"]
    for one, other in combinations(drawn.values(), 2):
        beside = one["right"] <= other["left"] or other["right"] <= one["left"]
        assert beside or abs(one["y"] - other["y"]) >= 12


def test_a_demonstration_lets_in_by_role_and_its_panel_moves_the_board(page: Page, demo: Stage) -> None:
    page.goto(demo.url)
    page.get_by_role("button", name="Physicist").click()
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    page.get_by_role("button", name="Fail a QC on DXA1").click()
    expect(page.get_by_role("status")).to_contain_text("DXA1 has sent two phantom scans that fail")
    expect(page.locator("#gate-dxa-1 [data-code=qc_failed]")).to_be_visible(timeout=3_000)


def test_outside_a_demonstration_nobody_gets_in_by_choosing_a_role(page: Page, console: Stage) -> None:
    page.goto(f"{console.url}/sign-in")
    expect(page.get_by_role("button", name="Physicist")).to_have_count(0)
    token = page.locator("input[name=_csrf_token]").first.get_attribute("value") or ""
    answer = page.request.post(
        f"{console.url}/demo/sign-in", form={"_csrf_token": token, "role": "physicist"}, max_redirects=0
    )
    assert answer.status == 404


@pytest.mark.parametrize("path", ["/", "/wall", "/devices/dxa-1", "/devices/dxa-1/do/daily-qc", "/sign-in"])
def test_nothing_is_cut_off_on_a_telephone(page: Page, console: Stage, path: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    sign_in(page, console, OPERATOR)
    page.goto(console.url + path)
    page.wait_for_load_state("load")
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0


def test_the_daily_qc_can_be_entered_from_the_keyboard_alone(page: Page, console: Stage) -> None:
    sign_in(page, console, OPERATOR)
    page.locator("#enter-qc-dxa-1").focus()
    page.keyboard.press("Enter")
    page.get_by_label("Passed").focus()
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.keyboard.type("Sam Lee")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Daily QC recorded.")).to_be_visible()


def colours_on(page: Page, canvas: str) -> int:
    """Return how many different colours a canvas shows: a blank one has one."""
    return int(
        page.locator(canvas).evaluate(
            """canvas => {
                const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
                const seen = new Set();
                for (let i = 0; i < data.length; i += 4) seen.add(data.slice(i, i + 4).join());
                return seen.size;
            }"""
        )
    )
