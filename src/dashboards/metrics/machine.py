"""What the machine itself must have: room for the log, and a clock that is kept right."""

import shutil
import time
from collections.abc import Iterable
from pathlib import Path

from prometheus_client.metrics_core import Metric

from dashboards.metrics.families import labelled, plain
from streams.machine_clock import clock_state


def machine(data_dir: Path | None) -> Iterable[Metric]:
    """Yield room and clock; what cannot be asked is absent."""
    yield plain("bonewatch_clock_timestamp_seconds", "This computer's clock, to be compared.", time.time())
    if data_dir is not None:
        usage = shutil.disk_usage(data_dir)
        yield plain("bonewatch_data_free_bytes", "Room that is left where the log stands.", usage.free)
        yield plain("bonewatch_data_size_bytes", "Size of the disk on which the log stands.", usage.total)
    state = clock_state()
    yield labelled(
        "bonewatch_clock_synchronised",
        "Whether something keeps this computer's clock right, as its kernel has it.",
        (),
        [((), None if state is None else float(state.is_synchronised))],
    )
    yield labelled(
        "bonewatch_clock_largest_error_seconds",
        "How far off this computer's clock may be, as its kernel has it.",
        (),
        [((), None if state is None else state.largest_error_s)],
    )
