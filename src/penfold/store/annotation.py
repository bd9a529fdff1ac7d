"""The rules of annotations, for every driver.

Standards: RFC 5464 §3.2, §4.3
Trust: names and values are words of clients.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

import msgspec

from penfold.store.change import Annotation
from penfold.store.refusal import Refusal
from penfold.store.result import Problem

_ENTRY: Final = re.compile(r"/(private|shared)(?:/[!-$&-)+-.0-~]+)+\Z")

Notes: TypeAlias = Mapping[tuple[str, str], Annotation]  # by user and entry


def noted(notes: Notes, new: Iterable[Annotation], *, octets: int, most: int) -> dict[tuple[str, str], Annotation]:
    """Set annotations, all or none: values of so many octets at most, so many of them. Raises Refusal."""
    found = dict(notes)
    for note in new:
        key = (note.user, _entry(note, octets))
        if note.value is None:
            found.pop(key, None)
        else:
            found[key] = msgspec.structs.replace(note, entry=key[1])
    if len(found) > most:
        raise Refusal(Problem.LIMIT, f"more than {most} annotations")
    return found


def in_order(notes: Notes) -> tuple[Annotation, ...]:
    """Give them as the tree shows them."""
    return tuple(notes[key] for key in sorted(notes))


def _entry(note: Annotation, most: int) -> str:
    """Give the one spelling of an entry's name. Raises Refusal."""
    entry = note.entry.lower()
    found = _ENTRY.match(entry)
    if not found or (found[1] == "private") != bool(note.user):
        raise Refusal(Problem.CANNOT, "that is no name of an annotation")
    if note.value is not None and len(note.value) > most:
        raise Refusal(Problem.TOO_BIG, f"an annotation has more than {most} octets")
    return entry
