"""Follows the site log into the database, in a thread of its own; nothing else of the site ever waits for it.

While the database is away it tries again, ever more seldom, and the log keeps what is missing.
"""

import random
import sqlite3
import threading
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

import structlog
from prometheus_client import Counter, Gauge

from storage.connection import Database, Db
from storage.errors import LogForkedError, MigrationError, StorageError
from storage.log_rows import check_same_log, readable
from storage.sink import Sink
from storage.upkeep import open_prepared
from streams.pseudonyms import PseudonymKeys
from streams.sqlite_log import LogError, Row, SqliteEventLog

BATCH: Final = 250
"""Events in a transaction: a long catch-up leaves the rest of the process its turns."""

RENAMED_FROM: Final = 2
"""Before the second version of the keys of pseudonyms there is nothing to rename."""

WAIT_S: Final = 1.0
RETRY_S: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
HOPELESS_RETRY_S: Final = 60.0
BREATH_S: Final = 0.01
END_WITHIN_S: Final = 30.0
UPKEEP_EVERY_S: Final = 3600.0

LAG: Final = Gauge("bonewatch_sink_lag_events", "Events of the site log that the database does not have yet.")
APPLIED: Final = Counter("bonewatch_sink_events_total", "Events that the database has taken in.")
FAILURES: Final = Counter("bonewatch_sink_failures_total", "Attempts that the database did not take.")
REFUSED: Final = Counter("bonewatch_sink_refused_rows_total", "Rows that no table could take; the log holds them.")
NOT_RENAMED: Final = Gauge(
    "bonewatch_pseudonyms_not_renamed",
    "Measurements in the database whose pseudonym no key brings to the newest version.",
)
FORKED: Final = Gauge("bonewatch_sink_log_forked", "1 where the database was filled from another log of this site.")


class SiteSink:
    """Keeps a site's database true.

    Parameters
    ----------
    log
        The site log's file.
    site
        The site's id: the source under which its position stands.
    database
        Where to write to; started and stopped with the sink.
    events_kept_months
        How long raw events stay, 0 for ever.
    keys
        Those of the site's pseudonyms; none: they stand as the log has them.
    """

    def __init__(
        self,
        log: Path,
        site: str,
        database: Database,
        *,
        events_kept_months: int = 0,
        keys: PseudonymKeys | None = None,
    ) -> None:
        self._path = log
        self._site = site
        self._database = database
        self._kept_months = events_kept_months
        self._keys = keys
        self._renamed_to = 0
        self._sink = Sink(self._prepared)
        self._position = 0
        self._failures = 0
        self._trouble = ""
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="site-sink", daemon=True)
        self._logger = structlog.get_logger("storage.site_sink")

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def wake(self) -> None:
        """Say that there is something new; otherwise it looks every second."""
        self._wake.set()

    def stop(self) -> None:
        """Finish the batch in hand, unless the server does not answer; then stop the database if it is ours."""
        self._stopped.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(END_WITHIN_S)
        self._sink.close()
        self._database.stop()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                with SqliteEventLog(self._path, read_only=True) as log:
                    for _ in self._follow(log):
                        self._succeeded()
            except Exception as error:  # noqa: BLE001 - whatever it is, the log has everything: try again
                self._failed(error)
                self._wait_out(error)

    def _succeeded(self) -> None:
        if self._failures:
            self._logger.warning("database_back", failures=self._failures)
            FORKED.set(0)
        self._failures, self._trouble = 0, ""

    def _failed(self, error: Exception) -> None:
        """Count it, and say it once for as long as it is the same trouble."""
        FAILURES.inc()
        self._failures += 1
        is_forked = isinstance(error, LogForkedError)
        FORKED.set(is_forked)
        if self._trouble != type(error).__name__:
            self._trouble = type(error).__name__
            reason = str(error) if isinstance(error, StorageError | LogError) else ""
            self._logger.warning("log_forked" if is_forked else "database_away", error=self._trouble, reason=reason)

    def _wait_out(self, error: Exception) -> None:
        """Wait, longer each time and never in step with other sites; the lag stays true meanwhile."""
        hopeless = isinstance(error, LogForkedError | MigrationError)
        wait_s = HOPELESS_RETRY_S if hopeless else RETRY_S[min(self._failures, len(RETRY_S)) - 1]
        left_s = wait_s * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
        while left_s > 0 and not self._stopped.is_set():
            self._say_lag()
            self._stopped.wait(min(left_s, WAIT_S))
            left_s -= WAIT_S

    def _say_lag(self) -> None:
        try:
            with SqliteEventLog(self._path, read_only=True) as log:
                LAG.set(log.last_position() - self._position)
        except (LogError, sqlite3.Error):
            return

    def _follow(self, log: SqliteEventLog) -> Iterator[int]:
        """Apply what is new, batch by batch, for as long as all goes well; yield after each."""
        reached = self._sink.reached(self._site)
        if reached is not None:
            check_same_log(log, self._site, reached)
        self._position = reached.position if reached else 0
        self._renamed_to = 0  # it may be another database by now
        upkeep_at = time.monotonic() + UPKEEP_EVERY_S
        while not self._stopped.is_set():
            self._rename()
            rows = list(islice(log.rows(after=self._position), BATCH))
            if rows:
                self._apply(rows)
            LAG.set(log.last_position() - self._position)
            yield self._position
            if time.monotonic() > upkeep_at:
                self._prepared().close()
                upkeep_at = time.monotonic() + UPKEEP_EVERY_S
            self._rest(caught_up=len(rows) < BATCH)

    def _rename(self) -> None:
        """Bring what stands to the newest version of the keys; afterwards each row comes in it, or in a later one."""
        version = self._keys.version if self._keys is not None else 0
        if self._keys is None or version == self._renamed_to or version < RENAMED_FROM:
            return
        done = self._sink.rename(self._site, self._keys)
        self._renamed_to = version
        NOT_RENAMED.set(done.left)
        if done.pseudonyms or done.left:
            self._logger.info("pseudonyms_renamed", version=version, pseudonyms=done.pseudonyms, left=done.left)

    def _apply(self, rows: list[Row]) -> None:
        taken = readable(rows, self._keys)
        applied = self._sink.apply(self._site, taken, rows[-1].position)
        self._position = rows[-1].position
        APPLIED.inc(len(taken))
        REFUSED.inc(applied.refused + len(rows) - len(taken))

    def _rest(self, *, caught_up: bool) -> None:
        if not caught_up:
            self._stopped.wait(BREATH_S)
            return
        self._wake.wait(WAIT_S)
        self._wake.clear()

    def _prepared(self) -> Db:
        return open_prepared(self._database, events_kept_months=self._kept_months)
