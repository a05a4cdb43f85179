"""The hazard log: controls name tests that exist, each hazard has its part for the deployer, none is left out."""

import ast
from functools import cache
from pathlib import Path

import pytest

from bonewatch.errors import ConfigError
from bonewatch.reference.hazard_log import DATA, MATRIX, Control, Hazard, Likelihood, Rating, Severity, load

ROOT = Path(__file__).resolve().parents[2]
HAZARDS = load(ROOT / "docs").hazard

REQUIRED = {
    "H01": "failed its QC",
    "H02": "cached worklist",
    "H03": "empty list",
    "H04": "Bonewatch is down",
    "H05": "Overriding",
    "H06": "false signal amends",
    "H07": "missed in retrospect",
    "H08": "under a phantom's id",
    "H09": "wrong phantom",
    "H10": "baseline hides a step",
    "H11": "with the engineer",
    "H12": "another patient",
    "H13": "FRAX",
    "H14": "clock",
    "H15": "alert",
}
"""Hazards that the log must have, by a word of their names."""


@cache
def names_in(path: Path) -> frozenset[str]:
    """Names of a file's tests, of functions and of classes' methods."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, kinds) and node.name.startswith("test_"))


def absent(control: Control, root: Path = ROOT) -> list[str]:
    """The tests of a control that are not in the tree."""
    found = []
    for test in control.tests:
        path, _, name = test.partition("::")
        if not (root / path).is_file() or name not in names_in(root / path):
            found.append(test)
    return found


@pytest.mark.parametrize("hazard", HAZARDS, ids=[hazard.id for hazard in HAZARDS])
def test_each_control_is_shown_by_tests_that_exist_or_says_what_is_missing(hazard: Hazard) -> None:
    for control in hazard.control:
        assert absent(control) == []
        assert bool(control.tests) != bool(control.missing), control.does
    assert any(control.tests for control in hazard.control)


def test_a_test_that_is_not_there_is_noticed() -> None:
    here = "tests/unit/test_hazard_log.py::"
    there = "test_a_test_that_is_not_there_is_noticed"
    control = Control(does="as the test says", tests=(here + there, here + "test_of_nothing", "tests/no.py::test_x"))
    assert absent(control) == [here + "test_of_nothing", "tests/no.py::test_x"]


@pytest.mark.parametrize("hazard", HAZARDS, ids=[hazard.id for hazard in HAZARDS])
def test_each_hazard_says_what_is_left_to_the_deployer_or_why_nothing_is(hazard: Hazard) -> None:
    assert bool(hazard.deployer) != bool(hazard.no_deployer)


@pytest.mark.parametrize("hazard", HAZARDS, ids=[hazard.id for hazard in HAZARDS])
def test_controls_never_make_a_risk_greater_and_no_hazard_is_closed_without_an_officer(hazard: Hazard) -> None:
    assert hazard.residual.risk <= hazard.initial.risk
    assert hazard.status == "open"


def test_the_list_has_the_hazards_that_it_must_have_each_once() -> None:
    names = {hazard.id: hazard.name for hazard in HAZARDS}
    assert len(names) == len(HAZARDS)
    assert {key for key, word in REQUIRED.items() if word in names.get(key, "")} == REQUIRED.keys()


def test_risks_are_those_of_the_published_matrix() -> None:
    """Corners and the middle of the matrix in NHS Digital's UK Core hazard log."""
    published = {
        ("very high", "minor"): 3,
        ("very high", "catastrophic"): 5,
        ("high", "significant"): 3,
        ("medium", "considerable"): 3,
        ("medium", "major"): 3,
        ("low", "minor"): 1,
        ("low", "considerable"): 2,
        ("very low", "significant"): 1,
        ("very low", "catastrophic"): 3,
    }
    for (likelihood, severity), risk in published.items():
        assert Rating(severity=Severity(severity), likelihood=Likelihood(likelihood)).risk == risk


def test_the_matrix_on_the_page_is_the_one_that_is_reckoned_with() -> None:
    page = (ROOT / "docs" / "safety" / "index.md").read_text(encoding="utf-8")
    for likelihood, risks in MATRIX.items():
        assert f"| {likelihood} | {' | '.join(map(str, risks))} |" in page


def test_a_hazard_that_lacks_something_is_refused(tmp_path: Path) -> None:
    (tmp_path / DATA).parent.mkdir()
    (tmp_path / DATA).write_text('[[hazard]]\nid = "H01"\nname = "A hazard without anything"\n')
    with pytest.raises(ConfigError, match=r"hazards\.toml: .*description"):
        load(tmp_path)
