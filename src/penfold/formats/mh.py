"""MH: a folder is a directory, a message a file whose name is its number; sequences stand in ``.mh_sequences``.

A message is written under a hidden name, synced, and linked to the next free number, which fails if the number was
taken meanwhile: no message ever replaces another. Numbers are given and sequences noted under the fcntl lock of
``.mh_sequences``, as nmh's own programs do.

QUIRK: nmh's ``inc`` reads the highest number first and later opens the numbers after it for writing, whatever has been
stored there meanwhile, under no lock that anyone could take before. Therefore messages are read-only files (``mode``
0400): an ``inc`` that runs at that very moment stops with "unable to write" and leaves its spool as it was, instead of
overwriting our message. The price: ``anno`` (``repl -annotate``) refuses them until they are made writable.

Standards: mh-profile(5), mh-sequence(5), mh-folders of nmh
Trust: messages are the senders'; the folder and its sequences are its owner's.
Durability: content, then the number, then the answer. CRASH: a hidden file with two links tells at the next attempt
that its message has its number already.
"""

import contextlib
import os
import re
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from penfold.formats.base import Entry, Message, Result, Stored
from penfold.formats.lines import to_crlf
from penfold.formats.octets import fill
from penfold.formats.quota import UNLIMITED, Quota
from penfold.formats.sequences import Sequences
from penfold.formats.spoolfile import SafeFile, opened, pieces
from penfold.fs.base import File, FileSystem
from penfold.fs.locks import Clock, LockKind, LockPolicy
from penfold.model import MailError, Permanent, Reply, Transient

_NUMBER: Final = re.compile(r"[1-9]\d{0,8}")
_UNIQUE: Final = re.compile(r"[0-9A-Za-z_-]{1,100}")
_SHARED: Final = 4
_LONGEST_SEQUENCES: Final = 1024 * 1024
_MARKS: Final = {"\\Answered": "replied", "\\Flagged": "flagged"}

_LOCKS: Final = LockPolicy()
_CLOCK: Final = Clock()


class _Written(msgspec.Struct):
    """A message under its hidden name; ``number`` once it has one (0 before)."""

    index: int
    message: Message
    hidden: str
    size: int
    number: int = 0


class Mh:
    """One MH folder: takes mail, lists it, gives it back.

    ``unseen`` names the sequences that new mail joins (nmh's Unseen-Sequence); none when empty. ``mode`` are the
    permissions of a message (nmh's Msg-Protect), less the right to write unless ``writable``. Of ``locks`` the waiting
    time counts; the kind is always nmh's own, fcntl (none for an empty order).
    """

    def __init__(
        self,
        fs: FileSystem,
        path: str,
        *,
        unseen: Sequence[str] = ("unseen",),
        locks: LockPolicy = _LOCKS,
        clock: Clock = _CLOCK,
        owner: int | None = None,
        mode: int = 0o600,
        writable: bool = False,
        quota: Quota = UNLIMITED,
    ) -> None:
        self._fs = fs
        self._path = path
        self._mode = mode if writable else mode & 0o444
        self._quota = quota
        self._unseen = tuple(unseen)
        self._sequences = SafeFile(fs, f"{path}/.mh_sequences", _for_sequences(locks), clock, owner)

    def deliver(self, batch: Sequence[Message]) -> list[Result]:
        """Store all messages durably. A missing folder is made if the directory above it exists."""
        results: dict[int, Result] = {}
        try:
            self._make()
            written = self._write_all(batch, results)
            self._number_all(written, results)
        except (OSError, MailError) as problem:
            for index in range(len(batch)):
                results.setdefault(index, problem)
        return [results[index] for index in range(len(batch))]

    def scan(self) -> Iterator[Entry]:
        """Find all messages in the order of their numbers."""
        sequences = self._read_sequences()
        unseen = [sequences.numbers(name) for name in self._unseen]
        marks = {flag: sequences.numbers(name) for flag, name in _MARKS.items()}
        for number in self._numbers():
            with contextlib.suppress(FileNotFoundError):
                facts = self._fs.stat(f"{self._path}/{number}")
                flags = {flag for flag, numbers in marks.items() if number in numbers}
                seen = set() if any(number in numbers for numbers in unseen) else {"\\Seen"}
                yield Entry(str(number), 0, facts.size, 0, "", facts.mtime, frozenset(flags | seen))

    def chunks(self, entry: Entry) -> Iterator[bytes]:
        """Give one message in wire form."""
        with opened(self._fs, f"{self._path}/{entry.name}") as file:
            yield from to_crlf(pieces(file, 0, file.size()))

    def read(self, entry: Entry) -> bytes:
        """Give one message in wire form."""
        return b"".join(self.chunks(entry))

    def _make(self) -> None:
        with contextlib.suppress(FileExistsError):
            self._fs.mkdir(self._path)
            self._fs.sync_directory(os.path.dirname(self._path) or ".")

    def _numbers(self) -> list[int]:
        return sorted(int(name) for name in self._fs.names(self._path) if _NUMBER.fullmatch(name))

    def _read_sequences(self) -> Sequences:
        try:
            with opened(self._fs, self._sequences.path) as file:
                return Sequences.parse(file.read_at(0, _LONGEST_SEQUENCES))
        except OSError:
            return Sequences()

    def _write_all(self, batch: Sequence[Message], results: dict[int, Result]) -> list[_Written]:
        one_sync = len(batch) >= _SHARED
        written: list[_Written] = []
        octets, messages = self._usage()
        for index, message in enumerate(batch):
            try:
                self._quota.check(octets, messages, len(message.prefix) + message.body.size)
                written.append(self._write(index, message, sync=not one_sync))
                octets, messages = octets + written[-1].size, messages + 1
            except (OSError, MailError) as problem:
                results[index] = problem
        if one_sync and written:
            try:
                self._fs.sync_all(self._path)
            except OSError:
                for each in written:
                    self._remove(each.hidden)
                raise
        return written

    def _usage(self) -> tuple[int, int]:
        """Count octets and messages, where there is a quota to compare them with."""
        if self._quota == UNLIMITED:
            return 0, 0
        sizes = [self._fs.stat(f"{self._path}/{number}").size for number in self._numbers()]
        return sum(sizes), len(sizes)

    def _write(self, index: int, message: Message, *, sync: bool) -> _Written:
        if not _UNIQUE.fullmatch(message.unique):
            raise Permanent(Reply.of(554, "5.3.0", "Message has no usable identity"))
        hidden = f"{self._path}/.{message.unique}"
        if found := self._left_by_crash(index, message, hidden):
            return found
        with contextlib.closing(self._fs.create(hidden, self._mode)) as file:
            try:
                size = fill(file, message)
                if sync:
                    file.datasync()
            except BaseException:
                self._remove(hidden)
                raise
        return _Written(index, message, hidden, size)

    def _left_by_crash(self, index: int, message: Message, hidden: str) -> _Written | None:
        try:
            facts = self._fs.stat(hidden)
        except FileNotFoundError:
            return None
        if facts.links == 2:
            for number in reversed(self._numbers()):
                with contextlib.suppress(FileNotFoundError):
                    if self._fs.stat(f"{self._path}/{number}").inode == facts.inode:
                        return _Written(index, message, hidden, facts.size, number)
        self._fs.unlink(hidden)
        return None

    def _number_all(self, written: list[_Written], results: dict[int, Result]) -> None:
        """Give numbers under the lock, note the sequences, make the names durable."""
        try:
            with self._sequences.locked() as (file, _):
                numbered = self._link_all(written, results)
                self._note(file, numbered)
                self._fs.sync_directory(self._path)
        finally:
            for each in written:
                self._remove(each.hidden)
        for each in numbered:
            results[each.index] = Stored(str(each.number), 0, each.size)

    def _link_all(self, written: list[_Written], results: dict[int, Result]) -> list[_Written]:
        following = max(self._numbers(), default=0) + 1
        numbered: list[_Written] = []
        for each in written:
            try:
                each.number = each.number or self._link(each.hidden, following)
            except (OSError, MailError) as problem:
                results[each.index] = problem
                continue
            following = max(following, each.number + 1)
            numbered.append(each)
        return numbered

    def _link(self, hidden: str, number: int) -> int:
        for candidate in range(number, number + 1000):
            with contextlib.suppress(FileExistsError):
                self._fs.link(hidden, f"{self._path}/{candidate}")
                return candidate
        raise Transient(Reply.of(451, "4.2.0", "Folder has no free number"))

    def _note(self, file: File, numbered: Sequence[_Written]) -> None:
        """Add the new numbers to their sequences; in place, for others hold their lock on this very file."""
        if file.size() > _LONGEST_SEQUENCES:
            return
        sequences = Sequences.parse(file.read_at(0, _LONGEST_SEQUENCES))
        for each in numbered:
            names = [mark for flag, mark in _MARKS.items() if flag in each.message.flags]
            names += [] if "\\Seen" in each.message.flags else self._unseen
            for name in names:
                sequences.add(name, each.number)
        text = sequences.octets()
        # The mail is stored already: a disk that is too full for the sequences costs a mark, not the message.
        with contextlib.suppress(OSError):
            file.write_at(0, text)
            file.truncate(len(text))
            file.datasync()

    def _remove(self, path: str) -> None:
        with contextlib.suppress(OSError):
            self._fs.unlink(path)


def _for_sequences(locks: LockPolicy) -> LockPolicy:
    return msgspec.structs.replace(locks, order=(LockKind.FCNTL,)) if locks.order else locks
