"""The maildrop of a session as POP3 sees it: messages by number, which of them are marked deleted, and listings.

The marks live here, in the core, and not with the application: what a number means, when it is refused, what STAT adds
up and what RSET takes back is RFC 1939's and the same over every store. The application is asked for each column once
(sizes, unique-ids), for messages by valid numbers, and at the end for one removal. A session that ends without QUIT
asks for none, and that rule stands in one place.

Standards: RFC 1939 §5, §7
Trust: numbers are the client's, checked here; columns are the application's and must have a row for each message.
"""

from collections.abc import Callable, Sequence
from itertools import chain, compress

from penfold.model import LocalProtocolError
from penfold.protocols.pop3 import responses
from penfold.protocols.pop3.responses import Response

_ROWS = 2000  # rows of a listing made at a time
_END = b".\r\n"


class Maildrop:
    """The messages of a session, numbered from 1."""

    __slots__ = ("_alive", "_freed", "_sizes", "_total", "_uids", "count", "left")

    def __init__(self, count: int) -> None:
        self.count = self.left = count
        # PERF: an octet a message, and none at all until the first DELE: most sessions have no mark.
        self._alive: bytearray | None = None
        self._sizes: Sequence[int] | None = None
        self._uids: Sequence[str] | None = None
        self._total = self._freed = 0

    def problem(self, number: int) -> Response | None:
        """Say why there is no such message, if so."""
        if not 1 <= number <= self.count:
            return responses.NO_SUCH_MESSAGE
        if self._alive is not None and not self._alive[number - 1]:
            return responses.ALREADY_DELETED
        return None

    def mark(self, number: int) -> None:
        """Mark a message deleted that is not."""
        if self._alive is None:
            self._alive = bytearray(b"\1") * self.count
        self._alive[number - 1] = 0
        self.left -= 1
        if self._sizes is not None:
            self._freed += self._sizes[number - 1]

    def unmark(self) -> None:
        """Take all marks back."""
        self._alive = None
        self.left = self.count
        self._freed = 0

    @property
    def marked(self) -> tuple[int, ...]:
        """The numbers marked deleted, ascending."""
        if self._alive is None:
            return ()
        return tuple(compress(range(1, self.count + 1), self._alive.translate(_INVERSE)))

    @property
    def sizes(self) -> Sequence[int] | None:
        """The sizes, once they are known."""
        return self._sizes

    @sizes.setter
    def sizes(self, sizes: Sequence[int]) -> None:
        self._check(len(sizes))
        self._sizes = sizes
        self._total = sum(sizes)
        self._freed = sum(sizes[number - 1] for number in self.marked)

    @property
    def octets(self) -> int:
        """The size of what is not deleted; needs the sizes."""
        return self._total - self._freed

    @property
    def uids(self) -> Sequence[str] | None:
        """The unique-ids, once they are known."""
        return self._uids

    @uids.setter
    def uids(self, uids: Sequence[str]) -> None:
        self._check(len(uids))
        self._uids = uids

    def uid(self, number: int) -> str:
        """The unique-id of a message; raises LocalProtocolError if it is none."""
        assert self._uids is not None
        uid = self._uids[number - 1]
        check_uids((uid,))
        return uid

    def size_listing(self) -> "Listing":
        """List the sizes of what is not deleted."""
        assert self._sizes is not None
        return Listing(self._sizes, self._alive, size_rows)

    def uid_listing(self) -> "Listing":
        """List the unique-ids of what is not deleted."""
        assert self._uids is not None
        return Listing(self._uids, self._alive, uid_rows)

    def _check(self, rows: int) -> None:
        if rows != self.count:
            raise LocalProtocolError(f"{rows} rows for {self.count} messages")


_INVERSE = bytes.maketrans(b"\0\1", b"\1\0")


class Listing:
    """The rows of a multi-line answer, made as they are sent; ``done`` once the lone dot was taken too."""

    __slots__ = ("_alive", "_at", "_render", "_values", "done")

    def __init__(
        self,
        values: Sequence[int] | Sequence[str],
        alive: bytearray | None,
        render: Callable[[Sequence[int], Sequence[int]], bytes] | Callable[[Sequence[int], Sequence[str]], bytes],
    ) -> None:
        self._values = values
        self._alive = alive
        self._render: Callable[[Sequence[int], Sequence[int | str]], bytes] = render  # type: ignore[assignment]
        self._at = 0
        self.done = False

    def take(self) -> bytes:
        """Make the next rows; not empty."""
        octets = b""
        while not octets and self._at < len(self._values):
            octets = self._some()
        if self._at < len(self._values):
            return octets
        self.done = True
        return octets + _END

    def _some(self) -> bytes:
        start = self._at
        self._at = end = min(start + _ROWS, len(self._values))
        numbers: Sequence[int] = range(start + 1, end + 1)
        values: Sequence[int | str] = self._values[start:end]
        if self._alive is not None:
            alive = self._alive[start:end]
            numbers, values = tuple(compress(numbers, alive)), tuple(compress(values, alive))
        return self._render(numbers, values) if numbers else b""


def size_rows(numbers: Sequence[int], sizes: Sequence[int]) -> bytes:
    """Write rows of LIST. PERF: one format for all of them takes half the time of one each."""
    return b"%d %d\r\n" * len(numbers) % tuple(chain.from_iterable(zip(numbers, sizes, strict=True)))


def uid_rows(numbers: Sequence[int], uids: Sequence[str]) -> bytes:
    """Write rows of UIDL; raises LocalProtocolError if a unique-id is none."""
    check_uids(uids)
    return ("%d %s\r\n" * len(numbers) % tuple(chain.from_iterable(zip(numbers, uids, strict=True)))).encode()


def check_uids(uids: Sequence[str]) -> None:
    """See that they are 1 to 70 characters from ``!`` to ``~``: no row may hold another, nor be too long."""
    joined = "".join(uids)
    if not (joined.isascii() and joined.isprintable()) or " " in joined:
        raise LocalProtocolError("a unique-id holds what it must not")
    if not 1 <= min(map(len, uids)) <= max(map(len, uids)) <= 70:
        raise LocalProtocolError("a unique-id is empty or too long")
