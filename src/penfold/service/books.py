"""What is written down: the event log, the log lines and the metrics of a role.

Role queue is the one writer of log lines: those about sessions are made from the events that receiving processes send,
so that a log file has one writer and role receive needs to open none.
"""

import re

import msgspec

from penfold.config.sections import Config
from penfold.service.supervisor import Seat
from penfold.telemetry.eventlog import EventLog
from penfold.telemetry.events import AnyEvent
from penfold.telemetry.log import LogLines, sink
from penfold.telemetry.metrics import Metrics

_WORTH_A_LINE = re.compile(rb'^\{"kind":"(?:session-closed|trouble)".*$', re.MULTILINE)  # the kind comes first
_decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)

# A row of the metrics' table for each process there may be: roles that exist once, deliverers, receivers of two
# generations.
_FIRST = {"supervisor": 0, "exec": 1, "queue": 2, "auth": 3, "access": 5, "local": 8, "receive": 72}
_KINDS = 64
ROWS = _FIRST["receive"] + 2 * _KINDS


def row(seat: Seat) -> int:
    """Find the row of a process."""
    first = _FIRST.get(seat.role, 4)
    if seat.role == "access":
        return first + seat.generation % 2
    if seat.role == "receive":
        return first + seat.generation % 2 * _KINDS + seat.number % _KINDS
    return first + (seat.number % _KINDS if seat.role == "local" else 0)


class Books:
    """The recorder of role queue."""

    def __init__(self, log: EventLog, lines: LogLines | None, metrics: Metrics | None) -> None:
        self._log = log
        self._lines = lines
        self._metrics = metrics

    def record(self, event: AnyEvent) -> None:
        """Write an event down, everywhere."""
        self._log.record(event)
        if self._metrics is not None:
            self._metrics.record(event)
        if self._lines is not None:
            self._lines.record(event)

    def append(self, lines: bytes) -> None:
        """Take another role's events, encoded and counted already."""
        self._log.append(lines)
        if self._lines is not None:
            for found in _WORTH_A_LINE.findall(lines):
                self._line(found)

    def _line(self, octets: bytes) -> None:
        try:
            event = _decoder.decode(octets)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return
        if self._lines is not None:
            self._lines.record(event)

    def flush(self) -> None:
        """Hand all of it on."""
        self._log.flush()
        if self._lines is not None:
            self._lines.flush()

    def close(self) -> None:
        """Flush and close."""
        self.flush()
        self._log.close()


def open_books(config: Config, role: str, metrics: Metrics | None) -> Books:
    """Open the books of a role that may open files."""
    said = config.telemetry
    where = sink(said.log)
    if metrics is None:
        log = EventLog(said.events, role, file_size=said.file_size)
    else:
        log = EventLog(said.events, role, file_size=said.file_size, on_loss=metrics.events_lost)
    return Books(log, LogLines(where) if where is not None else None, metrics)
