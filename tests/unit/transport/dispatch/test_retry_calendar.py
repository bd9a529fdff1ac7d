"""When to try again, to warn, to give up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.transport.dispatch.fakes import START, envelope

from penfold.transport.dispatch.calendar import DAY, HOUR, MINUTE, Calendar

PLAIN = Calendar(jitter=0)


def test_the_intervals_follow_one_another_and_the_last_repeats():
    waits = [PLAIN.due(envelope(), START, attempts, 0.5) - START for attempts in range(1, 10)]
    assert waits == [5 * MINUTE, 10 * MINUTE, 20 * MINUTE, 40 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR, 4 * HOUR, 4 * HOUR]


def test_jitter_spreads_both_ways():
    calendar = Calendar(jitter=0.1)
    assert calendar.due(envelope(), START, 1, 0.0) == pytest.approx(START + 270)
    assert calendar.due(envelope(), START, 1, 1.0) == pytest.approx(START + 330)


def test_the_last_attempt_falls_on_the_deadline():
    now = START + 5 * DAY - 60
    assert PLAIN.due(envelope(), now, 9, 0.5) == START + 5 * DAY
    assert not PLAIN.expired(envelope(), now)
    assert PLAIN.expired(envelope(), START + 5 * DAY)


def test_bounces_have_their_own_lifetime():
    calendar = Calendar(bounce_lifetime=DAY)
    assert calendar.expired(envelope(None), START + DAY)
    assert not calendar.expired(envelope(), START + DAY)


def test_a_destinations_back_off_delays_the_attempt():
    assert PLAIN.due(envelope(), START, 1, 0.5, not_before=START + 999) == START + 999


def test_the_sender_is_warned_after_four_hours_or_never():
    """RFC 3461 §5.2.5."""
    assert not PLAIN.warns(envelope(), START + 4 * HOUR - 1)
    assert PLAIN.warns(envelope(), START + 4 * HOUR)
    assert not Calendar(warn_after=0).warns(envelope(), START + 4 * DAY)


@pytest.mark.parametrize("wrong", [{"intervals": ()}, {"intervals": (0.0,)}, {"jitter": 1.0}, {"jitter": -0.1}])
def test_a_calendar_that_cannot_work_is_refused(wrong):
    with pytest.raises(ValueError, match="must be"):
        Calendar(**wrong)


@given(st.integers(0, 100), st.floats(0, 1, exclude_max=True), st.floats(0, 10 * DAY), st.floats(0, 10 * DAY))
def test_the_next_attempt_is_always_ahead(attempts, chance, age, back_off):
    now = START + age
    assert Calendar().due(envelope(), now, attempts, chance, START + back_off) > now
