"""THREAD: a search whose result is trees.

Standards: RFC 5256 §3; https://datatracker.ietf.org/doc/html/draft-ietf-morg-inthread (REFS)
Trust: ids and subjects are the senders'; nothing recurses, and no id can make a loop.
"""

from array import array

from penfold.access.imap.client import Client, Handler, Pieces
from penfold.access.imap.search import matching
from penfold.access.imap.selected import Selected
from penfold.access.imap.threading import Letter, by_references, by_subject
from penfold.access.imap.updates import numbers
from penfold.protocols.imap import responses
from penfold.protocols.imap.events import Command
from penfold.protocols.imap.sorting import Algorithm, Thread
from penfold.protocols.imap.threads import thread_lists
from penfold.store import Column, Item


def thread(client: Client, command: Command) -> Pieces:
    """Answer THREAD and UID THREAD."""
    selected, request = client.view(), command.request
    found = yield from matching(client, selected, request.key, command.tag)
    letters = _letters(selected, found, uid=request.uid)
    if request.algorithm is Algorithm.ORDEREDSUBJECT:
        roots, children = by_subject(letters)
    else:
        roots, children = by_references(letters, subjects=request.algorithm is Algorithm.REFERENCES)
    yield responses.thread(thread_lists(roots, children))
    return None


def _letters(selected: Selected, found: "array[int]", *, uid: bool) -> list[Letter]:
    view = selected.view
    rows = view.rows(found)
    if not len(rows):
        return []
    uids, sent, came, answers = view.columns([Column.UID, Column.SENT, Column.INTERNAL, Column.ANSWER], rows)
    names = uids if uid else numbers(selected, uids)
    items = (view.rendered(item, rows) for item in (Item.SUBJECT, Item.MESSAGE_ID, Item.ANCESTORS))
    return [
        Letter(name, date, at, bytes(subject), bool(answer), bytes(own), bytes(ancestors).split())
        for name, date, at, answer, subject, own, ancestors in zip(names, sent, came, answers, *items, strict=True)
    ]


HANDLERS: dict[type, Handler] = {Thread: thread}
