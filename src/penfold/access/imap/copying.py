r"""COPY, MOVE, EXPUNGE: messages go elsewhere, or away.

Standards: RFC 9051 §6.4.3, §6.4.7-§6.4.9; RFC 4315 §2.1, §3; RFC 6851 §3, §4; RFC 4314 §4; RFC 7162 §3.2.10.2
"""

from penfold.access.imap.client import Answer, Client, Handler, Pieces
from penfold.access.imap.locating import TRY_CREATE, locate
from penfold.access.imap.refusals import ISSUED, NO_NUMBER, NO_RIGHT, READ_ONLY, refused, refused_target
from penfold.access.imap.selected import Selected
from penfold.access.imap.selecting import known
from penfold.protocols.imap import codes, responses, status
from penfold.protocols.imap.events import Command
from penfold.protocols.imap.storing import Copy, Expunge, Move
from penfold.store import Copied, Expunged, Refused, UidSet
from penfold.store import Copy as CopyThere
from penfold.store import Expunge as ExpungeThere
from penfold.store import Move as MoveThere


async def copy(client: Client, command: Command) -> "Answer | Pieces":
    """Answer COPY and UID COPY."""
    return await _transfer(client, command, CopyThere)


async def move(client: Client, command: Command) -> "Answer | Pieces":
    """Answer MOVE and UID MOVE."""
    selected = client.view()
    if selected.read_only:
        return READ_ONLY
    if not selected.allows("te"):
        return NO_RIGHT
    return await _transfer(client, command, MoveThere)


async def _transfer(client: Client, command: Command, kind: type[CopyThere] | type[MoveThere]) -> "Answer | Pieces":
    selected, request = client.view(), command.request
    spans = selected.spans(request.messages, uid=request.uid, saved=client.saved)
    if spans is None:
        return NO_NUMBER
    target = await locate(client, request.mailbox, "i", missing=TRY_CREATE)
    if isinstance(target, status.Status):
        return target
    assert target.box is not None
    uids = UidSet.ascending(selected.uids(spans))
    if not uids:
        return None
    (result,) = await client.store.apply(
        [kind(selected.place.account, selected.view.mailbox, uids, target.box.id, target.account)]
    )
    if isinstance(result, Refused):
        return refused_target(result)
    assert isinstance(result, Copied)
    if not result.source:
        return status.no(ISSUED, codes.EXPUNGEISSUED)
    return _copied(client, result, moved=kind is MoveThere)


def _copied(client: Client, result: Copied, *, moved: bool) -> "Answer | Pieces":
    if not client.service.settings.offers("UIDPLUS", "IMAP4rev2"):
        return None
    code = copy_uid(result)
    return _moved(code) if moved else status.ok("COPY completed", code)


def copy_uid(result: Copied) -> bytes:
    """Write COPYUID. PERF: ranges as they are; a million messages in a row are two numbers."""
    return b"COPYUID %d %b %b" % (result.uidvalidity, str(result.source).encode(), str(result.uids).encode())


def _moved(code: bytes) -> Pieces:
    """RFC 6851 §4.3: COPYUID comes before the EXPUNGEs."""
    yield responses.untagged(status.Kind.OK, "Moved", code)
    return None


async def expunge(client: Client, command: Command) -> Answer:
    """Answer EXPUNGE and UID EXPUNGE; the session tells what went."""
    selected: Selected = client.view()
    request: Expunge = command.request
    if selected.read_only:
        return READ_ONLY
    if not selected.allows("e"):
        return NO_RIGHT
    uids = known(selected)
    if request.uids is not None:
        spans = selected.spans(request.uids, uid=True, saved=client.saved)
        uids = UidSet.ascending(selected.uids(spans or []))
    (result,) = await client.store.apply([ExpungeThere(selected.place.account, selected.view.mailbox, uids)])
    if isinstance(result, Refused):
        return refused(result)
    if isinstance(result, Expunged) and client.by_uid and client.condstore and result.uids:
        return status.ok(f"{command.verb} completed", codes.highest_modseq(result.modseq))
    return None


HANDLERS: dict[type, Handler] = {Copy: copy, Move: move, Expunge: expunge}
