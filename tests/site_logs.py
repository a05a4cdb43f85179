"""Site logs with a past, made by the real engine from invented scans."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from streams import codec
from streams.engine import SiteEngine
from streams.messages import DeviceRegistered, Draft, Fact, PhantomMeasured, VendorQcReported, event_id
from streams.sqlite_log import SqliteEventLog
from tests.folding import MONDAY, PHANTOM, POLICY, WEEKDAY_CLINIC, baseline


def history(site: str, devices: int, days: int, *, from_day: int = 0) -> Iterator[tuple[datetime, Draft]]:
    """Yield a department's days: QC of every device each morning, a scan in twenty out of tolerance and repeated."""
    rng = random.Random(f"{site}-{from_day}")  # noqa: S311 - invented scans
    names = [f"{site}/dxa-{n}" for n in range(1, devices + 1)]
    if from_day == 0:
        for name in names:
            yield MONDAY, Draft(event_id(name, "registered"), name, DeviceRegistered(POLICY, WEEKDAY_CLINIC))
            yield MONDAY, Draft(event_id(name, "baseline"), name, baseline())
    for day in range(from_day, from_day + days):
        at = MONDAY + timedelta(days=day, minutes=1)
        for name in names:
            vendor = VendorQcReported(passed=True, measured_at=at, performed_by="Oz", reviewed_by="Pat")
            yield at, Draft(event_id(name, "vendor", str(day)), name, vendor)
            values = [1.03, 1.001] if rng.random() < 0.05 else [round(rng.gauss(1.0, 0.004), 4)]
            for turn, value in enumerate(values):
                uid = event_id(name, "scan", str(day), str(turn))
                yield at, Draft(uid, name, PhantomMeasured(PHANTOM, "L1-L4", value, at, uid))


def write_log(path: Path, site: str, *, devices: int = 2, days: int = 10, from_day: int = 0) -> int:
    """Append such days to a site's log; return how many events were new."""
    with SqliteEventLog(path) as log:
        return SiteEngine(log).import_history(history(site, devices, days, from_day=from_day))


def facts_in(path: Path) -> list[Fact]:
    """Return the facts of a site's log, in their order."""
    with SqliteEventLog(path, read_only=True) as log:
        return [codec.decode_event(row.body).fact for row in log.rows()]
