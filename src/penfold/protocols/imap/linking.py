"""URLAUTH and CONTEXT's remainder: making, fetching and voiding authorised URLs; ending searches that go on.

Standards: RFC 4467 §7; RFC 5267 §4.3.5 (CANCELUPDATE)
Trust: the client's; URLs and tags of a command are limited.
"""

from typing import TypeVar

import msgspec

from penfold.protocols.imap.grammar import Cursor, refused

MAX_URLS = 128
MAX_URL = 4096

Item = TypeVar("Item")


class GenUrlAuth(msgspec.Struct, frozen=True, array_like=True):
    """GENURLAUTH: pairs of a URL without its token and a mechanism in upper case."""

    urls: tuple[tuple[str, str], ...]


class ResetKey(msgspec.Struct, frozen=True, array_like=True):
    """RESETKEY: of one mailbox or, with None, of all."""

    mailbox: str | None = None
    mechanisms: tuple[str, ...] = ()


class UrlFetch(msgspec.Struct, frozen=True, array_like=True):
    """URLFETCH."""

    urls: tuple[str, ...]


class CancelUpdate(msgspec.Struct, frozen=True, array_like=True):
    """CANCELUPDATE: tags of searches whose updates are to end."""

    tags: tuple[bytes, ...]


def url(cursor: Cursor) -> str:
    """Parse a URL: an astring of printable ASCII."""
    octets = cursor.astring()
    text = octets.decode("ascii", "replace")
    if not octets or len(octets) > MAX_URL or not text.isascii() or not text.isprintable() or " " in text:
        raise refused("Invalid URL")
    return text


def parse_genurlauth(cursor: Cursor) -> GenUrlAuth:
    """Parse the arguments of GENURLAUTH."""
    pairs: list[tuple[str, str]] = []
    while not pairs or not cursor.ended():
        cursor.space()
        one = url(cursor)
        cursor.space()
        pairs.append((one, cursor.word().decode()))
    return GenUrlAuth(_limited(pairs))


def parse_resetkey(cursor: Cursor) -> ResetKey:
    """Parse the arguments of RESETKEY."""
    if cursor.ended():
        return ResetKey()
    cursor.space()
    mailbox = cursor.mailbox()
    mechanisms: list[str] = []
    while not cursor.ended():
        cursor.space()
        mechanisms.append(cursor.word().decode())
    return ResetKey(mailbox, _limited(mechanisms))


def parse_urlfetch(cursor: Cursor) -> UrlFetch:
    """Parse the arguments of URLFETCH."""
    urls: list[str] = []
    while not urls or not cursor.ended():
        cursor.space()
        urls.append(url(cursor))
    return UrlFetch(_limited(urls))


def parse_cancelupdate(cursor: Cursor) -> CancelUpdate:
    """Parse the arguments of CANCELUPDATE."""
    tags: list[bytes] = []
    while not tags or not cursor.ended():
        cursor.space()
        tags.append(cursor.string())
    return CancelUpdate(_limited(tags))


def _limited(items: list[Item]) -> tuple[Item, ...]:
    if len(items) > MAX_URLS:
        raise refused("Too many arguments")
    return tuple(items)
