"""SORT and THREAD: searches whose result is ordered.

Standards: RFC 5256; RFC 5957; RFC 5267 §3 (ESORT), §4; RFC 6203 §4 (RELEVANCY); RFC 9394
Trust: the client's.
"""

from enum import StrEnum

import msgspec

from penfold.protocols.imap.grammar import Cursor, refused
from penfold.protocols.imap.search_keys import SearchKey
from penfold.protocols.imap.searching import Returns, return_options, search_program

MAX_CRITERIA = 32


class By(StrEnum):
    """What messages are sorted by."""

    ARRIVAL = "ARRIVAL"
    CC = "CC"
    DATE = "DATE"
    DISPLAYFROM = "DISPLAYFROM"
    DISPLAYTO = "DISPLAYTO"
    FROM = "FROM"
    RELEVANCY = "RELEVANCY"
    SIZE = "SIZE"
    SUBJECT = "SUBJECT"
    TO = "TO"


class Criterion(msgspec.Struct, frozen=True, array_like=True):
    """One key of a sort."""

    by: By
    reverse: bool = False


class Sort(msgspec.Struct, frozen=True, array_like=True):
    """SORT and UID SORT. Without ``returns`` the answer is a SORT response, else an ESEARCH one."""

    criteria: tuple[Criterion, ...]
    key: SearchKey
    uid: bool = False
    returns: Returns | None = None


class Algorithm(StrEnum):
    """How THREAD makes its trees."""

    ORDEREDSUBJECT = "ORDEREDSUBJECT"
    REFERENCES = "REFERENCES"
    REFS = "REFS"


class Thread(msgspec.Struct, frozen=True, array_like=True):
    """THREAD and UID THREAD."""

    algorithm: Algorithm
    key: SearchKey
    uid: bool = False


_BY = {each.value.encode(): each for each in By}
_ALGORITHMS = {each.value.encode(): each for each in Algorithm}


def parse_sort(cursor: Cursor, *, uid: bool = False) -> Sort:
    """Parse the arguments of SORT."""
    returns = return_options(cursor)
    cursor.space()
    criteria = tuple(cursor.listed(lambda: _criterion(cursor)))
    if len(criteria) > MAX_CRITERIA:
        raise refused("Too many sort criteria")
    return Sort(criteria, _searched(cursor), uid, returns)


def parse_thread(cursor: Cursor, *, uid: bool = False) -> Thread:
    """Parse the arguments of THREAD."""
    cursor.space()
    algorithm = _ALGORITHMS.get(cursor.word())
    if algorithm is None:
        raise refused("Unknown threading algorithm")
    return Thread(algorithm, _searched(cursor), uid)


def _criterion(cursor: Cursor) -> Criterion:
    reverse = cursor.takes_word(b"REVERSE")
    if reverse:
        cursor.space()
    by = _BY.get(cursor.word())
    if by is None:
        raise refused("Unknown sort criterion")
    return Criterion(by, reverse)


def _searched(cursor: Cursor) -> SearchKey:
    cursor.space()
    charset = cursor.astring()
    cursor.space()
    return search_program(cursor, charset)
