"""A PACS that refuses objects, breaks off or calls them duplicates blocks no other, and nothing is lost."""

from functools import partial
from pathlib import Path

import pynetdicom
import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from collectors.dicom.received import ReceivedObject
from tests.integration.pacs_rig import DEVICE, forwarding, has, is_empty, opened, pacs_settings, patient, waited
from tests.virtual_pacs import virtual_pacs

# --- a PACS that refuses -----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [0xA900, 0xC000, 0x0122, 0x0110])
def test_a_refused_object_blocks_no_other_and_is_set_aside(tmp_path: Path, status: int) -> None:
    objects = [patient(number) for number in range(5)]
    with virtual_pacs() as pacs:
        pacs.statuses[objects[0].sop_instance_uid] = status
        settings = pacs_settings(pacs.port)
        with opened(tmp_path, settings) as outbox, forwarding(outbox, settings), capture_logs() as logs:
            for one in objects:
                outbox.keep(one, DEVICE)
            assert waited(lambda: outbox.totals().set_aside == 1)
            assert outbox.totals().waiting == 0
            assert sorted(pacs.uids) == sorted(one.sop_instance_uid for one in objects[1:])
            assert [line["reason"] for line in logs if line["event"] == "object_set_aside"] == [f"{status:04X}"]
            pacs.statuses.clear()
            outbox.keep(objects[0], DEVICE)  # the scanner sends it again, after somebody has mended the PACS
            assert waited(lambda: is_empty(outbox))
    assert objects[0].sop_instance_uid in pacs.uids


@pytest.mark.parametrize("status", [0xB000, 0xB006, 0xB007])
def test_a_warning_is_success(tmp_path: Path, status: int) -> None:
    one = patient(1)
    with virtual_pacs() as pacs:
        pacs.statuses[one.sop_instance_uid] = status
        settings = pacs_settings(pacs.port)
        with opened(tmp_path, settings) as outbox, forwarding(outbox, settings):
            outbox.keep(one, DEVICE)
            assert waited(lambda: is_empty(outbox))
    assert pacs.uids == [one.sop_instance_uid]


def test_an_object_on_which_the_pacs_breaks_off_blocks_no_other(tmp_path: Path) -> None:
    objects = [patient(number) for number in range(8)]
    with virtual_pacs() as pacs:
        pacs.breaks_off.add(objects[0].sop_instance_uid)
        settings = pacs_settings(pacs.port)
        with opened(tmp_path, settings) as outbox, forwarding(outbox, settings):
            for number, one in enumerate(objects):
                outbox.keep(one, DEVICE)
                assert waited(partial(has, pacs, number))
            assert waited(lambda: outbox.totals().set_aside == 1)
            assert waited(lambda: outbox.totals().waiting == 0)
    assert sorted(pacs.uids) == sorted(one.sop_instance_uid for one in objects[1:])


def test_a_pacs_that_answers_nothing_sets_nothing_aside(tmp_path: Path) -> None:
    objects = [patient(number) for number in range(4)]
    with virtual_pacs() as pacs:
        pacs.breaks_off = {one.sop_instance_uid for one in objects}
        settings = pacs_settings(pacs.port)
        broke_off = {"device": DEVICE, "reason": "peer_broke_off"}
        with opened(tmp_path, settings) as outbox, forwarding(outbox, settings):
            before = REGISTRY.get_sample_value("bonewatch_pacs_refused_total", broke_off) or 0.0
            for one in objects:
                outbox.keep(one, DEVICE)
            assert waited(
                lambda: (REGISTRY.get_sample_value("bonewatch_pacs_refused_total", broke_off) or 0.0) > before + 16
            )
            assert (outbox.totals().waiting, outbox.totals().set_aside) == (4, 0)
            pacs.breaks_off.clear()
            assert waited(lambda: is_empty(outbox))
    assert sorted(pacs.uids) == sorted(one.sop_instance_uid for one in objects)


def test_what_was_set_aside_and_breaks_off_again_keeps_its_distance(tmp_path: Path) -> None:
    with opened(tmp_path, pacs_settings(1, max_tries=1)) as outbox:
        outbox.keep(patient(1), DEVICE)
        outbox.refused(outbox.due(1)[0], "A900")
        with outbox._store.transaction() as db:
            db.execute("UPDATE objects SET try_at = 0")
        outbox.broke_off(outbox.due(1)[0], "peer_broke_off")
        assert outbox.due(1) == []


def test_a_pacs_without_room_is_asked_again_and_sets_nothing_aside(tmp_path: Path) -> None:
    one = patient(1)
    with virtual_pacs() as pacs:
        pacs.statuses[one.sop_instance_uid] = 0xA700
        settings = pacs_settings(pacs.port)
        with opened(tmp_path, settings) as outbox, forwarding(outbox, settings):
            outbox.keep(one, DEVICE)
            refused = {"device": DEVICE, "reason": "no_room"}
            before = REGISTRY.get_sample_value("bonewatch_pacs_refused_total", refused) or 0.0
            assert waited(
                lambda: (REGISTRY.get_sample_value("bonewatch_pacs_refused_total", refused) or 0.0) > before + 4
            )
            assert (outbox.totals().waiting, outbox.totals().set_aside) == (1, 0)
            pacs.statuses.clear()
            assert waited(lambda: is_empty(outbox))


def test_a_class_that_the_pacs_does_not_take_is_set_aside_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A setting of the process: a site that an earlier test ran in it left it on, and then this PACS takes every class.
    monkeypatch.setattr(pynetdicom._config, "UNRESTRICTED_STORAGE_SERVICE", False)
    one = patient(1)
    odd = ReceivedObject("DXA1", "1.2.840.10008.5.1.4.1.1.11.1", "2.25.77", one.transfer_syntax, b"", one.received_at)
    with virtual_pacs() as pacs:
        settings = pacs_settings(pacs.port)
        with opened(tmp_path, settings) as outbox:
            outbox.keep(odd, DEVICE)
            outbox.keep(one, DEVICE)
            with forwarding(outbox, settings):
                assert waited(lambda: outbox.totals().set_aside == 1 and outbox.totals().waiting == 0)
    assert pacs.uids == [one.sop_instance_uid]


# --- associations ------------------------------------------------------------------------------------------


def _twin(one: ReceivedObject) -> ReceivedObject:
    """Return another content under an object's UID."""
    data = patient(77).data
    return ReceivedObject("DXA1", one.sop_class_uid, one.sop_instance_uid, one.transfer_syntax, data, one.received_at)


def test_a_duplicate_is_success_when_it_was_delivered_before(tmp_path: Path) -> None:
    one = patient(1)
    with virtual_pacs() as pacs:
        settings = pacs_settings(pacs.port)
        with opened(tmp_path, settings) as outbox, forwarding(outbox, settings):
            outbox.keep(one, DEVICE)
            assert waited(lambda: is_empty(outbox))
            pacs.statuses[one.sop_instance_uid] = 0x0111
            outbox.keep(one, DEVICE)
            assert waited(lambda: is_empty(outbox))
            outbox.keep(_twin(one), DEVICE)
            assert waited(lambda: outbox.totals().set_aside == 1)


def test_a_duplicate_is_success_when_its_answer_may_have_been_lost(tmp_path: Path) -> None:
    one = patient(1)
    with virtual_pacs() as pacs:
        pacs.breaks_off.add(one.sop_instance_uid)
        settings = pacs_settings(pacs.port)
        with opened(tmp_path, settings) as outbox, forwarding(outbox, settings):
            outbox.keep(one, DEVICE)
            assert waited(lambda: pacs.broken)
            pacs.statuses[one.sop_instance_uid] = 0x0111
            pacs.breaks_off.clear()
            assert waited(lambda: is_empty(outbox))


def test_a_duplicate_of_what_we_never_sent_may_be_another(tmp_path: Path) -> None:
    one = patient(1)
    with virtual_pacs() as pacs:
        pacs.statuses[one.sop_instance_uid] = 0x0111
        settings = pacs_settings(pacs.port)
        with opened(tmp_path, settings) as outbox, forwarding(outbox, settings):
            outbox.keep(one, DEVICE)
            assert waited(lambda: outbox.totals().set_aside == 1)
            assert not outbox.due(1)


def test_a_duplicate_of_other_content_that_waits_for_commitment_is_refused(tmp_path: Path) -> None:
    one = patient(1)
    with virtual_pacs() as pacs:
        settings = pacs_settings(pacs.port, commitment=True)
        with opened(tmp_path, settings) as outbox, forwarding(outbox, settings):
            outbox.keep(one, DEVICE)
            assert waited(lambda: outbox.totals().sent == 1)
            pacs.statuses[one.sop_instance_uid] = 0x0111
            outbox.keep(_twin(one), DEVICE)
            assert waited(lambda: outbox.totals().set_aside == 1)
            assert outbox.totals().sent == 1
    assert [data for _, data, _ in pacs.taken] == [one.data]


def test_a_refusal_is_no_evidence_that_the_pacs_has_an_object(tmp_path: Path) -> None:
    with opened(tmp_path, pacs_settings(1)) as outbox:
        outbox.keep(patient(1), DEVICE)
        for _ in range(2):
            (waiting,) = outbox.due(1)
            assert not outbox.is_known_there(waiting)
            outbox.sending(waiting)
            outbox.refused(waiting, "A900")
            with outbox._store.transaction() as db:
                db.execute("UPDATE objects SET try_at = 0")


def test_a_title_that_the_pacs_does_not_know_stops_no_other(tmp_path: Path) -> None:
    with virtual_pacs(knows=["DXA2"]) as pacs:
        settings = pacs_settings(pacs.port)
        with opened(tmp_path, settings) as outbox, forwarding(outbox, settings):
            for number in range(6):
                outbox.keep(patient(number, calling_ae=f"DXA{1 + number % 2}"), DEVICE)
            assert waited(lambda: len(pacs.uids) == 3)
            assert outbox.totals().waiting == 3
            assert outbox.totals().set_aside == 0
