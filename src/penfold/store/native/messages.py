"""Changes of messages. Each checks everything first, so that a refusal leaves nothing behind.

COPY and MOVE within an account share octets and what was rendered: only rows are written.

Standards: RFC 9051 §6.3.12, §6.4.3, §6.4.6, §6.4.7; RFC 3502; RFC 4315; RFC 6851; RFC 7162 §3.1.3; RFC 8508; RFC 9042
"""

from array import array

from penfold.store.allowance import check_uids
from penfold.store.base import Column, Item, Kind
from penfold.store.change import INBOX, Append, ClaimRecent, Copy, Deliver, Expunge, How, Move, Replace, StoreFlags
from penfold.store.flags import DELETED, words
from penfold.store.native import rendered
from penfold.store.native.account import Account
from penfold.store.native.box import Box, Row
from penfold.store.native.folders import make
from penfold.store.native.index import BIG, Facts
from penfold.store.native.state import State
from penfold.store.refusal import Refusal
from penfold.store.result import Claimed, Copied, Expunged, Flagged, Problem, Result, Stored
from penfold.store.tree import missing, spelled
from penfold.store.uidset import UidSet


def deliver(state: State, change: Deliver) -> Result:
    """Deliver once."""
    account = state.account(change.account)
    name = change.name if change.name == INBOX else spelled(change.name)
    message = change.message
    box = account.mailboxes.get(change.mailbox) or account.names.get(name)
    if box is None and not change.create:
        raise Refusal(Problem.NONEXISTENT, f"no mailbox is called {name}")
    known = _delivered(account, box, change) if box else None
    if known:
        return known
    octets = state.octets(message)
    check_uids([message.uid], box.slot.uidnext if box else 1)
    account.afford(len(octets), 1, 0 if box else len(missing(account.names, name)))
    box = box or make(state, account, name)
    flags = account.flag_bits(message.flags, strict=False)
    stored = _store(state, account, box, [state.row(account, message, octets, flags)])
    key = account.delivery_key(change.queue_id, change.number, box.id)
    account.table.put(key, stored.uids.ranges[0][0])
    return stored


def _delivered(account: Account, box: Box, change: Deliver) -> Stored | None:
    """Tell what the delivery became when it was made before, unless that is forgotten."""
    uid = account.table.get(account.delivery_key(change.queue_id, change.number, box.id))
    if uid is None:
        return None
    uids = UidSet.of([uid])
    for places in uids.places(box.hot(Column.UID)):
        (facts,) = box.facts(places)
        if facts.saved >= account.head.forgotten:
            return Stored(box.id, box.slot.uidvalidity, uids, facts.arrived, repeated=True)
    return None


def append(state: State, change: Append) -> Result:
    """Append all or none."""
    account = state.account(change.account)
    box = account.mailbox(change.mailbox)
    check_uids([message.uid for message in change.messages], box.slot.uidnext)
    contents = [state.octets(message) for message in change.messages]
    account.afford(sum(map(len, contents)), len(contents))
    account.flag_bits(tuple(flag for message in change.messages for flag in message.flags))
    rows = [
        state.row(account, message, octets, account.keywords.bits(message.flags))
        for message, octets in zip(change.messages, contents, strict=True)
    ]
    return _store(state, account, box, rows)


def _store(state: State, account: Account, box: Box, rows: list[Row]) -> Stored:
    modseq = account.touch(Kind.ARRIVED, box)
    return Stored(box.id, box.slot.uidvalidity, box.add(rows, modseq, state.now), modseq)


def replace(state: State, change: Replace) -> Result:
    """Append one and expunge the other."""
    account = state.account(change.account)
    source, target = account.mailbox(change.mailbox), account.mailbox(change.target)
    old = source.live(UidSet.of([change.uid]))
    if not old:
        raise Refusal(Problem.NONEXISTENT, "the message to be replaced is gone")
    check_uids([change.message.uid], target.slot.uidnext)
    octets = state.octets(change.message)
    account.afford(len(octets) - next(source.facts(old)).size)
    row = state.row(account, change.message, octets, account.flag_bits(change.message.flags))
    stored = _store(state, account, target, [row])
    source.expunge(old, account.touch(Kind.EXPUNGED, source), state.now)
    return stored


def store_flags(state: State, change: StoreFlags) -> Result:
    """Change flags."""
    account = state.account(change.account)
    box = account.mailbox(change.mailbox)
    rows = box.live(change.uids)
    passed, failed = _unchanged(box, rows, change.unchanged_since)
    enter = passed and change.how is not How.REMOVE
    bits = account.flag_bits(change.flags) if enter else account.keywords.bits(change.flags)
    column = box.hot(Column.FLAGS)
    changed, after = array("I"), array("Q")
    for row in passed:
        before = column[row]
        flags = _new_flags(before, change.how, bits)
        if flags != before:
            changed.append(row)
            after.append(flags)
    modseq = account.touch(Kind.FLAGS, box) if changed else box.slot.modseq
    if changed:
        box.set_flags(changed, after, modseq)
    return Flagged(modseq, box.uids(changed), box.uids(failed))


def _unchanged(box: Box, rows: "array[int]", since: int | None) -> "tuple[array[int], array[int]]":
    """Part the rows that did not change since a MODSEQ from those that did."""
    if since is None:
        return rows, array("I")
    modseqs = box.hot(Column.MODSEQ)
    passed = array("I", (row for row in rows if modseqs[row] <= since))
    return passed, array("I", (row for row in rows if modseqs[row] > since))


def _new_flags(flags: int, how: How, bits: int) -> int:
    match how:
        case How.ADD:
            return flags | bits
        case How.REMOVE:
            return flags & ~bits
        case How.REPLACE:
            return bits


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
        return Copied(target.id, target.slot.uidvalidity, UidSet(), UidSet(), target.slot.modseq)
    check_uids([0] * len(places), target.slot.uidnext)
    rows = source.copies(places)
    if not (moving and account is other):
        other.afford(sum(row.facts.size for row in rows), len(rows))
    if account is not other:
        rows = [_naturalised(state, row, account, other) for row in rows]
    modseq = other.touch(Kind.ARRIVED, target)
    uids, taken = source.uids(places), target.add(rows, modseq, state.now)
    gone = 0
    if moving:
        gone = account.touch(Kind.EXPUNGED, source)
        source.expunge(places, gone, state.now)
    return Copied(target.id, target.slot.uidvalidity, uids, taken, modseq, gone)


def _naturalised(state: State, row: Row, account: Account, other: Account) -> Row:
    """Take octets along, and translate what is the account's own: keywords and threads."""
    flags = other.flag_bits(words(row.flags, account.keywords.names), strict=False)
    return Row(flags, _carried(state, row.facts, account, other))


def _carried(state: State, facts: Facts, account: Account, other: Account) -> Facts:
    big = bool(facts.bits & BIG)
    body = account.stub(facts.body) if big else account.read(account.pack, facts.body, facts.size)
    record = account.read(account.cache, facts.cache, facts.rendered)
    if big:
        try:
            state.big.share(body, account.folder, other.folder)
        except OSError as error:
            raise Refusal(Problem.UNAVAILABLE, f"the message cannot be copied: {error.strerror}") from error
    thread = other.join_thread(
        rendered.read(record, Item.MESSAGE_ID),
        rendered.read(record, Item.ANCESTORS).split(),
        rendered.read(record, Item.SUBJECT),
        facts.email,
    )
    return facts._replace(thread=thread, body=other.append_body(body), cache=other.append_rendered(record))


def expunge(state: State, change: Expunge) -> Result:
    """Remove messages."""
    account = state.account(change.account)
    box = account.mailbox(change.mailbox)
    flags = box.hot(Column.FLAGS)
    rows = array("I", (row for row in box.live(change.uids) if not change.deleted or flags[row] & DELETED))
    if not rows:
        return Expunged(UidSet(), box.slot.modseq)
    modseq = account.touch(Kind.EXPUNGED, box)
    box.expunge(rows, modseq, state.now)
    return Expunged(box.uids(rows), modseq)


def claim_recent(state: State, change: ClaimRecent) -> Result:
    r"""Take \Recent."""
    box = state.account(change.account).mailbox(change.mailbox)
    first = box.claim() if box.slot.recent_from != box.slot.uidnext else box.slot.recent_from
    return Claimed(first, box.slot.uidnext)
