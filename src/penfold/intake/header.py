"""Watches the head of a message go by: collects the header block, bounded, and lets the rest stream past.

Trust: the octets are the client's; nothing beyond ``limit`` is ever held.
Standards: RFC 5322 §2.1, §2.2
"""

from penfold.model import Permanent, Reply

_TOO_LARGE = Reply.of(552, "5.3.4", "The header section is too large")
_END = b"\r\n\r\n"


class HeaderCollector:
    """Holds octets back until the header block is complete; ``feed`` then gives (header, rest) once."""

    __slots__ = ("_held", "_limit", "done")

    def __init__(self, limit: int) -> None:
        self._held = b""
        self._limit = limit
        self.done = False

    def feed(self, chunk: bytes) -> tuple[bytes, bytes] | None:
        """Take a chunk; returns (header with its last CRLF, the rest with the blank line) when the end is seen.

        Raises Permanent (552 5.3.4) when the header grows over the limit.
        """
        held = self._held + chunk if self._held else chunk
        if held.startswith(b"\r\n"):
            self.done = True
            return b"", held
        # PERF: only the new octets and three old ones can complete the blank line.
        end = held.find(_END, max(0, len(self._held) - 3))
        if end < 0:
            if len(held) > self._limit:
                raise Permanent(_TOO_LARGE)
            self._held = held
            return None
        if end > self._limit:
            raise Permanent(_TOO_LARGE)
        self.done = True
        self._held = b""
        return held[: end + 2], held[end + 2 :]

    def finish(self) -> tuple[bytes, bytes]:
        """Give what there is at the end of a message without a body."""
        self.done = True
        held, self._held = self._held, b""
        if held and not held.endswith(b"\r\n"):
            held += b"\r\n"
        return held, b""
