"""The system's users as accounts: login names within a range of uids.

Names are asked in lower case, whatever the sender wrote. System users (uids below the range) have no mailbox; an alias
gives their mail to a person. Answers are kept for a few seconds, because asking costs a file or a network.

Trust: the system's user database. A database that does not answer is "not now", never "no such user".
"""

import re
import time
from collections.abc import Callable, Mapping
from typing import Literal

from penfold.directory.base import MISSING, Account, AnyTable
from penfold.directory.nss import User, first_user, user_by_login
from penfold.model import Reply, Transient
from penfold.routing.base import Answer, Found, NotNow

_LOGIN = re.compile(r"[a-z_][a-z0-9_.-]{0,31}\Z")
_DOWN = Reply.of(451, "4.3.0", "The user database does not answer")
MAX_KEPT = 10_000


class PasswdDirectory:
    """Unix users.

    ``format`` and ``path`` say where their mail lies (``{home}`` and ``{login}`` are replaced); ``extra`` names users
    outside the range that have a mailbox all the same; ``postmaster`` is the login name behind the key ``""``, by
    default the user with the lowest uid of the range; ``quota`` is in octets, 0 for no limit. ``find`` and
    ``first`` are the system's look-ups.
    """

    def __init__(
        self,
        *,
        uids: tuple[int, int] = (1000, 59_999),
        format: Literal["maildir", "mbox", "mmdf", "mh"] = "mbox",  # noqa: A002
        path: str = "/var/mail/{login}",
        extra: frozenset[str] = frozenset(),
        postmaster: str = "",
        quota: int = 0,
        keep: float = 10.0,
        find: Callable[[str], User | None] = user_by_login,
        first: Callable[[int, int], User | None] = first_user,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = "accounts"
        self.uids = uids
        self.format = format
        self.path = path
        self.extra = extra
        self.postmaster = postmaster
        self.quota = quota
        self._keep = keep
        self._find = find
        self._first = first
        self._clock = clock
        self._kept: dict[str, tuple[float, Account | None]] = {}

    def account(self, key: str) -> Account | None:
        """Find a user by login name. Raises Transient where the system cannot tell now."""
        login = key.lower()
        if not _LOGIN.match(login):
            return None
        return self._cached(login, lambda: self._usable(self._find(login)))

    def _cached(self, key: str, find: Callable[[], Account | None]) -> Account | None:
        now = self._clock()
        until, account = self._kept.get(key, (0.0, None))
        if until > now:
            return account
        try:
            account = find()
        except OSError:
            raise Transient(_DOWN) from None
        if len(self._kept) >= MAX_KEPT:
            self._kept.clear()
        self._kept[key] = (now + self._keep, account)
        return account

    def _usable(self, user: User | None) -> Account | None:
        if user is None:
            return None
        low, high = self.uids
        if not low <= user.uid <= high and user.login not in self.extra:
            return None
        path = self.path.replace("{home}", user.home).replace("{login}", user.login)
        return Account(
            id=user.login, kind="unix", format=self.format, path=path, uid=user.uid, gid=user.gid, home=user.home,
            name=user.name, forward=True, quota=self.quota,
        )  # fmt: skip

    def _postmaster(self) -> Account | None:
        if self.postmaster:
            return self.account(self.postmaster)
        return self._cached("", lambda: self._usable(self._first(*self.uids)))

    def lookup(self, key: str) -> Answer:
        """Answer for one key of the table ``accounts``."""
        try:
            account = self.account(key) if key else self._postmaster()
        except Transient as failed:
            return NotNow(failed.reply)
        return MISSING if account is None else Found((account.answer,), "passwd")

    def tables(self) -> Mapping[str, AnyTable]:
        """Give the router's tables."""
        return {"accounts": self}
