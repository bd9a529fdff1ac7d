"""Finds the addresses of a next hop, in the order to try them, and remembers which of them did not answer.

Standards: RFC 5321 §5.1; RFC 7505
Trust: names lead where their owners say; what leads to ourselves is left out here.
"""

import asyncio
import ipaddress
import random
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from penfold.model import Reply, failure
from penfold.net.answers import Failure, Found, Kind
from penfold.net.link import Peer
from penfold.net.mx import Asker, Hosts, Ourselves, find_hosts
from penfold.transport.mailers.hop import Hop, Place

BAD_SECONDS = 60.0  # an address that did not answer is tried last for so long
_MEMORY = 5000


class Candidate(NamedTuple):
    """One address to try: ``name`` is the host's, or the address again; for a Unix socket ``path`` says where."""

    name: str
    peer: Peer
    path: str = ""

    @property
    def shown(self) -> str:
        """The host as mail writes it: an address in brackets."""
        if self.name != self.peer.ip:
            return self.name
        return f"[IPv6:{self.name}]" if ":" in self.name else f"[{self.name}]"

    @property
    def where(self) -> str:
        """Name, address and port, or the path, for people."""
        name = "" if self.name == self.peer.ip else self.name
        return self.path or f"{name}[{self.peer.ip}]:{self.peer.port}"


class Finder:
    """Looks next hops up. ``own`` tells whether an address and port is one where we listen ourselves."""

    def __init__(
        self,
        resolver: Asker,
        ourselves: Ourselves | None = None,
        *,
        own: Callable[[str, int], bool] = lambda _ip, _port: False,
        families: Sequence[Kind] = (Kind.AAAA, Kind.A),
        rng: random.Random | None = None,
    ) -> None:
        self._resolver = resolver
        self._ourselves = ourselves or Ourselves()
        self._own = own
        self._families = families
        self._rng = rng or random.Random()  # noqa: S311  the order among equals is no secret

    async def find(self, hop: Hop) -> Sequence[Candidate]:
        """Give all addresses. Raises MailError (Transient or Permanent) when there is none."""
        if hop.place is Place.SOCKET:
            return (Candidate("localhost", Peer("", 0), hop.name),)
        if hop.place is Place.HOST:
            found = [Candidate(hop.name, Peer(ip, hop.port)) for ip in await self._addresses(hop.name)]
        else:
            hosts = await find_hosts(hop.name, self._resolver, self._ourselves, self._rng, self._families)
            literal = hosts.literal
            better = self._better(hosts, hop.port)
            found = [Candidate(ip if literal else name, Peer(ip, hop.port)) for name, ip in better.addresses]
        foreign = [each for each in found if not self._own(*each.peer)]
        if not foreign:
            raise failure(Reply.of(554, "5.4.6", f"Mail for {hop.name} loops back to this host"))
        return foreign

    def _better(self, hosts: Hosts, port: int) -> Hosts:
        """Leave out the hosts that are no better than ourselves (RFC 5321 §5.1)."""
        ours = [host.preference for host in hosts.hosts if any(self._own(ip, port) for ip in host.addresses)]
        if not ours:
            return hosts
        return replace(hosts, hosts=tuple(host for host in hosts.hosts if host.preference < min(ours)))

    async def _addresses(self, name: str) -> list[str]:
        """Look up a host that an administrator named."""
        try:
            return [str(ipaddress.ip_address(name))]
        except ValueError:
            pass
        answers = await asyncio.gather(*(self._resolver.ask(name, kind) for kind in self._families))
        found = [ip for answer in answers if isinstance(answer, Found) for ip in answer.texts]
        if found:
            return found
        if any(isinstance(answer, Failure) for answer in answers):
            raise failure(Reply.of(451, "4.4.3", f"Looking up {name} failed"))
        # The administrator's word may be mended; his users' mail waits for it.
        raise failure(Reply.of(451, "4.4.4", f"The next hop {name} has no address"))


class Memory:
    """Things to remember for a while, by key; the oldest go when there are too many."""

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self._seconds = seconds
        self._clock = clock
        self._until: dict[object, float] = {}

    def add(self, key: object) -> None:
        """Remember."""
        self._until.pop(key, None)
        while len(self._until) >= _MEMORY:
            del self._until[next(iter(self._until))]
        self._until[key] = self._clock() + self._seconds

    def forget(self, key: object) -> None:
        """Forget at once."""
        self._until.pop(key, None)

    def __contains__(self, key: object) -> bool:
        until = self._until.get(key)
        if until is None:
            return False
        if until <= self._clock():
            del self._until[key]
            return False
        return True


def in_order(candidates: Iterable[Candidate], tried: Collection[Candidate], bad: Memory) -> list[Candidate]:
    """Put what did not answer lately at the end, and leave out what was tried."""
    fresh = [each for each in candidates if each not in tried]
    return sorted(fresh, key=lambda each: each in bad)
