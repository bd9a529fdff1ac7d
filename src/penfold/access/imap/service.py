"""What the IMAP sessions of a listener share, and the seams through which they meet the rest of the house."""

from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
from dataclasses import dataclass, field
from ssl import SSLContext
from typing import Any, Protocol

from penfold.model import Reply
from penfold.net.tls import TlsFacts
from penfold.protocols.imap.settings import Settings
from penfold.protocols.imap.status import Status
from penfold.store import AccountId, MailStore, Sharing


class Login(Protocol):
    """A log-in under way, as a SASL exchange."""

    mechanism: str
    user: str

    def step(self, data: bytes | None) -> Awaitable[bytes | Reply]:
        """Take what the client said; gives a challenge, or how it ended (235, 4yz, 5yz)."""


class People(Protocol):
    """Who a user is to the store, and to access control lists."""

    def account(self, user: str) -> AccountId:
        """Tell where the mail of a user lies. ``user`` is what a log-in ended with, or part of a mailbox name."""

    def user(self, account: AccountId) -> str:
        """Tell whose an account is: what others see as the name of its mailboxes, and what stands in their lists."""

    def groups(self, user: str) -> Collection[str]:
        """Name the groups of a user."""


class SamePeople:
    """Users who are called what their accounts are called, and belong to no group."""

    def account(self, user: str) -> AccountId:
        """Tell where the mail of a user lies."""
        return AccountId(user)

    def user(self, account: AccountId) -> str:
        """Tell whose an account is."""
        return account

    def groups(self, user: str) -> Collection[str]:
        """Name no group."""
        del user
        return ()


class Seen(Protocol):
    """A session, as its log sees it."""

    name: str

    @property
    def user(self) -> str:
        """Who is logged in, ``""`` for nobody yet."""


class SessionLog(Protocol):
    """Hears how sessions begin and end, and what was refused."""

    def opened(self, session: Seen) -> None:
        """Hear of a new session."""

    def closed(self, session: Seen, reason: str) -> None:
        """Hear of its end."""

    def rejected(self, session: Seen, status: Status, line: bytes) -> None:
        """Hear of a command the core refused by itself."""

    def logged_in(self, session: Seen, user: str, mechanism: str) -> None:
        """Hear of a good log-in."""

    def login_refused(self, session: Seen, user: str, mechanism: str, reply: Reply) -> None:
        """Hear of a failed one."""

    def fault(self, session: Seen, error: BaseException) -> None:
        """Hear of an error of ours."""


class OpenSessions(Protocol):
    """Counts the sessions of each client over all processes."""

    def enter(self, client: str) -> bool:
        """Count one in; False when the client has too many."""

    def leave(self, client: str) -> None:
        """Count one out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What all IMAP sessions of one listener share.

    ``login`` begins an exchange: mechanism, the client's address, its TLS. ``soon`` calls a function in the next turn
    of the loop. ``clock`` gives POSIX seconds. ``turn`` is how many seconds a long answer is worked on before others
    have their turn; ``sharing`` is the store itself, where it knows whose mailboxes
    are open for whom. ``append_octets`` is what the messages of one APPEND may have together.
    """

    store: MailStore
    settings: Settings
    spawn: Callable[[Coroutine[Any, Any, None]], object]
    soon: Callable[[Callable[[], None]], object]
    clock: Callable[[], float]
    log: SessionLog
    login: Callable[[str, str, TlsFacts | None], Login] | None = None
    sharing: Sharing | None = None
    people: People = field(default_factory=SamePeople)
    tls: SSLContext | None = None
    open_sessions: OpenSessions | None = None
    identity: Mapping[str, str | None] = field(default_factory=lambda: {"name": "Penfold"})
    turn: float = 0.02
    append_octets: int = 256 << 20
