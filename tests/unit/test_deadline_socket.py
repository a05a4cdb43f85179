"""An association's socket that two threads close at once."""

import socket

from collectors.dicom.deadline_socket import DeadlineSocket


class ClosedByAnother:
    """A connection that another thread takes away between the two steps of closing it."""

    def __init__(self, owner: DeadlineSocket) -> None:
        self.owner, self.is_closed = owner, False

    def shutdown(self, how: int) -> None:
        assert how == socket.SHUT_RDWR
        self.owner.socket = None

    def close(self) -> None:
        self.is_closed = True


def test_a_socket_that_another_thread_closes_meanwhile_is_closed() -> None:
    owner = DeadlineSocket.__new__(DeadlineSocket)
    client = ClosedByAnother(owner)
    owner.socket = client  # type: ignore[assignment] # it is asked no more than this
    owner._shutdown_socket()
    assert client.is_closed
