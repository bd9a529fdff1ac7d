"""Lists of UIDs as Dovecot and Courier write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penfold.formats.uidlist import UidList, kept, parse

NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters=":\n", exclude_categories=("Cs", "Cc")), min_size=1, max_size=40
)


def test_dovecots_third_version_is_read_with_its_facts():
    found = parse(b"3 V100 N7 Gabc\n1 W12 S10 :a.b\n3 :c:2,S\n2 :late\n5 Px,y :d\n6 :d\n")
    assert found == UidList(100, 7, {"a.b": 1, "c": 3, "d": 5}, {"a.b": "W12 S10", "d": "Px,y"}, "Gabc")
    assert (found.fact("a.b", "W"), found.fact("c", "W"), found.fact("d", "P")) == ("12", "", "x,y")


def test_couriers_is_read():
    assert parse(b"1 5 9\n2 a:2,S\n8 b\n") == UidList(5, 9, {"a": 2, "b": 8})


def test_the_next_uid_is_never_one_that_was_given():
    assert parse(b"3 V1 N1\n7 :a\n").uidnext == 8


@pytest.mark.parametrize("text", [b"", b"3 N5\n", b"3 V0 N1\n", b"2 V1 N1\n", b"1 0 5\n", b"3 V99999999999\n", b"3 V1"])
def test_what_is_no_list_is_none(text):
    assert parse(text) is None


def test_a_torn_last_line_names_nothing_else():
    assert parse(b"3 V1 N1\n1 :whole\n2 :to").uids == {"whole": 1, "to": 2}
    assert parse(b"3 V1 N1\n1 :whole\n2").uids == {"whole": 1}


@given(st.lists(NAMES, unique=True, max_size=20), st.integers(1, 0xFFFFFFFF), st.booleans())
def test_what_is_written_is_read(names, validity, courier):
    found = UidList(validity)
    for name in names:
        found.give(name)
    assert parse(found.octets(courier=courier)) == found


def test_names_that_are_gone_are_struck_off():
    found = parse(b"3 V1 N9\n1 W1 :a\n2 :b\n")
    assert kept(found, {"b": None})
    assert (found.uids, found.facts) == ({"b": 2}, {})
    assert not kept(found, {"b": None})
