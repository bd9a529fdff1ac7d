"""Commands about the session: who the client is, what the connection does, what is enabled.

Standards: RFC 9051 §6.1, §6.2, §6.3.1, §6.3.13; RFC 3501; RFC 2177; RFC 2971; RFC 4959; RFC 4978; RFC 5161; RFC 8437
Trust: the client's; nothing here is shown with the secrets it holds.
"""

import binascii

import msgspec

from penfold.protocols.imap.grammar import Cursor, refused
from penfold.protocols.imap.status import BAD_BASE64, Refusal

MAX_ID_FIELDS = 30  # RFC 2971 §3.3, and the lengths below
MAX_ID_FIELD = 30
MAX_ID_VALUE = 1024


class Capability(msgspec.Struct, frozen=True, array_like=True):
    """CAPABILITY, which the core answers by itself."""


class Noop(msgspec.Struct, frozen=True, array_like=True):
    """NOOP: a moment to tell of changes."""


class Logout(msgspec.Struct, frozen=True, array_like=True):
    """LOGOUT, which the core answers by itself."""


class StartTls(msgspec.Struct, frozen=True, array_like=True):
    """STARTTLS. After a positive answer send what is to be sent, shake hands, then call ``tls_started``."""


class Login(msgspec.Struct, frozen=True, array_like=True):
    """LOGIN: name and password as octets; they are UTF-8 only if the client meant them to be."""

    user: bytes
    password: bytes

    def __repr__(self) -> str:
        """Show without the password."""
        return f"Login({self.user!r}, ...)"


class Authenticate(msgspec.Struct, frozen=True, array_like=True):
    """AUTHENTICATE. ``initial`` None means there was no initial response, ``b""`` an empty one."""

    mechanism: str
    initial: bytes | None

    def __repr__(self) -> str:
        """Show without the response: it may hold a password."""
        return f"Authenticate({self.mechanism!r}, {self.initial and '...'!r})"


class Enable(msgspec.Struct, frozen=True, array_like=True):
    """ENABLE: the capabilities named that can be enabled, are offered and are not enabled yet."""

    names: tuple[str, ...]


class Id(msgspec.Struct, frozen=True, array_like=True):
    """ID: what the client says of itself; None for NIL."""

    fields: dict[str, str | None] | None


class Idle(msgspec.Struct, frozen=True, array_like=True):
    """IDLE. Answer with ``go_ahead``, then ``write`` at will until IdleDone comes."""


class Compress(msgspec.Struct, frozen=True, array_like=True):
    """COMPRESS DEFLATE; a positive answer begins it."""


class Unauthenticate(msgspec.Struct, frozen=True, array_like=True):
    """UNAUTHENTICATE: drop everything that belongs to the user."""


def parse_login(cursor: Cursor) -> Login:
    """Parse the arguments of LOGIN."""
    cursor.space()
    user = cursor.astring()
    cursor.space()
    return Login(user, cursor.astring())


def parse_authenticate(cursor: Cursor) -> Authenticate:
    """Parse the arguments of AUTHENTICATE."""
    cursor.space()
    mechanism = cursor.word().decode()
    if cursor.ended():
        return Authenticate(mechanism, None)
    cursor.space()
    initial, cursor.at = cursor.text[cursor.at :], len(cursor.text)
    return Authenticate(mechanism, b"" if initial == b"=" else base64(initial))


def base64(text: bytes) -> bytes:
    """Decode a response of an authentication exchange."""
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        raise Refusal(BAD_BASE64) from None


def parse_enable(cursor: Cursor) -> Enable:
    """Parse the arguments of ENABLE, in upper case."""
    names: list[str] = []
    while not names or not cursor.ended():
        cursor.space()
        names.append(cursor.word().decode())
    return Enable(tuple(dict.fromkeys(names)))


def parse_id(cursor: Cursor) -> Id:
    """Parse the arguments of ID; names of fields come out in lower case, the first of two equal ones counts."""
    cursor.space()
    if cursor.takes_word(b"NIL"):
        return Id(None)
    fields: dict[str, str | None] = {}
    for name, value in cursor.listed(lambda: _id_field(cursor), empty=True):
        fields.setdefault(name, value)
    if len(fields) > MAX_ID_FIELDS:
        raise refused("Too many ID fields")
    return Id(fields)


def _id_field(cursor: Cursor) -> tuple[str, str | None]:
    name = cursor.string()
    cursor.space()
    value = cursor.nstring()
    if len(name) > MAX_ID_FIELD or len(value or b"") > MAX_ID_VALUE:
        raise refused("An ID field is too long")
    return name.decode("utf-8", "replace").lower(), None if value is None else value.decode("utf-8", "replace")


def parse_compress(cursor: Cursor) -> Compress:
    """Parse the arguments of COMPRESS."""
    cursor.space()
    if cursor.word() != b"DEFLATE":
        raise refused("Unknown compression mechanism")
    return Compress()
