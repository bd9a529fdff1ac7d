"""Opens the mailbox of an account in its format, and shares the syncing of a batch among all it touches.

Durability: see formats.base; a result is given only when content and name are durable.
"""

from collections.abc import Callable, Sequence

from penfold.directory.base import Account
from penfold.formats import maildir
from penfold.formats.base import MailboxWriter, Message, Result, Stored
from penfold.formats.maildirsize import Quota
from penfold.formats.mbox import Mbox
from penfold.formats.mh import Mh
from penfold.formats.mmdf import Mmdf
from penfold.fs.base import FileSystem
from penfold.fs.locks import LockPolicy
from penfold.model import Reply, Transient

_UNKNOWN = Reply.of(451, "4.3.5", "The mailbox has a format that is not known here")

Delivery = tuple[Account, Message]


class Mailboxes:
    """The mailboxes of all accounts that one process may write."""

    def __init__(self, fs: FileSystem, *, hostname: str, locks: LockPolicy, mode: int = 0o600) -> None:
        self._fs = fs
        self._hostname = hostname
        self._mode = mode
        self._open: dict[str, Callable[[Account], MailboxWriter]] = {
            "mbox": lambda account: Mbox(fs, account.path, locks=locks, mode=mode, quota=_quota(account)),
            "mmdf": lambda account: Mmdf(fs, account.path, locks=locks, mode=mode, quota=_quota(account)),
            "mh": lambda account: Mh(fs, account.path, locks=locks, mode=mode, quota=_quota(account)),
        }

    def deliver(self, deliveries: Sequence[Delivery], *, doubtful_before: float = 0.0) -> list[Result]:
        """Store every message in its account's mailbox; one result each, in order.

        Messages that arrived before ``doubtful_before`` (POSIX seconds) may be there already, stored by a process that
        died before it could say so: a Maildir is searched for them, and what is found is not stored again.
        """
        results: list[Result | None] = [None] * len(deliveries)
        self._recognise(deliveries, doubtful_before, results)
        shared: list[int] = []
        single: dict[str, list[int]] = {}
        for position, (account, _) in enumerate(deliveries):
            if results[position] is not None:
                continue
            if account.format == "maildir":
                shared.append(position)
            else:
                single.setdefault(account.id, []).append(position)
        self._maildirs(deliveries, shared, results)
        for positions in single.values():
            self._one(deliveries, positions, results)
        return [result for result in results if result is not None]

    def _recognise(self, deliveries: Sequence[Delivery], before: float, results: list[Result | None]) -> None:
        doubtful: dict[str, dict[str, int]] = {}
        for position, (account, message) in enumerate(deliveries):
            if account.format == "maildir" and message.arrived < before:
                doubtful.setdefault(account.path, {})[message.unique] = position
        for path, positions in doubtful.items():
            for unique, name in maildir.delivered(self._fs, path, positions).items():
                results[positions[unique]] = Stored(name)

    def _maildirs(self, deliveries: Sequence[Delivery], positions: Sequence[int], results: list[Result | None]) -> None:
        if not positions:
            return
        items = [(deliveries[position][0].path, deliveries[position][1]) for position in positions]
        quotas = {
            account.path: Quota(account.quota)
            for account, _ in (deliveries[position] for position in positions)
            if account.quota
        }
        delivered = maildir.deliver_many(self._fs, items, host=self._hostname, quotas=quotas, mode=self._mode)
        for position, result in zip(positions, delivered, strict=True):
            results[position] = result

    def _one(self, deliveries: Sequence[Delivery], positions: Sequence[int], results: list[Result | None]) -> None:
        account = deliveries[positions[0]][0]
        make = self._open.get(account.format)
        if make is None:
            for position in positions:
                results[position] = Transient(_UNKNOWN)
            return
        messages = [deliveries[position][1] for position in positions]
        for position, result in zip(positions, make(account).deliver(messages), strict=True):
            results[position] = result


def _quota(account: Account) -> Quota:
    return Quota(account.quota)
