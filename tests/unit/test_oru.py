"""ORU^R01 of what is published of measurements; hl7apy reads each message and checks it against HL7's 2.5.1."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest
from hl7apy.parser import parse_message, parse_segments
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from publishing.delivery import ComposeError
from publishing.er7 import components, number, text
from publishing.measured import size_at
from publishing.oru import OruComposer
from publishing.published import BEGINNING, PublishedLog, Selection
from publishing.settings import MllpSettings
from publishing.told import TYPES
from streams.messages import (
    CrossCalibrated,
    Event,
    Fact,
    MeasurementReleased,
    MeasurementsAmended,
    MeasurementValidated,
    MeasurementWithheld,
    Outcome,
    PatientMeasured,
    Person,
    QcStanding,
    ReasonCode,
    RecordedOutcome,
    RegionMeasured,
    ReviewVerdict,
    TimeReached,
)
from streams.messages.measurements import SizeAt
from streams.policy import LeastSignificantChange
from streams.sqlite_log import SqliteEventLog
from tests.folding import PHYSICIST

DEVICE: Final = "test-site/dxa-1"
AT: Final = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)
RECORDED: Final = datetime(2026, 11, 2, 9, 41, 5, tzinfo=UTC)
HOUR: Final = timedelta(hours=1)
RECEIVER: Final = MllpSettings(name="ris", host="127.0.0.1", port=2575, receiving_application="RIS")
L1_L4: Final = RegionMeasured("L1-L4", 0.912, bmc_g=51.2, area_cm2=56.1, t_score=-1.2, z_score=-0.4)
NECK: Final = RegionMeasured("Neck", 0.7, laterality="left")
SPINE: Final = MeasurementValidated(
    subject_event_id="m1",
    revision=0,
    measured_at=AT,
    accession_number="ACC0001",
    acquisition_id="scan-1",
    kind="scanner",
    make="Invented",
    model="Virtual 1",
    serial="S/N 7",
    mode="all",
    pseudonym="p7f3",
    regions=(L1_L4,),
)
WITHHELD: Final = MeasurementWithheld(
    "m2", 0, AT, "ACC0001", "scan-1", (ReasonCode.QC_FAILED,), mode="all", pseudonym="p7f3"
)
AMENDED: Final = MeasurementsAmended(
    review_id="r1",
    revision=1,
    verdict=ReviewVerdict.AMEND,
    since=AT - HOUR,
    until=AT + HOUR,
    modes=("all",),
    unit="percent",
    sizes=(SizeAt(AT - HOUR, 1.0, 0.5, 1.5), SizeAt(AT + HOUR, 3.0, 1.5, 4.5)),
    text="the scanner read high",
    decided_by=PHYSICIST,
    decided_at=RECORDED,
)


class Site:
    """A site's log, written by hand, and the messages that are made of what was written last."""

    def __init__(self, path: Path) -> None:
        self.path, self.seq = path, 0

    def said(
        self, outcome: Outcome, *, zone: ZoneInfo | None = None, receiver: MllpSettings = RECEIVER, **of: Any
    ) -> list[str]:
        """Write an outcome; return the messages."""
        self.has(outcome, **of)
        return self.composed(zone=zone, receiver=receiver)

    def has(
        self,
        outcome: Outcome,
        *,
        fact: Fact | None = None,
        analysed_at: datetime | None = None,
        anatomy: str = "spine",
        device: str = DEVICE,
    ) -> None:
        """Write an outcome and the fact that it is of."""
        self.seq += 1
        if fact is None and isinstance(outcome, MeasurementValidated | MeasurementWithheld):
            fact = PatientMeasured("", AT, "", anatomy=anatomy, analysed_at=analysed_at)
        name = f"e{self.seq}"
        with SqliteEventLog(self.path) as log, log.transaction():
            event = Event(name, device, log.log_id, self.seq, RECORDED, 1, fact or TimeReached(RECORDED))
            log.write(event, (RecordedOutcome(f"o{self.seq}", name, device, self.seq, outcome),))

    def composed(self, *, zone: ZoneInfo | None = None, receiver: MllpSettings = RECEIVER) -> list[str]:
        """Return the messages made of the last notice; hl7apy finds nothing wrong with any."""
        with PublishedLog(self.path) as log:
            notice = log.after(BEGINNING, Selection(TYPES), 1000).notices[-1]
        composer = OruComposer(receiver, site="test-site", log=self.path, zone=zone or UTC)
        try:
            messages = composer.compose(notice)
        finally:
            composer.close()
        for message in messages:
            assert parsed(message.body.decode()).msh.msh_10.value == message.id
        return [message.body.decode() for message in messages]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "log.sqlite")


def parsed(message: str) -> Any:
    """Read a message with its groups and check it: what is required, what is allowed, each datatype."""
    read = parse_message(message)
    assert read.validate()
    return read


def fields(message: str, name: str) -> list[list[str]]:
    """Return the segments of a name as they stand, by number."""
    found = [line.split("|") for line in message.split("\r") if line.startswith(name)]
    return [["MSH", *line] for line in found] if name == "MSH" else found


def values(message: str) -> list[tuple[str, str, str]]:
    """Return code, value and status of each OBX; the code is ours."""
    found = []
    for obx in fields(message, "OBX"):
        coded = obx[3].split("^")
        assert coded[-1] == "99BONEWATCH"
        found.append((coded[-3], obx[5], obx[11]))
    return found


def notes(message: str) -> list[str]:
    return [note[3] for note in fields(message, "NTE")]


def statuses(message: str) -> set[str]:
    return {status for _, _, status in values(message)}


# --- one measurement -----------------------------------------------------------------------------------------


def test_a_scan_is_told_with_every_value_that_the_scanner_gave(site: Site) -> None:
    (message,) = site.said(SPINE, analysed_at=AT + HOUR)
    control_id, sub_id = fields(message, "MSH")[0][10], fields(message, "OBX")[0][4]
    assert re.fullmatch("[A-Z2-7]{20}", control_id)
    assert re.fullmatch("[0-9a-f]{12}", sub_id)
    end = "|20261102093000+0000||||test-site/dxa-1^BONEWATCH~S/N 7^Invented Virtual 1|20261102103000+0000"
    local = "^99BONEWATCH"
    assert message.split("\r") == [
        (
            "MSH|^~\\&|BONEWATCH|test-site|RIS||20261102094105+0000||ORU^R01^ORU_R01|"
            f"{control_id}|P|2.5.1||||||UNICODE UTF-8"
        ),
        "PID|1||p7f3^^^BONEWATCH&0589598e-1834-4276-bdd5-3ecae3338b09&UUID^ANON||^^^^^^S",
        (
            "OBR|1|ACC0001|ACC0001|83311-1^Bone density quantitative measurement by DXA panel^LN|||20261102093000+0000"
            "|||||||||||||||20261102094105+0000|||P"
        ),
        (
            "OBX|1|NM|24966-4^DXA Lumbar spine [Mass/Area] Bone density^LN^BMD.L1-L4^Bone mineral density (DXA), L1-L4"
            f"{local}|{sub_id}|0.912|g/cm2^g/cm2^UCUM|||||P||{end}"
        ),
        f"OBX|2|NM|BMC.L1-L4^Bone mineral content (DXA), L1-L4{local}|{sub_id}|51.2|g^g^UCUM|||||P||{end}",
        f"OBX|3|NM|AREA.L1-L4^Projected area (DXA), L1-L4{local}|{sub_id}|56.1|cm2^cm2^UCUM|||||P||{end}",
        (
            "OBX|4|NM|38267-1^DXA Lumbar spine [T-score] Bone density^LN^T.L1-L4^T-score, as the device gave it, L1-L4"
            f"{local}|{sub_id}|-1.2|{{T-score}}^{{T-score}}^UCUM|||||P||{end}"
        ),
        (
            "OBX|5|NM|85394-5^DXA Lumbar spine [Z-score] Bone density^LN^Z.L1-L4^Z-score, as the device gave it, L1-L4"
            f"{local}|{sub_id}|-0.4|{{Z-score}}^{{Z-score}}^UCUM|||||P||{end}"
        ),
        "",
    ]


def test_hl7apy_finds_person_order_and_values_where_they_belong(site: Site) -> None:
    (message,) = site.said(SPINE)
    result = parsed(message).oru_r01_patient_result
    order = result.oru_r01_order_observation
    assert result.oru_r01_patient.pid.pid_3.cx_1.value == "p7f3"
    assert (order.obr.obr_2.ei_1.value, order.obr.obr_3.ei_1.value) == ("ACC0001", "ACC0001")
    assert [one.obx.obx_5.value for one in order.oru_r01_observation] == ["0.912", "51.2", "56.1", "-1.2", "-0.4"]


def test_every_code_stands_in_its_hl7_table_but_ours_and_ucum(site: Site, tmp_path: Path) -> None:
    """Table 0396 has 99zzz for local systems, and UCUM since a later version than hl7apy's."""
    site.has(SPINE, analysed_at=AT)
    newer = replace(SPINE, subject_event_id="m2", weight_kg=71.0, regions=(NECK,))
    (message,) = site.said(newer, analysed_at=AT + HOUR)
    assert statuses(message) == {"P", "F", "W"}
    parse_message(message).validate(report_file=tmp_path / "report")
    said = set((tmp_path / "report").read_text().splitlines())
    assert {re.sub(" in element .*", "", line) for line in said} == {
        "Warning: Value 99BONEWATCH not in table HL70396",
        "Warning: Value UCUM not in table HL70396",
    }


def test_weight_and_height_are_final_and_have_their_loinc_codes(site: Site) -> None:
    weight = replace(SPINE, kind="scale", regions=(), weight_kg=71.4)
    (message,) = site.said(weight, anatomy="")
    assert fields(message, "OBR")[0][4] == "29463-7^Body weight^LN"
    assert fields(message, "OBX")[0][3] == "29463-7^Body weight^LN^WEIGHT^Body weight^99BONEWATCH"
    assert (values(message), fields(message, "OBR")[0][25]) == ([("WEIGHT", "71.4", "F")], "F")
    (message,) = site.said(replace(weight, subject_event_id="m9", acquisition_id="scan-9", height_cm=168.0), anatomy="")
    assert fields(message, "OBR")[0][4] == "BODY-SIZE^Body weight and height^99BONEWATCH"
    assert [obx[3].split("^")[0] for obx in fields(message, "OBX")] == ["29463-7", "8302-2"]


@pytest.mark.parametrize(
    ("anatomy", "region", "code"),
    [
        ("hip", NECK, "24701-5^Femur DXA Bone density^LN^BMD.NECK.L^Bone mineral density (DXA), Neck, left"),
        ("spine", RegionMeasured("L1,L3", 0.9), "24966-4^DXA Lumbar spine [Mass/Area] Bone density^LN^BMD.L1+L3"),
        ("spine", RegionMeasured("L1-L3", 0.9), "24966-4^DXA Lumbar spine [Mass/Area] Bone density^LN^BMD.L1-L3"),
        ("spine", RegionMeasured("T12", 0.9), "BMD.T12^Bone mineral density (DXA), T12^99BONEWATCH"),
        ("", RegionMeasured("Total", 0.9), "BMD.TOTAL^Bone mineral density (DXA), Total^99BONEWATCH"),
        ("forearm", RegionMeasured("Radius 1/3", 0.6), "BMD.RADIUS-1-3^Bone mineral density (DXA), Radius 1/3"),
    ],
)
def test_a_region_has_a_loinc_code_only_where_it_is_known_to_be_meant(
    site: Site, anatomy: str, region: RegionMeasured, code: str
) -> None:
    (message,) = site.said(replace(SPINE, regions=(region,)), anatomy=anatomy)
    assert fields(message, "OBX")[0][3].startswith(code)


def test_a_value_for_serial_comparison_is_never_sent(site: Site) -> None:
    other = CrossCalibrated("L1-L4", 0.98765, 0.004, "test-site/dxa-2", "study", 1)
    (message,) = site.said(replace(SPINE, cross_calibrated=(other,)))
    assert "0.98765" not in message
    assert [value for _, value, _ in values(message)] == ["0.912", "51.2", "56.1", "-1.2", "-0.4"]


def test_what_whoever_reports_must_know_stands_in_notes(site: Site) -> None:
    known = replace(
        SPINE,
        is_overridden=True,
        issues=(ReasonCode.QC_MISSING, ReasonCode.DRIFT_UNREVIEWED),
        qc=(QcStanding("SPINE-0001", 2, None, is_comparable=False),),
        changes=(LeastSignificantChange("L1-L4", 0.022, "precision study 2026", "spine", unit="g_cm2"),),
        released_by=Person("Pat Physicist", "physicist"),
        reason="read the images & charts",
    )
    (message,) = site.said(known)
    assert notes(message) == [
        "Measured while the device's gate was overridden.",
        "Known of the device then: qc_missing, drift_unreviewed.",
        "The step to the baseline in force is not reviewed: not to be compared with values before it.",
        "Released by a person although it had been withheld: read the images \\T\\ charts",
        "Least significant change of L1-L4: 0.022 g/cm2 (adult; precision study 2026).",
    ]
    assert "Pat" not in message


def test_without_a_pseudonym_there_is_no_patient_and_the_accession_number_tells(site: Site) -> None:
    (message,) = site.said(replace(SPINE, pseudonym=""))
    assert [line[:3] for line in message.split("\r")][:3] == ["MSH", "OBR", "OBX"]
    assert fields(message, "OBR")[0][3] == "ACC0001"


def test_without_an_accession_number_the_filler_number_is_the_acquisitions(site: Site) -> None:
    (message,) = site.said(replace(SPINE, accession_number=""))
    obr = fields(message, "OBR")[0]
    assert obr[2] == ""
    assert re.fullmatch(r"[0-9a-f]{12}\^BONEWATCH", obr[3])


def test_a_measurement_of_nobody_cannot_be_told(site: Site) -> None:
    with pytest.raises(ComposeError, match="neither accession number nor pseudonym"):
        site.said(replace(SPINE, pseudonym="", accession_number=""))


def test_a_measurement_without_values_is_not_told(site: Site) -> None:
    assert site.said(replace(SPINE, regions=())) == []


def test_a_message_is_the_same_whenever_it_is_made(site: Site) -> None:
    (first,) = site.said(SPINE)
    assert site.composed() == [first]
    (other,) = site.said(replace(SPINE, revision=1))
    assert fields(other, "MSH")[0][10] != fields(first, "MSH")[0][10]


def test_times_are_those_of_the_sites_clocks_with_their_distance_from_utc(site: Site) -> None:
    london = ZoneInfo("Europe/London")
    (message,) = site.said(replace(SPINE, measured_at=datetime(2026, 10, 25, 0, 30, tzinfo=UTC)), zone=london)
    assert fields(message, "OBR")[0][7] == "20261025013000+0100"
    (message,) = site.said(replace(SPINE, measured_at=datetime(2026, 10, 25, 1, 30, tzinfo=UTC)), zone=london)
    assert fields(message, "OBR")[0][7] == "20261025013000+0000"


def test_the_settings_fill_the_header(site: Site) -> None:
    named = replace(
        RECEIVER,
        sending_application="BW|1",
        sending_facility="Bone & Joint",
        receiving_facility="RXX",
        processing_id="T",
    )
    (message,) = site.said(SPINE, receiver=named)
    header = parsed(message).msh
    assert fields(message, "MSH")[0][3:7] == ["BW\\F\\1", "Bone \\T\\ Joint", "RIS", "RXX"]
    assert (header.msh_11.value, header.msh_12.value, header.msh_18.value) == ("T", "2.5.1", "UNICODE UTF-8")


# --- a newer analysis ----------------------------------------------------------------------------------------


def test_a_newer_analysis_replaces_the_values_under_the_same_names(site: Site) -> None:
    (first,) = site.said(SPINE, analysed_at=AT)
    newer = replace(SPINE, subject_event_id="m2", regions=(replace(L1_L4, bmd_g_cm2=0.92),))
    (second,) = site.said(newer, analysed_at=AT + HOUR)
    assert [obx[3:5] for obx in fields(second, "OBX")] == [obx[3:5] for obx in fields(first, "OBX")]
    assert values(second)[0] == ("BMD.L1-L4", "0.92", "P")
    assert statuses(second) == {"P"}


def test_what_a_newer_analysis_has_no_more_is_posted_as_wrong_without_its_value(site: Site) -> None:
    site.has(SPINE, analysed_at=AT)
    newer = replace(SPINE, subject_event_id="m2", regions=(RegionMeasured("L2-L4", 0.95),))
    (message,) = site.said(newer, analysed_at=AT + HOUR)
    taken = [(f"{name}.L1-L4", "", "W") for name in ("BMD", "BMC", "AREA", "T", "Z")]
    assert values(message) == [("BMD.L2-L4", "0.95", "P"), *taken]
    assert fields(message, "OBR")[0][25] == "C"
    assert notes(message) == ["What is posted as wrong is not among the values of the newer analysis of this scan."]


def test_an_older_analysis_that_comes_late_is_not_told(site: Site) -> None:
    site.has(SPINE, analysed_at=AT + HOUR)
    assert site.said(replace(SPINE, subject_event_id="m2"), analysed_at=AT) == []


def test_a_newer_analysis_that_is_withheld_takes_back_what_was_sent(site: Site) -> None:
    (first,) = site.said(SPINE, analysed_at=AT)
    (message,) = site.said(WITHHELD, analysed_at=AT + HOUR)
    assert [obx[3:5] for obx in fields(message, "OBX")] == [obx[3:5] for obx in fields(first, "OBX")]
    assert [value[1:] for value in values(message)] == [("", "W")] * 5
    assert notes(message) == ["Not to be used: a newer analysis of this scan is withheld (qc_failed)."]
    assert fields(message, "OBR")[0][25] == "C"


def test_what_was_never_sent_is_not_taken_back(site: Site) -> None:
    assert site.said(replace(WITHHELD, acquisition_id="scan-0")) == []
    site.has(SPINE, analysed_at=AT)
    assert site.said(replace(WITHHELD, acquisition_id="scan-10")) == []  # "scan-1" is how it begins
    assert site.said(WITHHELD, analysed_at=AT - HOUR) == []  # the analysis that was sent is the newer one
    assert site.said(replace(WITHHELD, acquisition_id="")) == []


def test_another_devices_acquisition_of_the_same_name_is_another_one(site: Site) -> None:
    site.has(SPINE, analysed_at=AT)
    assert site.said(WITHHELD, analysed_at=AT + HOUR, device="test-site/dxa-2") == []


def test_what_was_taken_back_is_sent_as_new_when_it_is_released(site: Site) -> None:
    site.has(SPINE, analysed_at=AT)
    site.has(WITHHELD, analysed_at=AT + HOUR)
    released = replace(SPINE, subject_event_id="m2", revision=1, released_by=PHYSICIST, reason="seen")
    fact = PatientMeasured("", AT, "", anatomy="spine", analysed_at=AT + HOUR)
    (message,) = site.said(released, fact=MeasurementReleased("m2", fact, "seen", PHYSICIST))
    assert (statuses(message), fields(message, "OBR")[0][25]) == ({"P"}, "P")
    assert notes(message) == ["Released by a person although it had been withheld: seen"]


def test_a_newer_analysis_under_another_accession_number_takes_the_values_from_the_first(site: Site) -> None:
    site.has(SPINE, analysed_at=AT)
    newer = replace(SPINE, subject_event_id="m2", accession_number="ACC0002")
    first, second = site.said(newer, analysed_at=AT + HOUR)
    assert [(fields(one, "OBR")[0][3], statuses(one)) for one in (first, second)] == [
        ("ACC0001", {"W"}),
        ("ACC0002", {"P"}),
    ]
    assert fields(first, "MSH")[0][10] != fields(second, "MSH")[0][10]


def test_a_newer_analysis_of_nobody_takes_the_values_back_that_were_sent_of_somebody(site: Site) -> None:
    site.has(SPINE, analysed_at=AT)
    nameless = replace(SPINE, subject_event_id="m2", pseudonym="", accession_number="")
    (message,) = site.said(nameless, analysed_at=AT + HOUR)
    assert (fields(message, "OBR")[0][3], statuses(message)) == ("ACC0001", {"W"})
    assert notes(message) == ["Not to be used: a newer analysis of this scan names neither request nor person."]


def test_a_final_value_that_is_sent_anew_is_a_correction(site: Site) -> None:
    weight = replace(SPINE, regions=(), weight_kg=71.4)
    site.has(weight, analysed_at=AT)
    (message,) = site.said(replace(weight, subject_event_id="m2", weight_kg=71.6), analysed_at=AT + HOUR)
    assert values(message) == [("WEIGHT", "71.6", "C")]


# --- a physicist's decision ----------------------------------------------------------------------------------


def of_scan(number: int, at: datetime, **changes: Any) -> MeasurementValidated:
    named = {
        "subject_event_id": f"m{number}",
        "acquisition_id": f"scan-{number}",
        "accession_number": f"ACC000{number}",
        "regions": (RegionMeasured("L1-L4", 0.9),),
    }
    return replace(SPINE, measured_at=at, **(named | changes))


def accessions(messages: list[str]) -> list[str]:
    return [fields(message, "OBR")[0][3] for message in messages]


def test_a_decision_corrects_every_measurement_that_it_is_about_and_no_other(site: Site) -> None:
    site.has(of_scan(1, AT - HOUR))
    site.has(of_scan(2, AT + HOUR))
    site.has(of_scan(3, AT + HOUR + timedelta(seconds=1)))
    site.has(of_scan(4, AT, mode="fast"))
    site.has(of_scan(5, AT), device="test-site/dxa-2")
    site.has(replace(WITHHELD, subject_event_id="m6", acquisition_id="scan-6"))
    messages = site.said(AMENDED)
    assert accessions(messages) == ["ACC0001", "ACC0002"]
    assert [values(message) for message in messages] == [[("BMD.L1-L4", "0.9", "C")]] * 2
    assert [fields(message, "OBR")[0][25] for message in messages] == ["C", "C"]
    # the sizes at the two ends of the decision, by hand
    begins = "A physicist's decision, amend: the scanner read high (the device was"
    assert [notes(message) for message in messages] == [
        [f"{begins} +1 percent off, 95 % interval +0.5 to +1.5)"],
        [f"{begins} +3 percent off, 95 % interval +1.5 to +4.5)"],
    ]
    assert "Pat" not in messages[0]


def test_a_decision_is_about_the_newest_analysis_and_not_about_one_that_was_taken_back(site: Site) -> None:
    site.has(of_scan(1, AT), analysed_at=AT)
    site.has(of_scan(2, AT, acquisition_id="scan-1", regions=(RegionMeasured("L1-L4", 0.8),)), analysed_at=AT + HOUR)
    site.has(of_scan(3, AT), analysed_at=AT)
    site.has(replace(WITHHELD, subject_event_id="m4", acquisition_id="scan-3"), analysed_at=AT + HOUR)
    (message,) = site.said(AMENDED)
    assert values(message) == [("BMD.L1-L4", "0.8", "C")]


def test_a_decision_that_is_taken_back_is_told_to_those_who_were_told_of_it(site: Site) -> None:
    site.has(of_scan(1, AT))
    site.has(of_scan(2, AT, mode="fast"))
    site.has(AMENDED)
    back = replace(AMENDED, revision=2, verdict=ReviewVerdict.NONE, modes=(), unit="", sizes=(), is_withdrawn=True)
    messages = site.said(back)
    assert accessions(messages) == ["ACC0001"]
    assert values(messages[0]) == [("BMD.L1-L4", "0.9", "C")]
    assert notes(messages[0]) == ["A physicist's decision about this measurement was changed or taken back."]
    assert site.said(replace(back, revision=3)) == []


def test_a_decision_that_now_reaches_less_far_is_told_on_both_sides_of_its_new_end(site: Site) -> None:
    site.has(of_scan(1, AT - HOUR))
    site.has(of_scan(2, AT + HOUR))
    site.has(AMENDED)
    first, second = site.said(replace(AMENDED, revision=2, until=AT, verdict=ReviewVerdict.ANNOTATE, sizes=()))
    assert notes(first) == ["A physicist's decision, annotate: the scanner read high"]
    assert notes(second) == ["A physicist's decision about this measurement was changed or taken back."]


def test_a_measurement_that_arrives_after_a_decision_about_its_time_comes_with_it(site: Site) -> None:
    site.has(AMENDED)
    (message,) = site.said(of_scan(1, AT, decisions=("r1",)))
    (note,) = notes(message)
    assert note.endswith("the scanner read high (the device was +2 percent off, 95 % interval +1 to +3)")
    assert statuses(message) == {"P"}  # it is the first that the receiver hears of it
    newer = of_scan(2, AT, acquisition_id="scan-1", accession_number="ACC0001")
    (message,) = site.said(newer, analysed_at=AT + HOUR)
    assert statuses(message) == {"C"}


def test_a_message_made_again_says_what_was_known_then(site: Site) -> None:
    (first,) = site.said(SPINE)
    site.has(AMENDED)
    with PublishedLog(site.path) as log:
        notice = log.after(BEGINNING, Selection(TYPES), 1000).notices[0]
    composer = OruComposer(RECEIVER, site="test-site", log=site.path)
    assert [message.body.decode() for message in composer.compose(notice)] == [first]
    composer.close()


@pytest.mark.parametrize(
    ("at", "wanted"),
    [
        (AT - 9 * HOUR, (1.0, 0.5, None)),
        (AT - HOUR, (1.0, 0.5, None)),
        (AT, (2.0, 1.0, None)),
        (AT + HOUR, (3.0, 1.5, 4.5)),
        (AT + 9 * HOUR, (3.0, 1.5, 4.5)),
    ],
)
def test_a_size_is_a_line_between_its_times_and_stays_outside_of_them(
    at: datetime, wanted: tuple[float, float | None, float | None]
) -> None:
    sizes = (SizeAt(AT - HOUR, 1.0, 0.5, None), SizeAt(AT + HOUR, 3.0, 1.5, 4.5))
    assert size_at(replace(AMENDED, sizes=sizes), at) == wanted


def test_no_size_is_told_where_there_is_none() -> None:
    assert size_at(replace(AMENDED, sizes=()), AT) is None


# --- how it is written ---------------------------------------------------------------------------------------

_MEANT: Final = {"F": "|", "S": "^", "T": "&", "R": "~", "E": "\\"}


def unescaped(field: str) -> str:
    """HL7 v2.5.1, 2.7.1: each escape sequence is one letter between two escape characters."""
    return re.sub(r"\\([FSTRE])\\", lambda found: _MEANT[found[1]], field)


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=40) | st.text(alphabet="|^~&\\FSTREHN.br\r\n\x0b\x1c ", max_size=20))
def test_any_text_comes_back_from_hl7apy_with_control_characters_as_blanks(words: str) -> None:
    order, note = parse_segments(f"OBR||{components(words, 'x')}\rNTE|||{text(words)}\r", "2.5.1")
    wanted = re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", " ", words).strip()
    wanted = "" if wanted == '""' else wanted
    assert unescaped(order.obr_2.ei_1.to_er7()) == wanted
    assert unescaped(note.nte_3.to_er7() if wanted else "") == wanted
    assert not set(text(words)) & {"\r", "\n", "\x0b", "\x1c", "|", "^", "~", "&"}


@pytest.mark.parametrize(
    ("value", "written"),
    [(0.912, "0.912"), (71.0, "71.0"), (1e-05, "0.00001"), (-0.0, "-0.0"), (1e16, "10000000000000000")],
)
def test_a_number_has_its_digits_and_no_exponent(value: float, written: str) -> None:
    assert number(value) == written


def test_nothing_but_measurements_is_told() -> None:
    assert TYPES == (
        "bonewatch.measurement-validated.v1",
        "bonewatch.measurement-withheld.v1",
        "bonewatch.measurements-amended.v1",
    )
