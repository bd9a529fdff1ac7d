"""DNS questions and answers as values, and how they look on the wire.

An answer is one of four things, and they must never be mixed up: ``Found``, ``NoData`` (the name exists, this kind of
record does not), ``NxDomain`` (there is no such name) and ``Failure`` (we do not know: SERVFAIL, refused, a time-out,
nonsense). Only the first three are facts; a Failure makes mail wait, never bounce.

Names are lower-case text without the last dot; the root is ``""``. Records: ``str`` for A, AAAA, PTR and CNAME,
``bytes`` for TXT (its strings joined, RFC 7208 §3.3), and the tuples below.

Standards: RFC 1035 §4; RFC 2308 §5 (negative TTL); RFC 6891 (EDNS); RFC 6840 §5.7 (AD in questions), RFC 5452 §9.1
Trust: anybody who can guess a port and an id may answer. A reply is looked at only when id and question are ours; what
is in it is parsed by dnspython and bounded here.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

# dnspython imports a record type at its first sight, when a role may open no file any more: so do it now.
from dns.rdtypes.ANY import CNAME, MX, NS, OPT, PTR, RRSIG, SOA, TLSA, TXT  # noqa: F401
from dns.rdtypes.IN import AAAA, SRV, A  # noqa: F401

MAX_TTL = 86400  # seconds
MAX_CHAIN = 8  # aliases followed within one answer
MAX_RECORDS = 256
PAYLOAD = 1232  # octets of a UDP answer that pass every path unfragmented

_HEAD = struct.Struct("!6H")
_QUERY_FLAGS = 0x0120  # RD, and AD: tell us whether you validated
_RESPONSE, _TRUNCATED = 0x8000, 0x0200
_OPT = b"\0" + struct.pack("!HHIH", 41, PAYLOAD, 0, 0)


class Kind(IntEnum):
    """The kinds of records we ask for, with their numbers."""

    A = 1
    CNAME = 5
    PTR = 12
    MX = 15
    TXT = 16
    AAAA = 28
    SRV = 33
    TLSA = 52


class Question(NamedTuple):
    """What is asked: a normal name (see ``net.answers``) and a kind."""

    name: str
    kind: Kind


class Mx(NamedTuple):
    """A mail exchange; ``exchange`` is ``""`` for the null MX (RFC 7505)."""

    preference: int
    exchange: str


class Srv(NamedTuple):
    """A service (RFC 2782)."""

    priority: int
    weight: int
    port: int
    target: str


class Tlsa(NamedTuple):
    """A certificate association (RFC 6698)."""

    usage: int
    selector: int
    matching: int
    data: bytes


Record = str | bytes | Mx | Srv | Tlsa


@dataclass(frozen=True, slots=True)
class Found:
    """Records, in the order they came. ``ttl`` in seconds; ``secure`` when a resolver we believe has validated them;
    ``canonical`` the name at the end of the aliases.
    """

    records: tuple[Record, ...]
    ttl: int = 0
    secure: bool = False
    canonical: str = ""

    @property
    def texts(self) -> list[str]:
        """The records of a kind whose records are text."""
        return [record for record in self.records if isinstance(record, str)]


@dataclass(frozen=True, slots=True)
class NoData:
    """The name exists, but has no record of this kind."""

    ttl: int = 0
    secure: bool = False
    canonical: str = ""


@dataclass(frozen=True, slots=True)
class NxDomain:
    """There is no such name."""

    ttl: int = 0
    secure: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """Nobody could tell us; ``why`` is for the log and the reply."""

    why: str


@dataclass(frozen=True, slots=True)
class Alias:
    """The server knows only that the name is an alias; ask for ``target`` instead."""

    target: str
    ttl: int = 0
    secure: bool = False


Answer = Found | NoData | NxDomain | Failure


def normal(name: str) -> str:
    """Bring a name into the form used here."""
    return name.lower().removesuffix(".")


def encode_name(name: str) -> bytes:
    """Write a name in wire form. Raises ValueError when it is none."""
    if not name:
        return b"\0"
    wire = bytearray()
    for label in name.encode("ascii").split(b"."):
        if not 0 < len(label) < 64:
            raise ValueError(f"bad label in {name[:255]!r}")
        wire.append(len(label))
        wire += label
    if len(wire) > 254:
        raise ValueError("the name is too long")
    wire.append(0)
    return bytes(wire)


def ask(question: Question, number: int, *, edns: bool = True, name: str = "") -> bytes:
    """Build a query with id ``number``. ``name`` may spell the same name in another case (0x20)."""
    head = _HEAD.pack(number, _QUERY_FLAGS, 1, 0, 0, 1 if edns else 0)
    body = encode_name(name or question.name) + struct.pack("!HH", question.kind, 1)
    return head + body + (_OPT if edns else b"")


def answers_to(query: bytes, wire: bytes) -> bool:
    """Tell whether ``wire`` is a response to ``query``: the id, the response bit, and the question octet by octet.

    SECURITY: everything that fails here is ignored as if it had not come (RFC 5452 §9.1): a forger must not be able to
    end the wait for the true answer.
    """
    if len(wire) < 12 or wire[:2] != query[:2] or not wire[2] & 0x80:
        return False
    rcode = wire[3] & 15
    if wire[4:6] == b"\0\0" and rcode in {dns.rcode.FORMERR, dns.rcode.NOTIMP}:
        return True  # servers that understood nothing have no question to repeat
    end = query.index(0, 12) + 5
    return wire[4:6] == b"\0\1" and wire[12:end] == query[12:end]


def truncated(wire: bytes) -> bool:
    """Tell whether a response should be asked for again over TCP."""
    return bool(wire[2] & 0x02)


def read(question: Question, wire: bytes, *, trusted: bool) -> Answer | Alias:
    """Read a response that ``answers_to`` our query; nonsense is a Failure. ``trusted`` lets its AD bit count."""
    try:
        message = dns.message.from_wire(wire, ignore_trailing=True)
        return _read(question, message, trusted=trusted)
    except (dns.exception.DNSException, ValueError, IndexError, struct.error, RecursionError) as error:
        return Failure(f"malformed answer: {type(error).__name__}")


def _read(question: Question, message: dns.message.Message, *, trusted: bool) -> Answer | Alias:
    secure = trusted and bool(message.flags & dns.flags.AD)
    rcode = message.rcode()
    if rcode not in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
        return Failure(dns.rcode.to_text(rcode))
    chain = _follow(question, message)
    if chain is None:
        return Failure("aliases in a loop")
    name, ttl, records = chain
    if records:
        return Found(records, ttl, secure, name)
    negative = _negative_ttl(message)
    if rcode == dns.rcode.NXDOMAIN:
        return NxDomain(min(ttl, negative), secure)
    if negative < 0 or (name != question.name and not _has_soa(message)):
        return Failure("lame delegation") if name == question.name else Alias(name, ttl, secure)
    return NoData(min(ttl, negative), secure, name)


def _follow(question: Question, message: dns.message.Message) -> tuple[str, int, tuple[Record, ...]] | None:
    """Walk the aliases from the question to records: the last name, the smallest TTL, the records. None for a loop."""
    sets: dict[tuple[str, int], dns.rrset.RRset] = {}
    for rrset in message.answer:
        if rrset.rdclass == 1:
            sets.setdefault((_text(rrset.name), rrset.rdtype), rrset)
    name, ttl = question.name, MAX_TTL
    for _ in range(MAX_CHAIN):
        found = sets.get((name, question.kind))
        if found is not None:
            records = tuple(_RECORDS[question.kind](rdata) for rdata in list(found)[:MAX_RECORDS])
            return name, min(ttl, found.ttl), records
        alias = sets.get((name, Kind.CNAME))
        if alias is None:
            return name, ttl, ()
        name, ttl = _text(alias[0].target), min(ttl, alias.ttl)
    return None


def _has_soa(message: dns.message.Message) -> bool:
    return any(rrset.rdtype == dns.rdatatype.SOA for rrset in message.authority)


def _negative_ttl(message: dns.message.Message) -> int:
    """Give how long "no" holds (RFC 2308 §5): 0 when the answer does not say, -1 when this was no answer at all."""
    for rrset in message.authority:
        if rrset.rdtype == dns.rdatatype.SOA and len(rrset):
            minimum: int = rrset[0].minimum
            return max(0, min(rrset.ttl, minimum, MAX_TTL))
    final = message.flags & (dns.flags.AA | dns.flags.RA)
    return 0 if final else -1


def _text(name: dns.name.Name) -> str:
    return normal(name.to_text(omit_final_dot=True)) if len(name) > 1 else ""


# The values of dnspython's record types, which its annotations do not tell apart.
_RECORDS: dict[Kind, Any] = {
    Kind.A: lambda rdata: rdata.address,
    Kind.AAAA: lambda rdata: rdata.address,
    Kind.CNAME: lambda rdata: _text(rdata.target),
    Kind.PTR: lambda rdata: _text(rdata.target),
    Kind.MX: lambda rdata: Mx(rdata.preference, _text(rdata.exchange)),
    Kind.TXT: lambda rdata: b"".join(rdata.strings),
    Kind.SRV: lambda rdata: Srv(rdata.priority, rdata.weight, rdata.port, _text(rdata.target)),
    Kind.TLSA: lambda rdata: Tlsa(rdata.usage, rdata.selector, rdata.mtype, rdata.cert),
}
