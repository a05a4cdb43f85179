"""A sink as a process of its own, for a test to kill: ``python -m tests.sink_process LOG SITE CONNINFO``."""

import sys
from pathlib import Path

from storage.connection import open_connection
from storage.log_rows import batches, readable
from storage.sink import Sink
from streams.sqlite_log import SqliteEventLog


def main(path: str, site: str, conninfo: str) -> None:
    """Resume where the database says, in small batches; say when it begins."""
    sink = Sink(lambda: open_connection(conninfo))
    reached = sink.reached(site)
    sys.stdout.write("resumes\n")
    sys.stdout.flush()
    with SqliteEventLog(Path(path), read_only=True) as log:
        for batch in batches(log.rows(after=reached.position if reached else 0), 5):
            sink.apply(site, readable(batch), batch[-1].position)
    sink.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
