"""The rules about sense: what is named is there, stands once, and does not contradict the rest.

Standards: RFC 5321 §2.3.5 (host names), §4.5.1 (postmaster)
"""

import ipaddress
import resource
from collections.abc import Iterator
from itertools import combinations

from penfold.config.finding import Finding, Rule, Subject, readable
from penfold.config.locate import Path
from penfold.config.places import Endpoint
from penfold.config.sections import Account
from penfold.model.address import parse_address

_WILDCARDS = {"0.0.0.0", "::"}


def tables_are_there(subject: Subject) -> Iterator[Finding]:
    """Look for the files that tables are read from."""
    routing = subject.config.routing
    files: list[tuple[Path, str]] = [(("routing", "transports"), routing.transports)]
    files += [(("routing", "aliases", index), path) for index, path in enumerate(routing.aliases)]
    files += [(("routing", "virtual", index), path) for index, path in enumerate(routing.virtual)]
    for path, file in files:
        if file:
            yield from readable(subject, path, file)


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
    seen: set[str] = set()
    for domain, written in zip(config.domains, subject.written("domains"), strict=True):
        path: Path = ("domains", written)
        if domain.name in seen:
            yield subject.error(path, f"{domain.name} stands there twice", "take one of them out")
        seen.add(domain.name)
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


def postmaster_ends_somewhere(subject: Subject) -> Iterator[Finding]:
    """Somebody gets the postmaster's mail, and it is not sent round in a circle."""
    postmaster = subject.config.postmaster
    if not postmaster:
        if not any(account.enabled for account in subject.config.accounts):
            hint = 'write postmaster = "you@example.org", or add an account'
            yield subject.warning(("postmaster",), "there is nobody to get mail for postmaster", hint)
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


RULES: tuple[Rule, ...] = (
    tables_are_there,
    listeners_do_not_clash,
    domains_stand_once,
    accounts_are_distinct,
    postmaster_ends_somewhere,
    host_has_a_name,
    numbers_fit,
)
