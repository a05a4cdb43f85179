"""An evidence pack: checked by a recalculation of its own, private, the same for the same log; changes are noticed."""

import csv
import io
import json
import sqlite3
import warnings
import zipfile
from collections.abc import Iterable
from contextlib import closing
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

import pypdfium2
import pytest

from bonewatch.cli import app as command_line
from bonewatch.errors import ConfigError
from dashboards.reports.evidence.check import PackError, check_pack, told
from dashboards.reports.evidence.pack import evidence_pack
from streams.engine import SiteEngine
from streams.messages import (
    Attachment,
    AttachmentAdded,
    Draft,
    EntryKind,
    EquipmentHandedOver,
    Fact,
    FaultLogged,
    HandoverForm,
    IncidentRecorded,
    LogEntryMade,
    PatientMeasured,
    PhantomMeasured,
)
from streams.record.veil import LEFT_OUT
from streams.sqlite_log import SqliteEventLog
from streams.uptime.clinic_hours import period_of
from tests.folding import OPERATOR, PHANTOM
from tests.reported_site import FIRST, KEY, LAST, NOW, SECRETS, reports_of, text_of, write_log

CONFIG = """
[site]
id = "bath"
name = "Bath"

[[device]]
id = "dxa-1"
kind = "scanner"
ae_title = "DXA1"
  [[device.phantom]]
  role = "independent"
  patient_id = "SPINE-0001"
"""


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    (folder / "var").mkdir()
    (folder / "site.toml").write_text(CONFIG)
    write_log(folder / "var" / "site-log.sqlite")
    return folder / "var" / "site-log.sqlite"


@pytest.fixture(scope="module")
def pack(log: Path) -> bytes:
    return evidence_pack(reports_of(log), "dxa-1", FIRST, LAST)


def files_of(pack: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(pack)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def lines_of(pack: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in files_of(pack)["events.jsonl"].splitlines()]


def link_by_hand(line: dict[str, Any]) -> str:
    """The link as the README says it is made, with nothing of ours."""
    content = bytes.fromhex(line["previous"])
    for part in (line["event"], *line["outcomes"]):
        text = part["text"].encode()
        content += len(text).to_bytes(8, "big") + text
    return sha256(content).hexdigest()


def rewritten(pack: bytes, name: str, old: bytes, new: bytes, *, digests: bool = False) -> bytes:
    """The pack with something else in one file; with `digests` its manifest says that this is right."""
    files = files_of(pack)
    assert old in files[name]
    before, files[name] = files[name], files[name].replace(old, new, 1)
    if digests:
        said, says = sha256(before).hexdigest().encode(), sha256(files[name]).hexdigest().encode()
        files["manifest.json"] = files["manifest.json"].replace(said, says)
        files["manifest.sha256"] = sealed(files["manifest.json"])
    return packed(files)


def sealed(manifest: bytes) -> bytes:
    """What `sha256sum manifest.json` prints."""
    return f"{sha256(manifest).hexdigest()}  manifest.json\n".encode()


def told_of(pack: bytes, log: Path | None) -> tuple[str, ...]:
    """What is said of a pack: its faults, or why it is none."""
    try:
        return check_pack(pack, log).faults
    except PackError as error:
        return (str(error),)


def put(files: Iterable[tuple[str, bytes]], compression: int = zipfile.ZIP_STORED) -> bytes:
    """A ZIP of files, in any order and whether or not a name is there twice."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, data in files:
            archive.writestr(name, data)
    return out.getvalue()


# --- what it holds -----------------------------------------------------------------------------------------


def test_every_event_that_is_told_whole_has_the_link_of_its_bytes(log: Path, pack: bytes) -> None:
    lines = lines_of(pack)
    with closing(sqlite3.connect(log)) as db:
        rows = db.execute(
            "SELECT position, hex(link), body FROM events WHERE device = ? AND recorded_at LIKE '2026-11-%'"
            " ORDER BY position",
            (KEY,),
        ).fetchall()
    assert [line["position"] for line in lines] == [position for position, _, _ in rows]
    whole = 0
    for line, (_, link, body) in zip(lines, rows, strict=True):
        assert line["link"] == link.lower()
        assert line["event"]["sha256"] == sha256(body).hexdigest()
        if all("text" in part for part in (line["event"], *line["outcomes"])):
            whole += 1
            assert line["event"]["text"].encode() == body
            assert link_by_hand(line) == line["link"]
    assert 0 < len(lines) - whole <= 4  # a scan that began, two measurements: what is about patients


def test_each_file_has_the_digest_that_the_manifest_tells(pack: bytes) -> None:
    files = files_of(pack)
    assert files.pop("manifest.sha256") == sealed(files["manifest.json"])
    manifest = json.loads(files.pop("manifest.json"))
    assert {one["name"]: one["sha256"] for one in manifest["files"]} == {
        name: sha256(data).hexdigest() for name, data in files.items()
    }
    assert {"README.txt", "anchor.json", "verdicts.csv", "baselines.csv", "forms/handover-01.pdf"} <= set(files)
    assert "ab" * 32 in files["attachments.csv"].decode()
    assert "A trolley stood in the way" in files["incidents.csv"].decode()
    form = pypdfium2.PdfDocument(files["forms/handover-01.pdf"])
    assert "table freed" in form[0].get_textpage().get_text_range()
    form.close()


def test_the_anchor_is_the_last_event_of_the_log(log: Path, pack: bytes) -> None:
    anchor = json.loads(files_of(pack)["anchor.json"])
    with closing(sqlite3.connect(log)) as db:
        position, link = db.execute("SELECT MAX(position), hex(link) FROM events").fetchone()
    assert (anchor["position"], anchor["link"]) == (position, link.lower())
    assert f"{position}:{link.lower()}" in files_of(pack)["README.txt"].decode()


def test_nothing_of_a_patient_is_in_it(pack: bytes) -> None:
    for name, data in files_of(pack).items():
        if name.endswith(".pdf"):
            document = pypdfium2.PdfDocument(data)
            text = " ".join(page.get_textpage().get_text_range() for page in document)
            document.close()
        else:
            text = data.decode()
        assert not [one for one in SECRETS if one in text], name


def test_the_same_log_gives_the_same_bytes_and_a_report_a_month(log: Path, pack: bytes) -> None:
    assert evidence_pack(reports_of(log), "dxa-1", FIRST, LAST) == pack
    longer = files_of(evidence_pack(reports_of(log), "dxa-1", date(2026, 10, 15), date(2026, 11, 10)))
    assert {name for name in longer if name.endswith(".pdf") and name.startswith("reports/")} == {
        "reports/qa-2026-10.pdf",
        "reports/qa-2026-11.pdf",
    }


@pytest.mark.parametrize(("bmd", "is_told"), [(1.004, True), (0.61, False)])
def test_what_cannot_be_the_phantom_is_not_told_by_the_uid_of_its_object(
    tmp_path: Path, log: Path, bmd: float, *, is_told: bool
) -> None:
    """A patient may have been scanned under the phantom's id: the UID would lead to their name."""
    copy = tmp_path / "copy.sqlite"
    with closing(sqlite3.connect(log)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    scan = PhantomMeasured(PHANTOM, "L1-L4", bmd, NOW, "2.25.4711", sop_instance_uid="2.25.4712")
    with SqliteEventLog(copy) as later:
        SiteEngine(later, clock=lambda: NOW).import_history([(NOW, Draft("scan", KEY, scan))])
    made = evidence_pack(reports_of(copy), "dxa-1", FIRST, NOW.date())
    assert check_pack(made, copy).faults == ()
    assert any(f"{bmd}" in data.decode() for name, data in files_of(made).items() if name == "verdicts.csv")
    assert any(b"2.25.471" in data for data in files_of(made).values()) is is_told


def test_a_text_or_a_files_name_in_which_a_request_stands_is_left_out(tmp_path: Path, log: Path) -> None:
    copy = tmp_path / "copy.sqlite"
    with closing(sqlite3.connect(log)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    file = Attachment("cd" * 32, "scan of acc-good.pdf", "application/pdf", 12)
    form = HandoverForm.CONTROLLED_AREA
    facts: tuple[Fact, ...] = (
        LogEntryMade(EntryKind.COMMENT, "Request ACC-GOOD was scanned twice.", OPERATOR),
        LogEntryMade(EntryKind.COMMENT, "The good acc of the room", OPERATOR),
        AttachmentAdded(file, "about", OPERATOR, "see (PSEUDO-1)"),
        IncidentRecorded("near_miss", "Object 2.25.77.ACC-GOOD: wrong table", OPERATOR),
        EquipmentHandedOver("h9", form, "it broke in ACC-BYPASS", OPERATOR, "Eve", "Ltd", "", ""),
    )
    with SqliteEventLog(copy) as later:
        engine = SiteEngine(later, clock=lambda: NOW)
        engine.import_history((NOW, Draft(f"text-{n}", KEY, fact)) for n, fact in enumerate(facts))
    made = evidence_pack(reports_of(copy), "dxa-1", FIRST, NOW.date())
    for name, data in files_of(made).items():
        text = text_of(data) if name.endswith(".pdf") else data.decode()
        assert not [one for one in SECRETS if one.casefold() in text.casefold()], name
    rows = list(csv.DictReader(files_of(made)["equipment-log.csv"].decode().splitlines()))
    assert [row["text"] for row in rows if row["kind"] == "comment"] == [LEFT_OUT, "The good acc of the room"]
    (*_, file_row) = csv.DictReader(files_of(made)["attachments.csv"].decode().splitlines())
    assert (file_row["name"], file_row["text"], file_row["sha256"]) == (LEFT_OUT, LEFT_OUT, "cd" * 32)
    lines = {line["event"]["sha256"]: line["event"] for line in lines_of(made)}
    with closing(sqlite3.connect(copy)) as db:
        ((body,),) = db.execute("SELECT body FROM events WHERE event_id = 'text-0'").fetchall()
    withheld = lines[sha256(body).hexdigest()]
    assert ("text" in withheld, withheld["told"]["fact"]["kind"]) == (False, "comment")
    with SqliteEventLog(copy) as later:  # a request of today is called like a word of an older text
        fact = PatientMeasured("whiteboard", NOW, "2.25.78", "PSEUDO-2")
        SiteEngine(later, clock=lambda: NOW).import_history([(NOW, Draft("new", KEY, fact))])
    assert check_pack(made, copy).faults == ()


# --- what is noticed ---------------------------------------------------------------------------------------


def test_a_pack_as_it_was_made_is_sound_by_itself_and_against_its_log(log: Path, pack: bytes) -> None:
    checked = check_pack(pack, log)
    assert checked.faults == ()
    assert checked.events == len(lines_of(pack))
    assert check_pack(pack).faults == ()


def test_a_changed_byte_of_any_file_is_noticed_and_the_file_named(pack: bytes, log: Path) -> None:
    for name, content in files_of(pack).items():
        for place in (0, len(content) // 2, len(content) - 1):
            data = bytearray(content)
            data[place] ^= 1
            changed = packed(files_of(pack) | {name: bytes(data)})
            for against in (None, log):
                assert any(name in fault for fault in told_of(changed, against)), (name, place)


def test_a_changed_byte_of_the_manifest_is_always_noticed(pack: bytes, log: Path) -> None:
    manifest = files_of(pack)["manifest.json"]
    for place in range(0, len(manifest), 7):
        data = bytearray(manifest)
        data[place] ^= 1
        faults = told_of(packed(files_of(pack) | {"manifest.json": bytes(data)}), log)
        assert any("manifest" in fault for fault in faults), place


def test_a_file_that_is_gone_or_under_anothers_name_is_noticed(pack: bytes) -> None:
    files = files_of(pack)
    for name in files.keys() - {"manifest.json"}:
        rest = {one: data for one, data in files.items() if one != name}
        assert check_pack(packed(rest)).faults == (f"{name} is missing",)
    swapped = files | {"incidents.csv": files["bypasses.csv"], "bypasses.csv": files["incidents.csv"]}
    assert {fault.split()[0] for fault in check_pack(packed(swapped)).faults} == {"incidents.csv", "bypasses.csv"}


def test_the_same_files_in_another_zip_are_the_same_pack(pack: bytes, log: Path) -> None:
    files = [("reports/", b""), ("forms/", b""), *reversed(files_of(pack).items())]
    assert check_pack(put(files, zipfile.ZIP_DEFLATED), log).faults == ()
    assert check_pack(put([("README.txt", b"Another"), *files])).faults == ("README.txt is in it more than once",)


def test_events_that_changed_places_or_stand_twice_are_noticed(log: Path, pack: bytes) -> None:
    lines = files_of(pack)["events.jsonl"].splitlines(keepends=True)
    third, fourth = (json.loads(line)["position"] for line in lines[2:4])
    swapped = rewritten(pack, "events.jsonl", lines[2] + lines[3], lines[3] + lines[2], digests=True)
    assert check_pack(swapped, log).faults == (f"event {third}: it stands twice, or not in its place",)
    doubled = rewritten(pack, "events.jsonl", lines[3], lines[3] * 2, digests=True)
    assert check_pack(doubled, log).faults == (f"event {fourth}: it stands twice, or not in its place",)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (b'"last": "2026-11-30"', b'"last": "2026-12-31"', "manifest.json: the period is not that of its first"),
        (b'"time_zone": "Europe/London"', b'"time_zone": "Europe/Atlantis"', "manifest.json: the period is not that"),
        (b'"device": "dxa-1"', b'"device": "dxa-2"', "manifest.json: bath/dxa-1 is not the device dxa-2"),
        (b'"position": ', b'"position": 99999999999999999999', "the log does not hold what it held when the pack was"),
    ],
)
def test_a_manifest_that_contradicts_itself_or_the_log_is_noticed(
    log: Path, pack: bytes, old: bytes, new: bytes, fault: str
) -> None:
    changed = rewritten(pack, "manifest.json", old, new)
    fitted = files_of(changed)
    fitted["manifest.sha256"] = sealed(fitted["manifest.json"])
    faults = check_pack(packed(fitted), log).faults
    assert any(fault in one for one in faults), faults


def test_a_pack_that_was_damaged_on_its_way_is_refused_and_the_file_named(pack: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(pack)) as archive:
        starts = archive.getinfo("verdicts.csv").header_offset
    said = set[str]()
    for place in range(starts + 42, starts + 242):
        data = bytearray(pack)
        data[place] ^= 0xFF
        with pytest.raises(PackError, match=r"verdicts\.csv is damaged and cannot be unpacked") as raised:
            check_pack(bytes(data))
        said.add(type(raised.value.__cause__).__name__)
    assert said == {"BadZipFile", "error"}  # the second is zlib's


def test_a_zip_that_says_it_is_huge_is_not_unpacked() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("manifest.json", b"{}")
        archive.getinfo("manifest.json").file_size = 2**31 + 1
    with pytest.raises(PackError, match="more than 2 GB"):
        check_pack(out.getvalue())


def test_what_a_name_holds_does_not_reach_the_terminal() -> None:
    assert list(told(("more\x1b[31m\u202etxt is not in the manifest",))) == ["more?[31m?txt is not in the manifest"]


def test_a_changed_event_is_noticed_even_where_all_digests_were_made_to_fit(log: Path, pack: bytes) -> None:
    line = next(one for one in lines_of(pack) if "The table is stuck" in one["event"].get("text", ""))
    text = line["event"]["text"]
    lied = text.replace("The table is stuck", "The table is fine!")
    changed = rewritten(pack, "events.jsonl", b"The table is stuck", b"The table is fine!", digests=True)
    digests = sha256(text.encode()).hexdigest().encode(), sha256(lied.encode()).hexdigest().encode()
    changed = rewritten(changed, "events.jsonl", *digests, digests=True)
    assert check_pack(changed).faults == (f"event {line['position']}: its link is not that of its texts",)
    assert any("not in the pack as it is in the log" in fault for fault in check_pack(changed, log).faults)


def test_what_was_left_out_or_put_in_is_noticed_against_the_log(log: Path, pack: bytes) -> None:
    lines = files_of(pack)["events.jsonl"].splitlines(keepends=True)
    without = rewritten(pack, "events.jsonl", lines[3], b"", digests=True)
    assert check_pack(without).faults == ()  # the chain goes on over other devices' events too
    assert len(check_pack(without, log).faults) == 1
    more = packed(files_of(pack) | {"more.txt": b"more"})
    assert check_pack(more).faults == ("more.txt is not in the manifest",)
    fewer = {name: data for name, data in files_of(pack).items() if name != "baselines.csv"}
    assert check_pack(packed(fewer)).faults == ("baselines.csv is missing",)


def test_another_log_is_noticed_and_what_was_recorded_since_is_not_a_fault(
    tmp_path: Path, pack: bytes, log: Path
) -> None:
    write_log(tmp_path / "other.sqlite")
    assert check_pack(pack, tmp_path / "other.sqlite").faults == ("the pack was made from another log",)
    copy = tmp_path / "copy.sqlite"
    with closing(sqlite3.connect(log)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    with SqliteEventLog(copy) as later:
        fault = FaultLogged("f9", "It squeaks", stops_scanning=False, logged_by=OPERATOR)
        SiteEngine(later, clock=lambda: NOW).import_history([(NOW, Draft("f9", KEY, fault))])
    assert check_pack(pack, copy).faults == ()
    now, records = period_of(FIRST, date(2026, 12, 1), "Europe/London"), reports_of(copy).records
    anchor = check_pack(pack).manifest.anchor
    assert "It squeaks" in str(records.device("dxa-1", now).facts)
    assert "It squeaks" not in str(records.as_of(anchor).device("dxa-1", now).facts)
    assert records.as_of(anchor).device("dxa-1", now).anchor == anchor


@pytest.mark.parametrize("data", [b"", b"PK", packed({"manifest.json": b"{}"}), packed({"a": b"b"})])
def test_what_is_no_pack_is_refused(data: bytes) -> None:
    with pytest.raises(PackError):
        check_pack(data)


# --- the command line --------------------------------------------------------------------------------------


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        command_line(list(words))
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_the_command_line_packs_checks_and_compares_the_log_with_the_anchor(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = str(log.parent.parent / "site.toml")
    days = ("--from", "2026-11-01", "--until", "2026-11-30")
    assert run("report", "evidence", "--device", "dxa-1", *days, "-c", config, "--out", str(tmp_path)) == 0
    file = tmp_path / "evidence-dxa-1-2026-11-01-2026-11-30.zip"
    assert run("report", "check-evidence", str(file), "-c", config) == 0
    assert "sound" in capsys.readouterr().out
    anchor = json.loads(files_of(file.read_bytes())["anchor.json"])
    named = f"{anchor['position']}:{anchor['link']}"
    assert run("log", "verify", "-c", config, "--anchor", named) == 0
    assert run("log", "verify", "-c", config, "--anchor", f"{anchor['position'] - 1}:{anchor['link']}") == 1
    assert run("log", "verify", "-c", config, "--anchor", f"999999:{anchor['link']}") == 1
    file.write_bytes(rewritten(file.read_bytes(), "README.txt", b"Bath", b"Rome"))
    assert run("report", "check-evidence", str(file)) == 1
    assert "README.txt is not the file" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="64 hexadecimal digits"):
        command_line(["log", "verify", "-c", config, "--anchor", "1:abc"])
    with pytest.raises(ConfigError, match="cannot be read"):
        command_line(["report", "check-evidence", str(tmp_path / "none.zip")])
