"""Runs SMTP transcripts over the server core, or over TCP against any server.

A transcript is a text file, one thing a line:

``# ...``             a comment; the first one names the section of the standard
``settings: k=v ...`` settings of the server (ServerSettings fields; lists with commas); ``xclient=yes``, ``tls=yes``,
                      ``greeting=554``
``C: text``           the client sends the line; several in a row go out in one write
``C| text``           the client sends exactly this: Python escapes, no CRLF added
``S: 250 2.1.5 text`` the next reply (all its lines) has this code, this enhanced status, and contains this text; the
                      last two may be missing
``S+ WORD``           the reply just read has a line that is or begins with this; ``S- WORD``: it has none
``E: text``           an event since the last E contains this in its repr (passed over where there are no events: TCP)
``TLS``               the handshake after STARTTLS
``CLOSE``             the server has closed the connection
``EOF``               the client closes its side
``T: 301``            (core only) so many seconds pass

The application behind the core accepts everything, but: local parts beginning with ``unknown`` get 550 5.1.1, with
``later`` 451 4.3.0; bodies containing ``refuse me`` get 554 5.7.1; the one user is alice with password alice-demo.
"""

import contextlib
import re
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from penfold.model import Reply
from penfold.protocols import sasl
from penfold.protocols.base import NEED_DATA, PAUSED
from penfold.protocols.smtp import BareEnds, Role, Server, ServerSettings, events
from penfold.protocols.smtp.reader import ReplyReader

FOLDER = Path(__file__).parent / "smtp"

_STEP = re.compile(r"(C:|C\||S:|S\+|S-|E:|T:|TLS|CLOSE|EOF)(?: (.*))?$")


@dataclass
class Transcript:
    name: str
    title: str = ""
    settings: dict[str, str] = field(default_factory=dict)
    steps: list[tuple[int, str, str]] = field(default_factory=list)

    @property
    def core_only(self) -> bool:
        return any(kind == "T:" for _, kind, _ in self.steps)


def load(path: Path, step: re.Pattern[str] = _STEP) -> Transcript:
    """Read a transcript; another protocol's has other ``step`` lines."""
    transcript = Transcript(path.stem)
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("#"):
            transcript.title = transcript.title or line[1:].strip()
        elif line.startswith("settings:"):
            transcript.settings.update(word.split("=", 1) for word in line[9:].split())
        elif line.strip():
            match = step.match(line)
            assert match, f"{path.name}:{number}: what is {line!r}?"
            transcript.steps.append((number, match[1], match[2] or ""))
    return transcript


def transcripts() -> list[Transcript]:
    return [load(path) for path in sorted(FOLDER.glob("*.txt"))]


_BOOLEAN = {"yes": True, "no": False}
_OTHER = frozenset({"xclient", "tls", "greeting"})
_READERS = {
    "role": Role,
    "bare_ends": BareEnds,
    "mechanisms": lambda text: tuple(text.split(",")),
    "tls_mechanisms": lambda text: tuple(text.split(",")),
    "extensions": lambda text: frozenset(text.split(",")),
    "banner": str,
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

    def __init__(self, server: Server) -> None:
        self.server = server
        self.seen: list[events.Event] = []
        self._body = b""
        self._exchange = None

    def turn(self) -> None:
        while (event := self.server.next_event()) is not NEED_DATA:
            if event is PAUSED:
                return
            self.seen.append(event)
            self._answer(event)

    def _answer(self, event: events.Event) -> None:
        server = self.server
        match event:
            case events.Mail(path=path) | events.Rcpt(path=path) if path and path.local.startswith("unknown"):
                server.answer(Reply.of(550, "5.1.1", "No such user"))
            case events.Mail(path=path) | events.Rcpt(path=path) if path and path.local.startswith("later"):
                server.answer(Reply.of(451, "4.3.0", "Not now"))
            case events.Chunk(data=data):
                self._body += data
            case events.Data():
                self._body = b""
                server.answer()
            case events.MessageEnd(failure=None) if b"refuse me" in self._body:
                server.answer(Reply.of(554, "5.7.1", "Refused"))
            case events.Auth(mechanism=mechanism, initial=initial):
                self._exchange = sasl.start(mechanism, nonce="serverNonce0123456789")
                self._authenticate(initial)
            case events.AuthResponse(data=data) if data is not None:
                self._authenticate(data)
            case events.MessageEnd(failure=None) | events.Hello() | events.Mail() | events.Rcpt():
                server.answer()
            case events.StartTls() | events.Verify() | events.Expand() | events.XClient():
                server.answer()

    def _authenticate(self, response: bytes | None) -> None:
        assert self._exchange is not None
        step = self._exchange.step(response)
        if isinstance(step, sasl.NeedVerifier):
            step = self._exchange.verifier(_verifier(step.user))
        match step:
            case sasl.Challenge(data=data):
                self.server.auth_challenge(data)
            case sasl.Password(authcid="alice", password="alice-demo") | sasl.Granted(user="alice"):
                self.server.authenticated("alice")
            case _:
                self.server.answer(Reply.of(535, "5.7.8", "Authentication credentials invalid"))


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
        self.server = Server(
            server_settings(values), clock=lambda: self.now, tls=tls, xclient=values.get("xclient") == "yes"
        )
        self.application = Application(self.server)
        code = int(values.get("greeting", "220"))
        self.server.greet(Reply.of(code, "", "mx.example.test No SMTP service here") if code != 220 else None)
        self.application.turn()

    def send(self, octets: bytes) -> None:
        self.server.receive_data(octets)
        self.application.turn()

    def receive(self) -> bytes:
        return self.server.data_to_send()

    def start_tls(self) -> None:
        self.server.tls_started("TLSv1.3 TLS_AES_256_GCM_SHA384")
        self.application.turn()

    def end(self) -> None:
        self.server.receive_eof()
        self.application.turn()

    def closed(self) -> bool:
        return self.over() and not self.server.data_to_send()

    def over(self) -> bool:
        return self.server.closed

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.server.on_time(self.now)
        self.application.turn()

    def events(self) -> list[str]:
        seen, self.application.seen = self.application.seen, []
        return [repr(event) for event in seen]


class TcpPeer:
    """A real server."""

    def __init__(self, host: str, port: int, timeout: float = 10.0) -> None:
        self._socket = socket.create_connection((host, port), timeout)

    def send(self, octets: bytes) -> None:
        self._socket.sendall(octets)

    def receive(self) -> bytes:
        return self._socket.recv(65536)

    def start_tls(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self._socket = context.wrap_socket(self._socket)

    def end(self) -> None:
        self._socket.shutdown(socket.SHUT_WR)

    def closed(self) -> bool:
        try:
            return self._socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def wait(self, seconds: float) -> None:
        raise NotImplementedError(f"nobody waits {seconds} s on a socket")

    def events(self) -> None:
        """A server tells no events."""

    def close(self) -> None:
        self._socket.close()


class Run:
    """Plays one transcript to a peer; an AssertionError names file and line."""

    def __init__(self, transcript: Transcript, peer: CorePeer | TcpPeer) -> None:
        self._transcript = transcript
        self._peer = peer
        self._reader = ReplyReader()
        self._reply: Reply | None = None
        self._unsent = b""

    def play(self) -> None:
        for number, kind, text in self._transcript.steps:
            where = f"{self._transcript.name}.txt:{number}: {kind} {text}"
            if kind in {"C:", "C|"}:
                raw = text.encode() + b"\r\n" if kind == "C:" else _unescape(text)
                self._unsent += raw
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
                self._reply = self._next_reply(where)
                _compare(self._reply, text, where)
            case "S+" | "S-":
                assert self._reply is not None, where
                there = any(line == text or line.startswith(text + " ") for line in self._reply.lines)
                assert there == (kind == "S+"), f"{where}\n  got {self._reply.lines}"
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
                assert self._reader.buffered == 0, where
                assert self._peer.closed(), where

    def _next_reply(self, where: str) -> Reply:
        while (reply := self._reader.next_reply()) is None:
            octets = self._peer.receive()
            assert octets, f"{where}\n  nothing came"
            self._reader.feed(octets)
        return reply


def _compare(reply: Reply, text: str, where: str) -> None:
    code, _, rest = text.partition(" ")
    assert str(reply.code) == code, f"{where}\n  got {reply}"
    status, _, words = rest.partition(" ")
    if re.match(r"\d\.\d+\.\d+$", status):
        assert reply.status == status, f"{where}\n  got {reply}"
    else:
        words = rest
    assert words in reply.text, f"{where}\n  got {reply}"


def _unescape(text: str) -> bytes:
    # "\x00*5000" repeats: long input stays readable in a transcript.
    return b"".join(_pieces(text))


def _pieces(text: str) -> Iterator[bytes]:
    for word in text.split(" ++ "):
        piece, star, count = word.rpartition(" ** ")
        raw = (piece if star else word).encode("latin-1", "backslashreplace").decode("unicode_escape").encode("latin-1")
        yield raw * int(count) if star else raw


def run_over_core(transcript: Transcript) -> None:
    """Play a transcript to the server core."""
    Run(transcript, CorePeer(transcript)).play()


def run_over_tcp(transcript: Transcript, host: str, port: int) -> None:
    """Play a transcript to a server; the caller picks those whose settings and ``core_only`` fit it."""
    with contextlib.closing(TcpPeer(host, port)) as peer:
        Run(transcript, peer).play()
