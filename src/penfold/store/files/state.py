"""What the store of files is made of: accounts by their places, and what comes from outside.

Trust: places come from the configuration or the directory of users.
"""

import contextlib
import os
from collections.abc import Callable
from typing import Protocol

import msgspec

from penfold.fs.base import FileSystem
from penfold.model import BodyRef
from penfold.store.base import Bodies
from penfold.store.change import INBOX, AccountId, Message
from penfold.store.files.account import FilesAccount
from penfold.store.files.cache import Cache
from penfold.store.files.folder import Folder, Means
from penfold.store.files.layout import Place, Spot
from penfold.store.refusal import Refusal
from penfold.store.rendering import Summarise
from penfold.store.result import Problem


class Limits(msgspec.Struct, frozen=True):
    """Octets of a message and of an annotation's value; annotations of a mailbox or an account."""

    message: int = 1 << 30
    annotation: int = 65536
    annotations: int = 1000


class Places(Protocol):
    """Where accounts lie."""

    def find(self, account: AccountId) -> Place | None:
        """Give the place of an account, None if there is no such account."""

    def accounts(self) -> list[AccountId]:
        """Name all accounts that may have one."""


class State:
    """The accounts that are open."""

    def __init__(
        self,
        fs: FileSystem,
        places: Places,
        cache: str,
        means: Means,
        *,
        clock: Callable[[], float],
        random: Callable[[int], bytes],
        summarise: Summarise,
        bodies: Bodies | None,
        limits: Limits,
        opener: Callable[[Place, Spot, str, Means], Folder],
    ) -> None:
        self.accounts: dict[AccountId, FilesAccount] = {}
        self.limits = limits
        self.places = places
        self._fs = fs
        self._cache = cache
        self._means = means
        self._clock = clock
        self._random = random
        self._summarise = summarise
        self._bodies = bodies
        self._opener = opener

    def account(self, account: AccountId) -> FilesAccount:
        """Find an account that is there, as it is now. Raises Refusal, OSError."""
        if not account:
            raise Refusal(Problem.NONEXISTENT, "no such account")
        found = self.placed(account)
        found.look()
        if INBOX not in found.names:
            raise Refusal(Problem.NONEXISTENT, "no such account")
        return found

    def placed(self, account: AccountId) -> FilesAccount:
        """Find an account that has a place, whether anything is there or not. Raises Refusal, OSError."""
        if account not in self.accounts:
            place = self.places.find(account) if account else None
            if place is None:
                raise Refusal(Problem.NONEXISTENT, "no such account")
            self.accounts[account] = self._opened(account, place)
        return self.accounts[account]

    def _opened(self, account: AccountId, place: Place) -> FilesAccount:
        directory = f"{self._cache}/{_as_name(account)}"
        for each in (self._cache, directory):
            with contextlib.suppress(FileExistsError):
                self._fs.mkdir(each)
        return FilesAccount(
            account,
            place,
            Cache(self._fs, directory),
            self._means,
            clock=self._clock,
            random=self._random,
            summarise=self._summarise,
            opener=self._opener,
            ours=_ours(place),
        )

    def write(self) -> None:
        """Write down what was said of accounts and mailboxes. Raises OSError."""
        for account in self.accounts.values():
            account.control.write()

    def octets(self, message: Message) -> bytes:
        """Read a message. Raises Refusal."""
        octets = message.prefix + self._content(message.content)
        if len(octets) > self.limits.message:
            raise Refusal(Problem.TOO_BIG, f"the message has more than {self.limits.message} octets")
        return octets

    def _content(self, content: bytes | BodyRef) -> bytes:
        if isinstance(content, bytes):
            return content
        if self._bodies is None:
            raise Refusal(Problem.UNAVAILABLE, "contents by reference cannot be read here")
        try:
            return self._bodies.open(content).read()
        except OSError as error:
            raise Refusal(Problem.UNAVAILABLE, f"the content cannot be read: {error.strerror}") from error


def _ours(place: Place) -> bool:
    """Tell whether we may write into the account's directory; one that is to be made is ours."""
    return not os.path.lexists(place.root) or os.access(place.root, os.W_OK | os.X_OK)


def _as_name(account: AccountId) -> str:
    """Write an account's id so that it is a file name, whatever it is."""
    if account.isascii() and account.replace("-", "").replace("_", "").isalnum():
        return account
    return "x" + account.encode("utf-8", "surrogateescape").hex()
