r"""FETCH: many messages as columns, or message by message where octets of them are asked for.

An answer goes out in pieces of some rows; between two pieces the session lets the client read and others work. A
message that is gone for others, but of which this client was not told yet, is still told of.

Standards: RFC 9051 §6.4.5, §7.5.2; RFC 7162 §3.1.4.1, §3.2.6; RFC 2180 §4.1; RFC 3516 §4.3; RFC 9394 §3.4;
    RFC 9586 §3.3
"""

from array import array
from bisect import bisect_right
from collections.abc import Coroutine, Iterator
from itertools import accumulate, chain
from typing import Any, Final, NamedTuple

from penfold.access.imap import fetch_sections, updates
from penfold.access.imap.client import Answer, Client, Handler, Pieces
from penfold.access.imap.fetch_columns import Batch, columns, has_column, is_read, is_whole
from penfold.access.imap.refusals import ISSUED, NO_NUMBER
from penfold.access.imap.selected import Selected
from penfold.message.content_decoding import UnknownEncoding
from penfold.protocols.imap import codes, status
from penfold.protocols.imap.events import Command
from penfold.protocols.imap.fetching import Attribute, Fetch, FetchItem
from penfold.protocols.imap.rows import fetch_rows
from penfold.store import Column, Flagged, How, StoreFlags, UidSet
from penfold.store.flags import SEEN

_LIGHT: Final = 2000  # rows of a piece where all is numbers
_HEAVY: Final = 200  # rows of a piece with what is rendered
_RENDERABLE: Final = 4 << 20  # octets of messages of which rendered items make a piece
_FULL: Final = 65536  # octets of messages that make a piece
_RENDERED: Final = {Attribute.ENVELOPE, Attribute.BODYSTRUCTURE, Attribute.PREVIEW, Attribute.PREVIEW_LAZY}
_UNKNOWN_CTE = status.no("The transfer encoding is unknown", b"UNKNOWN-CTE")


class Plan(NamedTuple):
    """What to tell of each message: ``shown`` of many at once, ``cut`` message by message."""

    shown: tuple[FetchItem, ...]
    cut: tuple[FetchItem, ...]

    @property
    def batch(self) -> int:
        """How many rows a piece has, at most."""
        light = all(isinstance(item, Attribute) and item not in _RENDERED for item in self.shown)
        return _LIGHT if light and not self.cut else _HEAVY

    @property
    def whole(self) -> bool:
        """Whether whole messages are asked for, so that a piece is measured in octets."""
        return any(map(is_whole, self.shown))

    def one_by_one(self) -> "Plan":
        """Cut all that is octets of messages."""
        read = tuple(item for item in self.shown if is_read(item))
        return Plan(tuple(item for item in self.shown if not is_read(item)), (*read, *self.cut))


def plan(items: tuple[FetchItem, ...], *, uid_only: bool = False) -> Plan:
    """Sort items into those with columns and those without."""
    shown = tuple(item for item in items if has_column(item))
    if uid_only:  # RFC 9586 §3.3: the UID is the number of the response already
        shown = tuple(item for item in shown if item is not Attribute.UID)
    cut = tuple(item for item in items if not has_column(item))
    planned = Plan(shown, cut)
    return planned.one_by_one() if cut else planned


def fetch(client: Client, command: Command) -> "Answer | Pieces | Coroutine[Any, Any, Answer | Pieces]":
    """Answer FETCH and UID FETCH."""
    selected, request = client.view(), command.request
    client.condstore = client.condstore or Attribute.MODSEQ in request.items
    spans = selected.spans(request.messages, uid=request.uid, saved=client.saved)
    if spans is None:
        return NO_NUMBER
    uids = selected.uids(spans)
    if request.page is not None:
        uids = uids[request.page.cut(len(uids))]
    planned = plan(request.items, uid_only=client.uid_only)
    if request.sets_seen and not selected.read_only and selected.allows("s"):
        return _seen_first(client, selected, request, uids, planned)
    return _answer(client, selected, request, uids, planned)


async def _seen_first(
    client: Client, selected: Selected, request: Fetch, uids: "array[int]", planned: Plan
) -> "Answer | Pieces":
    r"""Set \Seen, then answer with the new flags."""
    rows = selected.view.rows(_changed(selected, request, uids))
    bits, all_uids = selected.view.columns([Column.FLAGS, Column.UID], rows)
    unseen = array("I", (uid for uid, flags in zip(all_uids, bits, strict=True) if not flags & SEEN))
    if unseen:
        change = StoreFlags(
            selected.place.account, selected.view.mailbox, UidSet.ascending(unseen), How.ADD, ("\\Seen",)
        )
        (result,) = await client.store.apply([change])
        selected.view.refresh()
        if isinstance(result, Flagged) and result.changed:
            selected.hush(result.changed, result.modseq)
            if Attribute.FLAGS not in planned.shown:
                planned = planned._replace(shown=(Attribute.FLAGS, *planned.shown))
    return _answer(client, selected, request, uids, planned)


def _changed(selected: Selected, request: Fetch, uids: "array[int]") -> "array[int]":
    """Keep the messages that changed since the MODSEQ of CHANGEDSINCE."""
    since = request.changed_since
    if since is None:
        return uids
    rows = selected.view.changes(since).rows
    changed = selected.view.columns([Column.UID], rows)[0] if len(rows) else ()
    return UidSet.ascending(uids).among(array("I", changed))


def _answer(client: Client, selected: Selected, request: Fetch, uids: "array[int]", planned: Plan) -> Pieces:
    if request.vanished and request.changed_since is not None:
        yield _vanished(client, selected, request, request.changed_since)
    wanted = _changed(selected, request, uids)
    missing = start = 0
    while start < len(wanted):
        piece = _piece(selected, wanted[start : start + planned.batch], planned)
        start += len(piece)
        missing += len(piece) - len(selected.view.rows(piece))
        failed = yield from some(client, selected, piece, planned)
        if failed is not None:
            return failed
    done = "UID FETCH completed" if request.uid else "FETCH completed"
    return status.ok(ISSUED, codes.EXPUNGEISSUED) if missing else status.ok(done)


def _piece(selected: Selected, uids: "array[int]", planned: Plan) -> "array[int]":
    """Take as many of these messages as make a piece.

    What is rendered of a message is about as large as its headers, which nobody but its size limits.
    """
    rows = selected.view.rows(uids)
    if planned.batch == _LIGHT or len(rows) != len(uids):
        return uids
    sizes = selected.view.columns([Column.SIZE], rows)[0]
    fits = bisect_right(list(accumulate(sizes)), _FULL if planned.whole else _RENDERABLE)
    return uids[: max(fits, 1)]


def _large(selected: Selected, uids: "array[int]") -> bool:
    """Tell whether this is one message that makes several pieces."""
    rows = selected.view.rows(uids)
    return len(rows) == 1 and selected.view.columns([Column.SIZE], rows)[0][0] > _FULL


def some(client: Client, selected: Selected, uids: "array[int]", planned: Plan) -> Pieces:
    """Give the FETCH responses of the messages of a piece."""
    if not planned.cut and not (planned.whole and _large(selected, uids)):
        try:
            piece = message_rows(client, selected, uids, planned)
        except OSError:
            pass  # which message it is shows when they are read one by one
        else:
            yield piece
            return None
    return (yield from _cut_rows(client, selected, uids, planned.one_by_one()))


def _vanished(client: Client, selected: Selected, request: Fetch, since: int) -> bytes:
    """RFC 7162 §3.2.6: those of the UIDs named that are gone, and no others."""
    named = request.messages
    limit = max(selected.numbering.limit - 1, 1)
    asked = client.saved if named.saved else UidSet.joined(named.ranges(limit))
    gone = selected.view.changes(since).vanished
    # What the client was not told of yet as expunged is told by the next update, not here.
    gone = gone.without(UidSet.ascending(selected.uids([(1, selected.numbering.exists)])))
    return updates.vanished(gone.without(gone.without(asked)), earlier=True)


def message_rows(client: Client, selected: Selected, uids: "array[int]", planned: Plan) -> bytes:
    """Give the FETCH responses of some messages, by columns alone."""
    rows = selected.view.rows(uids)
    shown = columns(Batch(selected, rows, client.utf8), planned.shown)
    found = selected.view.columns([Column.UID], rows)[0] if len(rows) else ()
    if client.uid_only:
        return fetch_rows(found, shown, verb=b"UIDFETCH")
    return fetch_rows(updates.numbers(selected, found), shown)


def _cut_rows(client: Client, selected: Selected, uids: "array[int]", planned: Plan) -> Pieces:
    """Give FETCH responses with octets of messages; several small messages make one piece."""
    piece: list[bytes] = []
    size = 0
    for uid in uids:
        message = fetch_sections.Opened(selected.view, uid)
        try:
            parts = _message(client, selected, uid, message, planned)
            first = next(parts)
        except fetch_sections.Unreadable:
            continue
        except UnknownEncoding:
            yield b"".join(piece)
            return _UNKNOWN_CTE
        for part in chain((first,), parts):
            piece.append(part)
            size += len(part)
            if size >= _FULL:
                yield b"".join(piece)
                piece.clear()
                size = 0
    yield b"".join(piece)
    return None


def _message(
    client: Client, selected: Selected, uid: int, message: fetch_sections.Opened, planned: Plan
) -> Iterator[bytes]:
    """Write one response. Whatever can go wrong with a message goes wrong before the first piece."""
    head = message_rows(client, selected, array("I", (uid,)), planned)[:-3]
    for item in planned.cut:
        fetch_sections.prepare(message, item)
    before = head + (b" " if planned.shown else b"")
    for item in planned.cut:
        for part in fetch_sections.answer(message, item):
            yield before + part if before else part
            before = b""
        before = b" "
    yield b")\r\n"


HANDLERS: dict[type, Handler] = {Fetch: fetch}
