"""Who exists: the account as a value, and the seam of the directories that know accounts.

Every directory also gives the tables the router asks (``routing.base``): ``accounts`` answers a full address, a Unix
login name, or ``""`` (the first account, who gets postmaster's mail where nobody is named) with one value, the mailer
and the account id: ``local alice@example.test`` or ``unix alice``.

Trust: administrators' data. Password verifiers are not part of an account: they stand in a table of their own
(``Secrets``) that only the role that checks passwords loads.
"""

from collections.abc import Mapping
from typing import Literal, Protocol

import msgspec

from penfold.routing.base import Answer, Found, Missing, SlowTable, Table

AnyTable = Table | SlowTable

KINDS = ("virtual", "unix")
FORMATS = ("maildir", "mbox", "mmdf", "mh", "native")


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """An account.

    ``id`` is its address in canonical form (lower case, A-labels) or the login name of a Unix user; ``path`` where its
    mail lies; ``quota`` octets, 0 for no limit; ``aliases`` further addresses of the same account; ``uid``, ``gid`` and
    ``home`` of a Unix user, 0 and empty for a virtual one; ``forward`` whether its ``.forward`` is obeyed.
    """

    id: str
    kind: Literal["virtual", "unix"] = "virtual"
    format: Literal["maildir", "mbox", "mmdf", "mh", "native"] = "maildir"
    path: str = ""
    quota: int = 0
    aliases: tuple[str, ...] = ()
    uid: int = 0
    gid: int = 0
    home: str = ""
    name: str = ""
    forward: bool = False

    @property
    def mailer(self) -> str:
        """The way out of the account's mail: ``local`` or ``unix``."""
        return "unix" if self.kind == "unix" else "local"

    @property
    def answer(self) -> str:
        """The account as a value of the table ``accounts``."""
        return f"{self.mailer} {self.id}"


class Directory(Protocol):
    """Knows accounts. Synchronous: memory or mmap, or a call as fast as that."""

    def account(self, key: str) -> Account | None:
        """Find an account by id, further address or login name, whatever the case; None where there is none.

        Raises Transient when the directory cannot tell now: that is never "no such account".
        """

    def tables(self) -> Mapping[str, AnyTable]:
        """Give the router's tables, by name; at least ``accounts``."""


class Secrets(Protocol):
    """Knows password verifiers: for the role that checks passwords, and no other."""

    def verifier(self, account: str) -> str | None:
        """Give the verifier of an account id (``{ARGON2ID}…``, see ``directory.passwords``), or None."""


class MappingTable:
    """A table over a mapping in memory. ``source`` names the mapping for people."""

    def __init__(self, name: str, values: Mapping[str, tuple[str, ...]], source: str = "") -> None:
        self.name = name
        self._answers: dict[str, Answer] = {key: Found(value, source or name) for key, value in values.items()}

    def lookup(self, key: str) -> Answer:
        """Answer for one key."""
        return self._answers.get(key, MISSING)


MISSING = Missing()
