"""What a commit will publish: collected change by change, given once.

Standards: RFC 7162 §3.1
"""

from penfold.store.base import Kind, Published, Touched
from penfold.store.change import AccountId, MailboxId


class Publication:
    """What has changed in one account since the last commit. ``modseq`` is what was published then."""

    def __init__(self, account: AccountId, modseq: int = 0) -> None:
        self._account = account
        self._before = modseq
        self._touched: dict[MailboxId, tuple[int, int]] = {}

    def touch(self, mailbox: MailboxId, kind: Kind, modseq: int) -> None:
        """Note a change: of a mailbox, or with no id of the account."""
        kinds, _ = self._touched.get(mailbox, (0, 0))
        self._touched[mailbox] = (kinds | kind, modseq)

    def take(self, modseq: int) -> Published | None:
        """Give what was noted; ``modseq`` is the account's now."""
        if not self._touched:
            return None
        touched = tuple(Touched(mailbox, *what) for mailbox, what in self._touched.items())
        before, self._before = self._before, modseq
        self._touched = {}
        return Published(self._account, before, modseq, touched)
