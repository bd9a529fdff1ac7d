"""A server's whole process family: the CPU it used, dead children included, the memory it holds, and its end.

CPU comes from a cgroup where we may make one (version 1 ``cpuacct`` or version 2 ``cpu.stat``); elsewhere from
``/proc/PID/stat`` with the times of children that were waited for, which is exact for families of long-lived processes.
Memory is PSS: pages shared by n processes count 1/n in each.
"""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_TICKS = os.sysconf("SC_CLK_TCK")
_CGROUP = Path("/sys/fs/cgroup")


def _own_cgroup(name: str) -> Path | None:
    parent = _CGROUP / "cpuacct" if (_CGROUP / "cpuacct").is_dir() else _CGROUP
    place = parent / f"penfold-bench-{name}-{os.getpid()}"
    try:
        place.mkdir()
    except OSError:
        return None
    if (place / "cpuacct.usage").exists() or (place / "cpu.stat").exists():
        return place
    place.rmdir()
    return None


class Family:
    """The processes that descend from what ``start`` started."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._cgroup = _own_cgroup(name)
        self._roots: list[subprocess.Popen[bytes]] = []

    def start(self, argv: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
        """Start a program as a member; ``options`` are those of Popen."""
        process = subprocess.Popen(argv, preexec_fn=self._join, **options)  # noqa: PLW1509 - single-threaded
        self._roots.append(process)
        return process

    def _join(self) -> None:
        if self._cgroup is not None:
            (self._cgroup / "cgroup.procs").write_text(str(os.getpid()))

    def pids(self) -> list[int]:
        """Give the living members."""
        if self._cgroup is not None:
            return [int(word) for word in (self._cgroup / "cgroup.procs").read_text().split()]
        return _descendants([process.pid for process in self._roots if process.poll() is None])

    def cpu(self) -> float:
        """Give the seconds of CPU used since the beginning."""
        if self._cgroup is None:
            return sum(map(_cpu_of, self.pids()))
        usage = self._cgroup / "cpuacct.usage"
        if usage.exists():
            return int(usage.read_text()) / 1e9
        return int((self._cgroup / "cpu.stat").read_text().split()[1]) / 1e6

    def cpu_by_member(self) -> dict[str, float]:
        """Give the seconds of CPU of each living member, by its number."""
        return {str(pid): _cpu_of(pid, own=True) for pid in self.pids()}

    def pss(self) -> dict[int, int]:
        """Give the octets each living member holds."""
        return {pid: octets for pid in self.pids() if (octets := pss_of(pid))}

    def end(self) -> None:
        """Ask all members to end, then make them."""
        for number, patience in ((signal.SIGTERM, 15.0), (signal.SIGKILL, 5.0)):
            _signal([process.pid for process in self._roots if process.poll() is None] or self.pids(), number)
            limit = time.monotonic() + patience
            while (left := self._left()) and time.monotonic() < limit:
                time.sleep(0.05)
                if time.monotonic() > limit - patience / 2:
                    _signal(left, number)
        if self._cgroup is not None:
            self._cgroup.rmdir()
            self._cgroup = None

    def _left(self) -> list[int]:
        for process in self._roots:
            process.poll()
        return self.pids()


def _signal(pids: Sequence[int], number: int) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return []


def _cpu_of(pid: int, *, own: bool = False) -> float:
    fields = _stat(pid)
    return sum(map(int, fields[11 : 13 if own else 15])) / _TICKS


def _descendants(roots: Sequence[int]) -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (fields := _stat(int(entry))):
            children.setdefault(int(fields[1]), []).append(int(entry))
    found = list(roots)
    for pid in found:
        found.extend(children.get(pid, ()))
    return found


def pss_of(pid: int) -> int:
    """Give the octets a process holds, its share of shared pages included; 0 for one that is gone."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        return 0
    return 0
