"""Instants as UWS 1.1 section 2.2.1 and DALI 1.2 section 3.3 write them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uwsd.uws.times import from_milliseconds, now, parse, to_milliseconds, to_text


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2015-10-26T09:15:35", "2015-10-26T09:15:35.000Z"),
        ("2015-10-26T09:15:35Z", "2015-10-26T09:15:35.000Z"),
        ("2015-10-26T09:00", "2015-10-26T09:00:00.000Z"),
        ("2015-10-26 09:00", "2015-10-26T09:00:00.000Z"),
        ("2015-10-26", "2015-10-26T00:00:00.000Z"),
        ("2015-10", "2015-10-01T00:00:00.000Z"),
        ("2015", "2015-01-01T00:00:00.000Z"),
        ("20151026", "2015-10-26T00:00:00.000Z"),
        ("2021-01-02T03:04:05.123456Z", "2021-01-02T03:04:05.123Z"),
        ("2021-01-02T03:04:05.9Z", "2021-01-02T03:04:05.900Z"),
        ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"),
        ("0001-01-01", "0001-01-01T00:00:00.000Z"),
    ],
)
def test_a_time_is_read_in_each_form_that_clients_send(text: str, instant: str) -> None:
    assert to_text(parse(text)) == instant


@pytest.mark.parametrize(
    "text",
    [
        "", "sometext", "2015-26-10", "2015-02-30", "2015-10-26T09:00+01:00", "2015-10-26T09:00 01:00",
        "2015-10-26T24:00", "2015-10-26T09", "10000-01-01", "0000-01-01", "2015-10-26T09:00:60Z",
        "2015-10-26T09:00:00.Z", "201510", "２０１５", "2015-10-26T09:00:00ZZ", "-2015-01-01", "NaN",
    ],
)  # fmt: skip
def test_what_is_no_time_in_utc_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="time"):
        parse(text)


@given(st.datetimes(timezones=st.just(UTC)))
def test_what_is_printed_is_what_is_stored(at: datetime) -> None:
    kept = from_milliseconds(to_milliseconds(at))
    assert parse(to_text(kept)) == kept
    assert timedelta() <= at - kept < timedelta(milliseconds=1)


def test_now_is_utc_and_cut_to_the_millisecond() -> None:
    assert now().tzinfo is UTC
    assert now().microsecond % 1000 == 0
