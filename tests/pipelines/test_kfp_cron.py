"""Cron as a Kubeflow Pipelines server reads it. `tests/real` holds the same expressions against the server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelcar.errors import InvalidInput
from modelcar.schedule import parse_cron, translate
from modelcar_pipelines.kfp_cron import parse

NOW = datetime(2026, 11, 25, 21, 3, 12, 345678, tzinfo=UTC)  # a Wednesday

LIMITS = ((0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 6))


def after(expression: str, moment: str, zone: str = "UTC") -> str:
    found = parse(expression).next_after(datetime.fromisoformat(moment).astimezone(UTC), ZoneInfo(zone))
    assert found is not None
    return found.isoformat()


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("0 0 2 * * *", "2026-11-26 02:00:00"),
        ("0 2 * * *", "2026-11-25 22:02:00"),  # five fields: second 0, minute 2, every hour
        ("0 0 2 * *", "2026-11-26 02:00:00"),  # and so this is two o'clock
        ("* * * * * *", "2026-11-25 21:03:13"),
        ("*/20 * * * * ?", "2026-11-25 21:03:20"),
        ("59 59 23 31 12 *", "2026-12-31 23:59:59"),
        ("0 5/15 * * * *", "2026-11-25 21:05:00"),
        ("0 50/15 * * * *", "2026-11-25 21:50:00"),
        ("0 10-30/7 4 * * *", "2026-11-26 04:10:00"),
        ("0 30,10,20 4 * * *", "2026-11-26 04:10:00"),
        ("0 0 4 * feb-MAR *", "2027-02-01 04:00:00"),
        ("0 0 4 * * mon-Fri", "2026-11-26 04:00:00"),
        ("0 0 4 * * SUN", "2026-11-29 04:00:00"),
        ("0 0 4 1 * MON", "2026-11-30 04:00:00"),  # either
        ("0 0 4 */2 * MON", "2026-12-07 04:00:00"),  # both: a star is in one of them
        ("0 0 4 31 * *", "2026-12-31 04:00:00"),
        ("0 0 4 29 2 *", "2028-02-29 04:00:00"),
        ("0 0 4 */31,15 * *", "2026-12-01 04:00:00"),
        ("0 0 4 *-9 * *", "2026-11-26 04:00:00"),  # what follows the star is not read
        ("0 0 04 +1 * *", "2026-12-01 04:00:00"),
        (" 0  0\t4 * * *\n", "2026-11-26 04:00:00"),
        ("0 0 4, * * *", "2026-11-26 04:00:00"),
        ("@hourly", "2026-11-25 22:00:00"),
        ("@daily", "2026-11-26 00:00:00"),
        ("@midnight", "2026-11-26 00:00:00"),
        ("@weekly", "2026-11-29 00:00:00"),
        ("@monthly", "2026-12-01 00:00:00"),
        ("@yearly", "2027-01-01 00:00:00"),
        ("@annually", "2027-01-01 00:00:00"),
        ("@every 1h30m", "2026-11-25 22:33:12"),
        ("@every 1.5m", "2026-11-25 21:04:42"),
        ("@every 2500ms", "2026-11-25 21:03:14"),
        ("@every 3us", "2026-11-25 21:03:13"),
        ("@every -1h", "2026-11-25 21:03:13"),
        ("@every 0", "2026-11-25 21:03:13"),
    ],
)
def test_the_next_fire(expression: str, expected: str) -> None:
    assert parse(expression).next_after(NOW, UTC) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "expression",
    ["0 0 2 30 2 *", "0 0 2 31 4,6,9,11 *", "0 0 2 31 2 ?", "0 , 2 * * *", "0 0 , * * *", "0 0 2 * , *"],
)
def test_some_expressions_are_accepted_and_never_fire(expression: str) -> None:
    assert parse(expression).next_after(NOW, UTC) is None
    assert parse(expression).stalls_after(NOW, UTC)


@pytest.mark.parametrize(
    ("expression", "stalls"),
    [
        ("0 0 2 * * *", False),
        ("0 0 2 29 2 *", False),  # every four years
        ("@yearly", False),
        ("@every 1h", False),
        ("0 0 2 29 2 MON", False),  # either
        ("0 0 2 */28 2 MON", True),  # a first of February that is a Monday comes in 2027, 2032 and then in 2038
        ("0 0 2 */31 1 MON-TUE", False),
        ("0 0 2 29 2 */3", True),  # comes in 2032, then in 2040
    ],
)
def test_a_server_that_finds_no_fire_for_five_years_searches_for_ever(expression: str, stalls: bool) -> None:
    assert parse(expression).stalls_after(NOW, UTC) is stalls


@pytest.mark.parametrize(
    ("zone", "expression", "moment", "expected"),
    [
        # A skipped hour does not come; what is not bound to it does.
        ("Europe/Amsterdam", "0 30 2 * * *", "2026-03-28T12:00:00+01:00", "2026-03-30T02:30:00+02:00"),
        ("Europe/Amsterdam", "0 30 * * * *", "2026-03-29T01:30:00+01:00", "2026-03-29T03:30:00+02:00"),
        # A repeated one comes twice.
        ("Europe/Amsterdam", "0 30 2 * * *", "2026-10-25T02:00:00+02:00", "2026-10-25T02:30:00+02:00"),
        ("Europe/Amsterdam", "0 30 2 * * *", "2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00"),
        ("Europe/Amsterdam", "0 30 2 * * *", "2026-10-25T02:30:00+01:00", "2026-10-26T02:30:00+01:00"),
        # Where midnight is skipped, Go lands at 23:00 before it, and the search for a later day begins too late in it:
        # the sixth of September is lost in each year in which the clocks changed on one of the days before.
        ("America/Santiago", "0 0 0 * * *", "2026-09-05T12:00:00-04:00", "2026-09-07T00:00:00-03:00"),
        ("America/Santiago", "0 0 4 6 9 *", "2026-08-05T12:00:00-04:00", "2030-09-06T04:00:00-04:00"),
        ("Africa/Cairo", "0 0 0 * * *", "2026-04-23T12:00:00+02:00", "2026-04-25T00:00:00+03:00"),
        ("Australia/Lord_Howe", "0 15 2 * * *", "2026-10-03T12:00:00+10:30", "2026-10-05T02:15:00+11:00"),
        ("Asia/Kolkata", "0 0 2 * * *", "2026-10-03T12:00:00+05:30", "2026-10-04T02:00:00+05:30"),
    ],
)
def test_servers_in_zones_whose_clocks_change(zone: str, expression: str, moment: str, expected: str) -> None:
    assert after(expression, moment, zone) == expected


@st.composite
def six_fields(draw: st.DrawFn) -> tuple[str, list[set[int]]]:
    """An expression without stars in a day field, and what each field matches."""
    texts, sets = [], []
    for index, (least, most) in enumerate(LIMITS):
        values = draw(st.sets(st.integers(least, most), min_size=1, max_size=6))
        if index != 3 and draw(st.booleans()):
            texts.append("*")
            values = set(range(least, most + 1))
        else:
            texts.append(",".join(str(value) for value in values))
        sets.append(values)
    return " ".join(texts), sets


@settings(max_examples=100, deadline=None)
@given(six_fields(), st.datetimes(datetime(2026, 1, 1), datetime(2030, 1, 1)))
def test_the_next_fire_is_the_first_second_that_matches(drawn: tuple[str, list[set[int]]], start: datetime) -> None:
    expression, (seconds, minutes, hours, days, months, weekdays) = drawn
    begin = start.replace(tzinfo=UTC)
    found = parse(expression).next_after(begin, UTC)
    both = " * " in f" {expression.split()[-1]} "

    def matches_day(day: datetime) -> bool:
        by_day = day.day in days, day.isoweekday() % 7 in weekdays
        return day.month in months and (all(by_day) if both else any(by_day))

    # Day by day, then within the first day that has any: the same answer by another way.
    expected = None
    for number in range(6 * 366):
        day = (begin + timedelta(number)).replace(hour=0, minute=0, second=0, microsecond=0)
        if day.year > begin.year + 5 or expected is not None:
            break
        if matches_day(day):
            times = (
                day.replace(hour=hour, minute=minute, second=second)
                for hour in sorted(hours)
                for minute in sorted(minutes)
                for second in sorted(seconds)
            )
            expected = next((time for time in times if time > begin), None)
    assert found == expected


@settings(max_examples=50, deadline=None)
@given(
    st.sampled_from(["0 2 * * *", "*/20 9-17 * * MON-FRI", "0 1 */2 * MON", "30 0 1 * 5", "0 1 2-31 * MON"]),
    st.sampled_from(["UTC", "Europe/Amsterdam", "Asia/Kolkata", "America/New_York"]),
    st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1)),
)
def test_what_a_schedule_is_turned_into_means_the_same_to_the_server(text: str, zone: str, start: datetime) -> None:
    begin = start.replace(tzinfo=UTC)
    told = translate(parse_cron(text), ZoneInfo(zone), UTC, begin)
    fire = begin
    for _ in range(5):
        moment = fire
        found = parse(told.expression).next_after(fire, UTC)
        assert found is not None
        fire = found
        assert (fire.second, fire.minute in told.cron.minutes, fire.hour in told.cron.hours) == (0, True, True)
        assert told.cron.matches_day(fire.date())
        skipped = range(1, (fire.date() - moment.date()).days)
        assert not any(told.cron.matches_day(moment.date() + timedelta(days)) for days in skipped)


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("", "the server's cron is empty"),
        ("bogus", "it has 1 fields"),
        ("0 2 * *", "it has 4 fields"),
        ("0 0 2 * * * *", "it has 7 fields"),
        ("CRON_TZ=Europe/Amsterdam 0 0 2 * * *", "it has 7 fields"),
        ("CRON_TZ=UTC 0 2 * * *", "'CRON_TZ=UTC' is no number"),
        ("0 0 2 * * 7", "7 is no day of week from 0 to 6"),
        ("0 0 2 * * FRI-SUN", "FRI-SUN is empty"),
        ("0 0 2 L * *", "'L' is no number"),
        ("0 0 2 15W * *", "'15W' is no number"),
        ("0 0 2 0 * *", "0 is no day of month from 1 to 31"),
        ("0 0 2 * 13 *", "13 is no month from 1 to 12"),
        ("0 60 2 * * *", "60 is no minute from 0 to 59"),
        ("60 0 2 * * *", "60 is no second from 0 to 59"),
        ("0 0 24 * * *", "24 is no hour from 0 to 23"),
        ("0 0 17-9 * * *", "17-9 is empty"),
        ("0 */0 2 * * *", "*/0 is empty"),
        ("0 1/2/3 2 * * *", "1/2/3 has too many slashes"),
        ("0 1-2-3 2 * * *", "1-2-3 has too many hyphens"),
        ("0 -5 2 * * *", "'' is no number"),
        ("0 5- 2 * * *", "'' is no number"),
        ("0 */-5 2 * * *", "'-5' is no number"),
        ("0 0 jan * * *", "'jan' is no number"),
        ("0 ٣ 2 * * *", "'٣' is no number"),
        ("@reboot", "it knows no such name"),
        ("@Daily", "it knows no such name"),
        ("@daily ", "it knows no such name"),
        (" @daily", "it has 1 fields"),
        ("@every", "it knows no such name"),
        ("@every 1", "its duration cannot be read"),
        ("@every 1d", "its duration cannot be read"),
        ("@every 1h 5m", "its duration cannot be read"),
        ("@every 9999999h", "its duration is too long"),
    ],
)
def test_what_the_server_refuses_is_refused(expression: str, reason: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse(expression)
    assert str(caught.value).endswith(reason)
