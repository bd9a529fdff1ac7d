"""Puts the demo together: a place to live, rights given up, the teller, and the same host that ``serve`` runs.

SECURITY: as root nothing of it runs with root's rights: it becomes the owner of the directory it was given, or nobody,
before it writes a file, opens a port or makes a process.
"""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import sys
import tempfile
from typing import NoReturn

from penfold.config.check import load_checked
from penfold.config.sections import Config
from penfold.model import ConfigError
from penfold.net import tls
from penfold.service import early, privileges
from penfold.service.demo import teller
from penfold.service.demo.household import NOWHERE, OFFSETS, Household
from penfold.service.serve import serve

LOWEST, HIGHEST = 1024, 65535


def run(data: str, base: int) -> int:
    """Run the demo until Ctrl-C; ``data`` is where it lives, ``""`` a directory that goes when the demo ends.

    Raises ConfigError for what the user must change.
    """
    _check_ports(base)
    path = tempfile.mkdtemp(prefix="penfold-demo-") if not data else _directory(os.path.abspath(data))
    try:
        _drop_rights(path)
        return _live(Household(path, base))
    except KeyboardInterrupt:
        return 0
    finally:
        if not data:
            shutil.rmtree(path, ignore_errors=True)


def _live(house: Household) -> int:
    new = house.write()
    config, _ = load_checked(house.config)
    pid, pipe = teller.start(house, new=new)
    try:
        return serve(config, _hung_up, lambda: _accepting(pipe))
    except OSError as error:
        raise ConfigError(
            f"the demo cannot open its doors: {error.strerror or error}",
            hint="is another demo running in this directory? a long path is no good either: use a short --data",
        ) from None
    finally:
        os.close(pipe)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)


def _accepting(pipe: int) -> None:
    with contextlib.suppress(BrokenPipeError):
        os.write(pipe, b"r")


def _hung_up() -> Config:
    """End with the terminal: a hang-up means "read the configuration again" to a daemon, but the demo is none."""
    os.kill(os.getpid(), signal.SIGTERM)
    raise ConfigError("the terminal is gone, the demo ends")


def _check_ports(base: int) -> None:
    if base + min(OFFSETS.values()) < LOWEST or base + NOWHERE > HIGHEST:
        raise ConfigError(
            f"no ports from {base} on",
            hint=f"--base-port is from {LOWEST - min(OFFSETS.values())} to {HIGHEST - NOWHERE}; 2500 is usual",
        )
    for offset in OFFSETS.values():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", base + offset))
            except OSError as error:
                free = base + 1000 if base + 1000 + NOWHERE <= HIGHEST else 2500
                raise ConfigError(
                    f"port {base + offset} cannot be had: {error.strerror}",
                    hint=f"take other ports: penfold demo --base-port {free}",
                ) from None


def _directory(path: str) -> str:
    """Make the directory to live in; one that is there must be a demo's, or empty."""
    try:
        os.makedirs(path, mode=0o755, exist_ok=True)
        inside = os.listdir(path)
    except OSError as error:
        raise ConfigError(f"cannot be used: {error.strerror}", file=path, hint="name another --data") from None
    if inside and "secrets.toml" not in inside:
        raise ConfigError("has files that are not a demo's", file=path, hint="name a new or an empty --data directory")
    return path


def _drop_rights(path: str) -> None:
    """Stop being root: be the owner of the directory, or nobody, who is then given it."""
    if os.geteuid() != 0:
        return
    _load_what_nobody_may_read()
    facts = os.stat(path)
    uid, gid = facts.st_uid, facts.st_gid
    if uid == 0:
        nobody = pwd.getpwnam("nobody")
        uid, gid = nobody.pw_uid, nobody.pw_gid
        if os.listdir(path):
            raise ConfigError("belongs to root", file=path, hint=f"the demo is not run as root: chown -R {uid} {path}")
        os.chown(path, uid, gid)
    privileges.become_ids(uid, gid)
    os.environ["HOME"] = path
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        _unreachable(path)


def _unreachable(path: str) -> NoReturn:
    hint = "name a --data directory that other users can reach, as one in /tmp"
    raise ConfigError(f"user {os.geteuid()} cannot get there, and the demo does not run as root", file=path, hint=hint)


def _load_what_nobody_may_read() -> None:
    """Import now what is imported late elsewhere: the interpreter may lie in a home that only root can read."""
    early.import_late_things()
    tls.self_signed(["localhost"])
    sys.stdout.flush()
