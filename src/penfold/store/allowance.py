"""What an account may still have: quota, UIDs, UIDVALIDITYs. The rules, for every driver.

Standards: RFC 9208 §3, §5; RFC 9051 §2.3.1.1
"""

from collections.abc import Collection, Iterable

from penfold.store.change import Quota
from penfold.store.refusal import Refusal
from penfold.store.result import Problem
from penfold.store.uidset import MAX_UID


def afford(used: Quota, limits: Quota, more: Quota) -> None:
    """Check that so much more is allowed; nothing more of something always is. Raises Refusal."""
    for wanted, had, limit, what in (
        (more.storage, used.storage, limits.storage, "octets"),
        (more.messages, used.messages, limits.messages, "messages"),
        (more.mailboxes, used.mailboxes, limits.mailboxes, "mailboxes"),
    ):
        if limit and wanted > 0 and had + wanted > limit:
            raise Refusal(Problem.OVER_QUOTA, f"{had + wanted} {what} are more than {limit}")


def check_uids(uids: Iterable[int], following: int) -> None:
    """Check that messages can have these UIDs, 0 standing for the next: they ascend, and there are enough.

    Raises Refusal.
    """
    for uid in uids:
        if uid and not following <= uid < MAX_UID:
            raise Refusal(Problem.CANNOT, f"UID {uid} has been passed")
        following = (uid or following) + 1
    if following > MAX_UID:
        raise Refusal(Problem.LIMIT, "the mailbox has no more UIDs")


def next_uidvalidity(last: int, now: int, adopted: Collection[int]) -> int:
    """Give a UIDVALIDITY that was never given: the time or one more than the last, whichever is greater.

    So a clock set back repeats none. ``adopted`` are those that came from elsewhere.
    """
    found = max(last + 1, now)
    while found in adopted:
        found += 1
    return found


def check_adoptable(uidvalidity: int, uidnext: int, given: range, adopted: Collection[int]) -> None:
    """Check that numbers from elsewhere can be taken: ``given`` spans all that were ever given here. Raises Refusal."""
    if not (0 < uidvalidity <= MAX_UID and 0 < uidnext <= MAX_UID):
        raise Refusal(Problem.CANNOT, "these numbers are none")
    if uidvalidity in given or uidvalidity in adopted:
        raise Refusal(Problem.CANNOT, "that UIDVALIDITY can no longer be given")
