"""Groups of mailboxes that a command names by what they are: all personal ones, all below another ...

Standards: RFC 5465 §6; RFC 7377 §2.2
Trust: names are the client's; only mailboxes it may read are in a group.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from penfold.access.imap.client import Client
from penfold.access.imap.locating import all_trees, who
from penfold.access.imap.places import OTHERS, Place, rights_in
from penfold.protocols.imap.notifying import Mailboxes, Which
from penfold.store import INBOX, Tree
from penfold.store.names import SEPARATOR, is_below

Test = Callable[[Mailboxes, Place, frozenset[str]], bool]


def _subtree(group: Mailboxes, place: Place, _subscriptions: frozenset[str]) -> bool:
    return any(place.shown == name or is_below(place.shown, name) for name in group.names)


def _subtree_one(group: Mailboxes, place: Place, _subscriptions: frozenset[str]) -> bool:
    parent = place.shown.rpartition(SEPARATOR)[0]
    return place.shown in group.names or parent in group.names


_TESTS: Final[Mapping[Which, Test]] = MappingProxyType(
    {
        Which.INBOXES: lambda _group, place, _subscribed: place.shown == INBOX,
        Which.PERSONAL: lambda _group, place, _subscribed: not place.shown.startswith(OTHERS),
        Which.SUBSCRIBED: lambda _group, place, subscribed: place.shown in subscribed,
        Which.SUBTREE: _subtree,
        Which.SUBTREE_ONE: _subtree_one,
        Which.MAILBOXES: lambda group, place, _subscribed: place.shown in group.names,
    }
)


async def readable(client: Client) -> tuple[list[Place], frozenset[str]]:
    """Give all mailboxes the client may read, and its subscriptions."""
    trees = await all_trees(client)
    places = [place for prefix, tree in trees for place in places_in(client, prefix, tree)]
    return places, trees[0][1].subscriptions if trees else frozenset()


def places_in(client: Client, prefix: str, tree: Tree) -> list[Place]:
    """Give the mailboxes of an account that the client may look up and read."""
    found = [
        Place(tree.account, tree, prefix, box.name, box, rights_in(who(client), tree, box)) for box in tree.mailboxes
    ]
    return [place for place in found if {"l", "r"} <= set(place.rights)]


def belongs(group: Mailboxes, place: Place, subscriptions: frozenset[str]) -> bool:
    """Tell whether a mailbox is in a group; the selected one is in none by that."""
    test = _TESTS.get(group.which)
    return test is not None and test(group, place, subscriptions)
