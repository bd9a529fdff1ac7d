"""An agent: a child of role exec that becomes one Unix user for good, and only then looks at what it is to do.

It talks to the queue over the line it was given, as role local does: jobs in, settlements out, bodies by descriptor.
When the queue lets the line go, it finishes and ends.

Two kinds, so that a user's programs never share a process (nor the group of the mail spool) with what writes mailboxes.

SECURITY: the process cannot be traced or have its memory read by its user's other processes (not dumpable), has no
descriptor but the line, and can never gain rights (no_new_privs), nor can any program it runs.
"""

import asyncio
import contextlib
import os
import pwd
import resource
import signal
import socket
import sys
import traceback
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NoReturn

from penfold.config.sections import Config
from penfold.fs.posix import PosixFileSystem
from penfold.net import loop as event_loop
from penfold.service import privileges, unix
from penfold.service.lines.delivery import DeliveryLine, PassedBodies
from penfold.service.lines.execute import Kind

_LINE = 3  # the descriptor of the line, next to the standard ones
_DESCRIPTORS = 512


def be(config: Config, kind: Kind, user: pwd.struct_passwd, groups: Sequence[int], line: int) -> NoReturn:
    """Become the agent; called in a fresh child of a process without threads. Never returns."""
    code = 70
    try:
        _leave_everything(line)
        become_user(user, groups)
        privileges.seal(memory_secret=True)
        _settle_in(user, mode=int(config.delivery.mode, 8) if kind is Kind.MAILBOX else 0o600)
        code = event_loop.run(_serve(config, kind, user.pw_name))
    except BaseException:  # noqa: BLE001 - the queue sees the line end; people see why
        traceback.print_exc()
        with contextlib.suppress(Exception):
            sys.stderr.flush()
    finally:
        os._exit(code)


def _leave_everything(line: int) -> None:
    """Keep nothing of the parent's but the line and the standard descriptors."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    if line != _LINE:
        os.dup2(line, _LINE, inheritable=False)
    os.closerange(_LINE + 1, os.sysconf("SC_OPEN_MAX"))


def become_user(user: pwd.struct_passwd, groups: Sequence[int]) -> None:
    """Take a user's groups, gid and uid, for good. Raises CannotDropError and OSError."""
    if user.pw_uid == 0 or user.pw_gid == 0:
        raise privileges.CannotDropError("an agent never runs as root")
    os.setgroups(groups)
    os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
    os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)
    if os.getresuid() != (user.pw_uid,) * 3 or os.getresgid() != (user.pw_gid,) * 3:
        raise privileges.CannotDropError(f"the kernel did not make us {user.pw_name}")
    with contextlib.suppress(PermissionError):
        os.setuid(0)
        raise privileges.CannotDropError("the rights of root could be had again")


def _settle_in(user: pwd.struct_passwd, mode: int) -> None:
    """Set what a process has of its own; ``mode`` is the widest that files are made with."""
    os.umask(0o077 & ~mode)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_DESCRIPTORS, _DESCRIPTORS))
    try:
        os.chdir(user.pw_dir)
    except OSError:
        os.chdir("/")
    os.environ.clear()
    os.environ.update(HOME=user.pw_dir, USER=user.pw_name, LOGNAME=user.pw_name, LANG="C", PATH="/usr/bin:/bin")


async def _serve(config: Config, kind: Kind, login: str) -> int:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    bodies = PassedBodies()
    batches = ThreadPoolExecutor(config.concurrency.programs if kind is Kind.PROGRAM else 1, "batch")
    appending = ThreadPoolExecutor(1, "append")  # apart: a batch waits for it
    deliver = unix.deliverer(config, kind, bodies, PosixFileSystem(), login, loop, appending)
    line = DeliveryLine(socket.socket(fileno=_LINE), bodies, deliver, batches, on_closed=ended.set)
    await ended.wait()
    await line.close()
    return 0
