"""What all protocol cores have in common, so that one driver hosts them all and one fake drives every test.

A core holds no socket, no clock and no policy. Octets go in (``receive_data``), events come out (``next_event``), the
application's answers go in (``answer`` and its kin, named per protocol), octets to send come out (``data_to_send``).
``PAUSED`` until the pending command is answered gives PIPELINING its order for free; whatever follows a STARTTLS in the
same read is thrown away with the conversation, never executed.
"""

from enum import Enum
from typing import Final, Literal, Protocol


class Signal(Enum):
    """What ``next_event`` says when there is no event."""

    NEED_DATA = "need data"
    PAUSED = "paused"


NEED_DATA: Final = Signal.NEED_DATA
PAUSED: Final = Signal.PAUSED

NoEvent = Literal[Signal.NEED_DATA, Signal.PAUSED]


class Core(Protocol):
    """The methods every core has; ``next_event`` of a given core narrows the type of its events."""

    def receive_data(self, data: bytes | bytearray | memoryview) -> None:
        """Take octets from the peer, cut anywhere."""

    def receive_eof(self) -> None:
        """Hear that the peer sends no more."""

    def next_event(self) -> object:
        """Give the next event, or NEED_DATA, or PAUSED while an answer is owed."""

    def data_to_send(self) -> bytes:
        """Take the octets to be sent to the peer; empty when there are none."""

    def deadline(self) -> float | None:
        """Tell when to call ``on_time`` (the caller's monotonic seconds), or None."""

    def on_time(self, now: float) -> None:
        """Tell the time; past its deadline the core answers with a time-out or closes."""
