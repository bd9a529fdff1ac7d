"""Masquerading: addresses of hosts behind us leave under another domain.

A rule names a domain (``host.example.test``) or all domains below one (``.example.test``) and what is written instead.
Users and domains may be excepted. The envelope's reverse-path and the sender fields of the header are masked; recipient
fields and forward-paths where ``recipients`` says so.

A header field keeps every octet but those of the domains replaced: quoted strings and comments are skipped, never
rewritten. A field that breaks off inside a quoted string or comment keeps its rest as it is.

Standards: RFC 5322 §3.4, §3.6.2, §3.6.6
Trust: rules are the administrator's, fields come from anywhere; time and memory grow with the length of a field only.
"""

import re

import msgspec

from penfold.model import Address, AddressError, ascii_domain

SENDER_FIELDS = frozenset(
    b"from sender reply-to resent-from resent-sender resent-reply-to disposition-notification-to return-receipt-to "
    b"errors-to".split()
)
RECIPIENT_FIELDS = frozenset({b"to", b"cc", b"bcc", b"resent-to", b"resent-cc", b"resent-bcc"})


class MaskRule(msgspec.Struct, frozen=True, array_like=True):
    """``domain`` (or ``.domain`` for everything below it) is written as ``masked``; all in A-labels, lower case."""

    domain: str
    masked: str


class Masquerade(msgspec.Struct, frozen=True, kw_only=True):
    """The rules, first match wins. ``except_users`` are local parts, ``except_domains`` names or ``.names``."""

    rules: tuple[MaskRule, ...] = ()
    except_users: frozenset[str] = frozenset()
    except_domains: frozenset[str] = frozenset()
    recipients: bool = False

    def domain(self, domain: str) -> str:
        """Give what is written instead of a domain: itself where no rule applies."""
        if any(_below(domain, excepted) for excepted in self.except_domains):
            return domain
        return next((rule.masked for rule in self.rules if _below(domain, rule.domain)), domain)

    def address(self, address: Address) -> Address:
        """Mask one address of the envelope."""
        if not self.rules or address.local.lower() in self.except_users:
            return address
        masked = self.domain(address.domain)
        return address if masked == address.domain else address.with_domain(masked)

    def reverse_path(self, address: Address | None) -> Address | None:
        """Mask a reverse-path; the null one stays null."""
        return None if address is None else self.address(address)

    def applies_to(self, field: bytes) -> bool:
        """Tell whether the header field of this name (any case) is masked."""
        name = field.lower()
        return bool(self.rules) and (name in SENDER_FIELDS or (self.recipients and name in RECIPIENT_FIELDS))

    def field(self, value: bytes) -> bytes:
        """Mask the addresses in the value of a header field, folded or not; the same object where nothing changes."""
        if not self.rules or b"@" not in value:
            return value
        pieces: list[bytes] = []
        copied = at = 0
        while (found := _SCAN.match(value, at)) is not None:
            at = found.end()
            if found["comment"]:
                at = _comment_end(value, at)
            elif found["domain"] and (masked := self._masked(found["local"], found["domain"])):
                pieces += value[copied : found.start("domain")], masked
                copied = at
        return b"".join(pieces) + value[copied:] if pieces else value

    def _masked(self, local: bytes, domain: bytes) -> bytes:
        """Give the octets to write instead of a domain; none where it stays."""
        user = re.sub(rb"\\(.)", rb"\1", local[1:-1], flags=re.DOTALL) if local.startswith(b'"') else local
        try:
            name = ascii_domain(domain.decode())
        except (AddressError, UnicodeDecodeError):
            return b""
        address = Address(user.decode(errors="replace"), name)
        masked = self.address(address)
        return b"" if masked is address else masked.domain.encode()


# PERF: possessive quantifiers and an alternative for every octet: no character is read twice, whatever the field holds.
_SCAN = re.compile(
    rb"""
      (?P<local>"(?:[^"\\]|\\.)*+"|[^\s",:;<>()\[\]@\\]++)[ \t\r\n]*+@[ \t\r\n]*+(?P<domain>[A-Za-z0-9_.\x80-\xff-]++)
    | "(?:[^"\\]|\\.)*+(?:"|\Z|\\\Z)
    | (?P<comment>\()
    | [^\s",:;<>()\[\]@\\]++
    | .
    """,
    re.VERBOSE | re.DOTALL,
)


def _comment_end(value: bytes, at: int) -> int:
    depth = 1
    for found in re.compile(rb"\\.|[()]", re.DOTALL).finditer(value, at):
        depth += {b"(": 1, b")": -1}.get(found[0], 0)
        if not depth:
            return found.end()
    return len(value)


def _below(domain: str, pattern: str) -> bool:
    return domain.endswith(pattern) if pattern.startswith(".") else domain == pattern
