"""The demo's voice: a process beside the supervisor that sends the sample mail, prints the table, and tells the rest.

It is a process of its own because the supervisor runs no loop that could do this, and forks. A byte on the pipe says
that the host accepts, the pipe's end that the demo is over. A signal from the terminal is the supervisor's business.
"""

import contextlib
import os
import select
import shlex
import shutil
import signal
import smtplib
import sys
import time
import traceback
from collections.abc import Callable, Iterator

from penfold.service.demo import samples
from penfold.service.demo.household import DOMAIN, OFFSETS, PEOPLE, VIRTUAL, Household
from penfold.telemetry import events
from penfold.telemetry.escape import visible
from penfold.telemetry.events import AnyEvent
from penfold.telemetry.follow import Follower
from penfold.telemetry.log import stamp
from penfold.telemetry.sentences import tell

LOOK_SECONDS = 0.2
SETTLING_SECONDS = 2.0  # the sample mail may take so long before the table is printed without waiting further

_DOORS = {
    "smtp": ("SMTP", "from other hosts, no log-in"),
    "submission": ("submission", "from our own users, with log-in after STARTTLS"),
    "submissions": ("submissions", "the same, with TLS from the beginning"),
    "lmtp": ("LMTP", "from a trusted neighbour"),
    "imap": ("IMAP", "to read mail, with log-in after STARTTLS"),
    "imaps": ("IMAPS", "the same, with TLS from the beginning"),
    "pop3": ("POP3", "to collect mail, with log-in after STLS"),
    "pop3s": ("POP3S", "the same, with TLS from the beginning"),
}


class Teller:
    """Tells. ``reading`` is the pipe from the supervisor, ``new`` whether sample mail is to be sent."""

    def __init__(self, house: Household, reading: int, *, new: bool, out: Callable[[str], object]) -> None:
        self._house = house
        self._reading = reading
        self._new = new
        self._out = out
        self._follower = Follower(f"{house.data}/events")
        self._held: list[AnyEvent] = []

    def run(self) -> None:
        """Wait until the host accepts, then tell until the demo is over."""
        if os.read(self._reading, 1):
            if self._new:
                self._send()
            self._say(table(self._house))
            self._say("ready")
            self._tell(self._held)
            while not self._over():
                self._tell(self._follower.look())
        self._tell(self._follower.look())

    def _send(self) -> None:
        try:
            sent = samples.send(self._house)
        except (OSError, smtplib.SMTPException) as error:
            self._say(f"The sample mail could not be sent: {visible(str(error))}")
            return
        deadline = time.monotonic() + SETTLING_SECONDS
        while not _settled(self._held, sent) and time.monotonic() < deadline and not self._over():
            self._held += self._follower.look()

    def _over(self) -> bool:
        """Wait for the next look; tells whether there is to be none."""
        ready, _, _ = select.select([self._reading], [], [], LOOK_SECONDS)
        return bool(ready) and not os.read(self._reading, 1)

    def _tell(self, happened: list[AnyEvent]) -> None:
        for event in happened:
            self._say(f"{stamp(event.at)[11:19]} {event.id or event.session or '-'} {tell(event)}")

    def _say(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):  # nobody listens any more
            self._out(text + "\n")


def _settled(happened: list[AnyEvent], sent: int) -> bool:
    """Tell whether so many messages came to their ends, or wait with a reason."""
    ended = [event for event in happened if isinstance(event, events.Delivered | events.Deferred)]
    routed = {(event.id, event.number) for event in happened if isinstance(event, events.Routed)}
    gone = {(event.id, event.number) for event in happened if isinstance(event, events.Expanded)}
    open_ = routed - gone - {(event.id, event.number) for event in ended}
    return not open_ and len({event.id for event in ended}) >= sent


def start(house: Household, *, new: bool) -> tuple[int, int]:
    """Start the teller; gives its process id and the pipe to tell it by."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        os.close(reading)
        return pid, writing
    code = 1
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        os.close(writing)
        Teller(house, reading, new=new, out=_print).run()
        code = 0
    except BaseException:  # noqa: BLE001 - a process of its own: nobody above would tell
        traceback.print_exc()
    finally:
        os._exit(code)


def _print(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def table(house: Household) -> str:
    """Write what a newcomer wants to know: doors, people, where mail lies, and three things to try."""
    lines = ["", f"Penfold is running in {house.data}. Ctrl-C ends it.", "", "Ports on 127.0.0.1"]
    lines += [
        f"  {house.port(door):<6} {_DOORS[door][0]:<12} {_DOORS[door][1]}" for door in sorted(OFFSETS, key=_order)
    ]
    lines += ["", "Accounts (name at log-in, password, mailbox)"]
    lines += [
        f"  {person.address:<20} {person.password:<12} {person.kind:<8} {house.mailbox(person)}" for person in PEOPLE
    ]
    lines += ["", "Other addresses", *(f"  {address:<20} {what}" for address, what in _others(house)), ""]
    lines += ["Try in another terminal"]
    lines += [f"  {number}. {what}\n     {command}" for number, (what, command) in enumerate(things(house), 1)]
    return "\n".join([*lines, ""])


def _order(door: str) -> int:
    return list(_DOORS).index(door)


def _others(house: Household) -> Iterator[tuple[str, str]]:
    yield f"team@{DOMAIN}", f"an alias for all three (in {house.data}/aliases)"
    yield f"note@{DOMAIN}", f"a program: a line in {house.notes}"
    yield f"info@{VIRTUAL}", f"a virtual domain: alice; every other name there: carol (in {house.data}/virtual)"
    yield f"bob@{DOMAIN}", f"has a .forward: carol gets a copy ({house.mailbox(PEOPLE[1])}.forward)"


def things(house: Household) -> list[tuple[str, str]]:
    """Give three things to try: what it shows, and a command that works here."""
    penfold, config, carol = program("penfold"), shlex.quote(house.config), PEOPLE[2]
    return [
        (
            "Send a message to carol, and read her mail:",
            f"{_send_command(house)} && sleep 1 && cat {shlex.quote(house.mailbox(carol))}",
        ),
        ("Ask what became of mail for an address, and why:", f"{penfold} why --config {config} {carol.address}"),
        ("Look at what waits in the queue:", f"{penfold} queue list --config {config}"),
    ]


def _send_command(house: Household) -> str:
    alice, _, carol = PEOPLE
    message = r"Subject: hello\n\nHello, Carol!\n"
    if shutil.which("curl"):
        return (
            f"printf '{message}' | curl -sS -k --url smtps://127.0.0.1:{house.port('submissions')} "
            f"--user {alice.address}:{alice.password} --mail-from {alice.address} --mail-rcpt {carol.address} -T -"
        )
    session = (
        f"import smtplib; s = smtplib.SMTP_SSL('127.0.0.1', {house.port('submissions')}); "
        f"s.login('{alice.address}', '{alice.password}'); "
        f"s.sendmail('{alice.address}', '{carol.address}', '{message}'); s.quit()"
    )
    return f'{shlex.quote(sys.executable)} -c "{session}"'


def program(name: str) -> str:
    """Name a command of ours as it can be typed here: by itself where the shell finds it, else with its path."""
    here = os.path.join(os.path.dirname(sys.executable), name)
    if shutil.which(name) == here or not os.path.exists(here):
        return name
    near = os.path.relpath(here)
    return shlex.quote(here if near.startswith("..") else near)
