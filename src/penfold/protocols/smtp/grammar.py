"""The grammar of SMTP command arguments: paths, ESMTP parameters, xtext.

Standards: RFC 5321 §4.1.2, appendix C; RFC 3461 §4, §5; RFC 6531 §3.3; RFC 6533 §3
Trust: the client's; every refusal is a ``Refusal`` carrying the reply, and the expressions run in linear time.
"""

import re

from penfold.message.escape import utf8_xtext, xtext
from penfold.model import Address, AddressError, MailError, Reply, ascii_domain, parse_address
from penfold.protocols.smtp import replies

MAX_PATH = 256  # octets with angle brackets, RFC 5321 §4.5.3.1.3

_BRACKETED = re.compile(r'<((?:[^<>"\\\s]|"(?:[^"\\]|\\.)*")*)>')
_BARE = re.compile(r'((?:[^<>"\\\s]|"(?:[^"\\]|\\.)*")+)')
_ROUTE = re.compile(r"@(?:\[[^\]]*\]|[^,:\[\]@]+)(?:,@(?:\[[^\]]*\]|[^,:\[\]@]+))*:")
_HOP = re.compile(r"@(\[[^\]]*\]|[^,:\[\]@]+)")
_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([!-<>-~\u0080-\U0010ffff]+))?\Z")
_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*\Z")
_HEX = re.compile(r"\+([0-9A-F]{2})")
_UNITEXT = re.compile(r"\\x\{([0-9A-Fa-f]{2,6})\}")


class Refusal(MailError):
    """The argument is refused with this reply."""


def parse_path(
    text: str, *, sender: bool, strict: bool = False, unqualified: bool = False
) -> tuple[Address | None, str]:
    """Parse a path at the beginning of ``text``; returns the address (None for ``<>``) and the rest of the text.

    QUIRK: bare-paths: without ``strict`` the angle brackets may be missing, as Postfix allows by default; blanks before
    the path are taken in any case. Source routes are checked and dropped. ``<postmaster>`` needs no domain.
    """
    bad = _bad_address(sender)
    text = text.lstrip(" \t")
    match = _BRACKETED.match(text) or (None if strict or text.startswith("<") else _BARE.match(text))
    if match is None:
        raise Refusal(replies.SYNTAX.with_text("Syntax error: the path must be <address>"))
    rest = text[match.end() :]
    if rest and rest[0] not in " \t":
        raise Refusal(replies.SYNTAX.with_text("Syntax error: garbage after the path"))
    inside = match[1]
    if not inside and sender:
        return None, rest
    if len(inside.encode()) > MAX_PATH - 2:
        raise Refusal(bad.with_text("Path too long"))
    try:
        address = parse_address(_without_route(inside))
    except AddressError as error:
        raise Refusal(bad.with_text(f"Bad address syntax: {error}")) from None
    if not address.domain and not unqualified and (sender or address.local.lower() != "postmaster"):
        raise Refusal(bad.with_text("Bad address syntax: the domain is missing"))
    return address, rest


def _bad_address(sender: bool) -> Reply:
    return Reply.of(501, "5.1.7" if sender else "5.1.3", "Bad address syntax")


def _without_route(path: str) -> str:
    if not path.startswith("@"):
        return path
    route = _ROUTE.match(path)
    if route is None:
        raise AddressError("bad source route")
    for hop in _HOP.findall(route[0]):
        ascii_domain(hop)
    return path[route.end() :]


def parse_parameters(text: str) -> dict[str, str | None]:
    """Parse ESMTP parameters, keywords in upper case; a keyword without ``=value`` has None."""
    parameters: dict[str, str | None] = {}
    for word in text.split():
        match = _PARAMETER.match(word)
        if match is None:
            raise Refusal(replies.SYNTAX)
        keyword = match[1].upper()
        if keyword in parameters:
            raise Refusal(replies.SYNTAX.with_text(f"Duplicate {keyword} parameter"))
        parameters[keyword] = match[2]
    return parameters


def decode_xtext(text: str) -> str:
    """Decode xtext into printable text.

    SECURITY: what is decoded ends in headers and in commands to other hosts, so nothing but printable text comes out.
    """
    if not _XTEXT.match(text):
        raise Refusal(replies.SYNTAX.with_text("Bad xtext"))
    decoded = _HEX.sub(lambda match: chr(int(match[1], 16)), text) if "+" in text else text
    try:
        decoded = decoded.encode("latin-1").decode()
    except UnicodeDecodeError:
        raise Refusal(replies.SYNTAX.with_text("Bad xtext")) from None
    return _printable(decoded)


def decode_orcpt(text: str) -> str:
    r"""Decode an ORCPT value into ``addr-type;address``; utf-8 types may hold ``\x{...}`` and raw UTF-8 (RFC 6533)."""
    kind, semicolon, value = text.partition(";")
    if not semicolon or not kind.replace("-", "").isalnum() or not kind.isascii() or len(text) > 500 or not value:
        raise Refusal(replies.SYNTAX.with_text("Bad ORCPT parameter"))
    if kind.lower() != "utf-8":
        return f"{kind};{decode_xtext(value)}"
    try:
        return f"{kind};{_printable(_UNITEXT.sub(lambda match: chr(int(match[1], 16)), value))}"
    except (ValueError, OverflowError):
        raise Refusal(replies.SYNTAX.with_text("Bad ORCPT parameter")) from None


def _printable(text: str) -> str:
    if not text.isprintable():
        raise Refusal(replies.SYNTAX.with_text("Unprintable characters in a parameter"))
    return text


def encode_orcpt(orcpt: str) -> str:
    r"""Write ``addr-type;address`` as an ORCPT value in ASCII: xtext, or ``\x{...}`` for utf-8 types (RFC 6533 §3)."""
    kind, _, value = orcpt.partition(";")
    if kind.lower() != "utf-8":
        return f"{kind};{xtext(value)}"
    return f"{kind};{utf8_xtext(value)}"
