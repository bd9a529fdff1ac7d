"""The rules for domains of ours, in order: virtual users, aliases, accounts, postmaster, catch-all.

Trust: tables are administrators'; local parts come from anywhere and are only ever keys.
"""

from collections.abc import Callable, Iterator

from penfold.model import Address, Recipient
from penfold.routing.base import Found, Lookup, Refuse
from penfold.routing.entries import Entry, File, Include, Program, To, address_text
from penfold.routing.mailbox import mailbox
from penfold.routing.place import Place
from penfold.routing.postmaster import postmaster
from penfold.routing.rules import BAD_TABLE, UNKNOWN_USER
from penfold.routing.walk import Result, Walk


def ours(walk: Walk, recipient: Recipient) -> Result | None:
    """A domain of ours: the rules of LOCAL_RULES in order, then "no such user"."""
    place = walk.ground.place(recipient)
    walk.note("local domain" if place.aliases else "virtual domain", place.domain)
    # SECURITY: an empty local part ("" in quotes) would ask for the keys "@domain" and "", which mean other things.
    for rule in LOCAL_RULES if recipient.address.local else ():
        result = rule(walk, place)
        if result is not None:
            return result
    walk.note("unknown user", str(recipient.address))
    return Refuse(UNKNOWN_USER)


def _likely(place: Place) -> Iterator[Lookup]:
    """Name everything a place may ask, to fetch it in one round."""
    for name in place.names:
        address = f"{name.key}@{place.domain}"
        yield Lookup("virtual", address)
        yield Lookup("accounts", address)
        if place.aliases:
            yield Lookup("aliases", name.key)
    for name in place.logins():
        yield Lookup("accounts", name.key)
    yield Lookup("transport", place.domain)


def virtual(walk: Walk, place: Place) -> Result | None:
    """A virtual user: an address that stands for others."""
    if place.final:
        return None
    for name in place.names:
        key = f"{name.key}@{place.domain}"
        found = walk.ask("virtual", key, lambda: _likely(place))
        if found is not None:
            return _virtual_values(walk, place, found, key, name.extension)
    return None


def _virtual_values(walk: Walk, place: Place, found: Found, key: str, extension: str) -> Result:
    local = place.recipient.address.local
    entries = walk.entries(
        Found(tuple(_substituted(value, local) for value in found.values), found.source), "virtual user", key
    )
    if any(isinstance(entry, Program | File | Include) for entry in entries):
        walk.note("virtual user", f"{key}: programs and files are not addresses", found.source)
        return Refuse(BAD_TABLE)
    if extension:
        entries = [_extended(entry, extension, walk.settings.separator) for entry in entries]
    home = walk.settings.home
    return walk.expand(place.recipient, entries, rule="virtual user", key=key, home=home, source=found.source)


def _substituted(value: str, local: str) -> str:
    """Put the recipient's own local part where the value leaves it open: ``@other.example``, ``%1@other.example``."""
    open_at = 1 if value.startswith("@") else 3 if value.startswith("%1@") else 0
    return address_text(Address(local, value[open_at:])) if open_at else value


def _extended(entry: Entry, extension: str, separator: str) -> Entry:
    """Hand the extension on to the address a virtual user stands for."""
    if not isinstance(entry, To) or any(mark in entry.address.local for mark in separator):
        return entry
    return To(Address(entry.address.local + separator[0] + extension, entry.address.domain), entry.final)


def alias(walk: Walk, place: Place) -> Result | None:
    """An alias of the local domains; with an ``owner-`` alias beside it, that becomes the reverse-path."""
    if place.final or not place.aliases:
        return None
    for name in place.names:
        found = walk.ask("aliases", name.key, lambda: _likely(place))
        if found is not None:
            entries = walk.entries(found, "alias", name.key)
            owner = _owner(walk, name.key, place.domain)
            return walk.expand(
                place.recipient,
                entries,
                rule="alias",
                key=name.key,
                home=place.domain,
                source=found.source,
                owner=owner,
            )
    return None


def _owner(walk: Walk, name: str, domain: str) -> Address | None:
    if name.startswith("owner-"):
        return None
    found = walk.ask("aliases", "owner-" + name)
    if found is None:
        return None
    walk.note("owner", f"owner-{name}@{domain} becomes the reverse-path", found.source)
    return Address("owner-" + name, domain)


def account(walk: Walk, place: Place) -> Result | None:
    """An account: by its full address, or in local domains by the login name of a Unix user."""
    for name in place.names:
        found = walk.ask("accounts", f"{name.key}@{place.domain}", lambda: _likely(place))
        if found is not None:
            return mailbox(walk, place.recipient, place.domain, found, name.extension)
    for name in place.logins():
        found = walk.ask("accounts", name.key)
        if found is not None:
            return mailbox(walk, place.recipient, place.domain, found, name.extension)
    return None


def postmaster_rule(walk: Walk, place: Place) -> Result | None:
    """Postmaster of a domain of ours is never unknown."""
    if not any(name.key == "postmaster" for name in place.names):
        return None
    return postmaster(walk, place.recipient)


def catch_all(walk: Walk, place: Place) -> Result | None:
    """The entry ``@domain`` of the virtual table, for names nobody has."""
    if place.final:
        return None
    key = "@" + place.domain
    found = walk.ask("virtual", key)
    if found is None:
        return None
    return _virtual_values(walk, place, found, key, "")


LOCAL_RULES: tuple[Callable[[Walk, Place], Result | None], ...] = (virtual, alias, account, postmaster_rule, catch_all)
