"""ACL and QUOTA: who may do what with a mailbox, and how much may be kept.

Standards: RFC 4314 §3, §4; RFC 9208 §4, §5; RFC 2087
Trust: identifiers are words of those who may administer a mailbox; nobody sees rights without that.
"""

from typing import Final

from penfold.access.imap.client import Answer, Client, Handler, Pieces
from penfold.access.imap.locating import locate
from penfold.access.imap.places import Place
from penfold.access.imap.refusals import NO_MAILBOX, NO_RIGHT, refused
from penfold.protocols.imap import codes, shared_responses, status
from penfold.protocols.imap import sharing as asked
from penfold.protocols.imap.events import Command
from penfold.store import Ace, Refused, SetAcl, Tree
from penfold.store.names import SEPARATOR
from penfold.store.rights import ALL, OWNER, normal

_BAD_RIGHTS: Final = status.bad("Unknown right")
_KEPT: Final = "la"
_OBSOLETE: Final = (("c", "kx"), ("d", "te"))


async def set_acl(client: Client, command: Command) -> Answer:
    """Answer SETACL."""
    request: asked.SetAcl = command.request
    place = await locate(client, request.mailbox, "a")
    if isinstance(place, status.Status):
        return place
    try:
        rights = normal(request.rights)
    except ValueError:
        return _BAD_RIGHTS
    had = next((ace.rights for ace in _entries(place) if ace.identifier == request.identifier), "")
    if request.change is asked.Change.ADD:
        rights = normal(had + rights)
    elif request.change is asked.Change.REMOVE:
        rights = "".join(right for right in had if right not in rights)
    return await _set(client, place, request.identifier, rights or None)


async def delete_acl(client: Client, command: Command) -> Answer:
    """Answer DELETEACL."""
    request: asked.DeleteAcl = command.request
    place = await locate(client, request.mailbox, "a")
    return place if isinstance(place, status.Status) else await _set(client, place, request.identifier, None)


async def _set(client: Client, place: Place, identifier: str, rights: str | None) -> Answer:
    assert place.box is not None
    # The owner's entry is the one for ``owner``: what the owner's own name is given would count for nothing.
    owner = client.service.people.user(place.account)
    identifier = OWNER if identifier == owner else identifier
    (result,) = await client.store.apply([SetAcl(place.account, place.box.id, identifier, rights)])
    return refused(result) if isinstance(result, Refused) else None


def _entries(place: Place) -> "tuple[Ace, ...]":
    return place.box.acl if place.box else ()


async def get_acl(client: Client, command: Command) -> "Answer | Pieces":
    """Answer GETACL."""
    place = await locate(client, command.request.mailbox, "a")
    return place if isinstance(place, status.Status) else _acl(client, place)


def _acl(client: Client, place: Place) -> Pieces:
    owner = client.service.people.user(place.account)
    entries = {owner if ace.identifier == OWNER else ace.identifier: ace.rights for ace in _entries(place)}
    pairs = list({owner: ALL, **entries}.items())
    yield shared_responses.acl(place.shown, [(name, with_old(rights)) for name, rights in pairs], utf8=client.utf8)
    return None


def with_old(rights: str) -> str:
    """Add the virtual rights that old clients look for (RFC 4314 §2.1.1)."""
    return rights + "".join(old for old, new in _OBSOLETE if set(new) & set(rights))


async def list_rights(client: Client, command: Command) -> "Answer | Pieces":
    """Answer LISTRIGHTS."""
    request: asked.ListRights = command.request
    place = await locate(client, request.mailbox, "a")
    return place if isinstance(place, status.Status) else _list_rights(client, place, request.identifier)


def _list_rights(client: Client, place: Place, identifier: str) -> Pieces:
    required = _KEPT if identifier == client.service.people.user(place.account) else ""
    optional = [right for right in ALL if right not in required]
    yield shared_responses.list_rights(place.shown, identifier, required, optional, utf8=client.utf8)
    return None


async def my_rights(client: Client, command: Command) -> "Answer | Pieces":
    """Answer MYRIGHTS."""
    place = await locate(client, command.request.mailbox)
    if isinstance(place, status.Status):
        return place
    return _my_rights(client, place) if set("lrikxa") & set(place.rights) else NO_MAILBOX


def _my_rights(client: Client, place: Place) -> Pieces:
    yield shared_responses.my_rights(place.shown, with_old(place.rights), utf8=client.utf8)
    return None


# Quotas: each account is a root, one's own is called "".


def _resources(tree: Tree) -> list[tuple[str, int, int]]:
    """Give usage and limit of each limited resource; STORAGE in units of 1024 octets."""
    used, limits = tree.used, tree.limits
    rows = (
        ("STORAGE", -(-used.storage // 1024), limits.storage // 1024),
        ("MESSAGE", used.messages, limits.messages),
        ("MAILBOX", used.mailboxes, limits.mailboxes),
    )
    return [row for row in rows if row[2]]


def _root(place: Place) -> str:
    return place.prefix.removesuffix(SEPARATOR)


async def get_quota(client: Client, command: Command) -> "Answer | Pieces":
    """Answer GETQUOTA."""
    root = command.request.root
    tree = await _tree_of(client, root)
    return tree if isinstance(tree, status.Status) else _quota(client, root, tree)


async def _tree_of(client: Client, root: str) -> "Tree | status.Status":
    if root:
        return status.no("No such quota root", codes.NONEXISTENT)
    tree = await client.store.tree(client.account)
    return refused(tree) if isinstance(tree, Refused) else tree


def _quota(client: Client, root: str, tree: Tree) -> Pieces:
    yield shared_responses.quota(root, _resources(tree), utf8=client.utf8)
    return None


async def get_quota_root(client: Client, command: Command) -> "Answer | Pieces":
    """Answer GETQUOTAROOT."""
    place = await locate(client, command.request.mailbox, "r")
    return place if isinstance(place, status.Status) else _quota_root(client, place)


def _quota_root(client: Client, place: Place) -> Pieces:
    yield shared_responses.quota_root(place.shown, [_root(place)], utf8=client.utf8)
    yield shared_responses.quota(_root(place), _resources(place.tree), utf8=client.utf8)
    return None


async def set_quota(client: Client, command: Command) -> Answer:
    """Answer SETQUOTA: limits are the administrator's, not the user's."""
    del client, command
    return NO_RIGHT


HANDLERS: dict[type, Handler] = {
    asked.SetAcl: set_acl,
    asked.DeleteAcl: delete_acl,
    asked.GetAcl: get_acl,
    asked.ListRights: list_rights,
    asked.MyRights: my_rights,
    asked.GetQuota: get_quota,
    asked.GetQuotaRoot: get_quota_root,
    asked.SetQuota: set_quota,
}
