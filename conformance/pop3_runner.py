"""Runs POP3 transcripts over the server core, or over TCP against any server.

A transcript is a text file, one thing a line:

``# ...``             a comment; the first one names the section of the standard
``settings: k=v ...`` settings of the server (ServerSettings fields; lists with commas); ``tls=yes``; ``greeting=no``
``C: text``           the client sends the line; several in a row go out in one write
``C| text``           the client sends exactly this: Python escapes, no CRLF added
``S: +OK text``       the next line is ``+OK`` or ``-ERR``, with this response code if one is written in brackets (and
                      with none if none is), and contains this text; ``S: + text`` is a challenge, exactly
``M: row``            the next line of a multi-line answer is exactly this (``M: .`` its end)
``M+ WORD``           the multi-line answer read now up to its end (or just read so) has a row that is or begins with
                      this; ``M- WORD``: it has none
``E: text``           an event since the last E contains this in its repr (passed over where there are no events: TCP)
``TLS``               the handshake after STLS
``CLOSE``             the server has closed the connection, and said nothing more
``EOF``               the client closes its side
``T: 301``            (core only) so many seconds pass

The application behind the core knows these users, all with password ``<name>-demo``: alice; busy, whose maildrop is in
use; often, who comes again too soon; broken, whose maildrop cannot be read now; stuck, from whose maildrop nothing can
be removed. Message 3 needs UTF8. A transmitted message with ``refuse me`` in it is refused.
"""

import contextlib
import re
from pathlib import Path

from conformance.smtp_runner import TcpPeer, Transcript, _unescape, load

from penfold.protocols import sasl
from penfold.protocols.base import NEED_DATA, PAUSED
from penfold.protocols.pop3 import Language, Response, Server, ServerSettings, apop, events, responses

FOLDER = Path(__file__).parent / "pop3"
TIMESTAMP = "<1896.697170952@mx.example.test>"

MESSAGES = (
    b"From: ada@example.org\r\nSubject: one\r\n\r\nfirst\r\nsecond\r\nthird\r\n",
    b"Subject: dots\n\n.\n..\n.x\nlast",
    "Subject: Grüße\r\n\r\nbody\r\n".encode(),
    b"Subject: header only\r\n\r\n",
)
UIDS = ("whqtswO00WBw418f9t5JxYwZ", "QhdPYR:00WBw1Ph7x7", "a", "~" * 70)
_STEP = re.compile(r"(C:|C\||S:|M:|M\+|M-|E:|T:|TLS|CLOSE|EOF)(?: (.*))?$")
_REFUSED = {
    "busy": Response.no("Maildrop is locked by another session", "IN-USE"),
    "often": Response.no("Minimum time between log-ins not passed yet", "LOGIN-DELAY"),
    "broken": Response.no("Maildrop cannot be opened now", "SYS/TEMP"),
}
_USERS = frozenset({"alice", "stuck", "grüße", *_REFUSED})
LANGUAGES = {
    "en": Language("English"),
    "de": Language("Deutsch", {"Language changed": "Sprache gewechselt", "No such message": "Keine solche Nachricht"}),
}


def transcripts() -> list[Transcript]:
    return [load(path, _STEP) for path in sorted(FOLDER.glob("*.txt"))]


_BOOLEAN = {"yes": True, "no": False}
_OTHER = frozenset({"tls", "greeting"})
_READERS = {
    "mechanisms": lambda text: tuple(text.split(",")),
    "tls_mechanisms": lambda text: tuple(text.split(",")),
    "languages": lambda text: {tag: LANGUAGES[tag] for tag in text.split(",")},
    "implementation": str,
    "expire": lambda text: text if text == "NEVER" else int(text),
}


def server_settings(values: dict[str, str]) -> ServerSettings:
    def read(name: str, text: str):
        if name in _READERS:
            return _READERS[name](text)
        return _BOOLEAN[text] if text in _BOOLEAN else int(text)

    given = {name: read(name, text) for name, text in values.items() if name not in _OTHER}
    return ServerSettings(hostname="mx.example.test", **given)


class Application:
    """Answers the events of a core as the head of this file says."""

    def __init__(self, server: Server, messages: tuple[bytes, ...] = MESSAGES, step: int = 16) -> None:
        self.server = server
        self.seen: list[events.Event] = []
        self.messages = messages
        self.wire = b""
        self._step = step
        self._body = b""
        self._exchange = None

    def turn(self) -> None:
        while (event := self.server.next_event()) is not NEED_DATA:
            self._flush()
            if event is not PAUSED:
                self.seen.append(event)
                self._answer(event)
            elif not self.server.sending:
                return
        self._flush()

    def _flush(self) -> None:
        while octets := self.server.data_to_send():
            self.wire += octets

    def _answer(self, event: events.Event) -> None:
        server = self.server
        match event:
            case events.Login(user=user, password=password):
                self._log_in(user, known=password == f"{user}-demo")
            case events.Apop(user=user, digest=digest):
                self._log_in(user, known=apop.matches(server.timestamp, f"{user}-demo", digest))
            case events.Auth(mechanism=mechanism, initial=initial):
                self._exchange = sasl.start(mechanism, nonce="serverNonce0123456789")
                self._authenticate(initial)
            case events.AuthResponse(data=data) if data is not None:
                self._authenticate(data)
            case events.Sizes():
                server.sizes([len(canonical(message)) for message in self.messages])
            case events.UniqueIds():
                server.unique_ids([*UIDS, *map(str, range(10, 6 + len(self.messages)))][: len(self.messages)])
            case events.Retrieve(number=3) if not server.utf8 and self.messages is MESSAGES:
                server.answer(Response.no("This message has an internationalised header", "UTF8"))
            case events.Retrieve(number=1):
                server.send_message(self.messages[0])
            case events.Retrieve(number=number) | events.Top(number=number):
                self._send(self.messages[number - 1])
            case events.Chunk(data=data):
                self._body += data
            case events.MessageEnd(failure=None):
                refused, self._body = b"refuse me" in self._body, b""
                server.answer(Response.no("Refused") if refused else None)
            case events.Update(deleted=deleted) if deleted and server.user == "stuck":
                server.answer(responses.NOT_REMOVED)
            case events.StartTls() | events.Transmit() | events.Update():
                server.answer()

    def _send(self, message: bytes) -> None:
        self.server.begin_body()
        for start in range(0, len(message), self._step):
            if not self.server.send_body(message[start : start + self._step]):
                break
            self._flush()
        self.server.end_body()

    def _log_in(self, user: str, *, known: bool) -> None:
        if not known or user not in _USERS:
            self.server.answer(responses.AUTH_FAILED)
        elif user in _REFUSED:
            self.server.answer(_REFUSED[user])
        else:
            self.server.logged_in(user, len(self.messages), login_delay=60, expire=30)

    def _authenticate(self, response: bytes | None) -> None:
        assert self._exchange is not None
        step = self._exchange.step(response)
        if isinstance(step, sasl.NeedVerifier):
            step = self._exchange.verifier(_verifier(step.user))
        match step:
            case sasl.Challenge(data=data):
                self.server.auth_challenge(data)
            case sasl.Password(authcid=user, password=password):
                self._log_in(user, known=password == f"{user}-demo")
            case sasl.Granted(user=user):
                self._log_in(user, known=True)
            case _:
                self.server.answer(responses.AUTH_FAILED)


def canonical(message: bytes) -> bytes:
    """A message as it is sent: CRLF line ends, and one at its end."""
    text = re.sub(rb"\r\n|\r|\n", b"\r\n", message)
    return text if not text or text.endswith(b"\r\n") else text + b"\r\n"


def _verifier(user: str) -> sasl.Verifier:
    return (
        sasl.derive("alice-demo", b"salt of alice", 4096) if user == "alice" else sasl.fake_verifier(b"key", user, 4096)
    )


class CorePeer:
    """The core, driven in memory."""

    def __init__(self, transcript: Transcript) -> None:
        self.now = 0.0
        values = transcript.settings
        tls = "TLSv1.3" if values.get("tls") == "yes" else ""
        self.server = Server(server_settings(values), clock=lambda: self.now, tls=tls)
        self.application = Application(self.server)
        refused = values.get("greeting") == "no"
        self.server.greet(Response.no("Too busy", "SYS/TEMP") if refused else None, timestamp=TIMESTAMP)
        self.application.turn()

    def send(self, octets: bytes) -> None:
        self.server.receive_data(octets)
        self.application.turn()

    def receive(self) -> bytes:
        octets, self.application.wire = self.application.wire, b""
        return octets

    def start_tls(self) -> None:
        self.server.tls_started("TLSv1.3 TLS_AES_256_GCM_SHA384")
        self.application.turn()

    def end(self) -> None:
        self.server.receive_eof()
        self.application.turn()

    def closed(self) -> bool:
        return self.over() and not self.receive()

    def over(self) -> bool:
        return self.server.closed

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.server.on_time(self.now)
        self.application.turn()

    def events(self) -> list[str]:
        seen, self.application.seen = self.application.seen, []
        return [repr(event) for event in seen]


class Run:
    """Plays one transcript to a peer; an AssertionError names file and line."""

    def __init__(self, transcript: Transcript, peer: CorePeer | TcpPeer) -> None:
        self._transcript = transcript
        self._peer = peer
        self._received = b""
        self._rows: list[str] | None = None
        self._unsent = b""

    def play(self) -> None:
        for number, kind, text in self._transcript.steps:
            where = f"{self._transcript.name}.txt:{number}: {kind} {text}"
            if kind in {"C:", "C|"}:
                self._unsent += text.encode() + b"\r\n" if kind == "C:" else _unescape(text)
                continue
            self._flush()
            self._check(kind, text, where)
        self._flush()

    def _flush(self) -> None:
        if self._unsent:
            self._peer.send(self._unsent)
            self._unsent = b""

    def _check(self, kind: str, text: str, where: str) -> None:
        match kind:
            case "S:":
                self._rows = None
                _compare(self._line(where), text, where)
            case "M:":
                line = self._line(where)
                assert line == text, f"{where}\n  got {line}"
            case "M+" | "M-":
                rows = self._all_rows(where)
                there = any(row == text or row.startswith(text + " ") for row in rows)
                assert there == (kind == "M+"), f"{where}\n  got {rows}"
            case "E:":
                seen = self._peer.events()
                assert seen is None or any(text in event for event in seen), f"{where}\n  events {seen}"
            case "T:":
                self._peer.wait(float(text))
            case "TLS":
                self._peer.start_tls()
            case "EOF":
                self._peer.end()
            case "CLOSE":
                assert not self._received, where
                assert self._peer.closed(), where

    def _all_rows(self, where: str) -> list[str]:
        if self._rows is None:
            self._rows = []
            while (line := self._line(where)) != ".":
                self._rows.append(line)
        return self._rows

    def _line(self, where: str) -> str:
        while b"\r\n" not in self._received:
            octets = self._peer.receive()
            assert octets, f"{where}\n  nothing came but {self._received!r}"
            self._received += octets
        line, _, self._received = self._received.partition(b"\r\n")
        return line.decode()


_RESPONSE = re.compile(r"(\+OK|-ERR)(?: (?:\[([A-Z0-9/-]+)\] ?)?(.*))?\Z")


def _compare(line: str, wanted: str, where: str) -> None:
    if wanted.startswith("+ ") or wanted == "+":
        assert line.rstrip() == wanted, f"{where}\n  got {line}"
        return
    got, want = _RESPONSE.match(line), _RESPONSE.match(wanted)
    assert got, f"{where}\n  got {line}"
    assert want, where
    assert got.groups()[:2] == want.groups()[:2], f"{where}\n  got {line}"
    assert (want[3] or "") in (got[3] or ""), f"{where}\n  got {line}"


def run_over_core(transcript: Transcript) -> None:
    """Play a transcript to the server core."""
    Run(transcript, CorePeer(transcript)).play()


def run_over_tcp(transcript: Transcript, host: str, port: int) -> None:
    """Play a transcript to a server; the caller picks those whose settings and ``core_only`` fit it."""
    with contextlib.closing(TcpPeer(host, port)) as peer:
        Run(transcript, peer).play()
