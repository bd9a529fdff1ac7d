"""Builds what people read their mail by: the store over the mailboxes as they lie, IMAP services and POP3 offices.

Trust: the configuration is checked before it comes here.
"""

import os
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from ssl import SSLContext
from typing import Any, Final

from penfold.access.imap.commands import CAPABILITIES
from penfold.access.imap.service import Service
from penfold.access.pop3.journal import Journal as Pop3Journal
from penfold.access.pop3.lock import MemoryLocks
from penfold.access.pop3.office import Holder, Locks, Login, OpenSessions, PostOffice
from penfold.access.pop3.policy import ClearText, Habits, offered
from penfold.config.sections import Config, Listener
from penfold.directory.authenticator import Authenticator
from penfold.directory.memory import MemoryDirectory
from penfold.formats.detect import Format
from penfold.fs.base import FileSystem
from penfold.message.summary import summary
from penfold.model import Reply, parse_address
from penfold.net.tls import TlsFacts
from penfold.protocols.imap.settings import Settings as ImapSettings
from penfold.protocols.pop3 import ServerSettings as Pop3Settings
from penfold.service import values
from penfold.service.imap_journal import ImapJournal
from penfold.store.change import AccountId, CreateAccount
from penfold.store.files import FilesStore, Place
from penfold.store.result import Refused
from penfold.telemetry.events import Recorder

CACHE: Final = "cache"  # below ``data``: what was found out about mailboxes; it may be lost
_NO_MAILDROP = Reply.of(550, "5.2.1", "This account has no mailbox here")
# Files that must be locked are not served yet: whoever waits for a lock would hold up all sessions of the process.
_FORMATS: Final[Mapping[str, Format]] = {"maildir": Format.MAILDIR}

Spawn = Callable[[Coroutine[Any, Any, None]], object]
LogIn = Callable[[str, str, TlsFacts | None], Login]


class Shelves:
    """Where the virtual accounts lie. An account is known to the store by its address."""

    def __init__(self, config: Config) -> None:
        accounts = values.accounts(config)
        self._directory = MemoryDirectory(accounts)
        self._names = [AccountId(account.id) for account in accounts]

    def find(self, account: AccountId) -> Place | None:
        """Give the place of an account."""
        known = self._directory.account(account)
        if known is None or known.id != account or known.format not in _FORMATS:
            return None
        return Place(_FORMATS[known.format], known.path)

    def accounts(self) -> list[AccountId]:
        """Name all accounts."""
        return list(self._names)

    def owned_by(self, user: str) -> AccountId | None:
        """Find the account of a user who logged in; None where it has no mailbox that can be served."""
        known = self._directory.account(user)
        return AccountId(known.id) if known is not None and known.format in _FORMATS else None


def store(config: Config, shelves: Shelves, fs: FileSystem, clock: Callable[[], float]) -> FilesStore:
    """Open the mailboxes as they lie."""
    return FilesStore(
        fs,
        shelves,
        f"{config.data}/{CACHE}",
        host=config.hostname,
        clock=clock,
        random=os.urandom,
        summarise=summary,
    )


class Welcome:
    """A log-in after which the account has an INBOX, though no mail may have come yet (RFC 9051 §5.1).

    ``find`` gives the holder of the mailboxes, or why there is none.
    """

    def __init__(self, login: Login, find: Callable[[str], Awaitable[Holder | Reply]]) -> None:
        self._login = login
        self._find = find
        self.mechanism = login.mechanism
        self.user = ""

    async def step(self, data: bytes | None) -> bytes | Reply:
        """Take what the client said."""
        answer = await self._login.step(data)
        self.user = self._login.user
        if isinstance(answer, Reply) and answer.positive:
            found = await self._find(self.user)
            return found if isinstance(found, Reply) else answer
        return answer


class Reading:
    """What all listeners have in common; ``imap`` and ``pop3`` make what the sessions of one share."""

    def __init__(
        self,
        config: Config,
        mailboxes: FilesStore,
        shelves: Shelves,
        *,
        spawn: Spawn,
        soon: Callable[[Callable[[], None]], object],
        recorder: Recorder,
        clock: Callable[[], float],
        authenticator: Authenticator,
        login: LogIn,
        tls: SSLContext | None,
        open_sessions: OpenSessions,
    ) -> None:
        self._config = config
        self._store = mailboxes
        self._shelves = shelves
        self._spawn = spawn
        self._soon = soon
        self._clock = clock
        self._authenticator = authenticator
        self._login = login
        self._tls = tls
        self._open_sessions = open_sessions
        self._locks: Locks = MemoryLocks()
        self._imap_log = ImapJournal(recorder, clock)
        self._pop3_log = Pop3Journal(recorder, clock)

    def imap(self, listener: Listener) -> Service:
        """Make an IMAP service."""
        return Service(
            store=self._store,
            settings=imap_settings(self._config, listener),
            spawn=self._spawn,
            soon=self._soon,
            clock=self._clock,
            log=self._imap_log,
            login=lambda mechanism, client, tls: Welcome(self._login(mechanism, client, tls), self._holder),
            sharing=self._store,
            tls=self._tls,
            open_sessions=self._open_sessions,
        )

    def pop3(self, listener: Listener) -> PostOffice:
        """Make a POP3 office."""
        return PostOffice(
            store=self._store,
            settings=pop3_settings(self._config, listener),
            holder=self._holder,
            authenticator=self._authenticator,
            locks=self._locks,
            spawn=self._spawn,
            log=self._pop3_log,
            clock=self._clock,
            habits=Habits(clear_text=_clear_text(listener)),
            login=self._login,
            tls=self._tls,
            open_sessions=self._open_sessions,
            role=listener.role,
        )

    async def _holder(self, user: str) -> Holder | Reply:
        """Find whose mailboxes a log-in is for, and make the INBOX of one who never got mail."""
        account = self._shelves.owned_by(user)
        if account is None:
            return _NO_MAILDROP
        if isinstance(await self._store.tree(account), Refused):
            await self._store.apply([CreateAccount(account)])
        return Holder(account=account, address=parse_address(account))


def imap_settings(config: Config, listener: Listener) -> ImapSettings:
    """Give the protocol core of an IMAP listener its settings."""
    mechanisms = config.auth.mechanisms
    return ImapSettings(
        hostname=config.hostname,
        capabilities=tuple(CAPABILITIES),
        starttls=listener.tls == "starttls",
        clear_login=listener.auth_without_tls,
        mechanisms=mechanisms if listener.auth_without_tls else (),
        tls_mechanisms=mechanisms,
        max_append=config.limits.message_size,
    )


def pop3_settings(config: Config, listener: Listener) -> Pop3Settings:
    """Give the protocol core of a POP3 listener its settings."""
    said = Pop3Settings(
        hostname=config.hostname,
        starttls=listener.tls == "starttls",
        tls_mechanisms=config.auth.mechanisms,
        max_size=config.limits.message_size,
    )
    return offered(said, _clear_text(listener))


def _clear_text(listener: Listener) -> ClearText:
    return ClearText.ALWAYS if listener.auth_without_tls else ClearText.TLS
