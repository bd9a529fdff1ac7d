"""The relay rule: mail for elsewhere only from those who may send it. Closed unless opened.

Everyone may send to our own domains. To other domains: clients who authenticated, and clients whose address lies in
``relay.networks``. LMTP never relays, whoever asks (RFC 2033 §4.3 gives it no such role), and the local command speaks
for a user of this machine.

Standards: RFC 5321 §3.6.2, §7.9
Trust: judges by the connection's address and the routing decision, never by what an address looks like.
"""

from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from penfold.guard.base import PASS, Facts, Stage, Verdict
from penfold.model import Reply
from penfold.routing.base import Deliver

DENIED = Verdict(reply=Reply.of(550, "5.7.1", "Relaying denied"), rule="relay")
LMTP_DENIED = Verdict(reply=Reply.of(550, "5.7.1", "Not a mailbox here; LMTP does not relay"), rule="relay")


class RelayRule:
    """Refuses recipients that are not ours from clients that may not relay."""

    stages: frozenset[Stage] = frozenset({"rcpt"})

    def examine(self, stage: Stage, facts: Facts) -> Verdict:  # noqa: ARG002 - one stage only
        """Judge the recipient in ``facts`` by its routing decision."""
        if facts.decision is None or not isinstance(facts.decision.result, Deliver) or facts.decision.result.local:
            return PASS
        if facts.role == "lmtp":
            return LMTP_DENIED
        if facts.trusted or facts.origin.user or facts.role == "local":
            return PASS
        return DENIED


class Networks:
    """A set of networks in CIDR form; ``in`` tells whether an address (text) lies in one of them."""

    def __init__(self, networks: tuple[str, ...]) -> None:
        self._networks: list[IPv4Network | IPv6Network] = [ip_network(text, strict=False) for text in networks]
        # PERF: asked for every message of a client; reading an address takes 3 µs, a look at what was answered 0.1.
        self._asked = lru_cache(maxsize=4096)(self._contains)

    def __contains__(self, address: object) -> bool:
        """Tell; an unreadable address is in no network."""
        return bool(self._networks) and self._asked(address)

    def _contains(self, address: object) -> bool:
        try:
            ip = ip_address(str(address))
        except ValueError:
            return False
        if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        return any(ip in network for network in self._networks)
