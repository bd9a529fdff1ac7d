"""The head of an account: a file of 128-octet slots, what is published of the account and of each of its mailboxes.

Slot 0 is the account, the others are mailboxes, numbered once and never again. They say how far the other files may be
believed, and are written last of all in a commit. Every process that reads the account has this file mapped.

A slot bears its checksum: who reads it while it is written takes another look.

Durability: written in place, unsynced; the log has every slot until a checkpoint has synced it.
"""

import struct
from typing import Final
from zlib import crc32

import msgspec

SLOT: Final = 128
_HEAD: Final = struct.Struct("<QqqQQQQQIIIIIIIII")
_BOX: Final = struct.Struct("<QQQQIIIIIIIIIIIII")
_CRC: Final = struct.Struct("<I")


class Head(msgspec.Struct):
    """The account. ``modseq`` is its highest; ``deleted`` when it was, -1 once it is purged.

    ``forgotten``: deliveries before that time may happen again. ``pack``, ``cache`` and ``tree`` are lengths of files,
    ``image`` and ``image_crc`` what the newest image of the tree in ``tree`` is. ``dead`` octets of the pack are
    purged, about: what copies share is counted with each. ``generation`` numbers pack and cache, ``table`` and
    ``trees`` theirs; the table has ``1 << table_bits`` places, ``table_used`` of them taken.
    """

    modseq: int = 0
    deleted: int = 0
    forgotten: int = 0
    pack: int = 0
    cache: int = 0
    tree: int = 0
    storage: int = 0
    dead: int = 0
    image: int = 0
    image_crc: int = 0
    messages: int = 0
    mailboxes: int = 0
    generation: int = 0
    table: int = 0
    table_bits: int = 0
    table_used: int = 0
    trees: int = 0


class Slot(msgspec.Struct):
    """A mailbox: what ``Counts`` has; ``rows`` in its index, ``purged`` of them; how long its journal is.

    ``horizon``: what vanished up to this MODSEQ may be forgotten. ``generation`` numbers index and journal,
    ``pack`` the pack and cache its rows speak of.
    """

    modseq: int = 0
    horizon: int = 0
    size: int = 0
    deleted_size: int = 0
    rows: int = 0
    uidnext: int = 1
    uidvalidity: int = 0
    exists: int = 0
    unseen: int = 0
    deleted: int = 0
    first_unseen: int = 0
    recent: int = 0
    recent_from: int = 1
    generation: int = 0
    journal: int = 0
    purged: int = 0
    pack: int = 0


class Torn(Exception):
    """A slot does not check: it is being written, or damaged."""


def pack_head(head: Head) -> bytes:
    """Write slot 0."""
    return _framed(_HEAD.pack(*msgspec.structs.astuple(head)))


def pack_slot(slot: Slot) -> bytes:
    """Write the slot of a mailbox."""
    return _framed(_BOX.pack(*msgspec.structs.astuple(slot)))


def read_head(octets: bytes | memoryview) -> Head:
    """Read slot 0. Raises Torn."""
    return Head(*_HEAD.unpack_from(_checked(octets)))


def read_slot(octets: bytes | memoryview) -> Slot:
    """Read the slot of a mailbox. Raises Torn."""
    return Slot(*_BOX.unpack_from(_checked(octets)))


def _framed(octets: bytes) -> bytes:
    return octets.ljust(SLOT - 4, b"\0") + _CRC.pack(crc32(octets.ljust(SLOT - 4, b"\0")))


def _checked(octets: bytes | memoryview) -> bytes:
    whole = bytes(octets)
    if len(whole) != SLOT or crc32(whole[:-4]) != _CRC.unpack_from(whole, SLOT - 4)[0]:
        raise Torn
    return whole
