"""Which domains are ours, and what is looked up for a name there.

Standards: RFC 5321 §4.5.1; RFC 5233
Trust: recipients come from anywhere; percent signs, bangs and routes in a local part mean nothing, it is only a key.
"""

from typing import NamedTuple

from penfold.model import Address, Recipient
from penfold.routing.entries import TARGET_DOMAINS
from penfold.routing.expand import lower
from penfold.routing.rules import RouterSettings


class Name(NamedTuple):
    """A local part to look for: the whole one, or the part before the extension, with the extension."""

    key: str
    extension: str


class Place(NamedTuple):
    """A recipient at a domain of ours, ready to be looked up. ``domain`` is the canonical one, in lower case."""

    recipient: Recipient
    domain: str
    names: tuple[Name, ...]
    final: bool
    aliases: bool

    def logins(self) -> tuple[Name, ...]:
        """Give the names that may be login names. SECURITY: a quoted ``"bob@x.test"`` is not that account."""
        return self.names if self.aliases and "@" not in self.names[0].key else ()


class Ground:
    """The domains of ours, from the settings."""

    def __init__(self, settings: RouterSettings) -> None:
        self.settings = settings
        self.locals = frozenset(settings.local_domains)
        self.ours = self.locals | settings.virtual_domains | settings.literals | {""}
        self.separators = frozenset(settings.separator)

    def is_local(self, address: Address) -> bool:
        """Tell whether mail for the address ends here: a local or virtual domain, a literal of ours, or no domain."""
        return address.domain in self.ours

    def answers_for(self, address: Address) -> bool:
        """Tell whether we answer for the address: a domain of ours, or a program, file or list."""
        return address.domain in self.ours or address.domain in TARGET_DOMAINS

    def is_postmaster(self, address: Address) -> bool:
        """Tell whether the address is postmaster's, with or without an extension, at a domain of ours."""
        local = address.local
        named = local[:10].lower() == "postmaster" and (len(local) == 10 or local[10] in self.separators)
        return named and self.is_local(address)

    def place(self, recipient: Recipient) -> Place:
        """Prepare the look-ups of a recipient at a domain of ours."""
        address = recipient.address
        domain = address.domain
        if not domain or domain in self.settings.literals:
            domain = self.settings.home
        local = address.local.lower()
        parents = recipient.parents
        final = bool(parents) and parents[-1] == lower(address)
        aliases = domain not in self.settings.virtual_domains
        return Place(recipient, domain, self._names(address.local, local), final, aliases)

    def _names(self, local: str, key: str) -> tuple[Name, ...]:
        whole = Name(key, "")
        cut = min((at for at in map(key.find, self.separators) if at > 0), default=0)
        if not cut or len(key) != len(local):
            return (whole,)
        return whole, Name(key[:cut], local[cut + 1 :])

    def home(self, recipient: Recipient) -> str:
        """Tell the domain that completes names in a list: that of the address which led to it."""
        for parent in reversed(recipient.parents):
            if parent.domain in self.locals or parent.domain in self.settings.virtual_domains:
                return parent.domain
        return self.settings.home
