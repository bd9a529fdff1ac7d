"""Runs a delivery program as an unprivileged user, with a time limit, and hears what it says.

The program gets a clean environment, the message on its standard input, one pipe for both outputs, no other
descriptor, a session of its own, resource limits; when its time is over, its whole process group is killed. A process
it leaves behind that holds the output open is not waited for.

SECURITY: never uid 0. As root we become the user between fork and exec (groups, gid, uid, in this order; done in C by
the subprocess module, no Python runs in the child). Not being root, we only run programs as who we are.

Trust: the program is the user's; its output is cut to size.
"""

import asyncio
import contextlib
import os
import pwd
import resource
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from typing import Protocol

import msgspec

from penfold.model import Reply, Transient

_PIECE = 65536


class Command(msgspec.Struct, frozen=True):
    """What to run: ``user`` is the name of a Unix user (``""``: ourselves), ``seconds`` its time, ``output`` the octets
    kept of its words.
    """

    arguments: Sequence[str]
    environment: Mapping[str, str]
    user: str
    seconds: float = 1000.0
    output: int = 4096


class Ended(msgspec.Struct, frozen=True):
    """How it ended: exit status (negative: a signal), the beginning of its output, whether its time was over."""

    status: int
    output: bytes
    late: bool = False


class Spawner(Protocol):
    """Runs programs: in this process, or through the role that may become users."""

    async def run(self, command: Command, message: Iterable[bytes]) -> Ended:
        """Run to the end. Raises Transient when it cannot be started; cancelling kills the program."""


class Limits(msgspec.Struct, frozen=True):
    """Resource limits of a program: processor seconds, octets of address space (0: none), of a file, descriptors."""

    cpu: int = 600
    memory: int = 0
    file: int = 1 << 34
    descriptors: int = 256

    def apply(self, pid: int) -> None:
        """Set them for a process that has just been started and still waits for its message."""
        for kind, value in (
            (resource.RLIMIT_CPU, self.cpu),
            (resource.RLIMIT_AS, self.memory),
            (resource.RLIMIT_FSIZE, self.file),
            (resource.RLIMIT_NOFILE, self.descriptors),
            (resource.RLIMIT_CORE, 0),
        ):
            if value or kind == resource.RLIMIT_CORE:
                with contextlib.suppress(OSError, ValueError):
                    _, hard = resource.prlimit(pid, kind)
                    most = value if hard == resource.RLIM_INFINITY else min(value, hard)
                    resource.prlimit(pid, kind, (most, most))


class LocalSpawner:
    """Runs programs as children of this process, a thread of ``executor`` each while they run."""

    def __init__(
        self,
        executor: Executor | None = None,
        *,
        limits: Limits | None = None,
        find_user: Callable[[str], pwd.struct_passwd] = pwd.getpwnam,
        uid: Callable[[], int] = os.geteuid,
    ) -> None:
        self._executor = executor
        self._limits = limits or Limits()
        self._find_user = find_user
        self._uid = uid

    async def run(self, command: Command, message: Iterable[bytes]) -> Ended:
        """Run to the end."""
        child = self._start(command)
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._executor, child.attend, message)
        finally:
            child.kill()

    def _start(self, command: Command) -> "_Child":
        user = self._user(command.user)
        root = self._uid() == 0
        environment = {"HOME": user.pw_dir, "USER": user.pw_name, "LOGNAME": user.pw_name, **command.environment}
        try:
            process = subprocess.Popen(
                list(command.arguments),
                env=environment,
                cwd="/",
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                close_fds=True,
                start_new_session=True,
                umask=0o077,
                user=user.pw_uid if root else None,
                group=user.pw_gid if root else None,
                extra_groups=os.getgrouplist(user.pw_name, user.pw_gid) if root else None,
            )
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            reply = Reply.of(451, "4.3.5", f"The program {command.arguments[0]} cannot be started: {_reason(error)}")
            raise Transient(reply) from error
        self._limits.apply(process.pid)
        return _Child(process, command)

    def _user(self, name: str) -> pwd.struct_passwd:
        try:
            user = self._find_user(name) if name else pwd.getpwuid(self._uid())
        except KeyError:
            raise _cannot(f"there is no user {name}") from None
        if user.pw_uid == 0:
            raise _cannot("programs never run as root; name an unprivileged user for them")
        if self._uid() not in {0, user.pw_uid}:
            raise _cannot(f"only root could become the user {name}")
        return user


def _cannot(why: str) -> Transient:
    return Transient(Reply.of(451, "4.3.5", f"The program cannot be run: {why}"))


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


class _Child:
    """A running program, attended to by one thread; ``kill`` may come from another."""

    def __init__(self, process: "subprocess.Popen[bytes]", command: Command) -> None:
        self._process = process
        self._command = command
        self._lock = threading.Lock()
        self._reaped = False
        self._said = bytearray()

    def kill(self) -> None:
        """Kill the process group, unless the program was seen to end."""
        with self._lock:
            if not self._reaped:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._process.pid, signal.SIGKILL)

    def attend(self, message: Iterable[bytes]) -> Ended:
        """Feed it, listen to it, wait for its end."""
        deadline = time.monotonic() + self._command.seconds
        try:
            late = not self._converse(message, deadline)
        except BaseException:
            self.kill()
            raise
        finally:
            self._reap()
        return Ended(self._process.returncode, bytes(self._said), late)

    def _reap(self) -> None:
        os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)  # its number stays taken until we hold the lock
        with self._lock:
            self._process.wait()
            self._reaped = True
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _converse(self, message: Iterable[bytes], deadline: float) -> bool:
        """Exchange octets until the program ends; False (and killed) when its time is over."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        feed = _Feed(stdin.fileno(), message)
        os.set_blocking(stdin.fileno(), False)
        os.set_blocking(stdout.fileno(), False)
        end = os.pidfd_open(self._process.pid)
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(stdin, selectors.EVENT_WRITE)
                selector.register(stdout, selectors.EVENT_READ)
                selector.register(end, selectors.EVENT_READ)
                while (left := deadline - time.monotonic()) > 0:
                    ready = {key.fileobj for key, _ in selector.select(left)}
                    if stdin in ready and feed.done():
                        selector.unregister(stdin)
                        stdin.close()
                    if stdout in ready and not self._listen(stdout.fileno()):
                        selector.unregister(stdout)
                    if end in ready:
                        self._listen(stdout.fileno())
                        return True
            self.kill()
            return False
        finally:
            os.close(end)

    def _listen(self, descriptor: int) -> bool:
        """Take what there is to read now; False at the end of it."""
        try:
            piece = os.read(descriptor, _PIECE)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self._said += piece[: max(0, self._command.output - len(self._said))]
        return bool(piece)


class _Feed:
    """The message on its way into a pipe that takes a little at a time."""

    def __init__(self, descriptor: int, message: Iterable[bytes]) -> None:
        self._descriptor = descriptor
        self._pieces: Iterator[bytes] = iter(message)
        self._rest: memoryview = memoryview(b"")

    def done(self) -> bool:
        """Write what fits; True when all is written or the program does not want more."""
        try:
            while True:
                if not self._rest:
                    piece = next(self._pieces, None)
                    if piece is None:
                        return True
                    self._rest = memoryview(piece)
                self._rest = self._rest[os.write(self._descriptor, self._rest) :]
        except BlockingIOError:
            return False
        except BrokenPipeError:
            return True
