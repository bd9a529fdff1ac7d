"""Makes and checks password verifiers.

A verifier is ``{SCHEME}value``; several may stand side by side, parted by white space: one to check a password given in
the clear, and a SCRAM-SHA-256 one for the exchange that never shows it. Schemes: ``ARGON2ID`` (what we make), ``CRYPT``
(all the system's crypt(3) knows), ``SSHA``, ``SSHA256``, ``SSHA512``, ``PLAIN`` (tests and demonstrations). A bare
``$6$…`` reads as CRYPT, a bare ``$argon2id$…`` as ARGON2ID.

Everything here blocks for as long as a hash takes (about 20 ms); whoever calls bounds and threads it.

SECURITY: an unknown user costs one argon2id hash like a known one; comparisons take constant time; what cannot be read
is no match.

Standards: RFC 9106 (argon2); RFC 5802, RFC 7677 (SCRAM-SHA-256); RFC 4013 (SASLprep)
Trust: verifiers are the administrator's, passwords come from anywhere.
"""

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from functools import cache

import argon2

from penfold.directory.crypt import CryptUnavailableError, crypt_matches
from penfold.protocols.sasl.base import Verifier
from penfold.protocols.sasl.prepare import Unprepared, prepare
from penfold.protocols.sasl.scram import MAX_ITERATIONS, derive

MEMORY_KIB = 19 * 1024
TIME_COST = 2
PARALLELISM = 1
MAX_PASSWORD = 1024  # octets; longer ones are never right

_HASHER = argon2.PasswordHasher(time_cost=TIME_COST, memory_cost=MEMORY_KIB, parallelism=PARALLELISM)


def make(password: str, *, scram: bool = True) -> str:
    """Make the verifier of a new password: argon2id, and beside it SCRAM-SHA-256. ValueError where it is unfit."""
    prepared = _fit(password)
    if not prepared:
        raise ValueError(f"a password has 1 to {MAX_PASSWORD} octets and no control characters")
    made = "{ARGON2ID}" + _HASHER.hash(prepared)
    return f"{made} {scram_text(derive(prepared, secrets.token_bytes(16)))}" if scram else made


def verify(verifier: str | None, password: str) -> bool:
    """Tell whether the password is right. None is an unknown user: the same work, and never right."""
    prepared = _fit(password)
    if verifier is None or not prepared:
        _argon2id(dummy(), prepared or "unfit")
        return False
    return any(_SCHEMES[scheme](value, prepared) for scheme, value in _parts(verifier) if scheme in _SCHEMES)


def _fit(password: str) -> str:
    """Prepare a password; empty where it is none."""
    try:
        prepared = prepare(password)
    except Unprepared:
        return ""
    return prepared if len(prepared.encode()) <= MAX_PASSWORD else ""


def scram(verifier: str | None) -> Verifier | None:
    """Find the SCRAM-SHA-256 part of a verifier; None where there is none that can be read."""
    for scheme, value in _parts(verifier or ""):
        if scheme == "SCRAM-SHA-256":
            return _parse_scram(value)
    return None


def scram_text(keys: Verifier) -> str:
    """Write keys as ``{SCRAM-SHA-256}iterations,salt,stored key,server key`` in base 64."""
    parts = (keys.salt, keys.stored_key, keys.server_key)
    return f"{{SCRAM-SHA-256}}{keys.iterations}," + ",".join(base64.b64encode(part).decode() for part in parts)


def outdated(verifier: str) -> bool:
    """Tell whether a verifier is weaker than what ``make`` makes now: renew it at the next successful log-in."""
    for scheme, value in _parts(verifier):
        if scheme == "ARGON2ID":
            try:
                return _HASHER.check_needs_rehash(value)
            except argon2.exceptions.InvalidHashError:
                return True
    return True


def readable(verifier: str) -> bool:
    """Tell whether every part of a verifier has a scheme we know: for the check of a password table."""
    parts = _parts(verifier)
    return bool(parts) and all(
        scheme in _SCHEMES or (scheme == "SCRAM-SHA-256" and _parse_scram(value) is not None) for scheme, value in parts
    )


@cache
def dummy() -> str:
    """The verifier that unknown users are checked against: of a random password nobody knows."""
    return _HASHER.hash(secrets.token_urlsafe(16))


_PART = re.compile(r"\{([A-Za-z0-9.-]+)\}(\S*)\Z")


def _parts(verifier: str) -> list[tuple[str, str]]:
    """Take a verifier apart into (scheme, value)."""
    if verifier[:7].upper() == "{PLAIN}":  # the only value that may hold white space
        return [("PLAIN", verifier[7:])]
    parts = []
    for word in verifier.split():
        found = _PART.match(word)
        if found is not None:
            parts.append((_NAMES.get(found[1].upper(), found[1].upper()), found[2]))
        elif word.startswith("$argon2"):
            parts.append(("ARGON2ID", word))
        else:
            parts.append(("CRYPT", word))
    return parts


_NAMES = {"ARGON2": "ARGON2ID", "ARGON2I": "ARGON2ID", "SHA512-CRYPT": "CRYPT", "SHA256-CRYPT": "CRYPT",
          "MD5-CRYPT": "CRYPT", "BLF-CRYPT": "CRYPT", "DES-CRYPT": "CRYPT", "PLAINTEXT": "PLAIN"}  # fmt: skip


def _argon2id(value: str, password: str) -> bool:
    try:
        return bool(_HASHER.verify(value, password))
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
        return False


def _crypt(value: str, password: str) -> bool:
    try:
        return crypt_matches(password, value)
    except CryptUnavailableError:
        return False


def _plain(value: str, password: str) -> bool:
    return hmac.compare_digest(value.encode(), password.encode())


def _salted(algorithm: str) -> Callable[[str, str], bool]:
    size = hashlib.new(algorithm, usedforsecurity=False).digest_size

    def check(value: str, password: str) -> bool:
        try:
            raw = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            return False
        if len(raw) < size:
            return False
        made = hashlib.new(algorithm, password.encode() + raw[size:], usedforsecurity=False).digest()
        return hmac.compare_digest(made, raw[:size])

    return check


_SCHEMES: dict[str, Callable[[str, str], bool]] = {
    "ARGON2ID": _argon2id,
    "CRYPT": _crypt,
    "SSHA": _salted("sha1"),
    "SSHA256": _salted("sha256"),
    "SSHA512": _salted("sha512"),
    "PLAIN": _plain,
}


def _parse_scram(value: str) -> Verifier | None:
    parts = value.split(",")
    try:
        count = int(parts[0])
        salt, stored, server = (base64.b64decode(part, validate=True) for part in parts[1:])
    except (ValueError, binascii.Error):
        return None
    fit = 1 <= count <= MAX_ITERATIONS and salt and len(stored) == len(server) == 32
    return Verifier(salt, count, stored, server) if fit else None
