"""What a worker makes of a site's rows: once each, in order, verified; forks, gaps and poison end where they must."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from streams import codec
from streams.envelope import LogRow
from streams.fleet import check, taking_up
from streams.fleet.check import (
    NO_ENGINE,
    Kind,
    Known,
    Received,
    blob_from_known,
    difference,
    is_outdated,
    known_from_blob,
    parked,
    receive,
)
from streams.fleet.taking_up import OnTopic, Survey, TakingUp, take_up
from streams.fold.state import DeviceState
from streams.messages import GateChanged, GateStatus, QcJudged, RecordedOutcome, TimeReached
from streams.sqlite_log import SqliteEventLog
from tests.site_logs import write_log


def rows_of(path: Path) -> Iterator[LogRow]:
    with SqliteEventLog(path, read_only=True) as log:
        for row in log.rows("a/dxa-1"):
            outcomes = tuple(codec.decode_outcome(body) for body in row.outcomes)
            yield LogRow(codec.decode_event(row.body), outcomes, row.position, row.link, row.body, row.outcomes)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[LogRow]:
    """Thirty days of one scanner as its site recorded them."""
    path = tmp_path_factory.mktemp("log") / "site.sqlite"
    write_log(path, "a", devices=1, days=30)
    return list(rows_of(path))


def take(rows: list[LogRow], known: Known | None = None) -> tuple[Known, list[Received]]:
    taken = []
    for row in rows:
        taken.append(receive(known, row))
        known = taken[-1].known
    assert known is not None
    return known, taken


def test_every_row_is_new_verified_and_published_as_the_site_decided(rows: list[LogRow]) -> None:
    known, taken = take(rows)
    assert len(rows) > 80
    assert {received.kind for received in taken} == {Kind.NEW}
    assert [received.divergence for received in taken] == [""] * len(rows)
    assert [received.outcomes for received in taken] == [row.outcomes for row in rows]
    assert any(received.outcomes for received in taken)
    assert known.state.device_seq == len(rows)
    assert known.diverged_at is None


def test_a_row_seen_before_is_told_by_its_number_and_link(rows: list[LogRow]) -> None:
    known, _ = take(rows[:40])
    for row in rows[:40]:
        again = receive(known, row)
        assert (again.kind, again.outcomes, again.known) == (Kind.DUPLICATE, (), known)


def test_a_gap_changes_nothing(rows: list[LogRow]) -> None:
    known, _ = take(rows[:10])
    assert receive(known, rows[11]) == Received(Kind.GAP, known)


def held(outcomes: tuple[RecordedOutcome, ...]) -> list[str]:
    gates = [o.outcome for o in outcomes if isinstance(o.outcome, GateChanged)]
    assert all(gate.status is GateStatus.HELD for gate in gates)
    return [reason.code.value for gate in gates for reason in gate.reasons]


def test_the_same_number_with_another_link_parks_the_device_and_its_gates_say_so(rows: list[LogRow]) -> None:
    known, _ = take(rows[:20])
    forked = receive(known, rows[15]._replace(link=b"another" * 5))
    assert forked.kind is Kind.FORKED
    assert "state_unknown" in held(forked.outcomes)
    assert "came twice" in forked.known.parked
    after = receive(forked.known, rows[20])
    assert (after.kind, after.outcomes) == (Kind.PARKED, ())


def test_another_log_of_the_same_device_parks_it(rows: list[LogRow]) -> None:
    known, _ = take(rows[:20])
    restored = rows[20]._replace(event=replace(rows[20].event, log_id="f" * 32))
    assert receive(known, restored).kind is Kind.FORKED


def test_a_poisoned_event_parks_and_a_refold_of_the_topic_takes_the_device_up_again(rows: list[LogRow]) -> None:
    known, _ = take(rows[:20])
    poisoned = parked(known, "a/dxa-1", "event 21 is of a version this program does not know")
    assert poisoned.kind is Kind.PARKED
    assert "state_unknown" in held(poisoned.outcomes)
    assert parked(poisoned.known, "a/dxa-1", "again").outcomes == ()
    again = take_up(poisoned.known, OnTopic(tuple(rows)))
    assert again.known == take(rows)[0]
    assert [row for row, _ in again.rows] == rows[20:], "what was not published while it was parked"
    assert [received.outcomes for _, received in again.rows] == [row.outcomes for row in rows[20:]]
    (gate,) = again.gates
    assert (gate.outcome, gate.device_seq) == (last_gate(rows).outcome, len(rows))
    assert gate.outcome_id != last_gate(rows).outcome_id, "the same identity would say the same number"


def last_gate(rows: list[LogRow]) -> RecordedOutcome:
    return [o for row in rows for o in row.outcomes if isinstance(o.outcome, GateChanged)][-1]


def test_the_gate_of_a_device_taken_up_again_is_no_older_by_its_number_than_the_one_held(rows: list[LogRow]) -> None:
    last = rows[39].event
    quiet = replace(last, event_id="quiet", device_seq=41, fact=TimeReached(last.recorded_at))
    there = [*rows[:40], rows[40]._replace(event=quiet, outcomes=())]
    poisoned = parked(take(there)[0], "a/dxa-1", "unknown_version")
    again = take_up(poisoned.known, OnTopic(tuple(there)))
    assert [gate.device_seq for gate in again.gates] == [o.device_seq for o in poisoned.outcomes] == [41]


HOLE, UNREAD, TWO = "event 51 is missing", "event 51 cannot be read", "event 51 came with two contents"


@pytest.mark.parametrize("was_parked", ["", "its last record could not be read"])
@pytest.mark.parametrize("why", [HOLE, UNREAD, TWO, "the tail is missing", "all is missing"])
def test_a_device_known_further_than_its_topic_reaches_is_parked_where_it_was_known(
    rows: list[LogRow], why: str, was_parked: str
) -> None:
    known, _ = take(rows)
    known = parked(known, "a/dxa-1", was_parked).known if was_parked else known
    there = {
        HOLE: OnTopic(tuple(rows[:50] + rows[51:])),
        UNREAD: OnTopic(tuple(rows[:50]), frozenset({51})),
        TWO: OnTopic((*rows, rows[50]._replace(body=b"other", link=b"another" * 5))),
    }.get(why, OnTopic(tuple(rows[:50]) if "tail" in why else ()))
    again = take_up(known, there)
    assert again.known.state.device_seq == len(rows), "the table keeps what has the higher number"
    assert again.rows == ()
    expected = {"the tail is missing": "event 51 is missing", "all is missing": was_parked or "event 1 is missing"}
    assert again.known.parked == expected.get(why, why)
    said = [(o.device_seq, "state_unknown" in held((o,))) for o in again.gates]
    changed = again.known.parked != was_parked
    assert said == [(len(rows), True)] * changed, "the gates say why, and say it once"
    mended = take_up(again.known, OnTopic(tuple(rows)))
    assert mended.known == take(rows)[0]


def test_a_device_with_rows_of_another_log_stays_parked_whoever_asks(rows: list[LogRow]) -> None:
    known, _ = take(rows[:20])
    other = rows[20]._replace(event=replace(rows[20].event, log_id="f" * 32))
    forked = receive(known, other).known
    for there in ((*rows[:20], other, *rows[20:]), (other,)):
        again = take_up(forked, OnTopic(tuple(there)))
        assert again.known.parked == f"log_forked: rows of log {'f' * 32} stand there too"
        assert (again.rows, again.known.state.device_seq) == ((), 20)
        assert "state_unknown" in held(again.gates)
    unparked = take_up(known, OnTopic((*rows, other)))
    assert "state_unknown" in held(unparked.gates), "a gap's refold, too, sees what stands on the topic"


def test_a_device_that_was_never_parked_needs_no_gate_anew(rows: list[LogRow]) -> None:
    known, _ = take(rows[:20])
    again = take_up(known, OnTopic((*rows[:10], *rows[11:21], rows[10])))
    assert again.known == take(rows[:21])[0]
    assert ([row for row, _ in again.rows], again.gates) == ([rows[20]], ())


def test_two_contents_of_one_number_keep_a_device_parked(rows: list[LogRow]) -> None:
    known = parked(take(rows[:20])[0], "a/dxa-1", "event 6 came twice with different content").known
    other = rows[5]._replace(body=b"other", link=b"another" * 5)
    again = take_up(known, OnTopic((*rows, other)))
    assert again.known.parked == "event 6 came with two contents"
    assert (again.rows, "state_unknown" in held(again.gates)) == ((), True)


def test_an_event_that_cannot_be_read_keeps_a_device_parked_though_nothing_came_after_it(rows: list[LogRow]) -> None:
    known = parked(take(rows[:20])[0], "a/dxa-1", "unknown_version").known
    again = take_up(known, OnTopic(tuple(rows[:20]), frozenset({3, 21})))
    assert again.known.parked == "event 21 cannot be read"
    assert "state_unknown" in held(again.gates)


def test_a_device_of_which_nothing_can_be_read_stays_as_it_is(rows: list[LogRow]) -> None:
    known = parked(None, "a/dxa-1", "its first record could not be read").known
    assert take_up(known, OnTopic(())) == (known, (), ())
    assert take_up(known, OnTopic(tuple(rows))).known == take(rows)[0]


def test_a_device_of_which_nothing_is_known_can_be_parked() -> None:
    received = parked(None, "a/dxa-9", "its first record could not be read")
    assert received.known.parked
    assert received.known.state.device == "a/dxa-9"


@settings(max_examples=25)
@given(st.randoms(use_true_random=False))
def test_a_refold_does_not_mind_order_or_repeats(rows: list[LogRow], random: object) -> None:
    shuffled = rows + rows[::3]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert fresh(shuffled) == take(rows)[0]


def test_a_refold_holds_no_more_rows_than_its_window(rows: list[LogRow], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taking_up, "WINDOW", 7)
    known, late = take(rows[:3])[0], [*rows[:10], *rows[11:], rows[10]]
    survey, new, passes, held = Survey(known.log_id), list[LogRow](), 0, 0
    for row in late:
        survey.take(row)
    taking = TakingUp(known, survey)
    while not taking.is_done:
        passes += 1
        for row in late:
            new += [one for one, _ in taking.take(row)]
            held = max(held, len(taking._window))
    assert (passes, held) == (2, 6), "the hole is filled at the end of the first, the rest folded in the second"
    assert (taking.end().known, new) == (take(rows)[0], rows[3:])
    assert fresh(rows[::-1]) == take(rows)[0]


def test_a_number_beyond_what_can_be_folded_takes_no_room(rows: list[LogRow], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taking_up, "MOST", 20)
    far = replace(rows[20].event, device_seq=2**62)
    survey = Survey()
    for row in [*rows[:10], rows[20]._replace(event=far)]:
        survey.take(row)
    assert (len(survey._digests), survey.reach(), survey.behind(10)) == (10, 10, "event 11 is missing")
    for row in rows[:30]:
        survey.take(row)
    assert (len(survey._digests), survey.reach(), survey.behind(20)) == (20, 20, "more than 20 events")


def fresh(rows: list[LogRow]) -> Known:
    return take_up(Known(DeviceState("a/dxa-1"), rows[0].event.log_id), OnTopic(tuple(rows))).known


def test_a_refold_stops_at_what_is_missing_and_names_it(rows: list[LogRow]) -> None:
    known = fresh(rows[:10] + rows[11:])
    assert known.parked == "event 11 is missing"
    assert known.state.device_seq == 10


def changed(outcome: RecordedOutcome, **changes: object) -> RecordedOutcome:
    return replace(outcome, outcome=replace(outcome.outcome, **changes))


def judged(rows: list[LogRow]) -> tuple[int, LogRow]:
    return next(
        (i, row)
        for i, row in enumerate(rows)
        if any(isinstance(o.outcome, QcJudged) and o.outcome.chart for o in row.outcomes)
    )


def test_a_decision_that_differs_is_named_with_its_event_and_the_sites_is_published(rows: list[LogRow]) -> None:
    at, row = judged(rows)
    wrong = tuple(changed(o, note="something else") if isinstance(o.outcome, QcJudged) else o for o in row.outcomes)
    known, _ = take(rows[:at])
    received = receive(known, row._replace(outcomes=wrong))
    assert received.kind is Kind.NEW
    assert received.outcomes == wrong
    assert received.divergence.startswith(f"bonewatch.phantom-measured.v1 at {row.event.device_seq}: ")
    assert received.divergence.endswith(".outcome.note")
    assert received.known.diverged_at == row.event.device_seq
    later, _ = take(rows[at + 1 :], received.known)
    assert later.diverged_at == row.event.device_seq, "the first one stands"


@pytest.mark.parametrize(("factor", "equal"), [(1 + 1e-12, True), (1 + 1e-6, False)])
def test_floats_may_differ_in_the_last_places(rows: list[LogRow], factor: float, equal: bool) -> None:  # noqa: FBT001
    _, row = judged(rows)
    near = []
    for recorded in row.outcomes:
        if isinstance(recorded.outcome, QcJudged) and recorded.outcome.chart:
            chart = replace(recorded.outcome.chart, target=recorded.outcome.chart.target * factor)
            recorded = changed(recorded, chart=chart)  # noqa: PLW2901
        near.append(recorded)
    assert (difference(row.outcomes, tuple(near)) == "") is equal


def test_a_site_of_another_fold_version_is_not_judged_by_ours(rows: list[LogRow]) -> None:
    at, row = judged(rows)
    known, _ = take(rows[:at])
    old = row._replace(event=replace(row.event, fold_version=999), outcomes=())
    received = receive(known, old)
    assert (received.kind, received.divergence, received.outcomes) == (Kind.NEW, "", ())


def test_a_gateway_without_an_engine_gets_the_decisions_that_a_site_would_make(rows: list[LogRow]) -> None:
    # The same facts without what the site's writer added: no outcomes, no TimeReached, nobody folded them.
    bare = [row for row in rows if "time-reached" not in row.event.fact.__struct_config__.tag]  # type: ignore[operator]
    events = [replace(r.event, fold_version=NO_ENGINE, device_seq=i) for i, r in enumerate(bare, start=1)]
    _, taken = take([row._replace(event=event, outcomes=()) for row, event in zip(bare, events, strict=True)])

    def decisions(outcomes: list[RecordedOutcome]) -> list[object]:
        return [o.outcome for o in outcomes if isinstance(o.outcome, QcJudged | GateChanged)]

    assert decisions([o for t in taken for o in t.outcomes]) == decisions([o for r in rows for o in r.outcomes])


@given(st.integers(0, 80))
def test_what_is_known_survives_its_bytes_at_any_point(rows: list[LogRow], count: int) -> None:
    known = take(rows[: count + 1])[0]
    assert known_from_blob(blob_from_known(known)) == known
    assert take(rows[count + 1 :], known_from_blob(blob_from_known(known)))[0] == take(rows)[0]


def test_a_state_of_other_rules_is_outdated_and_folded_anew_by_those_here(
    rows: list[LogRow], monkeypatch: pytest.MonkeyPatch
) -> None:
    known, _ = take(rows[:40])
    assert not is_outdated(known_from_blob(blob_from_known(known)))
    monkeypatch.setattr(check, "FOLD_VERSION", 7)
    assert is_outdated(known)
    assert not is_outdated(parked(known, "a/dxa-1", "unreadable").known), "it waits for somebody to ask"
    again = take_up(known, OnTopic(tuple(rows[:40])))
    assert (again.known.fold_version, again.rows, again.gates) == (7, (), ())
    assert not is_outdated(again.known)


def test_a_state_of_another_shape_keeps_what_every_version_has(rows: list[LogRow]) -> None:
    known, _ = take(rows[:40])
    parts = msgspec.msgpack.decode(blob_from_known(known))
    parts[0] = ["a/dxa-1", 40, "a shape to come"]
    other = known_from_blob(msgspec.msgpack.encode(parts))
    assert is_outdated(other)
    assert (other.log_id, other.links, other.state.device_seq) == (known.log_id, known.links, 40)
    assert take_up(other, OnTopic(tuple(rows[:40]))).known == known
    with pytest.raises(msgspec.DecodeError):
        known_from_blob(b"no state")


def test_a_row_decided_by_newer_rules_is_published_unverified(rows: list[LogRow]) -> None:
    known, _ = take(rows[:20])
    newer = rows[20]._replace(event=replace(rows[20].event, fold_version=99))
    assert [receive(known, row).unverified for row in (rows[20], newer)] == [False, True]
    assert receive(known, newer).outcomes == rows[20].outcomes
