"""Sets of UIDs."""

import msgspec

from penfold.store import EVERY, UidSet
from penfold.store.uidset import MAX_UID


def test_a_set_is_written_as_imap_writes_it():
    assert str(UidSet.of([3, 1, 2, 9])) == "1:3,9"
    assert str(UidSet()) == ""
    assert str(UidSet.span(4, 4)) == "4"


def test_a_set_travels_as_its_ranges():
    made = UidSet.of([1, 2, 3, 7])
    made._firsts  # noqa: B018 - what is remembered must not travel
    octets = msgspec.msgpack.encode(made)
    assert msgspec.msgpack.decode(octets) == [[[1, 3], [7, 7]]]
    assert msgspec.msgpack.decode(octets, type=UidSet) == made


def test_every_uid_is_two_numbers():
    assert EVERY.ranges == ((1, MAX_UID),)
    assert 1 in EVERY
    assert MAX_UID in EVERY
    assert 0 not in EVERY
    assert "1" not in EVERY
    assert list(UidSet.of([5]).without(EVERY)) == []
    assert EVERY.without(UidSet.of([1, 5])).ranges == ((2, 4), (6, MAX_UID))


def test_a_backward_range_is_the_same_range():
    assert UidSet.joined([(5, 2)]) == UidSet.span(2, 5)
    assert not UidSet.span(5, 2)


def test_a_long_run_is_found_with_few_looks():
    class Column(list):
        looks = 0

        def __getitem__(self, place):
            self.looks += 1
            return super().__getitem__(place)

    column = Column(range(5, 100_005))
    assert UidSet.ascending(column).ranges == ((5, 100_004),)
    assert column.looks < 60
