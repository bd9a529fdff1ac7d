"""Identifiers that must not be mixed up with plain strings.

A queue id is the worker's letter and the base-32 form of (segment, record): unique for ever, sortable by age, safe in
file names and header fields (only ``0-9A-Z``).
"""

from typing import NewType

QueueId = NewType("QueueId", str)

# Crockford's alphabet: no I, L, O, U, so an id read out over the telephone survives.
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def base32(number: int, width: int = 0) -> str:
    """Write a non-negative integer in Crockford's base 32, padded with zeros to ``width`` characters."""
    digits: list[str] = []
    while number:
        number, rest = divmod(number, 32)
        digits.append(ALPHABET[rest])
    return "".join(reversed(digits)).rjust(max(width, 1), "0")


def queue_id(worker: str, segment: int, record: int) -> QueueId:
    """Name message number ``record`` of intake segment ``segment``, written by ``worker`` (one letter)."""
    return QueueId(worker + base32(segment, 6) + base32(record, 5))
