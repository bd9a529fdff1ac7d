"""QRESYNC of a SELECT: what vanished and what changed since the client last looked.

Standards: RFC 7162 §3.2.5, §3.2.5.1, §3.2.5.2
Trust: what the client says it knows only narrows what it is told.
"""

from array import array
from collections.abc import Iterator

from penfold.access.imap import updates
from penfold.access.imap.client import Client
from penfold.access.imap.selected import Selected
from penfold.protocols.imap.mailboxes import Resync
from penfold.protocols.imap.sequence_set import MAX_NUMBER, SequenceSet
from penfold.store import Column, UidSet


def changes(client: Client, selected: Selected, request: Resync) -> Iterator[bytes]:
    """Tell VANISHED (EARLIER) and FETCH responses, if the UIDs still mean what the client believes."""
    view = selected.view
    if request.uid_validity != view.uidvalidity:
        return
    found = view.changes(request.modseq)
    known = _known(selected, request)
    vanished = _among(found.vanished, known) if known is not None else found.vanished
    if not found.complete and request.sequence is not None and request.sequence_uids is not None:
        vanished = vanished.without(UidSet.span(1, _matching(selected, request.sequence, request.sequence_uids)))
    if vanished:
        yield updates.vanished(vanished, earlier=True)
    uids = array("I", view.columns([Column.UID], found.rows)[0]) if len(found.rows) else array("I")
    yield from updates.flag_rows(client, selected, uids if known is None else known.among(uids))


def _known(selected: Selected, request: Resync) -> UidSet | None:
    if request.known_uids is None:
        return None
    return UidSet.joined(request.known_uids.ranges(max(selected.numbering.limit - 1, 1)))


def _among(one: UidSet, other: UidSet) -> UidSet:
    return one.without(one.without(other))


def _matching(selected: Selected, numbers: SequenceSet, uids: SequenceSet) -> int:
    """Give the highest UID that still has the number the client knows: up to there nothing vanished."""
    pairs = zip(numbers.numbers(MAX_NUMBER), uids.numbers(MAX_NUMBER), strict=False)
    there = selected.numbering
    known = [uid for number, uid in pairs if number <= there.exists and there.uid(number) == uid]
    return max(known, default=0)
