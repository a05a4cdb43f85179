"""Printed reports as DXA scanners lay them out; plainly synthetic.

The layouts, and the values of the examples, follow descriptions of real reports whose identities were blanked
(protocols reference 1.5); what those do not give (a Norland's single vertebrae, a dual hip's masses) is invented, and
so are all persons, ids and serial numbers. A page is a list of texts with their places, which a test may change before
it becomes a PDF. fpdf2 writes the PDF.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec
from fpdf import FPDF

LINE_PT: Final = 12.0


class Text(msgspec.Struct, frozen=True):
    """A text at a place of the page, in points from its top left."""

    x: float
    y: float
    text: str
    bold: bool = False
    size: float = 9.0


class Row(msgspec.Struct, frozen=True):
    """A row of the table, as printed; an empty text prints nothing."""

    region: str
    area: str
    bmc: str
    bmd: str
    t_score: str = ""
    z_score: str = ""


class Report(msgspec.Struct, frozen=True):
    """Who and what was scanned, when, by which scanner; times are those of its computer's clock."""

    rows: tuple[Row, ...]
    patient_id: str = "SPINE-1234"
    patient_name: str = "PHANTOM, SPINE"
    scanned_at: datetime = datetime(2019, 12, 4, 12, 55, 10)  # noqa: DTZ001 - a scanner's clock names no zone
    analysed_at: datetime | None = None
    printed_at: datetime | None = None
    scan_id: str = "A12041901"
    serial: str = "300123M"
    accession_number: str = ""

    @property
    def analysed(self) -> datetime:
        """When it was analysed; two minutes after the scan unless said."""
        return self.analysed_at or self.scanned_at + timedelta(minutes=2)


HOLOGIC_SPINE: Final = (
    Row("L1", "13.26", "11.58", "0.873", "-1.1", "-0.2"),
    Row("L2", "13.72", "12.94", "0.943", "-0.8", "0.2"),
    Row("L3", "14.81", "13.93", "0.941", "-1.3", "-0.2"),
    Row("L4", "13.97", "13.40", "0.959", "-0.9", "0.1"),
    Row("L1-L4", "55.77", "51.85", "0.930", "-1.1", "0.0"),
)
"""Of the Hologic report in reference 1.5; its scores are invented."""

HOLOGIC_HIPS: Final = (
    Row("Neck Left", "5.02", "3.79", "0.755", "-0.9", "0.3"),
    Row("Neck Right", "5.10", "3.92", "0.769", "-0.7", "0.4"),
    Row("Neck Mean", "", "", "0.762"),
    Row("Neck |Diff.|", "", "", "0.014"),
    Row("Total Left", "33.10", "29.23", "0.883", "-0.5", "0.3"),
    Row("Total Right", "32.85", "29.44", "0.896", "-0.4", "0.4"),
    Row("Total Mean", "", "", "0.890"),
    Row("Total |Diff.|", "", "", "0.013"),
)
GE_SPINE: Final = (
    Row("L1", "9.31", "8.88", "0.954", "-1.5", "-0.6"),
    Row("L2", "9.70", "9.86", "1.016", "-1.5", "-0.6"),
    Row("L3", "10.08", "10.62", "1.054", "-1.2", "-0.3"),
    Row("L4", "10.38", "11.00", "1.060", "-1.2", "-0.3"),
    Row("L1-L4", "39.47", "40.36", "1.022", "-1.3", "-0.4"),
)
"""L1-L4 of the GE report in reference 1.5; the vertebrae are invented, and add up to it."""

GE_FEMURS: Final = (
    Row("Neck Left", "5.11", "4.49", "0.879", "-1.1", "0.1"),
    Row("Neck Right", "5.20", "4.70", "0.904", "-1.0", "0.3"),
    Row("Total Left", "33.02", "30.71", "0.930", "-0.6", "0.2"),
    Row("Total Right", "32.60", "30.64", "0.940", "-0.5", "0.3"),
    Row("Total Mean", "-", "-", "0.935", "-0.6", "0.2"),
    Row("Total Diff.", "-", "-", "0.010", "-", "-"),
)
NORLAND_SPINE: Final = (
    Row("L2-L4", "43.80", "39.17", ".8942", "-1.29", "-.41"),
    Row("L2", "13.90", "12.01", ".8640", "", ""),
    Row("L3", "14.80", "13.30", ".8986", "", ""),
    Row("L4", "15.10", "13.86", ".9179", "", ""),
)
"""L2-L4 of the Norland report in reference 1.5; the vertebrae are invented, and add up to it."""

_K, _D0 = "1.130", "48.6"
_GE_STATISTICS: Final = "Statistically 68% of repeat scans fall within 1SD (\u00b1 0.010 g/cm\u00b2 for AP Spine L1-L4)"


def hologic_page(report: Report, *, k: str = _K, d0: str = _D0) -> list[Text]:
    """Return the page of a spine or one hip as APEX lays it out: images and constants left, results right."""
    dual = any(" Left" in row.region for row in report.rows)
    texts = _hologic_head(report, "a Dual Hip" if dual else "a Lumbar Spine", dual=dual)
    if dual:
        texts += [
            Text(60, 430, "Left   k = 1.132, d0 = 52.0", size=7.0),
            Text(60, 442, "Right  k = 1.133, d0 = 52.2", size=7.0),
        ]
        for place, side in enumerate(("Left", "Right")):
            scan_id = _with_sequence(report.scan_id, place)
            words = (
                f"{side} - Scan Id:{scan_id} (S/N {report.serial}) Analysis:{_long(report.analysed)}"
                " Hip V:13.6.0.5 Operator: TT Comment:"
            )
            texts.append(Text(40, 700 + LINE_PT * place, words, size=7.0))
    else:
        texts += [Text(60, 430, f"k = {k}, d0 = {d0}", size=7.0), Text(60, 442, "116 x 135", size=7.0)]
    return texts + _table(
        ["Region", "Area", "BMC", "BMD", "T -", "Z -"],
        ["", "(cm\u00b2)", "(g)", "(g/cm\u00b2)", "score", "score"],
        [[row.region, row.area, row.bmc, row.bmd, row.t_score, row.z_score] for row in report.rows],
        columns=[300, 352, 402, 450, 500, 540],
        top=410,
        title="DXA Results Summary:",
        footer="Total BMD CV 1.0%, ACF = 1.028, BCF = 0.998",
    )


def _hologic_head(report: Report, scan_type: str, *, dual: bool) -> list[Text]:
    head = [
        Text(40, 40, "Synthetic department: no real person", bold=True, size=11.0),
        Text(40, 70, f"Name: {report.patient_name}"),
        Text(260, 70, "Sex: Female"),
        Text(420, 70, "Height: 162.0 cm"),
        Text(40, 84, f"Patient ID: {report.patient_id}"),
        Text(260, 84, "Ethnicity: White"),
        Text(420, 84, "Weight: 61.0 kg"),
        Text(40, 98, "DOB: January 01, 1950"),
        Text(420, 98, "Age: 69"),
        Text(300, 130, "Scan Information:", bold=True),
        Text(300, 144, f"Scan Date: {report.scanned_at:%B %d, %Y}"),
        Text(300, 158, f"Scan Type: {scan_type}"),
        Text(300, 200, f"Model: Horizon A (S/N {report.serial})"),
        Text(300, 214, f"Comment: {report.accession_number}"),
    ]
    if dual:
        return head
    return [
        *head,
        Text(455, 144, f"ID: {report.scan_id}"),
        Text(300, 172, f"Analysis: {_long(report.analysed)} Version 13.6.0.5 Spine"),
        Text(300, 186, "Operator: TT"),
    ]


def ge_page(report: Report, *, month_first: bool = True) -> list[Text]:
    """Return the page as enCORE lays it out; both tables, twelve-hour clock."""

    def stamp(at: datetime) -> str:
        day = f"{at:%m/%d/%Y}" if month_first else f"{at:%d/%m/%Y}"
        return f"{day} {at:%I:%M:%S %p}".replace(" 0", " ")

    sided = any(" Left" in row.region for row in report.rows)
    kind = "DualFemur" if sided else "AP Spine"
    created = stamp(report.printed_at or report.analysed + timedelta(minutes=5))
    texts = [
        Text(40, 40, "Synthetic department: no real person", bold=True, size=11.0),
        Text(40, 70, f"Patient: {report.patient_name}"),
        Text(330, 70, f"Patient ID: {report.patient_id}"),
        Text(40, 84, "Birth Date: 01/01/1950 69.9 years"),
        Text(330, 84, f"Accession Number: {report.accession_number}"),
        Text(40, 98, "Height / Weight: 162.0 cm 61.0 kg"),
        Text(330, 98, f"Measured: {stamp(report.scanned_at)} (16 [SP 2])"),
        Text(40, 112, "Sex / Ethnic: Female White"),
        Text(330, 112, f"Analyzed: {stamp(report.analysed)} (16 [SP 2])"),
        Text(
            40,
            690,
            "Statistically 68% of repeat scans fall within 1SD (\u00b1 0.010 g/cm\u00b2 for AP Spine L1-L4)",
            size=7.0,
        ),
        Text(
            40,
            705,
            f"Date created: {created} 16 [SP 2]; Filename: test0001.dfc; {kind}; Scan Mode: Standard; 37.0 \u00b5Gy",
            size=7.0,
        ),
        Text(330, 750, f"Lunar Prodigy {report.serial}"),
    ]
    texts += _table(
        ["Region", "BMD", "YA", "YA", "AM", "AM"],
        ["", "(g/cm\u00b2)", "(%)", "T-score", "(%)", "Z-score"],
        [[row.region, row.bmd, "88", row.t_score or "-", "96", row.z_score or "-"] for row in report.rows],
        columns=[300, 360, 410, 450, 495, 530],
        top=170,
        title=f"Densitometry: {kind}",
    )
    return texts + _table(
        ["", "BMD", "Young-Adult", "", "Age-Matched", "", "BMC", "Area", "Width", "Height"],
        ["Region", "(g/cm\u00b2)", "(%)", "T-score", "(%)", "Z-score", "(g)", "(cm\u00b2)", "(cm)", "(cm)"],
        [
            [r.region, r.bmd, "88", r.t_score or "-", "96", r.z_score or "-", r.bmc, r.area, "4.1", "3.3"]
            for r in report.rows
        ],
        columns=[40, 110, 165, 205, 265, 305, 365, 410, 460, 510],
        top=470,
        title=f"ANCILLARY RESULTS: {kind}",
    )


def norland_page(report: Report, *, month_first: bool = True) -> list[Text]:
    """Return the page as Illuminatus lays it out."""

    def stamp(at: datetime) -> str:
        day = f"{at.month}/{at.day}/{at.year}" if month_first else f"{at.day}/{at.month}/{at.year}"
        return f"{day} {at:%I:%M:%S %p}".replace(" 0", " ")

    calibrated = stamp(report.scanned_at.replace(hour=8, minute=7, second=53)).removesuffix(" AM")
    texts = [
        Text(40, 40, "Norland Elite - Illuminatus 4.7.5", bold=True, size=11.0),
        Text(40, 70, f"Name: {report.patient_name}"),
        Text(300, 70, f"ID: {report.patient_id}"),
        Text(40, 84, "DOB: 1/1/1950"),
        Text(300, 84, "Sex: Female  Ethnic: White"),
        Text(40, 98, "Age: 52"),
        Text(300, 98, "Height: 162.0 cm  Weight: 61.0 kg"),
        Text(40, 140, f"AP Spine on: {stamp(report.scanned_at)}", bold=True),
        Text(40, 400, "Total sBMD 962.3mg/cm\u00b2 42150mg"),
        Text(
            40,
            720,
            f"1.5 x 1.5 mm, 60 mm/s, Rev. 3.9.4/2.1.0 Calib. {calibrated} S/N {report.serial}",
            size=7.0,
        ),
    ]
    return texts + _table(
        ["Region", "BMD", "BMC", "Area", "Length", "Width", "T-Score", "Young Ref.", "Z-Score", "Age Match"],
        ["", "(g/cm\u00b2)", "(g)", "(cm\u00b2)", "(cm)", "(cm)", "", "(%)", "", "(%)"],
        [[r.region, r.bmd, r.bmc, r.area, "10.2", "4.3", r.t_score, "87", r.z_score, "95"] for r in report.rows],
        columns=[40, 85, 130, 170, 210, 255, 300, 350, 415, 465],
        top=200,
        title="Results",
    )


def printed(
    pages: Sequence[Iterable[Text]], *, font_file: str = "", password: str = "", compress: bool = True
) -> bytes:
    """Return the PDF of these pages, with its text embedded as `font_file` (a printer driver's way) if one is given."""
    pdf = FPDF(unit="pt", format="A4")
    pdf.set_compression(compress)
    family = "Helvetica"
    if font_file:
        family = "own"
        pdf.add_font(family, "", font_file)
        pdf.add_font(family, "B", font_file)
    for page in pages:
        pdf.add_page()
        for text in page:
            pdf.set_font(family, "B" if text.bold else "", text.size)
            pdf.text(text.x, text.y, text.text)
    if password:
        pdf.set_encryption(owner_password=f"{password}-owner", user_password=password)
    return bytes(pdf.output())


def _table(
    names: Sequence[str],
    units: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    columns: Sequence[float],
    top: float,
    title: str,
    footer: str = "",
) -> list[Text]:
    texts = [Text(columns[0], top, title, bold=True)]
    lines = [names, units, *rows]
    for place, line in enumerate(lines):
        y = top + LINE_PT * (1.5 + place)
        bold = place > 1 and "-L" in line[0]
        texts += [Text(x, y, text, bold=bold) for x, text in zip(columns, line, strict=True) if text]
    if footer:
        texts.append(Text(columns[0], top + LINE_PT * (2.0 + len(lines)), footer, size=7.0))
    return texts


def _with_sequence(scan_id: str, place: int) -> str:
    """Return the id of the scan taken `place` scans later."""
    return f"{scan_id[:-1]}{int(scan_id[-1]) + place}"


def _long(at: datetime) -> str:
    return f"{at:%B %d, %Y %H:%M}"
