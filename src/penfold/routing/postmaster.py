"""Somebody always gets the postmaster's mail.

Standards: RFC 5321 §4.5.1; RFC 2142 §5
"""

from penfold.model import Address, AddressError, Recipient, parse_address
from penfold.routing.base import Refuse
from penfold.routing.entries import To
from penfold.routing.expand import lower
from penfold.routing.mailbox import mailbox
from penfold.routing.rules import NO_POSTMASTER
from penfold.routing.walk import Result, Unable, Walk


def postmaster(walk: Walk, recipient: Recipient) -> Result:
    """Find somebody for the postmaster's mail: the configured address, or the first account."""
    named = _configured(walk)
    if named is not None and lower(named) not in {lower(recipient.address), *recipient.parents}:
        return walk.expand(
            recipient, [To(named)], rule="postmaster", key=str(recipient.address), home=walk.settings.home
        )
    try:
        first = walk.ask("accounts", "")
    except Unable as failed:
        return Refuse(failed.reply)
    if first is None:
        walk.note("postmaster", "there is no account")
        return Refuse(NO_POSTMASTER)
    walk.note("postmaster", "the first account")
    return mailbox(walk, recipient, walk.settings.home, first, "")


def _configured(walk: Walk) -> Address | None:
    if not walk.settings.postmaster:
        return None
    try:
        address = parse_address(walk.settings.postmaster)
    except AddressError as error:
        walk.note("postmaster", f"the setting is no address: {error}")
        return None
    return address if address.domain else address.with_domain(walk.settings.home)
