"""The ways out to other hosts, built from the configuration."""

from collections.abc import Callable, Mapping
from ssl import TLSVersion

from msgspec.structs import replace

from penfold.config.load import load_secrets
from penfold.config.sections import Config
from penfold.model import ConfigError
from penfold.net.dns import Resolver, system_resolver
from penfold.net.driver import Driver
from penfold.net.local import is_local
from penfold.net.mx import Ourselves
from penfold.protocols.smtp import ClientSettings
from penfold.queue.base import Bodies
from penfold.service.apart import apart
from penfold.transport.mailers.exchanges import Finder
from penfold.transport.mailers.hop import Account, Security, Terms
from penfold.transport.mailers.lmtp import LmtpMailer
from penfold.transport.mailers.pool import Settings
from penfold.transport.mailers.smtp import SmtpMailer

_ANY = {"0.0.0.0", "::", "", "*"}


def ways_out(config: Config, bodies: Bodies, driver: Driver, *, account: Account | None = None) -> list[SmtpMailer]:
    """Build the mailers ``smtp`` and ``lmtp``; ``account`` is our log-in at the smart host (``login`` reads it).

    Raises ConfigError when one is configured and not given: without it the smart host would refuse the mail.
    """
    if config.routing.smart_host_login and account is None:
        raise ConfigError("the log-in for the smart host was not read", hint="see routing.smart_host_login")
    finder = Finder(resolver(config), Ourselves(names=frozenset({config.hostname})), own=listening(config))
    smtp = Settings(
        client=ClientSettings(hostname=config.hostname),
        terms=Terms(security=Security(config.tls.outgoing)),
        special=smart_host(config, account),
        per_connection=config.concurrency.messages_per_connection,
        connections=config.concurrency.most,
        authorities=_authorities(config.tls.client_ca),
        oldest_tls=TLSVersion.TLSv1_3 if config.tls.minimum == "1.3" else TLSVersion.TLSv1_2,
    )
    lmtp = replace(smtp, client=ClientSettings(hostname=config.hostname, lmtp=True), special={})
    return [SmtpMailer(driver, bodies, finder, smtp), LmtpMailer(driver, bodies, finder, lmtp)]


def login(config: Config) -> Account | None:
    """Read our log-in at the smart host, before rights are given up; None where none is configured.

    Raises ConfigError when it cannot be had.
    """
    wanted = config.routing.smart_host_login
    if not wanted:
        return None

    def find() -> Account:
        for said in load_secrets(config.secrets).login:
            if said.name == wanted:
                return Account(said.user, said.password)
        raise ConfigError(f"there is no log-in {wanted!r}", file=config.secrets, hint=f"add a table [login.{wanted}]")

    return apart(find, Account)


def _authorities(path: str) -> bytes | None:
    if not path:
        return None
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}", hint="see tls.client_ca") from error


def smart_host(config: Config, account: Account | None) -> Mapping[str, Terms]:
    """Give the terms of the smart host, by its name in routes: where TLS is demanded, its certificate must be valid."""
    routing = config.routing
    if not routing.smart_host:
        return {}
    security = Security(routing.smart_host_tls)
    terms = Terms(
        security=security,
        verify=security in {Security.REQUIRED, Security.IMPLICIT},
        account=account if routing.smart_host_login else None,
    )
    return {routing.smart_host: terms}


def resolver(config: Config) -> Resolver:
    """Build the resolver: the name servers the administrator names, or those of the system."""
    dns = config.dns
    servers = [str(server) for server in dns.resolvers]
    return system_resolver(servers, names=dns.hosts, seconds=dns.timeout, rounds=dns.attempts)


def listening(config: Config) -> Callable[[str, int], bool]:
    """Tell by address and port where we listen ourselves: what would go there goes round in a circle."""
    ours = {(endpoint.host, endpoint.port) for listener in config.listen for endpoint in listener.addresses}
    wide = {port for host, port in ours if host in _ANY}
    return lambda ip, port: (ip, port) in ours or (port in wide and is_local(ip))
