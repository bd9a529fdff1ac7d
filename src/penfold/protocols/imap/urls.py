"""IMAP URLs: what CATENATE takes parts from, and what URLAUTH makes, fetches and voids.

Standards: RFC 5092; RFC 4467 §2-§4; RFC 5593; RFC 4469 §3; RFC 3986 §2.1
Trust: the client's; linear time, and a token is only carried here: who holds the key judges it.
"""

import re
from datetime import UTC, datetime
from urllib.parse import quote, unquote_to_bytes

import msgspec

from penfold.protocols.imap.fetching import Section, fetch_items
from penfold.protocols.imap.grammar import Cursor
from penfold.protocols.imap.names import BadName, decode_utf8
from penfold.protocols.imap.status import Refusal

_SERVER = re.compile(
    r"imap://(?:([^@/;]*)(?:;AUTH=([^@/;]+))?@)?(\[[0-9A-Fa-f:.]+\]|[^@/:;\[\]]+)(?::([0-9]{1,5}))?(?=/|\Z)",
    re.IGNORECASE,
)
_PATH = re.compile(
    r"/?([^;?]*?)(?:;UIDVALIDITY=([1-9][0-9]{0,9}))?"
    r"(?:/?;UID=([1-9][0-9]{0,9}))?(?:/;SECTION=([^/;?]+))?(?:/;PARTIAL=([0-9]{1,10})(?:\.([1-9][0-9]{0,9}))?)?"
    r"(?:;EXPIRE=([0-9T:.Zz+-]+))?(?:;URLAUTH=([^:;?]+)(?::([A-Za-z0-9.-]+):([0-9A-Fa-f]{32,}))?)?\Z",
    re.IGNORECASE,
)
_MOST = 0xFFFFFFFF


class BadUrl(ValueError):
    """This is no IMAP URL, or not one that names what is asked of it."""


class ImapUrl(msgspec.Struct, frozen=True, kw_only=True):
    """An IMAP URL, decoded. ``host`` empty: it is relative to the session's account.

    ``section`` is None for the whole message. ``partial`` is offset and count, a count of 0 means to the end.
    ``expire`` is in seconds UTC. ``access`` (``authuser``, ``user+fred`` ...) stands in URLs for URLAUTH, with
    ``mechanism`` and ``token`` once they are made. ``rump`` is the text that a token vouches for.
    """

    mailbox: str = ""
    host: str = ""
    port: int = 143
    user: str = ""
    auth: str = ""
    uid_validity: int = 0
    uid: int = 0
    section: Section | None = None
    partial: tuple[int, int] | None = None
    expire: float | None = None
    access: str = ""
    mechanism: str = ""
    token: str = ""
    rump: str = ""


def parse_url(text: str) -> ImapUrl:
    """Parse an absolute or relative URL; raises BadUrl."""
    server = _SERVER.match(text)
    if server is None and "://" in text[:12]:
        raise BadUrl("no IMAP URL")
    at = 0 if server is None else server.end()
    path = _PATH.match(text, at)
    if path is None:
        raise BadUrl("no path of an IMAP URL")
    numbers = [int(digits or 0) for digits in (path[2], path[3], path[5], path[6])]
    if max(numbers) > _MOST or (path[7] and not path[8]):
        raise BadUrl("a number is out of range, or EXPIRE without URLAUTH")
    return ImapUrl(
        mailbox=_mailbox(path[1]),
        host="" if server is None else server[3],
        port=143 if server is None or not server[4] else int(server[4]),
        user="" if server is None else _text(server[1] or ""),
        auth="" if server is None else server[2] or "",
        uid_validity=numbers[0],
        uid=numbers[1],
        section=_section(path[4]) if path[4] else None,
        partial=(numbers[2], numbers[3]) if path[5] else None,
        expire=_time(path[7]) if path[7] else None,
        access=_text(path[8] or ""),
        mechanism=(path[9] or "").upper(),
        token=(path[10] or "").lower(),
        rump=text[: path.end(8)] if path[8] else text,
    )


def _text(quoted: str) -> str:
    try:
        return decode_utf8(unquote_to_bytes(quoted))
    except BadName:
        raise BadUrl("a part of a URL is not UTF-8 text") from None


def _mailbox(quoted: str) -> str:
    name = _text(quoted.rstrip("/") or quoted)
    return "INBOX" if name.upper() == "INBOX" else name


def _section(quoted: str) -> Section:
    cursor = Cursor(b"BODY.PEEK[" + unquote_to_bytes(quoted) + b"]")
    try:
        (section,) = fetch_items(cursor)
        cursor.end()
    except Refusal as refusal:
        raise BadUrl(str(refusal)) from None
    if not isinstance(section, Section) or section.partial is not None:
        raise BadUrl("no section")
    return section


def _time(text: str) -> float:
    try:
        time = datetime.fromisoformat(text)
        return time.replace(tzinfo=time.tzinfo or UTC).timestamp()
    except (ValueError, OverflowError):
        raise BadUrl("no date-time after EXPIRE") from None


def render_url(host: str, user: str, mailbox: str, *, uid_validity: int, uid: int) -> str:
    """Write the URL of a message, as a client may extend it for GENURLAUTH."""
    who = f"{quote(user, safe='')}@" if user else ""
    return f"imap://{who}{host}/{quote(mailbox, safe='/')};UIDVALIDITY={uid_validity}/;UID={uid}"
