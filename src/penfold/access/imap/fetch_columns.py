"""The items of FETCH that are kept beside each message: a batch of rows becomes columns of octets, ready to be sent.

PERF: nothing is made per row but the row itself; dates are written from two tables, flags once for each set met.

Standards: RFC 9051 §7.5.2; RFC 7162 §3.1.4; RFC 8474 §5.1, §5.2; RFC 8514 §4.2; RFC 8970 §3
"""

import re
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from penfold.access.imap.selected import Selected
from penfold.message.sections import answered_by_common
from penfold.protocols.imap import dates, quoting
from penfold.protocols.imap.fetching import Attribute, FetchItem, Section, Text
from penfold.protocols.imap.rows import Column as Shown
from penfold.store import Column, Item, Rows
from penfold.store.objectid import email_id, thread_id

_DAY: Final = 86400


class Batch(NamedTuple):
    """Rows to be told of at once. ``utf8``: strings may be UTF-8."""

    selected: Selected
    rows: Rows
    utf8: bool


class _Days(dict[int, bytes]):
    """The first half of a date-time by day."""

    def __missing__(self, day: int) -> bytes:
        if len(self) > 50_000:
            self.clear()
        text = self[day] = dates.render_date_time(day * _DAY)[:13]
        return text


class _Seconds(dict[int, bytes]):
    """The second half of a date-time by second of the day."""

    def __missing__(self, second: int) -> bytes:
        text = self[second] = b'%02d:%02d:%02d +0000"' % (second // 3600, second // 60 % 60, second % 60)
        return text


_days: Final = _Days()
_seconds: Final = _Seconds()


def date_times(values: Iterable[int]) -> list[bytes]:
    """Write dates. PERF: 0.25 µs each, with datetime 2.3."""
    days, seconds = _days, _seconds
    return [days[value // _DAY] + seconds[value % _DAY] for value in values]


def _numbers(column: Column, before: bytes = b"", after: bytes = b"") -> Callable[[Batch, bytes], Shown]:
    def shown(batch: Batch, label: bytes) -> Shown:
        values = batch.selected.view.columns([column], batch.rows)[0]
        return Shown(label, values, number=True, before=before, after=after)

    return shown


def _rendered(item: Item) -> Callable[[Batch, bytes], Shown]:
    def shown(batch: Batch, label: bytes) -> Shown:
        return Shown(label, batch.selected.view.rendered(item, batch.rows))  # type: ignore[arg-type]

    return shown


def _dates(column: Column) -> Callable[[Batch, bytes], Shown]:
    def shown(batch: Batch, label: bytes) -> Shown:
        return Shown(label, date_times(batch.selected.view.columns([column], batch.rows)[0]))

    return shown


def _ids(column: Column, write: Callable[[int], str]) -> Callable[[Batch, bytes], Shown]:
    def shown(batch: Batch, label: bytes) -> Shown:
        values = batch.selected.view.columns([column], batch.rows)[0]
        return Shown(label, [b"(%b)" % write(value).encode() for value in values])

    return shown


def _flags(batch: Batch, label: bytes) -> Shown:
    return Shown(label, batch.selected.flags_of(batch.rows))


def _previews(batch: Batch, label: bytes) -> Shown:
    texts = batch.selected.view.rendered(Item.PREVIEW, batch.rows)
    return Shown(label.partition(b" ")[0], [quoting.string(bytes(text), utf8=batch.utf8) for text in texts])


def fields(batch: Batch, section: Section) -> Shown:
    """Give the column of header fields. Raises OSError where they must be read and cannot be.

    PERF: one expression over a header of 8 fields takes 1.4 µs; nothing else that keeps their order was faster.
    """
    names = b"|".join(re.escape(name) for name in section.fields)
    chosen = re.compile(rb"^(?:%b)[ \t]*:.*\n(?:[ \t].*\n)*+" % names, re.IGNORECASE | re.MULTILINE).findall
    view, rows = batch.selected.view, batch.rows
    if answered_by_common(section.fields):
        headers: Iterable[bytes | memoryview[int]] = view.rendered(Item.COMMON, rows)
    else:
        sizes = view.columns([Column.HEADER], rows)[0]
        headers = (_ended(bytes(view.body(row, 0, size))) for row, size in zip(rows, sizes, strict=True))
    return Shown(section.label, [quoting.literal(b"".join(chosen(header)) + b"\r\n") for header in headers])


def _ended(header: bytes) -> bytes:
    """End the last line of a header that nothing follows."""
    return header if header.endswith(b"\n") else header + b"\r\n"


def bodies(batch: Batch, section: Section) -> Shown:
    """Give the column of whole messages. Raises OSError where one is no longer to be had."""
    view = batch.selected.view
    return Shown(section.label, [quoting.literal(bytes(view.body(row))) for row in batch.rows])


COLUMNS: Final[Mapping[Attribute, Callable[[Batch, bytes], Shown]]] = MappingProxyType(
    {
        Attribute.BODYSTRUCTURE: _rendered(Item.BODYSTRUCTURE),
        Attribute.EMAILID: _ids(Column.EMAIL, email_id),
        Attribute.ENVELOPE: _rendered(Item.ENVELOPE),
        Attribute.FLAGS: _flags,
        Attribute.INTERNALDATE: _dates(Column.INTERNAL),
        Attribute.MODSEQ: _numbers(Column.MODSEQ, b"(", b")"),
        Attribute.PREVIEW: _previews,
        Attribute.PREVIEW_LAZY: _previews,
        Attribute.SAVEDATE: _dates(Column.SAVED),
        Attribute.SIZE: _numbers(Column.SIZE),
        Attribute.THREADID: _ids(Column.THREAD, thread_id),
        Attribute.UID: _numbers(Column.UID),
    }
)


def has_column(item: FetchItem) -> bool:
    """Tell whether an item can be told of many messages at once."""
    if isinstance(item, Attribute):
        return item in COLUMNS
    return is_fields(item) or is_whole(item)


def is_fields(item: FetchItem) -> bool:
    """Tell whether an item is fields of the message's own header."""
    return isinstance(item, Section) and item.text is Text.FIELDS and not (item.part or item.partial)


def is_read(item: FetchItem) -> bool:
    """Tell whether an item is read out of the messages, which may fail."""
    return is_whole(item) or (is_fields(item) and isinstance(item, Section) and not answered_by_common(item.fields))


def is_whole(item: FetchItem) -> bool:
    """Tell whether an item is the whole message."""
    return isinstance(item, Section) and item.text is Text.ALL and not (item.part or item.partial or item.decoded)


def columns(batch: Batch, items: Iterable[FetchItem]) -> list[Shown]:
    """Give the columns of items that have one. Raises OSError where octets are no longer to be had."""
    return [_column(batch, each) for each in items]


def _column(batch: Batch, item: FetchItem) -> Shown:
    if isinstance(item, Attribute):
        return COLUMNS[item](batch, item.value.encode())
    return fields(batch, item) if is_fields(item) else bodies(batch, item)
