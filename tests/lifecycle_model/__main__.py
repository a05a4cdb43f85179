"""``python -m tests.lifecycle_model --sequences 100000``: the long run; CI has a short one."""

import argparse
import sys
import time

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.lifecycle_model.machine import SEEN, Department


def main() -> None:
    """Run so many sequences; an exception shows the steps that broke a rule."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sequences", type=int, default=100_000)
    parser.add_argument("--steps", type=int, default=30)
    asked = parser.parse_args()
    started = time.monotonic()
    chosen = settings(
        max_examples=asked.sequences,
        stateful_step_count=asked.steps,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Department, settings=chosen)
    took = time.monotonic() - started
    sys.stdout.write(f"{asked.sequences} sequences of up to {asked.steps} steps: no rule broken; {took:.0f} s\n")
    sys.stdout.write(f"gates seen after a step: {dict(sorted(SEEN.items()))}\n")


if __name__ == "__main__":
    main()
