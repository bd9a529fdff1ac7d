"""Rolls: what is kept for sessions that lag, and no longer."""

import gc
from array import array

from penfold.store import Numbering, Roll, UidSet
from penfold.store.roll import locate


def test_a_session_that_knows_all_costs_two_numbers():
    roll = Roll(range(1, 1001), 1001)
    session = Numbering(roll)
    assert (session.told, session.limit) == (0, 1001)
    assert session.exists == 1000
    assert session.expunge().numbers == array("I")
    assert session.arrive() == 0


def test_a_message_that_came_and_went_between_two_looks_is_never_told():
    roll = Roll([1, 2], 3)
    session = Numbering(roll)
    roll.arrived([3, 4], 5)
    roll.departed(UidSet.of([3]))
    assert not session.waiting
    assert session.expunge() == (array("I"), UidSet())
    assert session.arrive() == 3
    assert list(session.uids(1, 3)) == [1, 2, 4]


def test_a_message_told_of_though_it_is_gone_already_is_told_gone_later():
    roll = Roll([1, 2], 3)
    session = Numbering(roll)
    roll.arrived([3, 4], 5)
    roll.departed(UidSet.of([3]))
    assert session.arrive() == 4
    assert list(session.uids(1, 4)) == [1, 2, 3, 4]
    assert list(session.expunge().numbers) == [3]
    assert list(session.uids(1, 4)) == [1, 2, 4]


def test_what_left_is_sorted_once_for_all_who_stopped_at_the_same_point():
    roll = Roll(range(1, 101), 101)
    first, second = Numbering(roll), Numbering(roll)
    roll.departed(UidSet.of([50]))
    roll.departed(UidSet.of([10]))
    assert roll.left(first.told) is roll.left(second.told)
    assert list(roll.left(0).uids) == [10, 50]
    assert list(roll.left(0).ranks) == [9, 49]


def test_the_log_is_cut_to_what_somebody_has_not_been_told():
    roll = Roll(range(1, 20_001), 20_001)
    slow = Numbering(roll)
    for start in range(1, 10_000, 1000):
        roll.departed(UidSet.span(start, start + 999))
    assert len(roll._log) == 10_000
    assert slow.exists == 20_000
    assert len(slow.expunge().numbers) == 10_000
    roll.departed(UidSet.of([10_001]))
    assert len(roll._log) == 1
    assert list(slow.expunge().numbers) == [1]
    del slow
    gc.collect()
    roll.departed(UidSet.span(10_002, 15_000))
    assert len(roll._log) == 0
    assert roll.end == 10_001 + 4999
    assert Numbering(roll).exists == 5000


def test_striking_off_who_is_not_there_changes_nothing():
    roll = Roll([1, 5], 6)
    assert not roll.departed(UidSet.of([2, 9]))
    assert roll.end == 0


def test_many_gaps_are_closed_as_few_are():
    roll = Roll(range(1, 1001), 1001)
    session = Numbering(roll)
    gone = UidSet.of(range(2, 1001, 10))
    assert roll.departed(gone) == gone
    assert list(roll.uids) == [uid for uid in range(1, 1001) if uid % 10 != 2]
    assert list(session.uids(1, 1000)) == list(range(1, 1001))


def test_places_are_found_across_gaps_on_either_side():
    column = array("I", [uid for uid in range(1, 1000) if uid % 7])
    uids = array("I", [uid for uid in range(1, 1100) if uid % 11])
    found = [column[row] for row in locate(column, uids)]
    assert found == [uid for uid in range(1, 1000) if uid % 7 and uid % 11]
    swapped = array("I", [1, 2, 4, 5, 6, 7, 8])
    assert list(locate(array("I", [1, 2, 3, 5, 6, 7, 8]), swapped)) == [0, 1, 3, 4, 5, 6]


def test_a_session_whose_pending_expunges_were_never_told_of_waits_for_nothing():
    roll = Roll([], 1)
    session = Numbering(roll)
    roll.arrived([1], 2)
    roll.departed(UidSet.of([1]))
    assert not session.waiting
    assert session.exists == 0
    assert list(session.uids(1, 5)) == []
