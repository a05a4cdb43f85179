"""One scanner's quality: control chart, CUSUM, what broke a rule, baselines; epochs and service as marks."""

from typing import Final

from dashboards.grafana.board import Annotation, Board, Variable, device_variables
from dashboards.grafana.panels import (
    AMBER,
    BLUE,
    GREEN,
    GREY,
    RED,
    VIOLET,
    Look,
    Panel,
    figures,
    line,
    marks,
    over_time,
    rows,
)
from dashboards.grafana.queries import (
    GRAMS_PER_CM2,
    PERCENT,
    SIGMAS,
    Format,
    SqlQuery,
    flag,
    listed,
    number,
    text,
    time,
    words,
)

ONE_CHART: Final = "device IN (${device:sqlstring}) AND phantom_id IN (${phantom:sqlstring})"
CHART: Final = f"FROM bonewatch.qc_chart\nWHERE {ONE_CHART} AND $__timeFilter(measured_at)"
LAST: Final = f"""FROM bonewatch.qc_chart
WHERE {ONE_CHART} AND measured_at <= $__timeTo() AND target_g_cm2 IS NOT NULL
ORDER BY measured_at DESC LIMIT 1"""

CONTROL_CHART: Final = SqlQuery(
    "control_chart",
    f"""SELECT measured_at AS "time", bmd_g_cm2 AS "Reading", target_g_cm2 AS "Centre line",
       lower_g_cm2 AS "Lower tolerance", upper_g_cm2 AS "Upper tolerance",
       target_g_cm2 - 2 * sigma_g_cm2 AS "-2 sigma", target_g_cm2 + 2 * sigma_g_cm2 AS "+2 sigma",
       target_g_cm2 - 3 * sigma_g_cm2 AS "-3 sigma", target_g_cm2 + 3 * sigma_g_cm2 AS "+3 sigma",
       CASE WHEN verdict IN ('fail', 'fail_confirmed') THEN bmd_g_cm2 END AS "Outside tolerance",
       CASE WHEN cardinality(violated) > 0 THEN bmd_g_cm2 END AS "Breaks a rule",
       CASE WHEN greatest(cusum_upper_sigmas, cusum_lower_sigmas) > cusum_h_sigmas THEN bmd_g_cm2 END AS "CUSUM signals"
{CHART} AND bmd_g_cm2 IS NOT NULL AND plausible
ORDER BY measured_at""",
    (
        time(),
        *(
            number(name, GRAMS_PER_CM2, 4)
            for name in (
                "Reading", "Centre line", "Lower tolerance", "Upper tolerance", "-2 sigma", "+2 sigma", "-3 sigma",
                "+3 sigma", "Outside tolerance", "Breaks a rule", "CUSUM signals",
            )
        ),
    ),
    Format.TIME_SERIES,
)  # fmt: skip

CHART_LOOKS: Final[dict[str, Look]] = {
    "Reading": {"color": {"mode": "fixed", "fixedColor": BLUE}, "custom.showPoints": "always", "custom.pointSize": 4},
    "Centre line": line(GREY, width=2),
    "Lower tolerance": line(RED, width=2),
    "Upper tolerance": line(RED, width=2),
    "-2 sigma": line(AMBER, dash=(2, 6)),
    "+2 sigma": line(AMBER, dash=(2, 6)),
    "-3 sigma": line(AMBER, dash=(10, 6)),
    "+3 sigma": line(AMBER, dash=(10, 6)),
    "Outside tolerance": marks(RED, 11),
    "Breaks a rule": marks(AMBER, 9),
    "CUSUM signals": marks(VIOLET, 7),
}

CUSUM: Final = SqlQuery(
    "cusum",
    f"""SELECT measured_at AS "time", cusum_upper_sigmas AS "Upwards", -cusum_lower_sigmas AS "Downwards",
       cusum_h_sigmas AS "Upper limit", -cusum_h_sigmas AS "Lower limit"
{CHART} AND cusum_upper_sigmas IS NOT NULL
ORDER BY measured_at""",
    (time(), *(number(name, SIGMAS, 2) for name in ("Upwards", "Downwards", "Upper limit", "Lower limit"))),
    Format.TIME_SERIES,
)

DEVIATION_BY_MONTH: Final = SqlQuery(
    "deviation_by_month",
    f"""SELECT date_trunc('month', measured_at, 'UTC') AS "time", avg(deviation_percent) AS "Mean deviation",
       count(*) AS "Readings"
FROM bonewatch.qc_chart
WHERE {ONE_CHART} AND $__timeFilter(measured_at) AND deviation_percent IS NOT NULL
GROUP BY 1 ORDER BY 1""",
    (time(), number("Mean deviation", PERCENT, 2), number("Readings")),
    Format.TIME_SERIES,
    aggregate=f"""SELECT date_trunc('month', day, 'UTC') AS "time",
       sum(mean_deviation_percent * charted) / sum(charted) AS "Mean deviation", sum(charted)::bigint AS "Readings"
FROM bonewatch.qc_daily
WHERE {ONE_CHART} AND $__timeFilter(day) AND mean_deviation_percent IS NOT NULL
GROUP BY 1 ORDER BY 1""",
)

LATEST: Final = SqlQuery(
    "latest_reading",
    f"""SELECT bmd_g_cm2 AS "Reading", deviation_percent AS "From centre line",
       greatest(cusum_upper_sigmas, cusum_lower_sigmas) AS "CUSUM"
{LAST}""",
    (number("Reading", GRAMS_PER_CM2, 4), number("From centre line", PERCENT, 2), number("CUSUM", SIGMAS, 2)),
)

LATEST_VERDICT: Final = SqlQuery(
    "latest_verdict",
    f"""SELECT {words("verdict")} AS "Verdict", to_char(measured_at AT TIME ZONE 'UTC',
       'YYYY-MM-DD HH24:MI "UTC"') AS "Measured"
{LAST}""",
    (text("Verdict"), text("Measured")),
)

PRECISION: Final = SqlQuery(
    "spread",
    f"""SELECT 100 * stddev_samp(deviation_percent) / (100 + avg(deviation_percent)) AS "CV", count(*) AS "Readings"
{CHART} AND deviation_percent IS NOT NULL""",
    (number("CV", PERCENT, 2), number("Readings")),
)

JUDGED: Final = SqlQuery(
    "readings_to_look_at",
    f"""SELECT measured_at AS "Measured", phantom_id AS "Phantom", bmd_g_cm2 AS "Reading",
       deviation_percent AS "Deviation", {words('verdict')} AS "Verdict",
       coalesce(signal, false) AS "Signal", {listed("violated")} AS "Rules", note AS "Note"
{CHART} AND (verdict NOT IN ('pass', 'history') OR signal OR cardinality(violated) > 0)
ORDER BY measured_at DESC LIMIT 500""",
    (
        time("Measured"), text("Phantom"), number("Reading", GRAMS_PER_CM2, 4), number("Deviation", PERCENT, 2),
        text("Verdict"), flag("Signal"), text("Rules"), text("Note"),
    ),
)  # fmt: skip

EPOCHS: Final = SqlQuery(
    "epochs",
    f"""SELECT accepted_at AS "Accepted", phantom_id AS "Phantom", epoch AS "Epoch", n AS "Scans",
       mean_g_cm2 AS "Mean", sd_g_cm2 AS "SD", sigma_g_cm2 AS "Chart sigma", step_percent AS "Step", reason AS "Reason"
FROM bonewatch.baseline_epochs WHERE {ONE_CHART} ORDER BY accepted_at DESC""",
    (
        time("Accepted"), text("Phantom"), number("Epoch"), number("Scans"), number("Mean", GRAMS_PER_CM2, 4),
        number("SD", GRAMS_PER_CM2, 4), number("Chart sigma", GRAMS_PER_CM2, 4), number("Step", PERCENT, 2),
        text("Reason"),
    ),
)  # fmt: skip

CONSTANTS: Final = SqlQuery(
    "scan_constants",
    f"""SELECT measured_at AS "time", k AS "k", d0 AS "d0"
FROM bonewatch.scan_constants
WHERE {ONE_CHART} AND $__timeFilter(recorded_at) AND (k IS NOT NULL OR d0 IS NOT NULL)
ORDER BY measured_at""",
    (time(), number("k", decimals=4), number("d0", decimals=2)),
    Format.TIME_SERIES,
)

ANNOTATIONS: Final = (
    Annotation(
        "New baselines",
        f"""SELECT accepted_at AS "time", 'Baseline ' || epoch || ' (' || phantom_id || '): ' || reason AS "text"
FROM bonewatch.baseline_epochs WHERE {ONE_CHART} AND $__timeFilter(accepted_at) ORDER BY accepted_at""",
        BLUE,
    ),
    Annotation(
        "With the engineer",
        """SELECT handed_over_at AS "time", coalesce(decided_at, handed_back_at, now()) AS "timeend",
       'With the engineer: ' || reason || coalesce('; ' || work_done, '') AS "text"
FROM bonewatch.handovers
WHERE device IN (${device:sqlstring}) AND handed_over_at <= $__timeTo()
  AND coalesce(decided_at, handed_back_at, now()) >= $__timeFrom()
ORDER BY handed_over_at""",
        VIOLET,
    ),
    Annotation(
        "Faults that stop scanning",
        """SELECT logged_at AS "time", coalesce(cleared_at, now()) AS "timeend", 'Fault: ' || text AS "text"
FROM bonewatch.faults
WHERE device IN (${device:sqlstring}) AND stops_scanning AND logged_at <= $__timeTo()
  AND coalesce(cleared_at, now()) >= $__timeFrom()
ORDER BY logged_at""",
        RED,
    ),
)


def board() -> Board:
    """Return the dashboard."""
    return Board(
        "bonewatch-scanner",
        "Scanner QA",
        "Phantom readings of one scanner against its baseline. The console decides; this shows.",
        (*_now(), *_charts(), *_lists()),
        (
            *device_variables("scanner", multi=False),
            Variable(
                "phantom",
                "Phantom",
                "SELECT DISTINCT phantom_id FROM bonewatch.baseline_epochs WHERE device IN (${device:sqlstring})",
                multi=False,
            ),
        ),
        ANNOTATIONS,
        since="now-1y",
    )


def _now() -> tuple[Panel, ...]:
    return (
        figures("Last verdict", "What the last judged reading came to, and when it was made.", LATEST_VERDICT, width=8,
                empty="No reading yet"),
        figures("Last reading", "The last judged reading, how far it lies from the centre line, and the larger"
                    " CUSUM sum.",
                LATEST, width=10, empty="No reading yet"),
        figures("Spread in this time", "Coefficient of variation of the readings about their centre lines. The"
                " guideline gives no limit for it; look for change.", PRECISION, width=6, empty="No reading yet"),
    )  # fmt: skip


def _charts() -> tuple[Panel, ...]:
    return (
        over_time(
            "Control chart",
            "Each phantom reading. Solid red: tolerance; outside it the scanner fails. Dashed: two and three sigmas."
            " Large red marks failed, amber marks broke a run rule, violet marks are past the CUSUM's limit.",
            CONTROL_CHART, width=24, height=13, looks=CHART_LOOKS, empty="No reading yet",
        ),
        over_time(
            "CUSUM",
            "Sums of small deviations, in sigmas. A line beyond its limit says that the mean has moved, and"
            " roughly when: look where it last left zero.",
            CUSUM, width=14,
            looks={
                "Upwards": line(BLUE, width=2), "Downwards": line(GREEN, width=2),
                "Upper limit": line(RED, dash=(10, 6)), "Lower limit": line(RED, dash=(10, 6)),
            },
            empty="No reading yet",
        ),
        over_time(
            "Mean deviation by month",
            "How far a month's readings lay from the centre line on average: slow drift shows here first.",
            DEVIATION_BY_MONTH, width=10, empty="No reading yet",
            looks={"Readings": {"custom.axisPlacement": "hidden", "custom.hideFrom": {
                "viz": True, "legend": True, "tooltip": False}}},
        ),
    )  # fmt: skip


def _lists() -> tuple[Panel, ...]:
    return (
        rows("Readings to look at", "Readings that failed, signalled or could not be judged; newest first, at most"
             " 500.", JUDGED, width=24, empty="Every reading passed and was quiet"),
        rows("Baselines", "Each accepted baseline of this phantom. Readings of two epochs may be compared only when a"
             " physicist has reviewed the step.", EPOCHS, width=14, empty="No baseline yet"),
        over_time("Constants of the scanner", "The constants k and d0 that a Hologic states with a scan; a"
                  " recalibration moves them.", CONSTANTS, width=10, looks={"d0": {"custom.axisPlacement": "right"}},
                  empty="This scanner states none"),
    )  # fmt: skip
