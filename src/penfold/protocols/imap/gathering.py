"""Commands out of octets: a line, its literals, the lines after them, until one command is whole.

What is refused is refused as early as it can be: a literal that is too large before it is read. A client that waits for
our word gets the refusal instead; one that does not (LITERAL+) has what it sends read and dropped, to a limit, so that
nothing of it is ever taken for a command.

Standards: RFC 9051 §2.2.1, §4.3; RFC 7888 §3-§5
Trust: the client's; a command's memory is bounded, before log-in tightly.
"""

import re
from collections.abc import Callable

from penfold.protocols.base import NEED_DATA, NoEvent
from penfold.protocols.imap import status
from penfold.protocols.imap.announcements import LONGEST, Announcement, announced
from penfold.protocols.imap.conversation import Conversation, Phase
from penfold.protocols.imap.events import Event
from penfold.protocols.imap.settings import Settings
from penfold.protocols.imap.status import Status
from penfold.protocols.imap.verbs import VERBS, State, Verb

_HEAD = re.compile(rb'([^\x00-\x20\x7f-\xff(){%*"\\+]+) ((?:UID )?[^\x00-\x20\x7f-\xff(){%*"\\]+)', re.IGNORECASE)
_TAG = re.compile(rb'([^\x00-\x20\x7f-\xff(){%*"\\+]+)(?: |\Z)')
_HTTP = re.compile(rb"[A-Z]+ \S+ HTTP/[0-9.]+\Z")
_SMALL = 4096  # octets of a non-synchronising literal under LITERAL-
_GO_ON = b"+ OK\r\n"


class Gathering(Conversation):
    """A conversation that reads commands."""

    __slots__ = ("_command", "_commands", "_left", "_line_end", "_name", "_own", "_refusing", "_swallowed", "_verb")

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        super().__init__(settings, clock)
        self._command = bytearray()
        self._commands = 0
        self._left = 0
        self._line_end = b""
        self._name = b""
        self._own = False  # the refusal at hand is the application's own
        self._refusing: Status = status.UNKNOWN_COMMAND
        self._swallowed = 0
        self._verb = VERBS[b"NOOP"]

    # Limits.

    @property
    def _before_login(self) -> bool:
        return self.state is State.NOT_AUTHENTICATED

    @property
    def _line_limit(self) -> int:
        settings = self._settings
        return settings.max_command_before_login if self._before_login else settings.max_line

    def _too_much(self, announcement: Announcement) -> Status | None:
        """Say why a literal of a command's arguments is not read."""
        settings = self._settings
        whole = settings.max_command_before_login if self._before_login else settings.max_command
        single = settings.max_command_before_login if self._before_login else settings.max_literal
        size = announcement.size
        if 0 < single < size or 0 < whole < len(self._command) + size:
            return status.LITERAL_TOO_LONG
        return self._synchronisation(announcement)

    def _synchronisation(self, announcement: Announcement) -> Status | None:
        """Say why a literal may not come unasked: under LITERAL- it is small."""
        if announcement.synchronising or announcement.size <= _SMALL or self._settings.offers("LITERAL+"):
            return None
        return status.NON_SYNCHRONISING

    # The first line.

    def _read_command(self) -> Event | NoEvent | None:
        line = self._line(self._line_limit)
        if line is None:
            return self._no_line()
        self._touch()
        self._command.clear()
        self._swallowed = 0
        self._own = False
        head = _HEAD.match(line)
        if head is None:
            self._headless(line)
            return None
        self._tag, self._name = head[1], head[2].upper()
        verb = VERBS.get(self._name)
        refusal = self._refusal(verb)
        if verb is None and self._before_login and _HTTP.match(line):
            # SECURITY: a web page can make a browser send us a request whose body looks like commands.
            self._close(status.NOT_HTTP, "not IMAP")
            return None
        if refusal is not None or verb is None:
            self._refuse(refusal or status.UNKNOWN_COMMAND, announced(line), line)
            return None
        self._verb = verb
        if verb.parse is None:
            return self._begin_append(line[head.end() :])
        return self._arguments(line[head.end() :], line)

    def _headless(self, line: bytes) -> None:
        tag = _TAG.match(line)
        self._tag, self._name = tag[1] if tag is not None else b"*", b""
        self._refuse(status.UNKNOWN_COMMAND if tag is not None else status.BAD_TAG, announced(line), line)

    def _refusal(self, verb: Verb | None) -> Status | None:
        """Say why a command may not come now."""
        settings = self._settings
        if self._before_login:
            self._commands += 1
            if 0 < settings.max_commands_before_login < self._commands:
                self._close(status.TOO_MANY_COMMANDS, "too many commands")
                return status.TOO_MANY_COMMANDS
        if verb is None or (verb.needs and not settings.offers(*verb.needs)):
            return status.UNKNOWN_COMMAND
        if self.state in verb.states:
            return None
        if self.state is State.NOT_AUTHENTICATED:
            return status.NEED_LOGIN
        if State.SELECTED in verb.states:
            return status.NEED_MAILBOX
        return status.NEED_NO_MAILBOX if State.AUTHENTICATED in verb.states else status.NEED_NO_LOGIN

    # The rest of it.

    def _read_arguments(self) -> Event | NoEvent | None:
        line = self._line(self._line_limit)
        if line is None:
            return self._no_line()
        return self._arguments(line)

    def _arguments(self, text: bytes, line: bytes = b"") -> Event | None:
        announcement = announced(text)
        self._command += text
        if announcement is None:
            return self._run(bytes(self._command))
        refusal = self._too_much(announcement)
        if refusal is not None:
            self._refuse(refusal, announcement, line)
            return None
        self._command += b"\r\n"
        self._await_literal(announcement, Phase.LITERAL)
        return None

    def _await_literal(self, announcement: Announcement, phase: Phase) -> None:
        if announcement.synchronising:
            self._out.append(_GO_ON)
        self._left = announcement.size
        self._phase = phase

    def _read_literal(self) -> NoEvent | None:
        taken = min(self._left, len(self._buffer))
        self._command += self._take(taken)
        self._left -= taken
        if self._left:
            return NEED_DATA
        self._literal_read()
        return None

    def _literal_read(self) -> None:
        self._phase = Phase.ARGUMENTS

    # Refusing.

    def _refuse(self, refusal: Status, announcement: Announcement | None, line: bytes = b"") -> None:
        """Refuse the command at hand, after all of it that comes unasked was read and dropped."""
        if self.closed:
            return
        if announcement is None or announcement.synchronising:
            self._phase = Phase.COMMAND
            self._command.clear()
            if self._own:
                self._send(refusal)
            else:
                self._reject(refusal, line or self._tag + b" " + self._name)
            return
        settings = self._settings
        self._swallowed += announcement.size
        limit = settings.max_swallow_before_login if self._before_login else settings.max_swallow
        if 0 < limit < self._swallowed:
            # RFC 7888 §4: what comes unasked and is too much ends the connection before it is read.
            self._close(status.TOO_LARGE_TO_READ, "literal too large")
            return
        self._refusing = refusal
        self._left = announcement.size
        self._phase = Phase.SWALLOW

    def _no_line(self) -> NoEvent | None:
        """Say what a phase says when there is no line: it is not there yet, or it is too long and is skipped."""
        limit = self._line_limit
        if not self._overlong(limit):
            return NEED_DATA
        if self._phase is Phase.COMMAND:
            tag = _TAG.match(self._buffer[:limit])
            self._tag, self._name = tag[1] if tag is not None else b"*", b""
            self._swallowed, self._own = 0, False
        self._skip(status.LINE_TOO_LONG)
        return None

    def _skip(self, refusal: Status) -> None:
        self._refusing = refusal
        self._line_end = b""
        self._phase = Phase.SKIP

    def _read_swallow(self) -> NoEvent | None:
        taken = min(self._left, len(self._buffer))
        del self._buffer[:taken]
        self._left -= taken
        if self._left:
            return NEED_DATA
        self._skip(self._refusing)
        return None

    def _read_skip(self) -> NoEvent | None:
        """Drop the rest of a line, but for its end: it may announce a literal, which then is dropped, too."""
        end = self._buffer.find(b"\n")
        count = end + 1 if end >= 0 else len(self._buffer)
        self._line_end = (self._line_end + self._buffer[max(count - LONGEST, 0) : count])[-LONGEST:]
        del self._buffer[:count]
        self._swallowed += count
        settings = self._settings
        limit = settings.max_swallow_before_login if self._before_login else settings.max_swallow
        if 0 < limit < self._swallowed:
            self._close(status.TOO_LONG_TO_READ, "line too long")
            return None
        if end < 0:
            return NEED_DATA
        self._refuse(self._refusing, announced(bytes(self._line_end.rstrip(b"\r\n"))))
        return None

    # For the subclass.

    def _run(self, command: bytes) -> Event | None:
        raise NotImplementedError

    def _begin_append(self, text: bytes) -> Event | None:
        raise NotImplementedError
