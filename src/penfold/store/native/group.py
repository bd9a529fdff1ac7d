"""A group of changes as what they do to files: octets at places, and names that go.

That is what the log holds, so recovery needs to know nothing of mail: it does it all again, in order. Doing it twice,
or again over any part of it, gives the same files.

Durability: nothing of a group is done before its record in the log is synced.
"""

import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import Final

import msgspec

from penfold.store.native.files import Files

_LENGTH: Final = struct.Struct("<I")


class Verb(IntEnum):
    """What is done to a path."""

    WRITE = 0
    REMOVE = 1
    DROP = 2  # a directory, if it is empty


class _Meta(msgspec.Struct, frozen=True, array_like=True):
    uidvalidity: int
    steps: list[tuple[int, str, int, int]]  # verb, path, offset, length of octets


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Meta).decode


class Group:
    """What a commit does, gathered. ``appended`` finds octets that are not in their files yet by place."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, str, int, int]] = []
        self.buffers: list[bytes] = []
        self.appended: dict[tuple[str, int], bytes] = {}
        self.size = 0

    def __bool__(self) -> bool:
        return bool(self.steps)

    def write(self, path: str, offset: int, octets: bytes) -> None:
        """Put octets somewhere."""
        self.steps.append((Verb.WRITE, path, offset, len(octets)))
        self.buffers.append(octets)
        self.size += len(octets)

    def append(self, path: str, offset: int, octets: bytes) -> None:
        """Put octets at the end of a file, and remember them."""
        self.write(path, offset, octets)
        self.appended[path, offset] = octets

    def remove(self, path: str) -> None:
        """Let a name go."""
        self.steps.append((Verb.REMOVE, path, 0, 0))

    def drop(self, path: str) -> None:
        """Let a directory go, if it is empty then."""
        self.steps.append((Verb.DROP, path, 0, 0))

    def payload(self, uidvalidity: int) -> list[bytes]:
        """Make the payload of its record. ``uidvalidity`` is the greatest ever given."""
        meta = _encode(_Meta(uidvalidity, self.steps))
        return [_LENGTH.pack(len(meta)) + meta, *self.buffers]

    def carry_out(self, files: Files) -> None:
        """Do it. Raises OSError: then files hold a part of it."""
        buffers = iter(self.buffers)
        for verb, path, offset, _ in self.steps:
            _step(files, verb, path, offset, next(buffers) if verb == Verb.WRITE else b"")


def carry_out_again(payload: bytes, files: Files) -> int:
    """Do what a record of the log says; gives its UIDVALIDITY. Raises OSError, msgspec.MsgspecError."""
    (length,) = _LENGTH.unpack_from(payload)
    start = _LENGTH.size + length
    meta = _decode(payload[_LENGTH.size : start])
    for (verb, path, offset, _), octets in zip(meta.steps, _cut(meta, payload, start), strict=True):
        _step(files, verb, path, offset, octets)
    return meta.uidvalidity


def _cut(meta: _Meta, payload: bytes, start: int) -> Iterator[bytes]:
    for _, _, _, length in meta.steps:
        yield payload[start : start + length]
        start += length


def _step(files: Files, verb: int, path: str, offset: int, octets: bytes) -> None:
    match verb:
        case Verb.WRITE:
            files.get(path).write_at(offset, octets)
        case Verb.REMOVE:
            files.remove(path)
        case Verb.DROP:
            files.drop(path)
