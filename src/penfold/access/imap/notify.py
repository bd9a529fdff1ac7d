r"""NOTIFY: what happens in mailboxes is told at once, without IDLE, and not only of the selected one.

The selected mailbox is told of as always, but at any time; of others a STATUS, a LIST or the names of annotations. What
changed in a tree is found by comparing it with how it was last seen.

QUIRK: notify-selected-silent: a client that leaves the selected mailbox out hears of it nothing unasked, but still with
the answers of its commands, as every client does: it would lose count otherwise.

Standards: RFC 5465 §3-§6, §8
Trust: groups are the client's; only mailboxes it may read are told of.
"""

from array import array
from collections.abc import Iterable, Iterator
from typing import Final

from penfold.access.imap import groups, status
from penfold.access.imap.client import Answer, Client, Handler, Pieces
from penfold.access.imap.fetch import plan, some
from penfold.access.imap.locating import all_trees
from penfold.access.imap.places import Place
from penfold.protocols.imap import responses, shared_responses
from penfold.protocols.imap.events import Command
from penfold.protocols.imap.listing import Datum
from penfold.protocols.imap.notifying import EventGroup, Happening, Mailboxes, Notify, Which
from penfold.store import AccountId, Annotation, Kind, Mailbox, MailboxId, Published, Refused, Tree

_OF_MESSAGES: Final = (
    (Kind.ARRIVED, Happening.MESSAGE_NEW),
    (Kind.EXPUNGED, Happening.MESSAGE_EXPUNGE),
    (Kind.FLAGS, Happening.FLAG_CHANGE),
)
_SELECTED: Final = frozenset({Which.SELECTED, Which.SELECTED_DELAYED})
_COUNTED: Final = (Datum.MESSAGES, Datum.UIDNEXT, Datum.UIDVALIDITY, Datum.UNSEEN)
_PIECE: Final = 100  # new messages told of at once


class Wishes:
    """What a client wants to hear of, and how the trees of its accounts were when it last heard."""

    def __init__(self, request: Notify, trees: Iterable[tuple[str, Tree]]) -> None:
        self.groups = request.groups
        self.trees = {tree.account: (prefix, tree) for prefix, tree in trees}
        self.subscriptions = next(
            (tree.subscriptions for prefix, tree in self.trees.values() if not prefix), frozenset()
        )

    @property
    def selected(self) -> EventGroup:
        """What is to be told of the selected mailbox."""
        mine = [group for group in self.groups if group.mailboxes.which in _SELECTED]
        return mine[0] if mine else EventGroup(Mailboxes(Which.SELECTED))

    def events(self, place: Place) -> frozenset[Happening]:
        """Tell what is to be told of a mailbox: the first group it belongs to says so."""
        for group in self.groups:
            if groups.belongs(group.mailboxes, place, self.subscriptions):
                return frozenset(group.events)
        return frozenset()

    def arrived(self, client: Client, known: int) -> Iterator[bytes]:
        """Tell what is asked of messages that arrived in the selected mailbox, from UID ``known`` on."""
        items = self.selected.items
        if not items:
            return
        selected, planned = client.view(), plan(items, uid_only=client.uid_only)
        span = selected.numbering.span(known, selected.numbering.limit)
        uids = selected.uids([(span.start, span.stop - 1)]) if span else array("I")
        for start in range(0, len(uids), _PIECE):
            yield from some(client, selected, uids[start : start + _PIECE], planned)


Heard = dict[AccountId, dict[MailboxId, int]]  # what kinds of changes there were, by mailbox


def remember(heard: Heard, published: Published) -> None:
    """Add what was published: however much it is, it takes no more room than the mailboxes have names."""
    kinds = heard.setdefault(published.account, {})
    for touched in published.touched:
        kinds[touched.mailbox] = kinds.get(touched.mailbox, 0) | touched.kinds


async def notify(client: Client, command: Command) -> "Answer | Pieces":
    """Answer NOTIFY."""
    request: Notify = command.request
    wishes = client.wishes = Wishes(request, await all_trees(client))
    if not request.status:
        return None
    places = [
        place
        for prefix, tree in wishes.trees.values()
        for place in groups.places_in(client, prefix, tree)
        if wishes.events(place) & {happening for _, happening in _OF_MESSAGES} and not _is_selected(client, place)
    ]
    return _all_counted(await status.of_places(client, places, _data(client)))


def _all_counted(lines: dict[str, bytes]) -> Pieces:
    yield b"".join(lines.values())
    return None


def _data(client: Client) -> tuple[Datum, ...]:
    return (*_COUNTED, Datum.HIGHESTMODSEQ) if client.condstore else _COUNTED


def _is_selected(client: Client, place: Place) -> bool:
    selected = client.selected
    return selected is not None and place.box is not None and selected.view.mailbox == place.box.id


async def news(client: Client, heard: Heard) -> bytes:
    """Say what is to be said of other mailboxes than the selected one."""
    wishes = client.wishes
    if wishes is None:
        return b""
    lines: list[bytes] = []
    for account, kinds in heard.items():
        if account not in wishes.trees:
            continue
        prefix, before = wishes.trees[account]
        now = await client.store.tree(account)
        if isinstance(now, Refused):
            continue
        wishes.trees[account] = (prefix, now)
        if not prefix:
            wishes.subscriptions = now.subscriptions
        if before.modseq != now.modseq:
            lines += _tree_news(client, wishes, prefix, before, now)
        lines += await _message_news(client, wishes, groups.places_in(client, prefix, now), kinds)
    return b"".join(lines)


async def _message_news(
    client: Client, wishes: Wishes, places: list[Place], kinds: dict[MailboxId, int]
) -> list[bytes]:
    wanted = []
    for place in places:
        happened = {what for kind, what in _OF_MESSAGES if place.box and kinds.get(place.box.id, 0) & kind}
        if happened & wishes.events(place) and not _is_selected(client, place):
            wanted.append(place)
    return list((await status.of_places(client, wanted, _data(client))).values()) if wanted else []


def _tree_news(client: Client, wishes: Wishes, prefix: str, before: Tree, now: Tree) -> Iterator[bytes]:
    old = {box.id: box for box in before.mailboxes}
    for place in groups.places_in(client, prefix, now):
        assert place.box is not None
        known, events = old.get(place.box.id), wishes.events(place)
        if Happening.MAILBOX_NAME in events and (known is None or known.name != place.name):
            yield _listed(client, place.shown, old_name=None if known is None else prefix + known.name)
        if Happening.MAILBOX_METADATA_CHANGE in events and known is not None:
            yield from _metadata(client, place.shown, known.annotations, place.box.annotations)
    there = {box.id for box in now.mailboxes}
    for place in groups.places_in(client, prefix, before):
        if place.box is not None and place.box.id not in there and Happening.MAILBOX_NAME in wishes.events(place):
            yield _listed(client, place.shown, ("\\NonExistent",))
    if not prefix:
        yield from _subscriptions(client, wishes, before, now)
        if any(Happening.SERVER_METADATA_CHANGE in group.events for group in wishes.groups):
            yield from _metadata(client, "", before.annotations, now.annotations)


def _subscriptions(client: Client, wishes: Wishes, before: Tree, now: Tree) -> Iterator[bytes]:
    boxes: dict[str, Mailbox] = {box.name: box for box in now.mailboxes}
    for name in sorted(before.subscriptions ^ now.subscriptions):
        place = Place(now.account, now, "", name, boxes.get(name), "")
        asked = any(
            Happening.SUBSCRIPTION_CHANGE in group.events
            and groups.belongs(group.mailboxes, place, before.subscriptions | now.subscriptions)
            for group in wishes.groups
        )
        if asked:
            yield _listed(client, name, ("\\Subscribed",) if name in now.subscriptions else ())


def _listed(client: Client, name: str, attributes: tuple[str, ...] = (), old_name: str | None = None) -> bytes:
    return responses.listed(name, "/", attributes, utf8=client.utf8, old_name=old_name)


def _metadata(
    client: Client, name: str, before: tuple[Annotation, ...], now: tuple[Annotation, ...]
) -> Iterator[bytes]:
    changed = {note.entry for note in {*before} ^ {*now} if note.user in {"", client.user}}
    if changed:
        yield shared_responses.metadata_changed(name, sorted(changed), utf8=client.utf8)


HANDLERS: dict[type, Handler] = {Notify: notify}
