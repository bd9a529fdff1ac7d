"""The fields in which mail programs keep state inside a message of an mbox or MMDF file, as c-client and Dovecot do.

``Status`` and ``X-Status`` are flags, ``X-Keywords`` keywords, ``X-UID`` the UID. The first message bears
``X-IMAPbase: UIDVALIDITY LASTUID KEYWORDS``; in a mailbox of c-client it is instead a message that is none (``X-IMAP``,
"FOLDER INTERNAL DATA"). None of these fields is shown to a reader, and none that comes with a message is believed.

We write them as one block whose length stays the same when flags change: blanks after ``X-Keywords`` fill it up. So a
flag is changed by overwriting some octets, and nothing behind them moves.

Standards: https://doc.dovecot.org/2.3/admin_manual/mailbox_formats/mbox/; docs/internal.txt of c-client
Trust: written by any program of the mailbox's owner, and in new messages by their senders.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, NamedTuple

from penfold.formats.flags import from_status_fields

_FIELDS: Final = re.compile(
    rb"^(Status|X-Status|X-Keywords|X-UID|X-IMAP|X-IMAPbase):[ \t]*([^\n]*)\n((?:[ \t][^\n]*\n)*)",
    re.IGNORECASE | re.MULTILINE,
)
_LENGTH: Final = re.compile(rb"^Content-Length:[^\n]*\n(?:[ \t][^\n]*\n)*", re.IGNORECASE | re.MULTILINE)
_UID: Final = re.compile(rb"(\d{1,10})[ \t]*")
_BASE: Final = re.compile(rb"(\d{1,10})[ \t]+(\d{1,10})(?:[ \t]+([^\n]*))?")
_KEYWORD: Final = re.compile(r"[!#$&'+,\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]+")
_LETTERS: Final = {"\\answered": "A", "\\flagged": "F", "\\draft": "T", "\\deleted": "D"}
_ROOM: Final = 24  # blanks after the keywords in a new block
_BASE_ROOM: Final = 128  # more of them in the first message, for the list of keywords
_STEP: Final = 32  # by how much a block grows that has become too short
_MOST: Final = 0xFFFFFFFF


class Base(NamedTuple):
    """What the first message says of the mailbox. ``internal``: it is a message that is none."""

    uidvalidity: int
    last: int
    keywords: bytes = b""
    internal: bool = False


class State(NamedTuple):
    """What a header says. ``spans`` are where its fields stand in it; ``uid`` 0 for none."""

    flags: frozenset[str]
    uid: int
    seen: bool
    spans: tuple[tuple[int, int], ...]
    base: Base | None = None


_NOTHING: Final = State(frozenset(), 0, seen=False, spans=())


def read(header: bytes) -> State:
    """Read the state from a header section (LF line ends, without the empty line).

    PERF: what the same fields say is looked up; a header takes 6 us.
    """
    found = _FIELDS.findall(header) if b"tatus:" in header or b"X-" in header else ()
    if not found:
        return _NOTHING
    values = {name.lower(): value + more for name, value, more in found}
    uid = _UID.fullmatch(values.get(b"x-uid", b""))
    number = int(uid[1]) if uid else 0
    status = values.get(b"status", b"")
    spans = tuple(match.span() for match in _FIELDS.finditer(header))
    return State(
        _flags(status, values.get(b"x-status", b""), values.get(b"x-keywords", b"")),
        number if number < _MOST else 0,
        seen=b"O" in status,
        spans=spans,
        base=_base(values, without(header, spans)) if b"x-imap" in values or b"x-imapbase" in values else None,
    )


@lru_cache(maxsize=4096)
def _flags(status: bytes, more: bytes, keywords: bytes) -> frozenset[str]:
    return from_status_fields(b"Status: %b\nX-Status: %b\nX-Keywords: %b\n" % (status, more, keywords))


def _base(values: dict[bytes, bytes], shown: bytes) -> Base | None:
    found = _BASE.match(values.get(b"x-imapbase") or values.get(b"x-imap", b""))
    if not found or not 0 < int(found[1]) <= _MOST or int(found[2]) >= _MOST:
        return None
    internal = b"x-imapbase" not in values and b"FOLDER INTERNAL DATA" in shown
    return Base(int(found[1]), int(found[2]), (found[3] or b"").rstrip(), internal)


def without(header: bytes, spans: Iterable[tuple[int, int]]) -> bytes:
    """Give the header as a reader sees it."""
    kept, start = [], 0
    for first, last in spans:
        kept.append(header[start:first])
        start = last
    return b"".join((*kept, header[start:])) if kept else header


def strip(header: bytes) -> bytes:
    """Take the fields out of a header that is shown, or comes from elsewhere.

    SECURITY: Content-Length, too. Some programs believe it, and a sender could hide the message after his.
    """
    shown = without(header, read(header).spans)
    return _LENGTH.sub(b"", shown) if b"ength:" in shown else shown


def with_keywords(base: Base, flags: Iterable[str]) -> Base:
    """Add the keywords among flags that are not on the list: Dovecot and c-client know only those that are."""
    known = {word.lower() for word in base.keywords.decode("ascii", "replace").split()}
    new = sorted(flag for flag in flags if _KEYWORD.fullmatch(flag) and flag.lower() not in known)
    return base._replace(keywords=b" ".join((base.keywords, *(flag.encode() for flag in new))).strip()) if new else base


def block(flags: frozenset[str], uid: int, *, seen: bool, base: Base | None = None, length: int = 0) -> bytes:
    """Write the fields, in ``length`` octets if they go into that many, else in more."""
    folded = {flag.lower() for flag in flags}
    status = ("R" if "\\seen" in folded else "") + ("O" if seen else "")
    letters = "".join(sorted(letter for flag, letter in _LETTERS.items() if flag in folded))
    words = " ".join(sorted(flag for flag in flags if _KEYWORD.fullmatch(flag)))
    head = _base_field(base) if base else b""
    fields = f"X-UID: {uid}\nStatus: {status}\nX-Status: {letters}\nX-Keywords: {words}".encode("ascii", "replace")
    new_room = _ROOM + _BASE_ROOM if base else _ROOM
    short = len(head) + len(fields) + 1
    room = length - short if length >= short else new_room if not length else -(short - length) % _STEP
    return head + fields + b" " * room + b"\n"


def _base_field(base: Base) -> bytes:
    name = b"X-IMAP" if base.internal else b"X-IMAPbase"
    return b"%b: %010d %010d%b\n" % (name, base.uidvalidity, base.last, b" " + base.keywords if base.keywords else b"")


def rewritten(header: bytes, state: State, new: bytes) -> bytes:
    """Give the header with another block: in the place of the old fields where they stand together, else at its end."""
    if state.spans and all(last == first for (_, last), (first, _) in zip(state.spans, state.spans[1:], strict=False)):
        return header[: state.spans[0][0]] + new + header[state.spans[-1][1] :]
    kept = without(header, state.spans)
    return kept + (b"" if kept.endswith(b"\n") or not kept else b"\n") + new


def room(state: State) -> int:
    """Tell how long a block may be that takes the place of the fields there are; 0 if they do not stand together."""
    if not state.spans or any(
        last != first for (_, last), (first, _) in zip(state.spans, state.spans[1:], strict=False)
    ):
        return 0
    return state.spans[-1][1] - state.spans[0][0]
