"""Status responses: OK, NO, BAD, BYE and PREAUTH with their response codes, and the refusals this core says by itself.

Standards: RFC 9051 §7.1; RFC 3501 §7.1; RFC 5530 §3; RFC 7888 §4
"""

import re
from enum import StrEnum

import msgspec

_UNPRINTABLE = re.compile(r"[^ -~]")


class Kind(StrEnum):
    """What a status response says."""

    OK = "OK"
    NO = "NO"
    BAD = "BAD"
    BYE = "BYE"
    PREAUTH = "PREAUTH"


class Status(msgspec.Struct, frozen=True, array_like=True):
    """A status response: ``code`` is what stands in the square brackets (``b"TRYCREATE"``), empty if nothing does."""

    kind: Kind
    text: str
    code: bytes = b""

    @property
    def positive(self) -> bool:
        """OK or PREAUTH."""
        return self.kind in {Kind.OK, Kind.PREAUTH}

    def with_code(self, code: bytes) -> "Status":
        """Say the same under another code."""
        return Status(self.kind, self.text, code)

    def __str__(self) -> str:
        """Show as in a log: ``NO [TRYCREATE] No such mailbox``."""
        code = f"[{self.code.decode('ascii', 'replace')}] " if self.code else ""
        return f"{self.kind} {code}{self.text}"


class Refusal(Exception):
    """A command is refused with this status."""

    def __init__(self, status: Status) -> None:
        super().__init__(str(status))
        self.status = status


def ok(text: str, code: bytes = b"") -> Status:
    """Say yes."""
    return Status(Kind.OK, text, code)


def no(text: str, code: bytes = b"") -> Status:
    """Say that the command was understood and failed."""
    return Status(Kind.NO, text, code)


def bad(text: str, code: bytes = b"") -> Status:
    """Say that the command was not understood or may not come now."""
    return Status(Kind.BAD, text, code)


def bye(text: str, code: bytes = b"") -> Status:
    """Say that the connection ends."""
    return Status(Kind.BYE, text, code)


def render(status: Status, tag: bytes = b"*") -> bytes:
    """Write a status response as a line; whatever ``text`` holds, the line stays one line of ASCII."""
    text = _UNPRINTABLE.sub("?", status.text).encode() or b"."
    if status.code:
        return b"%b %b [%b] %b\r\n" % (tag, status.kind.encode(), status.code, text)
    return b"%b %b %b\r\n" % (tag, status.kind.encode(), text)


AUTHENTICATED = ok("Logged in")
COMPLETED = ok("Completed")
GREETING = ok("Penfold ready")
LOGGING_OUT = bye("Logging out")
BEGIN_TLS = ok("Begin TLS negotiation now")
DEFLATE_ACTIVE = ok("DEFLATE active")

AUTH_CANCELLED = bad("Authentication cancelled")
AUTH_FAILED = no("Authentication failed", b"AUTHENTICATIONFAILED")
BAD_BASE64 = bad("Invalid base64")
BAD_TAG = bad("Missing or invalid tag")
COMPRESSED = no("Compression is already active", b"COMPRESSIONACTIVE")
EMPTY_MESSAGE = no("An empty message is not stored")
EXPECTED_DONE = bad("Expected DONE")
LINE_TOO_LONG = bad("Line too long", b"TOOBIG")
LITERAL_TOO_LONG = bad("Literal too long", b"TOOBIG")
LITERAL_SYNTAX = bad("Invalid literal")
MESSAGE_TOO_BIG = no("Message exceeds the size limit", b"TOOBIG")
NEED_LOGIN = bad("Log in first")
NEED_NO_LOGIN = bad("Already logged in")
NEED_NO_MAILBOX = bad("Not while a mailbox is selected")
NEED_MAILBOX = bad("Select a mailbox first")
NEED_TLS = no("Log in under TLS only", b"PRIVACYREQUIRED")
NON_SYNCHRONISING = bad("A non-synchronizing literal must not exceed 4096 octets", b"TOOBIG")
NOT_UNDER_COMPRESSION = bad("Not after COMPRESS")
TLS_ACTIVE = bad("TLS is already active")
UID_REQUIRED = bad("Message numbers are not used after ENABLE UIDONLY", b"UIDREQUIRED")
UNKNOWN_COMMAND = bad("Unknown command")
UNKNOWN_MECHANISM = no("Unsupported authentication mechanism", b"CANNOT")

BROKEN_STREAM = bye("Invalid compressed data")
NOT_HTTP = bye("This is not a web server")
SHUTTING_DOWN = bye("Server shutting down", b"UNAVAILABLE")
TIMED_OUT = bye("Autologout; idle for too long")
TOO_LARGE_TO_READ = bye("Literal too large to be read", b"TOOBIG")
TOO_LONG_TO_READ = bye("Line too long to be read", b"TOOBIG")
TOO_MANY_COMMANDS = bye("Too many commands before log-in")
TOO_MANY_ERRORS = bye("Too many invalid commands")
UNSYNCHRONISED = bye("Input after a command that changes the stream")
