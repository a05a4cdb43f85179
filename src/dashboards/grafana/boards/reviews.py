"""Reviews: what waits for a physicist, how long, and what was decided."""

from typing import Final

from dashboards.grafana.board import Board, device_variables
from dashboards.grafana.panels import AMBER, BLUE, GREY, figures, fixed, over_time, rows, scanner_link
from dashboards.grafana.queries import DAYS, Format, SqlQuery, listed, number, text, time, words

CHOSEN: Final = "device IN (${device:sqlstring})"

COUNTS: Final = SqlQuery(
    "reviews_counted",
    f"""SELECT count(*) FILTER (WHERE is_open) AS "Waiting",
       extract(epoch FROM now() - min(opened_at) FILTER (WHERE is_open))::double precision / 86400 AS "Longest wait",
       count(*) FILTER (WHERE $__timeFilter(opened_at)) AS "Opened",
       count(*) FILTER (WHERE $__timeFilter(decided_at)) AS "Decided",
       percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM decided_at - opened_at)::double precision)
           FILTER (WHERE $__timeFilter(decided_at)) / 86400 AS "Median wait"
FROM bonewatch.review_log WHERE {CHOSEN}""",
    (
        number("Waiting"), number("Longest wait", DAYS, 1), number("Opened"), number("Decided"),
        number("Median wait", DAYS, 1),
    ),
)  # fmt: skip

WAITING: Final = SqlQuery(
    "reviews_waiting",
    f"""SELECT w.device AS "Device", phantom_id AS "Phantom", {listed("bases")} AS "Why",
       opened_at AS "Opened", since AS "Since", until AS "Until", text AS "What was seen", shape AS "Shape",
       measurements AS "Measurements",
       extract(epoch FROM now() - opened_at)::double precision / 86400 AS "Days waiting"
FROM (SELECT device, review_id FROM bonewatch.review_log WHERE {CHOSEN} AND is_open) o
CROSS JOIN LATERAL (
    SELECT * FROM bonewatch.review_worklist w WHERE w.device = o.device AND w.review_id = o.review_id OFFSET 0
) w ORDER BY opened_at""",
    (
        text("Device"), text("Phantom"), text("Why"), time("Opened"), time("Since"), time("Until"),
        text("What was seen"), text("Shape"), number("Measurements"), number("Days waiting", DAYS, 0),
    ),
)  # fmt: skip

BY_MONTH: Final = SqlQuery(
    "reviews_by_month",
    f"""SELECT month AS "time", sum(opened)::bigint AS "Opened", sum(decided)::bigint AS "Decided"
FROM (
    SELECT date_trunc('month', opened_at, 'UTC') AS month, 1 AS opened, 0 AS decided
    FROM bonewatch.review_log WHERE {CHOSEN} AND $__timeFilter(opened_at)
    UNION ALL
    SELECT date_trunc('month', decided_at, 'UTC'), 0, 1
    FROM bonewatch.review_log WHERE {CHOSEN} AND $__timeFilter(decided_at)
) r GROUP BY month ORDER BY month""",
    (time(), number("Opened"), number("Decided")),
    Format.TIME_SERIES,
)

BY_BASIS: Final = SqlQuery(
    "reviews_by_basis",
    f"""SELECT {words('basis')} AS "Why", count(*) AS "Reviews",
       count(*) FILTER (WHERE is_open) AS "Waiting", count(*) FILTER (WHERE verdict = 'none') AS "Nothing to do",
       count(*) FILTER (WHERE verdict NOT IN ('', 'none')) AS "Measurements concerned"
FROM bonewatch.review_log CROSS JOIN unnest(bases) basis
WHERE {CHOSEN} AND $__timeFilter(opened_at) GROUP BY basis ORDER BY 2 DESC""",
    (
        text("Why"), number("Reviews"), number("Waiting"), number("Nothing to do"), number("Measurements concerned"),
    ),
)  # fmt: skip

DECIDED: Final = SqlQuery(
    "reviews_decided",
    f"""SELECT device AS "Device", phantom_id AS "Phantom", {listed("bases")} AS "Why",
       opened_at AS "Opened", decided_at AS "Decided",
       CASE verdict WHEN 'none' THEN 'No action' ELSE {words('verdict')} END AS "Verdict",
       decision AS "Decision"
FROM bonewatch.review_log WHERE {CHOSEN} AND NOT is_open AND $__timeFilter(decided_at)
ORDER BY decided_at DESC LIMIT 500""",
    (
        text("Device"), text("Phantom"), text("Why"), time("Opened"), time("Decided"), text("Verdict"),
        text("Decision"),
    ),
)  # fmt: skip


def board() -> Board:
    """Return the dashboard."""
    return Board(
        "bonewatch-reviews",
        "Reviews",
        "What waits for a physicist over all sites. Decisions are made in the console, never here.",
        (
            figures("Reviews", "Waiting: now, whatever time is chosen. Opened and decided: in the time chosen.", COUNTS,
                    width=24, looks={"Waiting": {"color": fixed(AMBER)}, "Longest wait": {"color": fixed(AMBER)},
                                     "Opened": {"color": fixed(GREY)}, "Decided": {"color": fixed(GREY)},
                                     "Median wait": {"color": fixed(GREY)}}),
            rows("Waiting for a physicist", "Oldest first. Measurements: how many lie in the review's time; which,"
                 " the console shows to those who may see them.", WAITING, width=24, looks={"Device": scanner_link()},
                 empty="Nothing waits"),
            over_time("Opened and decided by month", "By month (UTC). Where more is opened than decided, the queue"
                    " grows.",
                      BY_MONTH, width=12, bars=True,
                      looks={"Opened": {"color": fixed(AMBER)}, "Decided": {"color": fixed(BLUE)}}),
            rows("By cause", "Reviews opened in this time, and what came of them.", BY_BASIS, width=12,
                 empty="None in this time"),
            rows("Decisions", "Decisions in force, newest first.", DECIDED, width=24, looks={"Device": scanner_link()},
                 empty="None in this time"),
        ),
        tuple(device_variables("scanner", "scale", "stadiometer", "hoist")),
        since="now-1y",
    )  # fmt: skip
