"""What the host says about names: ``/etc/resolv.conf`` and ``/etc/hosts``, read as text.

Standards: RFC 6761 §6.3 (localhost), §6.4 (invalid); resolv.conf(5), hosts(5)
Trust: root writes these files; lines that make no sense are skipped, as the C library does.
"""

import ipaddress
from typing import NamedTuple

from penfold.net.answers import Answer, Found, Kind, NoData, NxDomain, Question, normal

_SUFFIXES = {Kind.A: 4, Kind.AAAA: 6}
_LOOPBACK = {Kind.A: "127.0.0.1", Kind.AAAA: "::1"}


class Server(NamedTuple):
    """A resolver to ask. ``trusted``: its AD bit is believed, because an administrator named it for that."""

    ip: str
    port: int = 53
    trusted: bool = False


def parse_server(text: str, *, trusted: bool = True) -> Server:
    """Read ``127.0.0.1``, ``127.0.0.1:5301``, ``::1`` or ``[::1]:5301``. Raises ValueError."""
    ip, port = text, "53"
    if text.startswith("["):
        ip, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(f"bad resolver {text!r}")
        port = rest[1:] or "53"
    elif text.count(":") == 1:
        ip, port = text.split(":")
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"bad port in resolver {text!r}")
    return Server(str(ipaddress.ip_address(ip)), int(port), trusted)


def read_resolv_conf(text: str) -> tuple[Server, ...]:
    """Give the name servers of a resolv.conf, at most three; loopback when it names none."""
    addresses: list[str] = []
    trusted = False
    for line in text.splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == "nameserver" and _is_address(words[1]):
            addresses.append(words[1])
        elif words and words[0] == "options":
            trusted = trusted or "trust-ad" in words
    return tuple(Server(ip, 53, trusted) for ip in addresses[:3] or ["127.0.0.1"])


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


class Hosts:
    """The names a hosts file knows, and the names that are special everywhere."""

    def __init__(self, text: str = "") -> None:
        self._addresses: dict[str, list[str]] = {}
        self._names: dict[str, str] = {}
        for line in text.splitlines():
            self._add(line.partition("#")[0].split())

    def _add(self, words: list[str]) -> None:
        if len(words) < 2 or not _is_address(words[0]):
            return
        ip = str(ipaddress.ip_address(words[0])).partition("%")[0]  # names of links are left out
        self._names.setdefault(reverse_name(ip), normal(words[1]))
        for word in words[1:]:
            known = self._addresses.setdefault(normal(word), [])
            if ip not in known:
                known.append(ip)

    def answer(self, question: Question) -> Answer | None:
        """Answer a question, or None when it must be asked of a resolver."""
        name, kind = question
        if name == "invalid" or name.endswith(".invalid"):
            return NxDomain()
        if kind is Kind.PTR and name in self._names:
            return Found((self._names[name],), canonical=name)
        if kind not in _SUFFIXES:
            return None
        if name in self._addresses:
            version = _SUFFIXES[kind]
            ips = tuple(ip for ip in self._addresses[name] if ipaddress.ip_address(ip).version == version)
            return Found(ips, canonical=name) if ips else NoData(canonical=name)
        if name == "localhost" or name.endswith(".localhost"):
            return Found((_LOOPBACK[kind],), canonical=name)
        return None


def reverse_name(ip: str) -> str:
    """Give the name a PTR question for an address asks about. Raises ValueError."""
    return ipaddress.ip_address(ip.partition("%")[0]).reverse_pointer
