r"""MMDF: all messages in one file, each between two lines of four Control-A.

A From_ line after the opening line, which mutt and others write, is passed over when reading; we write none: the
sender stands in Return-Path.

QUIRK: MMDF knows no reversible quoting. A line of the message that would be a separator is changed as nmh changes it:
its first octet becomes Control-B. It stays so when read.

Standards: mmdf(5) of MMDF II, mutt and nmh as they read and write it
Trust: messages are the senders'; the file may be written by other programs.
Durability: see ``spoolfile``.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from penfold.formats.base import Entry, Message, Result
from penfold.formats.flags import from_status_fields, status_fields
from penfold.formats.lines import SMALL, lf, to_crlf, to_lf
from penfold.formats.mbox import parse_from_line
from penfold.formats.octets import wire
from penfold.formats.quota import UNLIMITED, Quota
from penfold.formats.spoolfile import SafeFile, Spoolfile, find_lines, opened, pieces
from penfold.fs.base import File, FileSystem
from penfold.fs.locks import Clock, LockPolicy

SEPARATOR: Final = b"\x01\x01\x01\x01\n"
_LINE: Final = re.compile(rb"\n\x01\x01\x01\x01(?=\n)")
_BEGUN: Final = re.compile(rb"(?:(?<=\n)|\A)\x01{1,4}\Z")
_ESCAPED: Final = b"\n\x02\x01\x01\x01"
_HEADER_WINDOW: Final = 65536

_LOCKS: Final = LockPolicy()
_CLOCK: Final = Clock()


class MmdfShape:
    """How MMDF is written."""

    def mend(self, tail: bytes) -> bytes:
        """Close a last message that was cut off.

        Separators stand in pairs, so the run of them at the end tells: after text an odd run is closed, at the
        beginning of the file an even one.
        """
        begun = _BEGUN.search(tail)
        if begun:
            rest = SEPARATOR[len(begun[0]) :]
            return rest + self.mend(tail + rest)
        text = tail
        while text.endswith(b"\n" + SEPARATOR) or text == SEPARATOR:
            text = text[: -len(SEPARATOR)]
        run = (len(tail) - len(text)) // len(SEPARATOR)
        if (run % 2 == 1) == bool(text):
            return b""
        return SEPARATOR if run or text.endswith(b"\n") else b"\n" + SEPARATOR

    def octets(self, message: Message) -> Iterable[Sequence[bytes]]:
        """Give separator, flags, fields, body, separator."""
        head = SEPARATOR + status_fields(message.flags)
        if message.body.size <= SMALL:
            text = lf(message.prefix + message.body.read())
            if not text.endswith(b"\n"):
                text += b"\n"
            yield (head, _LINE.sub(_ESCAPED, b"\n" + text)[1:], SEPARATOR)
        else:
            yield (head,)
            yield from _long(message)


def _long(message: Message) -> Iterator[Sequence[bytes]]:
    """Escape piece by piece: the last octets of a piece stay back, a separator may be cut there."""
    held = b"\n"
    skip = 1  # the newline before the first line is not the message's
    for piece in to_lf(wire(message)):
        data = _LINE.sub(_ESCAPED, held + piece)
        cut = data.rfind(b"\n", max(0, len(data) - len(SEPARATOR)))
        held = data[cut:] if cut >= 0 else b""
        yield (data[skip : len(data) - len(held)],)
        skip = 0 if len(data) > len(held) else skip
    last = _LINE.sub(_ESCAPED, held + b"\n")[:-1][skip:]
    yield (last, SEPARATOR if held[skip:].endswith(b"\n") else b"\n" + SEPARATOR)


class Mmdf:
    """An MMDF file: takes mail, lists it, gives it back."""

    def __init__(
        self,
        fs: FileSystem,
        path: str,
        *,
        locks: LockPolicy = _LOCKS,
        clock: Clock = _CLOCK,
        owner: int | None = None,
        mode: int = 0o600,
        quota: Quota = UNLIMITED,
    ) -> None:
        self._fs = fs
        self._path = path
        self._spool = Spoolfile(SafeFile(fs, path, locks, clock, owner, mode), MmdfShape(), quota)

    def deliver(self, batch: Sequence[Message]) -> list[Result]:
        """Append all messages under one lock, synced once."""
        return self._spool.deliver(batch)

    def scan(self) -> Iterator[Entry]:
        """Find all messages: whatever stands between separators. Lock the mailbox if others write meanwhile."""
        with opened(self._fs, self._path) as file:
            end = file.size()
            start = 0
            for place in _separators(file, end):
                if place > start:
                    yield _entry(file, start, place)
                start = place + len(SEPARATOR)
            if end > start:
                yield _entry(file, start, end)

    def chunks(self, entry: Entry) -> Iterator[bytes]:
        """Give one message in wire form."""
        with opened(self._fs, self._path) as file:
            yield from to_crlf(pieces(file, entry.offset, entry.length))

    def read(self, entry: Entry) -> bytes:
        """Give one message in wire form."""
        return b"".join(self.chunks(entry))


def _separators(file: File, end: int) -> Iterator[int]:
    if file.read_at(0, len(SEPARATOR)) == SEPARATOR:
        yield 0
    for place, _ in find_lines(file, _LINE, 0, end):
        yield place + 1


def _entry(file: File, start: int, end: int) -> Entry:
    head = file.read_at(start, min(_HEADER_WINDOW, end - start))
    line_end = head.find(b"\n") + 1 if head.startswith(b"From ") else 0
    sender, arrived = parse_from_line(head[:line_end]) or ("", 0.0)
    blank = head.find(b"\n\n")
    flags = from_status_fields(head[line_end : blank + 1 if blank >= 0 else len(head)])
    return Entry("", start + line_end, end - start - line_end, start, sender, arrived, flags)
