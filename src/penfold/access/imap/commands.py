"""The commands, each with the function that carries it out; what is not here the session does itself.

Standards: RFC 9051 §6, §7.5.1
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from penfold.access.imap import (
    copying,
    fetch,
    listing,
    mailboxes,
    metadata,
    notify,
    search,
    selecting,
    sharing,
    sort,
    status,
    storing,
    talking,
    thread,
)
from penfold.access.imap.client import Handler
from penfold.protocols.imap.fetching import Fetch
from penfold.protocols.imap.searching import Search
from penfold.protocols.imap.settings import BASIC
from penfold.protocols.imap.sorting import Sort, Thread
from penfold.protocols.imap.storing import Store

HANDLERS: Final[Mapping[type, Handler]] = MappingProxyType(
    {
        **talking.HANDLERS,
        **selecting.HANDLERS,
        **listing.HANDLERS,
        **mailboxes.HANDLERS,
        **status.HANDLERS,
        **fetch.HANDLERS,
        **storing.HANDLERS,
        **copying.HANDLERS,
        **search.HANDLERS,
        **sort.HANDLERS,
        **thread.HANDLERS,
        **sharing.HANDLERS,
        **metadata.HANDLERS,
        **notify.HANDLERS,
    }
)

# All that works: what a listener may offer. The core adds STARTTLS, AUTH=, LOGINDISABLED and the value of APPENDLIMIT.
CAPABILITIES: Final = (
    "IMAP4rev1",
    "IMAP4rev2",
    *BASIC[1:],
    *("LIST-EXTENDED", "LIST-STATUS", "LIST-MYRIGHTS", "LIST-METADATA", "SPECIAL-USE", "CREATE-SPECIAL-USE"),
    *("CONDSTORE", "QRESYNC", "ESEARCH", "SEARCHRES", "SORT", "SORT=DISPLAY", "ESORT", "PARTIAL", "WITHIN"),
    *("THREAD=ORDEREDSUBJECT", "THREAD=REFERENCES", "THREAD=REFS", "MULTIAPPEND", "CATENATE", "BINARY", "REPLACE"),
    *("QUOTA", "QUOTA=RES-STORAGE", "QUOTA=RES-MESSAGE", "QUOTA=RES-MAILBOX", "ACL", "RIGHTS=kxte", "METADATA"),
    *("STATUS=SIZE", "APPENDLIMIT", "OBJECTID", "SAVEDATE", "PREVIEW", "UTF8=ACCEPT", "UIDONLY", "I18NLEVEL=1"),
    *("COMPRESS=DEFLATE", "UNAUTHENTICATE", "MULTISEARCH", "INPROGRESS", "NOTIFY"),
)

_NUMBERED: Final = frozenset({Fetch, Store, Search, Sort, Thread})


def holds_expunges(request: object) -> bool:
    """Tell whether EXPUNGE must wait: the client is counting on numbers (RFC 9051 §7.5.1)."""
    return type(request) in _NUMBERED and not getattr(request, "uid", False)
