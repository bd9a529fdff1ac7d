"""Limits per client: connections at a time, and connections, messages and recipients a minute, over all processes.

Standards: RFC 5321 §4.5.3; RFC 4954 §4 (421 4.7.0)
Trust: counts by the connection's address; clients that may relay or authenticated are counted, but against no limit.
"""

from dataclasses import dataclass
from typing import Protocol

from penfold.guard.base import PASS, Facts, Stage, Verdict
from penfold.model import Reply


class Counters(Protocol):
    """Counts shared by all receiving processes; ``client`` is an IP address as text."""

    def hit(self, kind: str, client: str, amount: int = 1) -> int:
        """Count an event of ``kind``; returns how many there were in this minute, this one included."""


@dataclass(frozen=True, slots=True)
class Rates:
    """How many a client may a minute; 0 means no limit."""

    connections: int = 0
    messages: int = 0
    recipients: int = 0


_KIND = {"connect": "connections", "mail": "messages", "rcpt": "recipients"}
_REPLY = {
    "connect": Reply.of(421, "4.7.0", "Too many connections from you in this minute; come back later"),
    "mail": Reply.of(450, "4.7.1", "Too many messages from you in this minute; come back later"),
    "rcpt": Reply.of(450, "4.7.1", "Too many recipients from you in this minute; come back later"),
}


class RateLimits:
    """Refuses, for now, what goes over a rate."""

    stages: frozenset[Stage] = frozenset({"connect", "mail", "rcpt"})

    def __init__(self, rates: Rates, counters: Counters) -> None:
        self._counters = counters
        self._limits = {stage: limit for stage, kind in _KIND.items() if (limit := int(getattr(rates, kind)))}

    def examine(self, stage: Stage, facts: Facts) -> Verdict:
        """Count this event and judge it."""
        limit = self._limits.get(stage)
        if limit is None or not facts.origin.client:
            return PASS
        count = self._counters.hit(_KIND[stage], facts.origin.client)
        if count <= limit or facts.trusted or facts.origin.user:
            return PASS
        return Verdict(reply=_REPLY[stage], rule="rate")
