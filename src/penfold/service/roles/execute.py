"""Role exec: forks agents that become Unix users. The only role that keeps root's rights, so it does next to nothing.

A request names a kind and a user and brings a descriptor; the user is looked up and judged by ``service.permits``, a
child is forked, becomes the user, and talks to whoever holds the other end of the descriptor. Not one octet of mail, of
a ``.forward`` or of an alias is read here.

No event loop and no threads: it forks. An agent that lives longer than any batch may take is killed, and with it the
programs it started (they come to us, its nearest ancestor that asked for orphans).

SECURITY: of root's capabilities only setting uid and gid and sending signals are kept.
Trust: the queue, but only to ask for users who may have agents.
"""

import array
import contextlib
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable

from penfold.config.sections import Config
from penfold.net.leash import Drain, Failed, Join, Leash, Ready
from penfold.service import agents, capabilities, permits, unix
from penfold.service.lines.agents import MOST_AGENTS, RETIRE
from penfold.service.lines.execute import REQUEST_SIZE, Answer, Request, Said
from penfold.service.roles.base import Place

_SPACE = socket.CMSG_SPACE(4 * array.array("i").itemsize)
_SPARE = 8  # agents beyond the queue's own bound: those that are just ending


class Execute:
    """The role: requests in, agents out."""

    def __init__(self, config: Config, leash: Leash) -> None:
        self._config = config
        self._leash = leash
        self._permits = permits.permits(config)
        self._spool_group = permits.spool_group(config)
        self._life = RETIRE + unix.patience(config) + 30.0
        self._agents: dict[int, float] = {}  # pid, and when it must have ended (monotonic seconds)
        self._lines: list[RequestLine] = []
        self._until: float | None = None
        self._selector = selectors.DefaultSelector()

    def run(self) -> int:
        """Work until told to drain and no agent is left, or the time for that is over; returns the exit code."""
        wake, woken = socket.socketpair()
        for end in (wake, woken):
            end.setblocking(False)
        signal.set_wakeup_fd(woken.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._watch(wake, lambda: _empty(wake))
        self._watch(self._leash, self._told)
        self._leash.send(Ready())
        while not self._is_over():
            for key, _ in self._selector.select(self._pause()):
                key.data()
            self._reap()
            self._kill_stuck()
        for pid in self._agents:
            self._kill(pid)
        return 0

    def _watch(self, what: "socket.socket | Leash", act: Callable[[], None]) -> None:
        self._selector.register(what, selectors.EVENT_READ, act)

    def _is_over(self) -> bool:
        if self._until is None:
            return False
        return time.monotonic() >= self._until or not (self._agents or self._lines)

    def _pause(self) -> float | None:
        times = [*self._agents.values(), *([self._until] if self._until is not None else [])]
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _told(self) -> None:
        heard = self._leash.receive()
        if heard is None:
            self._selector.unregister(self._leash)
            self._drain(10.0)
            return
        message, descriptors = heard
        if isinstance(message, Join):
            line = RequestLine(socket.socket(fileno=descriptors[0]))
            self._lines.append(line)
            self._watch(line.sock, lambda: self._asked(line))
        elif isinstance(message, Drain):
            self._drain(message.seconds)

    def _drain(self, seconds: float) -> None:
        if self._until is None:
            self._until = time.monotonic() + seconds

    def _asked(self, line: "RequestLine") -> None:
        try:
            request = line.receive()
        except (OSError, ValueError) as error:
            if not isinstance(error, ConnectionError):
                self._say(f"the queue sent what is no request: {error}")
            self._selector.unregister(line.sock)
            self._lines.remove(line)
            line.sock.close()
            return
        if request is not None:
            asked, descriptor = request
            try:
                said = self._start(asked, descriptor)
            finally:
                os.close(descriptor)
            line.answer(Answer(said, asked.serial))

    def _start(self, request: Request, descriptor: int) -> Said:
        user = permits.find_user(request.login)
        problem = "there is no such user" if user is None else self._permits.refusal(request.kind, user)
        if user is None or problem:
            self._say(f"no agent for {request.login!r}: {problem}")
            return Said.NOT_ALLOWED
        if len(self._agents) >= MOST_AGENTS + _SPARE:
            return Said.BUSY
        groups = permits.groups(request.kind, user, self._spool_group)
        try:
            pid = os.fork()
        except OSError as error:
            self._say(f"no agent for {request.login}: {error}")
            return Said.CANNOT
        if pid == 0:
            agents.be(self._config, request.kind, user, groups, descriptor)
        self._agents[pid] = time.monotonic() + self._life
        return Said.STARTED

    def _reap(self) -> None:
        """Bury agents, and the orphans they left."""
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                pid, status = ended
                if self._agents.pop(pid, None) is not None and status:
                    self._say(f"agent (pid {pid}) ended with {os.waitstatus_to_exitcode(status)}")

    def _kill_stuck(self) -> None:
        now = time.monotonic()
        for pid in [pid for pid, end in self._agents.items() if end <= now]:
            self._say(f"agent (pid {pid}) is stuck and is killed")
            self._kill(pid)
            self._agents[pid] = now + 5.0

    def _kill(self, pid: int) -> None:
        """Kill an agent and its programs; each of these has a process group of its own."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)  # it starts no more
        for program in _children(pid):
            _kill_group(program)
        _kill_group(pid)

    def _say(self, text: str) -> None:
        sys.stderr.write(f"penfold[{os.getpid()}]: {text}\n")
        sys.stderr.flush()


class RequestLine:
    """The line from a queue: requests of fixed size, a descriptor with each."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.sock = sock
        self._octets = b""
        self._descriptors: list[int] = []

    def receive(self) -> tuple[Request, int] | None:
        """Read on; gives a request when it is whole. Raises ConnectionError at the end, ValueError for nonsense."""
        wanted = REQUEST_SIZE - len(self._octets)
        try:
            octets, ancillary, _, _ = self.sock.recvmsg(wanted, _SPACE, socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            return None
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                found = array.array("i")
                found.frombytes(data[: len(data) - len(data) % found.itemsize])
                self._descriptors += found
        self._octets += octets
        if octets and len(self._octets) < REQUEST_SIZE:
            return None
        whole, self._octets = self._octets, b""
        descriptors, self._descriptors = self._descriptors, []
        try:
            if not octets:
                raise ConnectionError("the queue is gone")
            if len(descriptors) != 1:
                raise ValueError("not one descriptor")
            return Request.unpack(whole), descriptors.pop()
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def answer(self, answer: Answer) -> None:
        """Answer; a queue that does not listen hears nothing."""
        with contextlib.suppress(OSError):
            self.sock.send(answer.pack())


def work(place: Place, leash: Leash) -> int:
    """Be the role; returns the exit code."""
    try:
        capabilities.adopt_orphans()
        capabilities.keep(capabilities.SETUID, capabilities.SETGID, capabilities.KILL)
        return Execute(place.config, leash).run()
    except OSError as error:
        leash.send(Failed(str(error)))
        return 71


def _empty(wake: socket.socket) -> None:
    with contextlib.suppress(BlockingIOError):
        wake.recv(4096)


def _children(pid: int) -> list[int]:
    """List the children of a process."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
                found += map(int, file.read().split())
    return found


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
