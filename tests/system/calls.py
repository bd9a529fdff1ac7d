"""Kills a role at a chosen system call: strace counts the calls and sends SIGKILL in the place of the Nth.

The call itself is not made, so what is on disk is what the calls before it left there: every row of the queue's table
of crash points (docs/internals/QUEUE.md) has calls that show it. While a role is killed a client sends numbered
messages and remembers which were acknowledged; afterwards all mail is accounted for, and repetitions by the row that
caused them.
"""

import contextlib
import os
import random
import re
import shutil
import signal
import smtplib
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from tests.system.host import DOMAIN, Host, Settings, free_port, wait_until
from tests.system.torture import LARGE, Delivered, numbered

from penfold.cli.ask import AskError, ask

FAR = "far.test"  # where nobody is at home: its mail waits
_DEATHS = 3  # of one role, then the host begins anew: the supervisor's pauses grow with every death
_FRESH = """
import sys
from penfold.queue.spool.chores import Chores
from penfold.queue.spool.custodian import Custodian
from penfold.cli.main import main
after = Chores.after
Chores.after = lambda self, name, seconds: after(self, name, {"clear": 0.4, "carry": 0.6}.get(name, seconds))
Custodian.carry.__kwdefaults__["age"] = 0.0
sys.argv = ["penfold", *sys.argv[4:]]
raise SystemExit(main())
"""  # nothing but shorter waits for what is done when there is time


@dataclass(frozen=True)
class Point:
    """A moment to kill at. ``rows`` of the table; ``at`` narrows the calls to those on one kind of file."""

    name: str
    rows: str
    role: str
    call: str
    at: str = ""
    says: str = ""  # what the call that was not made must show
    action: str = "send"
    large: bool = False
    whens: tuple[int, ...] = (1,)


POINTS = (
    # -- receive: a body and its record
    Point("body not begun", "2, 15", "receive", "pwritev2", "bodies", large=True),
    Point("amid the body", "2, 15", "receive", "pwritev2", "bodies", large=True, whens=(2,)),
    Point("body not synced", "2, 15", "receive", "fdatasync", "bodies", large=True),
    Point("body whole, no record", "3, 15", "receive", "pwritev2", "segments", large=True),
    Point("record not written", "4, 15", "receive", "pwritev2", "segments", whens=(1, 3)),
    Point("record not synced", "4, 15", "receive", "fdatasync", "segments", whens=(1, 2)),
    Point("group not synced", "4, 15", "receive", "fdatasync", "segments", action="crowd", whens=(2, 3)),
    Point("synced, not published", "5, 15", "receive", "sendto", says="published"),
    Point("published, not answered", "5, 6, 15", "receive", "write", "client", says="Queued as", whens=(4,)),
    Point("answered", "6, 15", "receive", "write", "client", says="250 2.1.0", whens=(5, 9)),
    # -- queue: from publication to the end
    Point("answered, custody has not heard", "6, 16", "queue", "recvmsg"),
    Point("claimed, not handed over", "7, 16", "queue", "sendmsg", says="opened", large=True),
    Point("handed over in part", "7, 16", "queue", "sendto", says="deliver"),
    Point("delivered, custody has not heard", "7, 16", "queue", "recvmsg", whens=(2, 3)),
    Point("settled, not committed", "8, 16", "queue", "pwrite64", "index log"),
    Point("amid a commit", "8, 16", "queue", "pwrite64", "index log", whens=(2, 4)),
    Point("committed, not synced", "8, 16", "queue", "fdatasync", "index log"),
    Point("amid a checkpoint", "8, 10, 16", "queue", "pwrite64", "index", large=True, whens=(1, 2)),
    Point("checkpoint not cut", "10, 16", "queue", "ftruncate", "index", large=True),
    Point("checkpoint not synced", "10, 16", "queue", "fdatasync", "index", large=True),
    Point("body not unlinked", "10, 11, 16", "queue", "unlink", says="/body/", large=True),
    Point("order not synced", "9, 16", "queue", "fdatasync", "index log", action="order"),
    # -- queue: files made for a new receiver, and the segments of a dead one
    Point("segment made, without a head", "1, 15, 16", "queue", "pwritev2", action="receive"),
    Point("segment's head not synced", "1, 15, 16", "queue", "fdatasync", says="/intake/", action="receive"),
    Point("segment's name not synced", "1, 15, 16", "queue", "fsync", "intake", action="receive", whens=(1, 2)),
    Point("segment not handed out", "1, 15, 16", "queue", "sendmsg", says="segment", action="receive"),
    Point("segment not unlinked", "10, 11, 16", "queue", "unlink", "segments", action="receive"),
    Point("segment's end not synced", "11, 16", "queue", "fsync", "intake", action="receive", whens=(3,)),
    Point("carried, rows not moved", "12, 16", "queue", "fsync", "carry", action="carry"),
    Point("rows moved, old segment there", "13, 16", "queue", "unlink", "old segment", action="carry"),
    # -- queue: again, while it recovers
    Point("recovering", "14", "queue", "fdatasync", action="recover", whens=(1, 2, 3)),
    Point("recovering: names", "14", "queue", "fsync", action="recover"),
    Point("recovering: index", "14", "queue", "pwrite64", action="recover", whens=(1, 4)),
    # -- local: a delivery
    Point("no file in tmp yet", "7", "local", "openat", says="/tmp/"),
    Point("file without content", "7", "local", "pwritev2", says="/tmp/"),
    Point("file half written", "7", "local", "pwritev2", says="/tmp/", large=True, whens=(3,)),
    Point("file not synced", "7", "local", "fdatasync", says="/tmp/", whens=(1, 2)),
    Point("not renamed", "7", "local", "rename", whens=(1, 2)),
    Point("renamed, name not synced", "7, 8", "local", "fsync", says="/new"),
    Point("delivered, not settled", "7, 8", "local", "sendto", says="settled"),
)
SHOTS = [(point, when) for point in POINTS for when in point.whens]


class Trap:
    """strace on a process, or on the children it will have; springs at the ``when``th of the calls."""

    def __init__(self, pid: int, call: str, when: int, paths: list[str], out: Path) -> None:
        self._out = out
        self._call = call
        out.unlink(missing_ok=True)
        argv = ["strace", "-f", "-y", "-s", "200", "-o", str(out), "-p", str(pid), "-e", f"trace={call}"]
        for path in paths:
            argv += ["-P", path]
        argv += ["-e", f"inject={call}:signal=KILL:when={when}"]
        self._process = subprocess.Popen(argv, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        assert self._process.stderr is not None
        self.said = self._process.stderr.readline().decode()
        while self.said.startswith("strace: Requested path"):
            self.said = self._process.stderr.readline().decode()

    @property
    def permitted(self) -> bool:
        return " attached" in self.said

    @property
    def sprung(self) -> bool:
        """Whether something was killed: the word of the log is last, when the call is already there."""
        return "+++ killed by SIGKILL +++" in self._text() or self._process.poll() is not None

    def _text(self) -> str:
        return self._out.read_text(errors="replace") if self._out.exists() else ""

    def springs(self, seconds: float) -> bool:
        """Whether something is killed in so many seconds."""
        with contextlib.suppress(AssertionError):
            wait_until(lambda: self.sprung, seconds=seconds)
        return self.sprung

    def last(self) -> str:
        """The call that was not made."""
        made = [line for line in self._text().splitlines() if f" {self._call}(" in line]
        return made[-1] if made else ""

    def remove(self) -> None:
        """Let go of what is watched."""
        # Told to end while its process is dying, strace may wait for ever.
        for number in (0, signal.SIGINT, signal.SIGKILL):
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.send_signal(number)
                self._process.wait(0.5)
                break
        assert self._process.stderr is not None
        self._process.stderr.close()


def permitted() -> str:
    """Why no process can be killed this way; empty when it can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    with subprocess.Popen(["sleep", "30"]) as sleeper:
        argv = ["timeout", "-s", "INT", "0.5", "strace", "-p", str(sleeper.pid)]
        said = subprocess.run(argv, capture_output=True, text=True, check=False).stderr
        sleeper.kill()
    return "" if " attached" in said else f"ptrace is not permitted: {said.strip()}"


@dataclass
class Shot:
    """What one kill came to."""

    point: Point
    when: int
    call: str
    repeated: list[tuple[str, str]] = field(default_factory=list)


class Range:
    """A host, a client, and the account of both."""

    def __init__(self, seed: int = 1) -> None:
        self._chance = random.Random(seed)
        self.tried: dict[str, tuple[str, ...]] = {}
        self.acknowledged: dict[str, tuple[str, ...]] = {}
        self.refused: Counter[str] = Counter()
        self.delivered = Delivered()
        self.shots: list[Shot] = []
        self._read: set[str] = set()
        self._deaths: Counter[str] = Counter()
        self._line: smtplib.SMTP | None = None
        self._lock = threading.Lock()
        self.host = Host(
            Settings(
                options={
                    "roles": {"receive": 1},
                    "relay": {"networks": ["127.0.0.0/8"]},
                    "routing": {"transports": "{home}/transports"},
                    "queue": {"retry": ["1s"], "jitter": 0, "dead_host": "1s"},
                },
                files={"transports": f"{FAR} smtp:[127.0.0.1]:{free_port()}\n"},
                wrapper=(sys.executable, "-c", _FRESH),
            )
        )

    @property
    def spool(self) -> str:
        return f"{self.host.data}/spool"

    # -- the client

    def send(self, *, large: bool = False, users: tuple[str, ...] = (), domain: str = DOMAIN) -> bool:
        """Send one numbered message on a connection that is kept; tells whether it was acknowledged."""
        try:
            if self._line is None:
                self._line = self.host.smtp(20)
                self._line.ehlo()
            return self._send_on(self._line, large=large, users=users, domain=domain)
        except (OSError, smtplib.SMTPException) as error:
            self._note(error)
            self.hang_up()
            return False

    def hang_up(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None

    def _send_on(self, line: smtplib.SMTP, *, large: bool, users: tuple[str, ...], domain: str) -> bool:
        with self._lock:
            number = f"n{len(self.tried)}"
            users = users or self._chance.choice((("alice",), ("bob",), ("alice", "bob")))
            octets = numbered(number, LARGE if large else self._chance.randrange(20, 3000), self._chance)
            # An edit may bring it to alice: what waits for others is accounted for when it has come.
            self.tried[number] = users
        line.sendmail(f"carol@{DOMAIN}", [f"{user}@{domain}" for user in users], octets)
        self.acknowledged[number] = users
        return True

    def _note(self, error: Exception) -> None:
        code = getattr(error, "smtp_code", 0)
        self.refused[f"{code} {error.smtp_error.decode()}" if code else type(error).__name__] += 1

    def _crowd(self, trap: Trap) -> None:
        """Several clients at the same moment, each with a connection of its own."""

        def run() -> None:
            with contextlib.suppress(OSError, smtplib.SMTPException), self.host.smtp(20) as line:
                for _ in range(6):
                    if not trap.sprung:
                        self._send_on(line, large=False, users=(), domain=DOMAIN)

        crew = [threading.Thread(target=run) for _ in range(6)]
        for each in crew:
            each.start()
        for each in crew:
            each.join()

    # -- a kill

    def shoot(self, point: Point, when: int) -> Shot:
        """Kill at a point, see the role come back, and account for the mail.

        A call that shows something else than it should (a batch of log lines went first) is a kill too: then again.
        """
        for _ in range(5):
            shot = self._shoot(point, when)
            self.shots.append(shot)
            if re.search(point.says, shot.call):
                return shot
        raise AssertionError(f"{point}: never at the right call, at last {shot.call}")

    def _shoot(self, point: Point, when: int) -> Shot:
        self._ready(point)
        victims = self.host.pids(point.role)
        watched = self.host.pid if point.action == "recover" else victims[0]
        trap = Trap(watched, point.call, when, self._paths(point), self.host.home / "calls")
        try:
            assert trap.permitted, trap.said
            self._provoke(point, trap)
            wait_until(lambda: trap.sprung, lambda: f"{point} {when}: not reached\n{self.host.log()[-2000:]}", 15)
        finally:
            trap.remove()
        self._deaths[point.role] += 1 + (point.action == "recover")
        self._recovered(point.role, victims)
        return Shot(point, when, trap.last(), self._settle())

    def _ready(self, point: Point) -> None:
        """Have everything at work, and a connection whose greeting is over."""
        if self._deaths and max(self._deaths.values()) >= _DEATHS:
            self.hang_up()
            self.host.restart()
            self._deaths.clear()
        wait_until(self.send, lambda: f"nothing is accepted: {self.refused}\n{self.host.log()[-3000:]}")
        if point.action == "carry":
            self._sow()
        elif point.action == "order":
            self.waiting()
        self._settle()
        if point.action != "order":
            self.order("hold")  # or its attempts would be among the calls that are counted

    def _sow(self) -> None:
        """Have one message wait among many that are done: its segment is worth carrying."""
        self.waiting()
        for _ in range(8):
            self.send()

    def waiting(self) -> None:
        """Have one more message wait for nobody."""
        before = len(self._far())
        wait_until(lambda: self.send(users=("alice",), domain=FAR), self.host.log)
        wait_until(lambda: len(self._far()) > before, lambda: str(self.queued()))

    def _far(self) -> list[dict[str, object]]:
        """What waits for nobody, and rests."""
        found = [each for each in self.queued() or () if str(each["recipient"]).endswith(FAR)]
        return [each for each in found if each["state"] in {"deferred", "held"}]

    def _paths(self, point: Point) -> list[str]:
        kinds = {
            "": list,
            "bodies": lambda: self._open("receive", "/body/"),
            "segments": lambda: self._open("receive", "/intake/"),
            "old segment": lambda: [path for path in self._open("receive", "/intake/") if os.stat(path).st_size > 100],
            "client": self._clients,
            "index": lambda: [f"{self.spool}/queue.db"],
            "index log": lambda: [f"{self.spool}/queue.db-wal"],
            "intake": lambda: [f"{self.spool}/intake"],
            "carry": lambda: [f"{self.spool}/carry"],
        }
        found = kinds[point.at]()
        assert found or not point.at, point
        return found

    def _open(self, role: str, part: str) -> list[str]:
        """Files of the spool that a role has open."""
        [pid] = self.host.pids(role)
        links = [os.readlink(each) for each in Path(f"/proc/{pid}/fd").iterdir()]
        return sorted(path for path in links if path.startswith(self.spool + part))

    def _clients(self) -> list[str]:
        """The connections of port smtp, as strace names them."""
        port = f":{self.host.ports['smtp']:04X}"
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return [f"socket:[{row[9]}]" for row in rows if row[1].endswith(port) and row[3] == "01"]

    def _provoke(self, point: Point, trap: Trap) -> None:
        if point.action == "crowd":
            self._crowd(trap)
        elif point.action in {"receive", "carry"}:
            self._deaths["receive"] += 1
            os.kill(self.host.pids("receive")[0], signal.SIGKILL)
            self.hang_up()
        elif point.action == "recover":
            for _ in range(3):
                self.send(large=True)
            os.kill(self.host.pids("queue")[0], signal.SIGKILL)
        elif point.action == "order":
            with contextlib.suppress(AskError):
                self.order("hold")
        else:
            for number in range(18):
                # Several at once, then one at a time: what is done with a batch may take more than one to come about.
                if not (trap.sprung if number < 6 else trap.springs(0.3)):
                    # With one recipient each a message has four replies.
                    self.send(large=point.large, users=("alice",) if point.at == "client" else ())

    def _recovered(self, role: str, old: list[int]) -> None:
        wait_until(lambda: set(self.host.pids(role)) - set(old), lambda: f"no {role}\n{self.host.log()[-3000:]}")
        wait_until(self.send, lambda: f"nothing is accepted: {self.refused}\n{self.host.log()[-3000:]}", 60)

    def order_and_kill(self, do: str) -> set[object]:
        """Give an order about what waits, kill the custodian when it has answered; gives the states afterwards."""
        old = self.host.pids("queue")
        self.order(do)
        os.kill(old[0], signal.SIGKILL)
        self._deaths["queue"] += 1
        self._recovered("queue", old)
        self._settle()
        return {each["state"] for each in self._far()}

    # -- the account

    def order(self, do: str, domain: str = FAR) -> None:
        """Give an order about all mail for a domain. Raises AskError."""
        for _ in ask(str(self.host.data), {"do": do, "selection": {"domain": domain}}):
            pass

    def queued(self) -> list[dict[str, object]] | None:
        """What is in the queue; None when it does not answer."""
        with contextlib.suppress(AskError, OSError):
            lines = ask(str(self.host.data), {"do": "list", "selection": {}, "limit": 0})
            return [line for line in lines if "done" not in line]
        return None

    def _quiet(self) -> bool:
        """Whether all that can be delivered is."""
        found = self.queued()
        return found is not None and all(str(each["recipient"]).endswith(FAR) for each in found)

    def _resting(self) -> bool:
        """Whether all that waits is held."""
        found = self.queued()
        return found is not None and all(each["state"] == "held" for each in found)

    def _settle(self) -> list[tuple[str, str]]:
        """Wait until all that can be delivered is; gives what lies there once more than before."""
        before = {key: len(times) for key, times in self.delivered.copies.items()}
        wait_until(
            self._quiet,
            lambda: f"still queued: {self.queued()}\n{self.host.log()[-3000:]}",
            60,
        )
        self.count()
        return [
            key for key, times in self.delivered.copies.items() for _ in range(len(times) - max(before.get(key, 1), 1))
        ]

    def count(self) -> None:
        """Read what is new in the mailboxes."""
        for user in ("alice", "bob"):
            folder = self.host.mail / user / "new"
            for entry in os.scandir(folder) if folder.is_dir() else ():
                if entry.path not in self._read:
                    self._read.add(entry.path)
                    self.delivered.take(user, entry)

    @property
    def lost(self) -> list[tuple[str, str]]:
        """Acknowledged, neither delivered nor waiting."""
        far = Counter(str(each["recipient"]).partition("@")[0] for each in self.queued() or ())
        missing = [
            (number, user)
            for number, users in self.acknowledged.items()
            for user in users
            if (number, user) not in self.delivered.copies
        ]
        return missing if len(missing) > far["alice"] else []

    def bring_home(self) -> None:
        """Send what waits for nobody to alice, so that it can be counted too."""
        self.order("hold")
        wait_until(self._resting, self.host.log)
        for each in self._far():
            request = {"do": "edit", "id": each["id"], "addresses": [f"alice@{DOMAIN}"], "recipient": each["recipient"]}
            for _ in ask(str(self.host.data), request):
                pass
        self.order("release", DOMAIN)
        wait_until(lambda: self.queued() == [], lambda: str(self.queued()), 60)
        self.count()

    def judge(self) -> None:
        """Everything acknowledged is there, whole; nothing else is."""
        assert not self.lost, f"lost: {self.lost}\n{self}"
        assert not self.delivered.garbled, f"garbled: {self.delivered.garbled}\n{self}"
        strangers = [key for key in self.delivered.copies if key[1] not in self.tried.get(key[0], ())]
        assert not strangers, f"never sent: {strangers}\n{self}"

    def __str__(self) -> str:
        again: dict[str, int] = Counter()
        for shot in self.shots:
            again[f"rows {shot.point.rows}: {shot.point.name} ({shot.point.role})"] += len(shot.repeated)
        unasked = sum(number not in self.acknowledged for number, _ in self.delivered.copies)
        return "\n".join(
            [
                f"{len(self.shots)} kills; {len(self.tried)} messages tried, {len(self.acknowledged)} acknowledged; "
                f"{len(self.delivered.copies)} deliveries, {sum(again.values())} repeated; {unasked} not acknowledged "
                f"and delivered; refused: {dict(self.refused)}",
                *(f"  {count} repeated by {name}" for name, count in again.items() if count),
            ]
        )

    def __enter__(self) -> Self:
        self.host.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self.hang_up()
        self.host.__exit__(kind, *rest)
