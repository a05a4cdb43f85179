"""Events one core folds in a second, and whether cost and state grow with history."""

import json
import sys
import time
from datetime import UTC, datetime
from typing import Final, NamedTuple

from rich.console import Console
from rich.table import Table

from bonewatch.demo.history import ScannerStory, history
from simulators.series import BmdSeries
from streams import codec
from streams.fold import FOLD_VERSION
from streams.fold.device import step
from streams.fold.state import DeviceState, blob_from_state
from streams.messages import Draft, Event, TimeReached
from streams.policy import Clinic, ClinicCalendar, DeviceKind, DevicePolicy, Phantom, PhantomRole

DEVICE: Final = "bench/dxa-1"
ROUNDS: Final = 3


class Folded(NamedTuple):
    """One history's cost."""

    years: int
    events: int
    per_event_us: float
    last_year_per_event_us: float
    state_bytes: int

    @property
    def events_per_s(self) -> float:
        """Events folded in a second."""
        return 1e6 / self.per_event_us


def measure(*, as_json: bool) -> int:
    """Fold one year and ten, print both; the best of three rounds each."""
    results = [_fold_years(years) for years in (1, 10)]
    if as_json:
        sys.stdout.write(json.dumps([result._asdict() for result in results]) + "\n")
        return 0
    table = Table(title="bytes decoded, folded, state kept: one core, one device", title_justify="left")
    for name in ("history", "events", "events/s", "µs per event", "µs per event, last year", "state, bytes"):
        table.add_column(name, justify="right")
    for result in results:
        table.add_row(
            f"{result.years} year{'s' if result.years > 1 else ''}",
            f"{result.events}",
            f"{result.events_per_s:.0f}",
            f"{result.per_event_us:.1f}",
            f"{result.last_year_per_event_us:.1f}",
            f"{result.state_bytes}",
        )
    Console().print(table)
    one, ten = results
    print(
        f"ten years against one: cost per event x{ten.last_year_per_event_us / one.per_event_us:.2f}, "
        f"state x{ten.state_bytes / one.state_bytes:.2f}"
    )
    return 0


def _fold_years(years: int) -> Folded:
    bodies = _bodies(years)
    last_year = len(bodies) - len(bodies) // years
    best, best_last, state = float("inf"), float("inf"), DeviceState(DEVICE)
    for _ in range(ROUNDS):
        state = DeviceState(DEVICE)
        started = time.perf_counter()
        for body in bodies[:last_year]:
            state = step(state, codec.decode_event(body)).state
        middle = time.perf_counter()
        for body in bodies[last_year:]:
            state = step(state, codec.decode_event(body)).state
        ended = time.perf_counter()
        best = min(best, (ended - started) / len(bodies))
        best_last = min(best_last, (ended - middle) / (len(bodies) - last_year))
    return Folded(years, len(bodies), 1e6 * best, 1e6 * best_last, len(blob_from_state(state)))


def _bodies(years: int) -> list[bytes]:
    """Return a history of so many years as the log holds it, lapsed days included."""
    bodies: list[bytes] = []
    state = DeviceState(DEVICE)
    for at, draft in _drafts(years):
        while state.deadline is not None and state.deadline <= at:
            state = _append(bodies, state, at, Draft(f"time-{len(bodies)}", DEVICE, TimeReached(state.deadline)))
        state = _append(bodies, state, at, draft)
    return bodies


def _append(bodies: list[bytes], state: DeviceState, at: datetime, draft: Draft) -> DeviceState:
    event = Event(draft.event_id, DEVICE, "bench", state.device_seq + 1, at, FOLD_VERSION, draft.fact)
    bodies.append(codec.encode(event))
    return step(state, event).state


def _drafts(years: int) -> list[tuple[datetime, Draft]]:
    policy = DevicePolicy(DeviceKind.SCANNER, phantoms=(Phantom("SPINE-0001", PhantomRole.INDEPENDENT),))
    calendar = ClinicCalendar("Europe/London", (Clinic((0, 1, 2, 3, 4), "08:30", "16:30"),))
    story = ScannerStory("dxa-1", "SPINE-0001", BmdSeries(cv_percent=0.4, seed=5))
    days = round(365.25 * years)
    return history({DEVICE: (policy, calendar)}, "bench", (story,), datetime(2026, 1, 5, 12, tzinfo=UTC), days=days)
