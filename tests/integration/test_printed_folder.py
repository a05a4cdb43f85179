"""Printed reports in the folder: what is taken from it when, and a whole site that watches one."""

import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bonewatch import cli
from bonewatch.configuration.loading import parse
from bonewatch.errors import ConfigError
from collectors.printed.folder import ReportFolder
from collectors.printed.settings import Disposal, PrintedSettings
from simulators.printed import Text, hologic_page, printed
from streams.messages import PatientMeasured, PhantomMeasured
from tests.integration.printed_rig import NOW, PATIENT, Desk
from tests.integration.site_rig import SITE, running_site
from tests.kafka import wait_until
from tests.printed_pages import retyped, spine
from tests.site_logs import facts_in

# --- the folder --------------------------------------------------------------------------------------------


class Watched:
    """A folder with a desk behind it, and a clock of its own."""

    def __init__(self, tmp_path: Path, settings: PrintedSettings) -> None:
        self.now = NOW
        self.folder = tmp_path / "printed"
        self.folder.mkdir()
        self.desk = Desk(tmp_path / "var", settings, lambda: self.now)
        self.watch = ReportFolder(self.folder, self.desk.reports.receive, settings, clock=lambda: self.now)

    def look(self, times: int = 2) -> None:
        for _ in range(times):
            self.watch.look()

    @property
    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path, PrintedSettings())


def test_a_file_that_grows_is_left_until_it_is_whole(watched: Watched) -> None:
    data = printed([spine("hologic")])
    path = watched.folder / "Iris Invented.pdf"
    for length in (0, 500, len(data) - 40):
        path.write_bytes(data[:length])
        watched.look()
    assert not watched.desk.site.facts
    path.write_bytes(data)
    watched.look(1)
    assert not watched.desk.site.facts  # seen once in this state
    watched.look(1)
    assert len(watched.desk.phantoms) == 5
    assert watched.files == []


def test_a_file_moved_in_is_taken(watched: Watched, tmp_path: Path) -> None:
    (tmp_path / "elsewhere.PDF").write_bytes(printed([spine("hologic")]))
    shutil.move(tmp_path / "elsewhere.PDF", watched.folder)
    watched.look()
    assert len(watched.desk.phantoms) == 5


def test_a_file_whose_end_never_comes_is_refused(watched: Watched) -> None:
    (watched.folder / "a.pdf").write_bytes(printed([spine("hologic")])[:300])
    watched.look()
    assert watched.files == ["a.pdf"]
    watched.now += timedelta(minutes=11)
    watched.look()
    assert watched.files == []
    assert len(watched.desk.quarantine) == 1


def test_what_is_no_report_stays_where_it_is(watched: Watched, tmp_path: Path) -> None:
    (tmp_path / "target.pdf").write_bytes(printed([spine("hologic")]))
    (watched.folder / "link.pdf").symlink_to(tmp_path / "target.pdf")
    (watched.folder / "notes.txt").write_text("x")
    (watched.folder / ".hidden.pdf").write_bytes(b"x")
    (watched.folder / "folder.pdf").mkdir()
    watched.look()
    assert len(watched.files) == 4
    assert not watched.desk.site.facts


def test_a_file_that_is_too_large_is_left_and_counted(tmp_path: Path) -> None:
    watched = Watched(tmp_path, PrintedSettings(max_bytes=1024))
    (watched.folder / "a.pdf").write_bytes(bytes(2048))
    with capture_logs() as logs:
        watched.look(4)
    assert [log["code"] for log in logs if log["event"] == "printed_report_left"] == ["too_large"]
    assert watched.files == ["a.pdf"]


@pytest.mark.parametrize(("disposal", "files", "kept"), [("keep", 0, True), ("delete", 0, False), ("leave", 1, False)])
def test_read_files_go_where_they_are_configured_to(tmp_path: Path, disposal: Disposal, files: int, kept: bool) -> None:  # noqa: FBT001
    watched = Watched(tmp_path, PrintedSettings(phantoms=disposal, patients=disposal))
    for name, page in (("a.pdf", spine("hologic")), ("b.pdf", hologic_page(PATIENT))):
        (watched.folder / name).write_bytes(printed([page]))
    with capture_logs() as logs:
        watched.look(4)
    assert len(watched.files) == 2 * files
    assert (len(watched.desk.patients) == 1) is kept
    assert (watched.desk.data_dir / "archive").exists() is kept
    assert [log["code"] for log in logs if log["event"] == "printed_report"] == ["recorded", "recorded"]


def test_a_page_that_cannot_be_recorded_now_is_taken_later(watched: Watched) -> None:
    watched.desk.site.available = False
    (watched.folder / "a.pdf").write_bytes(printed([spine("hologic")]))
    watched.look(3)
    assert watched.files == ["a.pdf"]
    watched.desk.site.available = True
    watched.look(1)
    assert watched.files == []
    assert len(watched.desk.phantoms) == 5


def test_a_folder_that_is_away_is_said_once(watched: Watched) -> None:
    away = watched.folder.rename(watched.folder.with_name("away"))
    with capture_logs() as logs:
        watched.look(3)
        away.rename(watched.folder)
        watched.look(3)
    assert [log["trouble"] for log in logs] == ["FileNotFoundError", "none any more"]


# --- the site ----------------------------------------------------------------------------------------------


CONFIGURATION = f"""{SITE}[printed]
folder = "printed"
poll_s = 0.2

[[device]]
id = "dxa-1"
kind = "scanner"
make = "Hologic"
model = "Horizon A"
serial = "300123M"
ae_title = "DXA1"
  [device.printed]
  layout = "hologic-apex"
  accession_field = "Comment"
  [[device.phantom]]
  role = "independent"
  patient_id = "SPINE-1234"
  patient_name = "PHANTOM^SPINE"
"""


def recorded(folder: Path) -> list[str]:
    return [
        type(fact).__name__
        for fact in facts_in(folder / "var" / "site-log.sqlite")
        if isinstance(fact, PhantomMeasured | PatientMeasured)
    ]


def test_a_site_takes_what_is_printed_and_once_only_across_a_restart(tmp_path: Path) -> None:
    printer = tmp_path / "printed"
    printer.mkdir()
    for _ in range(2):
        with running_site(CONFIGURATION, tmp_path):
            (printer / "a.pdf").write_bytes(printed([spine("hologic")]))
            (printer / "b.pdf").write_bytes(printed([hologic_page(PATIENT)]))
            wait_until(lambda: not list(printer.iterdir()))
        assert sorted(recorded(tmp_path)) == ["PatientMeasured", *["PhantomMeasured"] * 5]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('serial = "300123M"\n', "", "told by model and serial number"),
        ('layout = "hologic-apex"', 'layout = "ge-encore"', "date_order"),
        ('layout = "hologic-apex"', 'layout = "word"', "cannot be chosen"),
        ('accession_field = "Comment"', 'modes = { spine = "x" }', "x is no"),
        ('accession_field = "Comment"', 'modes = { spleen = "x" }', "spleen is none of forearm"),
        ("poll_s = 0.2", "poll_s = 0", "poll_s lies"),
        ('  [device.printed]\n  layout = "hologic-apex"\n  accession_field = "Comment"\n', "", "says how it prints"),
    ],
)
def test_a_configuration_that_does_not_hold_says_so(old: str, new: str, words: str) -> None:
    assert old in CONFIGURATION
    with pytest.raises(ConfigError, match=r"site\.toml, line \d+: ") as failed:
        parse(CONFIGURATION.replace(old, new, 1), "site.toml")
    assert words in str(failed.value)


# --- for who sets it up ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("page", "status", "words"),
    [
        (spine("hologic"), 0, ("is test-site/dxa-1", "phantom SPINE-1234", "k = 1.130, d0 = 48.6", "51.85 g  0.930")),
        (hologic_page(PATIENT), 0, ("a patient, or a phantom that is not configured",)),
        (spine("ge"), 1, ("model Lunar Prodigy, serial number DF+12345", "no device of the configuration")),
        (retyped(spine("hologic"), "0.873", "0.378"), 1, ("refused (does_not_add_up)",)),
        ([Text(40, 40, "A letter")], 1, ("refused (unknown_layout)",)),
        ([], 1, ("refused (unreadable)",)),
    ],
    ids=["phantom", "patient", "unknown scanner", "misread", "letter", "no PDF"],
)
def test_a_report_can_be_tried_before_it_counts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], page: list[Text], status: int, words: tuple[str, ...]
) -> None:
    (tmp_path / "site.toml").write_text(CONFIGURATION)
    (tmp_path / "page.pdf").write_bytes(printed([page]) if page else b"x")
    assert cli.read_report(tmp_path / "page.pdf", config=tmp_path / "site.toml") == status
    said = capsys.readouterr().out
    assert all(word in said for word in words), said
    assert "INVENTED" not in said
    assert "943 476" not in said
