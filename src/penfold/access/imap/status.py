"""STATUS: what is in a mailbox, without opening it.

Standards: RFC 9051 §6.3.11; RFC 3501 §6.3.10; RFC 5819; RFC 7162 §3.1.7; RFC 7889 §5; RFC 8438; RFC 8474 §4.2; RFC 9208
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from penfold.access.imap.client import Answer, Client, Handler, Pieces
from penfold.access.imap.locating import locate
from penfold.access.imap.places import Place
from penfold.access.imap.refusals import refused
from penfold.protocols.imap.events import Command
from penfold.protocols.imap.listing import Datum, StatusOf
from penfold.protocols.imap.responses import status_of
from penfold.protocols.imap.status import Status
from penfold.store import AccountId, Counts, MailboxId, Refused

_COUNTED: Final[Mapping[Datum, Callable[[Counts], int]]] = MappingProxyType(
    {
        Datum.DELETED: lambda counts: counts.deleted,
        Datum.DELETED_STORAGE: lambda counts: counts.deleted_size,
        Datum.HIGHESTMODSEQ: lambda counts: counts.highestmodseq,
        Datum.MESSAGES: lambda counts: counts.exists,
        Datum.RECENT: lambda counts: counts.recent,
        Datum.SIZE: lambda counts: counts.size,
        Datum.UIDNEXT: lambda counts: counts.uidnext,
        Datum.UIDVALIDITY: lambda counts: counts.uidvalidity,
        Datum.UNSEEN: lambda counts: counts.unseen,
    }
)


async def status(client: Client, command: Command) -> "Answer | Pieces":
    """Answer STATUS."""
    request: StatusOf = command.request
    client.condstore = client.condstore or Datum.HIGHESTMODSEQ in request.data
    place = await locate(client, request.mailbox, "r")
    if isinstance(place, Status):
        return place
    assert place.box is not None
    (counts,) = await client.store.status(place.account, [place.box.id])
    if isinstance(counts, Refused):
        return refused(counts)
    return _line(client, place, counts, request.data)


def _line(client: Client, place: Place, counts: Counts, data: tuple[Datum, ...]) -> Pieces:
    yield written(client, place, counts, data)
    return None


def written(client: Client, place: Place, counts: Counts, data: tuple[Datum, ...]) -> bytes:
    """Write a STATUS response."""
    return status_of(place.shown, [(datum, _value(client, place, counts, datum)) for datum in data], utf8=client.utf8)


def _value(client: Client, place: Place, counts: Counts, datum: Datum) -> int | str | None:
    if datum is Datum.APPENDLIMIT:
        return client.service.settings.max_append or None
    if datum is Datum.MAILBOXID:
        return place.box.id if place.box else ""
    return _COUNTED[datum](counts)


async def of_places(client: Client, places: list[Place], data: tuple[Datum, ...]) -> dict[str, bytes]:
    """Write the STATUS responses of many mailboxes by the name the client knows, an account at a time."""
    by_account: dict[AccountId, list[Place]] = {}
    for place in places:
        if place.box is not None:
            by_account.setdefault(place.account, []).append(place)
    found: dict[str, bytes] = {}
    for account, there in by_account.items():
        counted = await client.store.status(account, [_id(place) for place in there])
        for place, counts in zip(there, counted, strict=True):
            if isinstance(counts, Counts):
                found[place.shown] = written(client, place, counts, data)
    return found


def _id(place: Place) -> MailboxId:
    assert place.box is not None
    return place.box.id


HANDLERS: dict[type, Handler] = {StatusOf: status}
