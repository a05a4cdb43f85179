"""Scales and stadiometers: checks with standards of known value."""

from typing import Final

from dashboards.grafana.board import Board, device_variables
from dashboards.grafana.panels import AMBER, GREY, RED, figures, fixed, marks, over_time, rows
from dashboards.grafana.queries import DAYS, Format, SqlQuery, listed, number, text, time, words

CHOSEN: Final = "device IN (${device:sqlstring})"
KILOGRAMS: Final = "suffix: kg"
CENTIMETRES: Final = "suffix: cm"

COUNTS: Final = SqlQuery(
    "checks_by_verdict",
    f"""SELECT count(*) AS "Checks", count(*) FILTER (WHERE verdict = 'warn') AS "Warned",
       count(*) FILTER (WHERE verdict = 'fail') AS "Failed",
       count(*) FILTER (WHERE verdict = 'not_judged') AS "Not judged"
FROM bonewatch.device_checks WHERE {CHOSEN} AND $__timeFilter(measured_at)""",
    (number("Checks"), number("Warned"), number("Failed"), number("Not judged")),
)


def _errors(name: str, unit: str, grafana_unit: str, decimals: int) -> SqlQuery:
    return SqlQuery(
        name,
        f"""SELECT measured_at AS "time", device || ', ' || standard_id AS "metric", error AS "Error"
FROM bonewatch.device_checks
WHERE {CHOSEN} AND unit = '{unit}' AND $__timeFilter(measured_at)
ORDER BY measured_at""",
        (time(), text("metric"), number("Error", grafana_unit, decimals)),
        Format.TIME_SERIES,
    )


SCALE_ERRORS: Final = _errors("scale_errors", "kg", KILOGRAMS, 2)
STADIOMETER_ERRORS: Final = _errors("stadiometer_errors", "cm", CENTIMETRES, 1)

LAST: Final = SqlQuery(
    "last_checks",
    f"""SELECT c.device AS "Device", kind AS "Kind", c.standard_id AS "Standard", measured_at AS "Checked",
       nominal AS "Nominal", read AS "Read", error AS "Error", unit AS "Unit", {words('verdict')} AS "Verdict",
       extract(epoch FROM now() - measured_at)::double precision / 86400 AS "Days ago", note AS "Note"
FROM (SELECT DISTINCT device, standard_id FROM bonewatch.device_checks WHERE {CHOSEN}) s
CROSS JOIN LATERAL (
    SELECT * FROM bonewatch.device_checks c
    WHERE c.device = s.device AND c.standard_id = s.standard_id ORDER BY measured_at DESC LIMIT 1
) c ORDER BY c.device, c.standard_id""",
    (
        text("Device"), text("Kind"), text("Standard"), time("Checked"), number("Nominal", decimals=2),
        number("Read", decimals=2), number("Error", decimals=2), text("Unit"), text("Verdict"),
        number("Days ago", DAYS, 0), text("Note"),
    ),
)  # fmt: skip

DUE: Final = SqlQuery(
    "gates_of_small_devices",
    f"""SELECT g.device AS "Device", g.status AS "State", {listed("g.reason_codes")} AS "Reasons",
       g.since AS "Since"
FROM bonewatch.gate_now g WHERE g.{CHOSEN} ORDER BY g.status = 'open', g.device""",
    (text("Device"), text("State"), text("Reasons"), time("Since")),
)


def board() -> Board:
    """Return the dashboard."""
    return Board(
        "bonewatch-checks",
        "Scale and stadiometer checks",
        "Readings of test weights and rods. A failed check withholds weight and height, never the scanner.",
        (
            figures("Checks in this time", "How many checks were made, and what they came to.", COUNTS, width=24,
                    looks={"Warned": {"color": fixed(AMBER)}, "Failed": {"color": fixed(RED)},
                           "Not judged": {"color": fixed(GREY)}}),
            over_time("Error of scales", "Reading less the weight's nominal value, for each scale and weight."
                      " Limits are those that are configured for the scale.", SCALE_ERRORS, width=12,
                      looks={"Error": _points()}, empty="No scale was checked in this time"),
            over_time("Error of stadiometers", "Reading less the rod's nominal length. Local policy: warn at 0.2"
                      " cm, fail at 0.5 cm.", STADIOMETER_ERRORS, width=12, looks={"Error": _points()},
                      empty="No stadiometer was checked in this time"),
            rows("Last check with each standard", "Whatever time is chosen above.", LAST, width=24, height=10,
                 empty="No check yet"),
            rows("How they stand", "Held: what it weighs or measures is withheld until a check passes.", DUE, width=24,
                 height=7, empty="No scale or stadiometer is known"),
        ),
        tuple(device_variables("scale", "stadiometer", "hoist")),
        since="now-1y",
    )  # fmt: skip


def _points() -> dict[str, object]:
    return {key: value for key, value in marks(GREY, 7).items() if key != "color"}
