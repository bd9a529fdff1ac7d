"""The retry calendar: when to try again, when to warn the sender, when to give up.

Pure: the time comes in as POSIX seconds, chance as a number in [0, 1).

Standards: RFC 5321 §4.5.4.1
"""

from dataclasses import dataclass

from penfold.model import Envelope

MINUTE = 60.0
HOUR = 60 * MINUTE
DAY = 24 * HOUR

INTERVALS = (5 * MINUTE, 10 * MINUTE, 20 * MINUTE, 40 * MINUTE, 1 * HOUR, 2 * HOUR, 4 * HOUR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """Intervals and lifetimes, all in seconds.

    ``intervals`` follow the first, second … failed attempt, the last one for ever; ``jitter`` is the share by which an
    interval is stretched or shortened at most, so that mail which failed together does not come back together;
    ``warn_after`` 0 means that nobody is warned.
    """

    intervals: tuple[float, ...] = INTERVALS
    jitter: float = 0.1
    lifetime: float = 5 * DAY
    bounce_lifetime: float = 5 * DAY
    warn_after: float = 4 * HOUR

    def __post_init__(self) -> None:
        if not self.intervals or min(self.intervals) <= 0:
            raise ValueError("the retry intervals must be positive, and at least one")
        if not 0 <= self.jitter < 1:
            raise ValueError("the jitter must be at least 0 and below 1")

    def deadline(self, envelope: Envelope) -> float:
        """Tell when a message is given up: bounces have a lifetime of their own."""
        return envelope.arrived + (self.bounce_lifetime if envelope.reverse_path is None else self.lifetime)

    def expired(self, envelope: Envelope, now: float) -> bool:
        """Tell whether the message was tried long enough."""
        return now >= self.deadline(envelope)

    def warns(self, envelope: Envelope, now: float) -> bool:
        """Tell whether the message is late enough for its sender to hear of it."""
        return self.warn_after > 0 and now >= envelope.arrived + self.warn_after

    def due(self, envelope: Envelope, now: float, attempts: int, chance: float, not_before: float = 0.0) -> float:
        """Tell when to try again after ``attempts`` failed attempts, not before the destination's own back-off ends.

        The last attempt falls on the deadline itself, so that no message outlives it by an interval.
        """
        interval = self.intervals[min(max(attempts, 1), len(self.intervals)) - 1]
        due = max(now + self.spread(interval, chance), not_before)
        deadline = self.deadline(envelope)
        return min(due, deadline) if deadline > now else due

    def spread(self, interval: float, chance: float) -> float:
        """Stretch or shorten an interval by chance."""
        return interval * (1 + self.jitter * (2 * chance - 1))
