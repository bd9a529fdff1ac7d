r"""CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE, NAMESPACE: the tree of mailboxes.

Standards: RFC 9051 §6.3.4-§6.3.8, §6.3.10; RFC 6154 §3; RFC 2342; RFC 4314 §4; RFC 5530 §3
Trust: names are the client's; the store says which may be one.
"""

from typing import Final

from penfold.access.imap.client import Answer, Client, Handler, Pieces
from penfold.access.imap.locating import locate, place_of
from penfold.access.imap.places import OTHERS, Place
from penfold.access.imap.refusals import NO_MAILBOX, NO_RIGHT, refused
from penfold.protocols.imap import codes, responses, status
from penfold.protocols.imap import mailboxes as asked
from penfold.protocols.imap.events import Command
from penfold.store import INBOX, Change, Create, Created, Delete, Refused, Rename, Subscribe
from penfold.store.names import SEPARATOR, above

_BAD_NAME: Final = status.no("That can be no mailbox", codes.CANNOT)
_THERE: Final = status.no("The mailbox exists already", codes.ALREADYEXISTS)
_OTHERS_USE: Final = status.no("No such special use here", b"USEATTR")
_USES: Final = frozenset({"\\Archive", "\\Drafts", "\\Important", "\\Junk", "\\Sent", "\\Trash"})


async def create(client: Client, command: Command) -> Answer:
    """Answer CREATE. A separator at the end says that others will come below: nothing we need to know."""
    request: asked.Create = command.request
    place = await place_of(client, request.mailbox.removesuffix(SEPARATOR))
    if place is None:
        return _BAD_NAME
    if place.box is not None:
        return _THERE if "l" in place.rights else NO_RIGHT
    if "k" not in place.rights:
        return NO_RIGHT
    if not set(request.special_use) <= _USES:
        return _OTHERS_USE
    answer = await _apply(client, Create(place.account, place.name, request.special_use))
    if isinstance(answer, Created) and client.service.settings.offers("OBJECTID"):
        return status.ok("CREATE completed", codes.mailbox_id(answer.mailbox))
    return answer if isinstance(answer, status.Status) else None


async def delete(client: Client, command: Command) -> Answer:
    """Answer DELETE."""
    place = await locate(client, command.request.mailbox, "x")
    if isinstance(place, status.Status):
        return place
    answer = await _apply(client, Delete(place.account, place.name))
    return answer if isinstance(answer, status.Status) else None


async def rename(client: Client, command: Command) -> Answer:
    """Answer RENAME: with the right to delete here and to create there."""
    request: asked.Rename = command.request
    old = await place_of(client, request.mailbox)
    new = await place_of(client, request.new_name.removesuffix(SEPARATOR))
    if old is None or not _something(old):
        return NO_MAILBOX
    if new is None:
        return _BAD_NAME
    if new.box is not None:
        return _THERE
    if ("x" not in old.rights and old.name != INBOX) or "k" not in new.rights:
        return NO_RIGHT
    if old.account != new.account:
        return status.no("A mailbox stays with its owner", codes.CANNOT)
    answer = await _apply(client, Rename(old.account, old.name, new.name))
    return answer if isinstance(answer, status.Status) else None


def _something(place: Place) -> bool:
    """Tell whether there is a mailbox, or one below that name."""
    if place.box is not None:
        return "l" in place.rights
    return any(place.name in above(box.name) for box in place.tree.mailboxes)


async def _apply(client: Client, change: Change) -> "Created | status.Status | None":
    (result,) = await client.store.apply([change])
    if isinstance(result, Refused):
        return refused(result)
    return result if isinstance(result, Created) else None


async def subscribe(client: Client, command: Command) -> Answer:
    """Answer SUBSCRIBE; names of mailboxes that are not there are taken, too."""
    return await _subscribe(client, command.request.mailbox, on=True)


async def unsubscribe(client: Client, command: Command) -> Answer:
    """Answer UNSUBSCRIBE."""
    return await _subscribe(client, command.request.mailbox, on=False)


async def _subscribe(client: Client, name: str, *, on: bool) -> Answer:
    (result,) = await client.store.apply([Subscribe(client.account, name.removesuffix(SEPARATOR), on)])
    return refused(result) if isinstance(result, Refused) else None


def namespace(client: Client, command: Command) -> Pieces:
    """Answer NAMESPACE."""
    del command
    others = [(OTHERS, SEPARATOR)] if client.service.sharing is not None else []
    yield responses.namespace([("", SEPARATOR)], others, [], utf8=client.utf8)
    return None


HANDLERS: dict[type, Handler] = {
    asked.Create: create,
    asked.Delete: delete,
    asked.Rename: rename,
    asked.Subscribe: subscribe,
    asked.Unsubscribe: unsubscribe,
    asked.Namespace: namespace,
}
