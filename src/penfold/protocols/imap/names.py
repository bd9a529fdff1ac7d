"""Mailbox names on the wire: modified UTF-7 for old clients, UTF-8 after ENABLE IMAP4rev2 or UTF8=ACCEPT.

Decoding is strict: every name has one spelling, so what decodes encodes to the same octets again. Which names a store
takes (separators, lengths, forbidden characters) is the store's own table; here a name is only text without controls.

Standards: RFC 3501 §5.1.3; RFC 9051 §5.1, appendix A; RFC 6855 §3; RFC 2152
Trust: the client's; linear time.
"""

import binascii
import re

_PLAIN = re.compile(rb"[ -%'-~]*\Z")  # printable ASCII without "&"
_SHIFTED = re.compile(rb"&([A-Za-z0-9+,]*)-")
_ESCAPED = re.compile(r"&|[^ -~]+")
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class BadName(ValueError):
    """The octets are no mailbox name."""


def encode(name: str) -> bytes:
    """Write a name in modified UTF-7; half a surrogate pair, which no name holds, becomes a question mark."""
    if name.isascii() and "&" not in name:
        return name.encode()
    return _ESCAPED.sub(_shift, name).encode()


def _shift(match: re.Match[str]) -> str:
    if match[0] == "&":
        return "&-"
    octets = binascii.b2a_base64(match[0].encode("utf-16-be", "replace"), newline=False)
    return "&" + octets.rstrip(b"=").replace(b"/", b",").decode() + "-"


def decode(octets: bytes) -> str:
    """Read a name in modified UTF-7; raises BadName for any other spelling than the one ``encode`` gives."""
    if _PLAIN.match(octets):
        return octets.decode()
    parts: list[str] = []
    at = 0
    while (begin := octets.find(b"&", at)) >= 0:
        parts.append(_direct(octets[at:begin]))
        match = _SHIFTED.match(octets, begin)
        if match is None:
            raise BadName("an & in a mailbox name begins no valid modified UTF-7")
        parts.append(_unshift(match[1]))
        at = match.end()
    parts.append(_direct(octets[at:]))
    return _single(octets, "".join(parts))


def _direct(octets: bytes) -> str:
    if not _PLAIN.match(octets):
        raise BadName("a mailbox name in modified UTF-7 is printable ASCII")
    return octets.decode()


def _unshift(octets: bytes) -> str:
    if not octets:
        return "&"
    try:
        units = binascii.a2b_base64(octets.replace(b",", b"/") + b"=" * (-len(octets) % 4), strict_mode=True)
        return units.decode("utf-16-be")
    except ValueError:
        raise BadName("bad modified UTF-7 in a mailbox name") from None


def _single(octets: bytes, name: str) -> str:
    if _CONTROLS.search(name):
        raise BadName("a mailbox name holds no control characters")
    if encode(name) != octets:
        raise BadName("a mailbox name in modified UTF-7 has one spelling only")
    return name


def decode_utf8(octets: bytes) -> str:
    """Read a name in UTF-8."""
    try:
        name = octets.decode()
    except UnicodeDecodeError:
        raise BadName("a mailbox name must be UTF-8") from None
    if _CONTROLS.search(name):
        raise BadName("a mailbox name holds no control characters")
    return name


def read_name(octets: bytes, *, utf8: bool) -> str:
    """Read a mailbox name as the connection spells it; INBOX in any case is ``INBOX``."""
    name = decode_utf8(octets) if utf8 else decode(octets)
    return "INBOX" if name.upper() == "INBOX" else name


def wire_name(name: str, *, utf8: bool) -> bytes:
    """Spell a mailbox name as the connection does, not yet quoted."""
    return name.encode("utf-8", "replace") if utf8 else encode(name)
