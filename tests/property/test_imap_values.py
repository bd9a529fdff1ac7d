"""Names, sets, strings and dates: what is written is read again, and what is read is read in bounds."""

import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.imap_material import read

from penfold.protocols.imap import names, quoting
from penfold.protocols.imap.dates import parse_date_time, render_date_time
from penfold.protocols.imap.grammar import Cursor
from penfold.protocols.imap.sequence_set import SequenceSet, parse_set, render_set
from penfold.protocols.imap.status import Refusal
from penfold.protocols.imap.verbs import VERBS

texts = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]))
numbers = st.integers(1, 40)
endpoints = st.one_of(numbers.map(str), st.just("*"))
sets = st.lists(st.one_of(endpoints, st.builds("{}:{}".format, endpoints, endpoints)), min_size=1).map(",".join)


@given(texts)
def test_names_survive_modified_utf7(name):
    octets = names.encode(name)
    assert octets.isascii()
    assert names.decode(octets) == name
    assert names.decode_utf8(names.wire_name(name, utf8=True)) == name


@given(st.binary(max_size=40).map(lambda octets: octets.replace(b"\0", b"&")))
def test_octets_are_a_name_in_one_spelling_or_not_at_all(octets):
    try:
        name = names.decode(octets)
    except names.BadName:
        return
    assert names.encode(name) == octets


def meant(text, largest):
    """A sequence set as RFC 9051 explains it, number by number."""
    chosen = set()
    for item in text.split(","):
        first, _, last = item.partition(":")
        ends = [largest if end == "*" else int(end) for end in (first, last or first)]
        chosen |= set(range(min(ends), max(ends) + 1))
    return sorted(number for number in chosen if 1 <= number <= largest)


@given(sets, st.integers(0, 50))
def test_sets_mean_what_the_standard_says(text, largest):
    parsed = parse_set(text.encode())
    assert list(parsed.numbers(largest)) == (meant(text, largest) if largest else [])
    assert list(parse_set(bytes(parsed)).numbers(largest)) == list(parsed.numbers(largest))


@given(st.sets(st.integers(1, 2**32 - 1)))
def test_numbers_survive_a_set(chosen):
    ascending = sorted(chosen)
    text = render_set(ascending)
    assert bytes(SequenceSet.of(chosen)) == text
    if text:
        assert list(parse_set(text).numbers(2**32 - 1)) == ascending


@given(st.text("0123456789:*,$ a-", max_size=20))
def test_any_text_is_a_set_or_refused(text):
    try:
        parsed = parse_set(text.encode())
    except (ValueError, OverflowError):
        return
    assert bytes(parsed)


@given(st.binary(max_size=60), st.booleans())
def test_strings_survive_quoting(octets, utf8):
    octets = octets.replace(b"\0", b"")
    for written in (quoting.string(octets, utf8=utf8), quoting.astring(octets, utf8=utf8)):
        cursor = Cursor(written)
        assert cursor.astring() == octets
        cursor.end()


@given(st.integers(-62135596800, 253402300799))
def test_dates_survive(seconds):
    assert parse_date_time(render_date_time(seconds).strip(b'"')) == seconds


@given(st.sampled_from([verb.decode() for verb, row in VERBS.items() if row.parse is not None]), st.binary(max_size=80))
def test_arguments_are_read_or_refused(verb, octets):
    with contextlib.suppress(Refusal):
        assert isinstance(read(verb, b" " + octets), msgspec.Struct)


WORDS = [
    *(
        b" ",
        b" ",
        b"(",
        b")",
        b"[",
        b"]",
        b"<0.1>",
        b'"',
        b'""',
        b"{2+}\r\nab",
        b"~{1+}\r\nx",
        b"1",
        b"1:*",
        b"$",
        b"x",
        b"NIL",
    ),
    *(
        b"FLAGS",
        b"BODY",
        b"BODY[",
        b"HEADER.FIELDS",
        b"TEXT",
        b"OR",
        b"NOT",
        b"FUZZY",
        b"RETURN",
        b"ALL",
        b"SEEN",
        b"MODSEQ",
    ),
    *(
        b"SINCE",
        b"1-Feb-1994",
        b"QRESYNC",
        b"CONDSTORE",
        b"USE",
        b"\\Seen",
        b"STATUS",
        b"MESSAGES",
        b"SET",
        b"selected",
    ),
    *(
        b"MessageNew",
        b"MessageExpunge",
        b"mailboxes",
        b"IN",
        b"PARTIAL",
        b"-1:-5",
        b"CHARSET",
        b"UTF-8",
        b"REVERSE",
        b"DATE",
    ),
    *(b"CHANGEDSINCE", b"VANISHED", b"/shared/a", b"DEPTH", b"MAXSIZE", b"*", b"%", b"&", b"\xff", b"\r\n", b"."),
]


@given(
    st.sampled_from([verb.decode() for verb, row in VERBS.items() if row.parse is not None]),
    st.lists(st.sampled_from(WORDS), max_size=20),
    st.booleans(),
)
def test_words_in_any_order_are_read_or_refused(verb, words, utf8):
    with contextlib.suppress(Refusal):
        assert isinstance(read(verb, b" " + b"".join(words), utf8=utf8), msgspec.Struct)


def test_the_words_do_make_commands():
    assert read("SEARCH", b" RETURN (ALL) OR SEEN NOT (ALL 1:*)")
    with pytest.raises(Refusal):
        read("SEARCH", b" RETURN")
