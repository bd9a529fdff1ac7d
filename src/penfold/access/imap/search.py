"""SEARCH: by number and by UID, with the old answer or ESEARCH, saved for the next command.

Standards: RFC 9051 §6.4.4, §7.3.4; RFC 3501 §6.4.4; RFC 4731; RFC 5182; RFC 7162 §3.1.5, §3.1.6; RFC 7377;
    RFC 9394 §3.1; RFC 9585
Trust: keys are the client's; texts are looked at in pieces, between which others have their turn.
"""

from array import array
from collections.abc import Generator, Sequence
from typing import Final

from penfold.access.imap import groups
from penfold.access.imap.client import Answer, Client, Handler, Outcome, Pieces
from penfold.access.imap.matching import Matcher, Question, needs_text
from penfold.access.imap.refusals import NO_NUMBER
from penfold.access.imap.selected import Selected
from penfold.access.imap.texts import FieldTest, TextTest
from penfold.access.imap.updates import numbers
from penfold.protocols.imap import responses, status
from penfold.protocols.imap import search_keys as keys
from penfold.protocols.imap.events import Command
from penfold.protocols.imap.notifying import Which
from penfold.protocols.imap.search_keys import SearchKey, uses_numbers
from penfold.protocols.imap.searching import Returns, Search
from penfold.store import Column, Refused, UidSet

_PROGRESS: Final = 10.0  # seconds between two words about how far a search is (RFC 9585 §3)
_ROWS: Final = 20_000  # messages whose columns are looked at before others have their turn
_TEXTS: Final = 32  # messages whose texts are looked at before others have their turn
_NO_MAILBOX = status.bad("Select a mailbox first, or say where to search")
_SELECTED: Final = frozenset({Which.SELECTED, Which.SELECTED_DELAYED})
_CANNOT = status.no("This is not offered", b"CANNOT")


def search(client: Client, command: Command) -> Outcome:
    """Answer SEARCH and UID SEARCH."""
    request: Search = command.request
    if request.sources:
        return _everywhere(client, command, request)
    if client.selected is None:
        return _NO_MAILBOX
    selected = client.selected
    if _unknown_number(selected, request.key):
        return NO_NUMBER
    if request.returns is not None and (request.returns.update or request.returns.context):
        return _CANNOT
    return _answer(client, selected, command, request)


def _unknown_number(selected: Selected, key: SearchKey) -> bool:
    """Tell whether a message number is named that there is not."""
    todo = [key]
    while todo:
        each = todo.pop()
        if isinstance(each, keys.Numbered) and not each.uid and not each.messages.saved:
            if each.messages.beyond > selected.numbering.exists:
                return True
        elif isinstance(each, keys.And | keys.Or):
            todo.extend(each.keys)
        elif isinstance(each, keys.Not | keys.Fuzzy):
            todo.append(each.key)
    return False


def matching(client: Client, selected: Selected, key: SearchKey, tag: bytes) -> "Generator[bytes, None, array[int]]":
    """Find the UIDs of matching messages, ascending; yields chances for others, and now and then how far it is."""
    question = Question(selected, client.saved, client.service.clock())
    texts: dict[SearchKey, TextTest | FieldTest] = {}
    known = selected.numbering.uids(1, selected.numbering.exists)
    found = array("I")
    for start in range(0, len(known), _ROWS):
        if start:
            yield b""
        rows = selected.view.rows(known[start : start + _ROWS])
        found += _uids(selected, Matcher(question, deep=False, texts=texts).pick(key, rows))
    if not needs_text(key):
        return found
    matched = array("I")
    tell = client.link.now() + _PROGRESS
    for start in range(0, len(found), _TEXTS):
        if client.link.now() < tell or not client.service.settings.offers("INPROGRESS"):
            yield b""
        else:
            tell = client.link.now() + _PROGRESS
            yield responses.progress(tag, start, len(found))
        some = selected.view.rows(found[start : start + _TEXTS])
        matched += _uids(selected, Matcher(question, deep=True, texts=texts).pick(key, some))
    return matched


def _uids(selected: Selected, rows: Sequence[int]) -> "array[int]":
    if not len(rows):
        return array("I")
    given = rows if isinstance(rows, range | array) else array("I", rows)
    return array("I", selected.view.columns([Column.UID], given)[0])


def _answer(client: Client, selected: Selected, command: Command, request: Search) -> Pieces:
    try:
        found = yield from matching(client, selected, request.key, command.tag)
    except OSError:
        if request.returns is not None and request.returns.save:
            client.saved = UidSet()
        return status.no("Some messages cannot be read now", b"UNAVAILABLE")
    shown = found if request.uid else array("I", numbers(selected, found))
    modseq = _highest(selected, found) if asks_modseq(request.key) else 0
    if modseq or asks_modseq(request.key):
        client.condstore = True
    returns = request.returns
    if returns is None and not client.rev2:
        yield responses.search(shown, modseq)
        return None
    returns = returns or Returns(all=True)  # RFC 9051 §6.4.4: the old response is not for clients of IMAP4rev2
    if returns.save:
        client.saved = saved(returns, found)
    if returns.responds:
        yield esearch(client, selected, command, returns, shown, found)
    return None


def esearch(
    client: Client,
    selected: Selected,
    command: Command,
    returns: Returns,
    shown: "array[int]",
    uids: "array[int]",
    *,
    named: bool = False,
) -> bytes:
    """Write the ESEARCH response; ``shown`` are the results as numbers or UIDs, in order, ``named`` their mailbox."""
    modseq = None
    if asks_modseq(command.request.key) and len(uids):
        modseq = _highest(selected, _reported(returns, uids))
    page = None
    if returns.page is not None:
        page = (returns.page, compact(shown[returns.page.cut(len(shown))]))
    found = responses.Found(
        min=shown[0] if returns.min and shown else None,
        max=shown[-1] if returns.max and shown else None,
        count=len(shown) if returns.count else None,
        all=compact(shown) if returns.all else None,
        page=page,
        modseq=modseq,
        mailbox=selected.place.shown if named else None,
        uid_validity=selected.view.uidvalidity,
        relevancy=[100] * len(shown) if returns.relevancy else None,
    )
    return responses.esearch(command.tag, found, uid=command.request.uid, utf8=client.utf8)


def _reported(returns: Returns, uids: "array[int]") -> "array[int]":
    """RFC 4731 §3.2: the highest MODSEQ of what is told: of MIN and MAX only, if nothing else is asked."""
    if returns.all or returns.count or returns.page is not None:
        return uids
    ends = [uids[0]] if returns.min else []
    if returns.max:
        ends.append(uids[-1])
    return array("I", sorted(set(ends))) or uids


def saved(returns: Returns, found: "array[int]") -> UidSet:
    """RFC 5182 §2.4: MIN and MAX save just these, unless ALL or COUNT is asked, too."""
    if not found or returns.all or returns.count or not (returns.min or returns.max):
        return UidSet.ascending(sorted(found))
    ends = ([found[0]] if returns.min else []) + ([found[-1]] if returns.max else [])
    return UidSet.of(ends)


def compact(shown: "array[int]") -> bytes:
    """Write a set. PERF: runs are found by doubling steps."""
    return str(UidSet.ascending(shown)).encode()


async def _everywhere(client: Client, command: Command, request: Search) -> "Answer | Pieces":
    """RFC 7377: search through many mailboxes, each of which has its own response."""
    assert request.sources is not None
    returns = request.returns or Returns(all=True)
    if uses_numbers(request.key) or returns.save or returns.update or returns.context:
        return status.bad("Not in a search through several mailboxes")
    places, subscriptions = await groups.readable(client)
    chosen = [place for place in places if any(groups.belongs(each, place, subscriptions) for each in request.sources)]
    if any(each.which in _SELECTED for each in request.sources):
        if client.selected is None:
            return _NO_MAILBOX
        chosen = [client.selected.place, *(place for place in chosen if place.box != client.selected.place.box)]
    opened: list[Selected] = []
    for place in chosen:
        view = await client.store.open(place.account, place.box.id) if place.box is not None else None
        if view is not None and not isinstance(view, Refused):
            opened.append(Selected(place, view, read_only=True))
    return _each(client, opened, command, returns)


def _each(client: Client, opened: list[Selected], command: Command, returns: Returns) -> Pieces:
    for selected in opened:
        try:
            found = yield from matching(client, selected, command.request.key, command.tag)
        except OSError:
            return status.no("Some messages cannot be read now", b"UNAVAILABLE")
        if found:
            yield esearch(client, selected, command, returns, found, found, named=True)
    return None


def asks_modseq(key: SearchKey) -> bool:
    """Tell whether MODSEQ is among the keys."""
    todo = [key]
    while todo:
        each = todo.pop()
        if isinstance(each, keys.ChangedAt):
            return True
        if isinstance(each, keys.And | keys.Or):
            todo.extend(each.keys)
        elif isinstance(each, keys.Not | keys.Fuzzy):
            todo.append(each.key)
    return False


def _highest(selected: Selected, uids: "array[int]") -> int:
    rows = selected.view.rows(uids)
    return max(selected.view.columns([Column.MODSEQ], rows)[0], default=0) if len(rows) else 0


HANDLERS: dict[type, Handler] = {Search: search}
