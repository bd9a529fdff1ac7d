"""The seams of routing: questions, look-ups, answers, decisions.

A Router is a pure function. It is asked a Question and given the Answers known so far; it replies with a Decision, or
with a Need that names the look-ups it misses. The caller fetches them and asks again (a bounded number of times). So
the daemon, ``penfold why`` and a replay of recorded answers call one and the same function.

Three-valued throughout: a look-up that failed is NotNow and becomes a 4yz, never "no such user".

Standards: RFC 5321 §3.6, §5.1
"""

from collections.abc import Mapping
from typing import Literal, Protocol

import msgspec

from penfold.model import Address, Recipient, Reply, Route


class Lookup(msgspec.Struct, frozen=True, array_like=True):
    """One question to a table: its name and the key, already in canonical form."""

    table: str
    key: str


class Found(msgspec.Struct, frozen=True, array_like=True, tag="f"):
    """The values of a key, at least one; ``source`` says where it stands (``aliases:12``), for people."""

    values: tuple[str, ...]
    source: str = ""


class Missing(msgspec.Struct, frozen=True, array_like=True, tag="m"):
    """The table answered: there is no such key."""


class NotNow(msgspec.Struct, frozen=True, array_like=True, tag="n"):
    """The table could not answer; ``reply`` is a 4yz."""

    reply: Reply


Answer = Found | Missing | NotNow
Answers = Mapping[Lookup, Answer]


class Table(Protocol):
    """A table that answers from memory or mmap. ``name`` is what a Lookup calls it."""

    name: str

    def lookup(self, key: str) -> Answer:
        """Answer for one key."""


class SlowTable(Protocol):
    """A table that may wait for another process or the network. Never raises: failure is NotNow."""

    name: str

    async def lookup(self, key: str) -> Answer:
        """Answer for one key."""


class Question(msgspec.Struct, frozen=True, array_like=True):
    """The question: where does mail for ``recipient`` go, coming from ``reverse_path``.

    ``stage`` is ``rcpt`` (may this address be accepted at all? aliases are followed to their ends) or ``dispatch``
    (one step: a route, or an expansion). ``user`` is the authenticated sender, ``""`` for a stranger.
    """

    recipient: Recipient
    reverse_path: Address | None
    stage: Literal["rcpt", "dispatch"] = "dispatch"
    user: str = ""


class Step(msgspec.Struct, frozen=True, array_like=True):
    """One rule that fired, for people: ``rule`` (``local domain``, ``alias``, ``transport`` …) and what it did."""

    rule: str
    detail: str
    source: str = ""


class Deliver(msgspec.Struct, frozen=True, array_like=True, tag="d"):
    """It goes this way. ``local`` tells whether the domain is one of ours (the relay rule asks)."""

    route: Route
    recipient: Recipient
    local: bool


class Expand(msgspec.Struct, frozen=True, array_like=True, tag="x"):
    """It is replaced by these recipients (alias, virtual user, sub-address)."""

    recipients: tuple[Recipient, ...]
    via: str = ""


class Refuse(msgspec.Struct, frozen=True, array_like=True, tag="r"):
    """It cannot be delivered: 5yz, or 4yz where a look-up failed."""

    reply: Reply
    local: bool = True


class Decision(msgspec.Struct, frozen=True, array_like=True):
    """The answer with its reasons."""

    result: Deliver | Expand | Refuse
    steps: tuple[Step, ...]


class Need(msgspec.Struct, frozen=True, array_like=True):
    """The look-ups missing before a decision can be made."""

    lookups: tuple[Lookup, ...]


class Router(Protocol):
    """Routing itself."""

    def resolve(self, question: Question, answers: Answers) -> Decision | Need:
        """Decide, or name what must be looked up first. Pure."""
