"""`python -m tests.review_coverage --seeds 1000`: how often the review's onset and size hold the truth."""

import argparse
import sys
from multiprocessing import Pool

from tests.review_coverage.history import Result, reviewed

LOWEST, HIGHEST = 0.92, 0.98


def main() -> int:
    """Print the coverage; exit 1 where it is not 92 to 98 %, or a list of measurements is not the interval's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    asked = parser.parse_args()
    with Pool(2) as pool:
        found = pool.map(reviewed, range(asked.first, asked.first + asked.seeds), chunksize=10)
    told = [one for one in found if one is not None]
    early = sum(one.false_alarms for one in told)
    _say(f"{len(told)} of {asked.seeds} drifts told within two years, after {early} false alarms")
    is_good = True
    for name, some in (("all", told), ("steps", _of(told, is_ramp=False)), ("ramps", _of(told, is_ramp=True))):
        onset = sum(one.onset_is_covered for one in some) / len(some)
        size = sum(one.size_is_covered for one in some) / len(some)
        _say(f"{name:6} {len(some):5}  onset {onset:.3f}  size {size:.3f}")
        if name == "all":
            is_good &= LOWEST <= onset <= HIGHEST and LOWEST <= size <= HIGHEST
    wrong = sum(one.listed != one.in_doubt or one.amended_before_decision > 0 for one in told)
    _say(f"{wrong} reviews whose list is not the interval's, or that touched a record before a decision")
    return 0 if is_good and not wrong else 1


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


def _of(told: list[Result], *, is_ramp: bool) -> list[Result]:
    return [one for one in told if one.change.is_ramp is is_ramp]


if __name__ == "__main__":
    sys.exit(main())
