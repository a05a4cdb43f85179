"""The mutation campaign in short: a sample of faults is noticed, and the campaign would say if it were not."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutation.campaign import ROOT
from tests.mutation.explained import EXPLAINED, Key, explanations, findings, key_of
from tests.mutation.mutants import Mutant, mutants

SOURCE = '''"""A docstring."""

LIMITS: Final = {"narrow": 2}
ENDLESS: Final = 1e100
Word: TypeAlias = "str"


class Chart:
    @property
    def wide(self) -> "bool":
        return self.h > 2 and not self.k

    def pair(self, x: float, *, limit: float = 0.5) -> None:
        raise ValueError(f"{x} is no number", zip(x, limit, strict=True))
'''
FAULTS = {
    ("ENDLESS", "ENDLESS: Final = None"),
    ("LIMITS", "LIMITS: Final = None"),
    ("LIMITS", 'LIMITS: Final = {"XXnarrowXX": 2}'),
    ("LIMITS", 'LIMITS: Final = {"NARROW": 2}'),
    ("LIMITS", 'LIMITS: Final = {"narrow": 3}'),
    ("LIMITS", 'LIMITS: Final = {"narrow": 1}'),
    ("Chart.wide", "return self.h > 2 or not self.k"),
    ("Chart.wide", "return self.h >= 2 and not self.k"),
    ("Chart.wide", "return self.h > 3 and not self.k"),
    ("Chart.wide", "return self.h > 1 and not self.k"),
    ("Chart.wide", "return self.h > 2 and self.k"),
    ("Chart.pair", "def pair(self, x: float, *, limit: float = 1.5) -> None:"),
    ("Chart.pair", "raise ValueError(None, zip(x, limit, strict=True))"),
    ("Chart.pair", 'raise ValueError(f"{x} is no number", None)'),
    ("Chart.pair", "raise ValueError(zip(x, limit, strict=True))"),
    ("Chart.pair", 'raise ValueError(f"{x} is no number", )'),
    ("Chart.pair", 'raise ValueError(f"{x} is no number", zip(None, limit, strict=True))'),
    ("Chart.pair", 'raise ValueError(f"{x} is no number", zip(x, None, strict=True))'),
    ("Chart.pair", 'raise ValueError(f"{x} is no number", zip(limit, strict=True))'),
    ("Chart.pair", 'raise ValueError(f"{x} is no number", zip(x, strict=True))'),
}


def _campaign(*words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "tests.mutation", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=280)


def _counts(done: "subprocess.CompletedProcess[str]") -> list[int]:
    """Return mutants, killed, survived, explained, unexplained of all modules."""
    row = next(line for line in done.stdout.splitlines() if line.startswith("all"))
    return [int(cell) for cell in row.split()[1:6]]


def test_a_sample_of_faults_is_noticed() -> None:
    done = _campaign("--sample", "16", "--seed", "2026")
    assert done.returncode == 0, done.stdout + done.stderr
    tried, killed, *_, unexplained = _counts(done)
    assert (tried, unexplained) == (16, 0)
    assert killed >= 9


def test_faults_that_no_test_looks_for_survive(tmp_path: Path) -> None:
    blind = tmp_path / "test_blind.py"
    blind.write_text("def test_nothing():\n    pass\n")
    nothing = tmp_path / "nothing.toml"
    nothing.touch()
    done = _campaign("run_rules", "--sample", "3", "--tests", str(blind), "--explained", str(nothing))
    assert done.returncode == 1, done.stderr
    assert _counts(done) == [3, 0, 3, 0, 3]
    assert done.stdout.count("# unexplained") == 3


def test_tests_that_fail_without_a_fault_prove_nothing(tmp_path: Path) -> None:
    broken = tmp_path / "test_broken.py"
    broken.write_text("def test_broken():\n    raise AssertionError\n")
    done = _campaign("run_rules", "--sample", "1", "--tests", str(broken))
    assert done.returncode == 1
    assert "the tests of run_rules fail without a fault" in done.stderr


def test_a_module_that_is_not_mutated_is_named() -> None:
    done = _campaign("run_rules", "ewma")
    assert done.returncode == 1
    assert "no module ewma; there are cusum.tabular" in done.stderr


def test_faults_are_made_in_tables_defaults_and_properties_too() -> None:
    found = mutants("chart", SOURCE)
    assert {(mutant.scope, mutant.now) for mutant in found} == FAULTS
    assert len(found) == len(FAULTS)


def test_a_fault_keeps_its_name_when_lines_move() -> None:
    moved = mutants("chart", SOURCE.replace("class Chart", "FIRST = ()\n\n\nclass Chart"))
    assert {key_of(mutant) for mutant in mutants("chart", SOURCE)} <= {key_of(mutant) for mutant in moved}


def test_every_explanation_is_of_a_survivor() -> None:
    killed, survivor, other = (Mutant("m", "f", "x < y", now, "") for now in ("x <= y", "x > y", "x"))
    known = {key_of(killed): "", key_of(survivor): "", Key("m", "f", "gone", "too"): ""}
    left = findings([killed, survivor, other], [killed, survivor, other], [survivor, other], known)
    assert left == ([other], [key_of(killed)], [Key("m", "f", "gone", "too")])
    assert findings([killed, other], [other], [], {key_of(killed): "not tried"}) == ([], [], [])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[[survivor]]\nmodule = "m"\nscope = "f"\nwas = "a"\nnow = "b"\nwhy = " "\n', "a reason"),
        ('[[survivor]]\nmodule = "m"\nwas = "a"\nnow = "b"\nwhy = "c"\n', "needs module, scope"),
        (2 * '[[survivor]]\nmodule = "m"\nscope = "f"\nwas = "a"\nnow = "b"\nwhy = "c"\n', "explained twice"),
    ],
)
def test_an_explanation_has_a_reason_and_is_given_once(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "explained.toml").write_text(text)
    with pytest.raises(ValueError, match=words):
        explanations(tmp_path / "explained.toml")


def test_one_reason_may_explain_several_survivors(tmp_path: Path) -> None:
    text = '[[survivor]]\nmodule = "m"\nscope = "f"\nwas = "a"\nnow = ["b", "c"]\nwhy = "d"\n'
    (tmp_path / "explained.toml").write_text(text)
    assert explanations(tmp_path / "explained.toml") == {Key("m", "f", "a", now): "d" for now in ("b", "c")}


def test_the_explanations_of_the_repository_can_be_read() -> None:
    assert all(why.endswith(".") for why in explanations(EXPLAINED).values())
