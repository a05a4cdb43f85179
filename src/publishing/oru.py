"""Makes HL7 v2.5.1 ORU^R01 of what is published of measurements: one message a measurement."""

from base64 import b32encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from hashlib import sha256
from pathlib import Path

from publishing.delivery import ComposeError, Message
from publishing.er7 import VERSION, components, number, segment, text, timestamp
from publishing.measured import Analysis
from publishing.published import Notice
from publishing.settings import MllpSettings
from publishing.terms import (
    BODY_HEIGHT,
    BODY_SIZE,
    BODY_WEIGHT,
    DXA_PANEL,
    HEIGHT,
    LOINC,
    OURS,
    WEIGHT,
    local_code,
)
from publishing.told import CORRECTED, WRONG, Teller, Told, Value, acquisition, digest
from streams import codec
from streams.messages import MeasurementValidated
from streams.quantities import PSEUDONYM_SYSTEM, loinc


class OruComposer:
    """Makes the messages of one subscription; for one thread.

    Parameters
    ----------
    settings
        What stands in MSH.
    site
        The site's id; the sending facility where the settings name none.
    log
        The site log's file.
    zone
        In which times are written, with their distance from UTC.
    """

    def __init__(self, settings: MllpSettings, *, site: str, log: Path, zone: tzinfo = UTC) -> None:
        self._settings, self._site, self._zone = settings, site, zone
        self._teller = Teller(log)

    def compose(self, notice: Notice) -> tuple[Message, ...]:
        """Return the messages of a notice; none where there is nothing to say.

        Raises
        ------
        ComposeError
            If it cannot be read, or nobody could tell whose measurement it is.
        """
        try:
            return tuple(self._message(notice, told) for told in self._teller.told(notice))
        except codec.UndecodableError as error:
            raise ComposeError("what the log holds of it cannot be read by this version") from error

    def close(self) -> None:
        """Close the log."""
        self._teller.close()

    def _message(self, notice: Notice, told: Told) -> Message:
        judged = told.analysis.judged
        name = control_id(notice.id, judged.subject_event_id)
        segments = [self._msh(notice, name), *_pid(judged.pseudonym), self._obr(notice, told)]
        segments += [segment("NTE", {1: str(n), 2: "L", 3: text(note)}) for n, note in enumerate(told.notes, 1)]
        shared = self._shared(notice, told.analysis)
        segments += [_obx(n, value, told.analysis.anatomy, shared) for n, value in enumerate(told.values, 1)]
        return Message(name, "".join(f"{one}\r" for one in segments).encode())

    def _msh(self, notice: Notice, name: str) -> str:
        of = self._settings
        fields = {
            2: "^~\\&",
            3: text(of.sending_application),
            4: text(of.sending_facility or self._site),
            5: text(of.receiving_application),
            6: text(of.receiving_facility),
            7: timestamp(datetime.fromisoformat(notice.at), self._zone),
            9: components("ORU", "R01", "ORU_R01"),
            10: name,
            11: of.processing_id,
            12: VERSION,
            18: "UNICODE UTF-8",
        }
        # MSH-1 is the separator itself, so that each field stands one place before its number
        return segment("MSH", {place - 1: field for place, field in fields.items()})

    def _obr(self, notice: Notice, told: Told) -> str:
        judged, statuses = told.analysis.judged, {value.status for value in told.values}
        accession = components(judged.accession_number)
        return segment(
            "OBR",
            {
                1: "1",
                2: accession,
                3: accession or components(digest(notice.device, acquisition(judged)), "BONEWATCH"),
                4: components(*_service(told.values)),
                7: timestamp(judged.measured_at, self._zone),
                22: timestamp(datetime.fromisoformat(notice.at), self._zone),
                25: CORRECTED if statuses & {CORRECTED, WRONG} else "P" if "P" in statuses else "F",
            },
        )

    def _shared(self, notice: Notice, analysis: Analysis) -> dict[int, str]:
        """Return what all values of a measurement have."""
        shared = {2: "NM", 14: timestamp(analysis.judged.measured_at, self._zone), 18: _device(notice, analysis)}
        if analysis.analysed_at is not None:
            shared[19] = timestamp(analysis.analysed_at, self._zone)
        return shared


def _obx(place: int, value: Value, anatomy: str, shared: Mapping[int, str]) -> str:
    fields = {
        1: str(place),
        3: components(*_coded(value, anatomy)),
        4: value.sub_id,
        5: "" if value.told is None else number(value.told),
        6: components(value.quality.unit, value.quality.unit, "UCUM"),
        11: value.status,
    }
    return segment("OBX", {**shared, **fields})


def control_id(outcome_id: str, subject_event_id: str) -> str:
    """Return MSH-10: 20 characters of the SHA-256 of outcome and measurement, the same however often it is sent.

    2.5.1 allows no more; its 96 bits, in base 32, do not meet by chance.
    """
    return b32encode(sha256(f"{outcome_id}\x1f{subject_event_id}".encode()).digest()[:12]).decode().rstrip("=")


def _pid(pseudonym: str) -> list[str]:
    """Return the person by pseudonym, with a name that says that it is kept from the receiver; none: no segment.

    2.5.1 wants an identifier and a name in every PID, and the whole patient is optional in an ORU^R01. ``S`` is a
    coded pseudo-name to ensure anonymity (HL7 table 0200), ``ANON`` an anonymous identifier (0203).
    """
    if not pseudonym:
        return []
    identifier = "^".join([text(pseudonym), "", "", f"BONEWATCH&{PSEUDONYM_SYSTEM}&UUID", "ANON"])
    return [segment("PID", {1: "1", 3: identifier, 5: "^^^^^^S"})]


def _service(values: Sequence[Value]) -> tuple[str, str, str]:
    """Return what was done, as a code."""
    kinds = {value.quality for value in values}
    if not kinds <= {WEIGHT, HEIGHT}:
        return DXA_PANEL
    if kinds == {WEIGHT, HEIGHT}:
        return BODY_SIZE
    return BODY_WEIGHT if WEIGHT in kinds else BODY_HEIGHT


def _coded(value: Value, anatomy: str) -> tuple[str, ...]:
    """Return what a value is: LOINC's code first where there is one, ours beside it."""
    words = ", ".join(filter(None, (value.quality.words, value.region, value.laterality)))
    ours = (local_code(value.quality, value.region, value.laterality), words, OURS)
    found = loinc(value.quality.quantity, anatomy, value.region)
    return (*found, LOINC, *ours) if found else ours


def _device(notice: Notice, analysis: Analysis) -> str:
    """Return the device by its key, and by its serial number where that is known."""
    judged, names = analysis.judged, [components(notice.device, "BONEWATCH")]
    if isinstance(judged, MeasurementValidated) and judged.serial:
        names.append(components(judged.serial, " ".join(filter(None, (judged.make, judged.model)))))
    return "~".join(names)
