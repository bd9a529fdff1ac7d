"""METADATA: annotations of mailboxes and of the account, one's own and those for all.

Standards: RFC 5464 §4.2, §4.3; RFC 9590 §3; RFC 4314 §4
Trust: entries and values are the client's; the store limits their number and size.
"""

from collections.abc import Iterable

from penfold.access.imap.client import Answer, Client, Handler, Pieces
from penfold.access.imap.locating import locate
from penfold.access.imap.places import Place
from penfold.access.imap.refusals import NO_RIGHT, refused
from penfold.protocols.imap import codes, shared_responses, status
from penfold.protocols.imap.annotating import GetMetadata, SetMetadata
from penfold.protocols.imap.events import Command
from penfold.store import NO_MAILBOX, Annotation, Problem, Refused
from penfold.store import SetMetadata as SetThere

_PRIVATE = "/private/"


async def get_metadata(client: Client, command: Command) -> "Answer | Pieces":
    """Answer GETMETADATA."""
    request: GetMetadata = command.request
    found = await _annotations(client, request.mailbox)
    if isinstance(found, status.Status):
        return found
    return _told(client, request, _visible(client, found))


async def _annotations(client: Client, mailbox: str) -> "Iterable[Annotation] | status.Status":
    if not mailbox:
        tree = await client.store.tree(client.account)
        return refused(tree) if isinstance(tree, Refused) else tree.annotations
    place = await locate(client, mailbox)
    if isinstance(place, status.Status):
        return place
    if not {"l", "r"} <= set(place.rights) or place.box is None:
        return NO_RIGHT
    return place.box.annotations


def _visible(client: Client, found: Iterable[Annotation]) -> dict[str, bytes | None]:
    return {note.entry: note.value for note in found if note.user in {"", client.user}}


def _told(client: Client, request: GetMetadata, notes: dict[str, bytes | None]) -> Pieces:
    values: dict[str, bytes | None] = {}
    for entry in request.entries:
        if request.depth == 0:
            values[entry] = notes.get(entry)
        else:
            values |= {name: value for name, value in notes.items() if _below(name, entry, request.depth)}
    longest = 0
    if request.max_size is not None:
        sizes = [len(value) for value in values.values() if value is not None and len(value) > request.max_size]
        longest = max(sizes, default=0)
        values = {name: value for name, value in values.items() if len(value or b"") <= request.max_size}
    if values:
        yield shared_responses.metadata(request.mailbox, values, utf8=client.utf8)
    if longest:
        return status.ok("GETMETADATA completed", codes.metadata_long_entries(longest))
    return None


def _below(name: str, entry: str, depth: int | None) -> bool:
    if name == entry:
        return True
    return name.startswith(entry + "/") and (depth is None or name.count("/") - entry.count("/") <= depth)


async def set_metadata(client: Client, command: Command) -> Answer:
    """Answer SETMETADATA."""
    request: SetMetadata = command.request
    account, box = client.account, NO_MAILBOX
    if request.mailbox:
        place = await locate(client, request.mailbox, "l")
        if isinstance(place, status.Status):
            return place
        shared = any(not entry.startswith(_PRIVATE) for entry in request.values)
        if shared and not set("wtse") & set(place.rights):
            return NO_RIGHT
        assert place.box is not None
        account, box = place.account, place.box.id
    notes = tuple(
        Annotation(entry, value, client.user if entry.startswith(_PRIVATE) else "")
        for entry, value in request.values.items()
    )
    (result,) = await client.store.apply([SetThere(account, box, notes)])
    return _refusal(result) if isinstance(result, Refused) else None


def _refusal(result: Refused) -> status.Status:
    if result.problem is Problem.LIMIT:
        return status.no(result.text, b"METADATA TOOMANY")
    if result.problem is Problem.TOO_BIG:
        return status.no(result.text, b"METADATA MAXSIZE 65536")
    return refused(result)


def values_of(client: Client, place: Place, entries: Iterable[str]) -> dict[str, bytes | None]:
    """Give the annotations of a mailbox that LIST asks for."""
    notes = _visible(client, place.box.annotations if place.box and "r" in place.rights else ())
    return {entry: notes.get(entry.lower()) for entry in entries}


HANDLERS: dict[type, Handler] = {GetMetadata: get_metadata, SetMetadata: set_metadata}
