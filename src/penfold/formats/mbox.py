"""mbox: all messages in one file, each after a From_ line; written as mboxrd, read as mboxrd, mboxo or mboxcl.

``From SENDER DATE`` (asctime, UTC), the message with LF line ends in which every line of ``>``s and ``From `` got one
more ``>``, then an empty line. A message without a newline at its end gets one.

Reading: a From_ line is a line that begins ``From `` and has a date, or the first line of the file. With
``content_lengths`` a Content-Length field that leads exactly to a From_ line or the end is believed (mboxcl,
mboxcl2, as System V wrote them). SECURITY: that field is the sender's word and could hide the message after it, so it
is believed only where the administrator says that the mailbox is of that kind.

Standards: RFC 4155 appendix A; https://www.loc.gov/preservation/digital/formats/fdd/fdd000385.shtml
Trust: messages are the senders'; the file may be written by other programs.
Durability: see ``spoolfile``. CRASH: garbage that lost power leaves at the end is closed by the next append, but a
reader takes it for the end of the last message: nothing in the format ends one.
"""

import re
import time
from calendar import timegm
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from penfold.formats.base import Entry, Message, Result
from penfold.formats.flags import from_status_fields, status_fields
from penfold.formats.lines import SMALL, lf, quote, quoted, to_crlf, to_lf, unquoted
from penfold.formats.octets import wire
from penfold.formats.quota import UNLIMITED, Quota
from penfold.formats.spoolfile import SafeFile, Spoolfile, find_lines, opened, pieces
from penfold.fs.base import File, FileSystem
from penfold.fs.locks import Clock, LockPolicy

_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_FROM_LINE: Final = re.compile(rb"\nFrom [^\n]{0,2000}")
_DATE: Final = re.compile(
    rb"(?:^|[ \t])(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),?[ \t]+"
    rb"(?:([A-Z][a-z][a-z])[ \t]+(\d{1,2})|(\d{1,2})[ \t]+([A-Z][a-z][a-z]))"
    rb"[ \t]+(\d{1,2}):(\d\d)(?::(\d\d))?(?:[ \t]+[A-Za-z0-9+-]{1,9}){0,2}?[ \t]+(\d{4})\b"
)
_NOT_IN_SENDER: Final = re.compile(r"[\x00-\x20\x7f]")
_CONTENT_LENGTH: Final = re.compile(rb"^Content-Length:[ \t]*(\d{1,15})[ \t]*$", re.IGNORECASE | re.MULTILINE)
_LONGEST_SENDER: Final = 320
_HEADER_WINDOW: Final = 65536

_LOCKS: Final = LockPolicy()
_CLOCK: Final = Clock()


def from_line(sender: str, arrived: float) -> bytes:
    """Write a From_ line; ``sender`` is ``""`` for the null reverse-path."""
    # SECURITY: a quoted local part may hold blanks or line ends; none may end up here.
    name = _NOT_IN_SENDER.sub("-", sender)[:_LONGEST_SENDER] or "MAILER-DAEMON"
    return f"From {name} {time.asctime(time.gmtime(arrived))}\n".encode("utf-8", "surrogateescape")


def parse_from_line(line: bytes) -> tuple[str, float] | None:
    """Read sender and date (POSIX seconds, zone taken as UTC) of a From_ line; None if it has no date."""
    match = _DATE.search(line, 4)
    if not match:
        return None
    sender = line[5 : match.start()].strip().decode("utf-8", "surrogateescape")
    month = (match[1] or match[4]).decode("ascii")
    if month not in _MONTHS:
        return None
    day, hour, minute, second, year = (int(match[n] or 0) for n in (2 if match[2] else 3, 5, 6, 7, 8))
    if not (1 <= day <= 31 and hour < 24 and minute < 60 and second <= 60 and year > 0):
        return None
    return sender, float(timegm((year, _MONTHS.index(month) + 1, day, hour, minute, second)))


class MboxShape:
    """How mboxrd is written."""

    def mend(self, tail: bytes) -> bytes:
        """Complete a last message that was cut off, so that an empty line stands before the next From_ line."""
        if not tail or tail.endswith(b"\n\n"):
            return b""
        return b"\n" if tail.endswith(b"\n") else b"\n\n"

    def octets(self, message: Message) -> Iterable[Sequence[bytes]]:
        """Give From_ line, flags, fields, body, empty line."""
        head = from_line(message.reverse_path, message.arrived) + status_fields(message.flags)
        if message.body.size <= SMALL:
            text = quote(lf(message.prefix + message.body.read()))
            yield (head, text, b"\n" if text.endswith(b"\n") else b"\n\n")
        else:
            yield from _long(head, quoted(to_lf(wire(message))))


def _long(head: bytes, text: Iterable[bytes]) -> Iterator[Sequence[bytes]]:
    last = head
    yield (head,)
    for piece in text:
        yield (piece,)
        last = piece or last
    yield (b"\n" if last.endswith(b"\n") else b"\n\n",)


class Mbox:
    """An mbox file: takes mail, lists it, gives it back."""

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
        content_lengths: bool = False,
    ) -> None:
        self._fs = fs
        self._path = path
        self._spool = Spoolfile(SafeFile(fs, path, locks, clock, owner, mode), MboxShape(), quota)
        self._content_lengths = content_lengths

    def deliver(self, batch: Sequence[Message]) -> list[Result]:
        """Append all messages under one lock, synced once."""
        return self._spool.deliver(batch)

    def scan(self) -> Iterator[Entry]:
        """Find all messages. Lock the mailbox if others write meanwhile."""
        with opened(self._fs, self._path) as file:
            end = file.size()
            start: int | None = None
            for following in self._separators(file, end):
                if start is not None:
                    yield _entry(file, start, following)
                start = following
            if start is not None:
                yield _entry(file, start, end)

    def chunks(self, entry: Entry) -> Iterator[bytes]:
        """Give one message in wire form, unquoted."""
        with opened(self._fs, self._path) as file:
            yield from to_crlf(unquoted(to_lf(pieces(file, entry.offset, entry.length))))

    def read(self, entry: Entry) -> bytes:
        """Give one message in wire form, unquoted."""
        return b"".join(self.chunks(entry))

    def _separators(self, file: File, end: int) -> Iterator[int]:
        """Find where messages begin."""
        offset = 0
        if file.read_at(0, 5) == b"From ":
            yield 0
            offset = self._skip(file, 0, end)
        while True:
            for place, match in find_lines(file, _FROM_LINE, offset, end):
                if parse_from_line(match[0][1:]):
                    yield place + 1
                    if (skipped := self._skip(file, place + 1, end)) > place + 1:
                        offset = skipped
                        break
            else:
                return

    def _skip(self, file: File, start: int, end: int) -> int:
        """Follow a Content-Length that is believed; the place to search on from."""
        if not self._content_lengths:
            return start
        head = file.read_at(start, min(_HEADER_WINDOW, end - start))
        blank = head.find(b"\n\n")
        field = _CONTENT_LENGTH.search(head, 0, blank + 1) if blank >= 0 else None
        if not field:
            return start
        stop = start + blank + 2 + int(field[1])
        around = file.read_at(stop, 7)
        fits = stop <= end and (not around.strip(b"\n") or around.lstrip(b"\n").startswith(b"From "))
        # Searched from the newline before the From_ line.
        return max(start, stop - 1) if fits else start


def _entry(file: File, start: int, following: int) -> Entry:
    head = file.read_at(start, min(_HEADER_WINDOW, following - start))
    line_end = head.find(b"\n") + 1 or len(head)
    sender, arrived = parse_from_line(head[:line_end]) or ("", 0.0)
    blank = head.find(b"\n\n", line_end - 1)
    header = head[line_end : blank + 1 if blank >= 0 else len(head)]
    offset = start + line_end
    end = following
    # The empty line before the next From_ line is the separator's, not the message's.
    if end - offset >= 2 and file.read_at(end - 2, 2) == b"\n\n":
        end -= 1
    sender = "" if sender == "MAILER-DAEMON" else sender
    return Entry("", offset, end - offset, start, sender, arrived, from_status_fields(header))
