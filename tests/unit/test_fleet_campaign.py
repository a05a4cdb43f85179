"""The kill campaign's own eyes: what must not stand on the topics is seen."""

from pathlib import Path

import pytest

from streams.messages import GateChanged, RecordedOutcome
from tests.fleet_campaign.campaign import on_topics
from tests.fleet_campaign.expected import Straight, straight
from tests.site_logs import write_log


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> Straight:
    path: Path = tmp_path_factory.mktemp("log") / "site.sqlite"
    write_log(path, "a", devices=2, days=5)
    return straight([path])


def outcomes(replayed: Straight) -> list[RecordedOutcome]:
    return [outcome for _, outcome in replayed.outcomes]


def gates(replayed: Straight) -> list[RecordedOutcome]:
    of_one = [o for o in outcomes(replayed) if o.device == "a/dxa-1"]
    return [o for o in of_one if isinstance(o.outcome, GateChanged)]


def test_everything_once_and_what_comes_again_from_where_a_worker_went_on_is_no_fault(replayed: Straight) -> None:
    there = outcomes(replayed)
    assert on_topics(replayed, there) == []
    assert on_topics(replayed, [*there, *there[-30:]]) == []


def test_an_old_gate_that_stands_last_is_a_fault(replayed: Straight) -> None:
    assert on_topics(replayed, [*outcomes(replayed), gates(replayed)[0]]) == [
        "the gate a/dxa-1#all that stands last is not the newest"
    ]


def test_a_device_that_goes_back_and_one_that_is_wanting_are_faults(replayed: Straight) -> None:
    there, (one, *_, other) = outcomes(replayed), gates(replayed)
    turned = [{one: other, other: one}.get(o, o) for o in there]
    assert any("goes back" in fault for fault in on_topics(replayed, turned))
    assert "1 outcomes are on no topic" in on_topics(replayed, [o for o in there if o != one])
