"""What the sessions of a POP3 listener share, and the seams through which they meet the rest of the house."""

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from ssl import SSLContext
from typing import Any, NamedTuple, Protocol, TypeVar

import msgspec

from penfold.access.pop3.policy import Habits
from penfold.directory.authenticator import Authenticator, Granted, Refused
from penfold.intake.transaction import Transaction
from penfold.model import Address, Origin, Reply
from penfold.model.ids import base32
from penfold.model.soon import Soon
from penfold.net.link import Link
from penfold.net.tls import TlsFacts
from penfold.protocols.pop3 import Response, Server, ServerSettings
from penfold.protocols.pop3.settings import Expire
from penfold.store.base import MailStore
from penfold.store.change import AccountId

T = TypeVar("T")

FULL = b"-ERR [SYS/TEMP] Too many connections, try again later\r\n"
"""What a listener with no room for a client sends."""


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """Whose maildrop it is, as a log-in finds it.

    ``address`` is what XTND XMIT sends from and bulletins are addressed to. ``login_delay`` (seconds) and ``expire``
    (days) None: what the listener's settings say. ``shared_secret``: it can log in by APOP.
    """

    account: AccountId
    address: Address | None = None
    login_delay: int | None = None
    expire: Expire = None
    shared_secret: bool = False


@dataclass(slots=True)
class Counts:
    """What a session amounted to, for its one log line; ``held`` and ``left`` are messages before and after."""

    held: int = 0
    retrieved: int = 0
    tops: int = 0
    octets: int = 0
    transmitted: int = 0
    removed: int = 0
    left: int = 0
    refused: int = 0


class Session(Protocol):
    """A session, as its log and the parts of its conversation see it."""

    office: "PostOffice"
    name: str
    user: str
    counts: Counts
    core: Server
    link: Link
    draining: bool
    unsent: int
    """Octets of messages that the core was given and the link was not."""

    def origin(self) -> Origin:
        """Tell where the session comes from, as far as it is known now."""

    def answer(self, response: Response | None = None) -> None:
        """Answer the pending event."""

    def wait(self, waiting: Awaitable[T], then: Callable[[T | None], None]) -> None:
        """Owe the client an answer until ``waiting`` is there; an error of ours reaches ``then`` as None."""


class Login(Protocol):
    """A log-in under way, as a SASL exchange."""

    mechanism: str
    user: str

    async def step(self, data: bytes | None) -> bytes | Reply:
        """Take what the client said; gives a challenge, or how it ended (235, 4yz, 5yz)."""


class Apop(Protocol):
    """Judges APOP: user name as claimed, the greeting's timestamp, the digest, the client's address."""

    async def apop(self, user: str, timestamp: str, digest: str, client: str) -> Granted | Refused:
        """Judge. Never raises for what a client sent."""


class Locks(Protocol):
    """Keeps POP3 sessions of one account apart, and nobody else."""

    def take(self, account: AccountId) -> bool:
        """Take the account's lock; False when another session has it."""

    def release(self, account: AccountId) -> None:
        """Give it back."""


class Bulletin(NamedTuple):
    """A message for everybody: ``content`` in wire form, ``number`` greater than that of any before it."""

    number: int
    content: bytes


class Bulletins(Protocol):
    """Messages that every account gets once."""

    async def after(self, number: int | None) -> Sequence[Bulletin]:
        """Give those after ``number``, in order; None is an account that never got any."""


class SessionLog(Protocol):
    """Hears how sessions begin and end, and what their protocol cores refused."""

    def opened(self, session: Session) -> None:
        """Hear of a new session."""

    def closed(self, session: Session, reason: str) -> None:
        """Hear of its end."""

    def rejected(self, session: Session, response: Response, line: bytes) -> None:
        """Hear of a command the core refused by itself."""

    def logged_in(self, session: Session, user: str, mechanism: str) -> None:
        """Hear of a good log-in."""

    def login_refused(self, session: Session, user: str, mechanism: str, response: Response) -> None:
        """Hear of a failed one."""

    def fault(self, session: Session, error: BaseException) -> None:
        """Hear of an error of ours."""


class OpenSessions(Protocol):
    """Counts the sessions of each client over all processes."""

    def enter(self, client: str) -> bool:
        """Count one in; False when the client has too many."""

    def leave(self, client: str) -> None:
        """Count one out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostOffice:
    """What all sessions of one listener share.

    ``settings`` are for clients anywhere, ``local_settings`` for those of this machine (see ``policy.offered``).
    ``holder`` finds a maildrop by what a log-in granted: a Reply refuses it. ``login`` begins a SASL exchange by
    mechanism, client and TLS. ``submission`` opens a transaction at intake's door for XTND XMIT. ``clock`` gives POSIX
    seconds, ``timestamp`` a new one for each greeting (``timestamps``), where there is APOP.
    """

    store: MailStore
    settings: ServerSettings
    holder: Callable[[str], Soon[Holder | Reply]]
    authenticator: Authenticator
    locks: Locks
    spawn: Callable[[Coroutine[Any, Any, None]], object]
    log: SessionLog
    clock: Callable[[], float]
    local_settings: ServerSettings | None = None
    habits: Habits = field(default_factory=Habits)
    login: Callable[[str, str, TlsFacts | None], Login] | None = None
    apop: Apop | None = None
    timestamp: Callable[[], str] = str
    bulletins: Bulletins | None = None
    submission: Callable[[Origin], Transaction] | None = None
    tls: SSLContext | None = None
    open_sessions: OpenSessions | None = None
    role: str = "pop3"


def timestamps(hostname: str, clock: Callable[[], float], random: Callable[[int], bytes]) -> Callable[[], str]:
    """Make what gives timestamps: message-ids, random, so that none is used twice (RFC 1939 §7)."""

    def timestamp() -> str:
        return f"<{base32(int.from_bytes(random(10), 'big'), 16)}.{int(clock())}@{hostname}>"

    return timestamp
