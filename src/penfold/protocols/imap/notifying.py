"""NOTIFY: which events in which mailboxes a client wants to hear of; also how commands name groups of mailboxes.

Standards: RFC 5465 §3-§6, §8; RFC 7377 §2.1, §3
Trust: the client's; groups, mailboxes and events of a command are limited by its length.
"""

from enum import StrEnum

import msgspec

from penfold.protocols.imap.fetching import FetchItem, fetch_items
from penfold.protocols.imap.grammar import Cursor, refused
from penfold.protocols.imap.status import Refusal, no


class Which(StrEnum):
    """How mailboxes are named: by themselves or by what they are."""

    SELECTED = "selected"
    SELECTED_DELAYED = "selected-delayed"
    INBOXES = "inboxes"
    PERSONAL = "personal"
    SUBSCRIBED = "subscribed"
    SUBTREE = "subtree"
    SUBTREE_ONE = "subtree-one"
    MAILBOXES = "mailboxes"


_WITH_NAMES = {Which.SUBTREE, Which.SUBTREE_ONE, Which.MAILBOXES}


class Mailboxes(msgspec.Struct, frozen=True, array_like=True):
    """A group of mailboxes; ``names`` for the kinds that name them."""

    which: Which
    names: tuple[str, ...] = ()


class Happening(StrEnum):
    """What may happen."""

    MESSAGE_NEW = "MessageNew"
    MESSAGE_EXPUNGE = "MessageExpunge"
    FLAG_CHANGE = "FlagChange"
    ANNOTATION_CHANGE = "AnnotationChange"
    MAILBOX_NAME = "MailboxName"
    SUBSCRIPTION_CHANGE = "SubscriptionChange"
    MAILBOX_METADATA_CHANGE = "MailboxMetadataChange"
    SERVER_METADATA_CHANGE = "ServerMetadataChange"


class EventGroup(msgspec.Struct, frozen=True, array_like=True):
    """Mailboxes and what of them is told; ``items`` of a new message are fetched with it. No events: tell nothing."""

    mailboxes: Mailboxes
    events: tuple[Happening, ...] = ()
    items: tuple[FetchItem, ...] = ()


class Notify(msgspec.Struct, frozen=True, array_like=True):
    """NOTIFY. No groups: NOTIFY NONE. ``status``: begin with a STATUS response of each mailbox."""

    groups: tuple[EventGroup, ...] = ()
    status: bool = False


_WHICH = {each.value.upper().encode(): each for each in Which}
_HAPPENINGS = {each.value.upper().encode(): each for each in Happening}
_OF_MESSAGES = {Happening.MESSAGE_NEW, Happening.MESSAGE_EXPUNGE, Happening.FLAG_CHANGE, Happening.ANNOTATION_CHANGE}


def parse_notify(cursor: Cursor) -> Notify:
    """Parse the arguments of NOTIFY."""
    cursor.space()
    word = cursor.word()
    if word == b"NONE":
        return Notify()
    if word != b"SET":
        raise refused("Expected SET or NONE")
    cursor.space()
    status = cursor.takes_word(b"STATUS")
    if status:
        cursor.space()
    groups = [_group(cursor)]
    while not cursor.ended():
        cursor.space()
        groups.append(_group(cursor))
    selected = [group for group in groups if group.mailboxes.which in {Which.SELECTED, Which.SELECTED_DELAYED}]
    if len(selected) > 1:
        raise refused("The selected mailbox is named twice")
    return Notify(tuple(groups), status)


def mailboxes(cursor: Cursor) -> Mailboxes:
    """Parse one way to name mailboxes."""
    which = _WHICH.get(cursor.word())
    if which is None:
        raise refused("Unknown group of mailboxes")
    if which not in _WITH_NAMES:
        return Mailboxes(which)
    cursor.space()
    return Mailboxes(which, tuple(dict.fromkeys(cursor.one_or_listed(cursor.mailbox))))


def _group(cursor: Cursor) -> EventGroup:
    cursor.demand(b"(")
    group = mailboxes(cursor)
    if group.which is Which.SUBTREE_ONE:
        raise refused("Unknown group of mailboxes")
    cursor.space()
    if cursor.takes_word(b"NONE"):
        cursor.demand(b")")
        return EventGroup(group)
    found = cursor.listed(lambda: _happening(cursor))
    cursor.demand(b")")
    events = tuple(dict.fromkeys(event for event, _ in found))
    items = tuple(item for _, items in found for item in items)
    _judge(group, events, items)
    return EventGroup(group, events, items)


def _happening(cursor: Cursor) -> tuple[Happening, tuple[FetchItem, ...]]:
    event = _HAPPENINGS.get(cursor.word())
    if event is None:
        known = b" ".join(each.value.encode() for each in Happening)
        raise Refusal(no("Unknown event", b"BADEVENT (%b)" % known))
    if event is Happening.MESSAGE_NEW and cursor.takes(b" ("):
        cursor.at -= 1
        return event, fetch_items(cursor)
    return event, ()


def _judge(group: Mailboxes, events: tuple[Happening, ...], items: tuple[FetchItem, ...]) -> None:
    """Refuse what RFC 5465 §5 and §6 forbid."""
    selected = group.which in {Which.SELECTED, Which.SELECTED_DELAYED}
    if selected and not set(events) <= _OF_MESSAGES:
        raise refused("The selected mailbox has message events only")
    if items and not selected:
        raise refused("FETCH items are for the selected mailbox")
    of_messages = _OF_MESSAGES & set(events)
    if {Happening.FLAG_CHANGE, Happening.ANNOTATION_CHANGE} & of_messages and not (
        {Happening.MESSAGE_NEW, Happening.MESSAGE_EXPUNGE} <= of_messages
    ):
        raise refused("FlagChange needs MessageNew and MessageExpunge")
    if len({Happening.MESSAGE_NEW, Happening.MESSAGE_EXPUNGE} & of_messages) == 1:
        raise refused("MessageNew and MessageExpunge go together")
