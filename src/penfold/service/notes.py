"""What the supervisor has to say: to the event log, and a line to people."""

import time
from typing import TextIO

from penfold.config.sections import Config
from penfold.service.supervisor import Seat
from penfold.telemetry import events
from penfold.telemetry.eventlog import EventLog


class SupervisorNotes:
    """Records starts, ends and reloads. ``quiet`` leaves the expected ones out of the lines."""

    def __init__(self, config: Config, out: TextIO, *, quiet: bool = False) -> None:
        self._log = EventLog(config.telemetry.events, "supervisor")
        self._out = out
        self._quiet = quiet

    def started(self, seat: Seat, pid: int) -> None:
        """Note that a role began."""
        self._record(events.RoleStarted(at=time.time(), role=seat.role, pid=pid, generation=seat.generation))

    def ended(self, seat: Seat, pid: int, reason: str, *, expected: bool) -> None:
        """Note that a role ended."""
        self._record(events.RoleEnded(at=time.time(), role=seat.role, pid=pid, reason=reason, expected=expected))
        if not expected:
            self._say(f"role {seat.role} (pid {pid}) died: {reason}; it is started again")

    def reloaded(self, *, ok: bool, detail: str) -> None:
        """Note a reload."""
        self._record(events.Reloaded(at=time.time(), ok=ok, detail=detail))
        self._say(f"configuration reloaded: {detail}" if ok else f"the old configuration stays in force: {detail}")

    def _record(self, event: events.AnyEvent) -> None:
        self._log.record(event)
        self._log.flush()

    def _say(self, text: str) -> None:
        if not self._quiet:
            self._out.write(f"penfold: {text}\n")
            self._out.flush()
