r"""An MH folder as it lies: flags are sequences, UIDs stand in a file of ours beside the messages (``.penfold-uids``).

MH renumbers messages (``folder -pack``, ``sortm``), so a message is known by its file, not by its number: by inode and
time, which a rename keeps. One that was edited is another message, as IMAP demands.

``unseen`` is the negative of \Seen; ``replied``, ``flagged``, ``draft`` and ``deleted`` are flags, and every other
sequence is a keyword. A keyword that no sequence can be called by is written ``kwQ24Junk`` (``$Junk``): ``kw``, and
``Q`` with two hexadecimal digits for what is neither letter nor digit. Numbers are given, and sequences written, under
the lock of ``.mh_sequences``, as nmh does it.

Standards: mh-profile(5), mh-sequence(5), mh-folders of nmh
Trust: the folder's owner.
Durability: content, number, UID, then the answer; sequences are written last. CRASH: a message with a number and
without a UID is new at the next look; hidden files are left, and swept by whoever delivers.
"""

import contextlib
import errno
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from penfold.formats.lines import lf
from penfold.formats.sequences import Ranges, Sequences
from penfold.formats.spoolfile import SafeFile, opened
from penfold.formats.uidlist import UidList
from penfold.fs.base import File, Stat
from penfold.fs.locks import LockKind
from penfold.model import Reply, Transient
from penfold.store.files.folder import Found, Means, New, Snapshot
from penfold.store.files.uidfile import UidFile

_NUMBER: Final = re.compile(r"[1-9]\d{0,8}")
_SEQUENCE: Final = re.compile(r"[A-Za-z][A-Za-z0-9]{0,99}")
_SYSTEM: Final = {"\\answered": "replied", "\\flagged": "flagged", "\\draft": "draft", "\\deleted": "deleted"}
_FLAGS: Final = {"replied": "\\Answered", "flagged": "\\Flagged", "draft": "\\Draft", "deleted": "\\Deleted"}
_UNSEEN: Final = "unseen"
_RESERVED: Final = frozenset(("cur", "all", "first", "last", "prev", "next", _UNSEEN, *_FLAGS))
_CODED: Final = re.compile(r"kw(?:[A-PR-Za-z0-9]|Q[0-9A-F]{2})+")
_LONGEST_NAME: Final = 150
_LONGEST: Final = 1024 * 1024
_GRAIN: Final = 1.1  # seconds: see ``maildir``


class MhFolder:
    """One folder. ``control`` is where UIDs lie when we may not write into the folder."""

    def __init__(self, means: Means, path: str, control: str, *, writable: bool) -> None:
        self.writable = writable
        self._means = means
        self._fs = means.fs
        self._path = path
        self._uids = UidFile(means, f"{path}/.penfold-uids" if writable else f"{control}/uids")
        locks = means.locks
        fcntl = type(locks)(order=(LockKind.FCNTL,), wait=locks.wait, stale=locks.stale)
        self._sequences = SafeFile(means.fs, f"{path}/.mh_sequences", fcntl, means.clock)
        self._numbers: dict[str, int] = {}
        self._stamp: tuple[float, ...] = ()
        self._looked = 0.0

    # -- looking

    def changed(self) -> bool:
        """Tell whether it may have changed."""
        stamp = self._times()
        return stamp != self._stamp or 0 < self._looked - stamp[0] < _GRAIN <= self._means.now() - stamp[0]

    def look(self, known: Mapping[str, object]) -> Snapshot:
        """List the folder, give UIDs to what has none."""
        stamp, now = self._times(), self._means.now()
        facts = self._listed()
        numbers = self._numbers
        found = self._uids.with_all(numbers, numbers.__getitem__)
        marks = self._marks(self._read())
        messages = [
            self._found(key, uid, marks, facts[key], known) for key, uid in found.uids.items() if key in numbers
        ]
        self._stamp, self._looked = (*stamp[:-3], *self._uids.stamp()), now
        return Snapshot(found.uidvalidity, found.uidnext, messages)

    def _times(self) -> tuple[float, ...]:
        directory = self._fs.stat(self._path).mtime
        try:
            facts = self._fs.stat(self._sequences.path)
            marks = (facts.mtime, facts.size, facts.inode)
        except FileNotFoundError:
            marks = (0.0, 0, 0)
        return (max(directory, marks[0]), directory, *marks, *self._uids.stamp())

    def _listed(self) -> dict[str, Stat]:
        """Find the messages by their files; two names of one file are two messages."""
        facts: dict[str, Stat] = {}
        numbers: dict[str, int] = {}
        for number in sorted(int(name) for name in self._fs.names(self._path) if _NUMBER.fullmatch(name)):
            with contextlib.suppress(FileNotFoundError):
                fact = self._fs.stat(f"{self._path}/{number}")
                key, more = _key(fact), 1
                while key in facts:
                    more += 1
                    key = f"{_key(fact)}.{more}"
                facts[key], numbers[key] = fact, number
        self._numbers = numbers
        return facts

    def _found(
        self, key: str, uid: int, marks: Mapping[str, Ranges], facts: Stat, known: Mapping[str, object]
    ) -> Found:
        number = self._numbers[key]
        flags = frozenset(flag for flag, numbers in marks.items() if (number in numbers) != (flag == "\\Seen"))
        if key in known:
            return Found(uid, key, flags)
        return Found(uid, key, flags, facts.size, 0, int(facts.mtime // 1))

    def _read(self) -> Sequences:
        try:
            with opened(self._fs, self._sequences.path) as file:
                return Sequences.parse(file.read_at(0, _LONGEST))
        except OSError:
            return Sequences()

    def _marks(self, sequences: Sequences) -> dict[str, Ranges]:
        r"""Give the sequences by flag; that of \Seen is where it is not."""
        names = {_flag(name): name for name in sequences.names() if name in _FLAGS or name not in _RESERVED}
        return {"\\Seen": sequences.numbers(_UNSEEN), **{flag: sequences.numbers(name) for flag, name in names.items()}}

    def adopt(self, uidvalidity: int, uidnext: int) -> None:
        """Begin a new list of UIDs."""
        with self._uids.locked():
            self._listed()
            found = UidList(uidvalidity, uidnext)
            for key in self._numbers:
                found.give(key)
            self._uids.write(found)

    def carries(self, flags: Iterable[str]) -> bool:
        """Tell whether all can be called as a sequence is."""
        return all(flag.startswith("\\") or len(_sequence(flag)) <= _LONGEST_NAME for flag in flags)

    # -- changing

    @contextlib.contextmanager
    def _locked(self) -> Iterator[tuple[File, Sequences]]:
        """Lock the sequences, come up to what is there now; what was changed in them is written in place."""
        self._fs.stat(self._path)
        with self._sequences.locked() as (file, _):
            if self.changed():
                self._listed()
            sequences = Sequences.parse(file.read_at(0, _LONGEST))
            before = sequences.octets()
            yield file, sequences
            text = sequences.octets()
            if text != before:
                file.write_at(0, text)
                file.truncate(len(text))
                file.datasync()

    def _settle(self, *, known: bool) -> None:
        if known:
            self._stamp, self._looked = self._times(), self._means.now()

    def append(self, batch: Sequence[New]) -> list[Found]:
        """Write all under hidden names, then give them numbers and UIDs."""
        hidden: list[str] = []
        known = not self.changed()
        try:
            hidden.extend(self._write(new) for new in batch)
            with self._locked() as (_, sequences), self._uids.locked():
                found = self._uids.entered(self._numbers, self._numbers.__getitem__)
                done = self._number(batch, hidden, found)
                self._note(
                    sequences, [(self._numbers[each.key], new.flags) for each, new in zip(done, batch, strict=True)]
                )
        finally:
            self._discard(hidden)
        self._settle(known=known)
        return done

    def _write(self, new: New) -> str:
        text = lf(new.octets)
        hidden = f"{self._path}/.{new.unique}"
        with contextlib.closing(self._fs.create(hidden, 0o400)) as file:
            try:
                file.append([text])
                with contextlib.suppress(OSError):
                    os.utime(file.fileno(), (new.internal, new.internal))
                file.datasync()
            except OSError:
                self._discard((hidden,))
                raise
        return hidden

    def _number(self, batch: Sequence[New], hidden: Sequence[str], found: UidList) -> list[Found]:
        done: list[Found] = []
        linked: list[str] = []
        following = max(self._numbers.values(), default=0) + 1
        try:
            for new, name in zip(batch, hidden, strict=True):
                number = self._link(name, following)
                linked.append(f"{self._path}/{number}")
                following = number + 1
                facts = self._fs.stat(name)
                key = _key(facts)
                found.uidnext = max(new.uid, found.uidnext)
                self._numbers[key] = number
                done.append(
                    Found(found.give(key), key, _carried(new.flags), facts.size, 0, new.internal, uidl=new.uidl)
                )
            self._fs.sync_directory(self._path)
            self._uids.write(found)
        except OSError:
            self._discard(linked)
            self._uids.forget()
            for each in done:
                self._numbers.pop(each.key, None)
            raise
        return done

    def _link(self, hidden: str, number: int) -> int:
        for candidate in range(number, number + 1000):
            with contextlib.suppress(FileExistsError):
                self._fs.link(hidden, f"{self._path}/{candidate}")
                return candidate
        raise Transient(Reply.of(451, "4.2.0", "Folder has no free number"))

    def _discard(self, paths: Iterable[str]) -> None:
        for path in paths:
            with contextlib.suppress(OSError):
                self._fs.unlink(path)

    def mark(self, flags: Sequence[tuple[str, frozenset[str]]]) -> list[bool]:
        """Write the sequences."""
        known = not self.changed()
        with self._locked() as (_, sequences):
            done = [key in self._numbers for key, _ in flags]
            self._note(sequences, [(self._numbers[key], each) for key, each in flags if key in self._numbers])
        self._settle(known=known)
        return done

    def _note(self, sequences: Sequences, flags: Sequence[tuple[int, frozenset[str]]]) -> None:
        """Put messages into the sequences that say their flags, and out of all others but those that are no flags."""
        wanted: dict[str, set[int]] = {_UNSEEN: set()}
        known = {name.lower(): name for name in sequences.names()}
        for number, each in flags:
            folded = {flag.lower(): flag for flag in each}
            if "\\seen" not in folded:
                wanted[_UNSEEN].add(number)
            for flag, spelled in folded.items():
                if flag in _SYSTEM or not flag.startswith("\\"):
                    name = _SYSTEM.get(flag) or known.get(_sequence(spelled).lower(), _sequence(spelled))
                    wanted.setdefault(name, set()).add(number)
        touched = {number for number, _ in flags}
        for name in {*wanted, *(name for name in sequences.names() if name in _FLAGS or name not in _RESERVED)}:
            self._renew(sequences, name, wanted.get(name, set()), touched)

    def _renew(self, sequences: Sequences, name: str, wanted: set[int], touched: set[int]) -> None:
        before = sequences.numbers(name)
        changed = {number for number in touched if (number in before) != (number in wanted)}
        if changed:
            present = {number for number in self._numbers.values() if number in before}
            sequences.replace(name, (present - touched) | wanted)

    def remove(self, keys: Sequence[str]) -> list[bool]:
        """Unlink messages, and take their numbers out of the sequences: they may be given again."""
        known = not self.changed()
        with self._locked() as (_, sequences):
            done = [key in self._numbers for key in keys]
            gone = [self._numbers[key] for key in keys if key in self._numbers]
            for number in gone:
                with contextlib.suppress(FileNotFoundError):
                    self._fs.unlink(f"{self._path}/{number}")
            self._fs.sync_directory(self._path)
            for key in keys:
                self._numbers.pop(key, None)
            for name in sequences.names():
                self._renew(sequences, name, set(), set(gone))
        self._settle(known=known)
        return done

    def read(self, key: str) -> bytes:
        """Read a message, found again if it has another number by now."""
        for _ in range(2):
            number = self._numbers.get(key)
            with contextlib.suppress(FileNotFoundError):
                if number and _key(self._fs.stat(f"{self._path}/{number}")) == key.partition(".")[0]:
                    return lf(self._fs.read(f"{self._path}/{number}")).replace(b"\n", b"\r\n")
            self._listed()
        raise FileNotFoundError(errno.ENOENT, "No such message", key)

    def claim(self) -> None:
        """Do nothing: MH has no word for what is new."""


def _key(facts: Stat) -> str:
    return f"{facts.inode}-{int(facts.mtime * 1_000_000)}"


def _flag(sequence: str) -> str:
    """Give the flag that a sequence says."""
    if sequence in _FLAGS:
        return _FLAGS[sequence]
    if not _CODED.fullmatch(sequence):
        return sequence
    return re.sub("Q([0-9A-F]{2})", lambda found: chr(int(found[1], 16)), sequence[2:])


def _sequence(keyword: str) -> str:
    """Give the name of the sequence for a keyword."""
    if _SEQUENCE.fullmatch(keyword) and keyword.lower() not in _RESERVED and not keyword.startswith("kw"):
        return keyword
    return "kw" + re.sub("[^A-PR-Za-z0-9]", lambda found: f"Q{ord(found[0]):02X}", keyword)


def _carried(flags: frozenset[str]) -> frozenset[str]:
    return frozenset(flag for flag in flags if flag.startswith("\\") or len(_sequence(flag)) <= _LONGEST_NAME)
