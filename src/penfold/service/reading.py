"""Builds what people read their mail by: the store over the mailboxes as they lie, IMAP services and POP3 offices.

Trust: the configuration is checked before it comes here.
"""

import os
from collections.abc import Callable, Coroutine, Mapping
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
from penfold.store.change import AccountId
from penfold.store.files import FilesStore, Place
from penfold.telemetry.events import Recorder

CACHE: Final = "cache"  # below ``data``: what was found out about mailboxes; it may be lost
_NO_MAILDROP = Reply.of(550, "5.2.1", "This account has no mailbox here")
_FORMATS: Final[Mapping[str, Format]] = {each.value: each for each in Format}

Spawn = Callable[[Coroutine[Any, Any, None]], object]
LogIn = Callable[[str, str, TlsFacts | None], Login]


class Shelves:
    """Where the virtual accounts lie. An account is known to the store by its address."""

    def __init__(self, config: Config) -> None:
        self._directory = MemoryDirectory(values.accounts(config))
        self._names = [AccountId(account.id) for account in values.accounts(config)]

    def find(self, account: AccountId) -> Place | None:
        """Give the place of an account."""
        known = self._directory.account(account)
        if known is None or known.id != account or known.format not in _FORMATS:
            return None
        form = _FORMATS[known.format]
        if form in {Format.MBOX, Format.MMDF}:
            return Place(form, f"{known.path}.folders", known.path)
        return Place(form, known.path)

    def accounts(self) -> list[AccountId]:
        """Name all accounts."""
        return list(self._names)

    def holder(self, user: str) -> Holder | Reply:
        """Find whose maildrop a log-in is for."""
        known = self._directory.account(user)
        if known is None or known.format not in _FORMATS:
            return _NO_MAILDROP
        return Holder(account=AccountId(known.id), address=parse_address(known.id))


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
            login=self._login,
            sharing=self._store,
            tls=self._tls,
            open_sessions=self._open_sessions,
        )

    def pop3(self, listener: Listener) -> PostOffice:
        """Make a POP3 office."""
        return PostOffice(
            store=self._store,
            settings=pop3_settings(self._config, listener),
            holder=self._shelves.holder,
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
