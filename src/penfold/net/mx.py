"""Where mail for a domain goes: its mail exchanges, in the order to try them.

``resolve`` is a pure function over DNS answers: given those it has, it tells what else it Needs, or the Hosts, or the
Reply that mail for this domain gets. ``find_hosts`` fetches for it. The same function over recorded answers explains
afterwards why a message went where it went.

The rules: MX records by preference, in random order among equals; the domain's own addresses only where there is *no*
MX record (never because a look-up failed, never because the records were useless); a null MX accepts no mail; a host
that is ourselves takes all hosts of the same or a worse preference with it, or mail would go round in a circle.

Standards: RFC 5321 §5.1; RFC 7505; RFC 7504 (556); RFC 3974 §3; RFC 974 (loops);
    RFC 1123 §5.3.4 (all addresses of a host); RFC 6761 §6.3
Trust: whoever owns the domain wrote the records, and may point them at us, at loopback, or at a thousand names.
"""

import asyncio
import ipaddress
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import NamedTuple, Protocol, TypeVar

from penfold.model import AddressError, Reply, ascii_domain, failure
from penfold.net.answers import Answer, Failure, Found, Kind, Mx, NoData, NxDomain, Question

T = TypeVar("T")

MAX_EXCHANGES = 20
MAX_ADDRESSES = 50
_ROUNDS = 4  # MX, then addresses: more is a mistake of ours


class Host(NamedTuple):
    """One mail exchange. ``addresses`` in the order to try; ``secure``: all of them came validated."""

    name: str
    preference: int
    addresses: tuple[str, ...]
    secure: bool = False


@dataclass(frozen=True, slots=True)
class Hosts:
    """Where to go, best first. ``secure``: the choice of names came validated (DANE asks); ``implicit``: no MX record
    was there, the domain is its own host; ``literal``: an address was given instead of a name.
    """

    hosts: tuple[Host, ...]
    secure: bool = False
    implicit: bool = False
    literal: bool = False

    @property
    def addresses(self) -> list[tuple[str, str]]:
        """All (name, address) pairs in the order to try."""
        return [(host.name, ip) for host in self.hosts for ip in host.addresses]


class Need(NamedTuple):
    """The questions whose answers are missing."""

    questions: tuple[Question, ...]


@dataclass(frozen=True, slots=True)
class Ourselves:
    """What is us: names in A-label form, addresses as text. ``loopback`` counts 127/8, ::1 and the unspecified ones."""

    names: frozenset[str] = frozenset()
    addresses: frozenset[str] = frozenset()
    loopback: bool = True

    def is_us(self, name: str, addresses: Iterable[str]) -> bool:
        """Tell whether a host is this one."""
        return name in self.names or any(self._our_address(ip) for ip in addresses)

    def _our_address(self, text: str) -> bool:
        ip = ipaddress.ip_address(text)
        mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
        ip = mapped or ip
        # SECURITY: 0.0.0.0 and :: connect to this host as well.
        return str(ip) in self.addresses or (self.loopback and (ip.is_loopback or ip.is_unspecified))


@dataclass(frozen=True, slots=True)
class _Exchanges:
    """The names to look up, sorted by preference."""

    mxs: tuple[Mx, ...]
    secure: bool = False
    implicit: bool = False


@dataclass(slots=True)
class _Survey:
    """What the addresses of all hosts came to."""

    hosts: list[Host] = field(default_factory=list)
    unknown: list[int] = field(default_factory=list)  # preferences of hosts whose look-up failed
    ours: int | None = None  # the best preference at which we found ourselves


def resolve(
    domain: str,
    answers: Mapping[Question, Answer],
    ourselves: Ourselves,
    rng: random.Random,
    families: Sequence[Kind] = (Kind.AAAA, Kind.A),
) -> Hosts | Need | Reply:
    """Decide where mail for ``domain`` (A-labels, or an address literal) goes, from the answers there are."""
    if domain.startswith("["):
        return _literal(domain, ourselves)
    mx = answers.get(Question(domain, Kind.MX))
    if mx is None:
        return Need((Question(domain, Kind.MX),))
    exchanges = _exchanges(domain, mx)
    if isinstance(exchanges, Reply):
        return exchanges
    wanted = [Question(each.exchange, kind) for each in exchanges.mxs for kind in families]
    missing = tuple(question for question in wanted if question not in answers)
    if missing:
        return Need(missing)
    survey = _survey(exchanges, answers, ourselves, rng, families)
    return _choose(domain, exchanges, survey, rng)


def _literal(domain: str, ourselves: Ourselves) -> Hosts | Reply:
    inside = domain[1:-1]
    try:
        ip = str(ipaddress.ip_address(inside[5:] if inside[:5].lower() == "ipv6:" else inside))
    except ValueError:
        return Reply.of(550, "5.1.2", f"{domain} is no address that mail can be sent to")
    if ourselves.is_us(domain, (ip,)):
        return _loops(domain)
    return Hosts((Host(domain, 0, (ip,)),), literal=True)


def _exchanges(domain: str, answer: Answer) -> _Exchanges | Reply:
    """Read the answer to the MX question."""
    match answer:
        case Failure(why):
            return Reply.of(451, "4.4.3", f"Looking up {domain} failed: {why}")
        case NxDomain():
            return Reply.of(550, "5.1.2", f"There is no domain {domain}")
        case NoData(secure=secure):
            return _Exchanges((Mx(0, domain),), secure, implicit=True)
        case Found(records=records, secure=secure):
            return _usable(domain, [each for each in records if isinstance(each, Mx)], secure=secure)


def _usable(domain: str, records: Sequence[Mx], *, secure: bool) -> _Exchanges | Reply:
    named = [each for each in records if each.exchange]
    if not named:
        return Reply.of(556, "5.1.10", f"{domain} does not accept mail (null MX)")
    # QUIRK: some zones name an address as exchange, or the same host twice: the first can never be looked up (and
    # RFC 5321 §5.1 allows no fall-back to the domain's own address then), of the second the better one counts.
    best: dict[str, Mx] = {}
    for each in sorted(named, key=lambda mx: mx.preference):
        if _is_host(each.exchange):
            best.setdefault(each.exchange, each)
    if not best:
        return Reply.of(550, "5.4.4", f"The mail exchanges of {domain} are no host names")
    return _Exchanges(tuple(best.values())[:MAX_EXCHANGES], secure)


def _is_host(name: str) -> bool:
    try:
        ascii_domain(name)
    except AddressError:
        return False
    return not name.rpartition(".")[2].isdigit()  # no top-level domain is a number, but the end of an address is


def _survey(
    exchanges: _Exchanges,
    answers: Mapping[Question, Answer],
    ourselves: Ourselves,
    rng: random.Random,
    families: Sequence[Kind],
) -> _Survey:
    survey = _Survey()
    for mx in exchanges.mxs:
        found = [answers[Question(mx.exchange, kind)] for kind in families]
        addresses = [each for each in found if isinstance(each, Found)]
        if ourselves.is_us(mx.exchange, (ip for each in addresses for ip in each.texts)):
            survey.ours = mx.preference
            break  # whatever comes now is no better
        if addresses:
            lists = [_shuffled(each.texts, rng) for each in addresses]
            secure = all(each.secure for each in addresses)
            survey.hosts.append(Host(mx.exchange, mx.preference, _interleaved(lists), secure))
        elif any(isinstance(each, Failure) for each in found):
            survey.unknown.append(mx.preference)
    return survey


def _choose(domain: str, exchanges: _Exchanges, survey: _Survey, rng: random.Random) -> Hosts | Reply:
    """Drop what would make a loop, then order what is left."""
    hosts, unknown = survey.hosts, survey.unknown
    if survey.ours is not None:
        hosts = [host for host in hosts if host.preference < survey.ours]
        unknown = [preference for preference in unknown if preference < survey.ours]
    if hosts:
        return Hosts(_ordered(hosts, rng), exchanges.secure, exchanges.implicit)
    if unknown:
        return Reply.of(451, "4.4.3", f"Looking up the mail exchanges of {domain} failed")
    if survey.ours is not None:
        return _loops(domain)
    if exchanges.implicit:
        return Reply.of(550, "5.1.2", f"{domain} has neither a mail exchange nor an address")
    return Reply.of(550, "5.4.4", f"The mail exchanges of {domain} have no address")


def _loops(domain: str) -> Reply:
    return Reply.of(554, "5.4.6", f"Mail for {domain} loops back to this host")


def _ordered(hosts: Sequence[Host], rng: random.Random) -> tuple[Host, ...]:
    """Put hosts in random order among equals, and keep the first addresses up to the limit."""
    drawn = sorted(_shuffled(hosts, rng), key=lambda host: host.preference)
    kept: list[Host] = []
    room = MAX_ADDRESSES
    for host in drawn:
        if room <= 0:
            break
        kept.append(host._replace(addresses=host.addresses[:room]))
        room -= len(host.addresses)
    return tuple(kept)


def _shuffled(items: Sequence[T], rng: random.Random) -> list[T]:
    drawn = list(items)
    rng.shuffle(drawn)
    return drawn


def _interleaved(lists: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Alternate between the families, so that one that is broken costs one time-out and not all of them."""
    return tuple(ip for row in zip_longest(*lists) for ip in row if ip is not None)


class Asker(Protocol):
    """The part of ``net.dns.Resolver`` that is needed here."""

    async def ask(self, name: str, kind: Kind) -> Answer:
        """Answer a question."""


async def find_hosts(
    domain: str,
    resolver: Asker,
    ourselves: Ourselves,
    rng: random.Random,
    families: Sequence[Kind] = (Kind.AAAA, Kind.A),
) -> Hosts:
    """Find where mail for ``domain`` goes. Raises MailError (Transient or Permanent) when it goes nowhere."""
    answers: dict[Question, Answer] = {}
    for _ in range(_ROUNDS):
        step = resolve(domain, answers, ourselves, rng, families)
        if isinstance(step, Hosts):
            return step
        if isinstance(step, Reply):
            raise failure(step)
        found = await asyncio.gather(*(resolver.ask(name, kind) for name, kind in step.questions))
        answers.update(zip(step.questions, found, strict=True))
    raise failure(Reply.of(451, "4.4.3", f"Looking up {domain} does not come to an end"))
