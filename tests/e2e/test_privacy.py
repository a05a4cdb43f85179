"""Conspicuous invented people go through the real site by every way in; then every byte it leaves is searched.

Nothing of them may be found: not in the data folder (log, users, WAL, archive, names of files), not in what the
process says, not in metrics, API, pages or ErrorComments. The quarantine holds them encrypted.
"""

import html
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import quote

import httpx
import msgspec
import pytest
from litestar.testing import TestClient
from pydicom.dataset import Dataset
from pynetdicom.dimse_primitives import C_FIND
from pynetdicom.dsutils import encode
from pynetdicom.sop_class import ModalityWorklistInformationFind  # type: ignore[attr-defined]

from collectors.dicom.deadline_socket import RequestingEntity
from collectors.quarantine import Quarantine
from publishing.webhook import new_secret
from simulators.phantom_sr import ReportSpec, build_report
from simulators.ris import Appointment, VirtualRis, worklist_item
from simulators.scanner import PhantomLabel, StoreResult, VirtualScanner, WorklistResult, worklist_query
from simulators.series import spine_readings
from tests.console_client import Visitor
from tests.e2e.test_bad_input import send_encoded
from tests.running import SiteProcess, configuration, seed
from tests.webhook_receiver import Posted, receiving

OPERATOR, PASSWORD = "Pat Nurse", "correct horse battery"
PHANTOM: Final = "SPINE-0001"
EVENTS: Final = "/api/v1/events?since=0&max_seconds=0"


class Invented(msgspec.Struct, frozen=True):
    """Somebody who does not exist, and by whose details a leak can be told from every other."""

    family: str
    born: str
    patient_id: str
    accession: str

    @property
    def name(self) -> str:
        return f"{self.family}^BJÖRK"


WAYS_IN: Final = (
    "the worklist", "a worklist that fails", "a patient object", "a patient object while held", "a truncated object",
    "an object of nobody", "an announced UID", "a name under the phantom's id", "a hip under the phantom's id",
    "an implausible BMD", "a report without BMD", "a wrong unit", "a conflict", "a query", "a query while held",
    "a query of nobody", "an undecodable query", "a calling AE title", "a path", "a parameter", "a form", "a cookie",
    "the API",
)  # fmt: skip


def invented(number: int) -> Invented:
    letters = f"{chr(65 + number)}{chr(90 - number)}"
    return Invented(
        f"ÖZQ{letters}VARSSON", f"18{60 + number}1231", f"HOSP-77{number:02d}-{letters}", f"ACQ{number:02d}X{letters}"
    )


PEOPLE: Final = {way: invented(number) for number, way in enumerate(WAYS_IN)}


def report(way: str, **change: object) -> Dataset:
    """Return a report that names the person of this way in."""
    person = PEOPLE[way]
    fields: dict[str, object] = {
        "patient_id": "SPINE-0002",
        "patient_name": person.name,
        "birth_date": person.born,
        "accession_number": person.accession,
        "measured_at": datetime.now(UTC),
        "readings": spine_readings(1.0),
        "acquisition": way,
        "station": "DXA2",
    }
    return build_report(ReportSpec(**fields | change))  # type: ignore[arg-type] # as each way chooses


class Exercised:
    """The site after everybody has gone through it, with all that it has said."""

    def __init__(self, folder: Path, site: SiteProcess, ris: VirtualRis) -> None:
        self.folder, self.site, self.ris = folder, site, ris
        self.data = folder / "var"
        self.comments: list[str] = []
        self.delivered: tuple[Dataset, ...] = ()
        self.pages: dict[str, bytes] = {}
        self.posted: list[Posted] = []

    def run(self) -> None:
        self._store()
        self._query()
        with httpx.Client(base_url=self.site.url, timeout=30.0) as client:
            self._browse(Visitor(cast(TestClient[Any], client)))  # which is an httpx.Client; no more is asked of it

    # --- DICOM ---------------------------------------------------------------------------------------------

    def _send(self, ds: Dataset, ae_title: str = "DXA2") -> StoreResult:
        answer = VirtualScanner(ae_title, self.site.dicom_port).send(ds)
        self.comments.append(answer.error_comment)
        return answer

    def _scan(self, ae_title: str, bmd: float) -> StoreResult:
        label = PhantomLabel(f"SPINE-000{ae_title[-1]}", "PHANTOM^SYNTHETIC")
        scanner = VirtualScanner(ae_title, self.site.dicom_port, phantom=label)
        return self._send(scanner.report(bmd, datetime.now(UTC)), ae_title)

    def _send_bytes(self, ds: Dataset, *, share: float = 1.0, announced: str = "") -> None:
        data = encode(ds, is_implicit_vr=False, is_little_endian=True) or b""
        cut = data[: int(len(data) * share)]
        answer = send_encoded(self.site.dicom_port, ds, cut, announced=announced or str(ds.SOPInstanceUID))
        self.comments.append(answer.error_comment)
        assert answer.status == 0xC210

    def _store(self) -> None:
        held = PEOPLE["a patient object while held"]
        assert self._send(report("a patient object while held", patient_id=held.patient_id)).status == 0xC215
        for ae_title in ("DXA1", "DXA2"):
            assert self._scan(ae_title, 1.0).status == 0x0000
        patient = PEOPLE["a patient object"]
        refused = {
            0xC215: report("a patient object", patient_id=patient.patient_id),
            0xC211: report("a report without BMD", readings={}),
            0xC212: report("an implausible BMD", readings={"L1-L4": "9.0", patient.family: 1.0}),
            0xC213: report("a wrong unit", unit="mg/cm2", body_part=""),
            0xC214: report("a hip under the phantom's id", readings={"L1-L4": 1.0, "Left Femoral Neck": 0.8}),
        }
        for status, ds in refused.items():
            assert self._send(ds).status == status
        assert self._send(report("an implausible BMD", readings=spine_readings(1.5), acquisition="x")).status == 0xC214
        named = report("a name under the phantom's id", patient_id=PHANTOM, station="DXA1")
        assert self._send(named, "DXA1").status == 0xC214
        nobody = PEOPLE["an object of nobody"]
        assert self._send(report("an object of nobody", patient_id=nobody.patient_id), "NOBODY").status == 0x0124
        self._send_bytes(report("a truncated object"), share=0.9)
        self._send_bytes(report("an announced UID"), announced=PEOPLE["an announced UID"].patient_id)
        self._conflict()

    def _conflict(self) -> None:
        first = report("a conflict", patient_name="PHANTOM^SYNTHETIC", birth_date="", accession_number="")
        other = report("a conflict", readings=spine_readings(1.01))
        assert [self._send(ds).status for ds in (first, other)] == [0x0000, 0x0111]

    def _ask(self, ae_title: str, query: Dataset) -> WorklistResult:
        scanner = VirtualScanner(ae_title, self.site.dicom_port)
        with scanner.session() as session:
            association = session._association
            answers = list(association.send_c_find(query, ModalityWorklistInformationFind))
        status = answers[-1][0]
        self.comments.append(str(status.get("ErrorComment", "")))
        return WorklistResult(status.Status, self.comments[-1], tuple(item for _, item in answers if item))

    def _query(self) -> None:
        opened = self._ask("DXA1", worklist_query(station="DXA1"))
        assert opened.status == 0x0000
        self.delivered = opened.items
        for way, ae_title in (("a query", "DXA1"), ("a query of nobody", "NOBODY")):
            self._ask(ae_title, query_for(PEOPLE[way]))
        self._ask(PEOPLE["a calling AE title"].patient_id, worklist_query(station="DXA1"))
        self._ask_undecodably(PEOPLE["an undecodable query"])
        self.ris.fails = True
        assert self._ask("DXA1", worklist_query(station="DXA2")).status == 0xC102
        self.ris.fails = False
        assert self._scan("DXA1", 1.06).status == 0x0000
        assert self._ask("DXA1", query_for(PEOPLE["a query while held"])).status == 0xC100
        assert self._ask("DXA1", worklist_query(station="DXA1")).status == 0xC100

    def _ask_undecodably(self, person: Invented) -> None:
        entity = RequestingEntity("DXA1", timeout_s=20.0)
        entity.add_requested_context(ModalityWorklistInformationFind)
        association = entity.associate("127.0.0.1", self.site.dicom_port, ae_title="BONEWATCH")
        request = C_FIND()
        request.MessageID, request.Priority = 1, 2
        request.AffectedSOPClassUID = ModalityWorklistInformationFind
        request.Identifier = BytesIO(f"{person.name} {person.born} {person.patient_id}".encode() * 5)
        association._reactor_checkpoint.clear()
        association.dimse.send_msg(request, association.accepted_contexts[0].context_id or 1)
        _, answer = association.dimse.get_msg(block=True)
        association._reactor_checkpoint.set()
        assert isinstance(answer, C_FIND)
        self.comments.append(str(getattr(answer, "ErrorComment", "")))
        assert answer.Status not in {None, 0x0000}
        association.abort()

    # --- HTTP ----------------------------------------------------------------------------------------------

    def _browse(self, visitor: Visitor) -> None:
        path, parameter, cookie = PEOPLE["a path"], PEOPLE["a parameter"], PEOPLE["a cookie"]
        for word in (path.family, path.patient_id):
            for prefix in ("/", "/devices/", "/api/v1/devices/", "/devices/dxa-1/do/", "/devices/dxa-1/parts/"):
                assert visitor.get(prefix + quote(word)).status_code >= 300
        for word in (parameter.family, parameter.patient_id, parameter.born):
            for place in ("qc?phantom_id=", "qc?since=", "qc?limit=", "gate?mode="):
                visitor.get(f"/api/v1/devices/dxa-1/{place}{quote(word)}")
            visitor.get(f"/sign-in?next=/{quote(word)}")
        visitor.client.get(
            "/", headers={"cookie": f"bonewatch_session={cookie.patient_id}; bonewatch_csrf={cookie.accession}"}
        )
        assert visitor.sign_in(OPERATOR, PASSWORD).status_code == 303
        self._fill_in_wrongly(visitor, PEOPLE["a form"])
        self._ask_the_api(visitor, PEOPLE["the API"])
        self._read(visitor)

    @staticmethod
    def _ask_the_api(visitor: Visitor, person: Invented) -> None:
        for word in map(quote, (person.name, person.born, person.patient_id)):
            asked = {"request_id": word, "device_seq": 1, "values": {"text": "It rattles", word: word}}
            address = f"/api/v1/devices/dxa-1/actions/log-fault?{word}={word}"
            answers = [
                visitor.client.post(address, json=asked, auth=(OPERATOR, PASSWORD), headers={"Idempotency-Key": word}),
                visitor.client.post(address, json=asked, headers={"Authorization": f"Bearer bwt_{word}"}),
                visitor.client.post(address, json=asked, auth=(word, word)),
            ]
            assert [answer.status_code for answer in answers] == [422, 401, 401]

    @staticmethod
    def _fill_in_wrongly(visitor: Visitor, person: Invented) -> None:
        for word in (person.name, person.born, person.patient_id):
            scan, qc = "/devices/dxa-1/do/phantom-scan", "/devices/dxa-1/do/daily-qc"
            refused = (
                visitor.fill_in(scan, phantom_id=word, bmd_g_cm2="1.0"),
                visitor.fill_in(scan, phantom_id=PHANTOM, bmd_g_cm2=f"{word} 1.0"),
                visitor.fill_in(scan, phantom_id=PHANTOM, bmd_g_cm2="1.0", measured_at=word),
                visitor.fill_in(scan, phantom_id=PHANTOM, bmd_g_cm2="1.0", request_id=word),
                visitor.fill_in(scan, phantom_id=PHANTOM, bmd_g_cm2="1.0", expected_device_seq=word),
                visitor.fill_in(qc, result=word, reviewed_by="Sam Lee", note=word),
                visitor.fill_in(qc, result="passed", reviewed_by="Sam Lee", note=word * 80),
                visitor.fill_in(qc, result="passed", reviewed_by="Sam Lee", note=word, expected_device_seq="1"),
            )
            assert {answer.status_code for answer in refused} <= {409, 422}

    def _read(self, visitor: Visitor) -> None:
        devices = [f"/devices/dxa-{n}" for n in (1, 2)]
        pages = ["/", "/wall", "/parts/board", "/metrics", "/readyz", "/api/v1/devices", *devices]
        pages += [f"{one}/parts/{part}" for one in devices for part in ("gate", "actions", "phantoms", "verdicts")]
        pages += [f"{one}/do/{form}" for one in devices for form in ("daily-qc", "phantom-scan", "log-fault")]
        pages += [f"/api/v1{one}{what}" for one in devices for what in ("", "/gate", "/qc", "/epochs")]
        for page in (*pages, EVENTS):
            answer = visitor.get(page)
            assert answer.status_code == 200
            self.pages[page] = answer.content

    def traces(self) -> dict[str, bytes]:
        """Return everything that the site has left or said, by where."""
        found = dict(self.pages)
        found |= {str(path.relative_to(self.folder)): path.read_bytes() for path in files(self.data)}
        found["names of files"] = "\n".join(map(str, files(self.data))).encode()
        found["standard error"] = "\n".join(self.site.log).encode()
        found["webhooks"] = b"\n".join(repr(dict(one.headers)).encode() + one.body for one in self.posted)
        found["error comments"] = "\n".join(self.comments).encode()
        return found


def query_for(person: Invented) -> Dataset:
    query = worklist_query(patient_id=person.patient_id, station="DXA1")
    query.SpecificCharacterSet = "ISO_IR 100"
    query.PatientName, query.PatientBirthDate, query.AccessionNumber = person.name, person.born, person.accession
    return query


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.fixture(scope="module")
def exercised(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exercised]:
    folder = tmp_path_factory.mktemp("site")
    ris = VirtualRis()
    ris.book_items([booked("the worklist", 1, "DXA1"), booked("a worklist that fails", 2, "DXA2")])
    ris.start()
    named = f'patient_id = "{PHANTOM}"\n'
    text = configuration(ris.port).replace(named, f'{named}  patient_name = "PHANTOM^SYNTHETIC"\n')
    (folder / "told.secret").write_text(new_secret())
    command = [sys.executable, "-m", "bonewatch", "user", "add", OPERATOR, "operator", "-c", str(folder / "site.toml")]
    with receiving() as told:
        webhook = f'[[webhook]]\nname = "told"\nurl = "{told.url}"\nsecret_file = "told.secret"\n'
        seed(folder, text + webhook)
        subprocess.run(command, input=f"{PASSWORD}\n", text=True, check=True, capture_output=True, env=os.environ)
        with SiteProcess(folder) as site:
            exercised = Exercised(folder, site, ris)
            exercised.posted = told.taken
            exercised.run()
            yield exercised
    ris.stop()


def booked(way: str, number: int, station: str) -> Dataset:
    person = PEOPLE[way]
    item = worklist_item(Appointment(number, (station,), "DXASH", person.patient_id, person.name, person.born))
    item.AccessionNumber = person.accession
    return item


@pytest.fixture(scope="module")
def traces(exercised: Exercised) -> dict[str, bytes]:
    """Everything said and left, while the site runs (with its WAL) and after it has stopped."""
    running = exercised.traces()
    exercised.site.stop()
    return {f"running: {place}": data for place, data in running.items()} | exercised.traces()


def places_of(word: str, traces: dict[str, bytes]) -> list[str]:
    """Return where a word is found, in any case and encoding, standing for itself."""
    codings = ("utf-8", "latin-1", "utf-16-le", "utf-16-be")
    spelled = {text.encode(coding) for text in (word, word.lower()) for coding in codings}
    spelled |= {text.encode() for text in (json.dumps(word)[1:-1], quote(word), html.escape(word))}
    spelled |= {word.encode("ascii", how) for how in ("xmlcharrefreplace", "backslashreplace")}
    spelled.add(repr(word.encode())[2:-1].encode())
    pattern = re.compile(b"(?<![0-9])(?:%s)(?![0-9])" % b"|".join(map(re.escape, spelled)), re.IGNORECASE)
    return [place for place, data in traces.items() if pattern.search(data)]


@pytest.mark.parametrize("way", WAYS_IN)
def test_nothing_of_a_person_is_left_anywhere(traces: dict[str, bytes], way: str) -> None:
    person = PEOPLE[way]
    born = person.born
    words = (person.family, person.patient_id, person.accession, born, f"{born[:4]}-{born[4:6]}-{born[6:]}")
    found = {word: places_of(word, traces) for word in words if places_of(word, traces)}
    if way.startswith("a patient object"):  # whose scan it was must be found again
        told = ("site-log.sqlite", "site-log.sqlite-wal", "/devices/dxa-2", "/devices/dxa-2/parts/phantoms", EVENTS)
        assert all(place.endswith(told) for place in found.pop(person.accession))
    assert found == {}


def test_the_search_finds_what_is_there(traces: dict[str, bytes]) -> None:
    found = places_of(PHANTOM, traces)
    for place in ("var/site-log.sqlite", "/api/v1/devices", "/devices/dxa-1", "/"):
        assert place in found
    assert "running: var/site-log.sqlite-wal" in found
    assert "running: var/users.sqlite-wal" in places_of(OPERATOR, traces)
    assert "webhooks" in places_of("test-site/dxa-2", traces)


def test_a_token_in_the_address_of_a_webhook_is_left_nowhere(traces: dict[str, bytes]) -> None:
    assert places_of("s3cret", traces) == []


@pytest.mark.parametrize("coding", ["utf-8", "latin-1", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("said", ["xÖZQVARSSON^Bx", "özqvarsson"])
def test_the_search_finds_every_spelling(coding: str, said: str) -> None:
    assert places_of("ÖZQVARSSON", {"here": said.encode(coding), "there": b"ZQVARSSON"}) == ["here"]


def test_the_people_did_go_through(exercised: Exercised, traces: dict[str, bytes]) -> None:
    (item,) = exercised.delivered
    person = PEOPLE["the worklist"]
    assert (str(item.PatientName), item.PatientID) == (person.name, person.patient_id)
    assert (item.PatientBirthDate, item.AccessionNumber) == (person.born, person.accession)
    quarantine = Quarantine(exercised.data)
    kept = [quarantine.open(path) for path in files(exercised.data / "quarantine") if path.suffix == ".enc"]
    assert len(kept) == len([place for place in traces if place.startswith("var/quarantine/")]) // 2
    sent = {way for way in WAYS_IN if any(PEOPLE[way].family.encode() in data for data in kept)}
    assert sent == set(WAYS_IN[2:13])
