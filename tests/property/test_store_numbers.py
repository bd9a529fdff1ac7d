"""Sets of UIDs, rolls and sequence numbers agree with plain lists and sets, whatever is put into them."""

from array import array

from hypothesis import given
from hypothesis import strategies as st

from penfold.store import Numbering, Roll, UidSet
from penfold.store.roll import locate

SETS = st.sets(st.integers(1, 60), max_size=30)
RANGES = st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), max_size=8)


def plain(ranges) -> set[int]:
    return {uid for pair in ranges for uid in range(min(pair), max(pair) + 1)}


@given(RANGES)
def test_a_set_holds_what_its_ranges_hold_in_the_fewest_ranges(ranges):
    made, held = UidSet.joined(ranges), plain(ranges)
    assert list(made) == sorted(held)
    assert len(made) == len(held)
    assert bool(made) == bool(held)
    assert [uid in made for uid in range(62)] == [uid in held for uid in range(62)]
    assert all(later[0] > earlier[1] + 1 for earlier, later in zip(made.ranges, made.ranges[1:], strict=False))
    assert UidSet.of(held) == UidSet.ascending(sorted(held)) == made


@given(RANGES, SETS)
def test_a_set_finds_its_places_in_a_column(ranges, present):
    column = array("I", sorted(present))
    made = UidSet.joined(ranges)
    wanted = sorted(present & plain(ranges))
    assert [column[place] for places in made.places(column) for place in places] == wanted
    assert list(made.among(column)) == wanted


@given(RANGES, RANGES)
def test_a_set_without_another_holds_the_difference(ranges, others):
    left = UidSet.joined(ranges).without(UidSet.joined(others))
    assert left == UidSet.of(plain(ranges) - plain(others))


@given(SETS, SETS)
def test_rows_are_found_for_the_uids_that_have_one(present, wanted):
    column = array("I", sorted(present))
    found = locate(column, array("I", sorted(wanted)))
    assert [column[row] for row in found] == sorted(present & wanted)


@given(st.lists(st.one_of(st.tuples(st.just("arrive"), st.integers(0, 4)), st.tuples(st.just("depart"), RANGES))), SETS)
def test_the_numbers_of_a_session_that_is_told_nothing_never_move(events, present):
    roll = Roll(sorted(present), 61)
    session, believed = Numbering(roll), sorted(present)
    there = set(present)
    for event, what in events:
        if event == "arrive":
            new = range(roll.next, roll.next + what)
            roll.arrived(new, roll.next + what + 1)
            there.update(new)
        else:
            gone = UidSet.joined(what)
            assert set(roll.departed(gone)) == there & set(gone)
            there -= set(gone)
        assert list(roll.uids) == sorted(there)
        assert list(session.uids(1, 100)) == believed
        assert [session.number(uid) for uid in believed] == list(range(1, len(believed) + 1))
    left = [uid for uid in believed if uid not in there]
    assert session.waiting == bool(left)
    told = session.expunge()
    assert list(told.uids) == left
    assert [believed.pop(number - 1) for number in told.numbers] == left[::-1]
    session.arrive()
    assert list(session.uids(1, session.exists)) == sorted(there)
