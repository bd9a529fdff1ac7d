"""What the walks share: the page's hops, a witness of every call, a clock that is moved by hand, and the other host.

A page names its hops in a numbered list, each item beginning with the name of a function in back-quotes. The witness
notes when one of them is called, in whatever thread; the walk happened as written when the
calls hold the hops in order.
"""

import asyncio
import contextlib
import importlib
import inspect
import os
import re
import smtplib
import sys
import threading
import time
from pathlib import Path

from penfold.config.load import loads
from penfold.service.together import Together

PAGES = Path(__file__).resolve().parents[2] / "docs/walks"
MOST_HOPS = 10
PATIENCE = 20.0


class Page:
    """A walk as documented: ``parts`` are its sections that have hops, by heading."""

    def __init__(self, name):
        self.parts = {}
        for part in re.split(r"^## ", (PAGES / name).read_text(), flags=re.MULTILINE):
            hops = re.findall(r"^\d+\. `([\w.]+)`", part, re.MULTILINE)
            if hops:
                self.parts[part.splitlines()[0].lstrip("# ")] = hops


def code_of(name):
    """The code object of ``room.module.Class.function``; fails where there is none."""
    words = name.split(".")
    for cut in range(len(words) - 1, 0, -1):
        try:
            found = importlib.import_module(".".join(["penfold", *words[:cut]]))
        except ModuleNotFoundError:
            continue
        for word in words[cut:]:
            found = getattr(found, word)
        return inspect.unwrap(found).__code__
    raise AssertionError(f"{name}: no such function")


class Witness:
    """Notes the calls of the functions named, while it watches."""

    def __init__(self, names):
        self._names = {code_of(name): name for name in names}
        self.calls = []

    def _saw(self, frame, event, _):
        if event == "call" and frame.f_code in self._names:
            self.calls.append(self._names[frame.f_code])

    @contextlib.contextmanager
    def watching(self):
        threading.setprofile(self._saw)
        sys.setprofile(self._saw)
        try:
            yield self
        finally:
            sys.setprofile(None)
            threading.setprofile(None)

    def assert_walked(self, hops):
        """Every hop was called, each after the one before it."""
        at = 0
        for number, hop in enumerate(hops, 1):
            assert hop in self.calls, f"hop {number}, {hop}, was never called"
            assert hop in self.calls[at:], f"hop {number}, {hop}, was called, but not after {hops[number - 2]}"
            at = self.calls.index(hop, at) + 1


class Clock:
    """The time of the whole house."""

    def __init__(self):
        self.now = float(int(time.time()))

    def __call__(self):
        return self.now


class OtherHost:
    """An SMTP server of somebody else: answers RCPT as scripted, then takes everything.

    ``mail`` is what it got, ``times`` when it heard RCPT.
    """

    def __init__(self, *replies, clock=time.time):
        self._clock = clock
        self.times = []
        self._replies = list(replies)
        self.mail = []
        self.refused = 0
        self.port = 0

    @contextlib.asynccontextmanager
    async def listening(self):
        server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            await server.wait_closed()

    async def _talk(self, reader, writer):
        sender, recipients = "", []
        writer.write(b"220 elsewhere.example ESMTP\r\n")
        while line := await reader.readline():
            word = line[:4].upper()
            if word == b"EHLO":
                writer.write(b"250-elsewhere.example\r\n250-PIPELINING\r\n250 ENHANCEDSTATUSCODES\r\n")
            elif word == b"MAIL":
                sender, recipients = line[10:].split(b">")[0].decode().lstrip("<"), []
                writer.write(b"250 2.1.0 yes\r\n")
            elif word == b"RCPT":
                self.times.append(self._clock())
                reply = self._replies.pop(0) if self._replies else "250 2.1.5 yes"
                self.refused += not reply.startswith("2")
                recipients += [line[8:].split(b">")[0].decode().lstrip("<")] if reply.startswith("2") else []
                writer.write(reply.encode() + b"\r\n")
            elif word == b"DATA":
                if not recipients:
                    writer.write(b"554 5.5.1 nobody to write to\r\n")
                    continue
                writer.write(b"354 go on\r\n")
                content = await reader.readuntil(b"\r\n.\r\n")
                self.mail.append((sender, recipients, content[:-3]))
                writer.write(b"250 2.0.0 taken\r\n")
            else:
                writer.write(b"250 2.0.0 yes\r\n" if word != b"QUIT" else b"221 2.0.0 bye\r\n")
                if word == b"QUIT":
                    break
            with contextlib.suppress(ConnectionError):
                await writer.drain()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


CONFIG = """
hostname = "mx.example.test"
data = "{data}"
local_domains = ["example.test"]

[listen.smtp]
addresses = ["127.0.0.1:{port}"]

[[account]]
address = "ada@example.test"

[queue]
reserve = "1MiB"
retry = ["1m"]
lifetime = "5d"
warning = 0

[delivery]
forward_for_virtual = true

[routing]
smart_host = "[127.0.0.1]:{other}"
smart_host_tls = "opportunistic"

[telemetry]
log = ""

[roles]
{users}
"""


def house(data, *, port, other=9, clock=None):
    """A whole mail host in this process."""
    user = "root" if os.geteuid() == 0 else "nobody"  # no process is made, nobody becomes anybody
    roles = ("queue", "local", "receive", "auth")
    users = "\n".join(
        [*(f'user_{role} = "{user}"' for role in roles), f'group = "{user if user == "root" else "nogroup"}"']
    )
    return Together(loads(CONFIG.format(data=data, port=port, other=other, users=users)), clock=clock or time.time)


def send(port, *, sender="bob@elsewhere.example"):
    """Be the client: one message for ada."""
    with smtplib.SMTP("127.0.0.1", port, "elsewhere.example", timeout=PATIENCE) as client:
        client.sendmail(sender, ["ada@example.test"], "Subject: a walk\n\nOn foot.\n")


async def until(true, what):
    """Wait until something is so; fails with ``what`` when it takes too long."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, f"not {what} in {PATIENCE} s"
        await asyncio.sleep(0.01)
