"""The resolver: asks the configured name servers, remembers what they said, and asks one thing only once at a time.

Each try has its own connected UDP socket (a random port, and the kernel drops what comes from elsewhere), a random id,
and falls back to TCP when the answer is cut. Servers are tried in their order, all of them, ``rounds`` times.
Validation is the name server's job: its AD bit counts where the administrator named the server.

Standards: RFC 1035 §4.2; RFC 7766 (TCP); RFC 2308 (negative caching); RFC 9520 §3.2 (failures are cached, for a short
while); RFC 5452; RFC 6891 §6.2.2 (without EDNS for servers that know none)
Trust: as ``net.answers``.
"""

import asyncio
import random
import socket
from collections.abc import Mapping, Sequence
from dataclasses import replace

from penfold.net.answers import (
    MAX_CHAIN,
    Alias,
    Answer,
    Failure,
    Found,
    Kind,
    Mx,
    NoData,
    NxDomain,
    Question,
    Record,
    Srv,
    Tlsa,
    answers_to,
    ask,
    normal,
    read,
    truncated,
)
from penfold.net.dial import connect, readable
from penfold.net.resolv import Hosts, Server, parse_server, read_resolv_conf, reverse_name

RESOLV_CONF = "/etc/resolv.conf"
HOSTS = "/etc/hosts"
FAILURE_TTL = 5  # seconds
_DATAGRAM = 65535


class Cache:
    """Answers that still hold; the oldest go when there are too many."""

    def __init__(self, size: int = 20_000) -> None:
        self._size = size
        self._answers: dict[Question, tuple[float, Answer]] = {}

    def __len__(self) -> int:
        return len(self._answers)

    def get(self, question: Question, now: float) -> Answer | None:
        """Give a remembered answer with the time it has left."""
        entry = self._answers.get(question)
        if entry is None:
            return None
        expires, answer = entry
        if expires <= now:
            del self._answers[question]
            return None
        return answer if isinstance(answer, Failure) else replace(answer, ttl=int(expires - now))

    def put(self, question: Question, answer: Answer, now: float) -> None:
        """Remember an answer for its TTL."""
        ttl = FAILURE_TTL if isinstance(answer, Failure) else answer.ttl
        if ttl <= 0 or self._size <= 0:
            return
        self._answers.pop(question, None)
        while len(self._answers) >= self._size:
            del self._answers[next(iter(self._answers))]
        self._answers[question] = (now + ttl, answer)

    def clear(self) -> None:
        """Forget everything."""
        self._answers.clear()


class Resolver:
    """Asks ``servers``. ``seconds`` is the patience with one try; ``mixed_case`` hides 0x20 bits in the question."""

    def __init__(
        self,
        servers: Sequence[Server],
        *,
        hosts: Hosts | None = None,
        cache: Cache | None = None,
        seconds: float = 3.0,
        rounds: int = 2,
        in_flight: int = 256,
        mixed_case: bool = False,
        rng: random.Random | None = None,
    ) -> None:
        self._servers = tuple(servers)
        self._hosts = hosts or Hosts()
        self._cache = cache if cache is not None else Cache()
        self._seconds = seconds
        self._rounds = rounds
        # A message with many recipients asks many questions at once; each try holds a descriptor.
        self._room = asyncio.Semaphore(in_flight)
        self._mixed_case = mixed_case
        # SECURITY: ids and case bits are what a forger must guess, so they come from the system's generator.
        self._rng = rng or random.SystemRandom()
        self._flights: dict[Question, asyncio.Task[Answer]] = {}

    async def ask(self, name: str, kind: Kind) -> Answer:
        """Answer a question, from memory where possible. Never raises for what the network or a name did."""
        question = Question(normal(name), kind)
        known = self._hosts.answer(question) or self._cache.get(question, asyncio.get_running_loop().time())
        if known is not None:
            return known
        flight = self._flights.get(question)
        if flight is None:
            flight = asyncio.get_running_loop().create_task(self._fly(question))
            self._flights[question] = flight
            flight.add_done_callback(lambda _: self._flights.pop(question, None))
        return await asyncio.shield(flight)  # one caller that gives up does not take the answer from the others

    async def close(self) -> None:
        """Give up what is being asked."""
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    async def _fly(self, question: Question) -> Answer:
        answer = await self._chase(question)
        self._cache.put(question, answer, asyncio.get_running_loop().time())
        return answer

    async def _chase(self, question: Question) -> Answer:
        """Ask, and ask again for the target where a server tells only that the name is an alias."""
        ttl, secure, name = None, True, question.name
        for _ in range(MAX_CHAIN):
            answer = await self._ask_servers(Question(name, question.kind))
            if not isinstance(answer, Alias):
                if ttl is None or isinstance(answer, Failure):
                    return answer
                return replace(answer, ttl=min(ttl, answer.ttl), secure=secure and answer.secure)
            name = answer.target
            ttl = answer.ttl if ttl is None else min(ttl, answer.ttl)
            secure = secure and answer.secure
        return Failure("aliases in a loop")

    async def _ask_servers(self, question: Question) -> Answer | Alias:
        try:
            ask(question, 0)
        except ValueError:
            return NxDomain()  # what cannot be a name does not exist, and nobody needs to be asked
        answer: Answer | Alias = Failure("no name server")
        for _ in range(self._rounds):
            for server in self._servers:
                answer = await self._ask_server(server, question)
                if not isinstance(answer, Failure):
                    return answer
        return answer

    async def _ask_server(self, server: Server, question: Question) -> Answer | Alias:
        try:
            async with self._room, asyncio.timeout(self._seconds):
                wire = await self._exchange(server, question, edns=True)
                if wire[3] & 15 in {1, 4}:  # FORMERR, NOTIMP: perhaps it was the EDNS record
                    wire = await self._exchange(server, question, edns=False)
        except TimeoutError:
            return Failure(f"{server.ip} does not answer")
        except (OSError, EOFError) as error:
            return Failure(f"{server.ip}: {error}")
        return read(question, wire, trusted=server.trusted)

    async def _exchange(self, server: Server, question: Question, *, edns: bool) -> bytes:
        query = ask(question, self._rng.getrandbits(16), edns=edns, name=self._spelled(question.name))
        wire = await _by_datagram(server, query)
        return await _by_stream(server, query) if truncated(wire) else wire

    def _spelled(self, name: str) -> str:
        if not self._mixed_case:
            return name
        bits = self._rng.getrandbits(len(name) + 1)
        return "".join(char.upper() if bits >> at & 1 else char for at, char in enumerate(name))


def system_resolver(
    servers: Sequence[str] = (),
    *,
    names: Mapping[str, str] | None = None,
    seconds: float = 3.0,
    rounds: int = 2,
    resolv_conf: str = RESOLV_CONF,
    hosts: str = HOSTS,
) -> Resolver:
    """Make a resolver that asks ``servers`` (``127.0.0.1:5301``), or those of resolv.conf, and knows the hosts file.

    ``names`` (name to address) come before that file. Files that cannot be read count as empty. Raises ValueError for a
    bad server.
    """
    chosen = [parse_server(text) for text in servers] or read_resolv_conf(_text_of(resolv_conf))
    said = names or {}
    text = "".join(f"{ip} {name}\n" for name, ip in said.items())
    known = "".join(line for line in _text_of(hosts).splitlines(keepends=True) if said.keys().isdisjoint(line.split()))
    return Resolver(chosen, hosts=Hosts(text + known), seconds=seconds, rounds=rounds)


def _text_of(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _socket(server: Server, kind: socket.SocketKind) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in server.ip else socket.AF_INET, kind)
    sock.setblocking(False)
    return sock


async def _by_datagram(server: Server, query: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    with _socket(server, socket.SOCK_DGRAM) as sock:
        sock.connect((server.ip, server.port))
        sock.send(query)
        while True:
            await readable(loop, sock)
            try:
                wire = sock.recv(_DATAGRAM)
            except BlockingIOError:
                continue
            if answers_to(query, wire):
                return wire


async def _by_stream(server: Server, query: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    with _socket(server, socket.SOCK_STREAM) as sock:
        await connect(loop, sock, (server.ip, server.port))
        await loop.sock_sendall(sock, len(query).to_bytes(2, "big") + query)
        size = int.from_bytes(await _read_exactly(loop, sock, 2), "big")
        wire = await _read_exactly(loop, sock, size)
    if not answers_to(query, wire):
        raise EOFError("another answer than asked for")
    return wire


async def _read_exactly(loop: asyncio.AbstractEventLoop, sock: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        piece = await loop.sock_recv(sock, size - len(data))
        if not piece:
            raise EOFError("the answer ends early")
        data += piece
    return bytes(data)


__all__ = [
    "Answer",
    "Cache",
    "Failure",
    "Found",
    "Hosts",
    "Kind",
    "Mx",
    "NoData",
    "NxDomain",
    "Question",
    "Record",
    "Resolver",
    "Server",
    "Srv",
    "Tlsa",
    "parse_server",
    "read_resolv_conf",
    "reverse_name",
    "system_resolver",
]
