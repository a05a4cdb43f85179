"""The benchmark's RIS, in a process of its own: prints its port, ends when its input is closed."""

import sys
from datetime import UTC, datetime

from simulators.ris import VirtualRis, invented_clinic

if __name__ == "__main__":
    ris = VirtualRis(invented_clinic("DXA1", 12, day=datetime.now(UTC).date()))
    ris.start()
    print(ris.port, flush=True)
    sys.stdin.read()
    ris.stop()
