"""Pseudonyms and the versions of their keys; expectations by HMAC-SHA-256 of openssl."""

import base64
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from msgspec.structs import replace

from collectors import pseudonym
from collectors.pseudonym import KeyMissingError, Pseudonyms, append_once
from streams.engine import SiteEngine
from streams.messages import Draft, PatientMeasured, RegionMeasured, event_id
from streams.site import EventConflictError
from streams.sqlite_log import SqliteEventLog
from tests.folding import DEVICE, MONDAY, POLICY, WEEKDAY_CLINIC

PERSON = "NOBODY-4711"


def by_openssl(version: int, key: Path, text: str) -> str:
    """A pseudonym as openssl makes it."""
    told = subprocess.run(
        ["openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", f"hexkey:{key.read_bytes().hex()}", "-binary"],
        input=text.encode(),
        capture_output=True,
        check=True,
    )
    return f"{version}.{base64.urlsafe_b64encode(told.stdout[:18]).decode()}"


def test_each_version_is_an_hmac_of_the_one_before_and_the_first_of_the_id(tmp_path: Path) -> None:
    names = Pseudonyms(tmp_path)
    first = names.of(f" {PERSON} ")
    assert first == by_openssl(1, tmp_path / "pseudonym.key", PERSON.casefold())
    assert names.rotate() == 2
    second = names.of(PERSON)
    assert second == by_openssl(2, tmp_path / "pseudonym-2.key", first)
    assert names.rotate() == 3
    assert names.newest(first) == names.newest(second) == names.of(PERSON)
    assert names.all_of(PERSON) == (names.of(PERSON), second, first)


def test_keys_of_a_site_that_had_one_version_go_on_and_are_nobody_elses_to_read(tmp_path: Path) -> None:
    (tmp_path / "pseudonym.key").write_bytes(bytes(range(32)))
    names = Pseudonyms(tmp_path)
    assert names.of("x") == by_openssl(1, tmp_path / "pseudonym.key", "x")
    names.rotate()
    assert (tmp_path / "pseudonym-2.key").stat().st_mode & 0o777 == 0o600


def test_a_rotation_elsewhere_is_taken_up_at_the_next_patient(tmp_path: Path) -> None:
    running, beside = Pseudonyms(tmp_path), Pseudonyms(tmp_path)
    assert running.of(PERSON) == beside.of(PERSON)
    beside.rotate()
    assert running.of(PERSON) == beside.of(PERSON)
    assert running.version == 2


def test_whoever_makes_the_first_key_at_the_same_time_makes_one(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: Pseudonyms(tmp_path).of(PERSON), range(40)))
    assert len(found) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["pseudonym.key"]


def test_what_a_crash_in_a_rotation_leaves_is_the_old_version(tmp_path: Path) -> None:
    names = Pseudonyms(tmp_path)
    first = names.of(PERSON)
    (tmp_path / ".pseudonym-2.key.part").write_bytes(b"half")
    assert Pseudonyms(tmp_path).of(PERSON) == first
    assert names.rotate() == 2
    assert Pseudonyms(tmp_path).newest(first) == names.of(PERSON)


def test_what_is_no_pseudonym_of_ours_stays(tmp_path: Path) -> None:
    names = Pseudonyms(tmp_path)
    names.of(PERSON)
    names.rotate()
    assert [names.newest(text) for text in ("", "p1", "7.abc", "x.y", "1.")] == ["", "p1", "7.abc", "x.y", "1."]


def test_with_a_lost_key_nobody_gets_a_pseudonym_of_another_making(tmp_path: Path) -> None:
    names = Pseudonyms(tmp_path)
    first = names.of(PERSON)
    names.rotate()
    second = names.of(PERSON)
    names.rotate()
    (tmp_path / "pseudonym-2.key").unlink()
    left = Pseudonyms(tmp_path)
    assert (left.version, left.missing(), left.of(PERSON)) == (3, [2], "")
    assert left.all_of(PERSON) == (first,)
    assert (left.newest(first), left.newest(second)) == (first, names.newest(second))
    with pytest.raises(KeyMissingError, match=r"version 2 is lost.*--begin-anew"):
        left.rotate()


def test_a_key_of_the_wrong_length_counts_as_lost_and_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "pseudonym.key").write_bytes(b"")
    names = Pseudonyms(tmp_path)
    assert (names.of(PERSON), names.missing()) == ("", [1])
    assert (tmp_path / "pseudonym.key").read_bytes() == b""


def test_a_version_that_begins_anew_is_of_the_id_and_nothing_leads_to_it(tmp_path: Path) -> None:
    names = Pseudonyms(tmp_path)
    first = names.of(PERSON)
    assert names.rotate(begin_anew=True) == 2
    anew = names.of(PERSON)
    assert anew == by_openssl(2, tmp_path / "pseudonym-2-anew.key", PERSON.casefold())
    assert names.newest(first) == first
    names.rotate()
    assert names.newest(anew) == names.of(PERSON)
    assert names.all_of(PERSON) == (names.of(PERSON), anew, first)


def test_a_rotation_while_a_name_is_made_leaves_nobody_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = Pseudonyms(tmp_path)
    names.of(PERSON)
    made = pseudonym._names  # the place between the keys' reading and the choice of the newest name

    def rotated_meanwhile(keys: pseudonym.Keys, patient_id: str) -> tuple[str, ...]:
        found = made(keys, patient_id)
        (tmp_path / "pseudonym-2.key").write_bytes(bytes(32))
        assert names.version == 2, "another thread has read the keys again"
        return found

    monkeypatch.setattr(pseudonym, "_names", rotated_meanwhile)
    first = names.of(PERSON)
    monkeypatch.undo()
    assert first == by_openssl(1, tmp_path / "pseudonym.key", PERSON.casefold())
    assert names.newest(first) == names.of(PERSON)


def test_an_id_is_the_same_in_either_case_and_unicode_form(tmp_path: Path) -> None:
    names = Pseudonyms(tmp_path)
    composed, decomposed = "NOBODY-\u00c9", "nobody-e\u0301"
    assert names.of(decomposed) == names.of(composed) == by_openssl(1, tmp_path / "pseudonym.key", "nobody-\u00e9")


@pytest.mark.parametrize("is_lost_first", [True, False])
def test_what_is_sent_again_with_a_key_lost_or_put_back_is_the_same_fact(
    tmp_path: Path, *, is_lost_first: bool
) -> None:
    names = Pseudonyms(tmp_path)
    name = names.of(PERSON)
    first, again = ("", name) if is_lost_first else (name, "")
    fact = PatientMeasured("ACC1", MONDAY, "scan", pseudonym=first, regions=(RegionMeasured("L1-L4", 0.9),))
    with SqliteEventLog(tmp_path / "log.sqlite") as log:
        site = SiteEngine(log, clock=lambda: MONDAY)
        site.start({DEVICE: (POLICY, WEEKDAY_CLINIC)})
        try:
            site.append([Draft(event_id("a"), DEVICE, fact)])
            sent = Draft(event_id("a"), DEVICE, replace(fact, pseudonym=again))
            assert append_once(site, [sent], names.all_of(PERSON)).duplicates == (event_id("a"),)
            other = replace(sent, fact=replace(sent.fact, accession_number="ACC2"))
            with pytest.raises(EventConflictError):
                append_once(site, [other], names.all_of(PERSON))
        finally:
            site.stop()


def test_what_is_sent_again_after_a_rotation_is_the_same_fact(tmp_path: Path) -> None:
    names = Pseudonyms(tmp_path)
    fact = PatientMeasured("ACC1", MONDAY, "scan", pseudonym=names.of(PERSON), regions=(RegionMeasured("L1-L4", 0.9),))
    with SqliteEventLog(tmp_path / "log.sqlite") as log:
        site = SiteEngine(log, clock=lambda: MONDAY)
        site.start({DEVICE: (POLICY, WEEKDAY_CLINIC)})
        try:
            site.append([Draft(event_id("a"), DEVICE, fact)])
            names.rotate()
            again = Draft(event_id("a"), DEVICE, replace(fact, pseudonym=names.of(PERSON)))
            assert append_once(site, [again], names.all_of(PERSON)).duplicates == (event_id("a"),)
            with pytest.raises(EventConflictError):
                append_once(site, [again], names.all_of("SOMEBODY-ELSE"))
            other = replace(again, fact=replace(fact, accession_number="ACC2"))
            with pytest.raises(EventConflictError):
                append_once(site, [other], names.all_of(PERSON))
        finally:
            site.stop()
