"""The rules of the tree of mailboxes, for every driver: what may be made, deleted, renamed, and under which names.

Names here are plain strings in their one spelling; what bears them is the driver's affair.

Standards: RFC 9051 §6.3.4, §6.3.5, §6.3.6
"""

from collections.abc import Collection, Container

from penfold.store.change import INBOX
from penfold.store.names import SEPARATOR, BadName, above, is_below, mailbox_name
from penfold.store.refusal import Refusal
from penfold.store.result import Problem


def spelled(name: str) -> str:
    """Give the one spelling of a name. Raises Refusal."""
    try:
        return mailbox_name(name)
    except BadName as error:
        raise Refusal(Problem.CANNOT, str(error)) from None


def missing(names: Container[str], name: str) -> list[str]:
    """Name the mailboxes to be made for there to be one of that name, the highest first."""
    return [each for each in (*above(name), name) if each not in names]


def check_new(names: Container[str], name: str) -> None:
    """Check that nothing bears a name. Raises Refusal."""
    if name in names:
        raise Refusal(Problem.ALREADY_EXISTS, f"{name} exists already")


def check_deletable(names: Container[str], name: str) -> None:
    """Check that a mailbox may go. Raises Refusal."""
    if name == INBOX:
        raise Refusal(Problem.CANNOT, "INBOX cannot be deleted")
    if name not in names:
        raise Refusal(Problem.NONEXISTENT, f"no mailbox is called {name}")


def renamed(names: Collection[str], old: str, new: str) -> dict[str, str]:
    """Give the new name of each mailbox a rename moves: the one called ``old``, if there is one, and all below it.

    What is above ``new`` and missing is to be made as well. Renaming INBOX is another matter (RFC 9051 §6.3.6).
    Raises Refusal.
    """
    check_new(names, new)
    if is_below(new, old):
        raise Refusal(Problem.CANNOT, "a mailbox cannot be put below itself")
    moved = {name: spelled(new + name[len(old) :]) for name in names if name == old or is_below(name, old)}
    if not moved:
        raise Refusal(Problem.NONEXISTENT, f"no mailbox is called {old}")
    for taken in sorted(set(moved.values()) & set(names)):
        check_new(names, taken)
    return moved


def in_order(name: str) -> tuple[bool, list[str]]:
    """Sort names: INBOX and what is below it first, then level by level."""
    levels = name.split(SEPARATOR)
    return (levels[0] != INBOX, levels)
