"""Mailbox names as a client knows them: its own, and those others let it see, each with the rights it has there.

A client's own mailboxes have the names the store gives them. Those of others stand under ``Other Users/NAME/``, for
as long as an access control list gives the client any right. A mailbox that one may not even look up does not exist.

Standards: RFC 2342 §3, §5; RFC 4314 §4, §6; RFC 9051 §5.1
Trust: names are the client's.
"""

from collections.abc import Collection
from typing import Final, NamedTuple

from penfold.access.imap.service import People
from penfold.store import AccountId, BadName, Mailbox, MailStore, Refused, Sharing, Tree, mailbox_name, rights
from penfold.store.names import SEPARATOR, above
from penfold.store.rights import ALL, ANYONE

OTHERS: Final = "Other Users" + SEPARATOR


class Place(NamedTuple):
    """A mailbox, or the place where one could be.

    ``name`` is what it is called in its account; ``prefix`` what stands before that for this client; ``rights`` what
    the client may do there, or could do if there were a mailbox.
    """

    account: AccountId
    tree: Tree
    prefix: str
    name: str
    box: Mailbox | None
    rights: str

    @property
    def shown(self) -> str:
        """The name as the client knows it."""
        return self.prefix + self.name


class Who(NamedTuple):
    """Whose rights are asked."""

    user: str
    account: AccountId
    groups: Collection[str]


def rights_in(who: Who, tree: Tree, box: Mailbox) -> str:
    """Tell what somebody may do with a mailbox."""
    return rights(box.acl, who.user, owner=tree.account == who.account, groups=who.groups)


async def find(store: MailStore, people: People, who: Who, name: str) -> Place | None:
    """Find a mailbox by the name the client knows; None if there is no such place for it."""
    if name == OTHERS.removesuffix(SEPARATOR):
        return None
    if not name.startswith(OTHERS):
        tree = await store.tree(who.account)
        return None if isinstance(tree, Refused) else place_in(who, tree, "", name)
    user, _, rest = name.removeprefix(OTHERS).partition(SEPARATOR)
    account = people.account(user)
    if not rest or account == who.account:
        return None
    tree = await store.tree(account)
    if isinstance(tree, Refused):
        return None
    place = place_in(who, tree, OTHERS + user + SEPARATOR, rest)
    return place if place and place.rights else None


def place_in(who: Who, tree: Tree, prefix: str, name: str) -> Place | None:
    """Find a name in an account; None if it can be no name."""
    try:
        name = mailbox_name(name)
    except BadName:
        return None
    by_name = {box.name: box for box in tree.mailboxes}
    box = by_name.get(name)
    if box is not None:
        return Place(tree.account, tree, prefix, name, box, rights_in(who, tree, box))
    parents = [by_name[each] for each in above(name) if each in by_name]
    if parents:
        return Place(tree.account, tree, prefix, name, None, rights_in(who, tree, parents[-1]))
    return Place(tree.account, tree, prefix, name, None, ALL if tree.account == who.account else "")


async def trees(store: MailStore, sharing: Sharing | None, people: People, who: Who) -> list[tuple[str, Tree]]:
    """Give the accounts that a client may see anything of, with the prefixes of their names; its own first."""
    own = await store.tree(who.account)
    found = [] if isinstance(own, Refused) else [("", own)]
    if sharing is None:
        return found
    mine = {who.user, ANYONE, *(f"${group}" for group in who.groups)}
    for account in sorted(await sharing.shared_with(mine)):
        if account == who.account:
            continue
        tree = await store.tree(account)
        if not isinstance(tree, Refused):
            found.append((OTHERS + people.user(account) + SEPARATOR, tree))
    return found
