"""Who runs: a small file that the supervisor keeps for ``penfold status``, ``run/roster.json``.

Written anew at every start and end of a role, under another name and renamed, so that a reader sees a whole one.
"""

import contextlib
import os
import time
from collections import Counter

import msgspec

import penfold
from penfold.service.supervisor import Notes, Seat
from penfold.telemetry import events
from penfold.telemetry.metrics import Metrics

NAME = "run/roster.json"


class Member(msgspec.Struct, frozen=True):
    """One process. ``restarts`` counts how often its seat died."""

    role: str
    number: int
    generation: int
    pid: int
    since: float
    restarts: int = 0


class Roster(msgspec.Struct, frozen=True):
    """All of them, and the supervisor itself (``pid``)."""

    pid: int
    started: float
    version: str
    members: tuple[Member, ...] = ()


class RosterNotes:
    """Notes that keep the roster and pass everything on."""

    def __init__(self, data: str, notes: Notes, metrics: Metrics | None = None) -> None:
        self._metrics = metrics or Metrics()
        self._path = f"{data}/{NAME}"
        self._notes = notes
        self._started = time.time()
        self._members: dict[int, Member] = {}
        self._deaths: Counter[tuple[str, int]] = Counter()

    def started(self, seat: Seat, pid: int) -> None:
        """Take a process in."""
        restarts = self._deaths[seat.role, seat.number]
        self._members[pid] = Member(seat.role, seat.number, seat.generation, pid, time.time(), restarts)
        self._write()
        self._metrics.record(events.RoleStarted(at=time.time(), role=seat.role, pid=pid))
        self._notes.started(seat, pid)

    def ended(self, seat: Seat, pid: int, reason: str, *, expected: bool) -> None:
        """Strike it off."""
        self._members.pop(pid, None)
        if not expected:
            self._deaths[seat.role, seat.number] += 1
        self._write()
        self._metrics.record(events.RoleEnded(at=time.time(), role=seat.role, pid=pid, expected=expected))
        self._notes.ended(seat, pid, reason, expected=expected)

    def reloaded(self, *, ok: bool, detail: str) -> None:
        """Count it, pass it on."""
        self._metrics.record(events.Reloaded(at=time.time(), ok=ok))
        self._notes.reloaded(ok=ok, detail=detail)

    def _write(self) -> None:
        roster = Roster(os.getpid(), self._started, penfold.__version__, tuple(self._members.values()))
        with contextlib.suppress(OSError):  # status is for people; the host works without
            with open(f"{self._path}.new", "wb") as file:
                os.fchmod(file.fileno(), 0o644)  # role queue reads it, whatever our umask
                file.write(msgspec.json.encode(roster))
            os.rename(f"{self._path}.new", self._path)


def read_roster(data: str) -> Roster | None:
    """Read the roster; None where there is none."""
    try:
        with open(f"{data}/{NAME}", "rb") as file:
            return msgspec.json.decode(file.read(1 << 20), type=Roster)
    except (OSError, msgspec.MsgspecError):
        return None
