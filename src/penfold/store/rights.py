"""Access control lists: who may do what to a mailbox, as a pure function of its list.

The store keeps lists and never asks who acts; whoever serves people does, with ``rights``.

Standards: RFC 4314 §2, §2.1, §2.1.1, §3.1
Trust: identifiers and rights are words of clients who hold the right to administer.
"""

from collections.abc import Collection, Iterable
from typing import Final

import msgspec

from penfold.store.change import How, SetAcl
from penfold.store.refusal import Refusal
from penfold.store.result import Problem

ALL: Final = "lrswipkxtea"
OWNER: Final = "owner"  # whoever the account belongs to
ANYONE: Final = "anyone"
_KEPT_BY_OWNER: Final = "la"  # an owner cannot lock himself out
_OBSOLETE: Final = {"c": "kx", "d": "te"}  # RFC 4314 §2.1.1


class Ace(msgspec.Struct, frozen=True, array_like=True):
    """One entry: ``identifier`` is a user, ``$group``, ``anyone`` or ``owner``; with ``-`` before it, rights denied."""

    identifier: str
    rights: str


def normal(rights: str) -> str:
    """Write rights in their one order, each once, obsolete ones as what they stood for; ValueError if unknown."""
    wide = "".join(_OBSOLETE.get(right, right) for right in rights)
    if unknown := set(wide) - set(ALL):
        raise ValueError(f"unknown right {min(unknown)!r}")
    return "".join(right for right in ALL if right in wide)


def changed(acl: Iterable[Ace], change: SetAcl) -> tuple[Ace, ...]:
    """Give the list as a change makes it. Raises Refusal."""
    entries = {ace.identifier: ace.rights for ace in acl}
    if not change.identifier.removeprefix("-"):
        raise Refusal(Problem.CANNOT, "rights must be given to somebody")
    if change.rights is None:
        entries.pop(change.identifier, None)
    else:
        entries[change.identifier] = _changed(entries.get(change.identifier, ""), change.how, change.rights)
    return tuple(Ace(*entry) for entry in entries.items())


def _changed(had: str, how: How, written: str) -> str:
    try:
        named = normal(written)
    except ValueError as error:
        raise Refusal(Problem.CANNOT, str(error)) from None
    match how:
        case How.ADD:
            return normal(had + named)
        case How.REMOVE:
            return "".join(right for right in had if right not in named)
        case How.REPLACE:
            return named


def rights(acl: Iterable[Ace], user: str, *, owner: bool = False, groups: Collection[str] = ()) -> str:
    """Say what ``user`` may do: all that is given to any of its identifiers, less what is denied to any.

    The owner has every right unless the list has an entry for ``owner``, and never loses looking up and administering.
    """
    mine = {user, ANYONE, *(f"${group}" for group in groups), *((OWNER,) if owner else ())}
    given: set[str] = set()
    denied: set[str] = set()
    named = False
    for ace in acl:
        negative = ace.identifier.startswith("-")
        if ace.identifier.removeprefix("-") in mine:
            (denied if negative else given).update(ace.rights)
        named = named or ace.identifier == OWNER
    if owner and not named:
        given.update(ALL)
    held = given - denied
    if owner:
        held.update(_KEPT_BY_OWNER)
    return "".join(right for right in ALL if right in held)
