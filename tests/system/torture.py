"""Kills a mail host's processes under load, and accounts for every message afterwards.

Clients send numbered messages, each once, and remember which were answered 250. Meanwhile processes are killed with
SIGKILL at random moments: one role, the supervisor, or all at once. In the end every acknowledged message must lie in
the mailboxes of all its recipients, unharmed; one that lies there twice must have a kill between its two deliveries
that explains it (at least once, never less).
"""

import contextlib
import hashlib
import os
import random
import re
import signal
import smtplib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.system.host import DOMAIN, Host, Settings, unverified, wait_until

VICTIMS = ("receive", "receive", "queue", "queue", "local", "local", "auth", "supervisor", "all")
_DELIVERS = {"queue", "local", "supervisor", "all"}  # whose death between a delivery and its record repeats it
LARGE = 300_000  # octets: more than the queue keeps in a segment
_NUMBER = re.compile(rb"^Subject: number (\S+)\r?$", re.MULTILINE)
_SUM = re.compile(rb"^X-Sum: (\w+)\r?$", re.MULTILINE)


@dataclass
class Load:
    """What clients sent: the numbers tried, and of those acknowledged the recipients."""

    tried: set[str] = field(default_factory=set)
    acknowledged: dict[str, tuple[str, ...]] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    lost_connections: list[str] = field(default_factory=list)  # after MAIL was accepted: at which command, and how
    closed_idle: int = 0  # before it: a session may be ended between two messages (RFC 5321 §3.8)


class Client(threading.Thread):
    """Sends numbered messages one after the other until told to stop; connects anew when the line is lost."""

    def __init__(
        self,
        host: Host,
        load: Load,
        name: str,
        seed: int,
        *,
        login: bool = False,
        pause: float = 0.01,
        share: float = 0.03,
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._host, self._load, self._login, self._pause, self._share = host, load, login, pause, share
        self._random = random.Random(f"{seed} {name}")
        self._done = threading.Event()
        self.failure: BaseException | None = None

    def end(self) -> None:
        """Finish the message under way, then end."""
        self._done.set()

    def run(self) -> None:
        number = 0
        try:
            while not self._done.is_set():
                with contextlib.suppress(OSError, smtplib.SMTPException), self._connected() as line:
                    while not self._done.wait(self._pause):
                        number += 1
                        self._send(line, f"{self.name}-{number}")
                self._done.wait(0.05)
        except BaseException as error:
            self.failure = error

    @contextlib.contextmanager
    def _connected(self) -> Iterator[smtplib.SMTP]:
        port = self._host.ports["submission" if self._login else "smtp"]
        line = smtplib.SMTP("127.0.0.1", port, local_hostname="load.example.test", timeout=60)
        try:
            if self._login:
                line.starttls(context=unverified())
                line.login(f"carol@{DOMAIN}", "carol-demo")
            yield line
            line.quit()
        finally:
            line.close()

    def _send(self, line: smtplib.SMTP, number: str) -> None:
        chance = self._random
        users = ("alice", "bob") if chance.random() < 0.3 else (chance.choice(("alice", "bob")),)
        octets = LARGE if chance.random() < self._share else chance.randrange(20, 3000)
        load = self._load
        load.tried.add(number)
        under_way = ""
        try:
            line.ehlo_or_helo_if_needed()
            code, said = line.mail(f"carol@{DOMAIN}")
            if code != 250:
                raise smtplib.SMTPSenderRefused(code, said, "")
            under_way = "RCPT"
            for user in users:
                code, said = line.rcpt(f"{user}@{DOMAIN}")
                if code != 250:
                    raise smtplib.SMTPResponseException(code, said)
            under_way = "DATA"
            code, said = line.data(numbered(number, octets, chance))
            if code != 250:
                raise smtplib.SMTPDataError(code, said)
        except smtplib.SMTPResponseException as error:
            load.refused[f"{error.smtp_code} {error.smtp_error.decode()}"] += 1
            if error.smtp_code == 421:
                raise
            line.rset()
        except OSError as error:  # smtplib's own word for a lost connection is one too
            if under_way:
                load.lost_connections.append(f"{number} at {under_way}: {error!r}")
            else:
                load.closed_idle += 1
            raise
        else:
            load.acknowledged[number] = users


def numbered(number: str, octets: int, chance: random.Random) -> bytes:
    """Make a message that tells whether it is whole."""
    body = b"".join(b"%s\r\n" % chance.randbytes(35).hex().encode() for _ in range(octets // 72 + 1))
    total = hashlib.sha256(body.replace(b"\r\n", b"\n")).hexdigest()
    head = f"From: carol@{DOMAIN}\r\nSubject: number {number}\r\nX-Sum: {total}\r\n\r\n"
    return head.encode() + body


@dataclass
class Delivered:
    """What lies in the mailboxes: by number and user, the times of delivery."""

    copies: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    garbled: list[str] = field(default_factory=list)

    def take(self, user: str, path: os.DirEntry[str]) -> None:
        with open(path, "rb") as file:
            octets = file.read()
        head, _, body = octets.partition(b"\n\n")
        number, total = _NUMBER.search(head), _SUM.search(head)
        if number is None or total is None or hashlib.sha256(body).hexdigest().encode() != total[1]:
            self.garbled.append(path.path)
        else:
            self.copies.setdefault((number[1].decode(), user), []).append(path.stat().st_mtime)


@dataclass
class Report:
    """The account of a run."""

    seed: int
    kills: list[tuple[float, str]]
    load: Load
    delivered: Delivered
    seconds: float = 0.0

    @property
    def lost(self) -> list[tuple[str, str]]:
        """Acknowledged, and not there."""
        return [
            (number, user)
            for number, users in self.load.acknowledged.items()
            for user in users
            if (number, user) not in self.delivered.copies
        ]

    @property
    def repeated(self) -> dict[tuple[str, str], list[float]]:
        """There more than once."""
        return {key: sorted(times) for key, times in self.delivered.copies.items() if len(times) > 1}

    @property
    def unexplained(self) -> list[tuple[str, str]]:
        """Repeated with no death between the deliveries that would explain it."""
        return [
            key
            for key, times in self.repeated.items()
            if not any(who in _DELIVERS and times[0] - 1 <= at <= times[-1] + 1 for at, who in self.kills)
        ]

    @property
    def strangers(self) -> list[tuple[str, str]]:
        """There, though nobody sent them."""
        return [key for key in self.delivered.copies if key[0] not in self.load.tried]

    def __str__(self) -> str:
        killed = ", ".join(f"{who} {count}" for who, count in sorted(Counter(who for _, who in self.kills).items()))
        unanswered = len(self.load.tried) - len(self.load.acknowledged)
        found = {number for number, _ in self.delivered.copies} - set(self.load.acknowledged)
        extra = sum(len(times) - 1 for times in self.repeated.values())
        return (
            f"seed {self.seed}: {len(self.kills)} kills ({killed}) in {self.seconds:.0f} s; "
            f"{len(self.load.tried)} messages tried, {len(self.load.acknowledged)} acknowledged, "
            f"{len(self.lost)} lost, {len(self.delivered.garbled)} garbled, "
            f"{extra} delivered again ({len(self.unexplained)} unexplained); "
            f"{unanswered} not acknowledged, {len(found)} of these delivered; "
            f"{len(self.load.lost_connections)} connections lost; refused: {dict(self.load.refused)}"
        )


SETTINGS = Settings(options={"queue": {"retry": ["1s"], "jitter": 0, "dead_host": "1s"}})


@contextlib.contextmanager
def clients(host: Host, load: Load, seed: int, *, count: int = 4, pause: float = 0.01) -> Iterator[None]:
    """Send until the block ends; every message under way is finished."""
    crew = [Client(host, load, f"c{number}", seed, login=number == 0, pause=pause) for number in range(count)]
    for client in crew:
        client.start()
    try:
        yield
    finally:
        for client in crew:
            client.end()
        for client in crew:
            client.join(90)
            assert not client.is_alive(), f"client {client.name} hangs"
    for client in crew:
        assert client.failure is None, client.failure


def kill(host: Host, victim: str, chance: random.Random) -> None:
    """Kill one process, or all; those the supervisor does not start again are started here."""
    if victim == "all":
        os.killpg(host.pid, signal.SIGKILL)
        host.kill()
        host.start()
    elif victim == "supervisor":
        host.kill()
        host.start()
    else:
        wait_until(lambda: host.pids(victim), lambda: f"no {victim}: {host.roles()}\n{host.log()[-3000:]}", 60)
        os.kill(chance.choice(host.pids(victim)), signal.SIGKILL)


def torture(
    kills: int,
    *,
    seed: int | None = None,
    gap: tuple[float, float] = (0.1, 1.5),
    tell: Callable[[str], None] = lambda _: None,
) -> Report:
    """Run the load, kill so many times, settle, and account."""
    seed = random.SystemRandom().randrange(1 << 32) if seed is None else seed
    chance = random.Random(seed)
    load = Load()
    done: list[tuple[float, str]] = []
    began = time.monotonic()
    with Host(SETTINGS) as host:
        with clients(host, load, seed):
            for number in range(kills):
                time.sleep(chance.uniform(*gap))
                victim = VICTIMS[number % len(VICTIMS)] if kills < 100 else chance.choice(VICTIMS)
                done.append((time.time(), victim))
                kill(host, victim, chance)
                done.append((time.time(), victim))
                tell(f"{number + 1}: {victim}, {len(load.acknowledged)} acknowledged")
            time.sleep(0.5)
        delivered = settled(host, load)
    return Report(seed, done[::2], load, delivered, time.monotonic() - began)


def settled(host: Host, load: Load, seconds: float = 60.0) -> Delivered:
    """Wait until as much as was acknowledged is there and nothing more comes; gives what is there."""
    wanted = sum(map(len, load.acknowledged.values()))
    until, seen, since = time.monotonic() + seconds, -1, time.monotonic()
    while (now := time.monotonic()) < until:
        count = sum(host.count(user) for user in host.settings.accounts)
        if count != seen:
            seen, since = count, now
        # A repetition may hide that one is missing, so even then there is time for another attempt.
        if now - since > (3.0 if count >= wanted else 20.0):
            break
        time.sleep(0.1)
    return inventory(host)


def inventory(host: Host) -> Delivered:
    """Read all mailboxes."""
    delivered = Delivered()
    for user in host.settings.accounts:
        for part in ("new", "cur"):
            folder = host.mail / user / part
            if folder.is_dir():
                for entry in os.scandir(folder):
                    delivered.take(user, entry)
    return delivered
