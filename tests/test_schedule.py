"""Schedules as people write them, and what a server in another time zone is told."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import islice, takewhile

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from modelcar.errors import InvalidInput
from modelcar.schedule import (
    Cron,
    Scheduled,
    find_wrong_hour,
    is_due,
    never_fires,
    occurrences,
    parse_cron,
    parse_scheduled,
    read_zone,
    translate,
)

AMSTERDAM = read_zone("Europe/Amsterdam")
ZONES = [
    "UTC",
    "Europe/Amsterdam",
    "America/New_York",
    "America/Santiago",  # clocks change at midnight
    "Asia/Kolkata",
    "Australia/Lord_Howe",  # by half an hour
    "Africa/Casablanca",  # at Ramadan
    "Pacific/Kiritimati",
    "Etc/GMT+12",
]

FIELDS: tuple[tuple[str, int, int, list[str]], ...] = (
    ("minute", 0, 59, []),
    ("hour", 0, 23, []),
    ("day", 1, 31, []),
    ("month", 1, 12, ["JAN", "feb", "Dec"]),
    ("weekday", 0, 7, ["MON", "sat", "Sun"]),
)


@st.composite
def crons(draw: st.DrawFn) -> str:
    """Five fields of everything that may be in one."""
    return " ".join(draw(field(least, most, names)) for _, least, most, names in FIELDS)


def field(least: int, most: int, names: list[str]) -> st.SearchStrategy[str]:
    numbers = st.integers(least, most)
    ranges = st.tuples(numbers, numbers).map(lambda pair: f"{min(pair)}-{max(pair)}")
    steps = st.tuples(st.just("*") | ranges, st.integers(1, most)).map(lambda pair: f"{pair[0]}/{pair[1]}")
    part = st.one_of(numbers.map(str), ranges, steps, *([st.sampled_from(names)] if names else []))
    return st.just("*") | st.lists(part, min_size=1, max_size=3).map(",".join)


def is_at(cron: Cron, moment: datetime) -> bool:
    """What the five fields say of a local time, one after the other."""
    by_day = moment.day in cron.days, moment.isoweekday() % 7 in cron.weekdays
    return (
        moment.minute in cron.minutes
        and moment.hour in cron.hours
        and moment.month in cron.months
        and (any(by_day) if cron.either_day else all(by_day))
    )


def minute_by_minute(cron: Cron, zone: str, begin: datetime, end: datetime) -> Iterator[datetime]:
    """Every minute after `begin` up to `end`, by the clock in UTC; a repeated local time is taken the first time."""
    moment = begin.replace(second=0, microsecond=0) + timedelta(minutes=1)
    while moment <= end:
        local = moment.astimezone(read_zone(zone))
        if local.fold == 0 and is_at(cron, local):
            yield moment
        moment += timedelta(minutes=1)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def announced(cron: str, zone: str, after: str, count: int) -> list[str]:
    found = occurrences(parse_cron(cron), read_zone(zone), utc(after))
    return [f"{moment:%Y-%m-%d %H:%M %Z}" for moment in islice(found, count)]


moments = st.datetimes(datetime(2026, 1, 1), datetime(2030, 1, 1)).map(lambda moment: moment.replace(tzinfo=UTC))
changes = st.sampled_from(["2026-03-29", "2026-10-25", "2026-03-08", "2026-11-01", "2026-09-06", "2026-02-15"])


@settings(max_examples=60, deadline=None)
@given(crons(), st.sampled_from(ZONES), changes | st.dates(date(2026, 1, 1), date(2028, 12, 31)).map(str))
def test_fires_are_those_of_a_clock_that_is_read_every_minute(text: str, zone: str, day: str) -> None:
    cron = parse_cron(text)
    begin = utc(day) - timedelta(hours=8)
    end = begin + timedelta(days=2)
    found = takewhile(lambda moment: moment.astimezone(UTC) <= end, occurrences(cron, read_zone(zone), begin))
    assert [moment.astimezone(UTC) for moment in found] == list(minute_by_minute(cron, zone, begin, end))


@settings(max_examples=60, deadline=None)
@given(crons(), st.sampled_from(ZONES), st.sampled_from(ZONES), moments)
def test_a_server_in_any_zone_is_told_every_fire(text: str, zone: str, server_zone: str, after: datetime) -> None:
    cron = parse_cron(text)
    server = translate(cron, read_zone(zone), read_zone(server_zone), after)
    for fire in islice(occurrences(cron, read_zone(zone), after), 4):
        assert is_at(server.cron, fire.astimezone(read_zone(server_zone)))
        assert is_due(text, zone, fire, server_zone)


@settings(max_examples=25, deadline=None)
@given(crons(), st.sampled_from(ZONES), st.sampled_from(["UTC", "Europe/Amsterdam"]), changes)
def test_of_the_runs_that_a_server_starts_exactly_the_announced_fires_are_due(
    text: str, zone: str, server_zone: str, day: str
) -> None:
    cron, begin = parse_cron(text), utc(day) - timedelta(hours=6)
    end = begin + timedelta(days=1)
    server = translate(cron, read_zone(zone), read_zone(server_zone), begin)
    minutes = (begin + timedelta(minutes=number) for number in range(1, 24 * 60 + 1))
    started = [m for m in minutes if is_at(server.cron, m.astimezone(read_zone(server_zone)))][:30]
    end = min(end, started[-1] if started else begin)
    expected = set(minute_by_minute(cron, zone, begin, end))
    assert {m for m in started if is_due(text, zone, m + timedelta(seconds=7), server_zone)} == expected
    assert server.exact is False or set(started) == expected


@settings(max_examples=60, deadline=None)
@given(crons())
def test_the_text_that_a_server_is_told_says_what_it_matches(text: str) -> None:
    assume(not never_fires(parse_cron(text)))
    told = translate(parse_cron(text), AMSTERDAM, UTC, utc("2026-01-01")).cron
    assert parse_cron(told.text) == told


@given(crons(), st.sampled_from(ZONES), st.sampled_from(ZONES))
def test_what_a_run_is_given_reads_back(text: str, zone: str, server_zone: str) -> None:
    scheduled = Scheduled(parse_cron(text).text, zone, server_zone)
    assert parse_scheduled(str(scheduled)) == scheduled


@settings(max_examples=100, deadline=None)
@given(crons())
def test_what_never_fires_has_no_day_in_28_years(text: str) -> None:
    cron = parse_cron(text)
    days = (date(2024, 1, 1) + timedelta(days) for days in range(28 * 366))
    assert never_fires(cron) == (not any(cron.matches_day(day) for day in days))


@pytest.mark.parametrize(
    ("text", "fires"),
    [
        ("0 2 * * *", ["2026-11-26 02:00 CET", "2026-11-27 02:00 CET"]),
        ("*/20 9-17 * * mon-fri", ["2026-11-26 09:00 CET", "2026-11-26 09:20 CET"]),
        ("30 1 1,15 * *", ["2026-12-01 01:30 CET", "2026-12-15 01:30 CET"]),
        ("0 0 1 JAN,jul *", ["2027-01-01 00:00 CET", "2027-07-01 00:00 CEST"]),
        ("0 6 13 * 5", ["2026-11-27 06:00 CET", "2026-12-04 06:00 CET"]),  # Fridays, and the 13th
        ("0 6 */2 * FRI", ["2026-11-27 06:00 CET", "2026-12-11 06:00 CET"]),  # Fridays that are an odd day
        ("0 6 * * 7", ["2026-11-29 06:00 CET", "2026-12-06 06:00 CET"]),
        ("0 6 * * 6-7", ["2026-11-28 06:00 CET", "2026-11-29 06:00 CET"]),
        ("0 6 * * SAT-SUN", ["2026-11-28 06:00 CET", "2026-11-29 06:00 CET"]),
        ("0 12 29 2 *", ["2028-02-29 12:00 CET", "2032-02-29 12:00 CET"]),
        ("0 12 31 * *", ["2026-12-31 12:00 CET", "2027-01-31 12:00 CET"]),
        ("@hourly", ["2026-11-25 23:00 CET", "2026-11-26 00:00 CET"]),
        ("@daily", ["2026-11-26 00:00 CET", "2026-11-27 00:00 CET"]),
        ("@weekly", ["2026-11-29 00:00 CET", "2026-12-06 00:00 CET"]),
        ("@monthly", ["2026-12-01 00:00 CET", "2027-01-01 00:00 CET"]),
        ("@Yearly", ["2027-01-01 00:00 CET", "2028-01-01 00:00 CET"]),
    ],
)
def test_the_next_two_fires(text: str, fires: list[str]) -> None:
    assert announced(text, "Europe/Amsterdam", "2026-11-25T21:03", 2) == fires


def test_a_local_time_that_the_clocks_skip_does_not_come_that_day() -> None:
    assert announced("30 2 * * *", "Europe/Amsterdam", "2026-03-27T12:00", 3) == [
        "2026-03-28 02:30 CET",
        "2026-03-30 02:30 CEST",
        "2026-03-31 02:30 CEST",
    ]


def test_a_local_time_that_the_clocks_repeat_comes_once() -> None:
    assert announced("30 2 * * *", "Europe/Amsterdam", "2026-10-24T12:00", 2) == [
        "2026-10-25 02:30 CEST",
        "2026-10-26 02:30 CET",
    ]


@pytest.mark.parametrize(
    ("text", "zone", "told", "exact"),
    [
        ("0 2 * * *", "UTC", "0 0 2 * * *", True),
        ("0 2 * * *", "Etc/GMT-2", "0 0 0 * * *", True),
        ("0 2 * * *", "Asia/Kolkata", "0 30 20 * * *", True),
        ("0 1 * * MON", "Asia/Tokyo", "0 0 16 * * 0", True),
        ("0 1 15 * *", "Asia/Tokyo", "0 0 16 14 * *", True),
        ("*/15 * * * *", "Asia/Tokyo", "0 0,15,30,45 * * * *", True),
        ("0 2 * * *", "Europe/Amsterdam", "0 0 0,1 * * *", False),
        ("0 1 * * MON", "Europe/Amsterdam", "0 0 0,23 * * 0,1", False),
        ("0 0 1 1 *", "America/New_York", "0 0 4,5 1 1 *", False),
        ("0 2 * * *", "Australia/Lord_Howe", "0 0,30 15 * * *", False),
        ("*/20 9-17 * * *", "Asia/Kolkata", "0 10,30,50 3-12 * * *", False),
        ("0 1 1 * *", "Asia/Tokyo", "0 0 16 28-31 * *", False),  # the last day of a month has no number
        ("0 * * * MON", "Asia/Tokyo", "0 0 * * * 0,1", False),
        ("0 1 */2 * MON", "Asia/Tokyo", "0 0 16 2,4,6,8,10,12,14,16,18,20,22,24,26,28-31 * */7", False),
        ("0 6 15 * */2", "UTC", "0 0 6 15 * */7,2,4,6", True),
        ("0 6 */2 * 3", "UTC", "0 0 6 */31,3,5,7,9,11,13,15,17,19,21,23,25,27,29,31 * 3", True),
        ("0 6 */5 * MON", "Asia/Seoul", "0 0 21 5,10,15,20,25,28-31 * */7", False),
        ("0 6 3-5,*/9 * TUE", "UTC", "0 0 6 */31,3-5,10,19,28 * 2", True),
        ("0 1 2-31 * MON", "Asia/Tokyo", "0 0 16 1-30 * 0", False),
        ("0 1 1-31 * MON", "Asia/Tokyo", "0 0 16 * * *", True),
    ],
)
def test_what_a_server_in_utc_is_told(text: str, zone: str, told: str, exact: bool) -> None:
    server = translate(parse_cron(text), read_zone(zone), UTC, utc("2026-11-25"))
    assert (server.expression, server.exact) == (told, exact)


@pytest.mark.parametrize(
    ("created_at", "due"),
    [
        ("2026-11-26T01:00:00", True),  # 02:00 in winter
        ("2026-11-26T00:59:57", True),  # the server's two clocks are not quite equal
        ("2026-11-26T01:12:00", True),  # the run before took until then
        ("2026-11-26T09:30:00", True),
        ("2026-11-26T00:00:09", False),  # 01:00
        ("2026-11-26T00:10:00", False),
        ("2026-11-26T00:10:01", True),  # of 01:00, or made up for, or made by a person: nobody can tell
        ("2026-07-01T00:00:00", True),  # 02:00 in summer
        ("2026-07-01T01:00:00", False),
        ("2026-07-01T09:30:00", True),
    ],
)
def test_a_run_is_not_due_that_was_made_just_after_a_fire_that_is_none_of_the_schedules(
    created_at: str, due: bool
) -> None:
    assert is_due("0 2 * * *", "Europe/Amsterdam", utc(created_at)) is due


def test_a_run_at_the_wrong_hour_says_so() -> None:
    assert find_wrong_hour("0 2 * * * Europe/Amsterdam", "2026-11-26T01:00:05Z") is None
    assert find_wrong_hour("0 2 * * * Europe/Amsterdam", "2026-11-26T00:00:05Z") == (
        "2026-11-26 01:00 in Europe/Amsterdam is no time of the schedule 0 2 * * *; the server does not know "
        "that zone, and starts runs at more times than one (the next that counts is 2026-11-26 02:00)"
    )


def test_a_server_that_has_daylight_saving_itself_starts_two_runs_in_the_repeated_hour_and_one_counts() -> None:
    scheduled = "30 2 * * * Europe/Amsterdam on Europe/Amsterdam"
    assert find_wrong_hour(scheduled, "2026-10-25T00:30:02Z") is None
    assert find_wrong_hour(scheduled, "2026-10-25T01:30:02Z") is not None


@pytest.mark.parametrize("text", ["0 2 30 2 *", "0 2 31 4,6,9,11 *", "0 2 30-31 FEB *", "0 2 31 2-4/2 *"])
def test_some_schedules_never_fire(text: str) -> None:
    assert never_fires(parse_cron(text))
    assert list(occurrences(parse_cron(text), UTC, utc("2026-11-25"))) == []


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("", "the schedule is empty", "five fields"),
        ("  ", "the schedule is empty", "five fields"),
        ("0 2 * *", "0 2 * * has 4 fields", "every night at two is 0 2 * * *"),
        ("2", "2 has 1 field", "five fields"),
        ("0 0 2 * * *", "0 0 2 * * * has six fields", "Leave out the seconds"),
        ("0 0 2 * * * 2026", "0 0 2 * * * 2026 has 7 fields", "five fields"),
        ("@reboot", "@reboot is no schedule that can be used here", "@daily"),
        ("@every 1h", "@every 1h is no schedule that can be used here", "@hourly"),
        (
            "CRON_TZ=Europe/Amsterdam 0 2 * * *",
            "a schedule has no settings in it: CRON_TZ=Europe/Amsterdam",
            "--timezone",
        ),
        ("TZ=UTC 0 2 * * *", "a schedule has no settings in it: TZ=UTC", "--timezone"),
        ("0 2 ? * *", "'?' cannot be read in the field day of month", "?, L, W and #"),
        ("0 2 L * *", "'L' cannot be read in the field day of month", "?, L, W and #"),
        ("0 2 * * 5#2", "'5#2' cannot be read in the field day of week", "SUN to SAT"),
        ("60 2 * * *", "60 is no minute", "0 to 59"),
        ("0 24 * * *", "24 is no hour", "0 to 23"),
        ("0 2 0 * *", "0 is no day of month", "1 to 31"),
        ("0 2 * 13 *", "13 is no month", "1 to 12"),
        ("0 2 * * 8", "8 is no day of week", "0 to 7"),
        ("0 2 * * 99999999999999999999", "99999999999999999999 is no day of week", "0 to 7"),
        ("0 2 * MAI *", "'MAI' cannot be read in the field month", "JAN to DEC"),
        ("0 2 JAN * *", "'JAN' cannot be read in the field day of month", "1 to 31"),
        ("0 17-9 * * *", "17-9 goes backwards in the field hour", "17-23,0-9"),
        ("0 2 * * FRI-MON", "FRI-MON goes backwards in the field day of week", "5-7,0-1"),
        ("5/15 2 * * *", "5/15 is a step without a range in the field minute", "5-59/15"),
        ("*/0 2 * * *", "*/0 has a step of 0 in the field minute", "begin with 1"),
        ("*-5 2 * * *", "'*-5' cannot be read in the field minute", "ranges (a-b)"),
        ("0, 2 * * *", "'' cannot be read in the field minute", "lists (a,b)"),
        ("-5 2 * * *", "'-5' cannot be read in the field minute", "numbers from 0 to 59"),
        ("1.5 2 * * *", "'1.5' cannot be read in the field minute", "numbers from 0 to 59"),
        ("² 2 * * *", "'²' cannot be read in the field minute", "numbers from 0 to 59"),
        ("٣ 2 * * *", "'٣' cannot be read in the field minute", "numbers from 0 to 59"),
    ],
)
def test_what_is_no_schedule_is_refused_with_the_reason(text: str, message: str, hint: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_cron(text)
    assert str(caught.value) == message
    assert hint in str(caught.value.hint)


@pytest.mark.parametrize("name", ["Europe/Atlantis", "", "Europe", "/etc/passwd", "../UTC", "+02:00", "two words"])
def test_what_is_no_time_zone_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="is no time zone"):
        read_zone(name)


@pytest.mark.parametrize(
    ("scheduled", "created_at"),
    [
        ("0 2 * * *", "2026-11-26T01:00:00Z"),
        ("0 2 * * * Europe/Atlantis", "2026-11-26T01:00:00Z"),
        ("0 2 * * 9 UTC", "2026-11-26T01:00:00Z"),
        ("0 2 * * * UTC", "yesterday"),
        ("0 2 * * * UTC", "2026-11-26T01:00:00"),
        ("0 2 * * * UTC", ""),
    ],
)
def test_a_run_that_is_given_no_schedule_or_no_time_is_the_callers_fault(scheduled: str, created_at: str) -> None:
    with pytest.raises(InvalidInput):
        find_wrong_hour(scheduled, created_at)
