"""Sender rights: a submitted message leaves under an address that belongs to the account that sends it.

Standards: RFC 6409 §6.1
Trust: the user is authenticated, its reverse-path is its own claim.
"""

from collections.abc import Callable

from penfold.guard.base import PASS, Facts, Stage, Verdict
from penfold.model import Address, Reply


class SenderRights:
    """Refuses a reverse-path that the authenticated user does not own. The null reverse-path is always allowed."""

    stages: frozenset[Stage] = frozenset({"mail"})

    def __init__(self, owns: Callable[[str, Address], bool]) -> None:
        self._owns = owns

    def examine(self, stage: Stage, facts: Facts) -> Verdict:  # noqa: ARG002 - one stage only
        """Judge the reverse-path in ``facts``."""
        path = facts.reverse_path
        if facts.role != "submission" or path is None or self._owns(facts.origin.user, path):
            return PASS
        text = f"<{path}> is not an address of {facts.origin.user}"
        return Verdict(reply=Reply.of(553, "5.7.1", text), rule="sender rights")
