"""Flags as bits."""

import pytest

from penfold.store import How, Problem
from penfold.store.flags import PLACES, Keywords, bit_of, changed, valid, words
from penfold.store.refusal import Refusal


def test_system_flags_have_fixed_bits_in_any_case():
    assert [bit_of(flag, ()) for flag in ("\\Answered", "\\flagged", "\\DELETED", "\\Seen", "\\Draft")] == [
        1, 2, 4, 8, 16,
    ]  # fmt: skip
    assert bit_of("\\Recent", ()) == 0


def test_keywords_take_the_bits_after_them():
    table = Keywords(["a", "", "c"])
    assert table.bits(["A", "c", "\\Seen", "unknown"]) == 8 | 32 | 128
    assert words(8 | 32 | 64 | 128 | 1 << 63, table.names) == ("\\Seen", "a", "c")
    assert table.missing(["x", "X", "a"]) == ["X"]
    table.enter("b")
    assert table.names == ["a", "b", "c"]


def test_the_last_place_is_the_highest_bit_and_then_there_is_no_more():
    table = Keywords(f"k{n}" for n in range(PLACES))
    assert bit_of("k58", table.names) == 1 << 63
    assert table.free == 0
    everything = (1 << 64) - 1
    with pytest.raises(Refusal) as caught:
        table.admit(["more"], lambda: everything)
    assert caught.value.refused.problem is Problem.LIMIT
    assert table.admit(["more", "k3"], lambda: everything, strict=False) == 0
    assert table.admit(["more", "k3"], lambda: everything & ~(1 << 63)) == 1
    assert bit_of("more", table.names) == 1 << 63


def test_keywords_about_to_be_borne_keep_their_places():
    table = Keywords(f"k{n}" for n in range(PLACES))
    assert table.admit(["k0", "new"], lambda: 0) == 1
    assert bit_of("k0", table.names) == 1 << 5
    assert table.names[1] == "new"
    assert table.free == PLACES - 2


def test_nothing_is_entered_when_something_is_no_flag():
    table = Keywords()
    with pytest.raises(Refusal):
        table.admit(["good", "b(d"], lambda: 0)
    assert table.names == []
    assert table.admit(["good", "b(d", "\\Seen"], lambda: 0, strict=False) == 1
    assert table.names == ["good"]


def test_store_adds_removes_and_replaces():
    assert [changed(0b0110, how, 0b0011) for how in How] == [0b0111, 0b0100, 0b0011]


@pytest.mark.parametrize("flag", ["$Junk", "NonJunk", "a.b", "x]y", "\\seen"])
def test_atoms_and_system_flags_may_be_stored(flag):
    assert valid(flag) == (flag != "x]y")
