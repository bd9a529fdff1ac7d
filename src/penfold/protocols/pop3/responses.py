"""Responses: ``+OK`` and ``-ERR``, what the server core says by itself, and how they look on the wire.

Standards: RFC 1939 §3; RFC 2449 §4, §8; RFC 3206; RFC 6856 §2
"""

import re
from functools import lru_cache

import msgspec

from penfold.model import Reply

MAX_RESPONSE_LINE = 512  # octets with CRLF, RFC 2449 §4


class Response(msgspec.Struct, frozen=True, array_like=True):
    """The first line of a response. ``code`` is the response code without its brackets, ``""`` for none."""

    ok: bool
    text: str = ""
    code: str = ""

    @classmethod
    def yes(cls, text: str = "") -> "Response":
        """Build a ``+OK``."""
        return cls(True, text)

    @classmethod
    def no(cls, text: str, code: str = "") -> "Response":
        """Build an ``-ERR``."""
        return cls(False, text, code)

    def __str__(self) -> str:
        """Show as on the wire."""
        words = ["+OK" if self.ok else "-ERR", f"[{self.code}]" if self.code else "", self.text]
        return " ".join(word for word in words if word)


def from_reply(reply: Reply) -> Response:
    """Say in POP3 what a reply says: 535 is about the client's credentials, other trouble passes or does not."""
    if reply.positive:
        return Response.yes(reply.text)
    if reply.code == 535 or (reply.permanent and reply.status.startswith("5.7.")):
        return Response.no(reply.text, "AUTH")
    return Response.no(reply.text, "SYS/PERM" if reply.permanent else "SYS/TEMP")


OK = Response.yes()
BYE = Response.yes("Bye")
MESSAGE_FOLLOWS = Response.yes("Message follows")
LISTING_FOLLOWS = Response.yes("Listing follows")
CAPABILITIES_FOLLOW = Response.yes("Capability list follows")
MECHANISMS_FOLLOW = Response.yes("Mechanisms follow")
LANGUAGES_FOLLOW = Response.yes("Language listing follows")
LANGUAGE_CHANGED = "Language changed"
NAME_TAKEN = Response.yes("Send PASS")
READY_FOR_TLS = Response.yes("Begin TLS negotiation")
LOGGED_IN = Response.yes("Logged in")
UTF8_ON = Response.yes("UTF-8 enabled")
DELETED = Response.yes("Message deleted")
NONE_DELETED = Response.yes("No message is deleted now")
SEND_MESSAGE = Response.yes("Start sending message")
MESSAGE_SENT = Response.yes("Message sent")

UNKNOWN_COMMAND = Response.no("Unknown command")
SYNTAX = Response.no("Wrong arguments")
BAD_LINE = Response.no("Command contains control characters")
NOT_ASCII = Response.no("Command contains octets outside ASCII")
NOT_UTF8 = Response.no("Command is not valid UTF-8")
LINE_TOO_LONG = Response.no("Line too long")
BAD_NUMBER = Response.no("Not a number")
NO_SUCH_MESSAGE = Response.no("No such message")
ALREADY_DELETED = Response.no("Message is deleted already")
NEED_LOGIN = Response.no("Log in first")
LOGGED_IN_ALREADY = Response.no("Already logged in")
NEED_USER = Response.no("Send USER first")
UNACCEPTABLE = Response.no("User name or password unacceptable", "AUTH")
TLS_ACTIVE = Response.no("TLS is already active")
TLS_AFTER_UTF8 = Response.no("STLS may not follow UTF8")
NEED_TLS = Response.no("Passwords in the clear are refused here: say STLS first, or connect to port 995", "SYS/PERM")
NEED_TLS_FOR_AUTH = Response.no("This mechanism needs encryption: say STLS first, or connect to port 995", "SYS/PERM")
UNKNOWN_MECHANISM = Response.no("Unrecognised authentication mechanism")
AUTH_CANCELLED = Response.no("Authentication cancelled")
AUTH_FAILED = Response.no("Authentication failed", "AUTH")
BAD_BASE64 = Response.no("Invalid base64 data")
UNKNOWN_LANGUAGE = Response.no("This language is not spoken here")
TOO_BIG = Response.no("Message is too big")
NOT_REMOVED = Response.no("Some deleted messages were not removed", "SYS/TEMP")
TOO_MANY_ERRORS = Response.no("Too many errors")
TOO_MANY_COMMANDS = Response.no("Too many commands without a log-in")
SHUTTING_DOWN = Response.no("Server is shutting down, try again later", "SYS/TEMP")
NOT_HTTP = Response.no("This is a mail server, not a web server")
UNSYNCHRONISED = Response.no("Input after STLS")

_UNSAFE = re.compile(r"[^ -~\u00a0-\U0010ffff]|[\ud800-\udfff]")


@lru_cache(maxsize=256)  # PERF: most responses of a session are the same few
def render(response: Response) -> bytes:
    """Write the line with its end.

    SECURITY: text may quote the client or another host, so controls become ``?`` and long lines are cut.
    """
    return line(str(response))


def line(text: str) -> bytes:
    """Write one line of an answer, safe and short enough."""
    if text.isascii() and text.isprintable() and len(text) <= MAX_RESPONSE_LINE - 2:
        return text.encode() + b"\r\n"
    octets = _UNSAFE.sub("?", text).encode()[: MAX_RESPONSE_LINE - 2]
    return octets.decode("utf-8", "ignore").encode() + b"\r\n"
