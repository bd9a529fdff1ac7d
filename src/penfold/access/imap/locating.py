"""Mailboxes by the names clients give, and what the client may do there.

Standards: RFC 4314 §4, §6; RFC 5530 §3
Trust: names are the client's.
"""

from penfold.access.imap.client import Client
from penfold.access.imap.places import Place, Who, find, trees
from penfold.access.imap.refusals import NO_MAILBOX, NO_RIGHT
from penfold.protocols.imap import codes
from penfold.protocols.imap.status import Status, no
from penfold.store import Tree

TRY_CREATE = no("No such mailbox", codes.TRYCREATE)


def who(client: Client) -> Who:
    """Tell whose rights count."""
    return Who(client.user, client.account, client.groups)


async def place_of(client: Client, name: str) -> Place | None:
    """Find a mailbox, or the place for one."""
    return await find(client.store, client.service.people, who(client), name)


async def locate(client: Client, name: str, rights: str = "", *, missing: Status = NO_MAILBOX) -> Place | Status:
    """Find a mailbox that is there and in which the client has these rights, or say why not."""
    place = await place_of(client, name)
    if place is None or place.box is None or not place.rights:
        return missing
    if not set(rights) <= set(place.rights):
        # SECURITY: who may not even look a mailbox up does not learn that it is there.
        return NO_RIGHT if "l" in place.rights else missing
    return place


async def all_trees(client: Client) -> list[tuple[str, Tree]]:
    """Give the accounts the client may see anything of, with their prefixes."""
    return await trees(client.store, client.service.sharing, client.service.people, who(client))
