"""One table of relay tricks, tried through every door: none makes this host carry a stranger's mail to somewhere else.

A trick may be refused, or end in a mailbox of ours; nothing may ever leave. All names resolve to a trap on loopback, so
whatever was sent on would be caught there, and nothing may be queued for another host either.
"""

import os
import shutil
import smtplib
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from tests.system.host import DOMAIN, ROOT, SOURCE, USERS, Host, Settings, text_message, unverified, wait_until

pytestmark = pytest.mark.xdist_group("host")

AWAY = "victim.example.net"
LITERALS = ("[127.0.0.1]", "[IPv6:::1]", "[mx.example.test]", "[10.1.2.3]", "[IPv6:::ffff:127.0.0.1]")

TRICKS = (
    f"u@{AWAY}",
    f"u@{AWAY.upper()}",
    f"u@{AWAY}.",
    f"u%{AWAY}@{DOMAIN}",
    f"u%{AWAY}@mx.example.test",
    f"u%{AWAY}%{DOMAIN}@{DOMAIN}",
    f"{AWAY}!u@{DOMAIN}",
    f"{AWAY}!u",
    f"mx.example.test!{AWAY}!u",
    f"u@{AWAY}@{DOMAIN}",
    f'"u@{AWAY}"@{DOMAIN}',
    f'"u%{AWAY}"@{DOMAIN}',
    f'"{AWAY}!u"@{DOMAIN}',
    f'"u@{AWAY}"',
    f"u%{AWAY}",
    f"@{DOMAIN}:u@{AWAY}",
    f"@{DOMAIN},@mx.example.test:u@{AWAY}",
    f"@mx.example.test:u@{AWAY}",
    f"@[127.0.0.1]:u@{AWAY}",
    f"@{DOMAIN}:u%{AWAY}@{DOMAIN}",
    f"{DOMAIN}:u@{AWAY}",
    f"alice@{DOMAIN}:u@{AWAY}",
    f"u@{AWAY}:alice@{DOMAIN}",
    f"alice@{DOMAIN}@{AWAY}",
    f"alice@{DOMAIN}.{AWAY}",
    f"alice+u@{AWAY}",
    f"alice@{DOMAIN}%{AWAY}",
    f"alice@sub.{DOMAIN}",
    f"alice@not{DOMAIN}",
    f"alice@{DOMAIN}\x00.{AWAY}",
    f"u@{AWAY}\x00@{DOMAIN}",
    f"u@{AWAY} alice@{DOMAIN}",
    f"u@{AWAY},alice@{DOMAIN}",
    f"alice@{DOMAIN},u@{AWAY}",
    f"u@{AWAY}\\@{DOMAIN}",
    f'"u\\@{AWAY}"@{DOMAIN}',
    f"<u@{AWAY}>",
    f"u(alice@{DOMAIN})@{AWAY}",
    f"postmaster@{AWAY}",
    *(f"u@{literal}" for literal in LITERALS),
    *(f"u%{AWAY}@{literal}" for literal in LITERALS),
    *(f"{AWAY}!u@{literal}" for literal in LITERALS),
    *(f'"u@{AWAY}"@{literal}' for literal in LITERALS),
    *(f"@{literal}:u@{AWAY}" for literal in LITERALS),
    "u@127.0.0.1",
    "u@localhost",
    f"u%{AWAY}@localhost",
    f"u@{AWAY}..",
    f"u@.{AWAY}",
    f"|/bin/sh@{DOMAIN}",
    f'"|/usr/bin/id"@{DOMAIN}',
    f"/etc/passwd@{DOMAIN}",
    f'":include:/etc/passwd"@{DOMAIN}',
)


# Targets that name a way to elsewhere under one of our own names: an alias or a .forward must not lend them ours.
TARGETS = (
    *(
        target
        for ours in (DOMAIN, "mx.example.test")
        for target in (f"u%{AWAY}@{ours}", f"{AWAY}!u@{ours}", f"u%{AWAY}%{DOMAIN}@{ours}", f'"u@{AWAY}"@{ours}')
    ),
    f"u%{AWAY}",
    f"{AWAY}!u",
    f'"u@{AWAY}"',
)


def aliases() -> str:
    """An aliases file in which every trick is a target."""
    return "".join(f"trick{number}: {target}\n" for number, target in enumerate(TARGETS))


class Trap:
    """Listens where all names lead; remembers whoever comes."""

    def __init__(self) -> None:
        self.caught: list[bytes] = []
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                link, _ = self.sock.accept()
            except OSError:
                return
            with link:
                self.caught.append(b"a connection")

    def close(self) -> None:
        self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()
        self._thread.join()


@pytest.fixture(scope="module")
def trap() -> Iterator[Trap]:
    trap = Trap()
    yield trap
    trap.close()


def settings(trap: Trap) -> Settings:
    return Settings(
        options={
            "limits": {"errors": 1000, "commands": 100_000, "connections_per_client": 1000, "connection_rate": 0},
            "delivery": {"forward_for_virtual": True},
            "routing": {
                "aliases": ["{home}/aliases"],
                "smart_host": f"[127.0.0.1]:{trap.port}",
                "smart_host_tls": "none",
            },
        },
        files={"aliases": aliases()},
    )


@pytest.fixture(scope="module")
def host(trap: Trap) -> Iterator[Host]:
    with Host(settings(trap)) as host:
        yield host


def door_of(host: Host, name: str):
    wire = host.connect(name)
    assert wire.say("LHLO x.test" if name == "lmtp" else "EHLO x.test").startswith(b"250")
    return wire


@pytest.mark.parametrize("door", ["smtp", "lmtp"])
def test_no_trick_makes_this_host_relay(host: Host, trap: Trap, door: str):
    before = host.count("carol")
    with door_of(host, door) as client:
        for trick in TRICKS:
            assert client.say("MAIL FROM:<eve@other.test>").startswith(b"250")
            reply = client.say(f"RCPT TO:<{trick}>".encode("latin-1"))
            assert reply[:1] in {b"5", b"2"}, (trick, reply)
            if reply.startswith(b"2"):
                assert client.say("DATA").startswith(b"354")
                assert client.say(text_message("trick") + b".").startswith((b"250", b"5")), trick
            else:
                assert reply[4:6] == b"5.", (trick, reply)
                client.say("RSET")
        assert client.say("MAIL FROM:<eve@other.test>").startswith(b"250")
        assert client.say(f"RCPT TO:<carol@{DOMAIN}>").startswith(b"250")
        assert client.say("DATA").startswith(b"354")
        assert client.say(text_message("last") + b".").startswith(b"250")
    # The last message is there, so whatever came before it has been routed as well.
    host.wait_for("carol", before + 1)
    assert_nothing_left(host, trap)


def assert_nothing_left(host: Host, trap: Trap) -> None:
    """Nobody came to the trap, and whatever was accepted has been routed to ourselves."""
    mailers = {event["recipient"]: event["mailer"] for event in host.events("routed")}
    assert trap.caught == []
    assert not [each for each, mailer in mailers.items() if mailer in {"smtp", "lmtp"}]


@pytest.mark.parametrize("trick", [f"u@{AWAY}", f"alice@{DOMAIN}", f"u%{AWAY}@{DOMAIN}"])
def test_submission_takes_nothing_before_log_in(host: Host, trap: Trap, trick: str):
    with door_of(host, "submission") as client:
        client.say("STARTTLS")
        client.start_tls()
        client.say("EHLO x.test")
        assert client.say(f"MAIL FROM:<alice@{DOMAIN}>").startswith(b"530 5.7.0")
        assert client.say(f"RCPT TO:<{trick}>").startswith((b"503", b"530"))
    with door_of(host, "submission") as client:
        assert client.say(f"MAIL FROM:<alice@{DOMAIN}>").startswith(b"530 5.7.0")
    assert trap.caught == []


def test_targets_of_aliases_and_forward_files_are_not_read_as_ways_to_elsewhere(host: Host, trap: Trap):
    assert len(TARGETS) > 6
    before = host.count("carol")
    with door_of(host, "smtp") as client:
        for number, target in enumerate(TARGETS):
            # From the null sender: what cannot be delivered leaves no bounce.
            assert client.say("MAIL FROM:<>").startswith(b"250")
            reply = client.say(f"RCPT TO:<trick{number}@{DOMAIN}>")
            assert reply[:1] in {b"2", b"5"}, (target, reply)
            if reply.startswith(b"2"):
                assert client.say("DATA").startswith(b"354")
                assert client.say(text_message("trick") + b".").startswith(b"250")
            else:
                client.say("RSET")
        for target in TARGETS:
            forward(host, "bob", target)
            client.say("MAIL FROM:<>")
            assert client.say(f"RCPT TO:<bob@{DOMAIN}>").startswith(b"250")
            assert client.say("DATA").startswith(b"354")
            reply = client.say(text_message("trick") + b".")
            assert reply.startswith(b"250")
            queue_id = reply.split()[-1].decode()
            wait_until(lambda id_=queue_id: settled(host, id_), lambda t=target: f"{t}\n{host.log()}")
        client.say("MAIL FROM:<>")
        client.say(f"RCPT TO:<carol@{DOMAIN}>")
        client.say("DATA")
        assert client.say(text_message("last") + b".").startswith(b"250")
    host.wait_for("carol", before + 1)
    assert_nothing_left(host, trap)


# Through sendmail -bs our own users speak, who may write to anybody: but not so that others' names hide behind ours.
OURS = [literal for literal in LITERALS if literal != "[10.1.2.3]"]
HIDDEN = (*TARGETS, *(form for literal in OURS for form in (f"u%{AWAY}@{literal}", f"{AWAY}!u@{literal}")))


def test_sendmail_bs_takes_no_way_to_elsewhere_under_our_names(host: Host, trap: Trap):
    before = host.count("carol")
    tries = "".join(
        f"MAIL FROM:<>\r\nRCPT TO:<{trick}>\r\nDATA\r\nSubject: trick\r\n\r\n.\r\nRSET\r\n" for trick in HIDDEN
    )
    last = f"MAIL FROM:<>\r\nRCPT TO:<carol@{DOMAIN}>\r\nDATA\r\nSubject: last\r\n\r\n.\r\nQUIT\r\n"
    said = subprocess.run(
        [sys.executable, "-m", "penfold.cli.sendmail", "-bs"],
        input=f"EHLO here\r\n{tries}{last}".encode(),
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(SOURCE), "PENFOLD_CONFIG": str(host.config)},
        check=True,
    ).stdout
    assert said.splitlines()[-1].startswith(b"221"), said
    host.wait_for("carol", before + 1)
    assert_nothing_left(host, trap)


def settled(host: Host, id_: str) -> bool:
    """Whether a message had its attempt."""
    return any(
        event.get("id") == id_ and event.get("kind") in {"attempt", "delivered", "expanded"} for event in host.events()
    )


def forward(host: Host, user: str, target: str) -> None:
    """Write a virtual user's .forward, as the role that owns the mailboxes."""
    path = host.mail / f"{user}.forward"
    path.write_text(target + "\n")
    path.chmod(0o600)
    if ROOT:
        shutil.chown(path, USERS["local"])


def test_a_user_who_logged_in_may_send_elsewhere_so_the_trap_works(trap: Trap):
    """The counterpart: the same way that every trick tries is open to senders who may."""
    with Host(settings(trap)) as host:
        with smtplib.SMTP("127.0.0.1", host.ports["submission"], timeout=30) as client:
            client.starttls(context=unverified())
            client.login(f"alice@{DOMAIN}", "alice-demo")
            client.sendmail(f"alice@{DOMAIN}", [f"u@{AWAY}"], text_message("may leave"))
        try:
            wait_until(lambda: trap.caught, host.log)
        finally:
            trap.caught.clear()
