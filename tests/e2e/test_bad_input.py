"""Wrong objects and rude peers, against the real site process: it answers, keeps, counts, and goes on."""

import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Final

import msgspec
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import encode

from collectors.dicom.deadline_socket import RequestingEntity
from collectors.quarantine import Quarantine, Sidecar
from simulators.phantom_sr import ReportSpec, build_report
from simulators.ris import VirtualRis
from simulators.scanner import StoreResult, VirtualScanner
from simulators.series import spine_readings
from tests.integration.store_rig import associate, leave_rudely, settle
from tests.running import SiteProcess, configuration, seed

SECRET: Final = ("QUIMBYOVA", "18991231", "HOSP-778812")
"""Of an invented patient: what must not lie about in the clear."""

X_RAY_DOSE_SR, MAMMOGRAPHY_CAD_SR = "1.2.840.10008.5.1.4.1.1.88.67", "1.2.840.10008.5.1.4.1.1.88.50"
PATIENT: Final = {"patient_name": f"{SECRET[0]}^ZELDA", "birth_date": SECRET[1]}
DEVICE: Final = {"DXA1": "test-site/dxa-1", "DXA2": "test-site/dxa-2"}

_numbers: Final = count(1)


class Bad(msgspec.Struct, frozen=True, kw_only=True):
    """One object to refuse: what is wrong with it, and what must become of it.

    `change` is made to the report of a good scan, `cut` to its bytes; `announced` is another SOP Instance UID than
    its own. Scanner DXA1 files its phantom under a configured name, DXA2 does not.
    """

    status: int
    code: str
    comment: str
    change: Mapping[str, object] = {}
    cut: Callable[[bytes], bytes] | None = None
    announced: str = ""
    sender: str = "DXA1"
    encrypted: bool = True


def broken(comment: str, cut: Callable[[bytes], bytes] | None, announced: str = "") -> Bad:
    return Bad(status=0xC210, code="undecodable", comment=comment, change=PATIENT, cut=cut, announced=announced)


def useless(status: int, code: str, comment: str, *, sender: str = "DXA1", **change: object) -> Bad:
    """Return a phantom's own report of no use; it is in the clear where its configured name matched."""
    return Bad(status=status, code=code, comment=comment, change=change, sender=sender, encrypted=sender != "DXA1")


def not_it(*, sender: str = "DXA1", **change: object) -> Bad:
    """Return what is filed under the phantom's id and is not plausibly the phantom."""
    return Bad(status=0xC214, code="implausible", comment="not plausibly this phantom", change=change, sender=sender)


NO_BMD: Final = "the report holds no bone mineral density in g/cm2"
NOT_OURS: Final = "not a phantom of this scanner; this is not the archive"

TABLE: Final = {
    "truncated within an element": broken("truncated", lambda data: data[: len(data) // 10]),
    "truncated in the middle": broken("truncated", lambda data: data[: len(data) // 2]),
    "truncated by one byte": broken("truncated", lambda data: data[:-1]),
    "garbage": broken("", lambda data: b"\xfe\xed\xfa\xce" * (len(data) // 4)),
    "text": broken("", lambda _: b"<html>" + SECRET[0].encode() * 100),
    "another object than announced": broken("not the one announced", None, announced="1.2.3.4"),
    "announced under a name": broken("not the one announced", None, announced=SECRET[0]),
    "a report without BMD": useless(0xC211, "no_bmd", NO_BMD, readings={}),
    "a report without the region": useless(0xC211, "region_absent", "no region L1-L4", readings={"L2-L4": 1.0}),
    "a dose report": useless(0xC211, "no_bmd", NO_BMD, readings={}, sop_class=X_RAY_DOSE_SR),
    "a mammography report": useless(0xC211, "no_bmd", NO_BMD, readings={}, sop_class=MAMMOGRAPHY_CAD_SR),
    "not a number": useless(0xC212, "impossible_value", "nan g/cm2 is impossible", readings={"L1-L4": "NaN"}),
    "infinite": useless(0xC212, "impossible_value", "is impossible", readings={"L1-L4": "inf"}),
    "words": useless(0xC212, "impossible_value", "is impossible", readings={"L1-L4": SECRET[0]}, sender="DXA2"),
    "negative": useless(0xC212, "impossible_value", "-1 g/cm2 is impossible", readings={"L1-L4": "-1.0"}),
    "nothing": useless(0xC212, "impossible_value", "0 g/cm2 is impossible", readings={"L1-L4": "0"}),
    "a thousand": useless(0xC212, "impossible_value", "1000 g/cm2 is impossible", readings={"L1-L4": "1000.0"}),
    "milligrams": useless(0xC213, "wrong_unit", "a bone density is not in g/cm2", unit="mg/cm2"),
    "per volume": useless(0xC213, "wrong_unit", "a bone density is not in g/cm2", unit="g/cm3"),
    "a region twice": useless(0xC217, "ambiguous_region", "twice", readings={"L1-L4": 1.0, "AP L1-L4": 1.1}),
    "no BMD, perhaps a patient's": useless(0xC211, "no_bmd", NO_BMD, readings={}, sender="DXA2", **PATIENT),
    "a patient under the phantom's id": not_it(**PATIENT),
    "a hip under the phantom's id": not_it(readings={"L1-L4": 1.0, "Left Femoral Neck": 0.8}, sender="DXA2", **PATIENT),
    "a BMD far from the phantom's": not_it(readings=spine_readings(1.5), sender="DXA2", **PATIENT),
    "another scanner's phantom": Bad(
        status=0xC215, code="patient_object", comment=NOT_OURS, change={"patient_id": "SPINE-0002"}
    ),
    "a patient": Bad(
        status=0xC215, code="patient_object", comment=NOT_OURS, change={"patient_id": SECRET[2], **PATIENT}
    ),
    "an unknown scanner": Bad(
        status=0x0124, code="unknown_ae", comment="not configured", change=PATIENT, sender="NOBODY"
    ),
}


class BadSite:
    """The running site, what is sent to it, and what it has kept of that."""

    def __init__(self, folder: Path, site: SiteProcess) -> None:
        self.data = folder / "var"
        self.site = site

    def report(self, ae_title: str, **change: object) -> Dataset:
        fields: dict[str, object] = {
            "patient_id": "SPINE-0002" if ae_title == "DXA2" else "SPINE-0001",
            "patient_name": "PHANTOM^SYNTHETIC",
            "measured_at": datetime.now(UTC),
            "readings": spine_readings(1.0),
            "acquisition": f"scan {next(_numbers)}",
            "station": ae_title,
        }
        return build_report(ReportSpec(**fields | change))  # type: ignore[arg-type] # as each row chooses

    def send(self, bad: Bad) -> StoreResult:
        ds = self.report(bad.sender, **bad.change)
        if bad.cut is None and not bad.announced:
            return self.store(ds, bad.sender)
        encoded = encode(ds, is_implicit_vr=False, is_little_endian=True)
        assert encoded is not None
        data = bad.cut(encoded) if bad.cut else encoded
        return send_encoded(self.site.dicom_port, ds, data, announced=bad.announced or str(ds.SOPInstanceUID))

    def store(self, ds: Dataset, ae_title: str = "DXA1") -> StoreResult:
        return VirtualScanner(ae_title, self.site.dicom_port).send(ds)

    def takes_a_good_scan(self, ae_title: str = "DXA1") -> bool:
        return self.store(self.report(ae_title), ae_title).status == 0x0000

    def kept(self) -> dict[Path, Sidecar]:
        """Return the sidecars of the quarantine, by the object they describe."""
        sidecars = (self.data / "quarantine").glob("*.json")
        return {
            next(path for path in one.parent.glob(f"{one.stem}.*") if path != one): msgspec.json.decode(
                one.read_bytes(), type=Sidecar
            )
            for one in sidecars
        }

    def counted(self, sender: str, code: str) -> float:
        return self.site.metric("bonewatch_dicom_objects_total", device=DEVICE.get(sender, "unknown"), code=code)


def send_encoded(port: int, ds: Dataset, data: bytes, *, announced: str) -> StoreResult:
    """Send bytes by C-STORE as they are, as pynetdicom would never let itself be asked to."""
    entity = RequestingEntity("DXA1", timeout_s=20.0)
    entity.add_requested_context(UID(ds.SOPClassUID), ExplicitVRLittleEndian)
    association = entity.associate("127.0.0.1", port, ae_title="BONEWATCH")
    context = association.accepted_contexts[0].context_id
    assert context is not None
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    association._reactor_checkpoint.clear()
    with warnings.catch_warnings(action="ignore"):  # pydicom sees a UID that is none, too
        request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = ds.SOPClassUID, UID(announced)
        request.DataSet = BytesIO(data)
        association.dimse.send_msg(request, context)
        _, answer = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    assert isinstance(answer, C_STORE)
    association.abort()
    comment = getattr(answer, "ErrorComment", None)
    assert answer.Status is not None
    return StoreResult(answer.Status, str(comment or ""), announced)


@pytest.fixture(scope="module")
def bad_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BadSite]:
    """A site that files the first scanner's phantom under a name, and knows another phantom of the second."""
    folder = tmp_path_factory.mktemp("site")
    first, second = 'patient_id = "SPINE-0001"\n', 'patient_id = "SPINE-0002"\n'
    text = configuration().replace(first, f'{first}  patient_name = "PHANTOM^SYNTHETIC"\n')
    other = '  [[device.phantom]]\n  role = "independent"\n  patient_id = "SPINE-0003"\n  nominal_g_cm2 = 1.1\n'
    seed(folder, text.replace(second, second + other))
    with SiteProcess(folder) as site:
        yield BadSite(folder, site)


@pytest.mark.parametrize("case", TABLE)
def test_a_bad_object_gets_its_status_is_kept_and_counted_and_the_site_goes_on(bad_site: BadSite, case: str) -> None:
    bad = TABLE[case]
    before, counted = bad_site.kept(), bad_site.counted(bad.sender, bad.code)
    answer = bad_site.send(bad)
    assert answer.status == bad.status
    assert bad.comment in answer.error_comment
    assert 0 < len(answer.error_comment) <= 64
    ((path, sidecar),) = [one for one in bad_site.kept().items() if one[0] not in before]
    assert (sidecar.code, sidecar.device) == (bad.code, DEVICE.get(bad.sender, "unknown"))
    assert (sidecar.encrypted, path.suffix) == (bad.encrypted, ".enc" if bad.encrypted else ".dcm")
    assert bad_site.counted(bad.sender, bad.code) == counted + 1
    assert bad_site.site.get("/readyz").status_code == 200
    assert bad_site.takes_a_good_scan()


def test_a_value_of_another_known_phantom_is_taken_with_a_warning_and_holds(bad_site: BadSite) -> None:
    before = bad_site.kept()
    answer = bad_site.store(bad_site.report("DXA2", readings=spine_readings(1.1)), "DXA2")
    assert (answer.status, answer.error_comment) == (0xB007, "recorded, but this looks like another phantom")
    assert bad_site.kept() == before
    assert bad_site.counted("DXA2", "wrong_phantom") == 1
    gate = bad_site.site.get("/api/v1/devices/dxa-2/gate").json()
    assert any("wrong phantom" in reason["text"] for reason in gate["reasons"])


def test_an_object_sent_twice_counts_once_and_other_content_under_its_uid_is_refused(bad_site: BadSite) -> None:
    scans = len(bad_site.site.get("/api/v1/devices/dxa-1/qc").json())
    first = bad_site.report("DXA1")
    assert [bad_site.store(first).status for _ in range(3)] == [0x0000, 0x0000, 0x0000]
    assert bad_site.counted("DXA1", "duplicate") == 2
    first.ContentSequence[-1].MeasuredValueSequence[0].NumericValue = "1.0100"
    before = bad_site.kept()
    answer = bad_site.store(first)
    assert (answer.status, answer.error_comment) == (0x0111, "this SOP Instance UID was received with other content")
    ((_, sidecar),) = [one for one in bad_site.kept().items() if one[0] not in before]
    assert (sidecar.code, sidecar.encrypted) == ("conflict", False)
    assert len(bad_site.site.get("/api/v1/devices/dxa-1/qc").json()) == scans + 1
    assert bad_site.takes_a_good_scan()


def test_what_was_kept_says_nothing_of_a_patient_and_can_be_opened_with_the_sites_key(bad_site: BadSite) -> None:
    bad_site.send(TABLE["a patient"])
    kept = bad_site.kept()
    files = [path for path in (bad_site.data / "quarantine").rglob("*") if path.is_file()]
    assert len(files) == 2 * len(kept)
    readable = [path.read_bytes() for path in files] + [path.name.encode() for path in files]
    assert not [word for word in SECRET for data in readable if word.encode() in data]
    newest = max(path for path in kept if kept[path].code == "patient_object")
    assert SECRET[0].encode() in Quarantine(bad_site.data).open(newest)


def test_two_hundred_associations_at_once_are_answered_or_rejected_and_then_all_is_well(bad_site: BadSite) -> None:
    port = bad_site.site.dicom_port
    with ThreadPoolExecutor(40) as pool:
        opened = list(pool.map(lambda _: associate(port), range(200)))
    established = [one for one in opened if one.is_established]
    assert 0 < len(established) <= 50
    assert all(one.is_established or _was_rejected(one) for one in opened)
    assert bad_site.site.get("/readyz").status_code == 200
    assert established[0].send_c_store(bad_site.report("DXA1")).Status == 0x0000
    for association in established:
        association.release()
    settle(lambda: 0 if bad_site.takes_a_good_scan() else 1, 0)
    assert bad_site.takes_a_good_scan()


def _was_rejected(association: Association) -> bool:
    answer = association.acceptor.primitive
    return association.is_rejected and answer is not None and answer.result_str == "Rejected Transient"


def test_a_thousand_aborted_associations_leave_no_thread_and_no_descriptor(tmp_path: Path) -> None:
    ris = VirtualRis()
    ris.start()
    seed(tmp_path, configuration(ris.port))
    with SiteProcess(tmp_path) as site:
        before = held_after(BadSite(tmp_path, site), rude_peers=60)
        after = held_after(BadSite(tmp_path, site), rude_peers=1_000)
    ris.stop()
    assert after[0] <= before[0], "threads"
    assert after[1] <= before[1], "descriptors"


def held_after(bad_site: BadSite, *, rude_peers: int) -> tuple[int, int]:
    """Count the site's threads and descriptors after so many rude peers and a little work, once they stand still."""
    site = bad_site.site
    for attempt in range(rude_peers):
        leave_rudely(site.dicom_port, attempt)
    assert bad_site.takes_a_good_scan()
    assert VirtualScanner("DXA1", site.dicom_port).query_worklist().status == 0x0000
    seen = [(site.threads, site.descriptors)]
    while len(seen) < 100 and len(set(seen[-10:])) + max(0, 10 - len(seen)) > 1:
        time.sleep(0.1)
        seen.append((site.threads, site.descriptors))
    return seen[-1]
