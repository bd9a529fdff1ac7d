r"""Mail addresses of the envelope.

Local parts are ``str`` and always valid Unicode: octets that are not UTF-8 are refused at the door (RFC 6531 §3.3), so
nothing behind it carries surrogates. Domains are lower-case A-labels, or an address literal in brackets. A bang path
(``a!b!user``) is a local part like any other until a gateway gives it meaning; a source route (``@a,@b:user@c``) is
dropped by whoever parses the path (RFC 5321 §4.1.1.3 and appendix C).

Standards: RFC 5321 §4.1.2, §4.1.3, §2.3.11; RFC 6531 §3.3; RFC 5890
Trust: parses text from anywhere; every rejection is an AddressError with a reason, never another exception.
"""

import re
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address

import idna
import msgspec

_ATEXT = r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~\u0080-\U0010ffff]"
_DOT_STRING = re.compile(rf"{_ATEXT}+(?:\.{_ATEXT}+)*\Z")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\Z")
_LITERAL = re.compile(r"\[(?:IPv6:[0-9A-Fa-f:.]{2,45}|[0-9.]{7,15}|[A-Za-z0-9-]+:[!-Z^-~]+)\]\Z")
_QUOTED = re.compile(r'"((?:[ !#-\[\]-~\u0080-\U0010ffff]|\\[ -~])*)"\Z')

MAX_LOCAL = 64  # octets, RFC 5321 §4.5.3.1.1
MAX_DOMAIN = 255  # octets, RFC 5321 §4.5.3.1.2
MAX_PATH = 254  # octets without the angle brackets, RFC 5321 §4.5.3.1.3


_TARGETS = {"|": "|", "/": "", ":include:": ":include:"}


class AddressError(ValueError):
    """The text is no address; the message says why."""


class Address(msgspec.Struct, frozen=True, array_like=True):
    """An address: ``local`` unquoted, ``domain`` an A-label name, a literal in brackets, or ``""`` when unqualified."""

    local: str
    domain: str

    def __str__(self) -> str:
        """Write it as a mailbox of an SMTP path, quoting the local part where it must be.

        A target that is no address (a program, a file, a list: routing marks them by domains no address can have) is
        written as in an aliases file.
        """
        return _written(self.local, self.domain)

    @property
    def ascii(self) -> bool:
        """Whether the address can travel without SMTPUTF8."""
        return self.local.isascii()

    @property
    def literal(self) -> bool:
        """Whether the domain is an address literal."""
        return self.domain.startswith("[")

    def with_domain(self, domain: str) -> "Address":
        """Return the same local part at another domain."""
        return Address(self.local, domain)


@lru_cache(maxsize=1024)  # PERF: an address is written some eight times on its way through the house
def _written(local: str, domain: str) -> str:
    if domain in _TARGETS:
        return _TARGETS[domain] + local
    spelled = local if _DOT_STRING.match(local) else _quote(local)
    return f"{spelled}@{domain}" if domain else spelled


def _quote(local: str) -> str:
    return '"' + local.replace("\\", "\\\\").replace('"', '\\"') + '"'


def parse_address(text: str) -> Address:
    """Parse ``local@domain`` or an unqualified ``local`` (no angle brackets, no source route).

    Raises AddressError with a reason fit for a reply's text.
    """
    if text.startswith('"'):
        local, domain = _split_quoted(text)
    else:
        local, at, domain = text.rpartition("@")
        if not at:
            local, domain = text, ""
        elif not domain:
            raise AddressError("the domain is missing after @")
        if not _DOT_STRING.match(local):
            raise AddressError("bad local part" if local else "the local part is missing")
    if len(local.encode()) > MAX_LOCAL:
        raise AddressError(f"the local part is longer than {MAX_LOCAL} octets")
    return Address(local, ascii_domain(domain) if domain else "")


def _split_quoted(text: str) -> tuple[str, str]:
    end = 1
    while end < len(text) and text[end] != '"':
        end += 2 if text[end] == "\\" else 1
    match = _QUOTED.match(text[: end + 1])
    if match is None:
        raise AddressError("bad quoted local part")
    rest = text[end + 1 :]
    if rest and (rest[0] != "@" or rest == "@"):
        raise AddressError("garbage after the quoted local part")
    return re.sub(r"\\(.)", r"\1", match[1]), rest[1:]


@lru_cache(maxsize=4096)
def ascii_domain(text: str) -> str:
    """Bring a domain into its one form: lower-case A-labels without a trailing dot, or a checked address literal.

    Raises AddressError.
    """
    if text.startswith("["):
        return _checked_literal(text)
    domain = text.lower().removesuffix(".")
    if not domain.isascii():
        try:
            domain = idna.encode(domain, uts46=True).decode()
        except (idna.IDNAError, UnicodeError) as error:
            raise AddressError(f"bad internationalised domain: {error}") from None
    if not domain or len(domain) > MAX_DOMAIN:
        raise AddressError("the domain is empty or too long")
    for label in domain.split("."):
        if not _LABEL.match(label):
            raise AddressError(f"bad domain label {label[:63]!r}")
    return domain


def _checked_literal(text: str) -> str:
    if not _LITERAL.match(text):
        raise AddressError("bad address literal")
    inside = text[1:-1]
    try:
        # SECURITY: one spelling for each host, so that none of our own addresses looks like somebody else's.
        if inside[:5].lower() == "ipv6:":
            six = IPv6Address(inside[5:])
            return f"[{six.ipv4_mapped}]" if six.ipv4_mapped else f"[IPv6:{six.compressed}]"
        return text if ":" in inside else f"[{IPv4Address(inside)}]"
    except AddressValueError as error:
        raise AddressError(f"bad address literal: {error}") from None


def display_domain(domain: str) -> str:
    """Show an A-label domain to a person: as U-labels where that is safe to read, else unchanged."""
    if "xn--" not in domain:
        return domain
    try:
        return idna.decode(domain)
    except (idna.IDNAError, UnicodeError):
        return domain
