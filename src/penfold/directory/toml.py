"""Accounts from the configuration file: checks the values of its ``[[account]]`` tables and makes a directory of them.

Trust: the administrator's file, already parsed as TOML; every fault is a ConfigError with what to write instead.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from penfold.directory.base import Account
from penfold.directory.memory import MemoryDirectory
from penfold.model import AddressError, ConfigError, parse_address

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


class AccountEntry(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One ``[[account]]``.

    ``quota`` is in octets or has a unit (``"500M"``); ``path`` may hold ``{address}``, ``{local}``, ``{domain}``.
    """

    address: str
    format: str = ""
    path: str = ""
    quota: int | str = 0
    aliases: tuple[str, ...] = ()
    name: str = ""
    forward: bool = False


def directory_from(
    entries: Sequence[Mapping[str, Any]],
    *,
    file: str = "penfold.toml",
    default_format: str = "maildir",
    default_path: str = "{domain}/{local}",
) -> MemoryDirectory:
    """Make a directory of the parsed tables. Raises ConfigError."""
    accounts = [
        account_from(entry, file, number, default_format, default_path) for number, entry in enumerate(entries, 1)
    ]
    try:
        return MemoryDirectory(accounts, source=file)
    except ConfigError as error:
        raise ConfigError(error.problem, file=file, hint=error.hint) from None


def account_from(
    entry: Mapping[str, Any],
    file: str,
    number: int,
    default_format: str = "maildir",
    default_path: str = "{domain}/{local}",
) -> Account:
    """Check one table; ``number`` counts from one, for the message. Raises ConfigError."""
    where = f"[[account]] number {number}"
    try:
        read = msgspec.convert(entry, AccountEntry)
        return _account(read, default_format, default_path)
    except msgspec.ValidationError as error:
        raise ConfigError(
            f"{where}: {error}", file=file, hint="penfold config explain account lists the keys"
        ) from None
    except AddressError as error:
        raise ConfigError(f"{where}: {error}", file=file, hint='write address = "user@example.org"') from None


def _account(read: AccountEntry, default_format: str, default_path: str) -> Account:
    address = _canonical(read.address)
    local, _, domain = address.rpartition("@")
    path = read.path or default_path
    for mark, value in (("{address}", address), ("{local}", local), ("{domain}", domain)):
        path = path.replace(mark, value.replace("/", "%2F") if value not in {".", ".."} else "%2E")
    values = {
        "id": address, "format": read.format or default_format, "path": path, "quota": octets(read.quota),
        "aliases": tuple(_canonical(alias) for alias in read.aliases), "name": read.name, "forward": read.forward,
    }  # fmt: skip
    return msgspec.convert(values, Account)


def _canonical(text: str) -> str:
    address = parse_address(text)
    if not address.domain:
        raise AddressError(f"{text[:80]!r} has no domain")
    return f"{address.local.lower()}@{address.domain}"


def octets(quota: int | str) -> int:
    """Read a quota: octets, or a number with K, M, G or T. Raises msgspec.ValidationError."""
    if isinstance(quota, str):
        number, unit = quota.strip().removesuffix("B"), ""
        if number[-1:].upper() in _UNITS and number[-1:]:
            number, unit = number[:-1], number[-1].upper()
        if not number.isdecimal():
            raise msgspec.ValidationError(f"the quota {quota[:40]!r} is no size; write 500M or 2G")
        quota = int(number) * _UNITS[unit]
    if quota < 0:
        raise msgspec.ValidationError("the quota is below zero; 0 means none")
    return quota
