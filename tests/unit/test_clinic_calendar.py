"""Days with and without clinics: closures, holidays of calendar files, parts of days, through summer time."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from bonewatch.configuration.calendar_file import CalendarFileError, closures_from
from bonewatch.configuration.clinic_calendar import ClosureSection, closures_of
from bonewatch.configuration.loading import load, parse, warnings
from bonewatch.configuration.sections import Config
from bonewatch.errors import ConfigError
from streams.engine import SiteEngine
from streams.fold.schedule import clinic_ends, clinics_on, has_clinic, last_clinic_day, next_clinic_day
from streams.messages import ClinicCalendarChanged, DeviceRegistered
from streams.policy import Clinic, ClinicCalendar, Closure
from streams.sqlite_log import SqliteEventLog
from tests.running import configuration
from tests.site_logs import facts_in

TODAY = date(2026, 11, 22)
LONDON = "Europe/London"
WEEKDAYS = (Clinic((0, 1, 2, 3, 4), "08:30", "16:30"),)
CHRISTMAS = Closure("2026-12-25", "2026-12-28", "Christmas")
BANK_HOLIDAYS = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//invented//holidays//EN
{events}
END:VCALENDAR
"""
CLINIC = '[[clinic]]\ndevice = "dxa-1"\ndays = ["mon", "tue", "wed", "thu", "fri"]\nstarts = "08:30"\nends = "16:30"\n'


def utc(*when: int) -> datetime:
    return datetime(*when, tzinfo=UTC)  # type: ignore[arg-type, misc]


def event(*lines: str, uid: str = "one", summary: str = "Closed") -> str:
    return "\n".join(("BEGIN:VEVENT", f"UID:{uid}", f"SUMMARY:{summary}", *lines, "END:VEVENT"))


def written(folder: Path, *events: str, text: str | None = None) -> Path:
    path = folder / "bank-holidays.ics"
    whole = BANK_HOLIDAYS.format(events="\n".join(events)) if text is None else text
    path.write_text(whole.replace("\n", "\r\n"), encoding="utf-8")
    return path


def read(folder: Path, *events: str, zone: str = LONDON) -> list[tuple[str, str, str, str]]:
    """First day, start, end and reason of each closed day."""
    found = closures_from(written(folder, *events), time_zone=zone, today=TODAY)
    return [(one.first.isoformat(), one.starts, one.ends, one.why) for one in found]


# --- closures in the fold -----------------------------------------------------------------------------------


def test_a_closure_takes_its_days_and_no_other() -> None:
    calendar = ClinicCalendar(LONDON, WEEKDAYS, (CHRISTMAS,))
    assert clinics_on(calendar, date(2026, 12, 24)) == [(utc(2026, 12, 24, 8, 30), utc(2026, 12, 24, 16, 30))]
    assert [clinics_on(calendar, date(2026, 12, day)) for day in (25, 26, 27, 28)] == [[], [], [], []]
    assert clinics_on(calendar, date(2026, 12, 29)) == [(utc(2026, 12, 29, 8, 30), utc(2026, 12, 29, 16, 30))]


@pytest.mark.parametrize(
    ("starts", "ends", "left"),
    [
        ("12:00", "", [(8, 30, 12, 0)]),
        ("", "10:00", [(10, 0, 16, 30)]),
        ("12:00", "13:00", [(8, 30, 12, 0), (13, 0, 16, 30)]),
        ("06:00", "18:00", []),
        ("17:00", "18:00", [(8, 30, 16, 30)]),
    ],
)
def test_a_part_of_a_day_is_cut_out_of_its_clinics(
    starts: str, ends: str, left: list[tuple[int, int, int, int]]
) -> None:
    calendar = ClinicCalendar(LONDON, WEEKDAYS, (Closure("2026-12-24", "2026-12-24", "", starts, ends),))
    day = (2026, 12, 24)
    assert clinics_on(calendar, date(*day)) == [(utc(*day, a, b), utc(*day, c, d)) for a, b, c, d in left]


def test_a_closed_afternoon_is_in_the_zone_of_the_site_in_summer() -> None:
    calendar = ClinicCalendar("America/St_Johns", WEEKDAYS, (Closure("2026-07-01", "2026-07-01", "", "12:00", ""),))
    # Newfoundland is 2 h 30 min behind UTC in summer: 08:30 is 11:00 UTC, noon is 14:30 UTC.
    assert clinics_on(calendar, date(2026, 7, 1)) == [(utc(2026, 7, 1, 11, 0), utc(2026, 7, 1, 14, 30))]


def test_clinics_keep_their_wall_clock_over_the_end_of_summer_time() -> None:
    calendar = ClinicCalendar("Pacific/Auckland", (Clinic((5, 6, 0), "08:00", "12:00"),))
    # Clocks go back on Sunday 5 April 2026 at 03:00: 08:00 is 19:00 UTC of the day before, then 20:00 UTC.
    assert clinics_on(calendar, date(2026, 4, 4))[0][0] == utc(2026, 4, 3, 19, 0)
    assert clinics_on(calendar, date(2026, 4, 5))[0][0] == utc(2026, 4, 4, 20, 0)


def test_an_override_on_a_closed_day_ends_with_the_day() -> None:
    calendar = ClinicCalendar(LONDON, WEEKDAYS, (CHRISTMAS,))
    assert clinic_ends(calendar, utc(2026, 12, 24, 9)) == utc(2026, 12, 24, 16, 30)
    assert clinic_ends(calendar, utc(2026, 12, 25, 9)) == utc(2026, 12, 26)


def test_the_next_and_the_last_day_with_a_clinic_step_over_weekend_and_holidays() -> None:
    calendar = ClinicCalendar(LONDON, WEEKDAYS, (CHRISTMAS,))
    assert next_clinic_day(calendar, date(2026, 12, 25)) == date(2026, 12, 29)
    assert last_clinic_day(calendar, date(2026, 12, 28)) == date(2026, 12, 24)
    assert next_clinic_day(calendar, date(2026, 12, 24)) == date(2026, 12, 24)


def test_without_configured_clinics_every_day_counts_that_is_not_closed() -> None:
    calendar = ClinicCalendar(LONDON, (), (CHRISTMAS, Closure("2026-12-31", "2026-12-31", "", "12:00")))
    days = (24, 25, 26, 31)
    assert [has_clinic(calendar, date(2026, 12, day)) for day in days] == [True, False, False, True]


def test_a_device_that_never_has_a_clinic_has_no_next_one() -> None:
    calendar = ClinicCalendar(LONDON, WEEKDAYS, (Closure("2020-01-01", "2090-01-01"),))
    assert next_clinic_day(calendar, date(2026, 12, 25)) is None
    assert last_clinic_day(calendar, date(2026, 12, 25)) is None


# --- what the configuration makes of them -------------------------------------------------------------------


def closed(*sections: ClosureSection, held: tuple[date, ...] = (), device: str = "dxa-1") -> list[tuple[str, str]]:
    return [(one.first, one.last) for one in closures_of(device, sections, held)]


def test_neighbouring_days_of_one_reason_are_one_closure() -> None:
    days = [ClosureSection(first=date(2026, 12, day), why="Christmas") for day in (26, 25, 28)]
    assert closed(*days) == [("2026-12-25", "2026-12-26"), ("2026-12-28", "2026-12-28")]


def test_a_day_on_which_a_clinic_is_held_all_the_same_is_cut_out() -> None:
    section = ClosureSection(first=date(2026, 12, 24), last=date(2026, 12, 28))
    assert closed(section, held=(date(2026, 12, 26),)) == [("2026-12-24", "2026-12-25"), ("2026-12-27", "2026-12-28")]


def test_a_closure_of_another_device_is_not_this_ones() -> None:
    section = ClosureSection(first=date(2026, 12, 24), devices=("scale-1",))
    assert closed(section) == []
    assert closed(section, device="scale-1") == [("2026-12-24", "2026-12-24")]


def test_a_half_day_within_a_closed_day_is_closed_once() -> None:
    whole = ClosureSection(first=date(2026, 12, 24))
    assert closed(whole, ClosureSection(first=date(2026, 12, 24), starts="12:00")) == [("2026-12-24", "2026-12-24")]


def test_closures_stand_in_the_calendar_of_each_device(tmp_path: Path) -> None:
    written(tmp_path, event("DTSTART;VALUE=DATE:20261225"), event("DTSTART;VALUE=DATE:20270503", uid="two"))
    text = configuration() + CLINIC + '[calendar]\nics = ["bank-holidays.ics"]\nexcept_dates = [2027-05-03]\n'
    text += '[[closure]]\nfirst = 2026-12-31\nwhy = "Stocktaking"\ndevices = ["dxa-2"]\n'
    (tmp_path / "site.toml").write_text(text, encoding="utf-8")
    devices = load(tmp_path / "site.toml", today=TODAY).devices()
    assert devices["test-site/dxa-1"][1].closures == (Closure("2026-12-25", "2026-12-25", "Closed"),)
    assert [one.first for one in devices["test-site/dxa-2"][1].closures] == ["2026-12-25", "2026-12-31"]


def test_a_changed_calendar_file_is_on_record_at_the_next_start_and_an_unchanged_one_is_not(tmp_path: Path) -> None:
    text = configuration(scanners=1) + CLINIC + '[calendar]\nics = ["bank-holidays.ics"]\n'
    (tmp_path / "site.toml").write_text(text, encoding="utf-8")
    dates = ("20261225", "20261225", "20261228")
    for day in dates:
        written(tmp_path, event(f"DTSTART;VALUE=DATE:{day}"))
        with SqliteEventLog(tmp_path / "log.sqlite") as log:
            engine = SiteEngine(log, clock=lambda: utc(2026, 11, 22, 12))
            engine.start(load(tmp_path / "site.toml", today=TODAY).devices())
            engine.stop()
    facts = facts_in(tmp_path / "log.sqlite")
    assert [type(fact) for fact in facts] == [DeviceRegistered, ClinicCalendarChanged]
    assert isinstance(facts[-1], ClinicCalendarChanged)
    assert [one.first for one in facts[-1].calendar.closures] == ["2026-12-28"]


@pytest.mark.parametrize(
    ("text", "line_holds", "words"),
    [
        ("[[closure]]\nfirst = 2026-12-28\nlast = 2026-12-24\n", "last", "not before first"),
        ('[[closure]]\nfirst = 2026-12-28\ndevices = ["dxa-9"]\n', "devices", "dxa-9 is no device"),
        ('[[closure]]\nfirst = 2026-12-28\nstarts = "noon"\n', "starts", "such as 12:30"),
        ('[[closure]]\nfirst = 2026-12-28\nstarts = "13:00"\nends = "12:00"\n', "ends", "ends after it starts"),
        ('[[closure]]\nfirst = 2026-12-28\nlast = 2026-12-29\nends = "12:00"\n', "last", "are of one day"),
        ('[[closure]]\nfirst = "Boxing Day"\n', "Boxing Day", "Invalid RFC3339 encoded date"),
        ("[[closure]]\nfirst = 1926-12-28\n", "first", "between 1990 and 2200"),
        ('[calendar]\nics = [""]\n', "ics", "name an iCalendar file"),
        ("[calendar]\nexcept = [2026-12-28]\n", "except", "did you mean `except_dates`?"),
    ],
)
def test_a_mistaken_closure_is_told_with_its_line(text: str, line_holds: str, words: str) -> None:
    whole = configuration() + text
    with pytest.raises(ConfigError) as raised:
        parse(whole, "site.toml")
    assert words in str(raised.value)
    line = int(str(raised.value).split("line ")[1].split(":", maxsplit=1)[0])
    assert line_holds in whole.splitlines()[line - 1]


def _starting(folder: Path, closures: str, today: date) -> Config:
    (folder / "site.toml").write_text(configuration() + closures, encoding="utf-8")
    return load(folder / "site.toml", today=today)


def test_of_more_closures_than_a_device_may_have_the_past_go_first_and_then_the_farthest_with_a_warning(
    tmp_path: Path,
) -> None:
    # 1, 3, 5 ... 29 January to March: 45 closures, of which 15 a month; 40 may be kept.
    many = "".join(f"[[closure]]\nfirst = 2027-0{m}-{d:02}\n" for m in (1, 3, 5) for d in range(1, 31, 2))
    own = '[[closure]]\nfirst = 2027-07-01\ndevices = ["dxa-2"]\n'
    before = _starting(tmp_path, many, date(2026, 12, 1))
    kept = [one.first for one in before.devices()["test-site/dxa-1"][1].closures]
    assert (len(kept), kept[0], kept[-1]) == (40, "2027-01-01", "2027-05-19")
    said = [words for words in warnings(before) if "closures" in words]
    assert said == [
        f"dxa-{n}: 45 closures, of which 40 are kept: those after 2027-05-19 are left out; start the site again before "
        "then"
        for n in (1, 2)
    ]
    # On 8 January four are past (1, 3, 5, 7), and the fifth from the end is the last that does not fit.
    later = _starting(tmp_path, many, date(2027, 1, 8))
    kept = [one.first for one in later.devices()["test-site/dxa-1"][1].closures]
    assert (len(kept), kept[0], kept[-1]) == (40, "2027-01-09", "2027-05-27")
    # From 10 January on five are past: nothing ahead is lost, nothing is said, and the calendar stays the same.
    for today in (date(2027, 1, 10), date(2027, 3, 10)):
        config = _starting(tmp_path, many, today)
        kept = [one.first for one in config.devices()["test-site/dxa-1"][1].closures]
        assert (len(kept), kept[0], kept[-1]) == (40, "2027-01-11", "2027-05-29")
        assert not any("closures" in words for words in warnings(config))
    # A device with one more of its own gives up one more; the other is not touched by that.
    both = _starting(tmp_path, many + own, date(2027, 1, 10)).devices()
    assert both["test-site/dxa-1"][1].closures[-1].first == "2027-05-29"
    assert [both["test-site/dxa-2"][1].closures[n].first for n in (0, -1)] == ["2027-01-11", "2027-05-29"]
    assert both["test-site/dxa-1"][1].closures == both["test-site/dxa-2"][1].closures


def test_parts_of_days_and_reasons_stay_as_they_are_where_others_are_left_out(tmp_path: Path) -> None:
    many = "".join(f"[[closure]]\nfirst = 2027-0{m}-{d:02}\n" for m in (3, 5, 7) for d in range(1, 31, 2))
    mine = '[[closure]]\nfirst = 2027-01-04\nstarts = "12:00"\nwhy = "Audit"\ndevices = ["dxa-1"]\n'
    mine += '[[closure]]\nfirst = 2027-01-05\nlast = 2027-01-08\nwhy = "Works"\n'
    mine += "[calendar]\nexcept_dates = [2027-01-07]\n"
    closures = _starting(tmp_path, many + mine, date(2026, 12, 1)).devices()["test-site/dxa-1"][1].closures
    assert closures[:3] == (
        Closure("2027-01-04", "2027-01-04", "Audit", "12:00", ""),
        Closure("2027-01-05", "2027-01-06", "Works"),
        Closure("2027-01-08", "2027-01-08", "Works"),
    )
    assert len(closures) == 40


def test_a_missing_or_broken_calendar_file_is_an_error_of_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text(configuration() + '[calendar]\nics = ["bank-holidays.ics"]\n', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"bank-holidays.ics cannot be read: No such file"):
        load(tmp_path / "site.toml", today=TODAY)
    written(tmp_path, event("DTSTART:2026122", summary="Christmas Day"))
    with pytest.raises(ConfigError, match=r"bank-holidays.ics: event 'Christmas Day one': DTSTART cannot be"):
        load(tmp_path / "site.toml", today=TODAY)
    written(tmp_path, event("DTSTART;VALUE=DATE:20261225", "RRULE:FREQ=WEEKLY"))
    # Every Friday from Christmas on: the fortieth is 39 weeks later.
    closures = load(tmp_path / "site.toml", today=TODAY).devices()["test-site/dxa-1"][1].closures
    assert (len(closures), closures[0].first, closures[-1].first) == (40, "2026-12-25", "2027-09-24")


# --- calendar files -----------------------------------------------------------------------------------------


def test_an_all_day_event_ends_before_its_last_day(tmp_path: Path) -> None:
    found = read(tmp_path, event("DTSTART;VALUE=DATE:20261225", "DTEND;VALUE=DATE:20261227"))
    assert [one[0] for one in found] == ["2026-12-25", "2026-12-26"]


def test_a_transparent_event_closes_too_for_public_holidays_are_published_so(tmp_path: Path) -> None:
    assert read(tmp_path, event("DTSTART;VALUE=DATE:20261225", "TRANSP:TRANSPARENT"))[0][0] == "2026-12-25"


def test_a_recurring_holiday_comes_every_year_of_the_three_but_for_its_exceptions(tmp_path: Path) -> None:
    rule = ("DTSTART;VALUE=DATE:20060501", "RRULE:FREQ=YEARLY;BYMONTH=5;BYDAY=1MO")
    assert [one[0] for one in read(tmp_path, event(*rule))] == ["2026-05-04", "2027-05-03", "2028-05-01"]
    less = event(*rule, "EXDATE;VALUE=DATE:20270503")
    assert [one[0] for one in read(tmp_path, less)] == ["2026-05-04", "2028-05-01"]


def test_one_date_of_a_recurring_holiday_can_be_moved_or_cancelled(tmp_path: Path) -> None:
    rule = event("DTSTART;VALUE=DATE:20060501", "RRULE:FREQ=YEARLY;BYMONTH=5;BYDAY=1MO")
    moved = event("RECURRENCE-ID;VALUE=DATE:20270503", "DTSTART;VALUE=DATE:20270507")
    assert [one[0] for one in read(tmp_path, rule, moved)] == ["2026-05-04", "2027-05-07", "2028-05-01"]
    off = event("RECURRENCE-ID;VALUE=DATE:20270503", "DTSTART;VALUE=DATE:20270503", "STATUS:CANCELLED")
    assert [one[0] for one in read(tmp_path, rule, off)] == ["2026-05-04", "2028-05-01"]


def test_a_cancelled_event_closes_nothing(tmp_path: Path) -> None:
    kept = event("DTSTART;VALUE=DATE:20261228", uid="two")
    assert read(tmp_path, event("DTSTART;VALUE=DATE:20261225", "STATUS:CANCELLED"), kept)[0][0] == "2026-12-28"


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        # 17:00 to 20:00 UTC; New York is 5 h behind in winter, Newfoundland 3 h 30 min.
        (LONDON, [("2026-12-24", "17:00", "20:00")]),
        ("America/St_Johns", [("2026-12-24", "13:30", "16:30")]),
        ("Pacific/Auckland", [("2026-12-25", "06:00", "09:00")]),
    ],
)
def test_a_timed_event_is_told_in_the_zone_of_the_site(
    tmp_path: Path, zone: str, expected: list[tuple[str, str, str]]
) -> None:
    timed = event("DTSTART;TZID=America/New_York:20261224T120000", "DTEND;TZID=America/New_York:20261224T150000")
    assert [one[:3] for one in read(tmp_path, timed, zone=zone)] == expected


def test_a_timed_event_without_a_zone_is_the_sites_and_may_last_for_days(tmp_path: Path) -> None:
    timed = event("DTSTART:20261224T120000", "DTEND:20261226T090000")
    expected = [("2026-12-24", "12:00", ""), ("2026-12-25", "", ""), ("2026-12-26", "", "09:00")]
    assert [one[:3] for one in read(tmp_path, timed, zone="Pacific/Auckland")] == expected


def test_an_event_over_midnight_utc_is_cut_by_the_days_of_the_site(tmp_path: Path) -> None:
    # 21:00 UTC of the 30th to 03:00 UTC: 22:00 to 04:00 of British Summer Time.
    timed = event("DTSTART:20270630T210000Z", "DURATION:PT6H")
    assert [one[:3] for one in read(tmp_path, timed)] == [("2027-06-30", "22:00", ""), ("2027-07-01", "", "04:00")]


def test_a_file_that_is_read_on_another_day_of_the_year_says_the_same(tmp_path: Path) -> None:
    path = written(tmp_path, event("DTSTART;VALUE=DATE:20061225", "RRULE:FREQ=YEARLY"))
    early, late = (closures_from(path, time_zone=LONDON, today=date(2026, *day)) for day in ((1, 1), (12, 31)))
    assert early == late
    assert [one.first.year for one in early] == [2026, 2027, 2028]


def test_the_same_holiday_in_two_events_is_one(tmp_path: Path) -> None:
    assert len(read(tmp_path, event("DTSTART;VALUE=DATE:20261225"), event("DTSTART;VALUE=DATE:20261225", uid="b"))) == 1


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (("DTSTART:2026122",), "DTSTART cannot be understood"),
        (("DTSTART;TZID=Nowhere/Land:20261224T120000",), "time zone Nowhere/Land, which is not known"),
        (("DTSTART;VALUE=DATE:20261225", "DTEND:20261226T000000Z"), "both days, or both times"),
        (("DTSTART:20261225T080000", "DTEND:20261226T000000Z"), "both in a time zone, or neither"),
        (("DTSTART;VALUE=DATE:20261225", "DTEND;VALUE=DATE:20261220"), "ends before it starts"),
        (("DTSTART:20261225T080000", "DURATION:-PT1H"), "ends before it starts"),
        (("DESCRIPTION:no day",), "no single DTSTART"),
        (("DTSTART;VALUE=DATE:20261225", "RRULE:FREQ=SECONDLY"), "recurs within a day"),
        (("DTSTART;VALUE=DATE:20261225", "RRULE:FREQ=HOURLY"), "recurs within a day"),
        (("DTSTART;VALUE=DATE:20261225", "RRULE:FREQ=DAILY;BYHOUR=1,2,3"), "recurs within a day"),
        (("DTSTART;VALUE=DATE:20261225", "RRULE:FREQ=DAILY;INTERVAL=0"), "INTERVAL is 1 or more"),
        (("DTSTART;VALUE=DATE:20261225", "RRULE:FREQ=FORTNIGHTLY"), "RRULE cannot be understood"),
        (("DTSTART;VALUE=DATE:19060501", "RRULE:FREQ=DAILY"), "began before 1970"),
        (("DTSTART;VALUE=DATE:20261225", "DTEND;VALUE=DATE:99991220"), "event 'Closed one'"),
    ],
)
def test_a_broken_event_is_named_with_what_is_wrong(tmp_path: Path, lines: tuple[str, ...], words: str) -> None:
    good = event("DTSTART;VALUE=DATE:20261228", uid="two", summary="Boxing Day")
    with pytest.raises(CalendarFileError) as raised:
        read(tmp_path, good, event(*lines))
    assert words in str(raised.value)
    assert "bank-holidays.ics: event 'Closed one'" in str(raised.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is no iCalendar file"),
        ("holidays: 25 December\n", "is no iCalendar file"),
        ("BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART", "is no iCalendar file"),
        (BANK_HOLIDAYS.format(events=""), "holds no event"),
        (BANK_HOLIDAYS.format(events="X:" + "x" * 1_000_001), "is larger than 1000000 bytes"),
    ],
)
def test_a_file_that_is_no_calendar_of_closures_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(CalendarFileError, match=words):
        closures_from(written(tmp_path, text=text), time_zone=LONDON, today=TODAY)


def test_too_many_events_are_refused_before_any_is_unfolded(tmp_path: Path) -> None:
    many = [event("DTSTART;VALUE=DATE:20261225", uid=str(n)) for n in range(2001)]
    with pytest.raises(CalendarFileError, match="holds 2001 events, more than 2000"):
        read(tmp_path, *many)
    recurring = [event("DTSTART;VALUE=DATE:20261225", "RRULE:FREQ=YEARLY", uid=str(n)) for n in range(101)]
    with pytest.raises(CalendarFileError, match="event 'Closed 100': more than 100 recurring"):
        read(tmp_path, *recurring)
