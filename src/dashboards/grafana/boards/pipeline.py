"""Health of the pipeline: sites, forwarders, workers, sinks, subscribers; from Prometheus and from the database."""

from typing import Final

from dashboards.grafana.board import Board
from dashboards.grafana.panels import GREEN, RED, figures, over_time, rows
from dashboards.grafana.queries import (
    EVENTS_PER_SECOND,
    PERCENT,
    SECONDS,
    PromQuery,
    SqlQuery,
    number,
    text,
    time,
)

UP: Final = PromQuery("up", "sum by (job) (up)", "{{job}} up")
READY: Final = PromQuery("sites_ready", "sum(bonewatch_site_ready)", "sites ready")
PARKED: Final = PromQuery("devices_parked", "sum(bonewatch_devices_parked)", "devices parked")
EVENTS: Final = PromQuery(
    "events", "sum by (instance) (rate(bonewatch_events_total[$__rate_interval]))", "{{instance}}", EVENTS_PER_SECOND
)
REFUSED: Final = PromQuery(
    "duplicates_and_conflicts",
    "sum by (instance) (increase(bonewatch_conflicting_events_total[$__rate_interval]))",
    "conflicting, {{instance}}",
)
DUPLICATES: Final = PromQuery(
    "duplicates",
    "sum by (instance) (increase(bonewatch_duplicate_events_total[$__rate_interval]))",
    "delivered again, {{instance}}",
)
COMMIT: Final = PromQuery(
    "commit_p99",
    "histogram_quantile(0.99, sum by (le, instance) (rate(bonewatch_commit_seconds_bucket[$__rate_interval])))",
    "{{instance}}",
    SECONDS,
)
STORE: Final = PromQuery(
    "store_p99",
    "histogram_quantile(0.99, sum by (le, instance) (rate(bonewatch_dicom_store_seconds_bucket[$__rate_interval])))",
    "{{instance}}",
    SECONDS,
)
SITE_SINK: Final = PromQuery("sink_lag", "bonewatch_sink_lag_events", "database, {{instance}}")
FORWARD: Final = PromQuery("forward_lag", "bonewatch_forward_lag_events", "to Kafka, {{instance}}")
WORKER: Final = PromQuery("worker_lag", "bonewatch_fleet_lag_events", "worker, {{instance}}")
FLEET_SINK: Final = PromQuery("fleet_sink_lag", "bonewatch_fleet_sink_lag_events", "sink, {{instance}}")
DIVERGED: Final = PromQuery(
    "divergences", "sum(increase(bonewatch_fleet_divergences_total[$__range]))", "not confirmed"
)
FORKED: Final = PromQuery(
    "forked", 'sum({__name__=~"bonewatch_forward_log_forked|bonewatch_sink_log_forked"})', "another log"
)
OBJECTS: Final = PromQuery(
    "dicom_objects",
    "sum by (code) (increase(bonewatch_dicom_objects_total[$__rate_interval]))",
    "{{code}}",
)
QUERIES: Final = PromQuery(
    "worklist_queries",
    "sum by (code) (increase(bonewatch_worklist_queries_total[$__rate_interval]))",
    "{{code}}",
)
SUBSCRIBERS: Final = PromQuery("subscribers", "bonewatch_publish_lag_seconds", "{{subscription}}", SECONDS)
RIS: Final = PromQuery("ris", "bonewatch_mpps_oldest_waiting_seconds", "RIS, {{instance}}", SECONDS)
PACS: Final = PromQuery("pacs", "bonewatch_pacs_oldest_waiting_seconds", "PACS, {{instance}}", SECONDS)
PEOPLE: Final = PromQuery("people", "bonewatch_alert_oldest_waiting_seconds", "people, {{instance}}", SECONDS)
UNTAKEN: Final = PromQuery("untaken", "sum by (severity) (bonewatch_alerts_unacknowledged)", "{{severity}}")
FOLD: Final = PromQuery(
    "fold_p99",
    "histogram_quantile(0.99, sum by (le, instance) (rate(bonewatch_fold_seconds_bucket[$__rate_interval])))",
    "{{instance}}",
    SECONDS,
)
ANSWERS: Final = PromQuery(
    "answers_p95",
    "histogram_quantile(0.95, sum by (le, instance) (rate("
    'bonewatch_http_request_duration_seconds_bucket{path!~".*/(events|stream).*"}[$__rate_interval])))',
    "{{instance}}",
    SECONDS,
)
ROOM: Final = PromQuery("room", "100 * bonewatch_data_free_bytes / bonewatch_data_size_bytes", "{{instance}}", PERCENT)
CLOCK: Final = PromQuery("clock_error", "bonewatch_clock_largest_error_seconds", "{{instance}}", SECONDS)
CERTIFICATES: Final = PromQuery(
    "certificates",
    "bonewatch_certificate_not_after_timestamp_seconds - time()",
    "{{use}}, {{instance}}",
    SECONDS,
)

SOURCES: Final = SqlQuery(
    "sources",
    """SELECT source AS "Source", position AS "Read to", log_position AS "Row of the log", set_aside AS "Set aside"
FROM bonewatch.sink_state ORDER BY set_aside = '', source""",
    (text("Source"), number("Read to"), number("Row of the log"), text("Set aside")),
)
PARKED_DEVICES: Final = SqlQuery(
    "parked_devices",
    """SELECT device AS "Device", since AS "Since", why AS "Why" FROM bonewatch.parked_devices ORDER BY since""",
    (text("Device"), time("Since"), text("Why")),
)
REFUSALS: Final = SqlQuery(
    "refusals",
    """SELECT site AS "Site", rejection AS "Why", count(*) AS "Records", max(position) AS "Last offset"
FROM bonewatch.refusals GROUP BY site, rejection ORDER BY 3 DESC LIMIT 100""",
    (text("Site"), text("Why"), number("Records"), number("Last offset")),
)


def board() -> Board:
    """Return the dashboard."""
    return Board(
        "bonewatch-pipeline",
        "Pipeline health",
        "Whether everything runs and nothing is lost. Prometheus wakes people by its own rules; this is to look"
                    " closer.",
        (
            figures("Up", "Processes that answer, by job.", UP, width=8, steps=((None, RED), (1, GREEN)),
                    empty="Nothing is scraped"),
            figures("Sites ready", "Sites in which every device's state is known and commits succeed.", READY, width=4,
                    steps=((None, RED), (1, GREEN)), empty="No site is scraped"),
            figures("Parked", "Devices held because an event of theirs is not understood.", PARKED, width=4,
                    steps=((None, GREEN), (1, RED)), empty="No site is scraped"),
            figures("Not confirmed", "Decisions of sites that the fleet's own fold did not confirm in this"
                    " time.", DIVERGED,
                    width=4, steps=((None, GREEN), (1, RED)), empty="No worker is scraped"),
            figures("Another log", "Sites whose log is not the one that was sent before: a copy that was restored,"
                    " or two computers of one name.", FORKED, width=4, steps=((None, GREEN), (1, RED)),
                    empty="No forwarder is scraped"),
            over_time("What waits", "Rows of logs that are not yet where they go. Rising for long: something is away.",
                      SITE_SINK, FORWARD, WORKER, FLEET_SINK, width=12),
            over_time("How long deliveries wait", "Age of the oldest message for a subscriber, the RIS, the PACS or"
                      " people.",
                      SUBSCRIBERS, RIS, PACS, PEOPLE, width=12),
            over_time("Events", "Events committed a second.", EVENTS, width=8),
            over_time("Commits, 99th percentile", "Time to make an event durable.", COMMIT, width=8),
            over_time("C-STORE, 99th percentile", "Time from an object's last byte to its status.", STORE, width=8),
            over_time("Folds, 99th percentile", "Time to decide what a group of events means, before it is written.",
                      FOLD, width=8),
            over_time("Answers, 95th percentile", "Time to answer a request of a console or of the API. The aim of a"
                      " page is 0.3 s.", ANSWERS, width=8),
            over_time("Alerts that nobody has taken", "By how urgent they are.", UNTAKEN, width=8),
            over_time("Room for the log", "Of the disk on which it stands. Without room scanners are"
                      " held.", ROOM, width=8),
            over_time("How far clocks may be off", "As each computer's kernel has it; it grows while nothing keeps the"
                      " clock right.", CLOCK, width=8),
            over_time("Certificates end in", "Of those that a site shows or believes, by what they are used"
                      " for.", CERTIFICATES, width=8, empty="No certificate is configured"),
            over_time("Objects by C-STORE", "By what became of them.", OBJECTS, width=8, bars=True),
            over_time("Worklist queries", "By how they were answered.", QUERIES, width=8, bars=True),
            over_time("Repeated and conflicting events", "Delivered again: dropped, as it should be. Conflicting:"
                      " same id, other content; refused.", DUPLICATES, REFUSED, width=8, bars=True),
            rows("Sources of the database", "How far each site's log is taken in; a source that is set aside comes"
                    " first.",
                 SOURCES, width=10, height=8, empty="Nothing was taken in yet"),
            rows("Parked devices", "As the fleet's workers know them.", PARKED_DEVICES, width=7, height=8),
            rows("Refused records", "Records on a site's topic that hold no row of its"
                    " log.", REFUSALS, width=7, height=8),
        ),
        since="now-24h",
        refresh="1m",
    )  # fmt: skip
