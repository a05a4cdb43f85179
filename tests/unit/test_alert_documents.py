"""The page on alerts names every kind, and the defaults that it states are those of the code."""

from pathlib import Path

from alerts.condition import Kind
from alerts.rules import AlertRules

PAGE = " ".join((Path(__file__).resolve().parents[2] / "docs" / "alerts.md").read_text(encoding="utf-8").split())
RULES = AlertRules()


def test_every_kind_of_alert_has_its_row() -> None:
    assert [kind.value for kind in Kind if f"| `{kind.value}` |" not in PAGE] == []


def test_the_defaults_on_the_page_are_those_of_the_rules() -> None:
    first, second = RULES.urgent.after_minutes
    stated = (
        f"from {RULES.pre_clinic_minutes} minutes before a clinic",
        f"What comes up within {RULES.group_seconds} seconds",
        f"an override ends within {RULES.override_ending_minutes} minutes",
        f"not been heard for {RULES.line_silent_minutes} minutes",
        f"nothing came from a scanner for {RULES.scanner_silent_minutes // 60} hours",
        f"when it has waited {RULES.review_days} days",
        f"with an engineer for {RULES.handover_hours} hours",
        f"has been open for {RULES.incident_days} days",
        f"after {RULES.uptime_hours} hours of clinic time",
        f"one message at {RULES.digest_at} from Monday to Friday",
        f"after {first} minutes; when the clinic begins",
        f"not within {RULES.soonest_escalation_minutes} minutes | after {second} minutes",
        f"| Prompt | after {RULES.prompt.after_minutes[0] // 60} hours | after a day",
        f"if that is within {RULES.wait_for_duty_hours} hours",
        "from {} to {} on every day".format(*RULES.assumed_clinic),
    )
    assert [words for words in stated if words not in PAGE] == []
    assert (RULES.settle_minutes, RULES.max_lines, RULES.prompt.after_minutes[1]) == (3, 10, 24 * 60)
    assert RULES.digest_days == ("mon", "tue", "wed", "thu", "fri")
