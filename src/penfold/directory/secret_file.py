"""Password verifiers from a file of their own, which only the role that checks passwords opens.

A line is ``account:verifier``, ``#`` begins a comment line. The verifier is what ``penfold.directory.passwords`` reads.

SECURITY: a file that others can read is refused.
Trust: the administrator's file.
"""

import os
import stat
from collections.abc import Mapping

from penfold.directory.passwords import readable
from penfold.directory.watched import Report, WatchedFile
from penfold.model import ConfigError


class MemorySecrets:
    """Verifiers in memory, by account id."""

    def __init__(self, verifiers: Mapping[str, str]) -> None:
        self._verifiers = {account.lower(): verifier for account, verifier in verifiers.items()}

    def verifier(self, account: str) -> str | None:
        """Give the verifier of an account id, or None."""
        return self._verifiers.get(account.lower())


class SecretFile:
    """Verifiers in a file; a bad new version is reported and not used. Raises ConfigError."""

    def __init__(self, path: str, *, report: Report | None = None, interval: float = 1.0) -> None:
        self.file = WatchedFile(path, read_secrets, report=report, interval=interval)

    def verifier(self, account: str) -> str | None:
        """Give the verifier of an account id, or None."""
        return self.file.current().get(account.lower())


def read_secrets(text: str, path: str) -> dict[str, str]:
    """Parse a password file. Raises ConfigError; no message ever shows a verifier."""
    _check_mode(path)
    verifiers: dict[str, str] = {}
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        account, _, verifier = line.partition(":")
        if not account.strip() or not readable(verifier.strip()):
            raise ConfigError(
                "no account and verifier",
                file=path,
                line=number,
                hint="write account:{ARGON2ID}… (penfold password makes it)",
            )
        if account.strip().lower() in verifiers:
            raise ConfigError("the account stands above already", file=path, line=number, hint="keep one of both lines")
        verifiers[account.strip().lower()] = verifier.strip()
    return verifiers


def _check_mode(path: str) -> None:
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return  # read a moment ago and gone: the next look reports it
    if mode & (stat.S_IRWXO | stat.S_IWGRP):
        raise ConfigError("others can read the passwords", file=path, hint=f"chmod 640 {path}")
