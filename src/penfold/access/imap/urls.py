"""The URLs of CATENATE: what they name in mailboxes the client may read.

Standards: RFC 4469 §2, §3; RFC 5092 §5, §6
Trust: the client's; only what it could fetch itself is given.
"""

from array import array
from typing import Final, NamedTuple

from msgspec.structs import replace

from penfold.access.imap import fetch_sections
from penfold.access.imap.client import Client
from penfold.access.imap.locating import locate
from penfold.access.imap.selected import Selected
from penfold.message.content_decoding import UnknownEncoding
from penfold.protocols.imap.fetching import Section
from penfold.protocols.imap.status import Status
from penfold.protocols.imap.urls import BadUrl, parse_url
from penfold.store import Refused, View
from penfold.store.roll import locate as places_of

_ALL: Final = Section(b"BODY[]", peek=True)
_REST: Final = 1 << 62


class Named(NamedTuple):
    """What a URL names; ``mailbox`` is empty for the selected one, ``host`` for this server."""

    host: str
    mailbox: str
    validity: int
    uid: int
    section: Section


def read(text: str) -> Named | None:
    """Read a URL; None if it is no URL of a message, or one that needs a key."""
    try:
        url = parse_url(text)
    except BadUrl:
        return None
    if not url.uid or url.access:
        return None
    section = url.section or _ALL
    if url.partial is not None:
        section = replace(section, partial=(url.partial[0], url.partial[1] or _REST))
    return Named(url.host, url.mailbox, url.uid_validity, url.uid, section)


async def octets_of(client: Client, url: str) -> bytes | None:
    """Give what a URL names, None if it names nothing here."""
    named = read(url)
    if named is None or (named.host and named.host.lower() != client.service.settings.hostname.lower()):
        return None
    view = await _view(client, named)
    if view is None or (named.validity and named.validity != view.uidvalidity):
        return None
    if not len(places_of(view.roll.uids, array("I", (named.uid,)))):
        return None
    try:
        text = b"".join(fetch_sections.answer(fetch_sections.Opened(view, named.uid), named.section))
    except (fetch_sections.Unreadable, UnknownEncoding):
        return None
    head, found, octets = text.partition(b"\r\n")
    return octets if found and head.endswith(b"}") else None


async def _view(client: Client, named: Named) -> View | None:
    if not named.mailbox:
        selected: Selected | None = client.selected
        return selected.view if selected else None
    place = await locate(client, named.mailbox, "r")
    if isinstance(place, Status) or place.box is None:
        return None
    view = await client.store.open(place.account, place.box.id)
    return None if isinstance(view, Refused) else view
