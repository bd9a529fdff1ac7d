"""From an account to the way out of its mail.

The table ``accounts`` answers ``mailer id``; the extension of the address becomes the host of the route, for filters
and ``.forward+extension``: ``Route("local", "lists", "alice@example.test")``.
"""

from penfold.model import Address, Recipient, Reply, Route
from penfold.routing.base import Deliver, Found, Refuse
from penfold.routing.rules import BAD_TABLE
from penfold.routing.transport import parse_transport
from penfold.routing.walk import Result, Walk


def mailbox(walk: Walk, recipient: Recipient, domain: str, found: Found, extension: str) -> Result:
    """Deliver to the account found, by our own delivery or by whoever takes its mail."""
    mailer, _, identity = found.values[0].partition(" ")
    if mailer not in {"local", "unix"} or not identity:
        walk.note("account", f"unreadable value {found.values[0]!r}", found.source)
        return Refuse(BAD_TABLE)
    walk.note("account", f"{identity} ({mailer})" + (f", extension {extension}" if extension else ""), found.source)
    elsewhere = _elsewhere(walk, recipient.address, domain)
    if isinstance(elsewhere, Reply):
        return Refuse(elsewhere)
    return Deliver(elsewhere or Route(mailer, extension, identity), recipient, local=True)


def _elsewhere(walk: Walk, address: Address, domain: str) -> Route | Reply | None:
    """Find who takes accounts' mail instead of our own delivery: a transport entry of the domain, or the setting."""
    found = walk.ask("transport", domain)
    value = found.values[0] if found else walk.settings.mailbox_transport
    if not value:
        return None
    walk.note("transport", f"{domain} -> {value}", found.source if found else "mailbox_transport")
    return parse_transport(value, address if address.domain == domain else address.with_domain(domain), walk.settings)
