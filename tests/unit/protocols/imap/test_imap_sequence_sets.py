"""Sequence sets."""

import tracemalloc

import pytest

from penfold.protocols.imap.sequence_set import SequenceSet, ascending, parse_set, render_set


@pytest.mark.parametrize(
    ("text", "largest", "ranges"),
    [
        (b"1", 9, [(1, 1)]),
        (b"5:3", 9, [(3, 5)]),
        (b"1:*", 9, [(1, 9)]),
        (b"1:*", 0, []),
        (b"*", 9, [(9, 9)]),
        (b"*:4", 9, [(4, 9)]),
        (b"12:*", 9, [(9, 9)]),  # RFC 9051 §6.4.9: the last message is always in it
        (b"2,4:7,9,12:*", 15, [(2, 2), (4, 7), (9, 9), (12, 15)]),
        (b"3,1,2", 9, [(1, 3)]),
        (b"1:5,3:8,20", 9, [(1, 8)]),
        (b"7,8:*", 9, [(7, 9)]),
        (b"1:3,*", 3, [(1, 3)]),
        (b"1:3,*", 9, [(1, 3), (9, 9)]),
        (b"4294967295", 9, []),
        (b"1:4294967295", 9, [(1, 9)]),
        (b"5:*,2:*", 9, [(2, 9)]),
        (b"6,*", 5, [(5, 5)]),
    ],
)
def test_ranges_are_resolved_against_the_mailbox(text, largest, ranges):
    assert list(parse_set(text).ranges(largest)) == ranges


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b",",
        b"1,",
        b",1",
        b"1,,2",
        b"0",
        b"1:0",
        b"1:2:3",
        b":",
        b"1:",
        b"4294967296",
        b"a",
        b"$1",
        b"1,$",
        b"+1",
        b"1_0",
    ],
)
def test_what_is_no_set_is_refused(text):
    with pytest.raises((ValueError, OverflowError)):
        parse_set(text)


def test_a_set_writes_itself_compactly():
    assert bytes(parse_set(b"3,1,2,9:*")) == b"1:3,9:*"
    assert bytes(parse_set(b"*")) == b"*"
    assert bytes(parse_set(b"$")) == b"$"
    assert render_set([1, 2, 3, 5, 7, 8]) == b"1:3,5,7:8"
    assert render_set([]) == b""


def test_sets_compare_by_what_they_mean():
    assert parse_set(b"1,2,3") == SequenceSet.of([3, 2, 1]) == SequenceSet([(1, 3)])
    assert parse_set(b"1") != parse_set(b"1:*")
    assert len({parse_set(b"1,2"), parse_set(b"1:2")}) == 1


def test_numbers_and_counts_follow_from_the_ranges():
    numbers = parse_set(b"2,4:5,8:*")
    assert list(numbers.numbers(9)) == [2, 4, 5, 8, 9]
    assert numbers.count(9) == 5
    assert numbers.beyond == 5
    assert parse_set(b"1,77,*").beyond == 77
    assert parse_set(b"9:*").beyond == 0


def test_a_million_numbers_take_little_memory():
    text = b",".join(b"%d" % number for number in range(1, 400_000, 2))
    tracemalloc.start()
    numbers = parse_set(text)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert numbers.count(400_000) == 200_000
    assert kept < 12 * 200_000
    assert peak < 80 * 200_000
    assert bytes(numbers) == text


def test_a_set_without_a_comma_for_too_long_is_refused():
    with pytest.raises(ValueError, match="no sequence set"):
        parse_set(b"1" * 200_000)


def test_ascending_tells_strict_order():
    assert ascending([1, 2, 5])
    assert not ascending([1, 1])
