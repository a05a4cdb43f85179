"""Faults and handovers: what is wrong now, how often, how long it took, who has a scanner."""

from typing import Final

from dashboards.grafana.board import Board, device_variables
from dashboards.grafana.panels import AMBER, GREY, RED, figures, fixed, over_time, rows, scanner_link
from dashboards.grafana.queries import DAYS, HOURS, PERCENT, Format, SqlQuery, flag, listed, number, text, time

CHOSEN: Final = "device IN (${device:sqlstring})"

COUNTS: Final = SqlQuery(
    "faults_counted",
    f"""SELECT count(*) AS "Reported", count(*) FILTER (WHERE stops_scanning) AS "Stopped scanning",
       count(*) FILTER (WHERE is_open) AS "Still open",
       percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM cleared_at - logged_at)::double precision)
           / 3600 AS "Median to put right"
FROM bonewatch.faults WHERE {CHOSEN} AND $__timeFilter(logged_at)""",
    (number("Reported"), number("Stopped scanning"), number("Still open"), number("Median to put right", HOURS, 1)),
)

OPEN: Final = SqlQuery(
    "faults_open",
    f"""SELECT device AS "Device", logged_at AS "Since", severity AS "Severity", code AS "Code",
       component AS "Component", text AS "Fault", stops_scanning AS "Stops scanning",
       extract(epoch FROM now() - logged_at)::double precision / 86400 AS "Days open"
FROM bonewatch.open_faults WHERE {CHOSEN} ORDER BY stops_scanning DESC, logged_at""",
    (
        text("Device"), time("Since"), text("Severity"), text("Code"), text("Component"), text("Fault"),
        flag("Stops scanning"), number("Days open", DAYS, 0),
    ),
)  # fmt: skip

BY_MONTH: Final = SqlQuery(
    "faults_by_month",
    f"""SELECT date_trunc('month', logged_at, 'UTC') AS "time",
       count(*) FILTER (WHERE stops_scanning) AS "Stopped scanning",
       count(*) FILTER (WHERE NOT stops_scanning) AS "Scanning went on"
FROM bonewatch.faults WHERE {CHOSEN} AND $__timeFilter(logged_at) GROUP BY 1 ORDER BY 1""",
    (time(), number("Stopped scanning"), number("Scanning went on")),
    Format.TIME_SERIES,
)

COMMONEST: Final = SqlQuery(
    "faults_by_code",
    f"""SELECT coalesce(nullif(code, ''), 'reported by a person') AS "Code", component AS "Component",
       count(*) AS "Faults", count(DISTINCT device) AS "Devices", max(logged_at) AS "Last"
FROM bonewatch.faults WHERE {CHOSEN} AND $__timeFilter(logged_at) GROUP BY code, component ORDER BY 3 DESC LIMIT 50""",
    (text("Code"), text("Component"), number("Faults"), number("Devices"), time("Last")),
)

HANDOVERS: Final = SqlQuery(
    "handovers",
    f"""SELECT device AS "Device", handed_over_at AS "Handed over", company AS "Company", reason AS "Reason",
       handed_back_at AS "Handed back", decided_at AS "Decided",
       CASE WHEN decided_at IS NULL AND handed_back_at IS NULL THEN 'With the engineer'
            WHEN decided_at IS NULL THEN 'Waits for a decision'
            WHEN returned THEN 'In clinical use again' ELSE 'Not accepted' END AS "State",
       {listed("affected")} AS "Affected",
       extract(epoch FROM coalesce(decided_at, now()) - handed_over_at)::double precision / 3600 AS "Length"
FROM bonewatch.handovers
WHERE {CHOSEN} AND (decided_at IS NULL OR $__timeFilter(handed_over_at))
ORDER BY decided_at IS NOT NULL, handed_over_at DESC LIMIT 500""",
    (
        text("Device"), time("Handed over"), text("Company"), text("Reason"), time("Handed back"), time("Decided"),
        text("State"), text("Affected"), number("Length", HOURS, 1),
    ),
)  # fmt: skip

STEPS: Final = SqlQuery(
    "steps_after_service",
    f"""SELECT device AS "Device", phantom_id AS "Phantom", epoch AS "Epoch", accepted_at AS "Accepted",
       step_percent AS "Step",
       CASE WHEN decided_at IS NULL THEN 'Waits for a physicist' WHEN is_comparable THEN 'Comparable'
            ELSE 'Not comparable' END AS "Readings before and after"
FROM bonewatch.epochs_compared WHERE {CHOSEN} AND epoch > 1
ORDER BY decided_at IS NOT NULL, accepted_at DESC LIMIT 200""",
    (
        text("Device"), text("Phantom"), number("Epoch"), time("Accepted"), number("Step", PERCENT, 2),
        text("Readings before and after"),
    ),
)  # fmt: skip


def board() -> Board:
    """Return the dashboard."""
    return Board(
        "bonewatch-faults",
        "Faults and handovers",
        "What is wrong, how often, how long it took, and which scanners are with an engineer.",
        (
            figures("Faults in this time", "Faults that people reported or a scanner's log told of. The median is"
                    " of those that were put right.", COUNTS, width=24,
                    looks={"Stopped scanning": {"color": fixed(RED)}, "Still open": {"color": fixed(AMBER)},
                           "Median to put right": {"color": fixed(GREY)}}),
            rows("Open faults", "Those that stop scanning first.", OPEN, width=24, height=8,
                 looks={"Device": scanner_link()}),
            over_time("Faults by month", "Reported in a month (UTC).", BY_MONTH, width=14, bars=True,
                      looks={"Stopped scanning": {"color": fixed(RED)}, "Scanning went on": {"color": fixed(GREY)}}),
            rows("Commonest", "By the code in the device's log.", COMMONEST, width=10, empty="None in this time"),
            rows("Handovers", "A scanner with an engineer is held, and after it until its QC has passed"
                    " again.", HANDOVERS,
                 width=24, looks={"Device": scanner_link()}, empty="None in this time"),
            rows("Steps between baselines", "A new baseline breaks comparability until a physicist has reviewed"
                    " the step.",
                 STEPS, width=24, height=7, looks={"Device": scanner_link()}),
        ),
        tuple(device_variables("scanner", "scale", "stadiometer", "hoist")),
        since="now-1y",
    )  # fmt: skip
