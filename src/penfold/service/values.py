"""Turns the configuration into the values each room takes: one function a room, nothing else.

Trust: the configuration is checked before it comes here.
"""

import os
from dataclasses import replace

import msgspec

from penfold.config.sections import Account as ConfiguredAccount
from penfold.config.sections import Config, Listener
from penfold.directory.base import Account
from penfold.fs.locks import LockKind, LockPolicy
from penfold.guard.limits import Rates
from penfold.intake.transaction import Limits
from penfold.model import Address, parse_address
from penfold.protocols.smtp.settings import BareEnds, Role, ServerSettings
from penfold.routing.masquerade import MaskRule, Masquerade
from penfold.routing.rules import RouterSettings
from penfold.transport.dispatch.calendar import Calendar
from penfold.transport.dispatch.lanes import POLICIES, BackOff, LanePolicy

_TLS_ONLY = {"submissions": "submission"}
_READING = {"imap": "imap", "imaps": "imap", "pop3": "pop3", "pop3s": "pop3"}


def accounts(config: Config) -> tuple[Account, ...]:
    """Give the virtual accounts."""
    return tuple(_account(config, account) for account in config.accounts if account.enabled)


def _account(config: Config, account: ConfiguredAccount) -> Account:
    address = parse_address(account.address)
    local = address.local.lower()
    kind, _, path = account.mailbox.partition(":")
    if not account.mailbox:
        kind, path = config.delivery.format, f"{address.domain}/{_file_name(local)}"
    domain = next((domain for domain in config.domains if domain.name == address.domain), None)
    return Account(
        id=f"{local}@{address.domain}",
        format=kind,  # type: ignore[arg-type]  # checked by the configuration's pattern
        path=os.path.join(config.delivery.mail_root, path),
        quota=account.quota or (domain.quota if domain else 0) or config.delivery.quota,
        aliases=tuple(alias.lower() for alias in account.aliases),
        name=account.name,
        forward=config.delivery.forward_for_virtual,
    )


def _file_name(local: str) -> str:
    """Make a path's component of a local part. SECURITY: no separator, no dot in front, whatever the address."""
    safe = "".join(letter if letter.isalnum() or letter in "-_+.=" else f"%{ord(letter):02X}" for letter in local)
    return safe if not safe.startswith(".") else "%2E" + safe[1:]


def router_settings(config: Config, tables: frozenset[str]) -> RouterSettings:
    """Give the router its settings."""
    virtual = frozenset(domain.name for domain in config.domains)
    return RouterSettings(
        local_domains=tuple(domain for domain in config.local_domains if domain not in virtual),
        virtual_domains=virtual,
        relay_domains=frozenset(config.relay.domains),
        literals=own_literals(config),
        separator=config.routing.separator,
        postmaster=config.postmaster,
        smart_host=config.routing.smart_host,
        tables=tables,
    )


def own_literals(config: Config) -> frozenset[str]:
    """Give the address literals that mean this host: those of the addresses it listens on, and of loopback."""
    hosts = {endpoint.host for listener in config.listen for endpoint in listener.addresses if endpoint.host}
    hosts = {"127.0.0.1", "::1"} | (hosts - {"0.0.0.0", "::"})
    return frozenset(f"[IPv6:{host}]" if ":" in host else f"[{host}]" for host in hosts)


def virtual_entries(config: Config) -> dict[str, tuple[str, ...]]:
    """Give the virtual table's entries that the configuration itself holds: catch-alls and domains that are aliases."""
    entries: dict[str, tuple[str, ...]] = {
        f"@{domain}": (address,) for domain, address in config.routing.catch_all.items()
    }
    for domain in config.domains:
        if domain.catch_all:
            entries[f"@{domain.name}"] = (domain.catch_all,)
        if domain.alias_of:
            entries[f"@{domain.name}"] = (f"@{domain.alias_of}",)
    return entries


def masquerade(config: Config) -> Masquerade:
    """Give the masquerading rules."""
    return Masquerade(rules=tuple(MaskRule(domain, masked) for domain, masked in config.routing.masquerade.items()))


def postmaster(config: Config) -> Address:
    """Tell who gets the postmaster's mail."""
    return parse_address(config.postmaster or f"postmaster@{config.local_domains[0]}")


def limits(config: Config) -> Limits:
    """Give the door its limits."""
    said = config.limits
    return Limits(
        size=said.message_size, recipients=said.recipients, hops=said.received_fields, header=said.header_size
    )


def rates(config: Config) -> Rates:
    """Give the guard its rates."""
    said = config.limits
    return Rates(said.connection_rate, said.message_rate, said.recipient_rate)


def locks(config: Config) -> LockPolicy:
    """Give the mailbox formats their locks."""
    said = config.delivery
    return LockPolicy(tuple(LockKind(kind) for kind in said.locks), wait=said.lock_timeout, stale=said.lock_stale)


def calendar(config: Config) -> Calendar:
    """Give the queue manager its calendar."""
    said = config.queue
    return Calendar(
        intervals=said.retry,
        jitter=min(said.jitter, 0.99),
        lifetime=said.lifetime,
        bounce_lifetime=said.bounce_lifetime,
        warn_after=said.warning,
    )


def lane_policies(config: Config) -> dict[str, LanePolicy]:
    """Give the queue manager its concurrency."""
    said = config.concurrency
    smtp = LanePolicy(
        initial=min(said.initial, said.most),
        most=said.most,
        per_call=said.messages_per_connection,
        total=said.total,
    )
    local = replace(POLICIES["local"], per_call=said.local)
    programs = replace(
        POLICIES["pipe"], initial=said.programs, most=said.programs, per_call=said.programs, total=said.programs
    )
    return {**POLICIES, "smtp": smtp, "lmtp": smtp, "local": local, "unix": local, "pipe": programs}


def back_off(config: Config) -> BackOff:
    """Give the queue manager's patience with dead hosts."""
    first = max(config.queue.dead_host, 1.0)
    return BackOff(first=first, most=max(first, 3600.0))


def server_settings(config: Config, listener: Listener) -> ServerSettings:
    """Give the protocol core of a listener its settings."""
    role = Role(_TLS_ONLY.get(listener.role, listener.role))
    submission = role is Role.SUBMISSION
    mechanisms = config.auth.mechanisms if submission else ()
    plain = listener.auth_without_tls or listener.tls == "none"
    return msgspec.structs.replace(
        _bounded(config, role),
        starttls=listener.tls == "starttls",
        mechanisms=mechanisms if plain and listener.auth_without_tls else (),
        tls_mechanisms=mechanisms,
        require_tls=submission and listener.tls == "starttls" and not listener.auth_without_tls,
        require_auth=submission,
        verify=listener.verify,
        expand=listener.verify,
        bare_ends=BareEnds.CONVERT if submission else BareEnds.REJECT,
    )


def local_settings(config: Config) -> ServerSettings:
    """Give the protocol core of ``sendmail -bs`` its settings: programs write line ends as they like."""
    return msgspec.structs.replace(_bounded(config, Role.SMTP), bare_ends=BareEnds.CONVERT)


def _bounded(config: Config, role: Role) -> ServerSettings:
    said = config.limits
    return ServerSettings(
        hostname=config.hostname,
        role=role,
        max_size=said.message_size,
        max_recipients=said.recipients,
        max_errors=said.errors,
        max_commands=said.commands,
        command_timeout=said.command_timeout,
        data_timeout=said.data_timeout,
    )


def room_of(listener: Listener) -> str:
    """Name the guard's role of a listener: ``submissions`` is submission under TLS."""
    return _TLS_ONLY.get(listener.role, listener.role)


def read_by(listener: Listener) -> str:
    """Tell what a listener lets people read their mail by: ``imap``, ``pop3``, or ``""`` where mail comes in."""
    return _READING.get(listener.role, "")


def updated(config: Config, **changes: object) -> Config:
    """Give a configuration with some top-level values changed."""
    return msgspec.structs.replace(config, **changes)
