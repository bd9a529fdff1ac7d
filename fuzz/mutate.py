"""Mutations: inputs that a parser has not seen, made of those it knows, always the same for the same seed."""

import re
from collections.abc import Callable, Sequence
from random import Random

MOST = 65536  # octets of an input
_SMALL = 1500  # octets an input may have grown to before it is cut again

# Octets on which parsers of mail stumble, whatever they parse.
EVERYWHERE = (
    b"\r\n", b"\n", b"\r", b"\r\n\r\n", b".\r\n", b"\r\n.\r\n", b"\0", b"\t", b" ", b"\\", b'"', b"'", b"(", b")",
    b"<", b">", b"@", b",", b";", b":", b"=", b"%", b"!", b"+", b"*", b"[", b"]", b"{", b"}", b"\x7f", b"\x80", b"\xff",
    b"\xfe", b"\xc3\xa9", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x80\xae", b"0", b"-1", b"1", b"255", b"256",
    b"65536", b"2147483648", b"4294967295", b"18446744073709551616", b"\0\0\0\0", b"\x7f\xff\xff\xff",
    b"\xff\xff\xff\xff",
)  # fmt: skip
_WORD = re.compile(rb"[A-Za-z0-9_-]{2,20}[:=]?|[^\sA-Za-z0-9]{1,8}")


def words_of(inputs: Sequence[bytes]) -> list[bytes]:
    """Take the words of known inputs as a dictionary."""
    return sorted({word for each in inputs for word in _WORD.findall(each)})


class Mutator:
    """Makes inputs out of a pool of known ones. The pool may grow meanwhile."""

    def __init__(self, pool: list[bytes], tokens: Sequence[bytes], seed: int) -> None:
        self.pool = pool
        self._random = Random(seed)
        self._tokens = (*words_of(pool), *tokens) or (b"",)
        self._changes: tuple[Callable[[bytearray], bytearray], ...] = (
            self._flip, self._octet, self._insert, self._insert, self._replace, self._drop, self._repeat, self._splice,
            self._cross, self._cut, self._swap_lines, self._number,
        )  # fmt: skip

    def __call__(self) -> bytes:
        """Make the next input: one to five changes to one of the pool."""
        random = self._random
        data = bytearray(random.choice(self.pool))
        if random.random() < 0.01:
            return bytes(self._bomb(data))[:MOST]
        for _ in range(random.choice((1, 1, 1, 2, 2, 3, 5))):
            data = random.choice(self._changes)(data)
        if len(data) > _SMALL and random.random() < 0.9:
            at = random.randrange(len(data) - _SMALL // 2)
            data = data[at : at + _SMALL]
        return bytes(data[:MOST])

    def _place(self, data: bytearray) -> int:
        return self._random.randrange(len(data) + 1)

    def _stretch(self, data: bytearray) -> tuple[int, int]:
        start = self._place(data)
        return start, min(len(data), start + self._random.choice((1, 2, 4, 8, 16, 64, 256)))

    def _token(self) -> bytes:
        return self._random.choice(self._tokens if self._random.random() < 0.5 else EVERYWHERE)

    def _flip(self, data: bytearray) -> bytearray:
        if data:
            data[self._random.randrange(len(data))] ^= 1 << self._random.randrange(8)
        return data

    def _octet(self, data: bytearray) -> bytearray:
        if data:
            data[self._random.randrange(len(data))] = self._random.randrange(256)
        return data

    def _insert(self, data: bytearray) -> bytearray:
        at = self._place(data)
        data[at:at] = self._token()
        return data

    def _replace(self, data: bytearray) -> bytearray:
        start, end = self._stretch(data)
        data[start:end] = self._token()
        return data

    def _drop(self, data: bytearray) -> bytearray:
        start, end = self._stretch(data)
        del data[start:end]
        return data

    def _repeat(self, data: bytearray) -> bytearray:
        start, end = self._stretch(data)
        data[end:end] = data[start:end] * self._random.choice((1, 2, 3, 8, 30))
        return data

    def _splice(self, data: bytearray) -> bytearray:
        other = self._random.choice(self.pool)
        return data[: self._place(data)] + other[self._random.randrange(len(other) + 1) :]

    def _cross(self, data: bytearray) -> bytearray:
        other = self._random.choice(self.pool)
        start = self._random.randrange(len(other) + 1)
        at = self._place(data)
        data[at:at] = other[start : start + self._random.choice((2, 8, 32, 128))]
        return data

    def _cut(self, data: bytearray) -> bytearray:
        return data[: self._place(data)]

    def _swap_lines(self, data: bytearray) -> bytearray:
        lines = data.splitlines(keepends=True)
        if len(lines) < 2:
            return data
        one, other = self._random.randrange(len(lines)), self._random.randrange(len(lines))
        lines[one], lines[other] = lines[other], lines[one]
        return bytearray().join(lines)

    def _number(self, data: bytearray) -> bytearray:
        numbers = list(re.finditer(rb"\d+", data))
        if numbers:
            match = self._random.choice(numbers)
            value = self._random.choice((0, 1, int(match[0][:18]) + 1, 10**9, 2**32, 10**20))
            data[match.start() : match.end()] = b"%d" % value
        return data

    def _bomb(self, data: bytearray) -> bytearray:
        """Lengthen one stretch to as many octets as an input may have."""
        start, end = self._stretch(data)
        piece = bytes(data[start:end]) if self._random.random() < 0.5 else self._token()
        size = self._random.choice((1000, 5000, 20_000, MOST))
        data[end:end] = (piece or b"a") * (size // (len(piece) or 1))
        return data
