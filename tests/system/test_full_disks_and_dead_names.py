"""What the world does to a mail host: disks that are full, names that nobody answers, hosts that misbehave."""

import contextlib
import os
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.missing import missing
from tests.system.host import DOMAIN, ROOT, Host, Settings, text_message, token, wait_until

pytestmark = [pytest.mark.xdist_group("host")]

MIB = 1024 * 1024


@contextlib.contextmanager
def small_disk(size: str) -> Iterator[Path]:
    """A file system of this size, in memory."""
    place = Path(tempfile.mkdtemp(prefix="penfold-disk-"))
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "tmpfs", place], check=False)
    if done.returncode != 0:
        place.rmdir()
        missing("a tmpfs cannot be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)
        place.rmdir()


def disk_settings(**delivery: object) -> Settings:
    queue = {"reserve": "4 MiB", "reserve_inodes": 10, "segment_size": "1 MiB", "retry": ["1s"], "jitter": 0}
    return Settings(options={"queue": queue, "delivery": delivery})


def send(host: Host, octets: bytes, to: str = f"alice@{DOMAIN}") -> bytes:
    """Send one; the reply that ended it."""
    with host.connect() as client:
        client.say("EHLO client.test")
        for line in ("MAIL FROM:<>", f"RCPT TO:<{to}>", "DATA"):
            reply = client.say(line)
            if reply[:1] not in {b"2", b"3"}:
                return reply
        return client.say(octets + b".")


@pytest.mark.root
@pytest.mark.slow
@pytest.mark.skipif(not ROOT, reason="only root may mount a small disk")
@pytest.mark.parametrize(
    ("pause", "recovers"),
    [
        pytest.param(0.15, False, id="slowly"),
        pytest.param(0.15, True, id="and recovers"),
        pytest.param(0.0, False, id="at once"),
    ],
)
def test_a_disk_that_fills_up_is_told_with_452_and_the_queue_still_settles(pause: float, recovers: bool):
    body = "0123456789 a line of text that fills the disk\n" * 4000
    with small_disk("24m") as disk, Host(disk_settings(), data=disk / "data") as host:
        # Mail cannot be delivered yet: it stays where the disk is small.
        host.signal_role("local", "STOP")
        accepted = 0
        while (reply := send(host, text_message(f"n{accepted}.", body))).startswith(b"250"):
            accepted += 1
            time.sleep(pause)
            assert accepted < 400, "the disk is never full"
        assert reply.startswith(b"452 4.3.1"), reply
        free = os.statvfs(disk)
        assert free.f_bavail * free.f_frsize > 1 * MIB, "it was noticed too late"
        assert accepted > 20
        host.signal_role("local", "CONT")
        host.wait_for("alice", accepted, 60)
        if recovers:
            wait_until(lambda: send(host, text_message("again")).startswith(b"250"), "it does not recover", 12)
        assert len({each.partition(b"Subject: ")[2].partition(b".")[0] for each in host.messages("alice")}) >= accepted


@pytest.mark.root
@pytest.mark.skipif(not ROOT, reason="only root may mount a small disk")
def test_mail_for_a_full_mailbox_disk_waits_and_is_delivered_when_there_is_room():
    with small_disk("2m") as disk:
        ballast = disk / "ballast"
        ballast.write_bytes(b"x" * (2 * MIB - 64 * 1024))
        with Host(disk_settings(mail_root=str(disk / "mail"))) as host:
            host.mail = disk / "mail"
            assert send(host, text_message("waits", "y" * 70 + "\n" * 200_000)).startswith(b"250")
            wait_until(lambda: deferrals(host, "alice"), host.log)
            assert all(reply.startswith(("452 4.3.1", "452 4.2.2", "451 4.3.1")) for reply in deferrals(host, "alice"))
            assert host.count("alice") == 0
            ballast.unlink()
            assert b"Subject: waits" in host.wait_for("alice")[0]


def deferrals(host: Host, recipient: str) -> list[str]:
    """The replies for which deliveries were put off."""
    return [
        str(event.get("reply"))
        for event in host.events("attempt")
        if event.get("outcome") == "deferred" and recipient in str(event.get("recipient"))
    ]


def failures(host: Host, recipient: str) -> list[dict[str, object]]:
    return [
        event
        for event in host.events("attempt")
        if event.get("outcome") == "failed" and recipient in str(event.get("recipient"))
    ]


RELAYING = {"relay": {"networks": ["127.0.0.0/8"]}}


def test_without_dns_relayed_mail_waits_and_is_not_bounced():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
        nobody.bind(("127.0.0.1", 0))  # takes questions and answers none
        dns = {"resolvers": [f"127.0.0.1:{nobody.getsockname()[1]}"], "timeout": "200ms", "attempts": 1}
        with Host(Settings(options={**RELAYING, "dns": dns})) as host:
            reply = send(host, text_message("far"), "someone@far.example.net")
            assert reply.startswith(b"250"), reply
            wait_until(lambda: len(deferrals(host, "far.example.net")) >= 2, host.log)
            assert all(each.startswith("451 4.4.3") for each in deferrals(host, "far.example.net"))
            assert not failures(host, "far.example.net")
            # Mail that needs no DNS is not held up.
            assert send(host, text_message("near")).startswith(b"250")
            host.wait_for_text("alice", b"near")


def test_a_port_where_no_name_server_is_makes_mail_wait_too():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    dns = {"resolvers": [f"127.0.0.1:{port}"], "timeout": "200ms", "attempts": 1}
    with Host(Settings(options={**RELAYING, "dns": dns})) as host:
        assert send(host, text_message("far"), "someone@far.example.net").startswith(b"250")
        wait_until(lambda: deferrals(host, "far.example.net"), host.log)
        assert deferrals(host, "far.example.net")[0].startswith("451 4.4.3")


Script = Callable[[socket.socket], None]
GARBAGE = b"\x00\xff\x80 not a reply at all\r\n" * 3
STEPS = ("greeting", "EHLO", "MAIL", "RCPT", "DATA", "end of data", "QUIT")
GOOD = {
    "greeting": b"220 bad.test ESMTP\r\n",
    "EHLO": b"250 bad.test\r\n",
    "MAIL": b"250 2.1.0 ok\r\n",
    "RCPT": b"250 2.1.5 ok\r\n",
    "DATA": b"354 go on\r\n",
    "end of data": b"250 2.0.0 taken\r\n",
    "QUIT": b"221 2.0.0 bye\r\n",
}


ACTS = ("reset", "close", "garbage", "endless")


class BadHost:
    """Behaves until a step, and then does something bad; the next connection goes well."""

    def __init__(self, step: str, act: str) -> None:
        self.step, self.act = step, act
        self.taken: list[bytes] = []
        self.bad = 0
        self._sock = socket.create_server(("127.0.0.1", 0))
        self.port = self._sock.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._over = threading.Event()
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                link, _ = self._sock.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(link,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, link: socket.socket) -> None:
        with link, contextlib.suppress(OSError):
            link.settimeout(20)
            lines = link.makefile("rb")
            self._step("greeting", link)
            while line := lines.readline():
                word = line[:4].upper().strip().decode()
                word = {"HELO": "EHLO"}.get(word, word)
                if word == "DATA":
                    self._step("DATA", link)
                    body = b""
                    while (line := lines.readline()) not in {b".\r\n", b""}:
                        body += line
                    self._step("end of data", link)
                    self.taken.append(body)
                else:
                    self._step(word, link)
                if word == "QUIT":
                    return

    def _step(self, step: str, link: socket.socket) -> None:
        if step == self.step and not self.bad:
            self.bad += 1
            getattr(self, f"_{self.act}")(link, GOOD[step])
        link.sendall(GOOD.get(step, b"250 2.0.0 ok\r\n"))

    def _hang(self, link: socket.socket, good: bytes) -> None:
        self._over.wait(15)
        raise OSError("nobody waited")

    def _reset(self, link: socket.socket, good: bytes) -> None:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        link.close()
        raise OSError("reset")

    def _close(self, link: socket.socket, good: bytes) -> None:
        raise OSError("closed")

    def _garbage(self, link: socket.socket, good: bytes) -> None:
        link.sendall(GARBAGE)

    def _drip(self, link: socket.socket, good: bytes) -> None:
        for octet in good:
            link.sendall(bytes([octet]))
            self._over.wait(0.005)
        self._dripped = True

    def _endless(self, link: socket.socket, good: bytes) -> None:
        for _ in range(2000):
            link.sendall(b"250-and another thing " + b"z" * 1000 + b"\r\n")

    def close(self) -> None:
        self._over.set()
        self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()
        for thread in self._threads:
            thread.join(25)


@pytest.mark.slow
def test_next_hops_that_misbehave_get_the_mail_at_another_attempt():
    """Each does one bad thing at one step of its first conversation; all at the same time."""
    hops = {f"{act}-{number}.test": BadHost(step, act) for act in ACTS for number, step in enumerate(STEPS)}
    settings = Settings(
        options={**RELAYING, "routing": {"transports": "{home}/transports"}},
        files={"transports": "".join(f"{name} smtp:[127.0.0.1]:{hop.port}\n" for name, hop in hops.items())},
    )
    mark = token()
    try:
        with Host(settings) as host:
            for name in hops:
                assert send(host, text_message(f"{mark} {name}."), f"x@{name}").startswith(b"250")
            for name, hop in hops.items():
                wait_until(lambda hop=hop: hop.taken, lambda name=name: f"{name}: {attempts(host, name)}\n{host.log()}")
            assert not failures(host, "x@")
            assert send(host, text_message("near")).startswith(b"250")
            host.wait_for_text("alice", b"near")
        for name, hop in hops.items():
            assert all(f"{mark} {name}.".encode() in each for each in hop.taken), (name, hop.taken)
            # Whoever took the message and spoiled the reply gets it again; nobody else may.
            assert len(hop.taken) <= (2 if hop.step == "end of data" else 1), name
            assert hop.bad or hop.step == "QUIT", name
    finally:
        for hop in hops.values():
            hop.close()


def attempts(host: Host, name: str) -> list[object]:
    return [event for event in host.events("attempt") if name in str(event.get("recipient"))]


def test_a_next_hop_that_drips_its_replies_gets_the_mail():
    bad = BadHost("MAIL", "drip")
    settings = Settings(
        options={**RELAYING, "routing": {"transports": "{home}/transports"}},
        files={"transports": f"bad.test smtp:[127.0.0.1]:{bad.port}\n"},
    )
    try:
        with Host(settings) as host:
            assert send(host, text_message("dripped"), "x@bad.test").startswith(b"250")
            wait_until(lambda: bad.taken, host.log)
    finally:
        bad.close()


def test_a_next_hop_that_hangs_holds_up_nobody_else():
    bad = BadHost("EHLO", "hang")
    settings = Settings(
        options={**RELAYING, "routing": {"transports": "{home}/transports"}},
        files={"transports": f"bad.test smtp:[127.0.0.1]:{bad.port}\n"},
    )
    try:
        with Host(settings) as host:
            assert send(host, text_message("hangs"), "x@bad.test").startswith(b"250")
            wait_until(lambda: bad.bad, host.log)
            for number in range(10):
                assert send(host, text_message(f"near {number}")).startswith(b"250")
            host.wait_for("alice", 10)
            assert not bad.taken
            bad.close()
    finally:
        with contextlib.suppress(OSError):
            bad.close()
