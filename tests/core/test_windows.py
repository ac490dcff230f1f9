"""Days that train and days that examine: no window reaches into what it will be judged on."""

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.windows import Days, evidence_days, scored_day, training_days

dates = st.dates(date(1990, 1, 1), date(2100, 1, 1))
windows = st.integers(1, 500)
fast = settings(max_examples=100, deadline=None, database=None)


@given(dates, windows, st.integers(0, 60))
@fast
def test_the_scored_day_is_never_a_training_day_and_never_in_the_future(data_day, window, delay):
    scored = scored_day(data_day, delay)
    training = training_days(scored, window)
    assert scored == data_day - timedelta(delay)
    assert scored not in training
    assert training.last == scored - timedelta(1)
    assert len(training) == len(list(training)) == window
    assert all(day < scored <= data_day for day in (training.first, training.last))


@given(dates, windows)
@fast
def test_the_evidence_ends_with_the_scored_day(scored, window):
    days = evidence_days(scored, window)
    assert days.last == scored
    assert len(days) == window
    assert scored + timedelta(1) not in days


@given(dates, windows)
@fast
def test_tomorrow_the_exam_is_the_textbook(scored, window):
    assert scored in training_days(scored + timedelta(1), window)


@given(dates, windows, st.integers(0, 50))
@fast
def test_days_come_in_order_and_know_what_they_hold(first, length, back):
    days = Days(first, first + timedelta(length - 1))
    listed = list(days)
    assert listed == sorted(set(listed))
    assert all(day in days for day in listed)
    assert first - timedelta(1) not in days
    assert days.back(back) == Days(first - timedelta(back), days.last)


def test_what_is_no_date_is_in_no_run_of_days():
    assert "2013-03-08" not in Days(date(2013, 3, 8), date(2013, 3, 8))
    assert str(Days(date(2013, 3, 8), date(2013, 3, 9))) == "2013-03-08 to 2013-03-09"


def test_a_run_of_days_that_ends_before_it_begins_is_refused():
    with pytest.raises(ValueError, match="first <= last"):
        Days(date(2013, 3, 9), date(2013, 3, 8))


@pytest.mark.parametrize("window", [0, -3])
def test_an_empty_window_is_refused(window):
    for make in (training_days, evidence_days):
        with pytest.raises(ValueError, match="at least one day"):
            make(date(2013, 3, 8), window)
