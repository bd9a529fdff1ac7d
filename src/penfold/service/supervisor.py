"""The supervisor: binds the listeners once, forks the roles, joins them to each other, and starts them again.

It parses nothing that a stranger wrote, and as root not even the configuration: a forked, unprivileged child does. It
runs no event loop, so that it may fork at any time; children begin with everything imported and share those pages.

A reload forks a new *generation*: the roles that exist once (queue, auth, local) finish and are replaced, receiving
processes of the old generation keep their sessions until these end, joined to the new queue meanwhile. So no
connection is lost. A role that dies is started again, with growing pauses when it dies at once.

Durability: nothing here holds mail. A queue that dies leaves its segments; what a receiving process had synced but not
yet told is found in them.
"""

import contextlib
import gc
import os
import selectors
import signal
import socket
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn, Protocol

import msgspec

from penfold.config.sections import Config
from penfold.net.leash import Drain, Failed, Join, Leash, Ready

# Which roles talk to each other. The first of a pair calls, the second answers.
LINES = (
    ("receive", "queue"),
    ("receive", "auth"),
    ("access", "queue"),
    ("access", "auth"),
    ("queue", "local"),
    ("queue", "send"),
    ("queue", "exec"),
    ("queue", "opener"),
)
SINGLE = ("auth", "exec", "opener", "local", "send", "queue")  # in the order they start
PATIENT = ("receive", "access")  # those with clients, whose conversations may outlive a change
DRAIN_SECONDS = 30.0
PATIENCE = 600.0  # seconds that sessions of an old generation may go on
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, signal.SIGUSR2)
_FIRST_PAUSE, _LONGEST_PAUSE, _STABLE = 0.2, 30.0, 10.0
_ONE_WISH = 0.5  # seconds

Listeners = Mapping[str, list[socket.socket]]


class Work(Protocol):
    """What a role does: called in the child, returns its exit code."""

    def __call__(self, config: Config, seat: "Seat", leash: Leash, listeners: Listeners) -> int:
        """Work until told to drain."""


class Notes(Protocol):
    """Hears what the supervisor does (the event log and the log lines)."""

    def started(self, seat: "Seat", pid: int) -> None:
        """A role began."""

    def ended(self, seat: "Seat", pid: int, reason: str, *, expected: bool) -> None:
        """A role ended."""

    def reloaded(self, *, ok: bool, detail: str) -> None:
        """The configuration was read again."""


@dataclass(frozen=True, slots=True)
class Seat:
    """One process there is to be: its role, its number among its kind, its generation."""

    role: str
    number: int
    generation: int


@dataclass(slots=True)
class Child:
    """A process that is."""

    seat: Seat
    pid: int
    leash: Leash
    began: float
    ready: bool = False
    draining: bool = False
    patient: bool = False  # draining, but its conversations may go on
    problem: str = ""


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """A child that outlives an upgrade of the supervisor: its seat, process id, and the descriptor of its leash."""

    role: str
    number: int
    generation: int
    pid: int
    leash: int


@dataclass(slots=True)
class Plan:
    """What is to run: how many of each role."""

    counts: dict[str, int] = field(default_factory=dict)

    def seats(self, generation: int) -> Iterable[Seat]:
        """Give all seats, in the order they start."""
        for role, count in self.counts.items():
            for number in range(count):
                yield Seat(role, number, generation)


class Supervisor:
    """Runs until SIGTERM or SIGINT; SIGHUP reloads; SIGUSR2 replaces the program by a new version of itself."""

    def __init__(
        self,
        config: Config,
        *,
        works: Mapping[str, Work],
        plan: Callable[[Config], Plan],
        load: Callable[[], Config],
        listeners: Listeners,
        notes: Notes,
        ready: Callable[[], None],
        rebind: Callable[[Config, Listeners], Listeners] = lambda _, listeners: listeners,
        died: Callable[[Seat], None] = lambda _: None,
        upgrade: Callable[[Sequence[Kept]], None] | None = None,
        kept: Sequence[Kept] = (),
    ) -> None:
        """``rebind`` gives the listeners of a new configuration (raises OSError when it can't); ``died`` hears of every
        process that ended; ``upgrade`` executes the new version and hands it the children, which come back as ``kept``.
        """
        self._rebind = rebind
        self._died = died
        self._upgrade_to = upgrade
        self._kept = kept
        self._config = config
        self._works = works
        self._plan_of = plan
        self._plan = plan(config)
        self._load = load
        self.listeners = listeners
        self._notes = notes
        self._tell_ready = ready
        self._children: dict[int, Child] = {}
        self._generation = 1
        self._pauses: dict[tuple[str, int], float] = {}
        self._due: dict[Seat, float] = {}
        self._selector = selectors.DefaultSelector()
        self._signals: list[int] = []
        self._stopping = False
        self._asked_to_stop = 0.0
        self._told = False

    # -- the loop

    def run(self) -> int:
        """Supervise; returns the exit code."""
        wake, woken = socket.socketpair()
        for end in (wake, woken):
            end.setblocking(False)
        signal.set_wakeup_fd(woken.fileno(), warn_on_full_buffer=False)
        for number in _SIGNALS:
            signal.signal(number, lambda number, _: self._signals.append(number))
        self._selector.register(wake, selectors.EVENT_READ, None)
        gc.collect()
        gc.freeze()
        old = [self._adopt(kept) for kept in self._kept]
        self._succeed(old)
        while self._children or not self._stopping:
            self._turn(wake)
        signal.set_wakeup_fd(-1)
        return 0

    def _turn(self, wake: socket.socket) -> None:
        timeout = max(0.0, min(self._due.values()) - time.monotonic()) if self._due else None
        for key, _ in self._selector.select(timeout):
            if key.data is None:
                with contextlib.suppress(BlockingIOError):
                    wake.recv(4096)
            else:
                self._hear(key.data)
        while self._signals:
            self._signalled(self._signals.pop(0))
        self._start_due()

    def _signalled(self, number: int) -> None:
        if number == signal.SIGCHLD:
            self._reap()
        elif number == signal.SIGHUP:
            self._reload()
        elif number == signal.SIGUSR2:
            self._upgrade()
        else:
            self._stop()

    # -- children

    def _start(self, seat: Seat) -> None:
        ours, theirs = Leash.pair()
        pid = os.fork()
        if pid == 0:
            self._become(seat, ours, theirs)
        theirs.close()
        child = Child(seat, pid, ours, time.monotonic())
        self._children[pid] = child
        self._selector.register(ours, selectors.EVENT_READ, child)
        self._notes.started(seat, pid)
        for other in list(self._children.values()):
            self._join(child, other)

    def _become(self, seat: Seat, ours: Leash, theirs: Leash) -> NoReturn:
        """Be the child: forget what is the supervisor's, then work."""
        code = 70
        try:
            signal.set_wakeup_fd(-1)
            for number in _SIGNALS:
                signal.signal(number, signal.SIG_DFL)
            # A Ctrl-C at a terminal, or a service manager's SIGTERM, reaches the whole group: the supervisor decides
            # what it means, and says so by the leash.
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2):
                signal.signal(number, signal.SIG_IGN)
            self._selector.close()
            ours.close()
            for child in self._children.values():
                child.leash.close()
            code = self._works[seat.role](self._config, seat, theirs, self.listeners)
        except BaseException as error:  # noqa: BLE001 - whatever it was, the supervisor hears of it
            traceback.print_exc()
            theirs.send(Failed(f"{type(error).__name__}: {error}"))
        finally:
            os._exit(code)

    def _join(self, one: Child, other: Child) -> None:
        if one is other or (other.draining and other.seat.role not in PATIENT):
            return
        pair = (one.seat.role, other.seat.role)
        if pair not in LINES and pair[::-1] not in LINES:
            return
        first, second = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        one.leash.send(Join(other.seat.role, self._place(other), other.seat.generation), first.fileno())
        other.leash.send(Join(one.seat.role, self._place(one), one.seat.generation), second.fileno())
        first.close()
        second.close()

    @staticmethod
    def _place(child: Child) -> int:
        """Tell processes of one role apart, old generations included."""
        return child.seat.generation * 1000 + child.seat.number

    def _hear(self, child: Child) -> None:
        heard = child.leash.receive()
        if heard is None:
            self._selector.unregister(child.leash)
            return
        message, _ = heard
        if isinstance(message, Ready):
            child.ready = True
            self._check_ready()
        elif isinstance(message, Failed):
            child.problem = message.problem

    def _check_ready(self) -> None:
        current = [child for child in self._children.values() if child.seat.generation == self._generation]
        if self._told or not all(child.ready for child in current) or self._due:
            return
        self._told = True
        self._tell_ready()

    def _reap(self) -> None:
        while self._children:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            child = self._children.pop(pid, None)
            if child is not None:
                self._ended(child, status)

    def _ended(self, child: Child, status: int) -> None:
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(child.leash)
        child.leash.close()
        self._died(child.seat)
        code = os.waitstatus_to_exitcode(status)
        reason = child.problem or (f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit {code}")
        self._notes.ended(child.seat, child.pid, reason, expected=child.draining)
        if self._stopping:
            self._stop_next()
        elif not child.draining:
            self._again(child)
        elif child.seat.role in SINGLE and child.seat.number < self._plan.counts.get(child.seat.role, 0):
            self._start(Seat(child.seat.role, child.seat.number, self._generation))

    def _again(self, child: Child) -> None:
        """Start a role that died: at once if it had worked for a while, else after a growing pause."""
        key = (child.seat.role, child.seat.number)
        pause = self._pauses.get(key, 0.0)
        pause = 0.0 if time.monotonic() - child.began > _STABLE else min(max(pause * 2, _FIRST_PAUSE), _LONGEST_PAUSE)
        self._pauses[key] = pause
        self._due[Seat(child.seat.role, child.seat.number, self._generation)] = time.monotonic() + pause

    def _start_due(self) -> None:
        now = time.monotonic()
        for seat in [seat for seat, due in self._due.items() if due <= now]:
            del self._due[seat]
            if not self._stopping:
                self._start(seat)

    # -- changes

    def _reload(self) -> None:
        """Read the configuration again; a bad one changes nothing."""
        try:
            config = self._load()
            self.listeners = self._rebind(config, self.listeners)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it, the old one goes on
            self._notes.reloaded(ok=False, detail=str(error))
            return
        self._config = config
        self._plan = self._plan_of(config)
        self._generation += 1
        self._notes.reloaded(ok=True, detail=f"generation {self._generation}")
        self._succeed(list(self._children.values()))

    def _succeed(self, old: Sequence[Child]) -> None:
        """Start this generation. A role that exists once waits for its predecessor to end; receivers do not: theirs
        may let its sessions go on, but only until the next change, so that there are two generations at most.
        """
        taken = {(child.seat.role, child.seat.number) for child in old if child.seat.role in SINGLE}
        for seat in self._plan.seats(self._generation):
            if (seat.role, seat.number) not in taken:
                self._start(seat)
        for child in old:
            self._drain(child, PATIENCE if child.seat.role in PATIENT else 0.0)

    def _adopt(self, kept: Kept) -> Child:
        """Take a child over from the program that was here before."""
        leash = Leash.adopt(kept.leash)
        child = Child(Seat(kept.role, kept.number, kept.generation), kept.pid, leash, time.monotonic(), ready=True)
        self._children[kept.pid] = child
        self._selector.register(leash, selectors.EVENT_READ, child)
        self._generation = max(self._generation, kept.generation + 1)
        return child

    def _upgrade(self) -> None:
        """Become the new version; children and listeners stay. If it can't be executed, nothing has changed."""
        if self._upgrade_to is None or self._stopping:
            return
        kept = [
            Kept(child.seat.role, child.seat.number, child.seat.generation, child.pid, child.leash.inherit())
            for child in self._children.values()
        ]
        try:
            self._upgrade_to(kept)
        except OSError as error:
            self._notes.reloaded(ok=False, detail=f"the new version cannot be executed: {error}")

    def _drain(self, child: Child, patience: float = 0.0) -> None:
        child.draining, child.patient = True, patience > 0.0
        child.leash.send(Drain(DRAIN_SECONDS, patience))

    def _stop(self) -> None:
        now = time.monotonic()
        if self._stopping:
            # Asked twice: no more patience. One wish may come as two signals (to the process and to its group).
            for child in self._children.values() if now > self._asked_to_stop + _ONE_WISH else ():
                child.draining = True
                os.kill(child.pid, signal.SIGKILL)
            return
        self._stopping = True
        self._asked_to_stop = now
        self._due.clear()
        self._stop_next()

    def _stop_next(self) -> None:
        """End the roles from the outside in: nobody loses the one it depends on before it is done itself."""
        for role in ("receive", "access", "queue", "send", "local", "exec", "opener", "auth"):
            mine = [child for child in self._children.values() if child.seat.role == role]
            for child in mine:
                if not child.draining or child.patient:
                    self._drain(child)
            if mine:
                return
