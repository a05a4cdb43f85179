"""Rules: which line is a fault, and what of a line may be said."""

from pathlib import Path

import pytest

from collectors.fault_logs.rules import (
    CODE_CHARS,
    LOOKED_AT,
    TEXT_CHARS,
    Found,
    Judged,
    RulesError,
    load,
    rules_from_toml,
)
from streams.messages import Severity

RULES = rules_from_toml(
    r"""
title = "an example"
[[rule]]
pattern = 'heartbeat'
action = "ignore"
[[rule]]
pattern = 'tube current low'
code = "TUBE"
component = "x-ray"
text = "Tube current is low"
stops_scanning = true
[[rule]]
pattern = '(?P<severity>[A-Z]+) E(?P<code>\d+)(?: in (?P<component>\w+))?: (?P<text>[^(]*)'
code = "unused"
severity = "warning"
[[rule]]
pattern = 'tube ready'
action = "clear"
code = "TUBE"
""",
    "rules.toml",
)


@pytest.mark.parametrize(
    ("line", "judged"),
    [
        ("apex: X-ray tube current low for PATIENT NAME",
         Judged(Found("TUBE", component="x-ray", text="Tube current is low", stops_scanning=True))),
        ("heartbeat: tube current low", Judged(ignored=True)),
        ("ERR E42 in table: belt slips (PATIENT NAME)",
         Judged(Found("42", severity=Severity.ERROR, component="table", text="belt slips"))),
        ("ODD E42: x", Judged(Found("42", severity=Severity.WARNING, text="x"))),
        ("tube ready", Judged(Found("TUBE", clears=True))),
        ("nothing of this", Judged()),
        ("", Judged()),
    ],
)  # fmt: skip
def test_the_first_rule_that_fits_says_what_a_line_is(line: str, judged: Judged) -> None:
    assert RULES.judge(line) == judged


def test_a_severity_is_the_lines_then_the_rules_then_the_senders() -> None:
    assert RULES.judge("tube current low", Severity.ALERT).found == Found(
        "TUBE", severity=Severity.ALERT, component="x-ray", text="Tube current is low", stops_scanning=True
    )
    assert RULES.judge("ODD E1: x", Severity.ALERT).found == Found("1", severity=Severity.WARNING, text="x")


def test_what_is_said_is_one_short_line_of_printable_characters() -> None:
    rules = rules_from_toml("""title = "t"\n[[rule]]\npattern = '(?s)(?P<code>C.*) is (?P<text>.*)'""", "r")
    found = rules.judge("C" + "x" * 100 + " is a\r\nb\x1b[31m\t" + "y" * 300).found
    assert found is not None
    assert (len(found.code), found.text[:9], len(found.text)) == (CODE_CHARS, "a b [31m ", TEXT_CHARS)
    assert rules.judge("C" * LOOKED_AT + " is x") == Judged()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("title = 1", "Expected `str`"),
        ("title = 't'\nrule = []", "there is no [[rule]]"),
        ("title = 't'\n[[rule]]\npattern = '('\ncode = 'x'", "rule 1: the pattern does not hold"),
        ("title = 't'\n[[rule]]\npattern = 'x'", "rule 1: say the fault's code"),
        ("title = 't'\n[[rule]]\npattern = 'x*'\ncode = 'x'", "fits an empty line"),
        ("title = 't'\n[[rule]]\npattern = '(?P<name>x)'\ncode = 'x'", "there is no group name"),
        ("title = 't'\n[[rule]]\npattern = 'x'\naction = 'clear'\ncode = 'x'\nstops_scanning = true", "is said where"),
        ("title = 't'\n[[rule]]\npattern = 'x'\ncode = '" + "x" * 41 + "'", "at most 40"),
        ("title = 't'\n[[rule]]\npattern = 'x'\nseverity = 'bad'", "severity"),
        ("title = 't'\n[[rule]]\npatern = 'x'", "patern"),
        ("title", "Expected '='"),
    ],
)
def test_rules_that_do_not_hold_are_refused_with_words(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(text)
    with pytest.raises(RulesError) as error:
        load(path)
    assert words in str(error.value)
    assert str(path) in str(error.value)
    with pytest.raises(RulesError):
        load(tmp_path / "absent.toml")


def test_the_example_in_the_document_holds() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "connect" / "fault-logs.md").read_text(encoding="utf-8")
    rules = rules_from_toml(page.split("```toml\n", 1)[1].split("```", 1)[0], "the document")
    found = rules.judge("test: ERROR E42 in table").found
    assert found == Found("E42", severity=Severity.ERROR, component="table")
    assert rules.judge("C-arm belt broken").found is not None
    assert rules.judge("user logged on").ignored
