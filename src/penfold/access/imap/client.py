"""What the commands of one session share: who the client is, which mailbox is selected, what was enabled.

A command is carried out by a function ``(client, command) -> Outcome``. An Outcome is the answer itself where it is
known at once; a coroutine where something must be waited for; a generator of octets where the answer is long: it is run
piece by piece, as fast as the client reads, and what it returns is the answer. Between two pieces others have their
turn, so rows of a view found before a ``yield`` mean nothing after it.
"""

from collections.abc import Callable, Coroutine, Generator
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from penfold.access.imap.selected import Selected
from penfold.access.imap.service import Service
from penfold.net.link import Link
from penfold.protocols.imap.events import Command
from penfold.protocols.imap.server import Server
from penfold.protocols.imap.status import Status
from penfold.store import AccountId, MailStore, UidSet

if TYPE_CHECKING:
    from penfold.access.imap.notify import Wishes


class _Told(Enum):
    TOLD = "told"


TOLD: Final = _Told.TOLD  # the command was answered by its handler, or will be by a later event

Pieces: TypeAlias = Generator[bytes, None, Status | None]
Answer: TypeAlias = Status | Literal[_Told.TOLD] | None
Outcome: TypeAlias = "Answer | Pieces | Coroutine[Any, Any, Answer | Pieces]"
Handler: TypeAlias = "Callable[[Client, Command], Outcome]"


class Client:
    """The state of a session beyond its protocol core. ``saved`` is the result of SEARCH RETURN (SAVE), as UIDs."""

    __slots__ = (
        "account",
        "condstore",
        "core",
        "groups",
        "link",
        "name",
        "saved",
        "selected",
        "service",
        "user",
        "wishes",
    )

    def __init__(self, service: Service, name: str) -> None:
        self.service = service
        self.name = name
        self.core: Server
        self.link: Link
        self.selected: Selected | None = None
        self.saved = UidSet()
        self.forget()

    def forget(self) -> None:
        """Be nobody, as before the log-in."""
        self.user = ""
        self.account = AccountId("")
        self.groups: frozenset[str] = frozenset()
        self.condstore = False
        self.wishes: Wishes | None = None
        self.deselect()

    def known(self, user: str) -> None:
        """Hear who logged in."""
        people = self.service.people
        self.user = user
        self.account = people.account(user)
        self.groups = frozenset(people.groups(user))

    def deselect(self) -> None:
        """Let go of the selected mailbox."""
        self.selected = None
        self.saved = UidSet()

    @property
    def store(self) -> MailStore:
        """The store."""
        return self.service.store

    @property
    def utf8(self) -> bool:
        """Whether names go out in UTF-8."""
        return self.core.utf8

    @property
    def rev2(self) -> bool:
        """Whether the client asked for IMAP4rev2."""
        return "IMAP4rev2" in self.core.enabled

    @property
    def by_uid(self) -> bool:
        """Whether what vanishes is told by UID."""
        return bool({"QRESYNC", "UIDONLY"} & self.core.enabled)

    @property
    def uid_only(self) -> bool:
        """Whether messages have no numbers."""
        return "UIDONLY" in self.core.enabled

    def view(self) -> Selected:
        """Give the selected mailbox, where the core lets no command come without one."""
        assert self.selected is not None
        return self.selected
