"""What happens to the header of a submitted message: completed, and masqueraded.

Standards: RFC 6409 §8
Trust: the header is an authenticated user's (or a trusted network's); it is read, never believed.
"""

from collections.abc import Callable
from dataclasses import dataclass

from penfold.intake.transaction import Transaction
from penfold.message import complete
from penfold.message.header import facts
from penfold.routing.masquerade import SENDER_FIELDS, Masquerade


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """Adds Date, Message-ID and From where missing; writes masked domains instead of our hosts'."""

    hostname: str
    clock: Callable[[], float]
    new_id: Callable[[], str]
    masquerade: Masquerade

    def __call__(self, header: bytes, transaction: Transaction) -> bytes:
        """Give the header to store."""
        if transaction.facts.role == "submission":
            header = self._completed(header, transaction)
        if self.masquerade.rules:
            header = complete.masquerade(header, self.masquerade.address, tuple(SENDER_FIELDS))
            transaction.facts.reverse_path = self.masquerade.reverse_path(transaction.facts.reverse_path)
        return header

    def _completed(self, header: bytes, transaction: Transaction) -> bytes:
        known = facts(header)
        if known.has_date and known.has_from and known.has_message_id:
            return header
        missing = complete.missing_fields(
            known,
            date=self.clock(),
            message_id=complete.new_message_id(self.new_id(), self.hostname),
            sender=transaction.facts.reverse_path,
        )
        return missing + header
