"""Fuzzes one target in a process of its own, and says as JSON what came of it."""

import contextlib
import hashlib
import json
import mmap
import os
import resource
import signal
import time
import traceback
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from fuzz import targets, trace

SLOW = 2.0  # seconds of CPU for one input: more is a finding
MEMORY = 512 << 20  # octets of address space over what the process has at its start
MOST_FINDINGS = 10
_TRACED = 10  # every so many inputs one is traced
_TRACED_SIZE = 4096  # octets; longer ones are not
_CORPUS = 40_000  # octets kept a target
_KEPT_SIZE = 2000  # octets of an input that may be kept


class TooSlow(BaseException):
    """An input takes too long; no target catches it."""


@dataclass
class Result:
    """What came of a run. Times in seconds of CPU."""

    name: str
    inputs: int = 0
    seconds: float = 0.0
    corpus: int = 0
    edges: int = 0
    new_edges: int = 0
    slowest: float = 0.0
    slowest_size: int = 0
    findings: list[str] = field(default_factory=list)


class Worker:
    """One target, one seed."""

    def __init__(self, name: str, seed: int, current: mmap.mmap) -> None:
        self.target = targets.load(name)
        self.mutator = self.target.mutator(seed)
        self.result = Result(name)
        self._current = current
        self._seen: set[trace.Edge] = set()
        self._places: set[str] = set()

    def work(self, seconds: float, most: int | None) -> Result:
        """Run for so long, or over so many inputs."""
        end = time.monotonic() + seconds
        started = time.process_time()
        for data in self.target.known:
            self._try(data, traced=False)
            self._try(data, traced=True)
        known = len(self._seen)
        while (time.monotonic() < end if most is None else self.result.inputs < most) and (
            len(self.result.findings) < MOST_FINDINGS
        ):
            data = self.mutator()
            traced = self.result.inputs % _TRACED == 0 and len(data) <= _TRACED_SIZE
            if self._try(data, traced=traced):
                self.mutator.pool.append(data)
        self.result.seconds = time.process_time() - started
        self.result.edges = len(self._seen)
        self.result.new_edges = len(self._seen) - known
        return self.result

    def _try(self, data: bytes, *, traced: bool) -> bool:
        """Run over an input; tells whether it took a step that none before took."""
        self._current.seek(0)
        self._current.write(len(data).to_bytes(4, "big") + data)
        self.result.inputs += 1
        try:
            if traced:
                new = trace.edges(self.target.run, data) - self._seen
                self._seen |= new
                return bool(new)
            self._timed(data)
        except (Exception, TooSlow) as error:
            self._found(data, error)
        return False

    def _timed(self, data: bytes) -> None:
        signal.setitimer(signal.ITIMER_PROF, SLOW)
        start = time.process_time()
        try:
            self.target.run(data)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            taken = time.process_time() - start
            if taken > self.result.slowest:
                self.result.slowest, self.result.slowest_size = taken, len(data)

    def _found(self, data: bytes, error: BaseException) -> None:
        place = f"{type(error).__name__} at {_place(error)}"
        if place not in self._places:
            self._places.add(place)
            self.result.findings.append(f"{save(self.result.name, data)}: {place}: {str(error)[:200]!r}")

    def keep(self) -> None:
        """Write the corpus again: of all inputs that count, the shortest ones that together take every step."""
        folder = targets.CORPUS / self.result.name
        seen: set[trace.Edge] = set()
        chosen: list[bytes] = []
        seeds = len(self.target.known) - len(targets.corpus(self.result.name))
        for number, data in enumerate([*self.mutator.pool[:seeds], *sorted(set(self.mutator.pool[seeds:]), key=len)]):
            if number >= seeds and (len(data) > _KEPT_SIZE or sum(map(len, chosen)) + len(data) > _CORPUS):
                continue
            with contextlib.suppress(Exception):
                new = trace.edges(self.target.run, data) - seen
                if number >= seeds and new:
                    chosen.append(data)
                seen |= new
        folder.mkdir(parents=True, exist_ok=True)
        wanted = {_hash(data): data for data in chosen}
        for path in folder.iterdir():
            if path.name not in wanted:
                path.unlink()
        for file, data in wanted.items():
            (folder / file).write_bytes(data)
        self.result.corpus = len(wanted)


def save(name: str, data: bytes) -> str:
    """Keep an input that is a finding; gives its path."""
    targets.FINDINGS.mkdir(exist_ok=True)
    path = targets.FINDINGS / f"{name}-{_hash(data)}"
    path.write_bytes(data)
    return str(path.relative_to(targets.FOLDER.parent))


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:12]


def _place(error: BaseException) -> str:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/fuzz/worker" not in frame.filename]
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"


@contextlib.contextmanager
def _current(path: str) -> Iterator[mmap.mmap]:
    """Map the file that holds the input at work, for whoever finds this process dead."""
    with open(path, "r+b") as file:
        file.truncate(4 + (1 << 20))
        with mmap.mmap(file.fileno(), 0) as mapped:
            yield mapped


def _limit() -> None:
    def slow(*_: object) -> None:
        raise TooSlow(f"more than {SLOW} s of CPU")

    signal.signal(signal.SIGPROF, slow)
    with open("/proc/self/statm", encoding="ascii") as file:
        pages = int(file.read().split()[0])
    size = pages * os.sysconf("SC_PAGE_SIZE") + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main(name: str, seconds: float, most: int | None, seed: int, current: str, *, grow: bool) -> None:
    """Do the work of one process."""
    with _current(current) as mapped:
        worker = Worker(name, seed, mapped)
        _limit()
        result = worker.work(seconds, most)
        result.corpus = len(targets.corpus(name))
        if grow:
            worker.keep()
    print(json.dumps(asdict(result)))
