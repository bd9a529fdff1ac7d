r"""Strings as IMAP writes them: quoted where that is legal for every client, else a literal.

Octets above 127 go into literals: a quoted string may carry UTF-8 only where the session has said so (IMAP4rev2,
UTF8=ACCEPT), and what is rendered once must be right for all.

Standards: RFC 9051 §4.3, §9 (nstring, quoted, literal); RFC 3501 §4.3
"""

import re

from penfold.message.fields import NUL

NIL = b"NIL"
_UNQUOTABLE = re.compile(rb"[\r\n\0\x80-\xff]")


def string(value: bytes) -> bytes:
    """Render octets; a NUL cannot be carried and becomes U+FFFD."""
    if _UNQUOTABLE.search(value):
        value = value.replace(b"\0", NUL)
        return b"{%d}\r\n%b" % (len(value), value)
    if b'"' in value or b"\\" in value:
        value = value.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    return b'"%b"' % value


def nstring(value: bytes | None) -> bytes:
    """Render octets, or NIL for what is not there."""
    return NIL if value is None else string(value)
