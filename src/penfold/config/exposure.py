"""The rules about danger: who may relay, who is believed, what is secret, what runs as whom.

Standards: RFC 5321 §3.6.1 (relaying); RFC 2505 §2.1; RFC 8314 §4.1
Trust: the configuration is the administrator's; certificates are only opened for reading.
"""

import ipaddress
import os
import pwd
import stat
from collections.abc import Iterator

from penfold.config.finding import Finding, Rule, Subject, from_error, readable
from penfold.config.load import load_secrets
from penfold.config.locate import Path
from penfold.config.places import read_endpoint
from penfold.config.sections import Listener
from penfold.model.errors import ConfigError

LARGEST_RELAY = {4: 8, 6: 19}  # prefix lengths below which a network is no one's own
WIDE_RELAY = {4: 16, 6: 32}
LARGEST_SUM = 1 << 26  # public IPv4 addresses relayed for in all: four networks of the largest size
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")
_WILDCARDS = {"0.0.0.0", "::"}


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
            yield from_error(error)
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
    with_log_in = listener.role in {"submission", "imap", "pop3"}
    return with_log_in and listener.tls == "none" and not listener.auth_without_tls


def _certificate(subject: Subject) -> Iterator[Finding]:
    tls = subject.config.tls
    problems = list(readable(subject, ("tls", "certificate"), tls.certificate))
    if tls.key:
        problems += readable(subject, ("tls", "key"), tls.key)
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
    secrets_are_private,
    smart_host_is_safe,
    tls_works,
    users_are_unprivileged,
    places_are_usable,
)
