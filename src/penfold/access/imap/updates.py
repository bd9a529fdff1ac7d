"""What others changed in the selected mailbox, told to the client when it may be told.

Flags and arrivals are told whenever there is a chance; expunges only where the client counts on no number: not in the
answer to FETCH, STORE, SEARCH, SORT and THREAD by number. Until then the numbering keeps the numbers of the gone.

Standards: RFC 9051 §5.5, §7.4.1, §7.5.1, §7.5.2; RFC 3501 §7.3.2; RFC 7162 §3.1.2, §3.2.10; RFC 9586 §3
"""

from array import array
from collections.abc import Iterator, Sequence
from typing import Final

from penfold.access.imap.client import Client
from penfold.access.imap.selected import Selected
from penfold.protocols.imap import responses
from penfold.protocols.imap.rows import Column as Shown
from penfold.protocols.imap.rows import fetch_rows
from penfold.protocols.imap.status import Kind
from penfold.store import ClaimRecent, Column, Rows, UidSet

BATCH: Final = 1000  # rows of one piece


def tell(client: Client, *, expunges: bool) -> Iterator[bytes]:
    """Come up to what is published and give what the client must hear."""
    selected = client.view()
    view = selected.view
    if view.refresh() and view.gone:
        client.deselect()
        client.core.deselect()
        yield responses.untagged(Kind.OK, "The mailbox is gone", b"CLOSED")
        return
    if view.counts().highestmodseq == selected.told and not selected.numbering.waiting:
        return
    yield from keywords(selected)
    if expunges:
        # Also where no number the client knows is gone: what came and went meanwhile is not to be counted as arrived.
        told = selected.numbering.expunge()
        if told.uids:
            yield vanished(told.uids) if client.by_uid else responses.expunged(told.numbers)
    yield from flag_rows(client, selected, _uids(selected, selected.news()))
    yield from _arrivals(client, selected)


def keywords(selected: Selected) -> Iterator[bytes]:
    """Tell of new keywords, which must be known before a message bears them."""
    if selected.view.keywords != selected.keywords:
        selected.learn_keywords()
        yield responses.flags(selected.flags) + responses.permanent_flags(selected.permanent)


def vanished(uids: UidSet, *, earlier: bool = False) -> bytes:
    """Tell by UID which messages are gone; nothing for none."""
    return b"* VANISHED %b%b\r\n" % (b"(EARLIER) " if earlier else b"", str(uids).encode()) if uids else b""


def _arrivals(client: Client, selected: Selected) -> Iterator[bytes]:
    known = selected.numbering.limit
    exists = selected.numbering.arrive()
    if not exists:
        return
    yield responses.exists(exists)
    if not client.rev2:
        yield _recent(client, selected, known)
    if client.wishes is not None:
        yield from client.wishes.arrived(client, known)


def _recent(client: Client, selected: Selected, known: int) -> bytes:
    if selected.view.counts().recent:
        first, following = selected.recent
        selected.recent = (first if following > first else known, selected.numbering.limit)
        if not selected.read_only:
            client.service.spawn(_claim_recent(client, selected))
    return responses.recent(recent_count(selected))


async def _claim_recent(client: Client, selected: Selected) -> None:
    r"""Take \Recent of what arrived, so that it is recent for nobody who comes later."""
    await client.store.apply([ClaimRecent(selected.place.account, selected.view.mailbox)])


def recent_count(selected: Selected) -> int:
    """Count what is recent in this session."""
    first, following = selected.recent
    return len(selected.numbering.span(first, following - 1)) if following > first else 0


def _uids(selected: Selected, rows: Rows) -> "array[int]":
    if not len(rows):
        return array("I")
    return array("I", selected.view.columns([Column.UID], rows)[0])


def flag_rows(client: Client, selected: Selected, uids: "array[int]", *, flags: bool = True) -> Iterator[bytes]:
    """Give FETCH responses with the flags of messages as they are now; without ``flags`` just their MODSEQs."""
    for start in range(0, len(uids), BATCH):
        rows = selected.view.rows(uids[start : start + BATCH])
        yield _flag_rows(client, selected, rows, flags=flags)


def _flag_rows(client: Client, selected: Selected, rows: Rows, *, flags: bool) -> bytes:
    uids, modseqs = selected.view.columns([Column.UID, Column.MODSEQ], rows)
    shown = [Shown(b"FLAGS", selected.flags_of(rows))] if flags else []
    if client.condstore:
        shown.append(Shown(b"MODSEQ", modseqs, number=True, before=b"(", after=b")"))
    if client.uid_only:
        return fetch_rows(uids, shown, verb=b"UIDFETCH")
    return fetch_rows(numbers(selected, uids), [Shown(b"UID", uids, number=True), *shown])


def numbers(selected: Selected, uids: "Sequence[int] | memoryview[int]") -> Sequence[int]:
    """Give the numbers of messages the client knows; UIDs ascend.

    PERF: a stretch without holes is two look-ups.
    """
    if not len(uids):
        return ()
    numbering = selected.numbering
    span = numbering.span(uids[0], uids[-1])
    return span if len(span) == len(uids) else [numbering.number(uid) for uid in uids]
