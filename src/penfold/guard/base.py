"""The seam of admission policy: facts in, a verdict out, stage by stage.

Stages follow the conversation: ``connect``, ``hello``, ``mail``, ``rcpt``, ``body``. A check names the stages it speaks
at; the guard runs them in the configured order and the first refusal ends the stage. Scores and tags are summed and
kept for later stages, the trace and the log.

Trust: every field of Facts but ``role`` and ``trusted`` is the client's word.
"""

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from penfold.model import Address, Origin, Reply
from penfold.model.soon import Soon
from penfold.routing.base import Decision

Stage = Literal["connect", "hello", "mail", "rcpt", "body"]
Role = Literal["smtp", "submission", "lmtp", "local"]


@dataclass(slots=True)
class Facts:
    """What is known of one transaction so far; the door fills it in, checks read it.

    ``trusted`` says that the client's address lies in the networks allowed to relay; ``size`` is octets, as declared
    at MAIL and as counted at ``body``; ``content`` the header block at ``body``.
    """

    role: Role
    origin: Origin
    trusted: bool = False
    reverse_path: Address | None = None
    recipient: Address | None = None
    decision: Decision | None = None
    recipients: int = 0
    size: int = 0
    header: bytes = b""
    score: float = 0.0
    tags: list[str] = field(default_factory=list)


@dataclass(slots=True, frozen=True)
class Verdict:
    """What a check says: a reply refuses (4yz or 5yz), a score or a tag only leaves a mark; ``rule`` is for people."""

    reply: Reply | None = None
    score: float = 0.0
    tag: str = ""
    rule: str = ""


PASS = Verdict()


class Check(Protocol):
    """One rule of admission."""

    stages: frozenset[Stage]

    def examine(self, stage: Stage, facts: Facts) -> Soon[Verdict]:
        """Judge. Must not raise for anything the client sent."""


class Guard:
    """All checks, in order."""

    def __init__(self, checks: Sequence[Check]) -> None:
        stages: tuple[Stage, ...] = ("connect", "hello", "mail", "rcpt", "body")
        self._at: dict[Stage, tuple[Check, ...]] = {
            stage: tuple(check for check in checks if stage in check.stages) for stage in stages
        }

    def examine(self, stage: Stage, facts: Facts) -> Soon[Verdict]:
        """Run the checks of a stage; the first refusal wins. Waits only where a check must."""
        checks = self._at[stage]
        for position, check in enumerate(checks):
            verdict = check.examine(stage, facts)
            if not isinstance(verdict, Verdict):
                return self._go_on(stage, facts, verdict, checks[position + 1 :])
            if _refused(facts, verdict):
                return verdict
        return PASS

    @staticmethod
    async def _go_on(stage: Stage, facts: Facts, first: Awaitable[Verdict], rest: Sequence[Check]) -> Verdict:
        verdict = await first
        if _refused(facts, verdict):
            return verdict
        for check in rest:
            answer = check.examine(stage, facts)
            verdict = await answer if isinstance(answer, Awaitable) else answer
            if _refused(facts, verdict):
                return verdict
        return PASS


def _refused(facts: Facts, verdict: Verdict) -> bool:
    if verdict.reply is not None:
        return True
    if verdict is not PASS:
        facts.score += verdict.score
        if verdict.tag:
            facts.tags.append(verdict.tag)
    return False
