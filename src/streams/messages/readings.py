"""Facts: what devices read, sent and did not send."""

from enum import StrEnum

import msgspec

from streams.messages.base import Message, Person, Source, UtcTime


class PhantomMeasured(Message, frozen=True, tag="bonewatch.phantom-measured.v1"):
    """A phantom was scanned: one region of one analysis.

    `acquisition_id` tells a repeat (another acquisition) from a re-analysis (the same one). `scan_mode` is as the
    scanner names it; `k` and `d0` are the calibration constants of a Hologic, which a recalibration moves.
    """

    phantom_id: str
    region: str
    bmd_g_cm2: float
    measured_at: UtcTime
    acquisition_id: str
    sop_instance_uid: str = ""
    software: str = ""
    source: Source = Source.DICOM
    performed_by: str = ""
    scan_mode: str = ""
    k: float | None = None
    d0: float | None = None


class VendorQcReported(Message, frozen=True, tag="bonewatch.vendor-qc-reported.v1"):
    """The scanner's own quality control was run; the manufacturer's program says passed or not."""

    passed: bool
    measured_at: UtcTime
    performed_by: str
    reviewed_by: str
    note: str = ""
    source: Source = Source.MANUAL


class PhantomScanRefused(Message, frozen=True, tag="bonewatch.phantom-scan-refused.v1"):
    """An object under a phantom's id was refused at the border and kept; it is no evidence of quality."""

    phantom_id: str
    reason: str
    sop_instance_uid: str = ""


class SessionPurpose(StrEnum):
    """What the readings of a scale or stadiometer are for while a session is open."""

    CHECK = "check"
    PATIENT = "patient"


class SessionOpened(Message, frozen=True, tag="bonewatch.session-opened.v1"):
    """Somebody said what a scale or stadiometer is used for until `until`: a check, or one patient's measurement.

    A check names a standard of the device's policy; a patient's session the request, by accession number.
    """

    session_id: str
    purpose: SessionPurpose
    opened_by: Person
    until: UtcTime
    standard_id: str = ""
    accession_number: str = ""


class SessionClosed(Message, frozen=True, tag="bonewatch.session-closed.v1"):
    """A session ended before its time."""

    session_id: str
    closed_by: Person


class CalibrationCheckRead(Message, frozen=True, tag="bonewatch.calibration-check-read.v1"):
    """A standard of known value was read by a scale (kg) or a stadiometer (cm).

    `session_id` names the session in which the device itself sent it; empty for an entry by hand.
    """

    standard_id: str
    read: float
    measured_at: UtcTime
    performed_by: str
    session_id: str = ""
    unit_sent: str = ""
    imperial: bool = False
    source: Source = Source.SERIAL


class RegionMeasured(msgspec.Struct, frozen=True):
    """One region of a patient's scan; scores as the scanner printed them, in its own reference population."""

    region: str
    bmd_g_cm2: float
    bmc_g: float | None = None
    area_cm2: float | None = None
    t_score: float | None = None
    z_score: float | None = None
    laterality: str = ""


class PatientMeasured(Message, frozen=True, tag="bonewatch.patient-measured.v1"):
    """A patient was measured: densities of one analysis of one scan, or weight or height.

    It names nobody: the request by its accession number, the person by a keyed pseudonym where one is known.
    `session_id` names the session in which a scale or stadiometer sent it. Analyses of one scan share their
    `acquisition_id`; `analysed_at` tells which is the newer. `anatomy` is ``spine``, ``hip``, ``forearm``,
    ``whole_body`` or empty; `mode` is one of the policy's, `scan_mode` is as the scanner names it. `population` is
    ``adult`` or ``child`` where the age was told; empty: not known.
    """

    accession_number: str
    measured_at: UtcTime
    acquisition_id: str
    pseudonym: str = ""
    regions: tuple[RegionMeasured, ...] = ()
    weight_kg: float | None = None
    height_cm: float | None = None
    procedure_code: str = ""
    mode: str = ""
    software: str = ""
    sop_instance_uid: str = ""
    session_id: str = ""
    unit_sent: str = ""
    imperial: bool = False
    performed_by: str = ""
    source: Source = Source.DICOM
    anatomy: str = ""
    study_instance_uid: str = ""
    analysed_at: UtcTime | None = None
    scan_mode: str = ""
    k: float | None = None
    d0: float | None = None
    population: str = ""


class PatientScanStarted(Message, frozen=True, tag="bonewatch.patient-scan-started.v1"):
    """A scanner reported that a patient's procedure step began (MPPS N-CREATE)."""

    accession_number: str
    started_at: UtcTime
    mpps_uid: str
    mode: str = ""
    procedure_code: str = ""
    pseudonym: str = ""


class RefusedRequest(msgspec.Struct, frozen=True):
    """A request that a scanner was refused, by its accession number; `mode` is empty where its codes ask for none."""

    accession_number: str
    scheduled_at: UtcTime | None = None
    mode: str = ""


class WorklistRefused(Message, frozen=True, tag="bonewatch.worklist-refused.v1"):
    """Requests were refused on a scanner's worklist while its gate was held: each is told once in a held time.

    `held_since` is when that began, `reasons` what held. It names nobody; of very many, `left_out` are not listed.
    """

    held_since: UtcTime | None
    reasons: tuple[str, ...]
    requests: tuple[RefusedRequest, ...]
    left_out: int = 0


class ObjectKind(StrEnum):
    """What a patient's object without values is."""

    IMAGE = "image"
    DOCUMENT = "document"
    PRESENTATION_STATE = "presentation_state"
    REPORT = "report"
    OTHER = "other"


class PatientObjectReceived(Message, frozen=True, tag="bonewatch.patient-object-received.v1"):
    """An object of a patient's scan came that says no density: an image, a document, a report nobody can read.

    `acquisition_id` is that of the scan it belongs to; `why` says why a report could not be read.
    """

    kind: ObjectKind
    accession_number: str
    acquisition_id: str
    acquired_at: UtcTime | None = None
    sop_instance_uid: str = ""
    mode: str = ""
    pseudonym: str = ""
    study_instance_uid: str = ""
    why: str = ""


class DeviceHeard(Message, frozen=True, tag="bonewatch.device-heard.v1"):
    """A device's line stands otherwise than before; `state` is a word of its collector, `why` for people."""

    state: str
    why: str
    serial: str = ""
