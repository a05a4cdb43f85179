"""Patients' objects reach the PACS once each and as they were sent, over few associations."""

from functools import partial
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom.filereader import read_preamble
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from structlog.testing import capture_logs

from collectors.dicom.exchange import BrokenOffError
from collectors.dicom.pacs.forwarder import Forwarder
from collectors.dicom.received import ReceivedObject
from tests.integration.pacs_rig import DEVICE, forwarding, has, is_empty, opened, pacs_settings, patient, waited
from tests.peers import free_port, orthanc, storescp
from tests.virtual_pacs import virtual_pacs

SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)


def data_set_of(file: bytes) -> bytes:
    """Return the encoded data set of a part-10 file."""
    stream = BytesIO(file)
    read_preamble(stream, force=False)
    pydicom.filereader._read_file_meta_info(stream)
    return file[stream.tell() :]


# --- real PACS ---------------------------------------------------------------------------------------------


def test_orthanc_stores_what_the_scanner_sent(tmp_path: Path) -> None:
    objects = [patient(number, syntax=syntax) for number, syntax in enumerate(SYNTAXES)]
    with orthanc(tmp_path / "orthanc", 1, ae_title="PACS") as pacs:
        settings = pacs_settings(pacs.dicom_port)
        with opened(tmp_path, settings) as outbox, forwarding(outbox, settings):
            for one in objects:
                outbox.keep(one, DEVICE)
            assert waited(lambda: is_empty(outbox))
            stored = sorted(data_set_of(file) for file in pacs.stored())
    sent = sorted(one.data for one in objects)
    assert [own[: len(other)] for own, other in zip(stored, sent, strict=True)] == sent
    assert not b"".join(own[len(other) :] for own, other in zip(stored, sent, strict=True)).strip(
        b"\0"
    )  # deflated: padded


def test_storescp_gets_every_transfer_syntax_bit_for_bit(tmp_path: Path) -> None:
    objects = [patient(number, syntax=syntax) for number, syntax in enumerate(SYNTAXES[:3])]
    with storescp(tmp_path / "stored") as port:
        settings = pacs_settings(port)
        with opened(tmp_path, settings) as outbox, forwarding(outbox, settings):
            for one in objects:
                outbox.keep(one, DEVICE)
            assert waited(lambda: is_empty(outbox))
    files = [path.read_bytes() for path in (tmp_path / "stored").iterdir()]
    assert {data_set_of(file) for file in files} == {one.data for one in objects}


def test_orthanc_down_for_a_while_has_everything_once_when_it_is_back(tmp_path: Path) -> None:
    port = free_port()
    settings = pacs_settings(port)
    objects = [patient(number) for number in range(40)]
    with opened(tmp_path, settings) as outbox, forwarding(outbox, settings), capture_logs() as logs:
        with orthanc(tmp_path / "orthanc", 1, ae_title="PACS", dicom_port=port):
            for one in objects[:10]:
                outbox.keep(one, DEVICE)
            assert waited(lambda: is_empty(outbox))
        for one in objects[10:]:
            outbox.keep(one, DEVICE)
        assert waited(lambda: "pacs_in_trouble" in [line["event"] for line in logs])
        assert outbox.totals().waiting == 30
        with orthanc(tmp_path / "orthanc", 1, ae_title="PACS", dicom_port=port) as pacs:
            assert waited(lambda: is_empty(outbox))
            uids = [str(pydicom.dcmread(BytesIO(file)).SOPInstanceUID) for file in pacs.stored()]
    assert sorted(uids) == sorted(one.sop_instance_uid for one in objects)
    said = [line["event"] for line in logs if line["event"].startswith("pacs_")]
    assert said == ["pacs_in_trouble", "pacs_well_again"]


# --- associations ------------------------------------------------------------------------------------------


def test_many_objects_go_over_one_association_under_each_scanners_title(tmp_path: Path) -> None:
    with virtual_pacs() as pacs:
        settings = pacs_settings(pacs.port)
        with opened(tmp_path, settings) as outbox:
            for number in range(20):
                outbox.keep(patient(number, calling_ae=f"DXA{1 + number % 2}"), DEVICE)
            with forwarding(outbox, settings):
                assert waited(lambda: is_empty(outbox))
        assert pacs.calling_ae_titles == ["DXA1", "DXA2"]
        assert len(pacs.uids) == 20


def test_all_go_under_the_one_title_that_is_configured(tmp_path: Path) -> None:
    with virtual_pacs() as pacs:
        settings = pacs_settings(pacs.port, present_as="GATEWAY")
        with opened(tmp_path, settings) as outbox:
            for number in range(4):
                outbox.keep(patient(number, calling_ae=f"DXA{number}"), DEVICE)
            with forwarding(outbox, settings):
                assert waited(lambda: is_empty(outbox))
    assert pacs.calling_ae_titles == ["GATEWAY"]


@pytest.mark.timeout(60)
def test_an_association_that_has_ended_meanwhile_holds_nobody(tmp_path: Path) -> None:
    with storescp(tmp_path / "stored") as port:
        settings = pacs_settings(port)
        with opened(tmp_path, settings) as outbox:
            outbox.keep(patient(1), DEVICE)
            forwarder = Forwarder(outbox, settings, "BONEWATCH")
            peer = forwarder._peer("DXA1", outbox.due(1))
    assert waited(lambda: not peer._association.is_alive())
    with opened(tmp_path, settings) as outbox, peer:
        forwarder._outbox = outbox
        (waiting,) = outbox.due(1)
        with pytest.raises(BrokenOffError):
            forwarder._send_one(peer, waiting)


def test_more_kinds_of_objects_than_fit_one_association_are_split(tmp_path: Path) -> None:
    with storescp(tmp_path / "stored", options=["-pm"]) as port:
        settings = pacs_settings(port, timeout_s=20.0)
        one = patient(1)
        with opened(tmp_path, settings) as outbox:
            for number in range(200):
                uid = f"2.25.{1000 + number}"
                outbox.keep(
                    ReceivedObject(
                        "DXA1", f"1.2.276.0.99.{number}", uid, one.transfer_syntax, one.data, one.received_at
                    ),
                    DEVICE,
                )
            with forwarding(outbox, settings):
                assert waited(lambda: is_empty(outbox))
    assert len(list((tmp_path / "stored").iterdir())) == 200


def test_a_clock_set_back_delays_nothing(tmp_path: Path) -> None:
    one = patient(1)
    with virtual_pacs() as pacs:
        settings = pacs_settings(pacs.port)
        with opened(tmp_path, settings) as outbox:
            outbox.keep(one, DEVICE)
            with outbox._store.transaction() as db:
                db.execute("UPDATE objects SET try_at = try_at + 1e10")
            with forwarding(outbox, settings):
                assert waited(lambda: is_empty(outbox))
    assert pacs.uids == [one.sop_instance_uid]


def test_objects_that_come_one_after_another_share_an_association(tmp_path: Path) -> None:
    with virtual_pacs() as pacs:
        settings = pacs_settings(pacs.port)
        with opened(tmp_path, settings) as outbox, forwarding(outbox, settings):
            for number in range(10):
                outbox.keep(patient(number), DEVICE)
                assert waited(partial(has, pacs, number + 1))
        assert len(pacs.uids) == 10
        assert len(pacs.calling_ae_titles) <= 2
