"""How a message stands in an mbox or an MMDF file: separators, quoting, the date it arrived.

Both get a From_ line with the date: MMDF as mutt writes it, behind the opening separator.

Standards: RFC 4155 appendix A; mmdf(5)
Trust: the octets are the sender's; separators in them are quoted, fields that only mail programs write are taken out.
"""

import re
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple, Protocol

from penfold.formats import status
from penfold.formats.lines import lf, quote, unquote
from penfold.formats.mbox import MboxShape, from_line
from penfold.formats.mmdf import SEPARATOR, MmdfShape
from penfold.formats.spoolscan import Part, scan_mbox, scan_mmdf
from penfold.fs.base import File

_RETURN_PATH: Final = re.compile(rb"\AReturn-Path:[ \t]*<([^<>\s]{0,320})>", re.IGNORECASE)
_LINE: Final = re.compile(rb"\n\x01\x01\x01\x01(?=\n)")


class SpoolShape(Protocol):
    """One of both."""

    def scan(self, file: File, size: int, begin: int = 0) -> Iterator[Part]:
        """Find the messages."""

    def begins(self, text: bytes) -> bool:
        """Tell whether a message begins here."""

    def mend(self, tail: bytes) -> bytes:
        """Give what must be written before the next message, from the last octets of the file."""

    def written(self, octets: bytes, arrived: int, block: bytes) -> tuple[bytes, bytes, bytes, bytes]:
        """Write a message (wire form): what stands before it, header with ``block``, the rest, what stands after it."""

    def wire(self, header: bytes, rest: bytes) -> bytes:
        """Give a message in wire form."""

    def size(self, octets: bytes) -> int:
        """Tell the size a message will have when it is read, 0 if that is not known."""


class _Quoting(NamedTuple):
    """Both directions of what keeps separators out of messages."""

    quote: Callable[[bytes], bytes]
    unquote: Callable[[bytes], bytes]


class MboxFile:
    """mboxrd."""

    _quoting = _Quoting(quote, unquote)
    _opening = b""

    def scan(self, file: File, size: int, begin: int = 0) -> Iterator[Part]:
        """Find the messages."""
        return scan_mbox(file, size, begin)

    def begins(self, text: bytes) -> bool:
        """Tell whether a message begins here."""
        return text.startswith(b"From ")

    def mend(self, tail: bytes) -> bytes:
        """Complete a last message that was cut off."""
        return MboxShape().mend(tail)

    def written(self, octets: bytes, arrived: int, block: bytes) -> tuple[bytes, bytes, bytes, bytes]:
        """Write From_ line, header, rest, an empty line."""
        before = self._opening + from_line(_sender(octets), arrived)
        header, rest = _split(self._quoting.quote(_ended(octets)), block)
        return before, header, rest, self._closing

    _closing = b"\n"

    def wire(self, header: bytes, rest: bytes) -> bytes:
        """Give a message in wire form."""
        return lf(self._quoting.unquote(header + rest)).replace(b"\n", b"\r\n")

    def size(self, octets: bytes) -> int:
        """Tell nothing: fields may have been taken out, a line end added."""
        del octets
        return 0


class MmdfFile(MboxFile):
    """MMDF."""

    _quoting = _Quoting(lambda text: _LINE.sub(b"\n\x02\x01\x01\x01", b"\n" + text)[1:], lambda text: text)
    _opening = SEPARATOR
    _closing = SEPARATOR

    def scan(self, file: File, size: int, begin: int = 0) -> Iterator[Part]:
        """Find the messages."""
        return scan_mmdf(file, size, begin)

    def begins(self, text: bytes) -> bool:
        """Tell whether a message begins here."""
        return text.startswith(SEPARATOR)

    def mend(self, tail: bytes) -> bytes:
        """Close a last message that was cut off."""
        return MmdfShape().mend(tail)


def _ended(octets: bytes) -> bytes:
    text = lf(octets)
    return text if text.endswith(b"\n") else text + b"\n"


def _split(text: bytes, block: bytes) -> tuple[bytes, bytes]:
    """Cut a message after its header, and put the block there in place of fields that came with it."""
    if text.startswith(b"\n"):
        return block, text
    blank = text.find(b"\n\n")
    header, rest = (text[: blank + 1], text[blank + 1 :]) if blank >= 0 else (text, b"")
    return status.strip(header) + block, rest


def _sender(octets: bytes) -> str:
    found = _RETURN_PATH.match(octets)
    return found[1].decode("utf-8", "surrogateescape") if found else ""
