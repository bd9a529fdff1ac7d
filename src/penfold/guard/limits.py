"""Limits per client: connections at a time, and connections, messages and recipients a minute, over all processes.

Standards: RFC 5321 §4.5.3; RFC 4954 §4 (421 4.7.0)
Trust: counts by the connection's address; clients that may relay or authenticated are counted, but against no limit;
exempt networks (loopback, by default) are not counted at all.
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Protocol

from penfold.guard.base import PASS, Facts, Stage, Verdict
from penfold.model import Reply


class Meter(Protocol):
    """Counts one kind of event of each client in this minute, over all receiving processes."""

    def hit(self, client: str, limit: int) -> bool:
        """Count an event of a client (an IP address as text); False when that makes more than ``limit``."""


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

    def __init__(self, rates: Rates, meters: Mapping[str, Meter], exempt: Container[str] = ()) -> None:
        """``meters`` by what they count: ``connections``, ``messages``, ``recipients``; ``exempt`` clients are free."""
        self._exempt = exempt
        self._limits = {
            stage: (limit, meters[kind]) for stage, kind in _KIND.items() if (limit := int(getattr(rates, kind)))
        }

    def examine(self, stage: Stage, facts: Facts) -> Verdict:
        """Count this event and judge it."""
        found = self._limits.get(stage)
        client = facts.origin.client
        if found is None or not client or client in self._exempt:
            return PASS
        limit, meter = found
        if meter.hit(client, limit) or facts.trusted or facts.origin.user:
            return PASS
        return Verdict(reply=_REPLY[stage], rule="rate")
