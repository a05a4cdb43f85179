"""What the lines of one log come to: a fault stands once while it is open, floods are bounded, nothing else is said."""

from collections.abc import Callable

from prometheus_client import REGISTRY

from collectors.fault_logs.keeper import LAST_UNMATCHED, UNMATCHED_CHARS, LogKeeper, LogLine, fault_id
from collectors.fault_logs.rules import rules_from_toml
from streams.fold.device import OPEN_FAULTS
from streams.messages import FaultCleared, FaultLogged, Severity
from tests.fakes import FakeSite

RULES = rules_from_toml(
    r"""
title = "a scanner's"
[[rule]]
pattern = 'heartbeat'
action = "ignore"
[[rule]]
pattern = '(?P<code>\w+) is over'
action = "clear"
[[rule]]
pattern = 'STOP (?P<code>\w+)'
component = "table"
text = "The table is stuck"
stops_scanning = true
[[rule]]
pattern = 'WARN (?P<code>\w+)'
[[rule]]
pattern = 'AuditMessage event=(?P<code>\w+).* outcome=8'
text = "The scanner's program failed"
""",
    "rules",
)


class Told:
    """A keeper, and lines given to it one by one as a front end would."""

    def __init__(self, name: str, *, facts_an_hour: int = 1000) -> None:
        self.site, self.now, self.device = FakeSite(), 0.0, f"test-site/{name}"
        self.keeper = LogKeeper(self.site, self.device, RULES, facts_an_hour=facts_an_hour, clock=lambda: self.now)
        self._number = 0

    def say(self, *lines: str, severity: Severity | None = None) -> None:
        for text in lines:
            self._number += 1
            self.keeper.look()
            draft = self.keeper.judge(LogLine((str(self._number),), text, severity))
            self.keeper.record([] if draft is None else [draft])

    @property
    def facts(self) -> list[str]:
        kinds: dict[type, Callable[[str], str]] = {FaultLogged: lambda i: f"+{i}", FaultCleared: lambda i: f"-{i}"}
        codes = {fault_id(code): code for code in self._codes()}
        facts = self.site.facts.values()
        return [
            kinds[type(fact)](codes[fact.fault_id]) for fact in facts if isinstance(fact, FaultLogged | FaultCleared)
        ]

    def _codes(self) -> list[str]:
        return ["A", "B", "C", "110100", *(f"W{n}" for n in range(30)), *(f"S{n}" for n in range(30))]

    def counted(self, became: str) -> float:
        labels = {"device": self.device, "became": became}
        return REGISTRY.get_sample_value("bonewatch_log_lines_total", labels) or 0.0


def test_a_fault_that_is_repeated_every_minute_stands_once_until_it_is_cleared() -> None:
    told = Told("repeats")
    told.say(*["WARN A"] * 500, "A is over", "A is over", "WARN A")
    assert told.facts == ["+A", "-A", "+A"]
    assert (told.counted("open_already"), told.counted("not_open")) == (499, 1)


def test_a_fault_says_what_its_rule_says_and_nothing_else_of_the_line() -> None:
    told = Told("says")
    told.say("STOP A during the scan of TEST PATIENT", "WARN B", severity=Severity.ALERT)
    first, second = told.site.facts.values()
    assert isinstance(first, FaultLogged)
    assert isinstance(second, FaultLogged)
    assert (first.code, first.text, first.component, first.severity, first.stops_scanning) == (
        "A", "The table is stuck", "table", Severity.ALERT, True,
    )  # fmt: skip
    assert (second.text, second.logged_by.name, second.stops_scanning) == ("Fault B", "device log", False)
    assert "PATIENT" not in repr(told.site.facts)


def test_a_fault_that_turns_out_to_stop_scanning_is_logged_again() -> None:
    told = Told("worse")
    told.say("WARN A", "STOP A", "WARN A", "STOP A")
    assert told.facts == ["+A", "+A"]


def test_no_more_faults_are_opened_than_can_be_open_and_those_that_stop_scanning_go_first() -> None:
    told = Told("many")
    told.say(*(f"WARN W{n}" for n in range(30)))
    assert told.facts == [f"+W{n}" for n in range(OPEN_FAULTS)]
    batch = [LogLine((f"batch {n}",), f"STOP S{n}") for n in range(30)]
    told.keeper.look()
    drafts = [draft for draft in map(told.keeper.judge, batch) if draft is not None]
    assert [draft.fact.code for draft in drafts if isinstance(draft.fact, FaultLogged)] == [
        f"S{n}" for n in range(OPEN_FAULTS)
    ]


def test_a_device_that_flaps_is_recorded_only_so_often_and_ends_with_its_fault_open() -> None:
    told = Told("flaps", facts_an_hour=10)
    told.say(*["STOP A", "A is over"] * 200)
    assert told.facts == ["+A", "-A"] * 5 + ["+A"]
    told.now = 1800.0
    told.say(*["STOP A", "A is over"] * 200)
    assert len(told.facts) == 11 + 6
    assert told.facts[-1] == "+A"
    assert told.counted("too_often") > 100


def test_the_same_line_delivered_twice_counts_once_also_after_its_fault_was_cleared() -> None:
    told = Told("twice")
    line = LogLine(("syslog", "1"), "WARN A")
    told.keeper.look()
    first = told.keeper.judge(line)
    assert first is not None
    told.keeper.record([first])
    told.say("A is over")
    told.keeper.look()
    again = told.keeper.judge(line)
    assert again == first
    told.keeper.record([again])
    assert told.facts == ["+A", "-A"]


def test_a_line_read_again_under_other_rules_stays_what_it_was() -> None:
    told = Told("rules")
    told.keeper.look()
    drafts = [told.keeper.judge(LogLine((place,), text)) for place, text in (("x1", "WARN A"), ("x2", "WARN B"))]
    assert drafts[0] is not None
    assert drafts[1] is not None
    told.keeper.record([drafts[0]])
    told.say("A is over")
    other = told.keeper
    other.look()
    changed = other.judge(LogLine(("x1",), "STOP A"))
    assert changed is not None
    other.record([changed, drafts[1]])
    assert told.facts == ["+A", "-A", "+B"]
    assert told.counted("conflict") == 1


def test_lines_of_no_rule_are_counted_and_the_last_are_kept_in_memory_alone() -> None:
    told = Told("unmatched")
    told.say("heartbeat", *(f"line {n} {'x' * 500}" for n in range(100)))
    assert told.facts == []
    assert len(told.keeper.last_unmatched) == LAST_UNMATCHED
    assert told.keeper.last_unmatched[-1].startswith("line 99 ")
    assert max(map(len, told.keeper.last_unmatched)) == UNMATCHED_CHARS
    assert (told.counted("unmatched"), told.counted("ignored")) == (100, 1)


def test_audit_messages_are_judged_by_event_and_outcome_and_damaged_ones_are_counted() -> None:
    told = Told("audit")
    event = '<EventIdentification EventOutcomeIndicator="8"><EventID csd-code="110100"/></EventIdentification>'
    patient = '<ParticipantObjectIdentification ParticipantObjectID="STOP A"/>'
    told.say(f"<AuditMessage>{event}{patient}</AuditMessage>", f"<AuditMessage>{event}")
    assert told.facts == ["+110100"]
    assert told.counted("damaged") == 1
