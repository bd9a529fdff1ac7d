"""Runs IMAP transcripts over a session with a fake link and any of the stores.

A transcript is a text file, one thing a line:

``# ...``             a comment; the first one names the sections of the standards
``covers: NAME ...``  the capabilities it shows at work
``needs: WORD ...``   what not every store has: ``expunged`` messages that can still be read, ``parents`` that can be
                      selected although they were only made for what is below them
``settings: k=v ...`` settings of the server (Settings fields; lists with commas); ``tls=yes``; ``offer=-NAME`` takes a
                      capability away; ``mail=no`` begins with an empty INBOX
``C: text``           the client sends the line; several in a row go out in one write
``C| text``           the client sends exactly this: Python escapes, no CRLF added
``S: text``           the next line is this; ``…`` stands for anything, ``<m0>`` for a number that is the same wherever
                      it stands, also in what the client sends
``S+ text``           one of the next lines is this (it is taken out, those before it stay)
``S- text``           none of the lines that came is this
``S~ text``           lines are passed over up to one that is this
``C2: S2: ...``       the same on a second connection, already logged in as alice (``C3:`` as bob)
``TLS``               the handshake after STARTTLS
``CLOSE``             the server has closed the connection, and said nothing more
``EOF``               the client closes its side
``T: 301``            (core only) so many seconds pass

The users are alice and bob, with passwords ``<name>-demo``; alice's INBOX holds ``MESSAGES``, the first of them seen.
The clock stands at 2026-02-03 04:05:06 UTC.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from conformance.smtp_runner import _unescape
from tests.stores import DRIVERS as STORES
from tests.stores import Bodies, Driver, Given, Opened, nothing

from penfold.access.imap.commands import CAPABILITIES
from penfold.access.imap.service import Service
from penfold.access.imap.session import ImapSession
from penfold.directory.authenticator import BAD, Granted, Refused, ScramAccount
from penfold.formats.detect import Format
from penfold.fs.posix import PosixFileSystem
from penfold.message.summary import summary
from penfold.net.link import Peer
from penfold.net.tls import TlsFacts
from penfold.protocols import sasl
from penfold.protocols.imap.settings import Settings
from penfold.store import AccountId, Append, Create, CreateAccount, Created, Message
from penfold.store.files import FilesStore, Place
from penfold.transport.receive.login import SaslLogin

FOLDER = Path(__file__).parent / "imap"


@dataclass
class Places:
    """Where the mailboxes of the users lie in a store of files."""

    path: Any
    format: Format

    def accounts(self) -> list[AccountId]:
        return [AccountId(user) for user in PASSWORDS]

    def find(self, account: AccountId) -> Place | None:
        if account not in PASSWORDS:
            return None
        inbox = f"{self.path}/{account}.inbox" if self.format in {Format.MBOX, Format.MMDF} else ""
        return Place(self.format, f"{self.path}/{account}", inbox)


def _opener(form: Format) -> Callable[[Given], Awaitable[Opened]]:
    async def opened(given: Given) -> Opened:
        store = FilesStore(
            PosixFileSystem(),
            Places(given.path, form),
            f"{given.path}/cache",
            host="imap.test",
            clock=given.clock,
            random=given.random,
            summarise=given.summarise,
        )
        return Opened(store, store.close, nothing)

    return opened


_NO_PARENTS = {Format.MBOX, Format.MMDF}
DRIVERS = STORES | {
    str(form): Driver(_opener(form), frozenset({"expunged", *(["parents"] if form in _NO_PARENTS else [])}))
    for form in Format
}
NOW = 1770091506.0
PASSWORDS = {"alice": "alice-demo", "bob": "bob-demo"}

MESSAGES = (
    b"Date: Mon, 2 Feb 2026 10:00:00 +0100\r\nFrom: Bob <bob@example.test>\r\nTo: alice@example.test\r\n"
    b"Subject: Tea\r\nMessage-ID: <1@example.test>\r\n\r\nAt four?\r\n",
    b"Date: Mon, 2 Feb 2026 11:00:00 +0100\r\nFrom: Carol <carol@example.test>\r\nTo: alice@example.test\r\n"
    b"Subject: Re: Tea\r\nMessage-ID: <2@example.test>\r\nReferences: <1@example.test>\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    b"At five, in the caf=C3=A9.\r\n",
    b"Date: Sun, 1 Feb 2026 09:00:00 +0000\r\nFrom: Dave <dave@example.test>\r\nTo: alice@example.test\r\n"
    b"Cc: bob@example.test\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nMessage-ID: <3@example.test>\r\n"
    b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n"
    b"Hello\r\n--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    b"AAEC\r\n--b--\r\n",
)
DATES = (NOW - 90000, NOW - 86000, NOW - 200000)

_STEP = re.compile(r"([CST])([23]?)([:|+~-])(?: (.*))?$|(TLS|CLOSE|EOF)$")


class FakeLink:
    """A link whose other end is a buffer. ``room``: octets the client takes before it stops reading, None for all."""

    def __init__(self, tls: TlsFacts | None = None, room: int | None = None) -> None:
        self.peer, self.local = Peer("192.0.2.1", 4321), Peer("192.0.2.99", 143)
        self.tls, self.credentials = tls, None
        self.out, self.closing, self.time, self.due = bytearray(), False, 100.0, None
        self.room, self.paused, self.aborted = room, False, False
        self.started_tls: Any = None
        self.writes: list[int] = []

    def write(self, data: bytes) -> None:
        self.writes.append(len(data))
        self.out += data

    @property
    def congested(self) -> bool:
        return self.room is not None and len(self.out) > self.room

    def close(self, *, linger: bool = False) -> None:
        self.closing = True

    def abort(self) -> None:
        self.closing = self.aborted = True

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    def now(self) -> float:
        return self.time

    def deadline(self, when: float | None) -> None:
        self.due = when

    def start_tls(self, context: Any) -> None:
        self.started_tls = context

    def take(self) -> bytes:
        out, self.out = bytes(self.out), bytearray()
        return out


class Log:
    def __init__(self) -> None:
        self.seen: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **more: self.seen.append((name, *args[1:]))


class Judge:
    """An authenticator that knows the users of the transcripts."""

    async def password(self, user: str, password: str, client: str) -> Granted | Refused:
        return Granted(user) if PASSWORDS.get(user) == password else Refused(BAD)

    async def scram(self, user: str, client: str) -> ScramAccount | Refused:
        if user in PASSWORDS:
            return ScramAccount(user, sasl.derive(PASSWORDS[user], b"salt", 4096))
        return ScramAccount(user, sasl.fake_verifier(b"key", user, 4096))

    def outcome(self, user: str, client: str, *, good: bool) -> None: ...


@dataclass
class Clock:
    now: float = NOW

    def __call__(self) -> float:
        return self.now


class House:
    """A store, an IMAP service over it, and connections to it, spoken to without async."""

    def __init__(
        self, *, mail: bool = True, tls: Any = "context", driver: str = "memory", path: Any = None, **settings: Any
    ) -> None:
        self.runner = asyncio.Runner()
        self.clock, self.log = Clock(), Log()
        self.tasks: set[asyncio.Task[None]] = set()
        self.callbacks: list[Any] = []
        given = Given(path, self.clock, Random(1).randbytes, summary, Bodies())
        self.opened = self.runner.run(DRIVERS[driver].open(given))
        self.store: Any = self.opened.store
        usual = {"hostname": "imap.test", "capabilities": CAPABILITIES, "clear_login": True, "starttls": True}
        usual |= {"mechanisms": ("PLAIN", "SCRAM-SHA-256"), "tls_mechanisms": ("PLAIN",)}
        self.service = Service(
            store=self.store,
            settings=Settings(**(usual | settings)),
            spawn=self._spawn,
            soon=self.callbacks.append,
            clock=self.clock,
            log=self.log,
            login=lambda mechanism, client, tls: SaslLogin(Judge(), mechanism, client, nonce="serverNonce0123456789"),
            sharing=self.store,
            tls=tls,
        )
        self.inbox = {name: self._account(name) for name in PASSWORDS}
        if mail:
            messages = tuple(
                Message(octets, ("\\Seen",) if not place else (), int(DATES[place]))
                for place, octets in enumerate(MESSAGES)
            )
            self.apply(Append(AccountId("alice"), self.inbox["alice"], messages))

    def _account(self, name: str) -> Any:
        (made,) = self.apply(CreateAccount(AccountId(name)))
        assert isinstance(made, Created)
        return made.mailbox

    def _spawn(self, work: Any) -> None:
        task = self.runner.get_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def apply(self, *changes: Any) -> Any:
        return self.runner.run(self.store.apply(changes))

    def create(self, name: str, account: str = "alice") -> Any:
        return self.apply(Create(AccountId(account), name))[0].mailbox

    def append(self, *contents: bytes, account: str = "alice", mailbox: Any = None, flags: tuple[str, ...] = ()) -> Any:
        messages = tuple(Message(content, flags) for content in contents)
        return self.apply(Append(AccountId(account), mailbox or self.inbox[account], messages))[0]

    def settle(self) -> None:
        """Let everything happen that is under way."""

        async def wait() -> None:
            while self.tasks or self.callbacks:
                if self.tasks:
                    await asyncio.wait(set(self.tasks))
                await self.opened.settle()
                callbacks, self.callbacks[:] = list(self.callbacks), []
                for callback in callbacks:
                    callback()

        self.runner.run(wait())

    def close(self) -> None:
        self.runner.run(self.opened.close())
        self.runner.close()


class Connection:
    """One session."""

    def __init__(self, house: House, link: FakeLink | None = None) -> None:
        self.house = house
        self.link = link or FakeLink()
        self.session = ImapSession(house.service, "Ii000001")
        self.session.connected(self.link)  # type: ignore[arg-type]
        house.settle()

    def send(self, octets: bytes) -> None:
        self.session.received(memoryview(octets))
        self.house.settle()

    def receive(self) -> bytes:
        return self.link.take()

    def say(self, *lines: str | bytes) -> str:
        """Send lines; gives what came back."""
        for line in lines:
            self.send((line.encode() if isinstance(line, str) else line) + b"\r\n")
        return self.receive().decode("utf-8", "backslashreplace")

    def log_in(self, user: str = "alice", select: str = "") -> "Connection":
        self.say(f"l LOGIN {user} {user}-demo")
        if select:
            self.say(f"s SELECT {select}")
        return self

    def start_tls(self) -> None:
        assert self.link.started_tls is not None
        self.link.tls = TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384", 256)
        self.session.secured(self.link.tls)
        self.house.settle()

    def end(self) -> None:
        self.session.eof()
        self.house.settle()

    def closed(self) -> bool:
        return self.link.closing

    def wait(self, seconds: float) -> None:
        self.link.time += seconds
        self.session.on_time(self.link.time)
        self.house.settle()


@dataclass
class Transcript:
    name: str
    title: str = ""
    settings: dict[str, str] = field(default_factory=dict)
    covers: list[str] = field(default_factory=list)
    needs: set[str] = field(default_factory=set)
    steps: list[tuple[int, str, str, str]] = field(default_factory=list)  # line, kind, connection, text

    @property
    def core_only(self) -> bool:
        return any(kind == "T:" for _, kind, _, _ in self.steps)


def load(path: Path) -> Transcript:
    transcript = Transcript(path.stem)
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("#"):
            transcript.title = transcript.title or line[1:].strip()
        elif line.startswith("covers:"):
            transcript.covers += line[7:].split()
        elif line.startswith("needs:"):
            transcript.needs.update(line[6:].split())
        elif line.startswith("settings:"):
            transcript.settings.update(word.split("=", 1) for word in line[9:].split())
        elif line.strip():
            match = _STEP.match(line)
            assert match, f"{path.name}:{number}: what is {line!r}?"
            kind = match[5] or match[1] + match[3]
            transcript.steps.append((number, kind, match[2] or "1", match[4] or ""))
    return transcript


def transcripts() -> list[Transcript]:
    return [load(path) for path in sorted(FOLDER.glob("*.txt"))]


_BOOLEAN = {"yes": True, "no": False}
_OTHER = frozenset({"tls", "offer", "mail"})


def settings_of(values: dict[str, str]) -> dict[str, Any]:
    def read(name: str, text: str) -> Any:
        if name in {"mechanisms", "tls_mechanisms"}:
            return tuple(text.split(","))
        return _BOOLEAN[text] if text in _BOOLEAN else int(text)

    given = {name: read(name, text) for name, text in values.items() if name not in _OTHER}
    without = {name.removeprefix("-") for name in values.get("offer", "").split(",")}
    return {"capabilities": tuple(name for name in CAPABILITIES if name not in without), **given}


class Run:
    """Plays one transcript; an AssertionError names file and line."""

    def __init__(self, transcript: Transcript, house: House) -> None:
        self._transcript = transcript
        self._house = house
        tls = TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384") if transcript.settings.get("tls") == "yes" else None  # type: ignore[call-arg]
        self._peers: dict[str, Connection] = {"1": Connection(house, FakeLink(tls))}
        self._lines: dict[str, list[str]] = {"1": [], "2": [], "3": []}
        self._unsent: dict[str, bytes] = {}
        self._numbers: dict[str, str] = {}

    def play(self) -> None:
        for number, kind, who, written in self._transcript.steps:
            text = _NUMBER.sub(lambda each: self._numbers.get(each[1], each[0]), written)
            where = f"{self._transcript.name}.txt:{number}: {kind} {text}"
            if kind in {"C:", "C|"}:
                raw = text.encode() + b"\r\n" if kind == "C:" else _unescape(text)
                self._unsent[who] = self._unsent.get(who, b"") + raw
                continue
            self._flush()
            self._check(kind, who, text, where)
        self._flush()

    def _like(self, line: str, text: str) -> bool:
        pattern = ".*".join(map(re.escape, text.split("…")))
        found = re.fullmatch(re.sub(r"<(m\d)>", r"(?P<\1>\\d+)", pattern), line)
        if found is not None:
            self._numbers |= found.groupdict()
        return found is not None

    def _peer(self, who: str) -> Connection:
        if who not in self._peers:
            self._peers[who] = Connection(self._house).log_in({"2": "alice", "3": "bob"}[who])
            self._peers[who].receive()
        return self._peers[who]

    def _flush(self) -> None:
        for who, octets in self._unsent.items():
            self._peer(who).send(octets)
        self._unsent.clear()

    def _check(self, kind: str, who: str, text: str, where: str) -> None:
        peer = self._peer(who)
        self._lines[who] += peer.receive().decode("utf-8", "backslashreplace").replace("\r\n", "\n").splitlines()
        lines = self._lines[who]
        match kind:
            case "S:":
                assert lines, f"{where}\n  nothing came"
                got = lines.pop(0)
                assert self._like(got, text), f"{where}\n  got {got}\n  then {lines[:8]}"
            case "S+" | "S~":
                places = [place for place, line in enumerate(lines) if self._like(line, text)]
                assert places, f"{where}\n  got {lines}"
                del lines[places[0] if kind == "S+" else 0 : places[0] + 1]
            case "S-":
                assert not any(self._like(line, text) for line in lines), f"{where}\n  got {lines}"
            case "T:":
                peer.wait(float(text))
            case "TLS":
                peer.start_tls()
            case "EOF":
                peer.end()
            case "CLOSE":
                assert not lines, f"{where}\n  got {lines}"
                assert peer.closed(), where


_NUMBER = re.compile(r"<(m\d)>")


def run_over_session(transcript: Transcript, driver: str, path: Path) -> None:
    """Play a transcript to a session over a store."""
    mail = transcript.settings.get("mail") != "no"
    house = House(mail=mail, driver=driver, path=path, **settings_of(transcript.settings))
    try:
        Run(transcript, house).play()
    finally:
        house.close()


def sent(transcript: Transcript) -> Iterator[str]:
    """Give the lines that the clients of a transcript send."""
    return (text for _, kind, _, text in transcript.steps if kind in {"C:", "C|"})
