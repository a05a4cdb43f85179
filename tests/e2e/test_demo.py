"""The demonstration and the command line as processes of their own, as a visitor and an administrator start them."""

import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.e2e.test_console_browser import browser
from tests.running import SiteProcess, configuration, seed

__all__ = ["browser"]  # a fixture, used by its name

LAUNCHER: Final = Path(__file__).resolve().parents[2] / "bonewatch"
READY_WITHIN_S: Final = 60.0


class DemoProcess:
    """``./bonewatch demo`` on free ports; leave its block to interrupt it."""

    def __init__(self, *options: str, temporary: Path) -> None:
        temporary.mkdir(exist_ok=True)
        self.output: list[str] = []
        self.url = ""
        self._ready = threading.Event()
        self._process = subprocess.Popen(
            [LAUNCHER, "demo", "--port", "0", "--dicom-port", "0", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | {"TMPDIR": str(temporary)},
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._ready.wait(READY_WITHIN_S)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.output.append(line)
            if found := re.fullmatch(r"Bonewatch demo: (http://\S+)\n", line):
                self.url = found[1]
                self._ready.set()
        self._ready.set()

    def interrupt(self) -> int:
        """Press Ctrl-C; return the exit status."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        status = self._process.wait(30.0)
        self._reader.join(30.0)
        assert self._process.stdout is not None
        self._process.stdout.close()
        return status

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.interrupt()

    @property
    def said(self) -> str:
        return "".join(self.output)


def bonewatch(*arguments: object) -> "subprocess.CompletedProcess[str]":
    """Run one command of the command line to its end."""
    command = [str(LAUNCHER), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


# --- the demonstration -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("department") / "data"


@pytest.fixture(scope="module")
def department(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoProcess]:
    """A demonstration that keeps its data, at 07:45 of its second day: no test sees a midnight."""
    with DemoProcess("--data-dir", str(data_dir), temporary=tmp_path_factory.mktemp("temporary")) as demo:
        assert demo.url, demo.said
        yield demo


@pytest.fixture(scope="module")
def page(browser: Browser, department: DemoProcess) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 1200}, locale="en-GB")
    context.set_default_timeout(15_000)
    page = context.new_page()
    page.goto(department.url)
    page.get_by_role("button", name="Physicist").click()
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    press(page, "night")
    page.evaluate("window.notReloaded = true")
    yield page
    context.close()


def press(page: Page, action: str, device: str = "") -> None:
    """Press a button of the panel and wait until it says what happened."""
    with page.expect_response(re.compile("/demo/run$")) as answer:
        page.locator(f"[data-demo={action}][data-on='{device}']").click()
    assert answer.value.status == 200


def card(page: Page, device: str, status: str) -> Locator:
    """Wait for a device's card to show a status."""
    found = page.locator(f"#gate-{device}[data-status={status}]")
    expect(found).to_be_visible()
    return found


def test_the_page_shows_both_scanners_after_a_night(page: Page) -> None:
    expect(card(page, "dxa-1", "open")).to_contain_text("Clear to scan")
    expect(card(page, "dxa-2", "held")).to_contain_text("Do not scan patients")


def test_a_failed_phantom_holds_its_scanner_and_a_pass_opens_it_without_reload(page: Page) -> None:
    card(page, "dxa-1", "open")
    press(page, "fail", "dxa-1")
    held = card(page, "dxa-1", "held")
    expect(held.locator("[data-code=qc_failed]")).to_be_visible()
    press(page, "pass", "dxa-1")
    card(page, "dxa-1", "open")
    assert page.evaluate("window.notReloaded") is True


def test_a_drift_raises_the_warning_and_does_not_hold(page: Page) -> None:
    press(page, "drift", "dxa-1")
    drifting = card(page, "dxa-1", "open")
    expect(drifting.locator("[data-code=drift_unreviewed]")).to_contain_text("Warning")


def test_a_clinic_in_45_minutes_shows_its_first_patient(page: Page) -> None:
    press(page, "clinic", "dxa-2")
    expect(page.get_by_role("status")).to_contain_text(re.compile(r"The first patient is at 08:3\d\."))
    expect(page.locator("#gate-dxa-2 .facts")).to_contain_text(re.compile(r"Clinic from\s*08:3\d"))


def test_a_scanner_that_is_silent_over_night_is_held_in_the_morning(page: Page) -> None:
    press(page, "silent", "dxa-1")
    press(page, "night")
    silent = card(page, "dxa-1", "held")
    expect(silent.locator("[data-code=independent_overdue]")).to_be_visible()
    expect(silent.locator("[data-code=qc_missing]")).to_be_visible()
    assert page.evaluate("window.notReloaded") is True


def test_a_patient_scanned_while_held_is_told_at_once(page: Page) -> None:
    press(page, "fail", "dxa-1")
    press(page, "patient", "dxa-1")
    expect(card(page, "dxa-1", "held")).to_contain_text("A patient was scanned while it was held")
    assert page.evaluate("window.notReloaded") is True


def test_a_second_site_on_the_same_data_is_refused_in_a_sentence(department: DemoProcess, data_dir: Path) -> None:
    assert department.url
    refused = bonewatch("demo", "--port", "0", "--dicom-port", "0", "--data-dir", data_dir)
    assert refused.returncode == 1
    assert f"error {data_dir} is in use by another running site; stop it first" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_what_the_demonstration_kept_verifies_and_replays(department: DemoProcess, data_dir: Path) -> None:
    assert department.interrupt() == 0
    assert "Traceback" not in department.said
    verified = bonewatch("log", "verify", "--data-dir", data_dir)
    assert (verified.returncode, verified.stderr) == (0, "")
    assert "sound" in verified.stdout
    replayed = bonewatch("replay", "--data-dir", data_dir)
    assert (replayed.returncode, replayed.stderr) == (0, "")
    assert "all agree" in replayed.stdout


def test_ctrl_c_ends_a_demonstration_and_its_temporary_folder_goes(tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    started = time.monotonic()
    with DemoProcess(temporary=temporary) as demo:
        assert demo.url, demo.said
        assert time.monotonic() - started < READY_WITHIN_S
        assert [one["id"] for one in httpx.get(f"{demo.url}/api/v1/devices").json()] == [
            "dxa-1",
            "dxa-2",
            "scale-1",
            "height-1",
        ]
        assert len(list(temporary.iterdir())) == 1
        assert demo.interrupt() == 0
    assert "Traceback" not in demo.said
    assert list(temporary.iterdir()) == []


# --- mistakes on the command line --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("right", "wrong", "at", "words"),
    [
        ('kind = "scanner"', 'kind = "scaner"', 'kind = "scaner"', "'scaner'"),
        ('data_dir = "var"', 'data_dri = "var"', "data_dri", "`data_dri`"),
        ("[dicom]\nport = 0", "[dicom]\nprot = 0", "prot = 0", "`prot`"),
        ('enforcement = "worklist"', 'enforcement = "worklist', 'enforcement = "worklist', "Illegal character"),
        ('time_zone = "', 'time_zone = "Mars/', 'time_zone = "Mars/', "Mars/"),
    ],
)
def test_a_wrong_configuration_is_a_sentence_with_file_and_line(
    tmp_path: Path, right: str, wrong: str, at: str, words: str
) -> None:
    path = tmp_path / "site.toml"
    text = configuration().replace(right, wrong, 1)
    path.write_text(text, encoding="utf-8")
    refused = bonewatch("run", "--config", path)
    assert (refused.returncode, refused.stdout) == (1, "")
    (said,) = refused.stderr.splitlines()
    assert said.startswith(f"error {path}")
    assert words in said
    line = text[: text.index(at)].count("\n") + 1
    assert re.search(rf"\bline {line}\b", said), said


def test_a_note_on_a_configuration_is_printed_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_text(re.sub("upstream = .*", "", configuration()), encoding="utf-8")
    checked = bonewatch("check-config", "--config", path)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert "note no [dicom] upstream" in checked.stdout


@pytest.mark.parametrize("section", ["[http]", "[dicom]"])
def test_a_port_in_use_is_a_sentence(tmp_path: Path, section: str) -> None:
    with taken_port() as port:
        seed(tmp_path, configuration().replace(f"{section}\nport = 0", f"{section}\nport = {port}"))
        refused = bonewatch("run", "--config", tmp_path / "site.toml")
    assert refused.returncode == 1
    assert "Traceback" not in refused.stderr
    assert f"error {section} 127.0.0.1:{port} cannot be listened on: Address already in use" in refused.stderr


@contextmanager
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


def test_a_second_site_with_the_same_configuration_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    seed(tmp_path, configuration())
    with SiteProcess(tmp_path) as site:
        refused = bonewatch("run", "--config", tmp_path / "site.toml")
        assert (refused.returncode, "in use by another running site" in refused.stderr) == (1, True)
        assert "Traceback" not in refused.stderr
        assert site.get("/readyz").status_code == 200
