import heapq
from math import inf

import pytest

from penfold.net.wheel import GRAIN, Wheel


class Timer:
    def __init__(self, when, call):
        self.when, self.call, self.dead = when, call, False

    def cancel(self):
        self.dead = True

    def __lt__(self, other):
        return self.when < other.when


class Clock:
    """As much of a loop as a wheel needs, with a clock that a test moves."""

    def __init__(self):
        self.now = 1000.0
        self.timers = []
        self.armed = 0

    def time(self):
        return self.now

    def call_at(self, when, call):
        self.armed += 1
        timer = Timer(when, call)
        heapq.heappush(self.timers, timer)
        return timer

    def run_until(self, when):
        while self.timers and self.timers[0].when <= when:
            timer = heapq.heappop(self.timers)
            if not timer.dead:
                self.now = max(self.now, timer.when)
                timer.call()
        self.now = when


class Item:
    def __init__(self, clock, again=None):
        self.slot = 0
        self.when = inf
        self.fired = []
        self.clock = clock
        self.again = again

    def due(self):
        return self.when

    def expired(self, now):
        self.fired.append(now)
        self.when = self.again(now) if self.again else inf


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def wheel(clock):
    return Wheel(clock)


def test_an_item_fires_never_early_and_at_most_a_grain_late(clock, wheel):
    items = [Item(clock) for _ in range(50)]
    for number, item in enumerate(items):
        item.when = clock.now + number * 0.17
        wheel.keep(item)
    wanted = [item.when for item in items]
    clock.run_until(clock.now + 20)
    for item, when in zip(items, wanted, strict=True):
        assert len(item.fired) == 1
        assert when <= item.fired[0] <= when + GRAIN
    assert len(wheel) == 0


def test_moving_a_deadline_later_arms_no_new_timer(clock, wheel):
    item = Item(clock)
    for step in range(1000):
        item.when = clock.now + 300 + step
        wheel.keep(item)
    assert clock.armed == 1
    clock.run_until(clock.now + 1400)
    assert item.fired == [pytest.approx(1000 + 300 + 999, abs=GRAIN)]


def test_moving_a_deadline_earlier_is_heeded(clock, wheel):
    item = Item(clock)
    for seconds in (300, 10, 5):
        item.when = clock.now + seconds
        wheel.keep(item)
    clock.run_until(1006)
    assert len(item.fired) == 1


def test_a_dropped_item_is_never_heard_of_again(clock, wheel):
    item = Item(clock)
    item.when = clock.now + 5
    wheel.keep(item)
    wheel.drop(item)
    wheel.drop(item)
    clock.run_until(1010)
    assert item.fired == []
    assert not [timer for timer in clock.timers if not timer.dead]


def test_an_item_that_asks_for_the_past_does_not_stop_the_clock(clock, wheel):
    item = Item(clock, again=lambda now: now - 10)
    item.when = clock.now
    wheel.keep(item)
    clock.run_until(1010)
    assert 30 <= len(item.fired) <= 41
    wheel.close()
    clock.run_until(1020)
    assert len(item.fired) <= 41
