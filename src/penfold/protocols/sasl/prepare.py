"""Preparing user names and passwords for comparison.

A simple profile: compatibility normalisation, spaces unified, controls refused. It agrees with SASLprep for what people
type.

Standards: RFC 4013; RFC 8265 §4.2 (the spirit of both, not every table)
"""

import unicodedata


class Unprepared(ValueError):
    """The text holds what no name or password may hold."""


_REFUSED = {"Cc", "Cs", "Cn", "Co"}


def prepare(text: str) -> str:
    """Bring a name or password into its one form; raises Unprepared."""
    if text.isascii():
        if not text.isprintable():
            raise Unprepared("control character")
        return text
    spaced = "".join(" " if unicodedata.category(char) == "Zs" else char for char in text if char not in "\u00ad\u200b")
    normal = unicodedata.normalize("NFKC", spaced)
    if any(unicodedata.category(char) in _REFUSED for char in normal):
        raise Unprepared("control, private or unassigned character")
    return normal


def prepared(octets: bytes, limit: int) -> str:
    """Decode and prepare a field of at most ``limit`` octets; raises Unprepared."""
    if len(octets) > limit:
        raise Unprepared("too long")
    try:
        return prepare(octets.decode())
    except UnicodeDecodeError:
        raise Unprepared("not UTF-8") from None
