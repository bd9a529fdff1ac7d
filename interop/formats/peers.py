"""Real mail programs, run for a test as an unprivileged user in a folder of their own."""

import contextlib
import os
import pty
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests import missing

NOBODY = 65534
_ELSEWHERE = ("/usr/bin/mh", "/usr/lib/mh", "/usr/lib/dovecot", "/usr/libexec/dovecot")


def program(name: str) -> str:
    """Find a peer program; without it the test is skipped, in CI it fails."""
    return missing.program(name, *_ELSEWHERE)


def uid() -> int:
    """The user the peers run as: never root, Dovecot refuses him."""
    return os.geteuid() or NOBODY


@contextlib.contextmanager
def yard() -> Iterator[Path]:
    """A folder that belongs to the peers' user, with a home in it."""
    path = Path(tempfile.mkdtemp(prefix="penfold-mail-"))
    try:
        (path / "home" / "Mail").mkdir(parents=True)
        (path / "home" / ".mh_profile").write_text(f"Path: {path}/home/Mail\nUnseen-Sequence: unseen\n")
        give_away(path)
        yield path
    finally:
        shutil.rmtree(path)


def give_away(path: Path) -> None:
    """Let all below belong to the peers' user."""
    if os.geteuid() == 0:
        for each in (path, *path.rglob("*")):
            os.chown(each, NOBODY, NOBODY, follow_symlinks=False)


def environment(place: Path) -> dict[str, str]:
    return {
        "HOME": str(place / "home"),
        "USER": "nobody",
        "LOGNAME": "nobody",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "TERM": "vt100",
        "TZ": "UTC",
        "MAILDIR": str(place),
    }


def run(place: Path, argv: Sequence[str], data: bytes = b"", *, check: bool = True) -> bytes:
    """Run one to its end as the peers' user; its output."""
    as_user = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
    done = subprocess.run(
        argv, input=data, capture_output=True, env=environment(place), cwd=place, timeout=60, check=False, **as_user
    )
    if check and done.returncode != 0:
        raise AssertionError(f"{argv} ended with {done.returncode}: {done.stderr!r}")
    return done.stdout


def on_terminal(place: Path, argv: Sequence[str], seconds: float = 30.0) -> bytes:
    """Run a full-screen program to its end; what it painted."""
    pid, terminal = pty.fork()
    if pid == 0:
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            os.execve(argv[0], argv, environment(place))
        finally:
            os._exit(127)
    painted = bytearray()
    until = time.monotonic() + seconds
    try:
        while time.monotonic() < until:
            if select.select([terminal], [], [], 0.1)[0]:
                painted += os.read(terminal, 65536)
    except OSError:
        pass  # the terminal's other end is closed: the program has ended
    else:
        os.kill(pid, 9)
    finally:
        os.close(terminal)
        os.waitpid(pid, 0)
    return bytes(painted)


def dovecot(place: Path, location: str) -> list[str]:
    """Write a private configuration; the arguments that select it and a mail location."""
    config = place / "dovecot.conf"
    config.write_text(
        f"log_path=/dev/stderr\nbase_dir={place}/run\nstate_dir={place}/run\nssl=no\n"
        f"first_valid_uid=1\nfirst_valid_gid=1\nmail_location={location}\n"
        "mbox_write_locks=dotlock fcntl\nmail_fsync=never\nnamespace inbox {\n  inbox=yes\n}\n"
    )
    config.chmod(0o644)
    return ["-c", str(config)]
