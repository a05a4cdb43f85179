"""A broker that goes away while it is asked, or is too busy to answer, refuses nobody."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from streams import refusal
from streams.broker import Broker
from streams.refusal import why_refused

LOOKS = 2
"""Connections before the first sign-in: whether anybody is there, and whether TLS is spoken."""


@contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Iterator[Broker]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10.0)
        thread = threading.Thread(target=serve, args=(server,), daemon=True)
        thread.start()
        yield Broker(f"127.0.0.1:{server.getsockname()[1]}")
        thread.join(10.0)


def closes_each(server: socket.socket) -> None:
    for _ in range(LOOKS + refusal.TRIES + 1):
        server.accept()[0].close()


def goes_away(server: socket.socket) -> None:
    for _ in range(LOOKS):
        server.accept()[0].close()
    server.close()


def goes_away_late(server: socket.socket) -> None:
    for _ in range(LOOKS + refusal.TRIES):
        server.accept()[0].close()
    server.close()


def test_one_that_closes_every_connection_is_there_and_wants_something_else() -> None:
    with listening(closes_each) as broker:
        assert "closes the connection without a word" in str(why_refused(broker))


@pytest.mark.parametrize("serve", [goes_away, goes_away_late])
def test_one_that_goes_away_while_it_is_asked_refuses_nobody(serve: Callable[[socket.socket], None]) -> None:
    with listening(serve) as broker:
        assert why_refused(broker) is None


def test_one_that_is_too_busy_to_answer_refuses_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusal, "CONNECT_S", 0.3)
    held: list[socket.socket] = []

    def says_nothing(server: socket.socket) -> None:
        held.extend(server.accept()[0] for _ in range(LOOKS + 1))

    with listening(says_nothing) as broker:
        assert why_refused(broker) is None
    for one in held:
        one.close()
