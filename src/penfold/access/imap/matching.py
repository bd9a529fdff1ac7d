"""Which messages a search key means: by columns first, then by what is rendered, by their octets last.

The tree of keys is walked with all candidates at once. Keys that need a message's text are passed over in the first
walk, in favour of the message (or, below a NOT, against it), so that it yields all messages that can match; these are
then walked again, few at a time, with their texts.

PERF: a header field readers ask for is searched in one blob of many headers: what finds nothing there is not decoded.

Standards: RFC 9051 §6.4.4; RFC 3501 §6.4.4; RFC 5032; RFC 7162 §3.1.5; RFC 8474 §5.3; RFC 8514 §4.3; RFC 5255 §4
Trust: keys are the client's, texts the senders'.
"""

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import Any, ClassVar, Final, NamedTuple

from penfold.access.imap.selected import Selected
from penfold.access.imap.texts import FieldTest, TextTest
from penfold.message.fields import COMMON
from penfold.protocols.imap import search_keys as keys
from penfold.protocols.imap.search_keys import Day, SearchKey, When
from penfold.store import NO_DAY, Column, Item, UidSet, View
from penfold.store.flags import bit_of
from penfold.store.objectid import email_id, thread_id

_EPOCH: Final = date(1970, 1, 1).toordinal()
_DAY: Final = 86400

Found = Sequence[int]


class Question(NamedTuple):
    """What a search looks at beside the messages: ``now`` in POSIX seconds, ``saved`` for ``$``."""

    selected: Selected
    saved: UidSet
    now: float


def needs_text(key: SearchKey) -> bool:
    """Tell whether octets of messages must be read for an answer."""
    todo = [key]
    while todo:
        each = todo.pop()
        if isinstance(each, keys.InText) or (isinstance(each, keys.InField) and each.field.encode() not in COMMON):
            return True
        if isinstance(each, keys.And | keys.Or):
            todo.extend(each.keys)
        elif isinstance(each, keys.Not | keys.Fuzzy):
            todo.append(each.key)
    return False


class Matcher:
    """Evaluates one tree of keys over rows of a view, in one turn of the loop.

    ``deep``: texts are read. Otherwise ``guess`` of ``pick`` stands for what they would say.
    """

    def __init__(self, question: Question, *, deep: bool, texts: "dict[SearchKey, TextTest | FieldTest]") -> None:
        self._question = question
        self._selected = question.selected
        self._view: View = question.selected.view
        self._deep = deep
        self._texts = texts

    def pick(self, key: SearchKey, rows: Found, guess: bool = True) -> Found:
        """Pick the rows (ascending) that match, in order."""
        if not len(rows):
            return rows
        return self._PICKS[type(key)](self, key, rows, guess)

    def _column(self, column: Column, rows: Found) -> "Sequence[int] | memoryview[int]":
        return self._view.columns([column], _as_rows(rows))[0]

    def _every(self, _key: SearchKey, rows: Found, _guess: bool) -> Found:
        return rows

    def _and(self, key: keys.And, rows: Found, guess: bool) -> Found:
        for each in sorted(key.keys, key=_cost):
            rows = self.pick(each, rows, guess)
        return rows

    def _or(self, key: keys.Or, rows: Found, guess: bool) -> Found:
        found: set[int] = set()
        rest = rows
        for each in sorted(key.keys, key=_cost):
            found.update(self.pick(each, rest, guess))
            rest = [row for row in rest if row not in found]
        return [row for row in rows if row in found]

    def _not(self, key: keys.Not, rows: Found, guess: bool) -> Found:
        out = set(self.pick(key.key, rows, not guess))
        return [row for row in rows if row not in out]

    def _fuzzy(self, key: keys.Fuzzy, rows: Found, guess: bool) -> Found:
        return self.pick(key.key, rows, guess)

    def _flag(self, key: keys.HasFlag, rows: Found, _guess: bool) -> Found:
        if key.flag.lower() == "\\recent":
            first, following = self._selected.recent
            uids = self._column(Column.UID, rows)
            return [row for row, uid in zip(rows, uids, strict=True) if first <= uid < following]
        bit = bit_of(key.flag, self._view.keywords)
        return [row for row, flags in zip(rows, self._column(Column.FLAGS, rows), strict=True) if flags & bit]

    def _on_day(self, key: keys.OnDay, rows: Found, _guess: bool) -> Found:
        low, high = _days(key)
        if key.of is not Day.SENT:
            column = Column.INTERNAL if key.of is Day.INTERNAL else Column.SAVED
            return _between(rows, self._column(column, rows), low * _DAY, high * _DAY)
        days = self._column(Column.DAY, rows)
        if NO_DAY in days:
            # A message whose Date cannot be read is dated by its arrival, as SORT has it.
            came = self._column(Column.INTERNAL, rows)
            days = [at // _DAY if day == NO_DAY else day for day, at in zip(days, came, strict=True)]
        return _between(rows, days, low, high)

    def _larger(self, key: keys.Larger, rows: Found, _guess: bool) -> Found:
        return _between(rows, self._column(Column.SIZE, rows), key.octets + 1, 1 << 64)

    def _smaller(self, key: keys.Smaller, rows: Found, _guess: bool) -> Found:
        return _between(rows, self._column(Column.SIZE, rows), 0, key.octets)

    def _within(self, key: keys.Within, rows: Found, _guess: bool) -> Found:
        edge = int(self._question.now) - key.seconds
        low, high = (-(1 << 63), edge + 1) if key.older else (edge, 1 << 63)
        return _between(rows, self._column(Column.INTERNAL, rows), low, high)

    def _numbered(self, key: keys.Numbered, rows: Found, _guess: bool) -> Found:
        spans = self._selected.spans(key.messages, uid=key.uid, saved=self._question.saved) or []
        wanted = UidSet.ascending(self._selected.uids(spans))
        return [row for row, uid in zip(rows, self._column(Column.UID, rows), strict=True) if uid in wanted]

    def _changed(self, key: keys.ChangedAt, rows: Found, _guess: bool) -> Found:
        return _between(rows, self._column(Column.MODSEQ, rows), key.modseq, 1 << 64)

    def _email(self, key: keys.HasEmailId, rows: Found, _guess: bool) -> Found:
        values = self._column(Column.EMAIL, rows)
        return [row for row, value in zip(rows, values, strict=True) if email_id(value) == key.id]

    def _thread(self, key: keys.HasThreadId, rows: Found, _guess: bool) -> Found:
        values = self._column(Column.THREAD, rows)
        return [row for row, value in zip(rows, values, strict=True) if thread_id(value) == key.id]

    def _field(self, key: keys.InField, rows: Found, guess: bool) -> Found:
        test = self._texts.get(key)
        if not isinstance(test, FieldTest):
            test = self._texts[key] = FieldTest(key.field, key.value)
        if key.field.encode() in COMMON:
            headers = self._view.rendered(Item.COMMON, _as_rows(rows))
            return [rows[place] for place in test.among(headers)]
        if not self._deep:
            return rows if guess else ()
        sizes = self._column(Column.HEADER, rows)
        return [row for row, size in zip(rows, sizes, strict=True) if test.holds(bytes(self._view.body(row, 0, size)))]

    def _text(self, key: keys.InText, rows: Found, guess: bool) -> Found:
        if not self._deep:
            return rows if guess else ()
        test = self._texts.get(key)
        if not isinstance(test, TextTest):
            test = self._texts[key] = TextTest(key.value, header=key.header)
        return [row for row in rows if test.holds(self._view.body(row))]

    _PICKS: ClassVar[Mapping[type, Callable[["Matcher", Any, Found, bool], Found]]] = {
        keys.Every: _every,
        keys.SaveDateSupported: _every,
        keys.And: _and,
        keys.Or: _or,
        keys.Not: _not,
        keys.Fuzzy: _fuzzy,
        keys.HasFlag: _flag,
        keys.InField: _field,
        keys.InText: _text,
        keys.OnDay: _on_day,
        keys.Larger: _larger,
        keys.Smaller: _smaller,
        keys.Within: _within,
        keys.Numbered: _numbered,
        keys.ChangedAt: _changed,
        keys.HasEmailId: _email,
        keys.HasThreadId: _thread,
    }


def _cost(key: SearchKey) -> int:
    """Tell how dear a key is, roughly: columns, then what is rendered, then texts."""
    if isinstance(key, keys.And | keys.Or):
        return max(map(_cost, key.keys), default=0)
    if isinstance(key, keys.Not | keys.Fuzzy):
        return _cost(key.key)
    if isinstance(key, keys.InText):
        return 3
    if isinstance(key, keys.InField):
        return 1 if key.field.encode() in COMMON else 2
    return 0


def _as_rows(rows: Found) -> Any:  # noqa: ANN401
    """Give rows as the view takes them: a range, or an array."""
    return rows if isinstance(rows, range | array) else array("I", rows)


def _days(key: keys.OnDay) -> tuple[int, int]:
    day = key.day.toordinal() - _EPOCH
    edges = {When.BEFORE: (-(1 << 31) + 1, day), When.ON: (day, day + 1), When.SINCE: (day, 1 << 31)}
    return edges[key.when]


def _between(rows: Found, values: "Iterable[int]", low: int, high: int) -> Found:
    return [row for row, value in zip(rows, values, strict=True) if low <= value < high]
