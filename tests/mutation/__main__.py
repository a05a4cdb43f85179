"""``./bonewatch mutate [module ...]``: run the mutation campaign; docs/mutation.md says how to read it."""

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.mutation.campaign import ROOT, TESTS, Ground, path_of, trial
from tests.mutation.explained import EXPLAINED, Key, explanations, findings, key_of
from tests.mutation.mutants import Mutant, mutants


def main(words: Sequence[str]) -> int:
    """Run the campaign that the words ask for; 1 if a survivor or an explanation is not in order."""
    asked = _parser().parse_args(words)
    modules = [module for module in TESTS if not asked.modules or {module, module.partition(".")[0]} & {*asked.modules}]
    if not modules or (unknown := {*asked.modules} - {*modules} - {module.partition(".")[0] for module in modules}):
        names = ", ".join(sorted(unknown)) if modules else ", ".join(asked.modules)
        sys.exit(f"mutate: no module {names}; there are {', '.join(TESTS)}")
    os.nice(5)
    found = [mutant for module in modules for mutant in mutants(module, (ROOT / path_of(module)).read_text())]
    known = {key: why for key, why in explanations(asked.explained).items() if key.module in modules}
    tried = found if asked.sample is None else random.Random(asked.seed).sample(found, asked.sample)  # noqa: S311
    survivors, table = _campaign(tried, known, asked.tests, asked.jobs)
    left = findings(found, tried, survivors, known)
    sys.stdout.write(table)
    sys.stdout.writelines(f"\nStale, a test notices the mutant: {key}\n" for key in left.killed)
    sys.stdout.writelines(f"\nStale, there is no such mutant: {key}\n" for key in left.vanished)
    return 1 if any(left) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bonewatch mutate", description=__doc__)
    parser.add_argument("modules", nargs="*", help="modules of qa_models or their folder; by default all of them")
    parser.add_argument("--sample", type=int, help="try only so many, drawn at random")
    parser.add_argument("--seed", type=int, default=1, help="of the sample")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="mutants tried at once")
    parser.add_argument("--tests", type=Path, nargs="+", default=[], help="test files instead of each module's own")
    parser.add_argument("--explained", type=Path, default=EXPLAINED, help="the explanations")
    return parser


def _campaign(
    tried: Sequence[Mutant], known: dict[Key, str], tests: Sequence[Path], jobs: int
) -> tuple[list[Mutant], str]:
    """Return the survivors, and the table of the campaign."""
    started = time.monotonic()
    survivors: list[Mutant] = []
    spent_s: dict[str, float] = dict.fromkeys((mutant.module for mutant in tried), 0.0)
    with tempfile.TemporaryDirectory(prefix="bonewatch-mutation-") as folder:
        trials = trial(Ground(Path(folder), tests), tried, at_once=jobs)
        for done, (mutant, survived, took_s) in enumerate(trials, start=1):
            spent_s[mutant.module] += took_s / jobs
            survivors += [mutant] if survived else []
            if survived and key_of(mutant) not in known:
                sys.stdout.write(f"# unexplained, number {done} of {len(tried)}:\n{_block(mutant)}\n")
                sys.stdout.flush()
    rows = [["module", "mutants", "killed", "survived", "explained", "unexplained", "time"]]
    for module, took_s in spent_s.items():
        of_module = [[mutant for mutant in some if mutant.module == module] for some in (tried, survivors)]
        rows.append([module, *_counts(of_module[0], of_module[1], known), f"{took_s:.0f} s"])
    rows.append(["all", *_counts(tried, survivors, known), f"{time.monotonic() - started:.0f} s"])
    return survivors, "".join(f"{name:<24}" + "".join(f"{cell:>13}" for cell in cells) + "\n" for name, *cells in rows)


def _counts(tried: Sequence[Mutant], survivors: Sequence[Mutant], known: dict[Key, str]) -> list[str]:
    """Return how many mutants, killed, survived, explained and unexplained."""
    explained = sum(key_of(mutant) in known for mutant in survivors)
    counts = (len(tried), len(tried) - len(survivors), len(survivors), explained, len(survivors) - explained)
    return [str(count) for count in counts]


def _block(mutant: Mutant) -> str:
    """Return the survivor as an explanation that lacks only its reason."""
    lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in key_of(mutant)._asdict().items()]
    return "[[survivor]]\n" + "".join(lines) + 'why = ""\n'


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
