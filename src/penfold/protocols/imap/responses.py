"""Untagged responses about mailboxes and their contents, as lines to ``write``.

Message data is in ``rows``; quotas, rights and annotations are in ``shared_responses``.

Standards: RFC 9051 §7.2-§7.4; RFC 3501 §7.2-§7.4; RFC 4731 §3; RFC 5258 §5; RFC 5267 §4.3; RFC 7162 §3.2.10; RFC 8438;
    RFC 9394 §3.1; RFC 8474 §4.2; RFC 2971; RFC 2342
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from penfold.protocols.imap import quoting, status
from penfold.protocols.imap.listing import Datum
from penfold.protocols.imap.names import wire_name
from penfold.protocols.imap.partial import Page
from penfold.protocols.imap.sequence_set import render_set


def untagged(kind: status.Kind, text: str, code: bytes = b"") -> bytes:
    """``* OK [UIDNEXT 5] Predicted next UID``."""
    return status.render(status.Status(kind, text, code))


def exists(count: int) -> bytes:
    """How many messages there are."""
    return b"* %d EXISTS\r\n" % count


def recent(count: int) -> bytes:
    """How many messages are recent (IMAP4rev1 only)."""
    return b"* %d RECENT\r\n" % count


def expunged(numbers: Iterable[int]) -> bytes:
    """Which messages went, by number; in the order given, each number as it is after those before it went."""
    return b"".join([b"* %d EXPUNGE\r\n" % number for number in numbers])


def vanished(uids: Iterable[int], *, earlier: bool = False) -> bytes:
    """Which messages went, by ascending UIDs; nothing for none."""
    known = render_set(uids)
    return b"* VANISHED %b%b\r\n" % (b"(EARLIER) " if earlier else b"", known) if known else b""


def flags(names: Iterable[str]) -> bytes:
    """Which flags there are in the mailbox."""
    return b"* FLAGS (" + " ".join(names).encode() + b")\r\n"


def permanent_flags(names: Iterable[str]) -> bytes:
    r"""Which flags can be changed; ``\*`` among them allows new keywords."""
    return b"* OK [PERMANENTFLAGS (" + " ".join(names).encode() + b")] Flags permitted\r\n"


def coded(code: bytes, number: int, text: str) -> bytes:
    """``* OK [UIDVALIDITY 5] ...`` and its like."""
    return status.render(status.ok(text, b"%b %d" % (code, number)))


def listed(
    name: str,
    delimiter: str | None,
    attributes: Iterable[str],
    *,
    utf8: bool,
    verb: bytes = b"LIST",
    old_name: str | None = None,
    child_info: Iterable[str] = (),
) -> bytes:
    r"""Tell of a mailbox; ``attributes`` with their backslash. ``verb`` may be LSUB.

    ``old_name``: what it was called before a RENAME; ``child_info``: which selection options a child of it met.
    """
    extended = []
    criteria = list(child_info)
    if criteria:
        extended.append(b'"CHILDINFO" ' + quoting.listed(b'"%b"' % each.encode() for each in criteria))
    if old_name is not None:
        extended.append(b'"OLDNAME" (' + quoting.mailbox(old_name, utf8=utf8) + b")")
    parts = [
        b"* %b (%b)" % (verb, " ".join(attributes).encode()),
        b"NIL" if delimiter is None else quoting.text(delimiter),
        quoting.mailbox(name, utf8=utf8),
    ]
    if extended:
        parts.append(quoting.listed(extended))
    return b" ".join(parts) + b"\r\n"


def status_of(name: str, data: Iterable[tuple[Datum, int | str | None]], *, utf8: bool) -> bytes:
    """STATUS: numbers, None as NIL (APPENDLIMIT without one), the id of MAILBOXID in parentheses."""
    items = [b"%b %b" % (datum.value.encode(), _status_value(value)) for datum, value in data]
    return b"* STATUS %b %b\r\n" % (quoting.mailbox(name, utf8=utf8), quoting.listed(items))


def _status_value(value: int | str | None) -> bytes:
    if value is None:
        return b"NIL"
    return b"%d" % value if isinstance(value, int) else b"(%b)" % value.encode()


def search(numbers: Iterable[int], modseq: int = 0) -> bytes:
    """Give the old SEARCH response, with the highest MODSEQ if the search asked for one."""
    return _numbers(b"* SEARCH", numbers, modseq)


def sort(numbers: Iterable[int], modseq: int = 0) -> bytes:
    """Give the SORT response."""
    return _numbers(b"* SORT", numbers, modseq)


def _numbers(head: bytes, numbers: Iterable[int], modseq: int) -> bytes:
    # PERF: "%d" of a tuple of all numbers takes half the time of a join.
    found = tuple(numbers)
    line = head + b" %d" * len(found) % found
    return line + (b" (MODSEQ %d)\r\n" % modseq if modseq else b"\r\n")


def thread(threads: bytes) -> bytes:
    """Give the THREAD response; ``threads`` as ``threads.thread_lists`` writes them."""
    return b"* THREAD " + threads + b"\r\n" if threads else b"* THREAD\r\n"


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What an ESEARCH response holds; None leaves an item out. ``all`` and ``page`` are prerendered sets.

    ``mailbox`` and ``uid_validity`` are for MULTISEARCH. ``add`` and ``remove`` are updates of CONTEXT: position and
    set. ``relevancy`` are scores of 1 to 100 in the order of the messages.
    """

    min: int | None = None
    max: int | None = None
    count: int | None = None
    all: bytes | None = None
    page: tuple[Page, bytes] | None = None
    modseq: int | None = None
    relevancy: Sequence[int] | None = None
    add: Sequence[tuple[int, bytes]] = ()
    remove: Sequence[tuple[int, bytes]] = ()
    mailbox: str | None = None
    uid_validity: int = 0


def esearch(tag: bytes, found: Found, *, uid: bool, utf8: bool = False) -> bytes:
    """Give the ESEARCH response to the command ``tag``."""
    correlator = [b"TAG " + quoting.string(tag)]
    if found.mailbox is not None:
        correlator += [b"MAILBOX " + quoting.mailbox(found.mailbox, utf8=utf8), b"UIDVALIDITY %d" % found.uid_validity]
    parts = [b"* ESEARCH " + quoting.listed(correlator), *([b"UID"] if uid else [])]
    parts += [
        b"%b %d" % (name, number)
        for name, number in ((b"MIN", found.min), (b"MAX", found.max), (b"COUNT", found.count))
        if number is not None
    ]
    if found.all:
        parts.append(b"ALL " + found.all)
    if found.page is not None:
        parts.append(b"PARTIAL (%b %b)" % (bytes(found.page[0]), found.page[1] or b"NIL"))
    parts += [b"ADDTO (%d %b)" % change for change in found.add]
    parts += [b"REMOVEFROM (%d %b)" % change for change in found.remove]
    if found.relevancy is not None:
        parts.append(b"RELEVANCY " + quoting.listed(b"%d" % score for score in found.relevancy))
    if found.modseq is not None:
        parts.append(b"MODSEQ %d" % found.modseq)
    return b" ".join(parts) + b"\r\n"


Namespaces = Sequence[tuple[str, str | None]]


def namespace(personal: Namespaces, others: Namespaces, shared: Namespaces, *, utf8: bool) -> bytes:
    """Tell of the namespaces: pairs of prefix and delimiter."""
    groups = [_namespaces(each, utf8=utf8) for each in (personal, others, shared)]
    return b"* NAMESPACE " + b" ".join(groups) + b"\r\n"


def _namespaces(group: Namespaces, *, utf8: bool) -> bytes:
    if not group:
        return b"NIL"
    return quoting.listed(
        b"(%b %b)" % (_prefix(prefix, utf8=utf8), b"NIL" if delimiter is None else quoting.text(delimiter))
        for prefix, delimiter in group
    )


def _prefix(prefix: str, *, utf8: bool) -> bytes:
    return quoting.string(wire_name(prefix, utf8=utf8), utf8=utf8)


def identity(fields: Mapping[str, str | None]) -> bytes:
    """Give the ID response."""
    if not fields:
        return b"* ID NIL\r\n"
    pairs = [
        quoting.text(name) + b" " + (b"NIL" if value is None else quoting.text(value)) for name, value in fields.items()
    ]
    return b"* ID " + quoting.listed(pairs) + b"\r\n"


def progress(tag: bytes, done: int | None = None, of: int | None = None) -> bytes:
    """Tell how far a long command has come (INPROGRESS)."""
    numbers = b"NIL NIL" if done is None else b"%d %b" % (done, b"NIL" if of is None else b"%d" % of)
    return status.render(status.ok("Still at it", b"INPROGRESS (%b %b)" % (quoting.string(tag), numbers)))
