"""What the records of the spool's logs hold; how they are framed is ``fs.record``.

Trust: what is scanned may be torn, stale or damaged; only records that check get here.
"""

import struct
from collections.abc import Sequence
from enum import IntEnum

import msgspec

from penfold.fs.record import HEADER_SIZE, Scanned
from penfold.model import BodyRef, Envelope, QueueId, Recipient

_META = struct.Struct("<I")


class Type(IntEnum):
    """What a record is."""

    HEAD = 1
    MESSAGE = 2


class Head(msgspec.Struct, frozen=True, array_like=True):
    """The first record of a segment: which it is, who writes it, when it was made (POSIX seconds)."""

    number: int
    worker: str
    created: float


class Meta(msgspec.Struct, frozen=True, array_like=True):
    """A message record's meta: the message follows, or lies in ``file`` after ``prefix``, ``length`` octets."""

    id: QueueId
    envelope: Envelope
    recipients: tuple[Recipient, ...]
    file: str = ""
    prefix: bytes = b""
    length: int = 0
    sha256: bytes = b""


class Accepted(msgspec.Struct, frozen=True, array_like=True):
    """A message on disk, as intake publishes it to custody."""

    id: QueueId
    segment: int
    lsn: int
    envelope: Envelope
    recipients: tuple[Recipient, ...]
    body: BodyRef


encode_meta = msgspec.msgpack.Encoder().encode
_decode_meta = msgspec.msgpack.Decoder(Meta).decode
_decode_head = msgspec.msgpack.Decoder(Head).decode


def message_payload(meta: bytes, body: Sequence[bytes]) -> list[bytes]:
    """Make a message record's payload."""
    return [_META.pack(len(meta)) + meta, *body]


def message_offset(offset: int, meta: bytes) -> int:
    """Tell where the message's octets begin, of a record at ``offset``."""
    return offset + HEADER_SIZE + _META.size + len(meta)


def head_payload(head: Head) -> list[bytes]:
    """Make a head record's payload."""
    return [encode_meta(head)]


def decode_head(record: Scanned) -> Head:
    """Read a head record's payload."""
    return _decode_head(record.payload)


def decode_message(record: Scanned, segment: int, name: str) -> Accepted:
    """Read a message record of segment ``segment``, whose name in the spool is ``name``.

    Raises msgspec.MsgspecError or struct.error if a checked record does not hold a message: a bug, or another format.
    """
    (length,) = _META.unpack_from(record.payload)
    start = _META.size + length
    meta = _decode_meta(record.payload[_META.size : start])
    if meta.file:
        body = BodyRef(meta.file, 0, meta.length, meta.prefix)
    else:
        body = BodyRef(name, record.offset + HEADER_SIZE + start, len(record.payload) - start)
    if body.length < 0:
        raise msgspec.ValidationError("a message of less than nothing")
    return Accepted(meta.id, segment, record.lsn, meta.envelope, meta.recipients, body)
