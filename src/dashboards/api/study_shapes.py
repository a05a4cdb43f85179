"""The JSON that records and withdraws a cross-calibration."""

import msgspec

from streams.messages import StudyKind


class StudyIn(msgspec.Struct, frozen=True, kw_only=True):
    """A study to be accepted; `data` is CSV with ``from_g_cm2,to_g_cm2``, days are ISO 8601 in the site's time."""

    request_id: str
    device_seq: int
    study_id: str
    kind: StudyKind
    other_device: str
    region: str
    method: str
    data: str
    valid_from: str
    reason: str
    valid_until: str = ""
    approval_reference: str = ""


class WithdrawIn(msgspec.Struct, frozen=True, kw_only=True):
    """A study to be withdrawn."""

    request_id: str
    device_seq: int
    study_id: str
    reason: str
