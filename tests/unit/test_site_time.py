"""Times as people say them, through midnight and through the changes of the clocks."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from streams.site_time import SiteTime

NOW = datetime(2026, 7, 1, 6, 45, tzinfo=UTC)
"""07:45 in London, in summer."""


@pytest.fixture
def t() -> SiteTime:
    return SiteTime(ZoneInfo("Europe/London"), NOW)


@pytest.mark.parametrize(
    ("moment", "said"),
    [
        (datetime(2026, 7, 1, 7, 30, tzinfo=UTC), "08:30 today"),
        (datetime(2026, 7, 1, 23, 30, tzinfo=UTC), "00:30 tomorrow"),
        (datetime(2026, 6, 30, 22, 59, tzinfo=UTC), "23:59 yesterday"),
        (datetime(2026, 11, 3, 7, 0, tzinfo=UTC), "07:00 Tue 3 Nov"),
        (datetime(2025, 11, 3, 7, 0, tzinfo=UTC), "07:00 3 Nov 2025"),
    ],
)
def test_a_time_is_said_in_the_sites_zone_by_its_nearness(t: SiteTime, moment: datetime, said: str) -> None:
    assert t.when(moment) == said


def test_an_end_at_midnight_is_said_as_the_day_before_it(t: SiteTime) -> None:
    assert t.until(datetime(2026, 7, 1, 23, 0, tzinfo=UTC)) == "23:59 today"
    assert t.until(datetime(2026, 7, 1, 15, 30, tzinfo=UTC)) == "16:30 today"


@pytest.mark.parametrize(
    ("minutes", "said"),
    [(0, "now"), (1, "in 1 minute"), (45, "in 45 minutes"), (180, "in 3 hours"), (-20, "20 minutes ago")],
)
def test_how_far_away(t: SiteTime, minutes: int, said: str) -> None:
    assert t.away(NOW + timedelta(minutes=minutes)) == said


def test_a_field_round_trips(t: SiteTime) -> None:
    assert t.from_field(t.field(NOW)) == NOW
    assert t.from_clock("16:30") == datetime(2026, 7, 1, 15, 30, tzinfo=UTC)
    assert t.field(None) == ""


@pytest.mark.parametrize("text", ["2026-03-29T01:30", "2026-13-01T00:00", "soon", "2026-07-01T07:30+01:00"])
def test_a_time_that_is_none_is_refused(t: SiteTime, text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        t.from_field(text)


def test_an_hour_that_comes_twice_is_the_first(t: SiteTime) -> None:
    assert t.from_field("2026-10-25T01:30") == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
