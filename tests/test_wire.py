from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcar.errors import SourceError
from modelcar.wire import find_causes, find_reason, host_of, origin_of, parse_seconds, read_delay


def later(seconds: int) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    ("headers", "least_s", "most_s"),
    [
        ({"Retry-After": "12"}, 12, 12),
        # Collected long before they run: an hour, of which minutes may have passed.
        ({"Retry-After": later(3600)}, 1800, 3600),
        ({"Retry-After": later(-1000)}, 0, 0),
        ({"Retry-After": later(3600).replace("GMT", "-0000")}, 1800, 3600),
        ({"RateLimit": '"api";r=0;t=55'}, 55, 55),
        ({"Retry-After": "1", "RateLimit": '"api";r=0;t=55'}, 1, 1),
    ],
)
def test_a_time_to_wait_is_read_in_each_form(headers: dict[str, str], least_s: float, most_s: float) -> None:
    delay_s = read_delay(headers)
    assert delay_s is not None
    assert least_s <= delay_s <= most_s


@pytest.mark.parametrize(
    "text", ["soon", "-1", "\u00b2", "", "9" * 400, "Fri, 31 Dec 9999 23:59:59 -2359", "Mon, 99 Nov 2026 99:99:99 GMT"]
)
def test_a_time_that_is_none_is_passed_over(text: str) -> None:
    assert read_delay({"Retry-After": text}) is None


@pytest.mark.parametrize(
    ("value", "seconds"), [(7, 7.0), (0, 0.0), (1.5, 1.5), ("7", 7.0), (" 7", None), ("1.5", None), ("7\n", None)]
)
def test_seconds_are_read_from_numbers_and_digits(value: object, seconds: float | None) -> None:
    assert parse_seconds(value) == seconds


@given(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(max_value=-1),
        st.floats(max_value=-1e-9),
        st.just(float("nan")),
        st.just(float("inf")),
        st.just(10**400),
        st.lists(st.integers()),
        st.dictionaries(st.text(), st.none()),
        st.text().filter(lambda text: not (text.isascii() and text.isdigit())),
    )
)
def test_what_is_no_number_of_seconds_is_none(value: object) -> None:
    assert parse_seconds(value) is None


def refused() -> OSError:
    with pytest.raises(OSError, match="refused") as caught:
        socket.create_connection(("127.0.0.1", 9), timeout=5)
    return caught.value


def test_a_reason_is_the_systems_word_for_it_however_deep() -> None:
    outer = RuntimeError(ValueError("Bearer geheim"))
    outer.args[0].__cause__ = refused()
    assert find_reason(outer) == "Connection refused"


def test_a_reason_may_be_the_tls_librarys() -> None:
    assert find_reason(ssl.SSLError(1, "wrong version number")) == "wrong version number"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("Bearer geheim"), "ValueError"),
        (OSError("https://h/?sig=geheim"), "OSError"),
        (RuntimeError(ValueError("geheim")), "ValueError"),
        (TimeoutError("geheim"), "no answer in time"),
    ],
)
def test_a_reason_is_never_the_text_of_another_exception(error: BaseException, reason: str) -> None:
    assert find_reason(error) == reason


def test_what_was_handled_before_is_no_cause() -> None:
    error = ValueError()
    error.__context__ = SourceError("before")
    error.__context__.__context__ = refused()
    assert find_causes(error) == [error]


def test_causes_that_go_in_a_circle_end() -> None:
    one, two = ValueError("one"), ValueError("two")
    one.__cause__, two.__cause__ = two, one
    assert find_causes(one) == [one, two]


@pytest.mark.parametrize("url", ["https://HUB.test/x", "HTTPS://user:geheim@hub.test:443", "https://hub.test?a"])
def test_an_origin_is_the_same_however_it_is_written(url: str) -> None:
    assert origin_of(url) == ("https", "hub.test", 443)


def test_a_host_is_told_without_a_password() -> None:
    assert [host_of(f"https://user:geheim@Hub.test{port}/?geheim") for port in ("", ":5000")] == [
        "hub.test",
        "hub.test:5000",
    ]
