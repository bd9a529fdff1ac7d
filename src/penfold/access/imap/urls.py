"""The URLs of CATENATE: what they name in mailboxes the client may read.

Standards: RFC 4469 §2, §3; RFC 5092 §5, §6
Trust: the client's; only what it could fetch itself is given.
"""

import re
from array import array
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

from penfold.access.imap import fetch_sections
from penfold.access.imap.client import Client
from penfold.access.imap.locating import locate
from penfold.access.imap.selected import Selected
from penfold.protocols.imap.fetching import Section, parse_fetch
from penfold.protocols.imap.grammar import Cursor
from penfold.protocols.imap.status import Refusal, Status
from penfold.store import Refused, View
from penfold.store.roll import locate as locate_uid

_URL: Final = re.compile(
    r"(?:imap://[^/]*)?(?:/(?P<mailbox>[^;/?#]+(?:/[^;/?#]+)*?)(?:;UIDVALIDITY=(?P<validity>[1-9][0-9]{0,9}))?)?"
    r"/;UID=(?P<uid>[1-9][0-9]{0,9})(?:/;SECTION=(?P<section>[^;/]+))?"
    r"(?:/;PARTIAL=(?P<start>[0-9]{1,18})(?:\.(?P<count>[1-9][0-9]{0,17}))?)?\Z",
    re.IGNORECASE,
)


class Named(NamedTuple):
    """What a URL names; ``mailbox`` is None for the selected one."""

    mailbox: str | None
    validity: int
    uid: int
    section: Section


def read(url: str) -> Named | None:
    """Read a URL; None if it is no URL of a message."""
    found = _URL.match(url)
    if found is None:
        return None
    inside = unquote_to_bytes(found["section"] or "").decode("latin-1")
    partial = f"<{found['start']}.{found['count'] or 1 << 62}>" if found["start"] else ""
    try:
        items = parse_fetch(Cursor(f" 1 BODY.PEEK[{inside}]{partial}".encode("latin-1"))).items
        mailbox = unquote_to_bytes(found["mailbox"]).decode() if found["mailbox"] else None
    except (Refusal, UnicodeDecodeError):
        return None
    section = items[0]
    if len(items) != 1 or not isinstance(section, Section):
        return None
    return Named(mailbox, int(found["validity"] or 0), int(found["uid"]), section)


async def octets_of(client: Client, url: str) -> bytes | None:
    """Give what a URL names, None if it names nothing here."""
    named = read(url)
    if named is None:
        return None
    view = await _view(client, named)
    if view is None or (named.validity and named.validity != view.uidvalidity):
        return None
    if not len(locate_uid(view.roll.uids, array("I", (named.uid,)))):
        return None
    message = fetch_sections.Opened(view, named.uid)
    try:
        text = b"".join(fetch_sections.answer(message, named.section))
    except fetch_sections.Unreadable:
        return None
    if text.endswith(b' ""') and b"\r\n" not in text:
        return None
    return text[text.index(b"\r\n") + 2 :]


async def _view(client: Client, named: Named) -> View | None:
    if named.mailbox is None:
        selected: Selected | None = client.selected
        return selected.view if selected else None
    place = await locate(client, named.mailbox, "r")
    if isinstance(place, Status) or place.box is None:
        return None
    view = await client.store.open(place.account, place.box.id)
    return None if isinstance(view, Refused) else view
