"""Invented readings of several sites that can be compared: scanners of one make, and a phantom that visits."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from streams.fleet.messages import CirculatingPhantomRead, ScannerRead

MONDAY = datetime(2026, 1, 5, 8, tzinfo=UTC)


def scanner_reads(
    device: str, days: int, *, step: float = 0.0, at: int = 10_000, software: tuple[str, str] = ("", "")
) -> Iterator[ScannerRead]:
    """Yield a scanner's weekdays; from day `at` on it reads `step` percent more, under the second version."""
    rng = random.Random(device)  # noqa: S311 - invented scans
    level = rng.uniform(0.98, 1.05)
    for day in range(days):
        when = MONDAY + timedelta(days=day)
        if when.weekday() >= 5:
            continue
        after = day >= at
        bmd = level * (1 + rng.gauss(0, 0.004) + (step / 100 if after else 0.0))
        yield ScannerRead(
            event_id=f"{device}-{day}",
            device=device,
            device_seq=day + 1,
            make="Example",
            model="One",
            phantom="spine",
            bmd_g_cm2=round(bmd, 4),
            sigma_g_cm2=0.005 * level,
            measured_at=when,
            software=software[after],
        )


def upgraded(step: float, scanners: int = 6) -> list[ScannerRead]:
    """Scanners of as many sites that took version 2 at times of their own, weeks apart."""
    return [
        read
        for n in range(scanners)
        for read in scanner_reads(f"site-{n}/dxa", 240, step=step, at=60 + 17 * n, software=("1", "2"))
    ]


def visits(
    *, missing: str = "", trend: float = 0.0, level: dict[str, float] | None = None
) -> list[CirculatingPhantomRead]:
    """Four sites, three visits each half a year apart; phantom with inserts 0.5, 1.0, 1.5; `trend` per year."""
    level = {"a": 1.0, "b": 1.01, "c": 0.99, "d": 1.0}
    found: list[CirculatingPhantomRead] = []
    for round_ in range(3):
        for place, (site, factor) in enumerate(level.items()):
            if site == missing and round_ == 0:
                continue
            when = MONDAY + timedelta(days=182 * round_ + 9 * place)
            for repeat in range(3):
                for region, bmd in (("L1", 0.5), ("L2", 1.0), ("L3", 1.5)):
                    years = (when - MONDAY).days / 365.25
                    noise = 0.002 * ((repeat + round_ + place) % 3 - 1)
                    found.append(
                        CirculatingPhantomRead(
                            event_id=f"{site}{round_}{repeat}{region}",
                            device=f"{site}/dxa",
                            device_seq=100 * round_ + 10 * repeat + int(region[1]),
                            make="Example",
                            model="One",
                            phantom="ESP-7",
                            region=region,
                            bmd_g_cm2=bmd * factor * (1 + trend * years) + noise,
                            measured_at=when,
                            acquisition_id=f"{site}{round_}{repeat}",
                        )
                    )
    return found
