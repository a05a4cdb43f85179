"""Uptime: how much of clinic hours a gate was not held, and what took the rest."""

from typing import Final

from dashboards.grafana.board import Board, device_variables
from dashboards.grafana.panels import AMBER, GREEN, RED, over_time, ranking, rows, scanner_link
from dashboards.grafana.queries import HOURS, PERCENT, Format, SqlQuery, number, text, time, words

STEPS: Final = ((None, RED), (95.0, AMBER), (98.0, GREEN))
HOURS_OF: Final = """WITH clinic AS (
    SELECT device, range_agg(tstzrange(starts_at, ends_at)) AS hours
    FROM bonewatch.clinic_sessions(ARRAY[${device:sqlstring}], $__timeFrom(), least($__timeTo(), now()))
    GROUP BY device
), stood AS (
    SELECT device, mode, range_agg(tstzrange(starts_at, ends_at)) AS known,
           coalesce(range_agg(tstzrange(starts_at, ends_at)) FILTER (WHERE status <> 'held'), '{}') AS usable
    FROM bonewatch.gate_states(ARRAY[${device:sqlstring}], $__timeFrom(), $__timeTo())
    GROUP BY device, mode
), reckoned AS (
    SELECT device, mode, hours * known AS clinic, hours * usable AS usable FROM clinic JOIN stood USING (device)
)
"""

BY_DEVICE: Final = SqlQuery(
    "uptime_by_device",
    HOURS_OF
    + """SELECT device AS "Device", mode AS "Mode",
       100 * bonewatch.seconds_in(usable) / nullif(bonewatch.seconds_in(clinic), 0) AS "Uptime",
       bonewatch.seconds_in(clinic) / 3600 AS "Clinic hours",
       (bonewatch.seconds_in(clinic) - bonewatch.seconds_in(usable)) / 3600 AS "Hours lost"
FROM reckoned ORDER BY 3, 1""",
    (
        text("Device"), text("Mode"), number("Uptime", PERCENT, 2), number("Clinic hours", HOURS, 1),
        number("Hours lost", HOURS, 1),
    ),
)  # fmt: skip

BY_WEEK: Final = SqlQuery(
    "uptime_by_week",
    HOURS_OF
    + """SELECT week AS "time", 100 * coalesce(sum(seconds) FILTER (WHERE is_usable), 0)
           / sum(seconds) FILTER (WHERE NOT is_usable) AS "Uptime"
FROM (
    SELECT week, is_usable, extract(epoch FROM
           least(upper(span), week + interval '7 days') - greatest(lower(span), week))::double precision AS seconds
    FROM (
        SELECT true AS is_usable, unnest(usable) AS span FROM reckoned
        UNION ALL SELECT false, unnest(clinic) FROM reckoned
    ) spans
    CROSS JOIN generate_series(date_trunc('week', lower(span), 'UTC'), upper(span), interval '7 days') week
) w GROUP BY week HAVING sum(seconds) FILTER (WHERE NOT is_usable) > 0 ORDER BY week""",
    (time(), number("Uptime", PERCENT, 2)),
    Format.TIME_SERIES,
)

BY_REASON: Final = SqlQuery(
    "hours_lost_by_reason",
    f"""WITH clinic AS (
    SELECT device, range_agg(tstzrange(starts_at, ends_at)) AS hours
    FROM bonewatch.clinic_sessions(ARRAY[${{device:sqlstring}}], $__timeFrom(), least($__timeTo(), now()))
    GROUP BY device
), held AS (
    SELECT s.device, reason, range_agg(tstzrange(s.starts_at, s.ends_at)) AS times
    FROM bonewatch.gate_states(ARRAY[${{device:sqlstring}}], $__timeFrom(), $__timeTo()) s
    CROSS JOIN unnest(s.reason_codes) reason
    WHERE s.status = 'held' GROUP BY s.device, reason
)
SELECT {words("reason")} AS "Reason", sum(bonewatch.seconds_in(hours * times)) / 3600 AS "Hours lost"
FROM clinic JOIN held USING (device)
GROUP BY reason HAVING sum(bonewatch.seconds_in(hours * times)) > 0 ORDER BY 2 DESC""",
    (text("Reason"), number("Hours lost", HOURS, 1)),
)

LOWEST: Final = SqlQuery(
    "uptime_lowest",
    HOURS_OF
    + """SELECT device || CASE mode WHEN 'all' THEN '' ELSE ' ' || mode END AS "Device",
       100 * bonewatch.seconds_in(usable) / nullif(bonewatch.seconds_in(clinic), 0) AS "Uptime"
FROM reckoned WHERE bonewatch.seconds_in(clinic) > 0 ORDER BY 2, 1 LIMIT 10""",
    (text("Device"), number("Uptime", PERCENT, 2)),
)

WHAT_IT_IS: Final = (
    "Clinic hours in which the gate was open or overridden. Planned service counts as lost here; the uptime report of"
    " the console leaves it out, weighs partial loss and is what a contract is measured by."
)


def board() -> Board:
    """Return the dashboard."""
    return Board(
        "bonewatch-uptime",
        "Uptime",
        WHAT_IT_IS,
        (
            over_time("Uptime by week", WHAT_IT_IS, BY_WEEK, width=14, empty="No clinic in this time",
                      looks={"Uptime": {"max": 100, "custom.showPoints": "always"}}),
            ranking("Lowest uptime", WHAT_IT_IS + " The ten lowest. Colours change at 95 and 98 %: local"
                    " policy.", LOWEST,
                    width=10, steps=STEPS, limits=(0, 100), empty="No clinic in this time"),
            rows("Uptime of each scanner", WHAT_IT_IS, BY_DEVICE, width=14, height=10, looks={"Device": scanner_link()},
                 empty="No clinic in this time"),
            rows("Clinic hours lost, by reason", "Hours with two reasons count for"
                    " each.", BY_REASON, width=10, height=10,
                 empty="Nothing was lost"),
        ),
        tuple(device_variables("scanner")),
        since="now-30d",
    )  # fmt: skip
