"""A whole mail host for a test: ``penfold serve`` with its roles, in a folder of its own, on loopback high ports.

As root every role runs under a user of its own: those that every Debian system has and that own nothing here.
"""

import contextlib
import functools
import itertools
import json
import os
import random
import re
import secrets
import shutil
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from penfold.directory import passwords

ROOT = os.geteuid() == 0
SOURCE = Path(os.environ.get("PENFOLD_SOURCE") or Path(__file__).resolve().parents[2] / "src")  # what is run
USERS = {"receive": "nobody", "queue": "mail", "local": "news", "auth": "proxy"}
PASSWORDS = {"alice": "alice-demo", "bob": "bob-demo", "carol": "carol-demo"}
DOMAIN = "example.test"
PATIENCE = 30.0  # seconds anything may take before the test has failed

Options = dict[str, dict[str, object]]


# Tests that run at the same time have ports of their own, below those that the kernel gives to clients: what one test
# takes for a dead port never is another's server.
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 8
PORTS = range(10_000 + _WORKER * 2_800, 10_000 + (_WORKER + 1) * 2_800)
_ports = itertools.cycle(random.sample(PORTS, len(PORTS)))


def free_port() -> int:
    """A port nobody listens on at this moment; another one each time."""
    for port in itertools.islice(_ports, len(PORTS)):
        with socket.socket() as sock, contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no free ports")


def wait_until(true: Callable[[], object], what: object = "it", seconds: float = PATIENCE) -> None:
    """Poll until something is so; fails when it takes too long."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, f"{what() if callable(what) else what}: not within {seconds} s"
        time.sleep(0.02)


@functools.cache
def _hashed(password: str) -> str:
    return passwords.make(password)


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f'"{key}" = {_toml(each)}' for key, each in value.items()) + " }"
    return json.dumps(value)


@dataclass
class Settings:
    """What a test wants of its host: options by section (``""`` is the top), listeners' options by name."""

    options: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    listeners: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    doors: tuple[str, ...] = ("smtp", "submission", "submissions", "lmtp")  # roles of listeners, and their names
    accounts: tuple[str, ...] = ("alice", "bob", "carol")
    files: Mapping[str, str] = field(default_factory=dict)  # written beside the configuration; {home} is replaced
    descriptors: int = 0  # RLIMIT_NOFILE of the server
    wrapper: tuple[str, ...] = ()


class Host:
    """One running host. Use as a context manager: it is stopped by its id, and nothing may be left."""

    def __init__(self, settings: Settings | None = None, *, home: Path | None = None, data: Path | None = None) -> None:
        self.settings = settings or Settings()
        self._own = home is None
        self.home = home or Path(tempfile.mkdtemp(prefix="penfold-host-"))
        self.home.chmod(0o755)
        self.data = data or self.home / "data"
        self.mail = self.home / "mail"
        self.config = self.home / "penfold.toml"
        self.ports = {name: free_port() for name in self.settings.doors}
        self._process: subprocess.Popen[bytes] | None = None
        self._log = self.home / "stderr"
        self._group = 0
        self.write()

    # -- the configuration

    def write(self, options: Mapping[str, Mapping[str, object]] | None = None) -> None:
        """Write the configuration, with these options over the test's own."""
        sections = self._sections()
        for source in (self.settings.options, options or {}):
            for section, said in source.items():
                sections.setdefault(section, {}).update(said)
        lines = [f"{key} = {_toml(value)}" for key, value in sections.pop("", {}).items()]
        for section, said in sections.items():
            lines += [f"[{section}]", *(f"{key} = {_toml(value)}" for key, value in said.items())]
        for name in self.settings.accounts:
            lines += ["[[account]]", f'address = "{name}@{DOMAIN}"', f'mailbox = "maildir:{name}"']
            lines += [f"password_hash = {_toml(_hashed(PASSWORDS[name]))}"]
        self._put(self.config, "\n".join(lines).replace("{home}", str(self.home)) + "\n")
        for name, text in self.settings.files.items():
            self._put(self.home / name, text.replace("{home}", str(self.home)))

    @staticmethod
    def _put(path: Path, text: str) -> None:
        path.write_text(text)
        path.chmod(0o644)

    def _sections(self) -> Options:
        roles: dict[str, object] = {"receive": 2}
        if ROOT:
            roles |= {f"user_{role}": user for role, user in USERS.items()} | {"group": "nogroup"}
        found = {
            f"listen.{name}": {
                "role": name,
                "addresses": [f"127.0.0.1:{self.ports[name]}"],
                **self.settings.listeners.get(name, {}),
            }
            for name in self.settings.doors
        }
        return {
            "": {"hostname": "mx.example.test", "data": str(self.data), "local_domains": [DOMAIN, "mx.example.test"]},
            "tls": {"certificate": "auto"},
            "auth": {"failures": 1000},
            "limits": {"connections_per_client": 20_000, "connection_rate": 0},
            "queue": {"reserve": "1 MiB", "retry": ["1s"], "jitter": 0, "dead_host": "1s"},
            "delivery": {"mail_root": str(self.mail)},
            "roles": roles,
            **found,
        }

    # -- the process

    def start(self, seconds: float = PATIENCE) -> "Host":
        """Start, and wait until it accepts."""
        code = "from penfold.cli.main import main; raise SystemExit(main())"
        argv = [*self.settings.wrapper, sys.executable, "-c", code, "serve", "--config", str(self.config)]
        if self.settings.descriptors:
            argv = ["sh", "-c", f'ulimit -n {self.settings.descriptors}; exec "$@"', "sh", *argv]
        env = {**os.environ, "PYTHONPATH": str(SOURCE), "PYTHONDONTWRITEBYTECODE": "1"}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                argv, stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL, env=env, start_new_session=True
            )
        self._group = self._process.pid
        assert self._process.stdout is not None
        with _deadline(seconds, self._process):
            first = self._process.stdout.readline()
        assert first == b"ready\n", f"it said {first!r}:\n{self.log()}"
        return self

    def stop(self) -> None:
        """Stop it as a service manager does, and see that nothing is left."""
        process = self._process
        if process is None:
            return
        self._process = None
        process.terminate()
        try:
            code: int | None = process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            code = None
        left = self._left()
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
        assert code == 0, f"it ended with {code}:\n{self.log()}"
        assert not left, f"processes are left: {left}\n{self.log()}"

    def kill(self) -> None:
        """Kill the supervisor without a word, and wait until its roles have noticed."""
        assert self._process is not None
        process, self._process = self._process, None
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
        wait_until(lambda: not self._left(), lambda: f"roles outlive their supervisor: {self._left()}\n{self.log()}")

    def restart(self) -> None:
        """Stop and start."""
        self.stop()
        self.start()

    def reload(self) -> None:
        """Ask it to read its configuration again; waits for its answer in the log."""
        before = self._reloads()
        self.signal(signal.SIGHUP)
        wait_until(lambda: self._reloads() > before, self.log)

    def _reloads(self) -> int:
        said = self.log()
        return said.count("configuration reloaded:") + said.count("the old configuration stays in force:")

    def signal(self, number: int) -> None:
        """Send the supervisor a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def signal_role(self, role: str, name: str) -> None:
        """Send every process of a role a signal, by its name without SIG."""
        for pid in self.pids(role):
            os.kill(pid, signal.Signals[f"SIG{name}"])

    @property
    def pid(self) -> int:
        """The supervisor's."""
        assert self._process is not None
        return self._process.pid

    def log(self) -> str:
        """What it wrote to standard error."""
        return self._log.read_text(errors="replace")

    def stacks(self) -> str:
        """The log, with what each role says it is waiting for: for the message of a failed test."""
        known = len(self.log())
        asked = [pid for pid, role in self.roles().items() if role not in {"?", "exec", "opener"}]
        for pid in asked:
            os.kill(pid, signal.SIGQUIT)
        until = time.monotonic() + 5
        while self.log()[known:].count(" tasks\n") < len(asked) and time.monotonic() < until:
            time.sleep(0.05)
        return self.log()

    def _left(self) -> list[int]:
        """Processes of its session, which every role inherits."""
        found = []
        for entry in os.listdir("/proc"):
            with contextlib.suppress(OSError, IndexError, ValueError):
                if entry.isdigit():
                    stat = Path(f"/proc/{entry}/stat").read_text()
                    rest = stat.rpartition(")")[2].split()
                    if int(rest[3]) == self._group and rest[0] != "Z":
                        found.append(int(entry))
        return found

    def roles(self) -> dict[int, str]:
        """The processes under the supervisor: pid and role, by what it recorded and the kernel still knows."""
        named: dict[int, str] = {}
        for path in sorted((self.data / "events").glob("*supervisor*")):
            for line in path.read_text(errors="replace").splitlines():
                if '"role-started"' in line:
                    event = json.loads(line[line.index("{") :])
                    named[event["pid"]] = event["role"]
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return {pid: named.get(pid, "?") for pid in map(int, children)}

    def pids(self, role: str) -> list[int]:
        """The processes of a role."""
        return [pid for pid, name in self.roles().items() if name == role]

    def memory(self, role: str) -> int:
        """Octets of resident memory of a role's own (private pages and its share of common ones), added up."""
        return sum(_pss(pid) for pid in self.pids(role))

    # -- mail

    def smtp(self, timeout: float = PATIENCE) -> smtplib.SMTP:
        """Connect to port smtp."""
        return smtplib.SMTP("127.0.0.1", self.ports["smtp"], local_hostname="client.example.test", timeout=timeout)

    def connect(self, name: str = "smtp", timeout: float = PATIENCE) -> "Wire":
        """Connect and read the greeting."""
        return Wire(socket.create_connection(("127.0.0.1", self.ports[name]), timeout))

    def messages(self, user: str) -> list[bytes]:
        """What lies in a mailbox, in order of delivery."""
        folder = self.mail / user
        found = []
        for name in sorted([*folder.glob("new/*"), *folder.glob("cur/*")], key=lambda path: path.name):
            with contextlib.suppress(FileNotFoundError):
                found.append(name.read_bytes())
        return found

    def count(self, user: str) -> int:
        """How many messages lie in a mailbox."""
        folder = self.mail / user / "new"
        return len(os.listdir(folder)) if folder.is_dir() else 0

    def wait_for(self, user: str, count: int = 1, seconds: float = PATIENCE) -> list[bytes]:
        """Wait until so many messages lie in a mailbox."""
        wait_until(
            lambda: self.count(user) >= count,
            lambda: f"{self.count(user)} of {count} messages for {user}\n{self.log()[-4000:]}",
            seconds,
        )
        return self.messages(user)

    def wait_for_text(self, user: str, text: bytes, seconds: float = PATIENCE) -> bytes:
        """Wait for the message that holds a text."""
        found: list[bytes] = []

        def there() -> bool:
            found[:] = [each for each in self.messages(user) if text in each]
            return bool(found)

        wait_until(there, lambda: f"no message with {text!r} for {user}\n{self.log()[-4000:]}", seconds)
        return found[0]

    def events(self, kind: str = "") -> list[dict[str, object]]:
        """What the event log holds, of one kind."""
        found = []
        for path in sorted((self.data / "events").iterdir()):
            for line in path.read_text(errors="replace").splitlines():
                with contextlib.suppress(ValueError):
                    event = json.loads(line[line.index("{") :])
                    if not kind or event.get("kind") == kind:
                        found.append(event)
        return found

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self._abandon()
            raise

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self.stop()
        finally:
            if kind is not None:
                sys.stderr.write(f"--- the host's log\n{self.log()[-6000:]}\n")
            self._abandon()

    def _abandon(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
        if self._group:
            for pid in self._left():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        if self._own:
            shutil.rmtree(self.home, ignore_errors=True)


@contextlib.contextmanager
def _deadline(seconds: float, process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """Kill a process that is still silent after so long: reading from it then ends."""
    import threading

    timer = threading.Timer(seconds, process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


def resident(pid: int) -> int:
    """Octets of memory a process has at this moment; the high-water mark begins anew."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return _status(pid, "VmRSS")


def high_water(pid: int) -> int:
    """The most octets a process had since ``resident`` was asked."""
    return _status(pid, "VmHWM")


def _status(pid: int, name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def _pss(pid: int) -> int:
    found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


class Wire:
    """A client that says exactly what a test wants, and reads replies."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._buffer = b""
        try:
            self.banner = self.reply()
        except OSError:
            sock.close()
            raise

    def reply(self) -> bytes:
        """The next reply, all its lines; empty at the end."""
        lines = b""
        while True:
            line = self._line()
            lines += line
            if line[3:4] != b"-":
                return lines

    def _line(self) -> bytes:
        while b"\n" not in self._buffer:
            got = self.sock.recv(65536)
            if not got:
                line, self._buffer = self._buffer, b""
                return line
            self._buffer += got
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line + b"\n"

    def send(self, octets: bytes) -> None:
        """Send as it is."""
        self.sock.sendall(octets)

    def say(self, line: str | bytes) -> bytes:
        """Send a line, read the reply."""
        self.send((line.encode() if isinstance(line, str) else line) + b"\r\n")
        return self.reply()

    def replies(self, count: int) -> list[bytes]:
        """So many replies."""
        return [self.reply() for _ in range(count)]

    def rest(self) -> bytes:
        """All that comes until the server closes."""
        got = self._buffer
        self._buffer = b""
        with contextlib.suppress(ConnectionResetError):
            while more := self.sock.recv(65536):
                got += more
        return got

    def start_tls(self) -> None:
        """Go on in TLS."""
        self.sock = unverified().wrap_socket(self.sock)

    def close(self) -> None:
        self.sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def unverified() -> ssl.SSLContext:
    """A client's TLS that takes our self-signed certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def token() -> str:
    """A word that is in no other message."""
    return secrets.token_hex(8)


def text_message(subject: str = "hello", body: str = "A line.\n", **fields: str) -> bytes:
    """A small message as a client sends it."""
    head = {"From": "eve@other.test", "To": f"alice@{DOMAIN}", "Subject": subject, **fields}
    text = "".join(f"{key}: {value}\n" for key, value in head.items()) + "\n" + body
    return text.encode().replace(b"\n", b"\r\n")
