"""Other people's mail servers, each unpacked below ``build/peers`` and run from a folder of its own on loopback.

Each takes mail for ``peer.test`` into Maildirs, and hands mail for everybody else to Penfold, with TLS where offered.
Installed they exclude each other; unpacked, all of them may run at once.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from tests.missing import missing
from tests.system.host import PATIENCE, wait_until

PEERS = Path(os.environ.get("PENFOLD_PEERS") or Path(__file__).resolve().parents[2] / "build" / "peers")
DOMAIN = "peer.test"
USERS = ("paul", "eve", "vera")


def unpacked(program: str) -> Path:
    """Find a program of an unpacked server; without it the test is skipped, in CI it fails."""
    path = PEERS / program
    if os.geteuid() != 0:
        missing(f"{program} runs only where root starts it")
    return path if path.exists() else missing(f"{path} is not there (tools/peers.sh unpacks it)")


class MailServer:
    """One running server; ``start`` is each one's own."""

    name = ""
    user = "vmail"  # who owns the mailboxes
    tls = True  # whether its STARTTLS works
    smtputf8 = True

    def __init__(self, next_hop: int) -> None:
        self.next_hop = next_hop
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            self.port = sock.getsockname()[1]
        self.home = Path(tempfile.mkdtemp(prefix=f"penfold-{self.name}-"))
        self.home.chmod(0o755)
        self.mail = self.home / "mail"
        self.log = self.home / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self.certificate, self.key = self.home / "cert.pem", self.home / "key.pem"
        _certify(f"{self.name}.{DOMAIN}", self.certificate, self.key)
        for user in USERS:
            self.folder(f"mail/{user}", self.user)

    def folder(self, name: str, owner: str = "root", mode: int = 0o755) -> Path:
        path = self.home / name
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(mode)
        for each in (path, path.parent) if name.startswith("mail/") else (path,):
            shutil.chown(each, owner)
        return path

    def start(self) -> None:
        raise NotImplementedError

    def run(self, argv: list[object], env: dict[str, str] | None = None) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(word) for word in argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.home,
                env={**os.environ, **(env or {})},
                start_new_session=True,
            )
        wait_until(self.accepts, self.said)

    def accepts(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"it ended with {self._process.returncode}; {self.said()}"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5) as sock:
            return sock.recv(3) == b"220"
        return False

    def said(self) -> str:
        """What it logged."""
        logs = [self.log, *sorted(self.home.glob("logs/*"))]
        return f"{self.name}:\n" + "\n".join(path.read_text(errors="replace")[-6000:] for path in logs if path.exists())

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(2)
            for pid in _session(process.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()
        shutil.rmtree(self.home, ignore_errors=True)

    def messages(self, user: str) -> list[bytes]:
        """What lies in a mailbox."""
        found = []
        for path in sorted((self.mail / user).rglob("new/*")):
            with contextlib.suppress(FileNotFoundError):
                found.append(path.read_bytes())
        return found

    def wait_for_text(self, user: str, text: bytes, seconds: float = PATIENCE) -> bytes:
        """Wait for the message that holds a text."""
        found: list[bytes] = []

        def there() -> bool:
            found[:] = [each for each in self.messages(user) if text in each]
            return bool(found)

        wait_until(there, lambda: f"no message with {text!r} for {user}\n{self.said()}", seconds)
        return found[0]


def _certify(name: str, certificate: Path, key: Path) -> None:
    """Write a self-signed pair; RSA, as all of them have long known."""
    pair = rsa.generate_private_key(65537, 2048)
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(who, who, pair.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(pair, hashes.SHA256())
    )
    certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    kind = serialization.PrivateFormat.TraditionalOpenSSL
    key.write_bytes(pair.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption()))
    key.chmod(0o600)


def _session(group: int) -> Iterator[int]:
    """The processes of a session."""
    for entry in os.listdir("/proc"):
        with contextlib.suppress(OSError, IndexError, ValueError):
            if entry.isdigit():
                fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) == group:
                    yield int(entry)


POSTFIX_SERVICES = """\
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""
POSTFIX_FOLDERS = "active bounce corrupt defer deferred flush hold incoming private saved trace"


class Postfix(MailServer):
    name = "postfix"

    def start(self) -> None:
        import pwd

        master = unpacked("postfix/usr/lib/postfix/sbin/master")
        library = master.parents[1]
        owner = pwd.getpwnam("vmail")
        for each in POSTFIX_FOLDERS.split():
            self.folder(f"q/{each}", "postfix", 0o700)
        for each, mode in (("maildrop", 0o730), ("public", 0o710)):
            shutil.chown(self.folder(f"q/{each}", "postfix", mode), "postfix", "postdrop")
        self.folder("q/pid")
        self.folder("data", "postfix", 0o700)
        etc = self.folder("etc")
        self.folder("logs")
        settings = {
            "compatibility_level": "3.6",
            "queue_directory": self.home / "q",
            "command_directory": PEERS / "postfix/usr/sbin",
            "daemon_directory": master.parent,
            "data_directory": self.home / "data",
            "shlib_directory": library,
            "import_environment": f"MAIL_CONFIG TZ LANG=C LD_LIBRARY_PATH={library}",
            "meta_directory": etc,
            "mail_owner": "postfix",
            "setgid_group": "postdrop",
            "inet_interfaces": "127.0.0.1",
            "inet_protocols": "ipv4",
            "myhostname": f"postfix.{DOMAIN}",
            "mydestination": "",
            "mynetworks": "127.0.0.0/8",
            "maillog_file": self.home / "logs/maillog",
            "maillog_file_prefixes": "/tmp, /var",
            "alias_maps": "",
            "local_recipient_maps": "",
            "disable_dns_lookups": "yes",
            "smtp_host_lookup": "native",
            "smtpd_peername_lookup": "no",
            "smtpd_tls_cert_file": self.certificate,
            "smtpd_tls_key_file": self.key,
            "smtpd_tls_security_level": "may",
            "smtpd_tls_received_header": "yes",
            "smtp_tls_security_level": "may",
            "smtp_tls_loglevel": "1",
            "relayhost": f"[127.0.0.1]:{self.next_hop}",
            "virtual_mailbox_domains": DOMAIN,
            "virtual_mailbox_maps": f"texthash:{etc}/mailboxes",
            "virtual_mailbox_base": self.mail,
            "virtual_uid_maps": f"static:{owner.pw_uid}",
            "virtual_gid_maps": f"static:{owner.pw_gid}",
            "virtual_minimum_uid": "100",
            "virtual_mailbox_limit": "0",
            "minimal_backoff_time": "2s",
            "maximal_backoff_time": "2s",
            "queue_run_delay": "2s",
        }
        (etc / "main.cf").write_text("".join(f"{key} = {value}\n" for key, value in settings.items()))
        (etc / "master.cf").write_text(POSTFIX_SERVICES.format(port=self.port))
        (etc / "mailboxes").write_text("".join(f"{user}@{DOMAIN} {user}/\n" for user in USERS))
        environment = {"MAIL_CONFIG": str(etc), "LD_LIBRARY_PATH": str(library)}
        self.run([master, "-d", "-c", etc], environment)


EXIM = """\
spool_directory = {home}/spool
log_file_path = {home}/logs/%slog
exim_path = {exim}
exim_user = Debian-exim
exim_group = Debian-exim
primary_hostname = exim.{domain}
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
pid_file_path = {home}/exim.pid
keep_environment =
never_users =
deliver_drop_privilege = true
tls_certificate = {certificate}
tls_privatekey = {key}
tls_advertise_hosts = *
smtputf8_advertise_hosts = *
chunking_advertise_hosts = *
dsn_advertise_hosts = *
host_lookup =
rfc1413_hosts =
acl_smtp_rcpt = check
acl_smtp_data = accept
log_selector = +tls_cipher +pipelining +received_recipients
begin acl
check:
  deny domains = {domain}
       !verify = recipient
  accept
begin routers
ours:
  driver = accept
  domains = {domain}
  local_parts = {users}
  transport = maildir
gone:
  driver = redirect
  domains = {domain}
  allow_fail
  data = :fail: Unknown user
others:
  driver = manualroute
  transport = penfold
  route_list = * 127.0.0.1::{next_hop}
  self = send
begin transports
maildir:
  driver = appendfile
  maildir_format
  directory = {home}/mail/$local_part_data
  create_directory
  user = Debian-exim
penfold:
  driver = smtp
  allow_localhost
  hosts_try_fastopen = :
  hosts_try_chunking = *
begin retry
* * F,1h,2s
"""


class Exim(MailServer):
    name = "exim"
    user = "Debian-exim"

    def start(self) -> None:
        exim = unpacked("exim/usr/sbin/exim4")
        self.folder("spool", self.user)
        self.folder("logs", self.user)
        shutil.chown(self.key, self.user)
        config = self.home / "exim.conf"
        config.write_text(
            EXIM.format(
                home=self.home,
                exim=exim,
                domain=DOMAIN,
                port=self.port,
                next_hop=self.next_hop,
                certificate=self.certificate,
                key=self.key,
                users=":".join(USERS),
            )
        )
        self.run([exim, "-C", config, "-bdf", "-q2s"])


OPENSMTPD = """\
pki ours cert "{certificate}"
pki ours key "{key}"
table people "file:{home}/users"
table names "file:{home}/virtual"
queue ttl 1h
listen on 127.0.0.1 port {port} tls pki ours hostname opensmtpd.{domain}
action "local" maildir "{home}/mail/%{{user.username}}" virtual <names> userbase <people>
action "out" relay host "smtp://127.0.0.1:{next_hop}"
match from any for domain "{domain}" action "local"
match from any for any action "out"
"""
# Where OpenSMTPD was told at its birth that its things lie: given to it in a mount namespace of its own.
OPENSMTPD_PLACES = """
set -e
mount --make-rprivate /
for place in /usr/libexec /var/spool /var/lib /run; do mount -t tmpfs tmpfs $place; done
ln -s "$1/usr/libexec/opensmtpd" /usr/libexec/opensmtpd
mkdir -p /var/spool/smtpd /var/lib/opensmtpd/empty
chmod 711 /var/spool/smtpd
exec "$1/usr/sbin/smtpd" -d -f "$2"
"""


class OpenSmtpd(MailServer):
    """Debian's 6.8 under OpenSSL 3 offers STARTTLS and then fails every handshake: who may must go on in the clear."""

    name = "opensmtpd"
    tls = False
    smtputf8 = False

    def start(self) -> None:
        import pwd

        smtpd = unpacked("opensmtpd/usr/sbin/smtpd")
        owner = pwd.getpwnam(self.user)
        users = "".join(f"{user} {owner.pw_uid}:{owner.pw_gid}:{self.mail}/{user}\n" for user in USERS)
        (self.home / "users").write_text(users)
        (self.home / "virtual").write_text("".join(f"{user}@{DOMAIN} {user}\n" for user in USERS))
        config = self.home / "smtpd.conf"
        config.write_text(
            OPENSMTPD.format(
                home=self.home,
                domain=DOMAIN,
                port=self.port,
                next_hop=self.next_hop,
                certificate=self.certificate,
                key=self.key,
            )
        )
        self.run(["unshare", "-m", "sh", "-c", OPENSMTPD_PLACES, "sh", smtpd.parents[2], config])


SERVERS = {server.name: server for server in (Postfix, Exim, OpenSmtpd)}
