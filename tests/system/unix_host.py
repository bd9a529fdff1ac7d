"""A host that delivers to Unix users, and Unix users made for a test."""

import contextlib
import grp
import os
import pwd
import secrets
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.system.host import DOMAIN, ROOT, Host, Settings, text_message, wait_until

MARKS = [
    pytest.mark.xdist_group("host"),
    pytest.mark.root,
    pytest.mark.skipif(
        not ROOT and not os.environ.get("PENFOLD_CI"), reason="needs root: creates users and becomes them"
    ),
]
PROGRAM_USER = "games"
MAIL = grp.getgrnam("mail").gr_gid


class User:
    """A Unix user made for a test."""

    def __init__(self, *options: str) -> None:
        self.name = f"pf{secrets.token_hex(5)}"
        # A uid of its own: one that is used again would show the agents of the user before.
        uid = () if "-u" in options else ("-u", str(20_000 + secrets.randbelow(39_000)))
        subprocess.run(["useradd", "-m", *uid, *options, self.name], check=True, capture_output=True)
        entry = pwd.getpwnam(self.name)
        self.uid, self.gid, self.home = entry.pw_uid, entry.pw_gid, Path(entry.pw_dir)
        self.address = f"{self.name}@{DOMAIN}"

    def put(self, name: str, text: str, mode: int = 0o600) -> Path:
        """Write a file of the user's in the home."""
        path = self.home / name
        path.write_text(text)
        os.chown(path, self.uid, self.gid)
        path.chmod(mode)
        return path

    def remove(self) -> None:
        subprocess.run(["userdel", "-r", "-f", self.name], check=False, capture_output=True)


@pytest.fixture
def person() -> Iterator[Callable[..., User]]:
    made: list[User] = []

    def make(*options: str) -> User:
        made.append(User(*options))
        return made[-1]

    yield make
    for user in made:
        user.remove()


def settings(mailbox: str = "", aliases: str = "", **delivery: object) -> Settings:
    options: dict[str, dict[str, object]] = {
        "delivery": {"unix_users": True, "program_user": PROGRAM_USER, "lock_timeout": "1s", **delivery}
    }
    if mailbox:
        options["delivery"]["unix_mailbox"] = mailbox
    return Settings(options=options, accounts=(), files={"aliases": aliases})


class UnixHost(Host):
    """A host with a mail spool directory of its own, a place where programs may write, and aliases."""

    def __init__(self, said: Settings, spool_mode: int = 0o2775) -> None:
        super().__init__(said)
        self.spool = self.home / "mail-spool"
        self.out = self.home / "out"
        self.spool.mkdir()
        os.chown(self.spool, 0, MAIL)
        self.spool.chmod(spool_mode)
        self.out.mkdir()
        self.out.chmod(0o1777)
        options = said.options["delivery"]
        mailbox = str(options.get("unix_mailbox", "mbox:{spool}/{user}")).replace("{spool}", str(self.spool))
        aliases = {"aliases": [str(self.home / "aliases")]}
        self.write({"delivery": {"unix_mailbox": mailbox}, "routing": aliases, "": {"postmaster": f"root@{DOMAIN}"}})
        # ``{home}`` is the host's own folder in all it writes: a user's home is said as ~ here.
        self.config.write_text(self.config.read_text().replace(":~/", ":{home}/"))

    def script(self, name: str, text: str) -> str:
        """Write a program anybody may run; gives its path."""
        path = self.home / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return str(path)

    def whoami(self) -> str:
        """Write a program that tells who runs it, in a file named after it; gives its path."""
        return self.script("whoami", f'umask 022; cat > /dev/null; id > "{self.out}/$(id -un)"')

    def send(self, *to: str, subject: str = "hello", body: str = "A line.\n") -> None:
        with self.smtp() as client:
            client.sendmail("eve@other.test", list(to), text_message(subject, body))

    def mbox(self, user: User) -> bytes:
        """What lies in a user's mailbox in the spool directory."""
        with contextlib.suppress(FileNotFoundError):
            return (self.spool / user.name).read_bytes()
        return b""

    def wait_for_mbox(self, user: User, text: str = "A line.") -> bytes:
        """Wait until a mailbox holds a text."""
        wait_until(lambda: text.encode() in self.mbox(user), lambda: f"{text} for {user.name}\n{self.trouble()}", 15)
        return self.mbox(user)

    def wait_for_file(self, path: Path, seconds: float = 15) -> str:
        """Wait for a file that is not empty."""
        wait_until(lambda: path.exists() and path.stat().st_size, lambda: f"{path}\n{self.trouble()}", seconds)
        return path.read_text()

    def wait_for_refusal(self, text: str) -> dict[str, object]:
        """Wait for a failed attempt whose reply holds a text."""
        found: list[dict[str, object]] = []

        def there() -> bool:
            found[:] = [event for event in self.events("attempt") if text in str(event.get("reply", ""))]
            return bool(found)

        wait_until(there, lambda: f"no attempt says {text!r}\n{self.trouble()}", 15)
        return found[0]

    def trouble(self) -> str:
        return "\n".join(map(str, [*self.events("attempt")[-5:], self.log()[-3000:]]))


@pytest.fixture(scope="module")
def host() -> Iterator[UnixHost]:
    """One host for most tests: mbox in a spool directory of group mail, mode 2775."""
    if not ROOT:
        pytest.skip("needs root")
    with UnixHost(settings()) as running:
        yield running


def refusals(host: UnixHost, user: User) -> list[str]:
    return [
        str(event["reply"])
        for event in host.events("attempt")
        if event.get("recipient") == user.address and event["outcome"] == "deferred"
    ]


def processes_of(uid: int) -> dict[int, dict[str, str]]:
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError, ValueError):
                lines = Path(f"/proc/{entry}/status").read_text().splitlines()
                facts = dict(line.split(":", 1) for line in lines if ":" in line)
                if int(facts["Uid"].split()[1]) == uid and "Z" not in facts["State"]:
                    found[int(entry)] = facts
    return found


def commands_of(uid: int) -> str:
    found = []
    for pid in processes_of(uid):
        with contextlib.suppress(OSError):
            found.append(Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode())
    return "\n".join(found)
