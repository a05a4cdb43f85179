"""The hazard log: data in the manual's folder, rated by a matrix, written as a page for a clinical safety officer."""

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from bonewatch.configuration.section import Section
from bonewatch.errors import ConfigError
from bonewatch.reference.markdown import page as written
from bonewatch.reference.markdown import table

DATA: Final = Path("safety/hazards.toml")


class Severity(StrEnum):
    """What it could do to a patient at the worst that is credible."""

    MINOR = "minor"
    SIGNIFICANT = "significant"
    CONSIDERABLE = "considerable"
    MAJOR = "major"
    CATASTROPHIC = "catastrophic"


class Likelihood(StrEnum):
    """How often that worst would come about."""

    VERY_LOW = "very low"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    VERY_HIGH = "very high"


MATRIX: Final[dict[Likelihood, tuple[int, int, int, int, int]]] = {
    Likelihood.VERY_HIGH: (3, 4, 4, 5, 5),
    Likelihood.HIGH: (2, 3, 3, 4, 5),
    Likelihood.MEDIUM: (2, 2, 3, 3, 4),
    Likelihood.LOW: (1, 2, 2, 3, 4),
    Likelihood.VERY_LOW: (1, 1, 2, 2, 3),
}
"""Risk by likelihood, and by severity in its order: as NHS Digital's UK Core hazard log prints it."""

Sentence = Annotated[str, Meta(min_length=8)]
TestName = Annotated[str, Meta(pattern=r"^tests/[\w/]+\.py::test_\w+$")]


class Rating(Section, frozen=True):
    """A proposal, until a clinical safety officer has confirmed it."""

    severity: Severity
    likelihood: Likelihood

    @property
    def risk(self) -> int:
        """1, acceptable, to 5, unacceptable."""
        return MATRIX[self.likelihood][list(Severity).index(self.severity)]

    def __str__(self) -> str:
        return f"{self.risk} ({self.severity}, {self.likelihood})"


class Control(Section, frozen=True):
    """What this program does against a hazard, and the tests that show it."""

    does: Sentence
    tests: tuple[TestName, ...] = ()
    missing: str = ""
    """What no test shows yet."""


class Hazard(Section, frozen=True):
    """One way in which the program, or work with it, could harm a patient."""

    id: Annotated[str, Meta(pattern=r"^H\d\d$")]
    name: Sentence
    description: Sentence
    causes: Annotated[tuple[Sentence, ...], Meta(min_length=1)]
    effect: Sentence
    initial: Rating
    control: Annotated[tuple[Control, ...], Meta(min_length=1)]
    residual: Rating
    deployer: tuple[Sentence, ...] = ()
    no_deployer: str = ""
    """Why nothing is left to the deployer."""
    status: str = "open"


class HazardLog(Section, frozen=True):
    """The file."""

    hazard: tuple[Hazard, ...]


def load(docs: Path) -> HazardLog:
    """Return the hazard log of a manual's folder.

    Raises
    ------
    ConfigError
        If it is not there or a hazard lacks something.
    """
    path = docs / DATA
    try:
        return msgspec.toml.decode(path.read_bytes(), type=HazardLog)
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error


def page(docs: Path) -> str:
    """Return the page."""
    log = load(docs)
    said = (
        "What could harm a patient, what this program does against it, which tests show that, and what is left to",
        "whoever deploys it. The ratings are **proposals by the developers**: no clinical safety officer has confirmed",
        "one, and so every hazard is open. How it is kept, and the matrix: [clinical safety](index.md). The data:",
        "`hazards.toml` beside this page.",
    )
    rows = ((f"[{h.id}](#{_slug(h)})", h.name, str(h.initial.risk), str(h.residual.risk), h.status) for h in log.hazard)
    overview = table(("Hazard", "", "Risk before", "Risk after", "Status"), rows)
    return written("Hazard log", said, overview, *(list(_hazard(one)) for one in log.hazard))


def _slug(hazard: Hazard) -> str:
    """Return the anchor of a hazard's heading, by the rule of the repository's web page."""
    kept = "".join(c for c in f"{hazard.id} {hazard.name}".lower() if c.isalnum() or c in " -")
    return kept.replace(" ", "-")


def _hazard(hazard: Hazard) -> Iterator[str]:
    yield f"## {hazard.id} {hazard.name}"
    yield from ("", hazard.description, "")
    yield f"- **Causes**: {'; '.join(hazard.causes)}."
    yield f"- **Effect on a patient**: {hazard.effect}"
    yield f"- **Risk without controls**: {hazard.initial}. **With them**: {hazard.residual}."
    yield f"- **Status**: {hazard.status}."
    yield from ("", "Controls:", "")
    for control in hazard.control:
        yield f"- {control.does}"
        yield from (f"  - {_test(test)}" for test in control.tests)
        if control.missing:
            yield f"  - No test yet: {control.missing}"
    yield from ("", "The deployer:" if hazard.deployer else f"The deployer: {hazard.no_deployer}")
    if hazard.deployer:
        yield from ("", *(f"- {one}" for one in hazard.deployer))


def _test(name: str) -> str:
    """Return a test as a sentence, and where it stands."""
    path, _, test = name.partition("::")
    return f"{test.removeprefix('test_').replace('_', ' ')} (`{path}`)"
