"""The benchmark's scanner, in a process of its own: failing scan, query, passing repeat; prints the times as JSON."""

import json
import sys
import time
from datetime import UTC, datetime

from simulators.scanner import PhantomLabel, VirtualScanner

REFUSED = 0xC100


def main(port: int, scans: int) -> None:
    """Scan and query over one association, as a console does all morning."""
    scanner = VirtualScanner("DXA1", port, phantom=PhantomLabel("SPINE-0001", "PHANTOM^SYNTHETIC"))
    whole, store, refused, wrong = [], [], [], 0
    with scanner.session() as session:
        for _ in range(scans):
            failing = scanner.report(1.06, datetime.now(UTC))
            passing = scanner.report(1.0, datetime.now(UTC))
            started = time.perf_counter()
            session.send(failing)
            stored = time.perf_counter()
            answer = session.query_worklist()
            ended = time.perf_counter()
            whole.append(ended - started)
            store.append(stored - started)
            refused.append(ended - stored)
            wrong += answer.status != REFUSED
            session.send(passing)
    sys.stdout.write(json.dumps({"whole": whole, "store": store, "refused": refused, "wrong": wrong}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
