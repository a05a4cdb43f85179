"""Gates: how each stands now and why, and how it stood."""

from typing import Final

from dashboards.grafana.board import Board, device_variables
from dashboards.grafana.panels import AMBER, RED, fixed, over_time, rows, scanner_link, state_look, timeline
from dashboards.grafana.queries import HOURS, Format, SqlQuery, listed, number, text, time, words

CHOSEN: Final = "device IN (${device:sqlstring})"
STATES: Final = "bonewatch.gate_states(ARRAY[${device:sqlstring}], $__timeFrom(), $__timeTo())"
NAMED: Final = "device || CASE mode WHEN 'all' THEN '' ELSE ' ' || mode END"

NOW: Final = SqlQuery(
    "gates_now",
    f"""SELECT device AS "Device", mode AS "Mode", stage AS "Stage", status AS "Gate", since AS "Since",
       valid_until AS "Valid until", {listed("reason_codes")} AS "Reasons",
       {listed("warning_codes")} AS "Warnings", overridden_until AS "Override ends",
       enforcement AS "Enforcement"
FROM bonewatch.gate_now WHERE {CHOSEN} ORDER BY status = 'open', device, mode""",
    (
        text("Device"), text("Mode"), text("Stage"), text("Gate"), time("Since"), time("Valid until"), text("Reasons"),
        text("Warnings"), time("Override ends"), text("Enforcement"),
    ),
)  # fmt: skip

HISTORY: Final = SqlQuery(
    "gate_history",
    f"""SELECT starts_at AS "time", {NAMED} AS "Device", status AS "Gate"
FROM {STATES} ORDER BY starts_at""",
    (time(), text("Device"), text("Gate")),
)

BY_REASON: Final = SqlQuery(
    "hours_held_by_reason",
    f"""SELECT {words("reason")} AS "Reason", sum(seconds) / 3600 AS "Held"
FROM (
    SELECT reason, bonewatch.seconds_in(range_agg(tstzrange(starts_at, ends_at))) AS seconds
    FROM {STATES} s CROSS JOIN unnest(s.reason_codes) reason
    WHERE status = 'held' GROUP BY device, reason
) h GROUP BY reason ORDER BY 2 DESC""",
    (text("Reason"), number("Held", HOURS, 1)),
)

BYPASSES: Final = SqlQuery(
    "scanned_while_held",
    f"""SELECT date_trunc('week', scanned_at, 'UTC') AS "time", count(*) AS "Scanned while held"
FROM bonewatch.device_bypasses WHERE {CHOSEN} AND $__timeFilter(scanned_at) AND enforcement <> 'shadow'
GROUP BY 1 ORDER BY 1""",
    (time(), number("Scanned while held")),
    Format.TIME_SERIES,
)

OVERRIDES: Final = SqlQuery(
    "overrides",
    f"""SELECT device AS "Device", starts_at AS "From", ends_at AS "Until",
       {listed("reason_codes")} AS "Reasons",
       extract(epoch FROM ends_at - starts_at)::double precision / 3600 AS "Length"
FROM {STATES} WHERE status = 'overridden' ORDER BY starts_at DESC LIMIT 500""",
    (text("Device"), time("From"), time("Until"), text("Reasons"), number("Length", HOURS, 1)),
)


def board() -> Board:
    """Return the dashboard."""
    return Board(
        "bonewatch-gates",
        "Gates",
        "Which scanner may scan patients, which may not and why; and how it was. Choose one site: a band for each"
                    " scanner.",
        (
            rows("Gates now", "Held scanners first. Past its time a gate is held, even if the site is"
                    " dead.", NOW, width=24,
                 looks={"Device": scanner_link(), "Gate": state_look()}, empty="No gate is known"),
            timeline("History", "How each gate stood. Nights without valid QC are held: that is as it should"
                    " be.", HISTORY,
                     by="Device", shows="Gate", width=24),
            rows("Time held, by reason", "Hours in which a reason held a scanner, day and night, of all chosen"
                 " scanners together. Hours with two reasons count for each.", BY_REASON, width=8, empty="No gate"
                 " was held in this time"),
            over_time("Patients scanned while held", "By week. A scanner in shadow is left out: nobody there was"
                      " told not to scan. Any of them wants a reason.", BYPASSES, width=8, bars=True,
                      looks={"Scanned while held": {"color": fixed(RED)}}, empty="None in this time"),
            rows("Overrides", "Times in which a person opened a gate against a reason that held.", OVERRIDES, width=8,
                 looks={"Reasons": {"color": fixed(AMBER)}}, empty="None in this time"),
        ),
        tuple(device_variables("scanner")),
        since="now-14d",
    )  # fmt: skip
