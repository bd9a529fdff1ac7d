"""Cross-checks of a configuration: what is well-formed but wrong, dangerous, or will not work on this host.

Each rule is a function from the Subject to findings; RULES is the table of them. Nothing is changed, nothing is
connected to; files are looked at, never written.

Standards: RFC 5321 §3.6.1 (relaying), §4.5.1 (postmaster); RFC 2505 §2.1
Trust: the configuration is the administrator's; certificates and tables are only opened for reading.
"""

import ipaddress
import os
import pwd
import resource
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import msgspec

from penfold.config.document import Document
from penfold.config.kinds import Endpoint, read_endpoint
from penfold.config.load import examine, load_secrets
from penfold.config.locate import Path
from penfold.config.sections import Account, Config, Listener
from penfold.model.address import parse_address
from penfold.model.errors import ConfigError

Severity = Literal["error", "warning"]
LARGEST_RELAY = {4: 8, 6: 19}  # prefix lengths below which a network is no one's own
WIDE_RELAY = {4: 16, 6: 32}
LARGEST_SUM = 1 << 26  # public IPv4 addresses relayed for in all: four networks of the largest size
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")
_WILDCARDS = {"0.0.0.0", "::"}


class Finding(msgspec.Struct, frozen=True):
    """One thing found: an ``error`` keeps Penfold from starting, a ``warning`` does not."""

    severity: Severity
    file: str
    line: int
    column: int
    problem: str
    hint: str = ""

    def __str__(self) -> str:
        """Show as compilers do."""
        text = f"{self.file}:{self.line}:{self.column}: {self.severity}: {self.problem}"
        return f"{text}\n  hint: {self.hint}" if self.hint else text


@dataclass(frozen=True, slots=True)
class Subject:
    """What the rules look at: the configuration, the document it came from, the time."""

    config: Config
    document: Document
    now: float

    def error(self, path: Path, problem: str, hint: str = "") -> Finding:
        """Find something that must not be."""
        return Finding("error", self.document.file, *self.document.position(path), problem, hint)

    def warning(self, path: Path, problem: str, hint: str = "") -> Finding:
        """Find something that should not be."""
        return Finding("warning", self.document.file, *self.document.position(path), problem, hint)

    @property
    def ours(self) -> set[str]:
        """The domains whose mail ends here."""
        return {*self.config.local_domains, *(domain.name for domain in self.config.domains)}


Rule = Callable[[Subject], Iterator[Finding]]


def check(path: str, *, hostname: str = "", now: float | None = None) -> list[Finding]:
    """Check a configuration file, form and content; errors first, then in the order of the file."""
    try:
        loaded = examine(path, hostname=hostname)
    except ConfigError as error:
        return [_from_error(error)]
    if loaded.config is None:
        return [_from_error(error) for error in loaded.problems]
    found = check_config(loaded.config, loaded.document, time.time() if now is None else now)
    return sorted(found, key=lambda finding: (finding.severity, finding.line, finding.column))


def check_config(config: Config, document: Document, now: float) -> list[Finding]:
    """Apply every rule to a loaded configuration."""
    subject = Subject(config, document, now)
    return [finding for rule in RULES for finding in rule(subject)]


def load_checked(path: str, *, hostname: str = "") -> tuple[Config, list[Finding]]:
    """Load a configuration that is fit to run with; gives the warnings too. Raises ConfigError at the first error."""
    findings = check(path, hostname=hostname)
    for finding in findings:
        if finding.severity == "error":
            where = {"file": finding.file, "hint": finding.hint}
            raise ConfigError(finding.problem, line=finding.line, column=finding.column, **where)
    loaded = examine(path, hostname=hostname)
    if loaded.config is None:  # the file changed between the two readings
        raise loaded.problems[0]
    return loaded.config, findings


def _from_error(error: ConfigError) -> Finding:
    return Finding("error", error.file, error.line, error.column, error.problem, error.hint)


def relay_is_closed(subject: Subject) -> Iterator[Finding]:
    """Refuse networks that nobody owns: with them, anybody may send anything to anybody through us."""
    covered = 0
    for index, text in enumerate(subject.config.relay.networks):
        path: Path = ("relay", "networks", index)
        network = ipaddress.ip_network(text)
        if _own(network):
            continue
        covered += network.num_addresses if network.version == 4 else 0
        if network.prefixlen < LARGEST_RELAY[network.version] or _mapped(network) or covered > LARGEST_SUM:
            problem = f"{text} makes this host an open relay: strangers could send to anyone through it"
            yield subject.error(path, problem, 'list only your own networks, as "192.0.2.0/24", or let users log in')
        elif network.prefixlen < WIDE_RELAY[network.version]:
            yield subject.warning(path, f"{text} is a very large network to relay for", "is all of it yours?")


def _own(network: Network) -> bool:
    return network.is_private and network.prefixlen > 0 and not _mapped(network)


def _mapped(network: Network) -> bool:
    """Whether it holds IPv4 addresses in their IPv6 form, all of them at ``::ffff:0:0/96``."""
    return network.version == 6 and _MAPPED.overlaps(network)


def trusted_neighbours_are_few(subject: Subject) -> Iterator[Finding]:
    """Refuse to believe everybody who claims to be somebody else."""
    for listener in subject.config.listen:
        for option in ("proxy_protocol", "xclient_from"):
            for index, text in enumerate(getattr(listener, option)):
                network = ipaddress.ip_network(text)
                if network.prefixlen < LARGEST_RELAY[network.version]:
                    path = ("listen", listener.name, option, index)
                    problem = f"{text}: any client could claim any address"
                    yield subject.error(path, problem, "list the addresses of your own proxies")
    for index, text in enumerate(subject.config.limits.exempt):
        if ipaddress.ip_network(text).prefixlen == 0:
            yield subject.warning(("limits", "exempt", index), f"{text} frees every client from its limits")


def tables_are_there(subject: Subject) -> Iterator[Finding]:
    """Look for the files that tables are read from."""
    routing = subject.config.routing
    files: list[tuple[Path, str]] = [(("routing", "transports"), routing.transports)]
    files += [(("routing", "aliases", index), path) for index, path in enumerate(routing.aliases)]
    files += [(("routing", "virtual", index), path) for index, path in enumerate(routing.virtual)]
    for path, file in files:
        if file:
            yield from _readable(subject, path, file)


def _readable(subject: Subject, path: Path, file: str) -> Iterator[Finding]:
    try:
        with open(file, "rb") as opened:
            if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
                yield subject.error(path, f"{file} is not a plain file")
    except OSError as error:
        hint = "make it, or take this line out" if isinstance(error, FileNotFoundError) else "check its owner and mode"
        yield subject.error(path, f"{file} cannot be read: {error.strerror}", hint)


def secrets_are_private(subject: Subject) -> Iterator[Finding]:
    """Look at the secrets file, and at hashes that lie outside it."""
    config = subject.config
    for index, account in enumerate(config.accounts):
        if account.password_hash:
            path: Path = ("account", index, "password_hash")
            yield subject.warning(path, "a password hash in a file that many may read", "move it to the secrets file")
    logins: set[str] = set()
    if config.secrets:
        try:
            logins = {login.name for login in load_secrets(config.secrets).login}
        except ConfigError as error:
            yield _from_error(error)
            return
    wanted = config.routing.smart_host_login
    if wanted and wanted not in logins:
        hint = f"add [login.{wanted}] with user and password to the secrets file"
        yield subject.error(("routing", "smart_host_login"), f"there is no log-in {wanted!r}", hint)


def smart_host_is_safe(subject: Subject) -> Iterator[Finding]:
    """A log-in needs a host to use it at, and TLS to hide it."""
    routing = subject.config.routing
    if not routing.smart_host_login:
        return
    if not routing.smart_host:
        yield subject.warning(("routing", "smart_host_login"), "a log-in but no smart_host to use it at")
    if routing.smart_host_tls in {"none", "opportunistic"}:
        problem = "the smart host's password could travel in the clear"
        yield subject.error(("routing", "smart_host_tls"), problem, 'write "required" or "implicit"')


def tls_works(subject: Subject) -> Iterator[Finding]:
    """A listener that speaks TLS needs a certificate that fits its key and has not expired."""
    tls = subject.config.tls
    for listener in subject.config.listen:
        if listener.tls != "none" and not tls.certificate:
            hint = 'write certificate and key in [tls], or certificate = "auto" to try things out'
            yield subject.error(("listen", listener.name), f"listener {listener.name} needs a certificate", hint)
        elif _nobody_can_log_in(listener):
            hint = "write certificate and key in [tls]"
            yield subject.warning(("listen", listener.name), "without TLS nobody can log in here", hint)
    if tls.certificate and tls.certificate != "auto":
        yield from _certificate(subject)


def _nobody_can_log_in(listener: Listener) -> bool:
    return listener.role == "submission" and listener.tls == "none" and not listener.auth_without_tls


def _certificate(subject: Subject) -> Iterator[Finding]:
    tls = subject.config.tls
    problems = list(_readable(subject, ("tls", "certificate"), tls.certificate))
    if tls.key:
        problems += _readable(subject, ("tls", "key"), tls.key)
    if not problems:
        problems += _pair(subject)
    yield from problems


def _pair(subject: Subject) -> Iterator[Finding]:
    import ssl

    from cryptography import x509

    tls = subject.config.tls
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tls.certificate, tls.key or None, password="")
        with open(tls.certificate, "rb") as file:
            until = x509.load_pem_x509_certificate(file.read()).not_valid_after_utc.timestamp()
    except (OSError, ValueError) as error:
        problem = f"certificate and key cannot be used: {error}"
        yield subject.error(
            ("tls", "certificate"), problem, "both must be PEM, the key unencrypted and of this certificate"
        )
        return
    if until < subject.now:
        yield subject.error(("tls", "certificate"), "the certificate has expired", "have it renewed")
    elif until < subject.now + 7 * 86400:
        yield subject.warning(("tls", "certificate"), "the certificate expires within a week", "have it renewed")
    private = tls.key or tls.certificate
    if os.stat(private).st_mode & 0o007:
        yield subject.error(("tls", "key"), f"everybody may read the private key {private}", f"chmod 600 {private}")


def listeners_do_not_clash(subject: Subject) -> Iterator[Finding]:
    """No two listeners may want the same place."""
    places = [
        (place, ("listen", listener.name, "addresses", index))
        for listener in subject.config.listen
        for index, place in enumerate(listener.addresses)
    ]
    for (one, _), (other, path) in combinations(places, 2):
        if _clash(one, other):
            yield subject.error(path, f"{other} is taken by {one}", "give one of them another port or address")
    for place, path in places:
        if not place.path and not _is_ip(place.host):
            hint = "write the IP address; 0.0.0.0 is every IPv4 address, [::] every IPv6 address"
            yield subject.error(path, f"{place.host} is not an IP address", hint)


def _clash(one: Endpoint, other: Endpoint) -> bool:
    if one.path or other.path:
        return one == other
    if one.port != other.port or one.port == 0:
        return False
    same_family = (":" in one.host) == (":" in other.host)
    return one.host == other.host or (same_family and bool(_WILDCARDS & {one.host, other.host}))


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def domains_stand_once(subject: Subject) -> Iterator[Finding]:
    """A domain is local, virtual or relayed for, and only one of them."""
    config = subject.config
    local = set(config.local_domains)
    for domain in config.domains:
        path: Path = ("domains", domain.name)
        if domain.name != domain.name.lower():
            yield subject.error(path, f"{domain.name} must be written in lower case")
        if domain.name in local:
            yield subject.error(path, f"{domain.name} is in local_domains too", "take it out of one of them")
        if domain.alias_of and (domain.alias_of == domain.name or domain.alias_of not in subject.ours):
            hint = "name another domain of this file"
            yield subject.error((*path, "alias_of"), f"{domain.alias_of} is no other domain of ours", hint)
    for index, name in enumerate(config.relay.domains):
        if name in subject.ours:
            hint = "relay.domains is for domains whose mail goes on to another host"
            yield subject.error(("relay", "domains", index), f"{name} is one of our own domains", hint)
    for name in config.routing.catch_all:
        if name not in subject.ours:
            yield subject.warning(("routing", "catch_all", name), f"{name} is not one of our domains")


def accounts_are_distinct(subject: Subject) -> Iterator[Finding]:
    """Each address belongs to one account, in a domain of ours; each mailbox too."""
    taken: dict[str, str] = {}
    boxes: dict[str, str] = {}
    for index, account in enumerate(subject.config.accounts):
        for path, address in _addresses(index, account):
            if address.lower() in taken:
                yield subject.error(path, f"{address} belongs to account {taken[address.lower()]} already")
            taken.setdefault(address.lower(), account.address)
            domain = parse_address(address).domain
            if domain not in subject.ours:
                hint = f'add [domains."{domain}"], or put it into local_domains'
                yield subject.error(path, f"{address} is in no domain of ours", hint)
        if account.mailbox and boxes.setdefault(account.mailbox, account.address) != account.address:
            problem = f"{account.mailbox} is the mailbox of {boxes[account.mailbox]} too"
            yield subject.warning(("account", index, "mailbox"), problem)


def _addresses(index: int, account: Account) -> Iterator[tuple[Path, str]]:
    yield ("account", index, "address"), account.address
    for number, alias in enumerate(account.aliases):
        yield ("account", index, "aliases", number), alias


def users_are_unprivileged(subject: Subject) -> Iterator[Finding]:
    """Neither programs nor roles may run as root."""
    delivery, roles = subject.config.delivery, subject.config.roles
    users: list[tuple[Path, str, bool]] = [(("delivery", "program_user"), delivery.program_user, delivery.programs)]
    users += [(("roles", name), getattr(roles, name), True) for name in roles.__struct_fields__ if name[:5] == "user_"]
    for path, user, used in users:
        uid = _uid(user)
        if user == "root" or uid == 0:
            yield subject.error(path, f"{user} is root", "name a user of its own, without rights")
        elif used and uid is None and os.geteuid() == 0:
            hint = f"useradd --system --no-create-home {user}"
            yield subject.warning(path, f"there is no user {user} on this host", hint)
    low, high = delivery.unix_uids
    if low > high:
        yield subject.error(("delivery", "unix_uids"), f"no uid is from {low} to {high}", "write the lower one first")


def _uid(user: str) -> int | None:
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        return None


def postmaster_ends_somewhere(subject: Subject) -> Iterator[Finding]:
    """Mail for the postmaster must not be sent round in a circle."""
    postmaster = subject.config.postmaster
    if not postmaster:
        return
    address = parse_address(postmaster)
    owned = {name.lower() for account in subject.config.accounts for name in (account.address, *account.aliases)}
    if address.local.lower() == "postmaster" and address.domain in subject.ours and postmaster.lower() not in owned:
        hint = "name a person's address, or leave it out"
        yield subject.error(("postmaster",), "postmaster would be sent to itself", hint)


def host_has_a_name(subject: Subject) -> Iterator[Finding]:
    """Other hosts want a full name in EHLO (RFC 5321 §2.3.5)."""
    name = subject.config.hostname
    if "." not in name:
        hint = 'write hostname = "mail.example.org", as DNS knows this host'
        yield subject.warning(("hostname",), f"{name} is no full host name; other hosts may refuse our mail", hint)


def numbers_fit(subject: Subject) -> Iterator[Finding]:
    """Options that limit each other."""
    config = subject.config
    if config.concurrency.initial > config.concurrency.most:
        yield subject.error(("concurrency", "initial"), "initial is greater than most")
    if config.queue.warning >= config.queue.lifetime:
        yield subject.warning(
            ("queue", "warning"), "the warning comes after the bounce", "make it shorter than lifetime"
        )
    if config.queue.bounce_lifetime > config.queue.lifetime:
        yield subject.warning(("queue", "bounce_lifetime"), "bounces are tried longer than the mail itself")
    if len(set(config.delivery.locks)) < len(config.delivery.locks):
        yield subject.error(("delivery", "locks"), "a lock is taken twice", "name each once")
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if most != resource.RLIM_INFINITY and config.limits.connections > most - 200:
        hint = f"raise the limit of open files (LimitNOFILE), or write connections = {max(most - 200, 1)}"
        problem = f"{config.limits.connections} connections need more open files than the {most} allowed"
        yield subject.warning(("limits", "connections"), problem, hint)


def places_are_usable(subject: Subject) -> Iterator[Finding]:
    """The data directory and the metrics address."""
    data = subject.config.data
    if os.path.lexists(data):
        mode = os.stat(data).st_mode if os.path.exists(data) else 0
        if not stat.S_ISDIR(mode):
            yield subject.error(("data",), f"{data} is not a directory")
        elif mode & 0o002:
            yield subject.error(("data",), f"everybody may write to {data}", f"chmod o-w {data}")
    metrics = subject.config.telemetry.metrics
    if metrics:
        yield from _metrics(subject, metrics)


def _metrics(subject: Subject, text: str) -> Iterator[Finding]:
    path: Path = ("telemetry", "metrics")
    try:
        place = read_endpoint(text)
        public = not ipaddress.ip_address(place.host).is_private or place.host in _WILDCARDS
    except ValueError as error:
        yield subject.error(
            path, f"{text} is no address to listen at: {error}", 'write something like "127.0.0.1:9125"'
        )
        return
    if public:
        yield subject.warning(path, "metrics can be read from everywhere", 'write "127.0.0.1:9125"')


RULES: tuple[Rule, ...] = (
    relay_is_closed,
    trusted_neighbours_are_few,
    tables_are_there,
    secrets_are_private,
    smart_host_is_safe,
    tls_works,
    listeners_do_not_clash,
    domains_stand_once,
    accounts_are_distinct,
    users_are_unprivileged,
    postmaster_ends_somewhere,
    host_has_a_name,
    numbers_fit,
    places_are_usable,
)
