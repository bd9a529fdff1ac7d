"""An mbox or MMDF file as it lies: UIDs in ``X-UID``, UIDVALIDITY in ``X-IMAPbase``, flags in ``Status`` and others.

A file we may write to is read and changed under its locks. What came in without a UID gets its ``X-UID`` at the first
look, so UIDs stay whoever rewrites the file: mutt, c-client and Dovecot keep these fields. A UID counts only if it
ascends and is not above what ``X-IMAPbase`` says; from the first that does not on, messages get new ones. The control
directory remembers the last UID, for a mailbox that was emptied, and holds the recovery file (see
``formats.rewriting``). In a file that we may only read nothing is believed: UIDs lie in the control directory by a
digest of each message.

PERF: what other programs change is found by a scan of the whole file. A flag is overwritten in its place, an expunge
moves what lies behind it.

Standards: https://doc.dovecot.org/2.3/admin_manual/mailbox_formats/mbox/; RFC 4155
Trust: every program of the file's owner; the messages are anybody's.
Durability: content synced before the answer; a rewrite is never left by half. CRASH: an append that was not answered
may be cut off, or be there whole.
"""

import contextlib
import errno
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from hashlib import blake2b
from typing import Final, NamedTuple

import msgspec

from penfold.formats import status, uidlist
from penfold.formats.replacing import content, replace
from penfold.formats.rewriting import recover, rewrite
from penfold.formats.spoolfile import SafeFile, pieces
from penfold.formats.spoolscan import Part
from penfold.formats.status import Base
from penfold.formats.uidlist import UidList
from penfold.fs.base import File, FileSystem
from penfold.store.files.folder import Found, Means, New, Snapshot
from penfold.store.files.spoolshape import SpoolShape

_LAST: Final = re.compile(rb"^X-IMAP(?:base)?: \d{10} (\d{10})(?=[ \n])", re.MULTILINE)
_TAIL: Final = 1024
_GLANCE: Final = 1.0  # seconds to wait for locks when nothing is to be changed: whoever reads does not wait long
_LOOKED_AT: Final = 32  # messages looked at to see that a file has only grown


class _Mail(NamedTuple):
    """A message, or the one of c-client that is none (``uid`` 0): where it lies, and what its header says."""

    start: int
    head: int
    body: int
    end: int
    following: int
    uid: int
    flags: frozenset[str]
    seen: bool
    arrived: int
    key: str


class _New(NamedTuple):
    """What the fields of a message are to say."""

    flags: frozenset[str]
    uid: int
    seen: bool
    base: Base | None


class StaleUids(OSError):
    """UIDs that the caller knows mean other messages now."""


class SpoolFolder:
    """One file. ``control`` is a directory of ours; ``optional``: a file that is not there is an empty mailbox."""

    def __init__(
        self, means: Means, path: str, control: str, shape: SpoolShape, *, writable: bool, optional: bool
    ) -> None:
        self.writable = writable
        self._means = means
        self._fs: FileSystem = means.fs
        self._path = path
        self._shape = shape
        self._optional = optional
        self._recovery = f"{control}/recovery"
        self._list_path = f"{control}/uids"
        self._safe = SafeFile(means.fs, path, means.locks, means.clock)
        glance = msgspec.structs.replace(means.locks, wait=min(means.locks.wait, _GLANCE))
        self._glancing = self._safe._replace(policy=glance)
        self._mail: list[_Mail] = []
        self._index: dict[str, int] = {}
        self._base = Base(0, 0)
        self._stamp: tuple[float, ...] | None = None
        self._news = True

    # -- looking

    def changed(self) -> bool:
        """Tell whether it may have changed."""
        return self._news or self._facts() != self._stamp

    def look(self, known: Mapping[str, object]) -> Snapshot:
        """Scan it, if it is not what was scanned last."""
        del known
        with self._opened() as file, contextlib.suppress(StaleUids):
            self._come_up(file)
        self._news = False
        return Snapshot(self._base.uidvalidity, self._base.last + 1, [_found(each) for each in self._mail if each.uid])

    def _facts(self) -> tuple[float, ...]:
        try:
            facts = self._fs.stat(self._path)
        except FileNotFoundError:
            if not self._optional:
                raise
            return ()
        return (facts.mtime, facts.size, facts.inode)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[File | None]:
        """Open it, locked if we may write; None for one that is not there and need not be."""
        if not self._facts():
            yield None
        elif self.writable:
            with self._glancing.locked() as (file, _):
                yield file
        else:
            with contextlib.closing(self._fs.open(self._path)) as file:
                yield file

    def _come_up(self, file: File | None) -> None:
        """Scan the file if it has changed; what then means something else is told at the next look."""
        if self._stamp is not None and self._facts() == self._stamp:
            return
        before = self._base.uidvalidity
        if file is not None and self.writable:
            recover(self._fs, file, self._path, self._recovery)
        self._scan(file)
        self._news = True
        if before not in {0, self._base.uidvalidity}:
            raise StaleUids(errno.ESTALE, "the mailbox has other UIDs now")

    def _scan(self, file: File | None) -> None:
        """Find what is there, give UIDs, and write down what the file does not say yet."""
        old = self._mail if file and self.writable and self._has_grown(file) else []
        parts = list(self._shape.scan(file, file.size(), old[-1].following if old else 0)) if file else []
        states = [status.read(part.header) for part in parts]
        known = self._remembered()
        if self.writable:
            base, uids = self._numbered(states, self._said(states, known, file if old else None), old)
        else:
            base, uids = self._listed(parts, states, known)
        default = int(self._facts()[0]) if parts else 0
        mail = [_mail(part, state, uid, default) for part, state, uid in zip(parts, states, uids, strict=True)]
        self._take([*old, *mail], base)
        if file is not None and self.writable:
            self._write_down(file, states, base, len(old))

    def _write_down(self, file: File, states: Sequence[status.State], base: Base, first: int) -> None:
        """Write the UIDs that were given into the messages, from place ``first`` on, and the last into the first."""
        wrong = {
            place: _New(each.flags, each.uid, each.seen, base if place == 0 else None)
            for place, (each, state) in enumerate(zip(self._mail[first:], states, strict=True), first)
            if each.uid != state.uid or (place == 0 and not _says(state.base, base))
        }
        if wrong:
            if first:
                self._raise(file, base.last)
            self._change(file, wrong, frozenset())
        self._remember(durable=not self._mail)

    def _has_grown(self, file: File) -> bool:
        """Tell whether mail was appended only, as far as some messages show: then the rest need not be scanned.

        What another program changed in its place, in messages not looked at, and without any of them getting longer,
        is found when it changes the file next.
        """
        if not self._mail or not self._stamp or self._facts()[2] != self._stamp[2] or file.size() <= self._stamp[1]:
            return False
        if not self._shape.begins(file.read_at(self._mail[-1].following, 5)):
            return False
        step = max(1, len(self._mail) // _LOOKED_AT)
        return all(self._is_still(file, each) for each in (self._mail[-1], *self._mail[::step]))

    def _is_still(self, file: File, each: _Mail) -> bool:
        text = file.read_at(each.start, each.body - each.start)
        state = status.read(text[each.head - each.start :])
        said = (state.uid, state.flags, state.seen) if each.uid else (0, each.flags, each.seen)
        return said == (each.uid, each.flags, each.seen) and self._shape.begins(text)

    def _take(self, mail: list[_Mail], base: Base) -> None:
        self._mail, self._base = mail, base
        self._index = {each.key: place for place, each in enumerate(mail) if each.uid}
        self._stamp = self._facts()

    def _said(self, states: Sequence[status.State], known: UidList | None, file: File | None) -> Base:
        """Give what the first message says of the mailbox, or what we know; never less than we gave."""
        if file is not None:
            head = status.read(file.read_at(self._mail[0].head, self._mail[0].body - self._mail[0].head)).base
            return self._base._replace(last=max(self._base.last, head.last if head else 0))
        said = states[0].base if states else None
        if said is None:
            return Base(known.uidvalidity, known.uidnext - 1) if known else Base(self._means.uidvalidity(), 0)
        if known and known.uidvalidity == said.uidvalidity:
            return said._replace(last=max(said.last, known.uidnext - 1))
        return said

    def _numbered(self, states: Sequence[status.State], said: Base, old: Sequence[_Mail]) -> tuple[Base, list[int]]:
        """Believe the UIDs that can be; give new ones from the first that cannot."""
        last, before, uids = said.last, old[-1].uid if old else 0, []
        for place, state in enumerate(states):
            if place == 0 and said.internal and not old:
                uids.append(0)
                continue
            if before < state.uid <= said.last and before <= said.last:
                before = state.uid
            else:
                last = before = last + 1
            uids.append(before)
        return said._replace(last=last), uids

    def _listed(
        self, parts: Sequence[Part], states: Sequence[status.State], known: UidList | None
    ) -> tuple[Base, list[int]]:
        """Give UIDs from the list in the control directory, by digests; all that follows a new one is new."""
        found = known or UidList(self._means.uidvalidity())
        digests = _digests(parts, states)
        fresh = UidList(found.uidvalidity, found.uidnext)
        before, uids = 0, []
        for digest in digests:
            uid = found.uids.get(digest, 0)
            if uid > before:
                fresh.uids[digest] = uid
            else:
                uid = fresh.give(digest)
            before = uid
            uids.append(uid)
        if known is None or fresh.uids != known.uids:
            replace(self._fs, self._list_path, fresh.octets(courier=True))
        return Base(fresh.uidvalidity, fresh.uidnext - 1), uids

    def _remembered(self) -> UidList | None:
        return uidlist.parse(content(self._fs, self._list_path) or b"")

    def _remember(self, *, durable: bool) -> None:
        """Note the last UID beside the mailbox: it is in the file, too, unless that is empty."""
        text = UidList(self._base.uidvalidity, self._base.last + 1).octets(courier=True)
        if content(self._fs, self._list_path) != text:
            replace(self._fs, self._list_path, text, durable=durable)

    # -- changing the file

    def _change(self, file: File, new: Mapping[int, _New], dropped: AbstractSet[int]) -> None:
        """Write fields of messages, leave messages out; under the lock."""
        first = min(dropped, default=len(self._mail))
        places: list[tuple[int, Iterable[bytes]]] = []
        for place in sorted(new):
            patch = _in_place(file, self._mail[place], new[place]) if place < first else None
            if patch is not None:
                places.append((patch[0], patch[1:]))
            else:
                first = min(first, place)
        if first < len(self._mail):
            start = self._mail[first].start
            places = [each for each in places if each[0] < start]
            places.append((start, self._composed(file, first, new, dropped)))
        if places:
            rewrite(self._fs, file, self._path, self._recovery, places, cut=first < len(self._mail))
        if first < len(self._mail):
            self._scan_again(file)
        else:
            mail = list(self._mail)
            for place, said in new.items():
                mail[place] = mail[place]._replace(flags=said.flags, uid=said.uid, seen=said.seen, key=str(said.uid))
            self._take(mail, self._base)

    def _composed(self, file: File, first: int, new: Mapping[int, _New], dropped: AbstractSet[int]) -> Iterator[bytes]:
        """Write what lies from message ``first`` on, as it is to be."""
        start = self._mail[first].start
        for place in sorted({*(each for each in new if each >= first), *dropped}):
            each = self._mail[place]
            if place in dropped:
                yield from pieces(file, start, each.start - start)
                start = each.following
            else:
                yield from pieces(file, start, each.head - start)
                yield _with_block(file.read_at(each.head, each.body - each.head), new[place])
                start = each.body
        yield from pieces(file, start, file.size() - start)

    def _scan_again(self, file: File) -> None:
        parts = list(self._shape.scan(file, file.size()))
        states = [status.read(part.header) for part in parts]
        default = int(self._facts()[0])
        mail = [_mail(part, state, state.uid, default) for part, state in zip(parts, states, strict=True)]
        self._take(mail, self._base)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[File]:
        """Lock it and come up to what it is now. A file that is not there is made."""
        if not self._optional:
            self._facts()
        with self._safe.locked() as (file, _):
            self._come_up(file)
            yield file

    def adopt(self, uidvalidity: int, uidnext: int) -> None:
        """Give all messages new UIDs under another UIDVALIDITY."""
        self._base = Base(uidvalidity, uidnext - 1)
        if not self.writable:
            replace(self._fs, self._list_path, UidList(uidvalidity, uidnext).octets(courier=True))
        elif self._index:
            with self._safe.locked() as (file, _):
                self._scan(file)
                first = next(iter(self._index.values()))
                last = uidnext - 1 + len(self._mail) - first
                base = self._base._replace(uidvalidity=uidvalidity, last=last)
                new = {
                    place: _New(each.flags, max(0, uidnext + place - first), each.seen, base if place == 0 else None)
                    for place, each in enumerate(self._mail)
                }
                self._base = base
                self._change(file, new, frozenset())
        self._news, self._stamp = True, self._stamp if self.writable else None
        if self.writable:
            self._remember(durable=True)

    def carries(self, flags: Iterable[str]) -> bool:
        """All keywords go into X-Keywords."""
        del flags
        return True

    def append(self, batch: Sequence[New]) -> list[Found]:
        """Append all under one lock, or cut the file back."""
        with self._locked() as file:
            uids = _following(batch, self._base.last)
            self._learn(flag for new in batch for flag in new.flags)
            base = self._base._replace(last=max(self._base.last, *uids))
            if self._mail:
                self._raise(file, base.last)
            begin = file.size()
            mend = self._shape.mend(file.read_at(max(0, begin - _TAIL), _TAIL))
            mail, texts = self._new_mail(batch, uids, begin + len(mend))
            try:
                file.append([mend, *texts])
                file.datasync()
            except OSError:
                self._take_back(file, begin)
                raise
            self._take([*self._mail, *mail], base)
            self._remember(durable=False)
        return [
            _found(each)._replace(size=self._shape.size(new.octets), internal=new.internal, uidl=new.uidl)
            for each, new in zip(mail, batch, strict=True)
        ]

    def _take_back(self, file: File, size: int) -> None:
        """Leave the file as it was; where even that fails, it is scanned anew."""
        self._stamp = None
        with contextlib.suppress(OSError):
            file.truncate(size)
            if self._mail:
                self._raise(file, self._base.last)

    def _new_mail(self, batch: Sequence[New], uids: Sequence[int], start: int) -> tuple[list[_Mail], list[bytes]]:
        mail: list[_Mail] = []
        texts: list[bytes] = []
        for new, uid in zip(batch, uids, strict=True):
            base = None if self._mail or mail else self._base._replace(last=uids[-1])
            block = status.block(new.flags, uid, seen=False, base=base)
            before, header, rest, after = self._shape.written(new.octets, new.internal, block)
            head, body = start + len(before), start + len(before) + len(header)
            end = body + len(rest)
            each = _Mail(
                start, head, body, end, end + len(after), uid, new.flags, seen=False, arrived=new.internal, key=str(uid)
            )
            mail.append(each)
            texts += [before, header, rest, after]
            start = each.following
        return mail, texts

    def _learn(self, flags: Iterable[str]) -> bool:
        """Put new keywords on the list that stands in the first message; tells whether it has to be written."""
        before, self._base = self._base, status.with_keywords(self._base, set(flags))
        return self._base != before

    def _raise(self, file: File, last: int) -> None:
        """Note in the first message that UIDs up to ``last`` have been given: ten digits are overwritten."""
        first = self._mail[0]
        header = file.read_at(first.head, first.body - first.head)
        found, said = _LAST.search(header), status.read(header).base
        if found and said and said.keywords == self._base.keywords:
            file.write_at(first.head + found.start(1), b"%010d" % last)
        else:
            base = self._base._replace(last=last)
            self._change(file, {0: _New(first.flags, first.uid, first.seen, base)}, frozenset())

    def mark(self, flags: Sequence[tuple[str, frozenset[str]]]) -> list[bool]:
        """Write the fields of messages."""
        with self._locked() as file:
            new = {
                self._index[key]: self._as(self._index[key], flags=each) for key, each in flags if key in self._index
            }
            done = [key in self._index for key, _ in flags]
            if self._learn(flag for each in new.values() for flag in each.flags):
                new[0] = (new.get(0) or self._as(0, flags=self._mail[0].flags))._replace(base=self._base)
            self._change(file, new, frozenset())
        return done

    def _as(self, place: int, *, flags: frozenset[str], seen: bool = False) -> _New:
        each = self._mail[place]
        return _New(flags, each.uid, each.seen or seen, self._base if place == 0 else None)

    def remove(self, keys: Sequence[str]) -> list[bool]:
        """Leave messages out; the first that stays bears what the first has to."""
        with self._locked() as file:
            done = [key in self._index for key in keys]
            dropped = {self._index[key] for key in keys if key in self._index}
            self._remember(durable=True)
            new: dict[int, _New] = {}
            if 0 in dropped and len(dropped) < len(self._mail):
                first = next(place for place in range(len(self._mail)) if place not in dropped)
                each = self._mail[first]
                new[first] = _New(each.flags, each.uid, each.seen, self._base)
            if dropped:
                self._change(file, new, dropped)
        return done

    def claim(self) -> None:
        """Write that messages have been seen by a mail program."""
        with self._locked() as file:
            new = {
                place: self._as(place, flags=each.flags, seen=True)
                for place, each in enumerate(self._mail)
                if each.uid and not each.seen
            }
            if new:
                self._change(file, new, frozenset())

    # -- reading

    def read(self, key: str) -> bytes:
        """Read a message, found again if the file has changed."""
        for _ in range(3):
            with contextlib.closing(self._fs.open(self._path)) as file:
                if self._is_scanned(file):
                    each = self._mail[self._at(key)]
                    text = file.read_at(each.head, each.end - each.head)
                    return self._shape.wire(status.strip(text[: each.body - each.head]), text[each.body - each.head :])
            with self._opened() as locked:
                self._come_up(locked)
        raise OSError(errno.EAGAIN, "the mailbox keeps changing")

    def _at(self, key: str) -> int:
        if key not in self._index:
            raise FileNotFoundError(errno.ENOENT, "No such message", key)
        return self._index[key]

    def _is_scanned(self, file: File) -> bool:
        """Check that the open file is what was scanned."""
        try:
            facts = os.fstat(file.fileno())
        except OSError:
            return self._facts() == self._stamp
        return (facts.st_mtime, facts.st_size, facts.st_ino) == self._stamp


def _mail(part: Part, state: status.State, uid: int, default: int) -> _Mail:
    body = part.head + len(part.header)
    arrived = default if part.arrived is None else int(part.arrived)
    return _Mail(
        part.start,
        part.head,
        body,
        max(part.end, body),
        part.following,
        uid,
        state.flags,
        state.seen,
        arrived,
        str(uid),
    )


def _found(each: _Mail) -> Found:
    stored = each.end - each.head
    return Found(each.uid, each.key, each.flags, stored, 0, each.arrived, not each.seen)


def _says(said: Base | None, base: Base) -> bool:
    return said is not None and (said.uidvalidity, said.last) == (base.uidvalidity, base.last)


def _with_block(header: bytes, new: _New) -> bytes:
    state = status.read(header)
    block = status.block(new.flags, new.uid, seen=new.seen, base=new.base, length=status.room(state))
    return status.rewritten(header, state, block)


def _in_place(file: File, each: _Mail, new: _New) -> tuple[int, bytes] | None:
    """Give the octets that change a message's fields where they stand; None if they do not fit."""
    header = file.read_at(each.head, each.body - each.head)
    written = _with_block(header, new)
    if len(written) != len(header):
        return None
    first = next((place for place, octet in enumerate(written) if octet != header[place]), len(written))
    return each.head + first, written[first:]


def _following(batch: Sequence[New], last: int) -> list[int]:
    """Give the UIDs of new messages."""
    uids = []
    for new in batch:
        last = max(new.uid, last + 1)
        uids.append(last)
    return uids


def _digests(parts: Sequence[Part], states: Sequence[status.State]) -> list[str]:
    """Name messages by what does not change in them, equal ones by their count."""
    seen: dict[bytes, int] = {}
    found = []
    for part, state in zip(parts, states, strict=True):
        text = b"%r\n%b" % (part.arrived, status.without(part.header, state.spans))
        digest = blake2b(text, digest_size=12).digest()
        seen[digest] = seen.get(digest, 0) + 1
        found.append(f"{digest.hex()}.{seen[digest]}")
    return found
