"""Reading the pickup format, from octets cut anywhere.

Trust: a local user's octets: the head is bounded to 1 MiB (some ten thousand recipients), a chunk to 16 MiB announced
and given on as it comes.
"""

from dataclasses import dataclass, field

from penfold.protocols.base import NEED_DATA, NoEvent
from penfold.protocols.pickup.writer import FIELDS, MAGIC

MAX_HEAD = 1 << 20
MAX_CHUNK = 16 << 20
_MAX_LENGTH_LINE = 10


@dataclass(frozen=True, slots=True)
class Head:
    """What the program was told: field name to values, in order."""

    fields: dict[str, list[str]] = field(default_factory=dict)

    def first(self, name: str) -> str:
        """Give the first value of a field, ``""`` if absent."""
        values = self.fields.get(name)
        return values[0] if values else ""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Octets of the message."""

    data: bytes


@dataclass(frozen=True, slots=True)
class End:
    """The message is whole."""


@dataclass(frozen=True, slots=True)
class Broken:
    """This is no pickup, or was cut short; nothing more will come. ``why`` is for people."""

    why: str


Event = Head | Chunk | End | Broken


class Reader:
    """Turns octets into a Head, Chunks and an End, or Broken."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._head_done = self._over = self._eof = False
        self._left = 0
        self._searched = len(MAGIC) - 1  # octets of the head known not to hold its end

    def receive_data(self, data: bytes | bytearray | memoryview) -> None:
        """Take octets."""
        if not self._over:
            self._buffer += data

    def receive_eof(self) -> None:
        """Hear that there is no more."""
        self._eof = True

    def next_event(self) -> Event | NoEvent:
        """Give the next event, or NEED_DATA."""
        if self._over:
            return NEED_DATA
        event = self._chunk() if self._head_done else self._head()
        if event is NEED_DATA and self._eof:
            event = Broken("it ends before the message does")
        if isinstance(event, End | Broken):
            self._over = True
            self._buffer.clear()
        return event

    def _head(self) -> Event | NoEvent:
        buffer = self._buffer
        if not MAGIC.startswith(bytes(buffer[: len(MAGIC)])):
            return Broken("it does not begin like a pickup")
        end = buffer.find(b"\n\n", self._searched)
        if end < 0 or end > MAX_HEAD:
            self._searched = max(self._searched, len(buffer) - 1)
            return Broken("its head is too long") if len(buffer) > MAX_HEAD else NEED_DATA
        lines = bytes(buffer[len(MAGIC) : end + 1])
        del buffer[: end + 2]
        self._head_done = True
        return _parse(lines)

    def _chunk(self) -> Event | NoEvent:
        if not self._left:
            found = self._length()
            if not isinstance(found, int):
                return found
            self._left = found
        if not self._buffer:
            return NEED_DATA
        data = bytes(self._buffer[: self._left])
        del self._buffer[: len(data)]
        self._left -= len(data)
        return Chunk(data)

    def _length(self) -> int | Event | NoEvent:
        end = self._buffer.find(b"\n", 0, _MAX_LENGTH_LINE)
        if end < 0:
            return NEED_DATA if len(self._buffer) < _MAX_LENGTH_LINE else Broken("a length is too long")
        digits = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        if not digits.isdigit() or int(digits) > MAX_CHUNK:
            return Broken("a length is no number, or too large")
        return int(digits) or End()


def _parse(lines: bytes) -> Head | Broken:
    fields: dict[str, list[str]] = {}
    for line in lines.splitlines():
        try:
            name, _, value = line.decode("utf-8").partition(" ")
        except UnicodeDecodeError:
            return Broken("its head is not UTF-8")
        if name not in FIELDS or not value.isprintable():
            return Broken(f"unknown or unprintable field {name[:20]!a}")
        fields.setdefault(name, []).append(value)
    return Head(fields)
