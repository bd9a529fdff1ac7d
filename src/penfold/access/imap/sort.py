"""SORT: a search whose result is ordered, by what the store keeps for it.

Standards: RFC 5256 §2.2, §3; RFC 5957; RFC 5267 §3 (ESORT); RFC 9394
Trust: criteria are the client's; all keys are kept beside the messages, nothing is read for them.
"""

from array import array
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from penfold.access.imap.client import Answer, Client, Handler, Pieces
from penfold.access.imap.search import asks_modseq, esearch, matching, saved
from penfold.access.imap.selected import Selected
from penfold.access.imap.updates import numbers
from penfold.protocols.imap import responses, status
from penfold.protocols.imap.events import Command
from penfold.protocols.imap.sorting import By, Criterion, Sort
from penfold.store import Column, Item, Rows, View

_CANNOT = status.no("This is not offered", b"CANNOT")


def _column(column: Column) -> Callable[[View, Rows], Sequence[Any]]:
    return lambda view, rows: view.columns([column], rows)[0]


def _item(item: Item) -> Callable[[View, Rows], Sequence[Any]]:
    return lambda view, rows: [bytes(key) for key in view.rendered(item, rows)]


_KEYS: Final[Mapping[By, Callable[[View, Rows], Sequence[Any]]]] = MappingProxyType(
    {
        By.ARRIVAL: _column(Column.INTERNAL),
        By.CC: _item(Item.CC),
        By.DATE: _column(Column.SENT),
        By.DISPLAYFROM: _item(Item.DISPLAY_SENDER),
        By.DISPLAYTO: _item(Item.DISPLAY_TO),
        By.FROM: _item(Item.SENDER),
        By.SIZE: _column(Column.SIZE),
        By.SUBJECT: _item(Item.SUBJECT),
        By.TO: _item(Item.TO),
    }
)


def sort(client: Client, command: Command) -> "Answer | Pieces":
    """Answer SORT and UID SORT."""
    request: Sort = command.request
    returns = request.returns
    if returns is not None and (returns.update or returns.context):
        return _CANNOT
    return _answer(client, client.view(), command, request)


def _answer(client: Client, selected: Selected, command: Command, request: Sort) -> Pieces:
    found = yield from matching(client, selected, request.key, command.tag)
    uids = ordered(selected, found, request.criteria)
    shown = uids if request.uid else _numbers(selected, found, uids)
    if asks_modseq(request.key):
        client.condstore = True
    if request.returns is None:
        yield responses.sort(shown)
        return None
    if request.returns.save:
        client.saved = saved(request.returns, uids)
    if request.returns.responds:
        yield esearch(client, selected, command, request.returns, shown, found)
    return None


def ordered(selected: Selected, uids: "array[int]", criteria: tuple[Criterion, ...]) -> "array[int]":
    """Order messages (ascending UIDs).

    PERF: one stable sort a criterion, the last first; ties keep the order of numbers, also where it is reversed.
    """
    rows = selected.view.rows(uids)
    there = selected.view.columns([Column.UID], rows)[0] if len(rows) else ()
    order = list(range(len(there)))
    for criterion in reversed(criteria):
        if criterion.by is By.RELEVANCY:
            continue
        order.sort(key=_KEYS[criterion.by](selected.view, rows).__getitem__, reverse=criterion.reverse)
    return array("I", (there[place] for place in order))


def _numbers(selected: Selected, ascending: "array[int]", uids: "array[int]") -> "array[int]":
    number = dict(zip(ascending, numbers(selected, ascending), strict=True))
    return array("I", map(number.__getitem__, uids))


HANDLERS: dict[type, Handler] = {Sort: sort}
