"""All devices at a glance: who may scan now, what failed lately, what drifts, what waits."""

from typing import Final

from dashboards.grafana.board import Board, device_variables
from dashboards.grafana.panels import (
    AMBER,
    BLUE,
    GREEN,
    GREY,
    RED,
    VIOLET,
    figures,
    fixed,
    over_time,
    ranking,
    rows,
    scanner_link,
    state_look,
)
from dashboards.grafana.queries import PERCENT, SIGMAS, Format, SqlQuery, listed, number, text, time, words

CHOSEN: Final = "device IN (${device:sqlstring})"

GATES: Final = SqlQuery(
    "gates_by_state",
    f"""SELECT count(*) FILTER (WHERE status = 'open') AS "Open", count(*) FILTER (WHERE status = 'held') AS "Held",
       count(*) FILTER (WHERE status = 'overridden') AS "Overridden",
       count(*) FILTER (WHERE 'state_unknown' = ANY (reason_codes)) AS "State unknown"
FROM bonewatch.gate_now WHERE {CHOSEN}""",
    (number("Open"), number("Held"), number("Overridden"), number("State unknown")),
)

WAITING: Final = SqlQuery(
    "waiting",
    f"""SELECT (SELECT count(*) FROM bonewatch.review_log WHERE {CHOSEN} AND is_open) AS "Reviews",
       (SELECT count(*) FROM bonewatch.open_faults WHERE {CHOSEN}) AS "Open faults",
       (SELECT count(*) FROM bonewatch.open_handovers WHERE {CHOSEN}) AS "With engineers",
       (SELECT count(*) FROM bonewatch.duty_now WHERE {CHOSEN} AND standing = 'overdue') AS "Work overdue\"""",
    (number("Reviews"), number("Open faults"), number("With engineers"), number("Work overdue")),
)

DEVICES: Final = SqlQuery(
    "devices",
    f"""WITH last AS (
    SELECT DISTINCT ON (device) device, measured_at, deviation_percent, verdict,
           greatest(cusum_upper_sigmas, cusum_lower_sigmas) AS cusum
    FROM bonewatch.qc_chart
    WHERE device IN (${{device:sqlstring}}) AND $__timeFilter(measured_at) AND target_g_cm2 IS NOT NULL
    ORDER BY device, measured_at DESC
)
SELECT g.device AS "Device", g.mode AS "Mode", d.make AS "Make", d.model AS "Model", d.stage AS "Stage",
       g.status AS "Gate", g.since AS "Since", {listed("g.reason_codes")} AS "Reasons",
       l.measured_at AS "Last phantom", {words('l.verdict')} AS "Verdict",
       l.deviation_percent AS "Deviation", l.cusum AS "CUSUM"
FROM bonewatch.gate_now g JOIN bonewatch.devices d USING (device) LEFT JOIN last l USING (device)
WHERE g.device IN (${{device:sqlstring}})
ORDER BY g.status = 'open', g.device, g.mode""",
    (
        text("Device"), text("Mode"), text("Make"), text("Model"), text("Stage"), text("Gate"), time("Since"),
        text("Reasons"), time("Last phantom"), text("Verdict"), number("Deviation", PERCENT, 2),
        number("CUSUM", SIGMAS, 2),
    ),
)  # fmt: skip

FAILURES: Final = SqlQuery(
    "readings_by_day",
    f"""SELECT date_trunc('day', measured_at, 'UTC') AS "time",
       count(*) FILTER (WHERE verdict IN ('fail', 'fail_confirmed')) AS "Outside tolerance",
       count(*) FILTER (WHERE signal) AS "Signals"
FROM bonewatch.qc_chart WHERE {CHOSEN} AND $__timeFilter(measured_at) GROUP BY 1 ORDER BY 1""",
    (time(), number("Outside tolerance"), number("Signals")),
    Format.TIME_SERIES,
    aggregate=f"""SELECT day AS "time", sum(failed)::bigint AS "Outside tolerance", sum(signals)::bigint AS "Signals"
FROM bonewatch.qc_daily WHERE {CHOSEN} AND $__timeFilter(day) GROUP BY day ORDER BY day""",
)

DRIFT: Final = SqlQuery(
    "largest_deviations",
    """SELECT device AS "Device", mean AS "Deviation" FROM (
    SELECT device, phantom_id, avg(deviation_percent) AS mean FROM bonewatch.qc_chart
    WHERE device IN (${device:sqlstring}) AND $__timeFilter(measured_at)
      AND deviation_percent IS NOT NULL
    GROUP BY device, phantom_id
) m ORDER BY abs(mean) DESC LIMIT 10""",
    (text("Device"), number("Deviation", PERCENT, 2)),
    aggregate="""SELECT device AS "Device", mean AS "Deviation" FROM (
    SELECT device, phantom_id, sum(mean_deviation_percent * charted) / sum(charted) AS mean
    FROM bonewatch.qc_daily
    WHERE device IN (${device:sqlstring}) AND $__timeFilter(day) AND mean_deviation_percent IS NOT NULL
    GROUP BY device, phantom_id
) m ORDER BY abs(mean) DESC LIMIT 10""",
)

BY_VERSION: Final = SqlQuery(
    "devices_by_make",
    f"""SELECT coalesce(nullif(make, ''), 'not given') AS "Make", model AS "Model", kind AS "Kind",
       count(*) AS "Devices", count(*) FILTER (WHERE stage = 'clinical') AS "In clinical use"
FROM bonewatch.devices WHERE {CHOSEN} GROUP BY make, model, kind ORDER BY 4 DESC, 1, 2""",
    (text("Make"), text("Model"), text("Kind"), number("Devices"), number("In clinical use")),
)


def board() -> Board:
    """Return the dashboard."""
    return Board(
        "bonewatch-fleet",
        "Fleet overview",
        "Every scanner of every site: gate, last phantom, what waits for somebody. The console decides; this shows.",
        (
            figures("Gates now", "How many gates stand open, held or overridden now. A gate whose time has run"
                    " out, or of a device that is not heard of, counts as held with its state"
                    " unknown.", GATES, width=12,
                    looks={"Open": {"color": fixed(GREEN)}, "Held": {"color": fixed(RED)},
                           "Overridden": {"color": fixed(AMBER)}, "State unknown": {"color": fixed(VIOLET)}},
                    empty="No gate is known"),
            figures("Waiting for somebody", "Reviews for a physicist, faults not put right, scanners with"
                    " engineers, work that is overdue.", WAITING, width=12, steps=((None, GREY), (1, AMBER))),
            rows("Scanners", "Those that may not scan come first. Last phantom: in the time chosen; empty means"
                    " none.", DEVICES,
                 width=24, height=14, looks={"Device": scanner_link(), "Gate": state_look()},
                 empty="No scanner is known"),
            over_time("Readings outside tolerance, and signals, by day", "Phantom readings of a day (UTC) that"
                      " failed, or at which a chart signalled. A failure that its repeat cleared counts"
                      " too.", FAILURES, width=14,
                      bars=True,
                      looks={"Outside tolerance": {"color": fixed(RED)}, "Signals": {"color": fixed(VIOLET)}},
                      empty="No reading in this time"),
            ranking("Farthest from their baselines", "Mean deviation in the time chosen, the ten largest."
                    " Tolerance is 1.5 % where nothing else is configured.", DRIFT, width=10,
                    steps=((None, AMBER), (-1.0, BLUE), (1.0, AMBER)), empty="No reading in this time"),
            rows("What there is", "Scanners by make and model.", BY_VERSION, width=24, height=7),
        ),
        tuple(device_variables("scanner")),
    )  # fmt: skip
