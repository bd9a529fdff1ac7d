"""Octets that a name server, or somebody who claims to be one, may send us."""

from penfold.net.answers import (
    Alias,
    Failure,
    Found,
    Kind,
    NoData,
    NxDomain,
    Question,
    answers_to,
    ask,
    read,
    truncated,
)

_QUESTIONS = [Question("example.test", kind) for kind in Kind]


def _response(records: bytes, *, flags: bytes = b"\x81\xa0", counts: bytes = b"\0\1\0\1\0\0\0\0") -> bytes:
    query = ask(Question("example.test", Kind.MX), 0)
    return b"\0\0" + flags + counts + query[12 : query.index(0, 12) + 5] + records


SEEDS: list[bytes] = [
    _response(b"\xc0\x0c\0\x0f\0\1\0\0\1\x2c\0\x09\0\x0a\4mail\xc0\x0c"),
    _response(b"\xc0\x0c\0\x05\0\1\0\0\1\x2c\0\2\xc0\x0c"),
    _response(b"\xc0\x1d\0\x0f\0\1\0\0\1\x2c\0\2\xc0\x1d"),
    _response(b"\xc0\x0c\0\x10\0\1\xff\xff\xff\xff\0\6\5v=spf"),
    _response(b"", flags=b"\x81\xa3", counts=b"\0\1\0\0\0\0\0\0"),
    _response(b"\0\0\x29\4\xd0\0\0\0\0\0\0", counts=b"\0\1\0\0\0\0\0\1"),
]


def target(data: bytes) -> None:
    """Read the octets as the answer to a question of every kind."""
    for question in _QUESTIONS:
        query = ask(question, int.from_bytes(data[:2], "big"))
        for wire in (data, data[:2] + data[2:12] + query[12 : query.index(0, 12) + 5] + data[12:]):
            if answers_to(query, wire):
                truncated(wire)
                answer = read(question, wire, trusted=True)
                assert isinstance(answer, Found | NoData | NxDomain | Failure | Alias)
