"""Changes of messages, in memory. Each checks everything first, so that a refusal leaves nothing behind.

Standards: RFC 9051 §6.3.12, §6.4.3, §6.4.6, §6.4.7; RFC 3502; RFC 4315; RFC 6851; RFC 7162 §3.1.3; RFC 8508; RFC 9042
"""

from array import array

import msgspec

from penfold.store.allowance import check_uids
from penfold.store.base import Column, Kind
from penfold.store.change import Append, ClaimRecent, Copy, Deliver, Expunge, How, Move, Replace, StoreFlags
from penfold.store.flags import DELETED, changed, words
from penfold.store.memory.account import MemoryAccount
from penfold.store.memory.folders import make
from penfold.store.memory.mailbox import MemoryMailbox, Row
from penfold.store.memory.state import State
from penfold.store.refusal import Refusal
from penfold.store.result import Claimed, Copied, Expunged, Flagged, Problem, Result, Stored
from penfold.store.tree import missing, spelled
from penfold.store.uidset import UidSet


def deliver(state: State, change: Deliver) -> Result:
    """Deliver once."""
    account = state.account(change.account)
    name, message = spelled(change.name), change.message
    box = account.mailboxes.get(change.mailbox) or account.names.get(name)
    if box is None and not change.create:
        raise Refusal(Problem.NONEXISTENT, f"no mailbox is called {name}")
    known = account.deliveries.get((change.queue_id, change.number, box.id)) if box else None
    if known:
        return msgspec.structs.replace(known[1], repeated=True)
    octets = state.octets(message)
    check_uids([message.uid], box.uidnext if box else 1)
    account.afford(len(octets), 1, 0 if box else len(missing(account.names, name)))
    box = box or make(state, account, name)
    flags = account.flag_bits(message.flags, strict=False)
    stored = _store(state, account, box, [state.row(account, message, octets, flags)])
    account.deliveries[change.queue_id, change.number, box.id] = (state.now, stored)
    return stored


def append(state: State, change: Append) -> Result:
    """Append all or none."""
    account = state.account(change.account)
    box = account.mailbox(change.mailbox)
    check_uids([message.uid for message in change.messages], box.uidnext)
    contents = [state.octets(message) for message in change.messages]
    account.afford(sum(map(len, contents)), len(contents))
    account.flag_bits(tuple(flag for message in change.messages for flag in message.flags))
    rows = [
        state.row(account, message, octets, account.keywords.bits(message.flags))
        for message, octets in zip(change.messages, contents, strict=True)
    ]
    return _store(state, account, box, rows)


def _store(state: State, account: MemoryAccount, box: MemoryMailbox, rows: list[Row]) -> Stored:
    modseq = account.touch(Kind.ARRIVED, box)
    return Stored(box.id, box.uidvalidity, box.add(rows, modseq, state.now), modseq)


def replace(state: State, change: Replace) -> Result:
    """Append one and expunge the other."""
    account = state.account(change.account)
    source, target = account.mailbox(change.mailbox), account.mailbox(change.target)
    old = source.live(UidSet.of([change.uid]))
    if not old:
        raise Refusal(Problem.NONEXISTENT, "the message to be replaced is gone")
    check_uids([change.message.uid], target.uidnext)
    octets = state.octets(change.message)
    account.afford(len(octets) - source.columns[Column.SIZE][old[0]])
    row = state.row(account, change.message, octets, account.flag_bits(change.message.flags))
    modseq = account.touch(Kind.ARRIVED, target)
    stored = Stored(target.id, target.uidvalidity, target.add([row], modseq, state.now), modseq)
    source.expunge(old, account.touch(Kind.EXPUNGED, source), state.now)
    return stored


def store_flags(state: State, change: StoreFlags) -> Result:
    """Change flags."""
    account = state.account(change.account)
    box = account.mailbox(change.mailbox)
    rows = box.live(change.uids)
    passed = [row for row in rows if _unchanged(box, row, change.unchanged_since)]
    enter = passed and change.how is not How.REMOVE
    bits = account.flag_bits(change.flags) if enter else account.keywords.bits(change.flags)
    flags = box.columns[Column.FLAGS]
    news = [(row, new) for row in passed if (new := changed(flags[row], change.how, bits)) != flags[row]]
    modseq = account.touch(Kind.FLAGS, box) if news else box.modseq
    for row, new in news:
        box.set_flags(row, new, modseq)
    failed = sorted(set(rows) - set(passed)) if len(passed) < len(rows) else ()
    return Flagged(modseq, box.uids(row for row, _ in news), box.uids(failed))


def _unchanged(box: MemoryMailbox, row: int, since: int | None) -> bool:
    return since is None or box.columns[Column.MODSEQ][row] <= since


def copy(state: State, change: Copy) -> Result:
    """Copy messages."""
    return _transfer(state, change, moving=False)


def move(state: State, change: Move) -> Result:
    """Copy and expunge."""
    return _transfer(state, change, moving=True)


def _transfer(state: State, change: Copy | Move, *, moving: bool) -> Result:
    account = state.account(change.account)
    other = state.account(change.target_account or change.account)
    source, target = account.mailbox(change.mailbox), other.mailbox(change.target)
    places = source.live(change.uids)
    if not places:
        return Copied(target.id, target.uidvalidity, UidSet(), UidSet(), target.modseq)
    check_uids([0] * len(places), target.uidnext)
    rows = [source.row(place) for place in places]
    if not (moving and account is other):
        other.afford(sum(len(row.octets) for row in rows), len(rows))
    if account is not other:
        rows = [_naturalised(row, account, other) for row in rows]
    modseq = other.touch(Kind.ARRIVED, target)
    uids, taken = source.uids(places), target.add(rows, modseq, state.now)
    gone = 0
    if moving:
        gone = account.touch(Kind.EXPUNGED, source)
        source.expunge(places, gone, state.now)
    return Copied(target.id, target.uidvalidity, uids, taken, modseq, gone)


def _naturalised(row: Row, account: MemoryAccount, other: MemoryAccount) -> Row:
    """Translate what is the account's own: keywords and threads."""
    flags = other.flag_bits(words(row.flags, account.keywords.names), strict=False)
    return row._replace(flags=flags, thread=other.threads.join(row.summary, row.email))


def expunge(state: State, change: Expunge) -> Result:
    """Remove messages."""
    account = state.account(change.account)
    box = account.mailbox(change.mailbox)
    flags = box.columns[Column.FLAGS]
    rows = array("I", (row for row in box.live(change.uids) if not change.deleted or flags[row] & DELETED))
    if not rows:
        return Expunged(UidSet(), box.modseq)
    modseq = account.touch(Kind.EXPUNGED, box)
    box.expunge(rows, modseq, state.now)
    return Expunged(box.uids(rows), modseq)


def claim_recent(state: State, change: ClaimRecent) -> Result:
    r"""Take \Recent."""
    box = state.account(change.account).mailbox(change.mailbox)
    first, box.recent_from = box.recent_from, box.uidnext
    return Claimed(first, box.uidnext)


def restore(state: State, account: MemoryAccount, source: MemoryMailbox, rows: list[int], name: str) -> Copied:
    """Bring rows back, into the mailbox called ``name``, which is made if it is missing. Nothing is checked here."""
    target = account.names.get(name) or _made_again(state, account, source, name)
    if not rows:
        return Copied(target.id, target.uidvalidity, UidSet(), UidSet(), target.modseq)
    back = [source.row(row) for row in rows]
    modseq = account.touch(Kind.ARRIVED, target)
    return Copied(target.id, target.uidvalidity, source.uids(rows), target.add(back, modseq, state.now), modseq)


def _made_again(state: State, account: MemoryAccount, source: MemoryMailbox, name: str) -> MemoryMailbox:
    box = make(state, account, name)
    box.special_use, box.acl, box.annotations = source.special_use, source.acl, dict(source.annotations)
    return box
