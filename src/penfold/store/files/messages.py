"""Changes of messages in files. What can be checked is checked first; the folder then makes all of it or none.

Standards: RFC 9051 §6.3.12, §6.4.3, §6.4.6, §6.4.7; RFC 3502; RFC 4315; RFC 6851; RFC 7162 §3.1.3; RFC 8508; RFC 9042
"""

import re
from array import array
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from penfold.store.allowance import check_uids
from penfold.store.base import Column, Kind
from penfold.store.change import Append, ClaimRecent, Copy, Deliver, Expunge, How, Message, Move, Replace, StoreFlags
from penfold.store.files.account import FilesAccount
from penfold.store.files.folder import New
from penfold.store.files.mailbox import FilesMailbox
from penfold.store.files.state import State
from penfold.store.flags import DELETED, changed, valid, words
from penfold.store.refusal import Refusal
from penfold.store.result import Claimed, Copied, Expunged, Flagged, Problem, Result, Stored
from penfold.store.tree import spelled
from penfold.store.uidset import UidSet

_NOT_IN_NAMES: Final = re.compile(r"[^0-9A-Za-z]")


def deliver(state: State, change: Deliver) -> Result:
    """Deliver once."""
    account = state.account(change.account)
    name = spelled(change.name)
    box = _target(account, change, name)
    key = (change.queue_id, change.number, box.id if box else "")
    if box and (known := account.deliveries.get(key)):
        return Stored(box.id, known[0], UidSet.of([known[1]]), known[2], repeated=True)
    octets = state.octets(change.message)
    check_uids([change.message.uid], box.uidnext if box else 1)
    account.afford(len(octets), 1, 0 if box else len(account.missing(name)))
    box = box or account.make(name)
    box.look()
    unique = _NOT_IN_NAMES.sub("-", change.queue_id) + f"R{change.number}"
    if not account.remembers and (found := _delivered(box, unique)) is not None:
        uid, modseq = box.columns[Column.UID][found], box.columns[Column.MODSEQ][found]
        return Stored(box.id, box.uidvalidity, UidSet.of([uid]), modseq, repeated=True)
    flags = _carried(box, [flag for flag in change.message.flags if valid(flag)], account)
    stored = _append(account, box, [_new(account, change.message, octets, flags, unique)])
    account.deliveries[key[0], key[1], box.id] = (box.uidvalidity, next(iter(stored.uids)), stored.modseq)
    return stored


def _target(account: FilesAccount, change: Deliver, name: str) -> FilesMailbox | None:
    try:
        return account.mailbox(change.mailbox)
    except Refusal:
        if name in account.names:
            box = account.named(name)
            box.look()
            return box
    if not change.create:
        raise Refusal(Problem.NONEXISTENT, f"no mailbox is called {name}")
    return None


def _delivered(box: FilesMailbox, unique: str) -> int | None:
    """Find a message that a delivery before a crash has left: the format's names say so where there are any."""
    mark = f".{unique}."
    return next((row for row, key in enumerate(box.keys) if mark in key), None)


def _carried(box: FilesMailbox, flags: Iterable[str], account: FilesAccount) -> frozenset[str]:
    """Leave out keywords for which there is no room, in the account or in the format."""
    found: frozenset[str] = frozenset()
    for flag in flags:
        bits = account.flag_bits((flag,), strict=False)
        if bits and box.folder.carries(found | {flag}):
            found |= set(words(bits, account.keywords.names))
    return found


def append(state: State, change: Append) -> Result:
    """Append all or none."""
    account = state.account(change.account)
    box = account.mailbox(change.mailbox)
    check_uids([message.uid for message in change.messages], box.uidnext)
    contents = [state.octets(message) for message in change.messages]
    account.afford(sum(map(len, contents)), len(contents))
    _room(account, box, tuple(flag for message in change.messages for flag in message.flags))
    new = [
        _new(account, message, octets, _words(account, message.flags), account.unique())
        for message, octets in zip(change.messages, contents, strict=True)
    ]
    return _append(account, box, new)


def _room(account: FilesAccount, box: FilesMailbox, flags: tuple[str, ...]) -> int:
    """Check that flags can be borne, by the account and by the format; gives their bits. Raises Refusal."""
    if all(map(valid, flags)) and not box.folder.carries(flags):
        raise Refusal(Problem.LIMIT, "this mailbox has no room for these keywords")
    return account.flag_bits(flags)


def _words(account: FilesAccount, flags: Iterable[str]) -> frozenset[str]:
    return frozenset(words(account.keywords.bits(flags), account.keywords.names))


def _new(account: FilesAccount, message: Message, octets: bytes, flags: frozenset[str], unique: str) -> New:
    internal = account.now if message.internal is None else message.internal
    return New(octets, flags, internal, unique, message.uid, message.uidl)


def _writable(box: FilesMailbox) -> None:
    if not box.folder.writable:
        raise Refusal(Problem.UNAVAILABLE, "this mailbox can only be read")


def _append(account: FilesAccount, box: FilesMailbox, batch: Sequence[New]) -> Stored:
    _writable(box)
    found = box.folder.append(batch)
    box.look_behind(found[0].uid if found else 0)
    modseq = account.touch(Kind.ARRIVED, box)
    first = len(box.keys)
    box.enter(found, modseq, account.now)
    for row, new in enumerate(batch, first):
        box.keep(row, new.octets)
    return Stored(box.id, box.uidvalidity, UidSet.of(each.uid for each in found), modseq)


def replace(state: State, change: Replace) -> Result:
    """Append one and expunge the other. CRASH: both may be there, never none."""
    account = state.account(change.account)
    source, target = account.mailbox(change.mailbox), account.mailbox(change.target)
    old = source.live(UidSet.of([change.uid]))
    if not old:
        raise Refusal(Problem.NONEXISTENT, "the message to be replaced is gone")
    check_uids([change.message.uid], target.uidnext)
    octets = state.octets(change.message)
    source.measure(old)
    account.afford(len(octets) - source.columns[Column.SIZE][old[0]])
    _room(account, target, change.message.flags)
    flags = _words(account, change.message.flags)
    stored = _append(account, target, [_new(account, change.message, octets, flags, account.unique())])
    _strike(account, source, source.live(UidSet.of([change.uid])))
    return stored


def store_flags(state: State, change: StoreFlags) -> Result:
    """Change flags."""
    account = state.account(change.account)
    box = account.mailbox(change.mailbox)
    rows = box.live(change.uids)
    modseqs = box.columns[Column.MODSEQ]
    since = change.unchanged_since
    passed = [row for row in rows if since is None or modseqs[row] <= since]
    enter = passed and change.how is not How.REMOVE
    bits = _room(account, box, change.flags) if enter else account.keywords.bits(change.flags)
    flags = box.columns[Column.FLAGS]
    news = [(row, new) for row in passed if (new := changed(flags[row], change.how, bits)) != flags[row]]
    done = _mark(account, box, news)
    failed = sorted(set(rows) - set(passed)) if len(passed) < len(rows) else ()
    modseq = account.touch(Kind.FLAGS, box) if done else box.modseq
    if done:
        box.set_flags(done, modseq)
    return Flagged(modseq, box.uids(row for row, _ in done), box.uids(failed))


def _mark(account: FilesAccount, box: FilesMailbox, news: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Write flags into the folder; gives those that were written."""
    if not news:
        return []
    _writable(box)
    names = account.keywords.names
    known = {bits: frozenset(words(bits, names)) for bits in {bits for _, bits in news}}
    done = box.folder.mark([(box.keys[row], known[bits]) for row, bits in news])
    return [each for each, there in zip(news, done, strict=True) if there]


def copy(state: State, change: Copy) -> Result:
    """Copy messages."""
    return _transfer(state, change, moving=False)


def move(state: State, change: Move) -> Result:
    """Copy and expunge. CRASH: a message may be in both, never in none."""
    return _transfer(state, change, moving=True)


def _transfer(state: State, change: Copy | Move, *, moving: bool) -> Result:
    account = state.account(change.account)
    other = state.account(change.target_account or change.account)
    source, target = account.mailbox(change.mailbox), other.mailbox(change.target)
    return transfer(account, source, other, target, change.uids, moving=moving)


def transfer(
    account: FilesAccount,
    source: FilesMailbox,
    other: FilesAccount,
    target: FilesMailbox,
    uids: UidSet,
    *,
    moving: bool,
) -> Copied:
    """Copy messages, all or none, and take them away afterwards if they are to be moved."""
    rows = source.live(uids)
    if not rows:
        return Copied(target.id, target.uidvalidity, UidSet(), UidSet(), target.modseq)
    taken = source.uids(rows)
    new = [_copied(account, source, row, other, target) for row in rows]
    if not (moving and account is other):
        other.afford(sum(len(each.octets) for each in new), len(new))
    _writable(target)
    check_uids([0] * len(rows), target.uidnext)
    if moving:
        _writable(source)
    found = target.folder.append(new)
    target.look_behind(found[0].uid)
    modseq = other.touch(Kind.ARRIVED, target)
    first = len(target.keys)
    target.enter(found, modseq, other.now)
    for row, each, old in zip(range(first, first + len(new)), new, source.live(taken), strict=True):
        if account is not other or not target.keep_as(row, source, old):
            target.keep(row, each.octets)
    gone = _strike(account, source, source.live(taken)) if moving else 0
    given = UidSet.of(each.uid for each in found)
    return Copied(target.id, target.uidvalidity, taken, given, modseq, gone)


def _copied(account: FilesAccount, source: FilesMailbox, row: int, other: FilesAccount, target: FilesMailbox) -> New:
    flags = words(source.columns[Column.FLAGS][row], account.keywords.names)
    internal = source.columns[Column.INTERNAL][row]
    return New(source.octets(row), _carried(target, flags, other), internal, other.unique())


def _strike(account: FilesAccount, box: FilesMailbox, rows: Collection[int]) -> int:
    """Remove messages from the folder, then from the columns."""
    _writable(box)
    box.folder.remove([box.keys[row] for row in rows])
    modseq = account.touch(Kind.EXPUNGED, box)
    box.strike(list(rows), modseq)
    return modseq


def expunge(state: State, change: Expunge) -> Result:
    """Remove messages."""
    account = state.account(change.account)
    box = account.mailbox(change.mailbox)
    flags = box.columns[Column.FLAGS]
    rows = array("I", (row for row in box.live(change.uids) if not change.deleted or flags[row] & DELETED))
    if not rows:
        return Expunged(UidSet(), box.modseq)
    uids = box.uids(rows)
    return Expunged(uids, _strike(account, box, rows))


def claim_recent(state: State, change: ClaimRecent) -> Result:
    r"""Take \Recent."""
    box = state.account(change.account).mailbox(change.mailbox)
    first, box.recent_from = box.recent_from, box.uidnext
    if first != box.uidnext and box.folder.writable:
        box.folder.claim()
        box.soil()
    return Claimed(first, box.uidnext)
