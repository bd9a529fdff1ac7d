r"""STORE: flags of messages changed.

Standards: RFC 9051 §6.4.6; RFC 3501 §6.4.6; RFC 7162 §3.1.3; RFC 4314 §4; RFC 2180 §4.2
Trust: flags are the client's words; the store judges what may be one.
"""

from array import array
from typing import Final

from penfold.access.imap import updates
from penfold.access.imap.client import Answer, Client, Handler, Pieces
from penfold.access.imap.refusals import ISSUED, NO_NUMBER, NO_RIGHT, READ_ONLY, refused
from penfold.access.imap.selected import Selected, right_for
from penfold.protocols.imap import codes, status
from penfold.protocols.imap.events import Command
from penfold.protocols.imap.sequence_set import render_set
from penfold.protocols.imap.storing import How as Asked
from penfold.protocols.imap.storing import Store
from penfold.store import Flagged, How, Refused, StoreFlags, UidSet

_HOW: Final = {Asked.ADD: How.ADD, Asked.REMOVE: How.REMOVE, Asked.REPLACE: How.REPLACE}


async def store(client: Client, command: Command) -> "Answer | Pieces":
    """Answer STORE and UID STORE."""
    selected, request = client.view(), command.request
    client.condstore = client.condstore or request.unchanged_since is not None
    if selected.read_only:
        return READ_ONLY
    spans = selected.spans(request.messages, uid=request.uid, saved=client.saved)
    if spans is None:
        return NO_NUMBER
    changes = _changes(selected, request, UidSet.ascending(selected.uids(spans)))
    if not changes:
        return NO_RIGHT
    results = await client.store.apply(changes)
    selected.view.refresh()
    for result in results:
        if isinstance(result, Refused):
            return refused(result)
    flagged = [result for result in results if isinstance(result, Flagged)]
    return _answer(client, selected, request, changes[0].uids, flagged)


def _changes(selected: Selected, request: Store, uids: UidSet) -> list[StoreFlags]:
    """Write the changes the user's rights allow: flags one may not touch are left as they are (RFC 4314 §4)."""
    rights = set(selected.place.rights)
    box, since = selected.view.mailbox, request.unchanged_since
    account = selected.place.account
    flags = tuple(flag for flag in request.flags if right_for(flag) in rights)
    if request.how is not Asked.REPLACE:
        # Nothing named is nothing to do; what is named and may not be changed is refused.
        named = bool(flags) or not request.flags
        return [StoreFlags(account, box, uids, _HOW[request.how], flags, since)] if named else []
    if set("stw") <= rights:
        return [StoreFlags(account, box, uids, How.REPLACE, flags, since)]
    mine = [flag for flag in selected.flags if right_for(flag) in rights]
    if not mine:
        return []
    dropped = tuple(flag for flag in mine if flag.lower() not in {each.lower() for each in flags})
    removing = StoreFlags(account, box, uids, How.REMOVE, dropped, since)
    return [removing, StoreFlags(account, box, uids, How.ADD, flags)] if flags else [removing]


def _answer(client: Client, selected: Selected, request: Store, asked: UidSet, flagged: list[Flagged]) -> Pieces:
    unmodified = UidSet.joined(pair for result in flagged for pair in result.unmodified.ranges)
    for result in flagged:
        selected.hush(result.changed, result.modseq)
    changed = UidSet.joined(pair for result in flagged for pair in result.changed.ranges)
    yield from updates.keywords(selected)
    if not request.silent:
        yield from updates.flag_rows(client, selected, _there(selected, asked.without(unmodified)))
    elif client.condstore:
        # RFC 7162 §3.1.3: a client that counts MODSEQs hears the new ones, .SILENT or not.
        yield from updates.flag_rows(client, selected, _there(selected, changed), flags=False)
    verb = "UID STORE" if request.uid else "STORE"
    if unmodified:
        failed = list(unmodified) if request.uid else [selected.numbering.number(uid) for uid in unmodified]
        return status.ok(f"Conditional {verb} failed", b"MODIFIED " + render_set(failed))
    if len(asked) != len(_there(selected, asked)):
        return status.ok(ISSUED, codes.EXPUNGEISSUED)
    return status.ok(f"{verb} completed")


def _there(selected: Selected, uids: UidSet) -> "array[int]":
    """Keep the messages that are still there."""
    return uids.among(selected.view.roll.uids)


HANDLERS: dict[type, Handler] = {Store: store}
