"""Making a message fit for a next hop that lacks 8BITMIME, BINARYMIME or SMTPUTF8.

The structure stays: only bodies that the next hop cannot take are encoded, their Content-Transfer-Encoding and that of
the multiparts around them is corrected, and every other octet is passed on as it lies. What may not be touched (a
signed part, a message/partial) cannot be converted; then the message is returned with 5.6.3, as RFC 6152 §3 has it.

The plan is made before the first octet is given, so a refusal comes in time.

Standards: RFC 6152 §3; RFC 3030 §3; RFC 2045 §6; RFC 2046 §5.2; RFC 1847 §2.1; RFC 6531 §3.1, §3.6;
  RFC 6532 §3.7; RFC 1428 §3
Trust: octets from anybody; linear time, memory of the order of the message.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from penfold.message.encoded_word import ascii_header, charset_of
from penfold.message.header import Header
from penfold.message.mime import Octets, Part, scan
from penfold.message.transfer import Needs, base64_lines, mostly_text, needs, quoted_printable
from penfold.model import Address, BodyType, Permanent, Reply

__all__ = ["MAX_OCTETS", "convert", "needs", "utf8_refusal"]

MAX_OCTETS = 64 << 20
_CHUNK = 65536

_NOT_CONVERTIBLE = Reply.of(554, "5.6.3", "Conversion required for the next hop, but not possible")
_TOO_LARGE = Reply.of(554, "5.6.3", "Conversion required for the next hop, but the message is too large for it")
_NEEDS_UTF8 = Reply.of(550, "5.6.7", "The next hop takes no internationalized addresses or header fields")

_RANK = {BodyType.SEVEN: 0, BodyType.EIGHT: 1, BodyType.BINARY: 2}
_IDENTITY = frozenset({"", "7bit", "8bit", "binary"})
_HIGH_OCTET = re.compile(rb"[\x80-\xff]")
_HARMLESS = bytes(octet if 0 < octet < 128 else ord("?") for octet in range(256))

Edit = tuple[int, int, Callable[[], Iterator[bytes]]]


def utf8_refusal(addresses: Sequence[Address], header: bytes) -> Reply | None:
    """Give the reply for an SMTPUTF8 message to a host without SMTPUTF8; None if it is ASCII and may go as it is."""
    plain = header.isascii() and all(address.ascii for address in addresses)
    return None if plain else _NEEDS_UTF8


def convert(data: Octets, target: BodyType, *, limit: int = MAX_OCTETS) -> Iterator[bytes]:
    """Give the message as chunks that a transport of type ``target`` (7BIT or 8BITMIME) takes.

    ``data`` is the whole message in wire form: bytes, or an mmap that stays open while the chunks are read. A message
    that fits already comes back octet for octet. Raises Permanent (554 5.6.3) before the first chunk.

    PERF: 1 MB of 8-bit text in short lines to quoted-printable: 18 ms; a message that fits: 2 ms per MB (timeit,
    CPython 3.11), nearly all of it counting line ends.
    """
    if len(data) > limit:
        raise Permanent(_TOO_LARGE)
    plan = _Plan(data, target)
    if plan.fits(0, len(data)):
        return _chunks(data, 0, len(data))
    plan.make(scan(data))
    return _carried_out(data, plan.edits)


def _carried_out(data: Octets, edits: Sequence[Edit]) -> Iterator[bytes]:
    at = 0
    for start, end, pieces in edits:
        yield from _chunks(data, at, start)
        yield from pieces()
        at = end
    yield from _chunks(data, at, len(data))


def _chunks(data: Octets, start: int, end: int) -> Iterator[bytes]:
    for at in range(start, end, _CHUNK):
        yield bytes(data[at : min(at + _CHUNK, end)])


class _Plan:
    """The edits of one conversion, in order of their offsets."""

    def __init__(self, data: Octets, target: BodyType) -> None:
        self.edits: list[Edit] = []
        self._data = data
        self._target = target
        self._misfits: set[int] = set()
        self._misfit_bodies: set[int] = set()

    def fits(self, start: int, end: int) -> bool:
        """Whether these octets can go as they are."""
        found = Needs()
        for chunk in _chunks(self._data, start, end):
            found.feed(chunk)
        return _RANK[found.finish()] <= _RANK[self._target]

    def make(self, root: Part) -> None:
        """Plan for the whole message."""
        self._judge(root)
        waiting = [root]
        while waiting:
            part = waiting.pop()
            if id(part) in self._misfits:
                waiting.extend(reversed(self._plan(part, part is root)))
        self.edits.sort(key=lambda edit: edit[0])

    def _judge(self, root: Part) -> None:
        """Find the parts that do not fit, and those whose body does not; from the inside out, each octet once."""
        for part in reversed(list(root.walk())):
            ranges = _gaps(part) if part.children else [(part.body, part.end)]
            inside = any(id(child) in self._misfits for child in part.children)
            if inside or not all(self.fits(start, end) for start, end in ranges):
                self._misfit_bodies.add(id(part))
            if id(part) in self._misfit_bodies or not self.fits(part.start, part.body):
                self._misfits.add(id(part))

    def _plan(self, part: Part, root: bool) -> list[Part]:
        """Plan for one part that does not fit; gives the parts inside that are still to be looked at."""
        if id(part) not in self._misfit_bodies:
            self._header(part, "")
            return []
        if part.type in {"multipart/signed", "message/partial", "message/external-body"} or part.opaque:
            raise Permanent(_NOT_CONVERTIBLE)
        if part.children and not part.kind.sub.startswith("global"):
            self._container(part)
            return part.children
        self._leaf(part, root)
        return []

    def _container(self, part: Part) -> None:
        if part.encoding not in _IDENTITY:
            raise Permanent(_NOT_CONVERTIBLE)
        self._header(part, "7bit" if self._target is BodyType.SEVEN else "8bit")
        if part.multipart and not part.kind.parameters.get("boundary", "").isascii():
            raise Permanent(_NOT_CONVERTIBLE)
        for start, end in _gaps(part):
            self._gap(start, end)

    def _gap(self, start: int, end: int) -> None:
        """Delimiters, and the text before the first and after the last, which nobody shows: made harmless."""
        if self.fits(start, end):
            return
        octets = bytes(self._data[start:end]).translate(_HARMLESS)
        self._must_fit(octets)
        self.edits.append((start, end, partial(iter, (octets,))))

    def _leaf(self, part: Part, root: bool) -> None:
        if part.kind.main in {"multipart", "message"} and not part.kind.sub.startswith("global"):
            raise Permanent(_NOT_CONVERTIBLE)
        if part.encoding == "quoted-printable":
            self._mend(part)
        elif part.encoding in _IDENTITY:
            self._encode(part, root)
        else:
            raise Permanent(_NOT_CONVERTIBLE)

    def _mend(self, part: Part) -> None:
        """QUIRK: quoted-printable with raw 8-bit octets in it is met; encoding just these keeps its meaning."""
        octets = _HIGH_OCTET.sub(lambda m: b"=%02X" % m[0][0], self._data[part.body : part.end])
        self._must_fit(octets)
        self._header(part, "")
        self.edits.append((part.body, part.end, partial(iter, (octets,))))

    def _encode(self, part: Part, root: bool) -> None:
        octets = bytes(self._data[part.body : part.end])
        lines = octets.count(b"\r\n")
        whole_lines = octets.count(b"\n") == lines == octets.count(b"\r")
        readable = part.kind.main == "text" and whole_lines and b"\0" not in octets and mostly_text(octets)
        kind = b"Content-Type: text/plain; charset=%s\r\n" % charset_of(octets) if root else b""
        self._header(part, "quoted-printable" if readable else "base64", kind)
        self.edits.append((part.body, part.end, partial(quoted_printable if readable else base64_lines, octets)))

    def _header(self, part: Part, encoding: str, content_type: bytes = b"") -> None:
        """Plan the header of a part: ASCII where it must be, and its encoding corrected (``""``: left)."""
        header = Header(bytes(self._data[part.start : part.header_end]))
        if self._target is BodyType.SEVEN:
            header = Header(ascii_header(header.raw))
        if encoding:
            header = _relabelled(header, encoding, content_type)
        separator = b"\r\n" if encoding or part.body > part.header_end else b""
        self._must_fit(header.raw + separator)
        self.edits.append((part.start, part.body, partial(iter, (header.raw + separator,))))

    def _must_fit(self, octets: bytes) -> None:
        if _RANK[needs([octets])] > _RANK[self._target]:
            raise Permanent(_NOT_CONVERTIBLE)


def _gaps(part: Part) -> list[tuple[int, int]]:
    """What belongs to a container and to none of its children."""
    starts = [part.body, *(child.end for child in part.children)]
    ends = [*(child.start for child in part.children), part.end]
    return list(zip(starts, ends, strict=True))


def _relabelled(header: Header, encoding: str, content_type: bytes) -> Header:
    """Set the transfer encoding, where it stood or at the end, and what else of MIME the message lacks."""
    field = f"Content-Transfer-Encoding: {encoding}\r\n".encode()
    if content_type:
        present = {old.name.lower() for old in header.fields}
        if b"content-type" not in present:
            header = Header(header.raw + content_type)
        if b"mime-version" not in present:
            header = Header(header.raw + b"MIME-Version: 1.0\r\n")
    if header.first(b"content-transfer-encoding") is None:
        return Header(header.raw + field)
    return header.replace(b"content-transfer-encoding", field)
