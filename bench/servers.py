"""The servers that are measured, each with a spool and mailboxes of its own below the scratch directory.

Postfix runs from its unpacked package with its own master, the daemons of a stock ``master.cf`` and fsync as shipped.
Penfold runs as its command with the configuration a site would write; as root every role has a user of its own.
"""

import json
import os
import pwd
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Protocol

from bench.family import Family
from bench.rig import DOMAIN, MAILBOXES, PEERS, ROOT, CannotMeasureError, count_mail, free_port, wait_for_port

# Users every Debian system has: nothing needs to be created, or removed.
USERS = {"receive": "nobody", "queue": "daemon", "local": "mail", "auth": "games"}
GROUP = "nogroup"


class Server(Protocol):
    """A server under measurement."""

    name: str
    port: int
    family: Family

    def delivered(self) -> int:
        """Count the messages that reached a mailbox."""

    def stop(self) -> None:
        """End it."""


class Penfold:
    """Penfold; ``smart_host`` is a port to relay everything else to."""

    name = "Penfold"

    def __init__(self, place: Path, *, smart_host: int = 0, extra: str = "", receive: int = 1) -> None:
        self.port = free_port()
        self.family = Family("penfold")
        self._data = place / "penfold"
        self._mail = self._data / "mail" / DOMAIN
        os.makedirs(self._data)
        self.config = self._data / "penfold.toml"
        self.config.write_text(self._text(smart_host, receive) + extra + _accounts())
        self._log = (self._data / "log").open("wb")
        self._process = self.family.start(
            [sys.executable, "-m", "penfold.cli.main", "serve", "--config", str(self.config)],
            stdout=subprocess.PIPE,
            stderr=self._log,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": os.environ.get("PENFOLD_SOURCE", str(ROOT / "src"))},
        )
        if not self._process.stdout or self._process.stdout.readline() != b"ready\n":
            said = (self._data / "log").read_text()[-800:]
            self.stop()
            raise CannotMeasureError(f"Penfold did not start:\n{said}")

    def _text(self, smart_host: int, receive: int) -> str:
        lines = [
            'hostname = "mx.example.test"',
            f'data = "{self._data}"',
            f'local_domains = ["{DOMAIN}"]',
        ]
        if smart_host:
            lines += [
                f'routing.smart_host = "[127.0.0.1]:{smart_host}"',
                'routing.smart_host_tls = "none"',
                'relay.networks = ["127.0.0.0/8"]',
            ]
        lines += ["[roles]", f"receive = {receive}", f'group = "{GROUP}"']
        lines += [f'user_{role} = "{user}"' for role, user in USERS.items()]
        lines += ["[listen.smtp]", 'role = "smtp"', f'addresses = ["127.0.0.1:{self.port}"]', ""]
        return "\n".join(lines)

    def roles(self) -> dict[str, list[int]]:
        """Give the process numbers by role; the supervisor is one of them."""
        found = {"supervisor": [self._process.pid]}
        for path in (self._data / "events").glob("*-supervisor-*.jsonl"):
            for event in map(json.loads, path.read_text().splitlines()):
                if event["kind"] == "role-started" and Path(f"/proc/{event['pid']}").exists():
                    found.setdefault(event["role"], []).append(event["pid"])
        return found

    def delivered(self) -> int:
        return count_mail(self._mail)

    def stop(self) -> None:
        self.family.end()
        if self._process.stdout:
            self._process.stdout.close()
        self._process.wait()
        self._log.close()


def _accounts() -> str:
    return "".join(f'[[account]]\naddress = "u{number}@{DOMAIN}"\n' for number in range(MAILBOXES))


_SPOOL = {
    "active": ("postfix", "root", 0o700),
    "bounce": ("postfix", "root", 0o700),
    "corrupt": ("postfix", "root", 0o700),
    "defer": ("postfix", "root", 0o700),
    "deferred": ("postfix", "root", 0o700),
    "flush": ("postfix", "root", 0o700),
    "hold": ("postfix", "root", 0o700),
    "incoming": ("postfix", "root", 0o700),
    "private": ("postfix", "root", 0o700),
    "maildrop": ("postfix", "postdrop", 0o730),
    "public": ("postfix", "postdrop", 0o710),
    "pid": ("root", "root", 0o755),
    "saved": ("postfix", "root", 0o700),
    "trace": ("postfix", "root", 0o700),
}

_MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """Postfix from its unpacked package; ``smart_host`` is a port to relay everything to."""

    name = "Postfix"

    def __init__(self, place: Path, *, smart_host: int = 0) -> None:
        tree = PEERS / "postfix"
        if not (tree / "usr/lib/postfix/sbin/master").exists():
            raise CannotMeasureError("no Postfix below build/peers: run tools/peers.sh as root")
        self.port = free_port()
        self.family = Family("postfix")
        self._base = place / "postfix"
        self._mail = self._base / "mail"
        _make_tree(self._base)
        (self._base / "etc/main.cf").write_text(_main_cf(tree, self._base, smart_host))
        (self._base / "etc/master.cf").write_text(_MASTER.format(port=self.port))
        self._start(tree)

    def _start(self, tree: Path) -> None:
        sbin = tree / "usr/lib/postfix/sbin"
        environment = os.environ | {
            "MAIL_CONFIG": str(self._base / "etc"),
            "PATH": f"{tree}/usr/sbin:{os.environ['PATH']}",
            "LD_LIBRARY_PATH": str(tree / "usr/lib/postfix"),
        }
        # Without these files two daemons that start at once race for a lock, and the loser is throttled for a minute.
        for name in (f"inet.127.0.0.1:{self.port}", *(f"unix.{n}" for n in ("cleanup", "smtp", "virtual", "bounce"))):
            lock = self._base / "q/pid" / name
            lock.touch(0o600)
        self.family.start(
            [str(sbin / "master"), "-w", "-c", str(self._base / "etc")], env=environment, cwd=self._base / "q"
        ).wait()
        wait_for_port(self.port)

    def delivered(self) -> int:
        return count_mail(self._mail)

    def stop(self) -> None:
        self.family.end()


def _make_tree(base: Path) -> None:
    for name in ("etc", "data", "mail", "q"):
        (base / name).mkdir(parents=True)
    for name, (user, group, mode) in _SPOOL.items():
        place = base / "q" / name
        place.mkdir()
        shutil.chown(place, user, group)
        place.chmod(mode)
    shutil.chown(base / "data", "postfix")
    for number in range(MAILBOXES):
        box = base / "mail" / f"u{number}"
        box.mkdir()
        shutil.chown(box, "vmail", "vmail")
    addresses = (f"u{number}@{DOMAIN} u{number}/\n" for number in range(MAILBOXES))
    (base / "etc/mailboxes").write_text("".join(addresses))


def _main_cf(tree: Path, base: Path, smart_host: int) -> str:
    user = pwd.getpwnam("vmail")
    said = {
        "compatibility_level": "3.6",
        "queue_directory": base / "q",
        "command_directory": tree / "usr/sbin",
        "daemon_directory": tree / "usr/lib/postfix/sbin",
        "data_directory": base / "data",
        "shlib_directory": tree / "usr/lib/postfix",
        "meta_directory": base / "etc",
        # The daemons find their libraries where the package was unpacked.
        "import_environment": "MAIL_CONFIG TZ LD_LIBRARY_PATH",
        "mail_owner": "postfix",
        "setgid_group": "postdrop",
        "inet_interfaces": "127.0.0.1",
        "inet_protocols": "ipv4",
        "myhostname": "pf.example",
        "mydestination": "",
        "mynetworks": "127.0.0.0/8",
        "maillog_file": base / "log",
        "maillog_file_prefixes": base,
        "alias_maps": "",
        "local_recipient_maps": "",
        "smtputf8_enable": "no",
        "smtpd_peername_lookup": "no",
        "smtpd_client_connection_count_limit": 0,
        "disable_dns_lookups": "yes",
        "smtp_host_lookup": "native",
        "message_size_limit": 50_000_000,
        "virtual_mailbox_limit": 0,
        "virtual_mailbox_base": base / "mail",
        "virtual_uid_maps": f"static:{user.pw_uid}",
        "virtual_gid_maps": f"static:{user.pw_gid}",
        "virtual_minimum_uid": 100,
    }
    if smart_host:
        said["relayhost"] = f"[127.0.0.1]:{smart_host}"
    else:
        said["virtual_mailbox_domains"] = DOMAIN
        said["virtual_mailbox_maps"] = f"texthash:{base}/etc/mailboxes"
    return "".join(f"{name} = {value}\n" for name, value in said.items())


class Sink:
    """Postfix's ``smtp-sink``: takes every message and throws it away."""

    def __init__(self, place: Path) -> None:
        tree = PEERS / "postfix"
        self.port = free_port()
        self.family = Family("sink")
        self._said = place / "sink"
        self.family.start(
            [str(tree / "usr/sbin/smtp-sink"), "-u", "nobody", "-c", f"127.0.0.1:{self.port}", "2000"],
            stdout=self._said.open("wb"),
            env=os.environ | {"LD_LIBRARY_PATH": str(tree / "usr/lib/postfix")},
        )
        wait_for_port(self.port)

    def taken(self) -> int:
        """Count the messages it took since it was started."""
        with self._said.open("rb") as said:
            said.seek(max(0, self._said.stat().st_size - 200))
            counts = re.findall(rb"mesg=(\d+)", said.read())
        return int(counts[-1]) if counts else 0

    def stop(self) -> None:
        """End it."""
        self.family.end()
