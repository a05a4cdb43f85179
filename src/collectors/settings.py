"""What the DICOM front end is configured with; the defaults suit a department with a handful of scanners."""

from typing import Final, Literal

import msgspec

PatientRoute = Literal["auto", "refuse", "read", "forward"]


PROMISES_KEPT_S: Final = 2 * 86_400.0
"""A scanner that could not be told of its objects' commitment for so long has asked again, or never will."""


class Upstream(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The worklist SCP behind the proxy: the RIS.

    `present_as` is the calling AE title that the RIS sees; empty, it sees the scanner's own, because many RIS
    filter by it.
    """

    ae_title: str
    host: str
    port: int
    present_as: str = ""
    timeout_s: float = 10.0
    max_items: int = 2_000


class Pacs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The PACS that patient objects are forwarded to, ``[dicom.pacs]``.

    `present_as` is the calling AE title that the PACS sees; empty, it sees the scanner's own. With `commitment`, an
    object is let go only when the PACS has committed to keep it; that is asked under `present_as`, or under our own
    AE title where it is empty, because a PACS answers to the address that it has for the title that asks. A PACS in
    trouble is tried again after `retry_s`, twice as long each time up to `retry_max_s`. An object that it refuses
    `max_tries` times is set aside and tried again every `set_aside_retry_s`. What waits is bounded by `max_objects`
    and `max_bytes`, and none is taken when the disk has less than `min_free_bytes` left. A commitment that is not
    given within `commitment_timeout_s` is asked for again, and after `commitment_asks` times the object is sent
    again. What was delivered is remembered for `delivered_days`, up to `delivered_max` objects.
    """

    ae_title: str
    host: str
    port: int
    present_as: str = ""
    commitment: bool = False
    timeout_s: float = 30.0
    retry_s: float = 5.0
    retry_max_s: float = 300.0
    max_tries: int = 5
    set_aside_retry_s: float = 6 * 3600.0
    max_objects: int = 20_000
    max_bytes: int = 4 * 1024 * 1024 * 1024
    min_free_bytes: int = 256 * 1024 * 1024
    commitment_timeout_s: float = 600.0
    commitment_asks: int = 3
    commitment_linger_s: float = 3.0
    delivered_days: float = 30.0
    delivered_max: int = 200_000


class MppsUpstream(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The RIS that procedure steps are forwarded to, ``[dicom.mpps]``.

    `present_as` is the calling AE title that the RIS sees; empty, it sees the scanner's own. While it is away, a step
    is queued (`when_away` = ``queue``: the scanner goes on, the RIS is told later, in order) or the scanner is told so
    (``fail``). The RIS is tried again after `retry_s`, twice as long each time up to `retry_max_s`; at most
    `max_waiting` messages wait. What the RIS refuses later is counted, and forgotten after `kept_days`.
    """

    ae_title: str
    host: str
    port: int
    present_as: str = ""
    when_away: Literal["fail", "queue"] = "queue"
    timeout_s: float = 10.0
    retry_s: float = 5.0
    retry_max_s: float = 300.0
    max_waiting: int = 5_000
    min_free_bytes: int = 256 * 1024 * 1024
    kept_days: float = 14.0


class DicomSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One application entity: C-ECHO, C-STORE, worklist.

    `patients` says what becomes of patients' objects: refused; read, recorded and not kept; or read and forwarded to
    the PACS, which is what ``auto`` means where there is one, and ``refuse`` where there is none. Port 0 takes a free
    one. A peer that says nothing for `idle_timeout_s` is cut; one that opens a connection and asks for no association
    within `negotiation_timeout_s` too. `max_object_bytes` and `max_pdu_bytes` bound what one association can make us
    hold in memory. A scanner that asks for Storage Commitment of objects that the PACS does not have yet is answered
    when it has them, or after `commitment_wait_s`, at most a day, that it has not.
    """

    ae_title: str = "BONEWATCH"
    host: str = "127.0.0.1"
    port: int = 11112
    upstream: Upstream | None = None
    pacs: Pacs | None = None
    mpps: MppsUpstream | None = None
    patients: PatientRoute = "auto"
    commitment_wait_s: float = 3600.0
    max_associations: int = 50
    max_pdu_bytes: int = 131_072
    max_object_bytes: int = 32 * 1024 * 1024
    negotiation_timeout_s: float = 10.0
    idle_timeout_s: float = 60.0

    @property
    def forwards_patients(self) -> bool:
        """Whether patients' objects go on to the PACS."""
        return self.pacs is not None and self.patients in {"auto", "forward"}

    @property
    def takes_patients(self) -> bool:
        """Whether patients' objects are taken at all."""
        return self.forwards_patients or self.patients == "read"


class QuarantineLimits(msgspec.Struct, frozen=True):
    """How much refused material is kept, and for how long; the oldest goes first.

    Callers of unknown AE titles share `unknown_share` of objects and bytes, and none of it at others' cost.
    """

    max_objects: int = 2_000
    max_bytes: int = 512 * 1024 * 1024
    keep_days: float = 30.0
    unknown_share: float = 0.25
    min_free_bytes: int = 256 * 1024 * 1024
