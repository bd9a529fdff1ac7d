"""The client core of POP3: commands in, octets out; octets in, responses, listings and messages out.

Where the server offers PIPELINING, commands go out together and are answered in order. The core serves asyncio and
blocking callers alike: call ``next_event`` until NEED_DATA, write ``data_to_send``, read.

Standards: RFC 1939; RFC 2449; RFC 2595 §4; RFC 5034; RFC 6856 §2
Trust: the server's responses are a stranger's; what we send is checked here: no argument can carry a second command.
"""

import binascii
import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from penfold.model import LocalProtocolError, RemoteProtocolError
from penfold.protocols.pop3 import apop, steps
from penfold.protocols.pop3.connection import ClientSettings, Connection
from penfold.protocols.pop3.responses import Response

_MAX_COMMAND = 255  # octets with CRLF, RFC 2449 §4
_STAT = re.compile(r"([0-9]{1,10})[ \t]+([0-9]{1,18})(?:[ \t]|\Z)")
_ROW = re.compile(r"([0-9]{1,10})[ \t]+(\S{1,255})")


class Client(Connection):
    """One connection to a server. To look at: ``capabilities``, ``timestamp``, ``tls``, ``idle``, ``closed``."""

    __slots__ = ("_initial", "_password", "timestamp")

    def __init__(self, settings: ClientSettings, *, clock: Callable[[], float], tls: bool = False) -> None:
        super().__init__(settings, clock=clock, tls=tls)
        self.timestamp = ""
        self._password: str | None = None
        self._initial: bytes | None = None

    # What the caller says.

    @property
    def mechanisms(self) -> list[str]:
        """The SASL mechanisms the server offers."""
        return self.capabilities.get("SASL", "").upper().split()

    def ask_capabilities(self) -> None:
        """Send CAPA, as is done at the beginning: after log-in the answer may be another. Capabilities follows."""
        self._command("CAPA", "capa")

    def starttls(self) -> None:
        """Ask for TLS; a TlsReply follows."""
        self._must_be_idle()
        self._command("STLS", "stls")

    def tls_started(self) -> None:
        """Begin anew under TLS."""
        self._must_be_idle()
        self.tls = True
        self._reader.clear()
        self.capabilities = {}
        self.ask_capabilities()

    def utf8(self) -> None:
        """Take messages with UTF-8 headers; before log-in, after TLS. Utf8Reply follows."""
        self._must_be_idle()
        self._command("UTF8", "utf8")

    def login(self, user: str, password: str) -> None:
        """Log in by USER and PASS; wait for the LoginReply. SECURITY: without TLS all on the way read the password."""
        self._must_be_idle()
        self._check(password)
        self._password = password
        self._command(f"USER {user}", "user")

    def apop(self, user: str, secret: str) -> None:
        """Log in by APOP; LoginReply follows. Raises LocalProtocolError if the server gave no ``timestamp``."""
        self._must_be_idle()
        if not self.timestamp:
            raise LocalProtocolError("the server gave no timestamp")
        self._command(f"APOP {user} {apop.digest(self.timestamp, secret)}", "login")

    def authenticate(self, mechanism: str, initial: bytes | None = None) -> None:
        """Begin an authentication; AuthChallenge or LoginReply follows. Mind the mechanism's rules for clear text."""
        self._must_be_idle()
        line = f"AUTH {mechanism}"
        if initial is None:
            self._command(line, "auth")
            return
        whole = f"{line} {b64encode(initial).decode() or '='}"
        if len(whole) <= _MAX_COMMAND - 2:
            self._command(whole, "auth")
        else:
            # RFC 5034 §4: what does not fit into the command answers the first challenge, which is empty.
            self._initial = initial
            self._command(line, "auth")

    def auth_respond(self, response: bytes) -> None:
        """Answer an AuthChallenge."""
        self._command(b64encode(response).decode(), "auth")

    def auth_cancel(self) -> None:
        """Break an authentication off; a LoginReply follows."""
        self._command("*", "auth")

    def stat(self) -> None:
        """Ask for number and octets of the messages; StatReply follows."""
        self._command("STAT", "stat")

    def sizes(self, number: int = 0) -> None:
        """Ask for the size of a message, or of all; SizeRows and a ListingEnd follow."""
        self._command(f"LIST {number}" if number else "LIST", "size" if number else "sizes")

    def unique_ids(self, number: int = 0) -> None:
        """Ask for the unique-id of a message, or of all; UidRows and a ListingEnd follow."""
        self._command(f"UIDL {number}" if number else "UIDL", "uid" if number else "uids")

    def retrieve(self, number: int) -> None:
        """Ask for a message; MessageReply, Chunks and MessageEnd follow."""
        self._command(f"RETR {number}", "message", number)

    def top(self, number: int, lines: int) -> None:
        """Ask for header and first lines of a message; events as for ``retrieve``."""
        self._command(f"TOP {number} {lines}", "message", number)

    def delete(self, number: int) -> None:
        """Mark a message deleted, to be removed at ``quit``; DeleteReply follows."""
        self._command(f"DELE {number}", "delete", number)

    def reset(self) -> None:
        """Take all marks of deletion back; ResetReply follows."""
        self._command("RSET", "reset")

    def noop(self) -> None:
        """Keep the connection alive; ResetReply follows."""
        self._command("NOOP", "reset")

    def quit(self) -> None:
        """End the session and have what is marked removed; Closed follows, with the server's answer to that."""
        self._command("QUIT", "quit")

    def abort(self, reason: str = "broken off") -> None:
        """Give the connection up without another word: nothing is removed."""
        self._fail(None, reason)

    # Responses, by the step that expects them.

    def _greeting(self, response: Response, _number: int) -> None:
        self.timestamp = apop.timestamp_of(response.text) if response.ok else ""
        self._events.append(steps.Greeting(response, self.timestamp))
        if response.ok:
            self.ask_capabilities()
        else:
            self._fail(response, "refused")

    def _stls(self, response: Response, _number: int) -> None:
        if response.ok and self._reader.buffered:
            # SECURITY: responses that came with the +OK were not sent by whoever holds the certificate.
            self._fail(None, "input after STLS")
            return
        self._events.append(steps.TlsReply(response))

    def _user(self, response: Response, _number: int) -> None:
        password, self._password = self._password, None
        if response.ok and password is not None:
            self._command(f"PASS {password}", "login")
        else:
            self._events.append(steps.LoginReply(response))

    def _login(self, response: Response, _number: int) -> None:
        self._initial = None
        self._events.append(steps.LoginReply(response))

    def _challenged(self, text: str) -> None:
        initial, self._initial = self._initial, None
        if initial is not None and not text:
            self.auth_respond(initial)
            return
        try:
            self._events.append(steps.AuthChallenge(binascii.a2b_base64(text, strict_mode=True)))
        except ValueError:
            self._events.append(steps.AuthChallenge(None))

    def _utf8(self, response: Response, _number: int) -> None:
        self._events.append(steps.Utf8Reply(response))

    def _stat(self, response: Response, _number: int) -> None:
        match = _STAT.match(response.text) if response.ok else None
        if response.ok and match is None:
            raise RemoteProtocolError("the answer to STAT cannot be read")
        messages, octets = (int(match[1]), int(match[2])) if match else (0, 0)
        self._events.append(steps.StatReply(response, messages, octets))

    def _size(self, response: Response, _number: int) -> None:
        if response.ok:
            number, size = _one_row(response)
            if not (size.isascii() and size.isdigit() and len(size) < 19):
                raise RemoteProtocolError("a row of a listing cannot be read")
            self._events.append(steps.SizeRows([(number, int(size))]))
        self._events.append(steps.ListingEnd(response))

    def _uid(self, response: Response, _number: int) -> None:
        if response.ok:
            self._events.append(steps.UidRows([_one_row(response)]))
        self._events.append(steps.ListingEnd(response))

    def _message(self, response: Response, number: int) -> None:
        self._events.append(steps.MessageReply(number, response))

    def _deleted(self, response: Response, number: int) -> None:
        self._events.append(steps.DeleteReply(number, response))

    def _reset(self, response: Response, _number: int) -> None:
        self._events.append(steps.ResetReply(response))

    def _quit(self, response: Response, _number: int) -> None:
        self._fail(response, "quit")

    def _capa_refused(self, response: Response, _number: int) -> None:
        if not response.ok:
            self._events.append(steps.Capabilities(response, {}))

    def _listing_refused(self, response: Response, _number: int) -> None:
        if not response.ok:
            self._events.append(steps.ListingEnd(response))

    # Bodies of multi-line answers, by the step that expects them, and their ends.

    def _capa_body(self, chunk: bytes, _number: int) -> None:
        self._texts += self._rows.texts(chunk)

    def _capa_end(self, _number: int) -> None:
        self.capabilities = {}
        for text in self._texts:
            keyword, _, parameters = text.strip().partition(" ")
            self.capabilities.setdefault(keyword.upper(), parameters.strip())
        self._events.append(steps.Capabilities(self._response, self.capabilities))

    def _sizes_body(self, chunk: bytes, _number: int) -> None:
        rows = self._rows.sizes(chunk)
        if rows:
            self._events.append(steps.SizeRows(rows))

    def _uids_body(self, chunk: bytes, _number: int) -> None:
        rows = self._rows.uids(chunk)
        if rows:
            self._events.append(steps.UidRows(rows))

    def _listing_end(self, _number: int) -> None:
        self._events.append(steps.ListingEnd(self._response))

    def _message_body(self, chunk: bytes, _number: int) -> None:
        self._octets += len(chunk)
        if not 0 < self._settings.max_size < self._octets:
            self._events.append(steps.Chunk(chunk))

    def _message_end(self, number: int) -> None:
        too_big = 0 < self._settings.max_size < self._octets
        self._events.append(steps.MessageEnd(number, self._octets, too_big))

    _responses: ClassVar[Mapping[str, Callable[[Any, Response, int], None]]] = {
        "greeting": _greeting,
        "capa": _capa_refused,
        "stls": _stls,
        "utf8": _utf8,
        "user": _user,
        "login": _login,
        "auth": _login,
        "stat": _stat,
        "size": _size,
        "sizes": _listing_refused,
        "uid": _uid,
        "uids": _listing_refused,
        "message": _message,
        "delete": _deleted,
        "reset": _reset,
        "quit": _quit,
    }

    _bodies: ClassVar[Mapping[str, Callable[[Any, bytes, int], None]]] = {
        "capa": _capa_body,
        "sizes": _sizes_body,
        "uids": _uids_body,
        "message": _message_body,
    }

    _ends: ClassVar[Mapping[str, Callable[[Any, int], None]]] = {
        "capa": _capa_end,
        "sizes": _listing_end,
        "uids": _listing_end,
        "message": _message_end,
    }


def _one_row(response: Response) -> tuple[int, str]:
    match = _ROW.match(response.text)
    if match is None:
        raise RemoteProtocolError("a row of a listing cannot be read")
    return int(match[1]), match[2]
