"""The counts that all receiving processes share: open sessions and rates of each client.

Made by the supervisor before it forks; each process writes its own column.
"""

from collections.abc import Callable, Mapping

from penfold.guard.relay import Networks
from penfold.net.shared import Column, Counters
from penfold.service.supervisor import Seat

KINDS = ("connections", "messages", "recipients")


class Tallies:
    """All shared tables."""

    def __init__(self) -> None:
        self.sessions = Counters()
        self.readers = Counters()  # sessions of role access
        self._rates = {kind: Counters() for kind in KINDS}

    def columns(self, worker: int) -> Mapping[str, Column]:
        """Give a process its columns of the rates."""
        return {kind: table.column(worker) for kind, table in self._rates.items()}

    def forget(self, seat: Seat) -> None:
        """Count the sessions of a process that ended no more."""
        if seat.role == "receive":
            self.sessions.clear(column(seat))
        elif seat.role == "access":
            self.readers.clear(column(seat))


def column(seat: Seat) -> int:
    """Find the column of a receiving process; those of two generations lie apart."""
    return seat.generation % 2 * 16 + seat.number % 16


class ColumnMeter:
    """One kind of event, as the guard counts it."""

    def __init__(self, column: Column, clock: Callable[[], float]) -> None:
        self._column = column
        self._clock = clock

    def hit(self, client: str, limit: int) -> bool:
        """Count an event."""
        return self._column.hit(client, limit, self._clock())


class ColumnSessions:
    """Open sessions of each client; clients in ``exempt`` networks are not counted."""

    def __init__(self, column: Column, limit: int, exempt: tuple[str, ...]) -> None:
        self._column = column
        self._limit = limit
        self._exempt = Networks(exempt)

    def enter(self, client: str) -> bool:
        """Count one in."""
        return not client or client in self._exempt or self._column.open(client, self._limit)

    def leave(self, client: str) -> None:
        """Count one out."""
        if client and client not in self._exempt:
            self._column.shut(client)
