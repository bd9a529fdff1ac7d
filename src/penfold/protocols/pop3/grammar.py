"""Reading the arguments of commands.

Standards: RFC 1939 §3, §9; RFC 6856 §2
Trust: the client's.
"""

import re

from penfold.protocols.pop3 import responses
from penfold.protocols.pop3.responses import Response
from penfold.protocols.sasl.prepare import Unprepared, prepared
from penfold.protocols.sasl.server import MAX_NAME, MAX_PASSWORD

_NUMBER = re.compile(rb"[0-9]{1,10}\Z")
_DIGEST = re.compile(r"[0-9a-fA-F]{32}\Z")


class Refusal(Exception):
    """A command is answered with an error."""

    def __init__(self, response: Response) -> None:
        super().__init__(str(response))
        self.response = response


def number(word: bytes) -> int:
    """Read a message number or a count of lines."""
    if not _NUMBER.match(word):
        raise Refusal(responses.BAD_NUMBER)
    return int(word)


def name(octets: bytes, *, utf8: bool) -> str:
    """Read a user name."""
    return _text(octets, MAX_NAME, utf8=utf8)


def password(octets: bytes, *, utf8: bool) -> str:
    """Read a password: spaces in it count."""
    return _text(octets, MAX_PASSWORD, utf8=utf8)


def digest(word: bytes) -> str:
    """Read the digest of APOP. QUIRK: upper-case-digest: the standard wants lower case, nothing is lost by either."""
    text = word.decode("latin-1")
    if not _DIGEST.match(text):
        raise Refusal(responses.SYNTAX)
    return text.lower()


def _text(octets: bytes, limit: int, *, utf8: bool) -> str:
    if not octets:
        raise Refusal(responses.SYNTAX)
    if not utf8 and not octets.isascii():
        raise Refusal(responses.NOT_ASCII)
    try:
        return prepared(octets, limit)
    except Unprepared:
        raise Refusal(responses.UNACCEPTABLE) from None
