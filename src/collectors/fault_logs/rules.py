"""Which line of a log is a fault: regular expressions in a file, the first that is found in the line wins.

What a fault says comes from the rule's own words, or from its named groups, and from nothing else of the line: a log
may name patients. See ``docs/connect/fault-logs.md`` for what a file of rules may say.
"""

import re
from collections.abc import Iterator
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from collectors.toml_file import TomlFileError, parsed, text_of
from streams.messages import Severity

GROUPS: Final = frozenset({"code", "severity", "component", "text"})
"""Names that a group of a rule's pattern may have."""
LOOKED_AT: Final = 2_000
"""Characters of a line that patterns see."""
CODE_CHARS: Final = 40
TEXT_CHARS: Final = 200

_SPELLINGS: Final = {"emerg": "emergency", "panic": "emergency", "crit": "critical", "fatal": "critical",
                     "err": "error", "warn": "warning", "information": "info", "informational": "info",
                     "verbose": "debug"}  # fmt: skip


class RulesError(TomlFileError):
    """A file of rules does not hold; the text names the file, the rule and what to do."""


class Action(StrEnum):
    """What a rule makes of a line."""

    FAULT = "fault"
    CLEAR = "clear"
    IGNORE = "ignore"


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One rule; a group of its pattern that has caught something goes before the field of the same name."""

    pattern: str
    action: Action = Action.FAULT
    code: str = ""
    severity: Severity | None = None
    component: str = ""
    text: str = ""
    stops_scanning: bool = False


class Found(NamedTuple):
    """A line that says a fault, or (`clears`) that it is over."""

    code: str
    clears: bool = False
    severity: Severity | None = None
    component: str = ""
    text: str = ""
    stops_scanning: bool = False


class Judged(NamedTuple):
    """What the rules say of a line: something was found, or it may be ignored, or (neither) no rule fits."""

    found: Found | None = None
    ignored: bool = False


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """A file of rules; `tried` is whether anybody has tried it on a device's log."""

    title: str
    rule: tuple[Rule, ...]
    tried: bool = False

    @cached_property
    def compiled(self) -> tuple[tuple[re.Pattern[str], Rule], ...]:
        """The rules with their patterns."""
        return tuple((re.compile(rule.pattern), rule) for rule in self.rule)

    def judge(self, line: str, severity: Severity | None = None) -> Judged:
        """Return what a line says; `severity` is what its sender gave it."""
        line = line[:LOOKED_AT]
        for pattern, rule in self.compiled:
            caught = pattern.search(line)
            if caught is None:
                continue
            if rule.action is Action.IGNORE:
                return Judged(ignored=True)
            return Judged(_found(rule, {k: _tidy(v) for k, v in caught.groupdict().items() if v}, severity))
        return Judged()


def load(path: Path) -> Rules:
    """Return the rules of a file.

    Raises
    ------
    RulesError
        If it cannot be read or does not hold.
    """
    return rules_from_toml(text_of(path, RulesError), str(path))


def rules_from_toml(text: str, where: str) -> Rules:
    """Return the rules that a file's text says; `where` is named in errors.

    Raises
    ------
    RulesError
        If they do not hold.
    """
    return parsed(text, Rules, where, _faults_in, RulesError)


def _faults_in(rules: Rules) -> Iterator[str]:
    if not rules.rule:
        yield "there is no [[rule]]"
    for place, rule in enumerate(rules.rule, 1):
        yield from (f"rule {place}: {words}" for words in _faults(rule))


def _faults(rule: Rule) -> Iterator[str]:
    try:
        pattern = re.compile(rule.pattern)
    except re.error as error:
        yield f"the pattern does not hold: {error}"
        return
    if pattern.search("") is not None:
        yield "the pattern fits an empty line, so it fits everything"
    for group in sorted(pattern.groupindex.keys() - GROUPS):
        yield f"there is no group {group}: there are {', '.join(sorted(GROUPS))}"
    if rule.action is Action.IGNORE:
        return
    if not rule.code and "code" not in pattern.groupindex:
        yield "say the fault's code, or catch it in a group (?P<code>...)"
    if len(rule.code) > CODE_CHARS:
        yield f"a code has at most {CODE_CHARS} characters"
    if rule.action is Action.CLEAR and rule.stops_scanning:
        yield "stops_scanning is said where the fault is logged"


def _found(rule: Rule, caught: dict[str, str], severity: Severity | None) -> Found | None:
    code = caught.get("code", rule.code)[:CODE_CHARS]
    if not code:
        return None
    said = caught.get("severity", "").lower()
    return Found(
        code,
        rule.action is Action.CLEAR,
        _severity(said) or rule.severity or severity,
        caught.get("component", rule.component)[:CODE_CHARS],
        caught.get("text", rule.text)[:TEXT_CHARS],
        rule.stops_scanning,
    )


def _severity(word: str) -> Severity | None:
    word = _SPELLINGS.get(word, word)
    return Severity(word) if word in Severity.__members__.values() else None


def _tidy(text: str) -> str:
    """Return one line of printable characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
