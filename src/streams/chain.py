"""The hash chain over events and their outcomes: each link covers everything before it.

A chain alone proves nothing against its owner, who could forge it whole; its head is anchored elsewhere.
"""

from collections.abc import Iterable
from hashlib import sha256


def first_link(log_id: str) -> bytes:
    """Return the link before the first event of a log."""
    return sha256(log_id.encode()).digest()


def next_link(previous: bytes, event: bytes, outcomes: Iterable[bytes]) -> bytes:
    """Return the link of an event and its outcomes; lengths are hashed too, so that nothing can move between them."""
    digest = sha256(previous)
    for part in (event, *outcomes):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()
