"""The commands: by which parser each is read, in which states it may come, which capability it belongs to.

Standards: RFC 9051 §3, §6; the extensions' own documents
"""

from collections.abc import Callable, Mapping
from enum import Enum
from functools import partial
from typing import Any, NamedTuple

from penfold.protocols.imap import (
    annotating,
    fetching,
    linking,
    listing,
    mailboxes,
    notifying,
    searching,
    sessions,
    sharing,
    sorting,
    storing,
)
from penfold.protocols.imap.grammar import Cursor


class State(Enum):
    """How far a connection has come."""

    NOT_AUTHENTICATED = "not authenticated"
    AUTHENTICATED = "authenticated"
    SELECTED = "selected"
    LOGOUT = "logout"

    __hash__ = object.__hash__  # PERF: members are single; Enum's own hash is a Python call


_ANY = frozenset({State.NOT_AUTHENTICATED, State.AUTHENTICATED, State.SELECTED})
_NOT_AUTHENTICATED = frozenset({State.NOT_AUTHENTICATED})
_AUTHENTICATED = frozenset({State.AUTHENTICATED, State.SELECTED})
_UNSELECTED = frozenset({State.AUTHENTICATED})
_SELECTED = frozenset({State.SELECTED})


class Verb(NamedTuple):
    """A command. ``needs``: one of these capabilities; none means it belongs to the protocol itself.

    ``parse`` None: the command carries messages and is read piece by piece.
    """

    states: frozenset[State]
    parse: Callable[[Cursor], Any] | None
    needs: tuple[str, ...] = ()


def _bare(request: object) -> Callable[[Cursor], Any]:
    return lambda _cursor: request


_REV2 = "IMAP4rev2"

VERBS: Mapping[bytes, Verb] = {
    b"CAPABILITY": Verb(_ANY, _bare(sessions.Capability())),
    b"NOOP": Verb(_ANY, _bare(sessions.Noop())),
    b"LOGOUT": Verb(_ANY, _bare(sessions.Logout())),
    b"ID": Verb(_ANY, sessions.parse_id, ("ID",)),
    b"STARTTLS": Verb(_NOT_AUTHENTICATED, _bare(sessions.StartTls())),
    b"LOGIN": Verb(_NOT_AUTHENTICATED, sessions.parse_login),
    b"AUTHENTICATE": Verb(_NOT_AUTHENTICATED, sessions.parse_authenticate),
    b"ENABLE": Verb(_UNSELECTED, sessions.parse_enable, ("ENABLE", _REV2)),
    b"IDLE": Verb(_AUTHENTICATED, _bare(sessions.Idle()), ("IDLE", _REV2)),
    b"COMPRESS": Verb(_AUTHENTICATED, sessions.parse_compress, ("COMPRESS=DEFLATE",)),
    b"UNAUTHENTICATE": Verb(_AUTHENTICATED, _bare(sessions.Unauthenticate()), ("UNAUTHENTICATE",)),
    b"SELECT": Verb(_AUTHENTICATED, mailboxes.parse_select),
    b"EXAMINE": Verb(_AUTHENTICATED, mailboxes.parse_examine),
    b"CREATE": Verb(_AUTHENTICATED, mailboxes.parse_create),
    b"DELETE": Verb(_AUTHENTICATED, mailboxes.parse_delete),
    b"RENAME": Verb(_AUTHENTICATED, mailboxes.parse_rename),
    b"SUBSCRIBE": Verb(_AUTHENTICATED, mailboxes.parse_subscribe),
    b"UNSUBSCRIBE": Verb(_AUTHENTICATED, mailboxes.parse_unsubscribe),
    b"NAMESPACE": Verb(_AUTHENTICATED, _bare(mailboxes.Namespace()), ("NAMESPACE", _REV2)),
    b"LIST": Verb(_AUTHENTICATED, listing.parse_list),
    b"LSUB": Verb(_AUTHENTICATED, listing.parse_lsub),
    b"STATUS": Verb(_AUTHENTICATED, listing.parse_status),
    b"APPEND": Verb(_AUTHENTICATED, None),
    b"REPLACE": Verb(_SELECTED, None, ("REPLACE",)),
    b"UID REPLACE": Verb(_SELECTED, None, ("REPLACE",)),
    b"CHECK": Verb(_SELECTED, _bare(mailboxes.Check())),
    b"CLOSE": Verb(_SELECTED, _bare(mailboxes.Close())),
    b"UNSELECT": Verb(_SELECTED, _bare(mailboxes.Unselect()), ("UNSELECT", _REV2)),
    b"EXPUNGE": Verb(_SELECTED, storing.parse_expunge),
    b"UID EXPUNGE": Verb(_SELECTED, partial(storing.parse_expunge, uid=True), ("UIDPLUS", _REV2)),
    b"FETCH": Verb(_SELECTED, fetching.parse_fetch),
    b"UID FETCH": Verb(_SELECTED, partial(fetching.parse_fetch, uid=True)),
    b"STORE": Verb(_SELECTED, storing.parse_store),
    b"UID STORE": Verb(_SELECTED, partial(storing.parse_store, uid=True)),
    b"COPY": Verb(_SELECTED, storing.parse_copy),
    b"UID COPY": Verb(_SELECTED, partial(storing.parse_copy, uid=True)),
    b"MOVE": Verb(_SELECTED, storing.parse_move, ("MOVE", _REV2)),
    b"UID MOVE": Verb(_SELECTED, partial(storing.parse_move, uid=True), ("MOVE", _REV2)),
    b"SEARCH": Verb(_SELECTED, searching.parse_search),
    b"UID SEARCH": Verb(_SELECTED, partial(searching.parse_search, uid=True)),
    b"ESEARCH": Verb(_AUTHENTICATED, searching.parse_esearch, ("MULTISEARCH",)),
    b"SORT": Verb(_SELECTED, sorting.parse_sort, ("SORT",)),
    b"UID SORT": Verb(_SELECTED, partial(sorting.parse_sort, uid=True), ("SORT",)),
    b"THREAD": Verb(_SELECTED, sorting.parse_thread, ("THREAD=",)),
    b"UID THREAD": Verb(_SELECTED, partial(sorting.parse_thread, uid=True), ("THREAD=",)),
    b"CANCELUPDATE": Verb(_SELECTED, linking.parse_cancelupdate, ("CONTEXT=SEARCH", "CONTEXT=SORT")),
    b"NOTIFY": Verb(_AUTHENTICATED, notifying.parse_notify, ("NOTIFY",)),
    b"SETACL": Verb(_AUTHENTICATED, sharing.parse_setacl, ("ACL",)),
    b"DELETEACL": Verb(_AUTHENTICATED, sharing.parse_deleteacl, ("ACL",)),
    b"GETACL": Verb(_AUTHENTICATED, sharing.parse_getacl, ("ACL",)),
    b"LISTRIGHTS": Verb(_AUTHENTICATED, sharing.parse_listrights, ("ACL",)),
    b"MYRIGHTS": Verb(_AUTHENTICATED, sharing.parse_myrights, ("ACL",)),
    b"GETQUOTA": Verb(_AUTHENTICATED, sharing.parse_getquota, ("QUOTA",)),
    b"GETQUOTAROOT": Verb(_AUTHENTICATED, sharing.parse_getquotaroot, ("QUOTA",)),
    b"SETQUOTA": Verb(_AUTHENTICATED, sharing.parse_setquota, ("QUOTASET", "QUOTA")),
    b"GETMETADATA": Verb(_AUTHENTICATED, annotating.parse_getmetadata, ("METADATA", "METADATA-SERVER")),
    b"SETMETADATA": Verb(_AUTHENTICATED, annotating.parse_setmetadata, ("METADATA", "METADATA-SERVER")),
    b"GENURLAUTH": Verb(_AUTHENTICATED, linking.parse_genurlauth, ("URLAUTH",)),
    b"RESETKEY": Verb(_AUTHENTICATED, linking.parse_resetkey, ("URLAUTH",)),
    b"URLFETCH": Verb(_AUTHENTICATED, linking.parse_urlfetch, ("URLAUTH",)),
}
