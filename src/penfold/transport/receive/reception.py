"""What the sessions of a listener share, and the seams through which they meet the rest of the house."""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from ssl import SSLContext
from typing import Any, Protocol, TypeVar

from penfold.guard.base import Facts
from penfold.guard.relay import Networks
from penfold.intake.transaction import Door, Rewrite
from penfold.model import Origin, Reply
from penfold.model.soon import Soon
from penfold.net.link import Link
from penfold.net.tls import TlsFacts
from penfold.protocols.smtp.server import Server
from penfold.protocols.smtp.settings import ServerSettings

T = TypeVar("T")


@dataclass(slots=True)
class Counts:
    """What a session amounted to, for its one log line."""

    messages: int = 0
    recipients: int = 0
    refused: int = 0
    octets: int = 0


class Session(Protocol):
    """A session, as its log and the parts of its conversation see it."""

    reception: "Reception"
    name: str
    user: str
    counts: Counts
    facts: Facts
    core: Server
    link: Link
    draining: bool

    def origin(self) -> Origin:
        """Tell where the session comes from, as far as it is known now."""

    def new_facts(self) -> Facts:
        """Make the facts of a new transaction."""

    def answer(self, reply: Soon[Reply], then: Callable[[Reply], None] | None = None) -> None:
        """Answer the pending command, now or when the answer is there; tell ``then`` what it was."""

    def wait(self, waiting: Awaitable[T], then: Callable[[T | Reply], None]) -> None:
        """Owe the client an answer until ``waiting`` is there; an error of ours reaches ``then`` as a 451."""


class Login(Protocol):
    """A log-in under way, as a SASL exchange."""

    mechanism: str
    user: str

    async def step(self, data: bytes | None) -> bytes | Reply:
        """Take what the client said; gives a challenge, or how it ended (235, 4yz, 5yz)."""


class SessionLog(Protocol):
    """Hears how sessions begin and end, and what their protocol cores refused."""

    def opened(self, session: "Session") -> None:
        """Hear of a new session."""

    def closed(self, session: "Session", reason: str) -> None:
        """Hear of its end."""

    def rejected(self, session: "Session", reply: Reply, line: bytes) -> None:
        """Hear of a command the core refused by itself."""

    def logged_in(self, session: "Session", user: str, mechanism: str) -> None:
        """Hear of a good log-in."""

    def login_refused(self, session: "Session", user: str, mechanism: str, reply: Reply) -> None:
        """Hear of a failed one."""

    def fault(self, session: "Session", error: BaseException) -> None:
        """Hear of an error of ours."""


class OpenSessions(Protocol):
    """Counts the sessions of each client over all processes."""

    def enter(self, client: str) -> bool:
        """Count one in; False when the client has too many."""

    def leave(self, client: str) -> None:
        """Count one out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reception:
    """What all sessions of one listener share."""

    door: Door
    settings: ServerSettings
    role: str
    spawn: Callable[[Coroutine[Any, Any, None]], object]
    log: SessionLog
    networks: Networks
    trusted_xclient: Networks
    tls: SSLContext | None = None
    login: Callable[[str, str, TlsFacts | None], Login] | None = None  # mechanism, client, TLS
    rewrite: Rewrite | None = None
    open_sessions: OpenSessions | None = None
    session_seconds: float = 7200.0
    session_messages: int = 1000
    user_of: Callable[[int], str] | None = None  # uid of a Unix socket's peer -> login name
