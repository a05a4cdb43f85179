"""Proof that somebody was shown a review's trend, and of which state of the device: signed, theirs alone, for a while.

Decisions on many reviews at once are taken only with one proof for each, so that nothing is waved through unseen.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final, NamedTuple

from itsdangerous import BadSignature, URLSafeSerializer

from dashboards.context import Console

COUNTS_FOR: Final = timedelta(hours=4)
"""A trend that was looked at longer ago must be looked at anew (local policy)."""


class Viewed(NamedTuple):
    """Who was shown which review's trend when, the device's log reaching to `device_seq`."""

    person: str
    device_id: str
    review_id: str
    device_seq: int
    at: datetime


class NotViewedError(ValueError):
    """It proves nothing; the text says what to do."""


def sealed(console: Console, viewed: Viewed) -> str:
    """Return the proof."""
    return str(_signer(console).dumps([*viewed[:-1], viewed.at.isoformat()]))


def opened(console: Console, proof: str, person: str) -> Viewed:
    """Return what somebody was shown.

    Raises
    ------
    NotViewedError
        It is not ours, somebody else's, or too old.
    """
    try:
        who, device_id, review_id, seq, at = _signer(console).loads(proof)
        viewed = Viewed(str(who), str(device_id), str(review_id), int(seq), datetime.fromisoformat(str(at)))
    except (BadSignature, ValueError, TypeError) as error:
        raise NotViewedError("Open the trend on this page first") from error
    if viewed.person != person:
        raise NotViewedError("The trend was shown to somebody else: open it yourself")
    if not timedelta(0) <= console.clock() - viewed.at <= COUNTS_FOR:  # a clock set back makes none last longer
        raise NotViewedError("The trend was opened too long ago: open it anew")
    return viewed


def newest(console: Console, proofs: Iterable[str], person: str) -> tuple[list[Viewed], list[str]]:
    """Return what somebody was shown by some proofs, each review once, the last time; and why others do not count."""
    seen: dict[tuple[str, str], Viewed] = {}
    refused = []
    for proof in dict.fromkeys(proofs):
        try:
            viewed = opened(console, proof, person)
        except NotViewedError as error:
            refused.append(str(error))
            continue
        which = (viewed.device_id, viewed.review_id)
        seen[which] = max(viewed, seen.get(which, viewed), key=lambda one: one.at)
    return list(seen.values()), refused


def _signer(console: Console) -> URLSafeSerializer:
    return URLSafeSerializer(
        console.users.secret("viewed"),
        salt="bonewatch.viewed",
        signer_kwargs={"key_derivation": "hmac", "digest_method": sha256},
    )
