"""SELECT, EXAMINE, CLOSE, UNSELECT, CHECK: opening a mailbox and letting go of it.

Standards: RFC 9051 §6.3.2, §6.3.3, §6.4.1, §6.4.2; RFC 3501 §6.3.1, §6.4.1; RFC 7162 §3.1.2.1, §3.2.5; RFC 8474 §4.1
"""

from collections.abc import Iterator

from penfold.access.imap import resync, updates
from penfold.access.imap.client import Answer, Client, Handler, Pieces
from penfold.access.imap.locating import locate
from penfold.access.imap.refusals import refused
from penfold.access.imap.selected import Selected
from penfold.protocols.imap import codes, responses, status
from penfold.protocols.imap.events import Command
from penfold.protocols.imap.mailboxes import Check, Close, Select, Unselect
from penfold.store import Claimed, ClaimRecent, Counts, Expunge, Refused, UidSet

_WRITES = frozenset("iwstde")


async def select(client: Client, command: Command) -> "Answer | Pieces":
    """Open a mailbox; whichever was open before is closed, also if this one cannot be opened."""
    request: Select = command.request
    before = client.selected
    client.deselect()
    client.condstore = client.condstore or request.condstore or request.resync is not None
    place = await locate(client, request.mailbox, "r")
    if isinstance(place, status.Status):
        return place
    assert place.box is not None
    view = await client.store.open(place.account, place.box.id)
    if isinstance(view, Refused):
        return refused(view)
    read_only = request.read_only or not _WRITES & set(place.rights)
    selected = Selected(place, view, read_only=read_only)
    await _claim_recent(client, selected)
    client.selected = selected
    return _described(client, selected, request, closes=before is not None)


async def _claim_recent(client: Client, selected: Selected) -> None:
    r"""Take \Recent, where the session may write and numbers and old clients care."""
    first = following = selected.view.counts().uidnext
    (counts,) = await client.store.status(selected.place.account, [selected.view.mailbox])
    if isinstance(counts, Counts) and not client.rev2 and counts.recent:
        if selected.read_only:
            first = selected.numbering.uid(max(selected.numbering.exists - counts.recent + 1, 1))
        else:
            (claimed,) = await client.store.apply([ClaimRecent(selected.place.account, selected.view.mailbox)])
            if isinstance(claimed, Claimed):
                first, following = claimed.first, claimed.following
    selected.recent = (first, following)


def _described(client: Client, selected: Selected, request: Select, *, closes: bool) -> Pieces:
    if closes:
        yield responses.untagged(status.Kind.OK, "The mailbox before this one is closed", codes.CLOSED)
    yield b"".join(_facts(client, selected))
    if request.resync is not None:
        yield from resync.changes(client, selected, request.resync)
    code = codes.READ_ONLY if selected.read_only else codes.READ_WRITE
    return status.ok("EXAMINE completed" if request.read_only else "SELECT completed", code)


def _facts(client: Client, selected: Selected) -> Iterator[bytes]:
    counts, numbering = selected.view.counts(), selected.numbering
    yield responses.flags(selected.flags)
    yield responses.permanent_flags(selected.permanent)
    yield responses.exists(numbering.exists)
    if not client.rev2:
        yield responses.recent(updates.recent_count(selected))
        unseen = numbering.number(counts.first_unseen) if counts.first_unseen else 0
        if unseen and not client.uid_only:
            yield responses.coded(b"UNSEEN", unseen, "First unseen message")
    yield responses.coded(b"UIDVALIDITY", counts.uidvalidity, "UIDs are valid")
    yield responses.coded(b"UIDNEXT", counts.uidnext, "Predicted next UID")
    if client.service.settings.offers("CONDSTORE"):
        yield responses.coded(b"HIGHESTMODSEQ", selected.told, "Highest mod-sequence")
    box = selected.place.box
    if box is not None and client.service.settings.offers("OBJECTID"):
        yield responses.untagged(status.Kind.OK, "Mailbox identifier", codes.mailbox_id(box.id))
    if box is not None and client.rev2:
        yield responses.listed(selected.place.shown, "/", (), utf8=client.utf8)


def check(client: Client, command: Command) -> Answer:
    """CHECK, which is a NOOP here: what was answered is durable."""
    del client, command
    return None


async def close(client: Client, command: Command) -> Answer:
    """Expunge, tell nothing, deselect."""
    del command
    selected = client.view()
    if not selected.read_only and selected.allows("e"):
        change = Expunge(selected.place.account, selected.view.mailbox, known(selected))
        await client.store.apply([change])
    client.deselect()
    return None


def known(selected: Selected) -> UidSet:
    """Name the messages the client knows of: what arrived unseen by it is not its to expunge."""
    return UidSet.span(1, selected.numbering.limit - 1)


def unselect(client: Client, command: Command) -> Answer:
    """Deselect."""
    del command
    client.deselect()
    return None


HANDLERS: dict[type, Handler] = {Select: select, Check: check, Close: close, Unselect: unselect}
