"""Holding an association's thread while another speaks for it, and asking for one that never comes about."""

import threading
import time

import pytest
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from collectors.dicom.exchange import Checkpoint, PeerError, _in_time


def test_a_checkpoint_says_held_only_while_nobody_passes() -> None:
    checkpoint = Checkpoint()
    checkpoint.set()
    passes, has_ended = [0], threading.Event()

    def pass_by() -> None:
        while not has_ended.is_set():
            checkpoint.wait()
            passes[0] += 1

    thread = threading.Thread(target=pass_by)
    thread.start()
    try:
        for _ in range(200):
            checkpoint.clear()
            assert checkpoint.is_somebody_held(10.0)
            before = passes[0]
            time.sleep(0.0005)
            assert passes[0] == before
            checkpoint.set()
            assert not checkpoint.is_somebody_held(0.0)
    finally:
        has_ended.set()
        checkpoint.set()
        thread.join(10.0)
    assert passes[0] >= 200


def test_nobody_is_held_where_nobody_comes() -> None:
    checkpoint = Checkpoint()
    checkpoint.clear()
    assert not checkpoint.is_set()
    assert not checkpoint.wait(0.01)
    assert not checkpoint.is_somebody_held(0.01)


def test_an_association_that_never_comes_about_lets_its_caller_go() -> None:
    asked = threading.Event()

    def never() -> Association:
        asked.wait()
        raise AssertionError

    try:
        with pytest.raises(PeerError, match="no association came about"):
            _in_time(never, 0.05)
    finally:
        asked.set()
        time.sleep(0.01)


def test_an_association_that_comes_about_too_late_is_closed() -> None:
    entity = AE("LATE")
    entity.add_supported_context(Verification)
    peer = entity.start_server(("127.0.0.1", 0), block=False)
    assert peer is not None
    port = peer.server_address[1]
    entity.add_requested_context(Verification)
    may_ask, ended = threading.Event(), threading.Event()
    handlers: list[evt.EventHandlerType] = [(evt.EVT_RELEASED, lambda _: ended.set())]

    def late() -> Association:
        may_ask.wait(10.0)
        return entity.associate("127.0.0.1", port, evt_handlers=handlers)

    try:
        with pytest.raises(PeerError, match="no association came about"):
            _in_time(late, 0.05)
        may_ask.set()
        assert ended.wait(10.0)
    finally:
        may_ask.set()
        peer.shutdown()


def test_what_asking_raises_reaches_the_caller() -> None:
    def wrong() -> Association:
        raise ValueError("too many presentation contexts")

    with pytest.raises(ValueError, match="too many"):
        _in_time(wrong, 5.0)
