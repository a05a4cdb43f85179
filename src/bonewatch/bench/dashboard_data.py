"""Years of an invented fleet, straight into the tables: no log could be folded so fast, and none is needed here."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Final, NamedTuple

from storage.connection import Db
from storage.rows import TABLES
from storage.upkeep import month_after

SCANNERS_OF_A_SITE: Final = 4
PHANTOM: Final = "SPINE-0001"


class Sizes(NamedTuple):
    """How large the fleet is, how long it has run, and how often each question is asked."""

    sites: int
    months: int
    asks: int

    @property
    def scanners(self) -> int:
        """How many scanners there are."""
        return self.sites * SCANNERS_OF_A_SITE


_FLEET: Final = """
CREATE TEMP TABLE fleet AS
SELECT format('site-%s/dxa-%s', lpad(s::text, 3, '0'), n) AS device, 'scanner' AS kind, (s * 4 + n) AS place
FROM generate_series(1, {sites}) s, generate_series(1, {scanners}) n;
CREATE TEMP TABLE small AS
SELECT format('site-%s/%s-1', lpad(s::text, 3, '0'), kind) AS device, kind
FROM generate_series(1, {sites}) s, unnest(ARRAY['scale', 'stadiometer']) kind;
CREATE TEMP TABLE days AS
SELECT (row_number() OVER (ORDER BY d))::integer AS n, d AT TIME ZONE 'UTC' AS day
FROM generate_series('{first}'::timestamp, '{last}'::timestamp, interval '1 day') d
WHERE extract(isodow FROM d) < 6;
"""

_STATEMENTS: Final = (
    (
        "devices",
        """INSERT INTO device_configurations
SELECT device, 1, '{first}', kind, (ARRAY['Hologic', 'GE', 'Norland'])[1 + place % 3], 'Invented ' || place % 5,
       place::text, 'DXA', 'worklist', '', '{{all}}', '[]', '{{}}', (
           SELECT jsonb_agg(jsonb_build_object(
               'duty_id', 'duty-' || k, 'name', 'Work ' || k, 'kind', 'service', 'holds', false
           )) FROM generate_series(1, 5) k
       )
FROM (SELECT device, kind, place FROM fleet UNION ALL SELECT device, kind, 0 FROM small) d""",
    ),
    ("stages", "INSERT INTO stage_changes SELECT device, 1, '{first}', 'clinical', 'installed' FROM fleet"),
    (
        "clinics",
        """INSERT INTO clinic_calendars SELECT device, 1, '{first}', 'Europe/London',
'[{{"weekdays": [0, 1, 2, 3, 4], "starts": "08:30", "ends": "16:30", "slot_minutes": 20}}]', '[]' FROM fleet""",
    ),
    (
        "baselines",
        """INSERT INTO baselines
SELECT device, 10000000 + y, '{first}'::timestamptz + y * interval '12 months', device || y, '{phantom}', y + 1, 25,
       1.0, 0.004, 0.005, 0.985, 1.015, true, 'Invented', 'physicist', 'a year', 0.1
FROM fleet, generate_series(0, {months} / 12) y""",
    ),
    (
        "readings",
        """INSERT INTO qc_readings
SELECT device, device || n, day + interval '7 hours' + place * interval '1 second', 0, n * 4, day + interval '7 hours',
       device || n, 'independent', '{phantom}', 'L1-L4', CASE WHEN abs(x) > 1.5 THEN 'fail' ELSE 'pass' END, true, '',
       1 + x / 100, 1 + n / 260, 1.0, 0.005, 0.985, 1.015, x, greatest(0, x * 3), greatest(0, -x * 3), 5, abs(x) > 1.4,
       CASE WHEN abs(x) > 1.45 THEN ARRAY['beyond 2 sigma'] ELSE ARRAY[]::text[] END
FROM (
    SELECT device, place, n, day, 0.6 * (random() + random() + random() + random() - 2) * 1.7 AS x FROM fleet, days
) r""",
    ),
    (
        "constants",
        """INSERT INTO events
SELECT device, n * 4, day + interval '7 hours', device || n, 'bonewatch.phantom-measured.v1', 'bench', n, '\\x00', 3,
       jsonb_build_object('phantom_id', '{phantom}', 'region', 'L1-L4', 'measured_at', day, 'bmd_g_cm2', 1.0,
       'acquisition_id', n, 'k', 1.2 + n / 10000.0, 'd0', 100, 'scan_mode', 'array')
FROM fleet, days""",
    ),
    (
        "gates",
        """INSERT INTO gate_changes
SELECT device, 'all', n * 4 + e, at, at, CASE e WHEN 0 THEN 'open' ELSE 'held' END, at,
       CASE e WHEN 0 THEN day + interval '24 hours' END,
       CASE e WHEN 0 THEN ARRAY[]::text[] ELSE ARRAY['qc_missing'] END,
       '{{}}', '[]', NULL, ''
FROM (
    SELECT device, n, e, day, day + CASE e WHEN 0 THEN interval '7 hours' + random() * interval '2 hours'
           ELSE interval '24 hours' END AS at
    FROM fleet, days, generate_series(0, 1) e
) g;
INSERT INTO gates SELECT DISTINCT ON (device, mode) * FROM gate_changes
WHERE recorded_at > '{last}'::timestamptz - interval '7 days' ORDER BY device, mode, device_seq DESC""",
    ),
    (
        "checks",
        """INSERT INTO checks
SELECT device, n, day, device || n, day, 'S-1', 20, 20 + e, e, CASE WHEN abs(e) > 0.09 THEN 'fail' ELSE 'pass' END, '',
       'Invented', 'serial'
FROM (SELECT device, n, day, (random() - 0.5) / 5 AS e FROM small, days WHERE n % 5 = 0) c""",
    ),
    (
        "faults",
        """INSERT INTO fault_reports
SELECT device, n * 4 + c, day + c * interval '3 hours', device || n, c = 1, place % 2 = 0, 'an invented fault',
       'Invented', 'operator', 'E' || n % 20, 'error', 'laser'
FROM fleet, days, generate_series(0, 1) c WHERE (n + place) % 43 = 0 AND (c = 0 OR (n + place) % 430 > 0)""",
    ),
    (
        "handovers",
        """INSERT INTO service_steps
SELECT device, n * 4 + c, day + c * interval '2 hours', (ARRAY['handed_over', 'handed_back', 'return_decided'])[c + 1],
       device || n, 'Eve', 'Invented Ltd', 'Invented', 'operator', 'planned', '', '{{}}', true, NULL
FROM fleet, days, generate_series(0, 2) c WHERE (n + place) % 130 = 0""",
    ),
    (
        "reviews",
        """INSERT INTO reviews
SELECT device, n * 4, device || n, day, '{phantom}', 'drift', day - interval '20 days', 'invented', device || n, 0, 0,
       '{{}}', 'percent', '[]'
FROM fleet, days WHERE (n + place) % 65 = 0;
INSERT INTO review_decisions
SELECT device, n * 4 + 1, day + interval '3 days', '{phantom}', false, 'nothing to do', 'Invented', 'physicist',
       device || n, 'none', '', '[]'
FROM fleet, days WHERE (n + place) % 65 = 0 AND day < '{last}'::timestamptz - interval '20 days'""",
    ),
    (
        "measurements",
        """INSERT INTO measurements
SELECT device, device || n || '-' || p, day + interval '9 hours' + p * interval '20 minutes', 0, n * 4 + 3, day,
       device || n || '-' || p, 'validated', 'BENCH' || p, '', 'p' || p, 'all', 'spine', NULL, '{{}}', 'scanner',
       'Invented', '', '', '', NULL, NULL, false, '{{}}', '[]', '[]', '{{}}', NULL, '', '', ''
FROM fleet, days, generate_series(1, 15) p WHERE day > '{last}'::timestamptz - interval '90 days'""",
    ),
    (
        "bypasses",
        """INSERT INTO bypasses
SELECT device, n * 4 + 2, day, device || n, day, 'BENCH', 'all', 'mpps', ARRAY['qc_missing'], 'worklist'
FROM fleet, days WHERE (n * 7 + place) % 400 = 0""",
    ),
    (
        "work",
        """INSERT INTO duty_changes
SELECT device, n * 4, day, 'duty-' || k, day, 'ok', day + interval '1 year', day::date
FROM fleet, days, generate_series(1, 5) k WHERE (n + place) % 130 = 0""",
    ),
    (
        "sources",
        """INSERT INTO sink_positions (source, position, log_id, log_position, link)
SELECT DISTINCT split_part(device, '/', 1), 1, 'bench', 1, '\\x00'::bytea FROM fleet""",
    ),
)

LAST_PART: Final = "indexes and statistics"
PARTS: Final = (*(name for name, _ in _STATEMENTS), LAST_PART)
"""What is filled, in turn."""


def fill(db: Db, sizes: Sizes, now: datetime, flavour: str) -> Iterator[str]:
    """Fill a migrated, empty database of a flavour; yield the name of each part as it begins."""
    last = now.astimezone(UTC).date()
    first = month_after(last, -sizes.months)
    for table in TABLES:
        if table.time:
            for ahead in range(sizes.months + 2):
                db.execute("SELECT make_month(%s, %s)", (table.name, month_after(first, ahead)))
    db.execute("SELECT setseed(0.42)")
    words = {"first": first, "last": last, "phantom": PHANTOM, "months": sizes.months, "sites": sizes.sites}
    for statement in _FLEET.format(**words, scanners=SCANNERS_OF_A_SITE).split(";\n"):
        if statement.strip():
            db.execute(statement.encode())
    for name, statements in _STATEMENTS:
        yield name
        for statement in statements.format(**words).split(";\n"):
            db.execute(statement.encode())
    yield LAST_PART
    if flavour == "timescale":
        db.execute(b"CALL refresh_continuous_aggregate('qc_daily', NULL, NULL)")
    db.execute(b"VACUUM (ANALYZE)")


def began(sizes: Sizes, now: datetime) -> datetime:
    """Return when the invented fleet began."""
    first: date = month_after(now.date(), -sizes.months)
    return datetime(first.year, first.month, first.day, tzinfo=UTC)
