import time

import pytest

from penfold.formats.sequences import Ranges, Sequences


@pytest.mark.parametrize(
    ("ranges", "text"),
    [([], ""), ([(1, 1)], "1"), ([(1, 1), (2, 2)], "1-2"), ([(5, 9), (1, 3), (2, 6)], "1-9"), ([(3, 1), (7, 7)], "7")],
)
def test_ranges_are_merged_and_written_as_nmh_does(ranges: list[tuple[int, int]], text: str):
    assert str(Ranges(ranges)) == text


def test_membership_in_huge_ranges_costs_nothing():
    numbers = Sequences.parse(b"all: 1-999999999\n").numbers("all")
    assert 1 in numbers
    assert 999_999_999 in numbers
    assert 0 not in numbers
    assert 1_000_000_000 not in numbers


def test_continued_lines_are_one():
    sequences = Sequences.parse(b"unseen: 1-2\n  5\n\t9\ncur: 3\n")
    assert str(sequences.numbers("unseen")) == "1-2 5 9"
    assert str(sequences.numbers("cur")) == "3"


def test_an_unknown_sequence_is_empty():
    assert not Sequences.parse(b"cur: 3\n").numbers("unseen")


def test_added_numbers_count_before_they_are_written():
    sequences = Sequences()
    sequences.add("unseen", 4)
    sequences.add("unseen", 3)
    assert 4 in sequences.numbers("unseen")
    assert sequences.octets() == b"unseen: 3-4\n"


def test_a_long_run_of_empty_lines_takes_no_time():
    start = time.process_time()
    assert 7 in Sequences.parse(b"cur: 1\n" + b"\n" * 300_000 + b"x\nunseen: 5\n\n\n 7\n").numbers("unseen")
    assert time.process_time() - start < 5
