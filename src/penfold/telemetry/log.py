"""One line per session and per attempt for people and their log tools, made from the events as they pass by.

A line is ``time kind key=value …``; what strangers said is escaped and bounded, so that a line is always one line.
Lines are held back like events and handed to the sink once per batch of work.

Standards: RFC 3339 (times), RFC 3164 (syslog)
Trust: events hold what strangers said; every value passes ``escape``.
Durability: none; the log is for reading, the event log for asking.
"""

import contextlib
import os
import sys
import syslog
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol

from penfold.telemetry import events
from penfold.telemetry.escape import ascii_only, value
from penfold.telemetry.sentences import tell

_SESSION = ("session", "reason", "client", "helo", "user", "tls", "messages", "refused", "octets", "seconds")
_ATTEMPT = ("id", "number", "recipient", "mailer", "remote", "host", "outcome", "reply", "tls", "attempt", "seconds")
_POP3 = (
    *("session", "reason", "client", "user", "tls", "held", "retrieved", "tops", "octets", "transmitted"),
    *("removed", "left", "refused", "seconds"),
)
_FIELDS: dict[type, tuple[str, tuple[str, ...]]] = {
    events.SessionClosed: ("session", _SESSION),
    events.Pop3Closed: ("pop3", _POP3),
    events.Attempt: ("attempt", _ATTEMPT),
}
_SENTENCES = frozenset(
    {events.RoleStarted, events.RoleEnded, events.Reloaded, events.Operator, events.Trouble, events.HostDown}
)
_URGENT = (events.Trouble,)


LONGEST_SYSLOG = 900  # octets of a line that every syslog takes with its own head (RFC 3164 §4.1)


class Sink(Protocol):
    """Where log lines go."""

    def write(self, at: float, line: str, *, urgent: bool) -> None:
        """Take one line without its time and line end. Never raises."""

    def flush(self) -> None:
        """Hand on what is held."""


class LogLines:
    """A Recorder that writes log lines of the events worth one to a sink."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def record(self, event: events.AnyEvent) -> None:
        """Write the event's line, if it has one."""
        line = line_of(event)
        if line:
            self._sink.write(event.at, line, urgent=isinstance(event, _URGENT))

    def flush(self) -> None:
        """Hand on what is held."""
        self._sink.flush()


class Everyone:
    """A Recorder that passes each event to several: the event log, the log lines, the metrics."""

    def __init__(self, *recorders: events.Recorder) -> None:
        self._recorders = recorders

    def record(self, event: events.AnyEvent) -> None:
        """Pass it on."""
        for recorder in self._recorders:
            recorder.record(event)

    def flush(self) -> None:
        """Flush them all."""
        for recorder in self._recorders:
            recorder.flush()


# PERF: 5 to 8 us of CPU a line, most of it ten values looked at; two lines a message.
def line_of(event: events.AnyEvent) -> str:
    """Write the log line of an event, without time; ``""`` for kinds that have none."""
    known = _FIELDS.get(type(event))
    if known is not None:
        word, names = known
        parts = [word]
        for name in names:
            item = getattr(event, name)
            if item != "":
                parts.append(f"{name}={value(item) if isinstance(item, str) else _number(item)}")
        return " ".join(parts)
    return f"note {tell(event)}" if type(event) in _SENTENCES else ""


def _number(item: int | float) -> str:  # noqa: PYI041 - both are shown, each in its own way
    return f"{item:.3f}" if isinstance(item, float) else str(item)


def stamp(at: float) -> str:
    """Write a time as logs do: RFC 3339, UTC, milliseconds."""
    seconds = int(at // 1)
    return f"{_second(seconds)}.{int((at - seconds) * 1000):03d}Z"


@lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    except (ValueError, OverflowError, OSError):  # a damaged event: no year of ours
        return "????-??-??T??:??:??"


class Stream:
    """A sink that is a text stream (stderr, or a person's terminal)."""

    def __init__(self, write: Callable[[str], object] | None = None, *, times: bool = True) -> None:
        self._write = write or sys.stderr.write
        self._times = times
        self._lines: list[str] = []

    def write(self, at: float, line: str, *, urgent: bool) -> None:  # noqa: ARG002 - the seam
        """Hold a line."""
        self._lines.append(f"{stamp(at)} {line}\n" if self._times else f"{line}\n")

    def flush(self) -> None:
        """Write what is held; a reader that has gone is no trouble of ours."""
        text = "".join(self._lines)
        self._lines.clear()
        if text:
            with contextlib.suppress(OSError, ValueError):
                self._write(text)


class Syslog:
    """A sink that is the system's log (facility mail)."""

    def __init__(self, name: str = "penfold") -> None:
        syslog.openlog(name, syslog.LOG_PID | syslog.LOG_NDELAY, syslog.LOG_MAIL)

    def write(self, at: float, line: str, *, urgent: bool) -> None:  # noqa: ARG002 - syslog has its own clock
        """Send a line, in ASCII, cut to what every syslog takes."""
        syslog.syslog(syslog.LOG_ERR if urgent else syslog.LOG_INFO, ascii_only(line)[:LONGEST_SYSLOG])

    def flush(self) -> None:
        """Do nothing: lines went out as they came."""


class File:
    """A sink that is a file, appended to, and opened anew after it was renamed (as logrotate does)."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1
        self._lines: list[bytes] = []
        self.lost = 0

    def write(self, at: float, line: str, *, urgent: bool) -> None:  # noqa: ARG002 - the seam
        """Hold a line."""
        self._lines.append(f"{stamp(at)} {line}\n".encode(errors="backslashreplace"))

    def flush(self) -> None:
        """Append what is held; what cannot be written is dropped and counted."""
        if not self._lines:
            return
        data = b"".join(self._lines)
        self._lines.clear()
        try:
            self._reopen_if_moved()
            os.write(self._fd, data)
        except OSError:
            self.lost += len(data)

    def _reopen_if_moved(self) -> None:
        try:
            moved = self._fd < 0 or os.stat(self._path).st_ino != os.fstat(self._fd).st_ino
        except FileNotFoundError:
            moved = True
        if moved:
            self.close()
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
            self._fd = os.open(self._path, flags, 0o640)

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1


def sink(where: str) -> Sink | None:
    """Make the sink that the option ``telemetry.log`` names: ``stderr``, ``syslog``, a path, ``""`` for none."""
    if not where:
        return None
    if where == "stderr":
        return Stream()
    return Syslog() if where == "syslog" else File(where)
