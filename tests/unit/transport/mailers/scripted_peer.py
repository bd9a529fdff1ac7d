"""A server on loopback that does what a test tells it to, and remembers what it was told."""

import asyncio
import contextlib
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

DROP = "drop"  # the connection ends without a word
HANG = "hang"  # nothing is said any more
SLOW = "slow"  # the usual reply, but only when the test says ``go_on``
FULL = ("PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 1000000", "DSN", "CHUNKING", "BINARYMIME", "ENHANCEDSTATUSCODES")

_USUAL = {
    "GREETING": "220 peer.example ESMTP",
    "HELO": "250 peer.example",
    "MAIL": "250 2.1.0 sender ok",
    "RCPT": "250 2.1.5 recipient ok",
    "DATA": "354 go on",
    "END": "250 2.0.0 taken as 1",
    "RSET": "250 2.0.0 ok",
    "QUIT": "221 2.0.0 bye",
    "STARTTLS": "220 2.0.0 ready",
    "AUTH": "235 2.7.0 welcome",
}


@dataclass
class Heard:
    """One connection as the server saw it."""

    lines: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    reads: list[bytes] = field(default_factory=list)
    tls: bool = False

    def verbs(self) -> list[str]:
        return [line.split()[0].upper() for line in self.lines]


class ScriptedPeer:
    """``sessions``: what the first, second ... connection is answered otherwise than usual; the last one repeats.

    A key is ``GREETING``, a verb, ``END``, or a command line's beginning (``RCPT TO:<bob``); a value is a reply, DROP,
    HANG, or a list of those, one for each time.
    """

    def __init__(
        self,
        *sessions: Mapping[str, str | Sequence[str]],
        extensions: Sequence[str] = FULL,
        lmtp: bool = False,
        tls: ssl.SSLContext | None = None,
        implicit: bool = False,
    ) -> None:
        self.sessions = [dict(each) for each in sessions] or [{}]
        self.extensions = extensions
        self.lmtp = lmtp
        self.tls = tls
        self.implicit = implicit
        self.heard: list[Heard] = []
        self.port = 0
        self._server: asyncio.Server | None = None
        self._news = asyncio.Event()
        self._asked = asyncio.Semaphore(0)
        self._go_on = asyncio.Event()
        self._writers: list[asyncio.StreamWriter] = []

    async def start(self, ip: str = "127.0.0.1", port: int = 0, path: str = "") -> "ScriptedPeer":
        if path:
            self._server = await asyncio.start_unix_server(self._serve, path)
        else:
            context = self.tls if self.implicit else None
            self._server = await asyncio.start_server(self._serve, ip, port, ssl=context)
            self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await self._server.wait_closed()

    async def asked_to_wait(self, times: int) -> None:
        """Wait until SLOW steps were reached so many times."""
        for _ in range(times):
            await self._asked.acquire()

    def go_on(self) -> None:
        """Let SLOW steps go on."""
        self._go_on.set()

    async def got(self, count: int) -> None:
        """Wait for so many messages."""
        while len(self.bodies) < count:
            self._news.clear()
            await self._news.wait()

    @property
    def bodies(self) -> list[bytes]:
        return [body for heard in self.heard for body in heard.bodies]

    @property
    def lines(self) -> list[str]:
        return [line for heard in self.heard for line in heard.lines]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        script = self.sessions[min(len(self.heard), len(self.sessions) - 1)]
        heard = Heard(tls=self.implicit)
        self.heard.append(heard)
        turn = _Turn(self, script, heard, reader, writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            await turn.run()
        with contextlib.suppress(Exception):
            writer.transport.abort()


class _Turn:
    def __init__(self, peer, script, heard, reader, writer) -> None:
        self.peer, self.script, self.heard, self.reader, self.writer = peer, dict(script), heard, reader, writer
        self.script = {key: list(value) if not isinstance(value, str) else value for key, value in script.items()}
        self.accepted = 0
        self.chunks = b""

    async def run(self) -> None:
        if not await self.say("GREETING"):
            return
        while line := await self.reader.readline():
            text = line.decode("utf-8").rstrip("\r\n")
            assert line.endswith(b"\r\n"), line
            self.heard.lines.append(text)
            if not await self.command(text, text.split()[0].upper()):
                return

    async def command(self, line: str, verb: str) -> bool:
        if verb in {"EHLO", "LHLO"} and verb not in self.script:
            offered = [each for each in self.peer.extensions if not (self.heard.tls and each == "STARTTLS")]
            replies = ["peer.example", *offered]
            text = [f"250{'-' if at < len(replies) - 1 else ' '}{each}" for at, each in enumerate(replies)]
            return await self.write("\r\n".join(text))
        if verb == "BDAT":
            return await self.bdat(line)
        key = next((key for key in self.script if line.upper().startswith(key.upper())), verb)
        reply = self.reply(key, verb)
        if reply == SLOW:
            self.peer._asked.release()
            await self.peer._go_on.wait()
            reply = _USUAL[verb]
        if verb == "RCPT" and reply.startswith("2"):
            self.accepted += 1
        if not await self.write(reply):
            return False
        if verb == "STARTTLS" and reply.startswith("2"):
            await self.writer.start_tls(self.peer.tls)
            self.heard.tls = True
        if verb == "DATA" and reply.startswith("3"):
            return await self.data()
        if verb == "AUTH" and reply.startswith("334"):
            return await self.challenge()
        return verb != "QUIT"

    async def challenge(self) -> bool:
        while True:
            answer = (await self.reader.readline()).decode().rstrip("\r\n")
            self.heard.lines.append(answer)
            reply = "501 5.7.0 cancelled" if answer == "*" else self.reply("RESPONSE", "AUTH")
            if not await self.write(reply):
                return False
            if not reply.startswith("334"):
                return True

    async def data(self) -> bool:
        body = bytearray()
        while (line := await self.reader.readline()) != b".\r\n":
            if not line:
                return False
            assert line.endswith(b"\r\n")
            assert b"\r" not in line[:-2]
            body += line[1:] if line.startswith(b".") else line
            if self.script.get("BODY") == DROP:
                return False
        return await self.ended(bytes(body))

    async def bdat(self, line: str) -> bool:
        words = line.split()
        self.chunks += await self.reader.readexactly(int(words[1]))
        if words[-1] != "LAST":
            return await self.write(self.reply("BDAT", "RSET"))
        body, self.chunks = self.chunks, b""
        return await self.ended(body)

    async def ended(self, body: bytes) -> bool:
        self.heard.bodies.append(body)
        self.peer._news.set()
        accepted, self.accepted = self.accepted, 0
        for _ in range(accepted if self.peer.lmtp else 1):
            if not await self.say("END"):
                return False
        return True

    async def say(self, key: str) -> bool:
        return await self.write(self.reply(key, key))

    def reply(self, key: str, verb: str) -> str:
        said = self.script.get(key, _USUAL.get(verb, "500 5.5.2 what?"))
        if isinstance(said, list):
            return said.pop(0) if len(said) > 1 else said[0]
        return said

    async def write(self, reply: str) -> bool:
        if reply == DROP:
            return False
        if reply == HANG:
            await self.reader.read()
            return False
        self.writer.write(reply.encode("utf-8", "surrogateescape") + b"\r\n")
        await self.writer.drain()
        return not reply.startswith("421")
