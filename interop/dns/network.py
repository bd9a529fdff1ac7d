"""A small network for a test: namespaces on a bridge, with a mail host, a name server and other hosts in them.

Every namespace is the test's own, with a name of its own, and goes when the test ends. Addresses are private ones that
exist in these namespaces only. Sockets made ``inside`` a namespace stay there, whoever uses them.
"""

import contextlib
import ctypes
import os
import secrets
import shutil
import signal
import smtplib
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from tests import missing
from tests.system.host import PATIENCE, Host, Settings, wait_until

T = TypeVar("T")

_CLONE_NEWNET = 0x40000000
MAIL_HOST, NAME_SERVER = "10.25.0.2", "10.25.0.53"


def program(name: str) -> str:
    """Find a program; without it, or without root, the test is skipped, in CI it fails."""
    if os.geteuid() != 0:
        missing.missing("needs root: makes network namespaces")
    return missing.program(name, "/usr/sbin", "/sbin")


def _ip(*words: str) -> None:
    done = subprocess.run([program("ip"), *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"ip {' '.join(words)}: {done.stderr.strip()}")


class Network:
    """Namespaces ``mta``, ``dns`` and ``far``, each with an ``eth0`` on one bridge."""

    NAMES = ("mta", "dns", "far")

    def __init__(self) -> None:
        self._prefix = f"penfold-{secrets.token_hex(4)}"
        self._made: list[str] = []

    def name(self, short: str) -> str:
        return f"{self._prefix}-{short}"

    def build(self) -> None:
        """Make namespaces, bridge and links. Raises RuntimeError where the kernel does not let us."""
        for short in ("bridge", *self.NAMES):
            _ip("netns", "add", self.name(short))
            self._made.append(short)
            self.configure(short, "link", "set", "lo", "up")
        self.configure("bridge", "link", "add", "br0", "type", "bridge")
        self.configure("bridge", "link", "set", "br0", "up")
        for short in self.NAMES:
            peer = ("peer", "name", f"to-{short}", "netns", self.name("bridge"))
            self.configure(short, "link", "add", "eth0", "type", "veth", *peer)
            self.configure("bridge", "link", "set", f"to-{short}", "master", "br0", "up")
            self.configure(short, "link", "set", "eth0", "up")
        self.give("mta", MAIL_HOST)
        self.give("mta", "fd25::2")
        self.give("dns", NAME_SERVER)

    def configure(self, short: str, *words: str) -> None:
        _ip("-n", self.name(short), *words)

    def give(self, short: str, ip: str) -> None:
        """Give a namespace an address."""
        size = ("64", "nodad") if ":" in ip else ("16",)
        self.configure(short, "addr", "add", f"{ip}/{size[0]}", "dev", "eth0", *size[1:])

    def inside(self, short: str, work: Callable[[], T]) -> T:
        """Do something in a namespace: in a thread, which alone goes there."""
        results: list[T] = []
        errors: list[BaseException] = []

        def run() -> None:
            try:
                with open(f"/run/netns/{self.name(short)}", "rb") as there:
                    if ctypes.CDLL(None, use_errno=True).setns(there.fileno(), _CLONE_NEWNET) != 0:
                        raise OSError(ctypes.get_errno(), "setns")
                results.append(work())
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        if errors:
            raise errors[0]
        return results[0]

    def remove(self) -> None:
        """Remove all namespaces, with what is in them."""
        for short in reversed(self._made):
            with contextlib.suppress(RuntimeError):
                _ip("netns", "del", self.name(short))
        self._made.clear()

    @property
    def left(self) -> list[str]:
        """Namespaces of ours that are still there."""
        return [name for name in os.listdir("/run/netns") if name.startswith(self._prefix)]


@contextlib.contextmanager
def network() -> Iterator[Network]:
    """A network for the time of a block. Skips (in CI: fails) where namespaces are not allowed."""
    made = Network()
    try:
        program("ip")
        try:
            made.build()
        except RuntimeError as error:
            missing.missing(f"no network namespaces here: {error}")
        yield made
    finally:
        made.remove()
    assert not made.left


@dataclass
class Arrived:
    """A message as a host took it."""

    host: str
    reverse_path: str
    recipients: list[str]
    octets: bytes


@dataclass
class MailHost:
    """A host that takes mail at port 25, or greets with a refusal."""

    ip: str
    greeting: bytes = b"220 there ESMTP"
    arrived: list[Arrived] = field(default_factory=list)
    connections: int = 0

    def open(self, net: Network) -> None:
        net.give("far", self.ip)
        family = socket.AF_INET6 if ":" in self.ip else socket.AF_INET
        self._listener = net.inside("far", lambda: socket.create_server((self.ip, 25), family=family))
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(PATIENCE)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError), sock, sock.makefile("rb") as lines:
            sock.settimeout(PATIENCE)
            sock.sendall(self.greeting + b"\r\n")
            sender, recipients = "", list[str]()
            for line in lines:
                verb = line[:4].upper()
                reply = b"250 Ok"
                if not self.greeting.startswith(b"2") and verb != b"QUIT":
                    reply = b"503 Not here"
                elif verb == b"MAIL":
                    sender, recipients = _path(line), []
                elif verb == b"RCPT":
                    recipients.append(_path(line))
                elif verb == b"DATA":
                    sock.sendall(b"354 Go on\r\n")
                    octets = b"".join(iter(lines.readline, b".\r\n"))
                    self.arrived.append(Arrived(self.ip, sender, recipients, octets))
                elif verb == b"QUIT":
                    reply = b"221 Bye"
                sock.sendall(reply + b"\r\n")
                if verb == b"QUIT":
                    return


def _path(line: bytes) -> str:
    return line.partition(b"<")[2].partition(b">")[0].decode()


_NSD = """\
server:
  ip-address: {ip}
  username: ""
  chroot: ""
  zonesdir: "{folder}"
  zonelistfile: "{folder}/zone.list"
  database: ""
  pidfile: "{folder}/nsd.pid"
  logfile: "{folder}/nsd.log"
  xfrdfile: "{folder}/xfrd.state"
  xfrdir: "{folder}"
  server-count: 1
  rrl-ratelimit: 0
  zonefiles-check: yes
remote-control:
  control-enable: no
"""
SOA = "$TTL 60\n@ IN SOA ns hostmaster {serial} 3600 900 604800 60\n@ IN NS ns\nns IN A {ip}\n"


class NameServer:
    """A real nsd in namespace ``dns``. A zone whose text is empty has no file: questions about it get SERVFAIL."""

    def __init__(self, net: Network, zones: dict[str, str]) -> None:
        self._net = net
        self._serial = 0
        self.folder = Path(tempfile.mkdtemp(prefix="penfold-nsd-"))
        self._config = _NSD.format(ip=NAME_SERVER, folder=self.folder)
        for name, text in zones.items():
            self._config += f'zone:\n  name: "{name}"\n  zonefile: "{name}"\n'
            if text:
                self.write(name, text)
        (self.folder / "nsd.conf").write_text(self._config)
        self._process: subprocess.Popen[bytes] | None = None

    def write(self, zone: str, text: str) -> None:
        self._serial += 1
        (self.folder / zone).write_text(f"$ORIGIN {zone}.\n{SOA.format(serial=self._serial, ip=NAME_SERVER)}{text}")

    def start(self, name: str) -> None:
        """Start it, and wait until it answers for a name."""
        argv = [program("ip"), "netns", "exec", self._net.name("dns"), program("nsd"), "-d"]
        self._process = subprocess.Popen(
            [*argv, "-c", str(self.folder / "nsd.conf")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        wait_until(lambda: self.answers(name), self.log)

    def log(self) -> str:
        path = self.folder / "nsd.log"
        return path.read_text() if path.exists() else "nsd wrote no log"

    def ask(self, name: str, kind: str = "SOA", size: int = 1232) -> bytes:
        """Ask over UDP; gives the octets of the answer. Raises OSError."""
        import dns.message

        query = dns.message.make_query(name, kind, use_edns=0, payload=size).to_wire()
        with self._net.inside("mta", lambda: socket.socket(type=socket.SOCK_DGRAM)) as sock:
            sock.settimeout(0.5)
            sock.connect((NAME_SERVER, 53))
            sock.send(query)
            return sock.recv(65535)

    def answers(self, name: str) -> bool:
        """Whether it knows a name."""
        with contextlib.suppress(OSError):
            return self.ask(name)[3] & 15 == 0
        return False

    def reload(self) -> None:
        """Read the zones again."""
        os.kill(int((self.folder / "nsd.pid").read_text()), signal.SIGHUP)

    def pause(self) -> None:
        """Say nothing from now on."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGCONT)

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            os.killpg(process.pid, signal.SIGCONT)
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class _Within(smtplib.SMTP):
    """A client that connects from within a namespace."""

    def __init__(self, net: Network, short: str, ip: str) -> None:
        self._net, self._short = net, short
        super().__init__(ip, 25, local_hostname="client.example.test", timeout=PATIENCE)

    def _get_socket(self, host, port, timeout):
        return self._net.inside(self._short, lambda: socket.create_connection((host, port), timeout))


class FarHost(Host):
    """Penfold in namespace ``mta``, on port 25 of all its addresses; it asks our name server."""

    def __init__(self, net: Network, options: dict[str, dict[str, object]]) -> None:
        self._net = net
        said: dict[str, dict[str, object]] = {
            "relay": {"networks": ["127.0.0.0/8"]},
            "dns": {"resolvers": [f"{NAME_SERVER}:53"], "timeout": "0.5s"},
            "queue": {"retry": ["1h"], "jitter": 0, "dead_host": "1s"},
        }
        super().__init__(
            Settings(
                options={**said, **options},
                listeners={"smtp": {"addresses": ["0.0.0.0:25"]}},
                accounts=("alice",),
                wrapper=(program("ip"), "netns", "exec", net.name("mta")),
            )
        )

    def smtp(self, timeout: float = PATIENCE) -> smtplib.SMTP:
        """Connect to port 25 from its own namespace."""
        return _Within(self._net, "mta", "127.0.0.1")


def until(found: Callable[[], T | None], what: Callable[[], str], seconds: float = PATIENCE) -> T:
    """Wait for something; gives it."""
    end = time.monotonic() + seconds
    while True:
        got = found()
        if got is not None:
            return got
        assert time.monotonic() < end, what()
        time.sleep(0.03)
