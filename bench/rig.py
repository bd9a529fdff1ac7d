"""The bench's own ground: a scratch directory on the disk that is measured, ports, and the load client."""

import array
import fcntl
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PEERS = Path(os.environ.get("PENFOLD_PEERS", ROOT / "build" / "peers")).resolve()
DOMAIN = "test.example"
MAILBOXES = 100
SESSIONS = 20


class CannotMeasureError(Exception):
    """Something a scenario needs is missing; the message says what to do."""


@contextmanager
def scratch() -> Iterator[Path]:
    """Give a directory that other users may pass through, and remove it at the end."""
    above = Path(tempfile.mkdtemp(prefix="penfold-bench-"))
    above.chmod(0o755)
    _spread(above)
    place = above / above.name  # ext4 hashes the name to choose the part
    place.mkdir(mode=0o755)
    try:
        yield place
    finally:
        shutil.rmtree(above, ignore_errors=True)


_GET_FLAGS, _SET_FLAGS, _TOP = 0x80086601, 0x40086602, 0x00020000


def _spread(directory: Path) -> None:
    """Have ext4 put what is made in the directory into a fresh part of the disk (``chattr +T``).

    QUIRK: ext4 does not use an inode again for minutes after it was freed, and walks over all such whenever a file is
    made. After a sitting, or a test run, that removed thousands of files, each new file beside them would cost half a
    millisecond of CPU.
    """
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        flags = array.array("l", [0])
        fcntl.ioctl(fd, _GET_FLAGS, flags)
        flags[0] |= _TOP
        fcntl.ioctl(fd, _SET_FLAGS, flags)
    except OSError:
        return
    finally:
        os.close(fd)


def free_port() -> int:
    """Find a port on loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int, seconds: float = 15.0) -> None:
    """Wait until somebody accepts; raises CannotMeasureError."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise CannotMeasureError(f"nobody listens on port {port}")


def need_root() -> None:
    """Raise CannotMeasureError unless we are root: servers that change users need it."""
    if os.geteuid() != 0:
        raise CannotMeasureError("this needs root: both servers change users; bench.idle and bench.memory do not")


def count_mail(root: Path, boxes: int = MAILBOXES) -> int:
    """Count the messages in ``root/u0/…/new`` and so on (Maildirs, nobody reads them)."""
    return sum(_entries(root / f"u{number}" / "new") for number in range(boxes))


def _entries(place: Path) -> int:
    try:
        return len(os.listdir(place))
    except FileNotFoundError:
        return 0


@dataclass(frozen=True, slots=True)
class Work:
    """What is sent: so many messages of so many octets, so many to a session."""

    name: str
    messages: int
    octets: int
    per_session: int


@dataclass(frozen=True, slots=True)
class Sent:
    """What the load client saw."""

    sent: int
    failed: int
    seconds: float
    client_cpu: float
    p50_ms: float
    p99_ms: float


class LoadClient:
    """The load client, compiled once a sitting."""

    def __init__(self, place: Path, domain: str = DOMAIN) -> None:
        self._domain = domain
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            raise CannotMeasureError("the load client needs a C compiler: apt-get install gcc")
        self._program = place / "smtpload"
        source = Path(__file__).parent / "load" / "smtpload.c"
        subprocess.run([compiler, "-O2", "-o", self._program, source], check=True)

    def run(self, port: int, work: Work) -> Sent:
        """Send; raises CannotMeasureError when the server refuses."""
        words = (port, work.messages, SESSIONS, work.per_session, work.octets, MAILBOXES, self._domain)
        done = subprocess.run(
            [self._program, "127.0.0.1", *map(str, words)], capture_output=True, text=True, timeout=300, check=False
        )
        if done.returncode or not done.stdout:
            raise CannotMeasureError(f"the load client gave up: {done.stderr[:500]}")
        said = json.loads(done.stdout)
        return Sent(*(said[key] for key in ("sent", "failed", "seconds", "client_cpu", "p50_ms", "p99_ms")))
