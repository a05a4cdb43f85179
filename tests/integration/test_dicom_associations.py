"""Many peers at once, and peers that stop, abort or never end, leave the application entity as it was."""

import gc
import socket
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from simulators.scanner import ScannerConnectionError
from tests.integration.dicom_rig import DicomRig, descriptors, running, threads
from tests.integration.store_rig import associate, counter, leave_rudely, report, send_bytes, settle


def test_two_hundred_associations_at_once(tmp_path: Path) -> None:
    with running(tmp_path, max_associations=50) as rig:
        with ThreadPoolExecutor(20) as pool:
            opened = list(pool.map(lambda _: associate(rig.port), range(200)))
        established = [association for association in opened if association.is_established]
        rejected = [association for association in opened if association.is_rejected]
        assert 0 < len(established) <= 50
        assert len(established) + len(rejected) == 200
        answers = [association.acceptor.primitive for association in rejected]
        assert {answer.result_str for answer in answers if answer} == {"Rejected Transient"}
        assert established[0].send_c_store(report()).Status == 0x0000
        for association in established:
            association.release()
        assert rig.scanner().send(report()).status == 0x0000


def test_thousand_aborted_associations_leave_nothing_behind(tmp_path: Path) -> None:
    with running(tmp_path, negotiation_timeout_s=0.5, idle_timeout_s=1.0) as rig:
        for attempt in range(30):
            leave_rudely(rig.port, attempt)
        settle(threads, 10)
        gc.collect()  # sockets of this process's own clients, of earlier tests
        before = threads(), descriptors()
        for attempt in range(1_000):
            leave_rudely(rig.port, attempt)
        settle(threads, before[0])
        gc.collect()
        assert threads() <= before[0]
        assert descriptors() <= before[1]
        assert rig.scanner().send(report()).status == 0x0000


def test_peer_that_stops_within_a_pdu_is_cut(tmp_path: Path) -> None:
    with running(tmp_path, negotiation_timeout_s=0.3, idle_timeout_s=0.3) as rig:
        before = threads()
        with socket.create_connection(("127.0.0.1", rig.port)) as peer:
            peer.sendall(struct.pack(">BBL", 1, 0, 5_000) + b"half")
            peer.settimeout(5)
            assert peer.recv(100) == b""
        settle(threads, before)
        assert threads() <= before


def test_pdu_that_claims_to_be_huge_is_cut_at_once(rig: DicomRig) -> None:
    before = counter("bonewatch_dicom_connections_cut_total", reason="too_large")
    with socket.create_connection(("127.0.0.1", rig.port)) as peer:
        peer.sendall(struct.pack(">BBL", 4, 0, 0xFFFFFFF0))
        peer.settimeout(5)
        assert peer.recv(100) == b""
    assert counter("bonewatch_dicom_connections_cut_total", reason="too_large") == before + 1


def test_object_beyond_the_limit_ends_the_association(tmp_path: Path) -> None:
    with running(tmp_path, max_object_bytes=200_000) as rig:
        assert send_bytes(rig, lambda data: data + bytes(1_000_000)) is None
        assert rig.scanner().send(report()).status == 0x0000


def test_entity_can_be_stopped_while_peers_are_connected_and_started_again(tmp_path: Path) -> None:
    with running(tmp_path) as rig:
        association = associate(rig.port)
        before = time.monotonic()
        rig.entity.stop()
        assert time.monotonic() - before < 3
        with suppress(RuntimeError):
            association.abort()
        rig.entity.start()
        assert rig.scanner().echo()


def test_stopped_entity_refuses_connections(tmp_path: Path) -> None:
    with running(tmp_path) as rig:
        scanner = rig.scanner()
    with pytest.raises(ScannerConnectionError):
        scanner.send(report())
    assert not scanner.echo()


def test_idle_association_takes_little_processor_time(rig: DicomRig) -> None:
    association = associate(rig.port)
    time.sleep(0.5)
    started = time.process_time()
    time.sleep(1.0)
    used = time.process_time() - started
    association.release()
    assert used < 0.25  # the peer's two threads are in this process too
