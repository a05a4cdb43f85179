"""Explanations of survivors: why a mutant that no test notices does no harm."""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from tests.mutation.mutants import Mutant

EXPLAINED: Final = Path(__file__).resolve().parent.parent / "mutation_survivors.toml"


class Key(NamedTuple):
    """What names a mutant as long as its lines stay as they are, wherever they move."""

    module: str
    scope: str
    was: str
    now: str


def key_of(mutant: Mutant) -> Key:
    """Return the name of a mutant."""
    return Key(mutant.module, mutant.scope, mutant.was, mutant.now)


def explanations(path: Path) -> dict[Key, str]:
    """Return the explanations of a file; one may give several `now`, as a list.

    Raises
    ------
    ValueError
        If one has other keys than module, scope, was, now and why, no reason, or is there twice.
    """
    known: dict[Key, str] = {}
    for entry in tomllib.loads(path.read_text()).get("survivor", []):
        if {*entry} != {*Key._fields, "why"} or not entry["why"].strip():
            raise ValueError(f"{path.name}: {entry} needs {', '.join(Key._fields)} and a reason, and nothing else")
        for now in entry["now"] if isinstance(entry["now"], list) else [entry["now"]]:
            key = Key(entry["module"], entry["scope"], entry["was"], now)
            if key in known:
                raise ValueError(f"{path.name}: {key} is explained twice")
            known[key] = entry["why"]
    return known


class Findings(NamedTuple):
    """What a campaign leaves to be done; nothing if it is in order.

    Parameters
    ----------
    unexplained
        Survivors without an explanation.
    killed, vanished
        Explanations whose mutant a test notices by now, and whose mutant there is no more.
    """

    unexplained: list[Mutant]
    killed: list[Key]
    vanished: list[Key]


def findings(
    found: Sequence[Mutant], tried: Sequence[Mutant], survivors: Sequence[Mutant], known: dict[Key, str]
) -> Findings:
    """Compare survivors with explanations, of the mutants tried among those found."""
    alive = {key_of(mutant) for mutant in survivors}
    return Findings(
        unexplained=[mutant for mutant in survivors if key_of(mutant) not in known],
        killed=sorted({key_of(mutant) for mutant in tried} & {*known} - alive),
        vanished=sorted({*known} - {key_of(mutant) for mutant in found}),
    )
