"""Strings on the way out: atom, quoted string or literal, whichever the octets allow.

Standards: RFC 9051 §4, §9 (astring, nstring, quoted, literal); RFC 3501 §4.3; RFC 6855 §3; RFC 3516 §4.2
Trust: what is quoted may be a sender's; nothing that comes out can end a line or a string early.
"""

import re
from collections.abc import Iterable

from penfold.protocols.imap.names import wire_name

_ATOM = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\\]]+\Z')
_QUOTABLE = re.compile(rb"[^\x00\r\n\x80-\xff]{0,4096}\Z")
_QUOTABLE8 = re.compile(rb"[^\x00\r\n]{0,4096}\Z")
_SPECIAL = re.compile(rb'["\\]')


def string(octets: bytes, *, utf8: bool = False) -> bytes:
    """Write a string: quoted if its octets allow, else a literal. ``utf8``: UTF-8 may stand in quotes."""
    if _QUOTABLE.match(octets) or (utf8 and _QUOTABLE8.match(octets) and _is_utf8(octets)):
        if b'"' in octets or b"\\" in octets:
            octets = _SPECIAL.sub(rb"\\\g<0>", octets)
        return b'"' + octets + b'"'
    return literal(octets)


def literal(octets: bytes, *, binary: bool = False) -> bytes:
    """Write a literal, or with ``binary`` a literal8 where it must be one.

    QUIRK: nul-in-literal: a literal that is not BINARY's holds no NUL, so where a sender put one 0x80 is sent, as Cyrus
    and Dovecot do; sizes stay what they are.
    """
    if b"\0" not in octets:
        return b"{%d}\r\n%b" % (len(octets), octets)
    if binary:
        return b"~{%d}\r\n%b" % (len(octets), octets)
    return b"{%d}\r\n%b" % (len(octets), octets.replace(b"\0", b"\x80"))


def nstring(octets: bytes | None, *, utf8: bool = False) -> bytes:
    """Write a string, or NIL for None."""
    return b"NIL" if octets is None else string(octets, utf8=utf8)


def astring(octets: bytes, *, utf8: bool = False) -> bytes:
    """Write a string as an atom where that is possible."""
    if _ATOM.match(octets) and octets.upper() != b"NIL":
        return octets
    return string(octets, utf8=utf8)


def text(value: str, *, utf8: bool = False) -> bytes:
    """Write text as a string."""
    return string(value.encode("utf-8", "replace"), utf8=utf8)


def mailbox(name: str, *, utf8: bool) -> bytes:
    """Write a mailbox name as the connection spells it."""
    return astring(wire_name(name, utf8=utf8), utf8=utf8)


def listed(items: Iterable[bytes]) -> bytes:
    """Write a parenthesised list."""
    return b"(" + b" ".join(items) + b")"


def _is_utf8(octets: bytes) -> bool:
    try:
        octets.decode()
    except UnicodeDecodeError:
        return False
    return True
