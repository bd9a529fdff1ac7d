"""Flags as bits."""

import pytest

from penfold.store.flags import PLACES, Keywords, NoRoom, bit_of, valid, words


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


def test_the_last_place_is_the_highest_bit():
    table = Keywords(f"k{n}" for n in range(PLACES))
    assert bit_of("k58", table.names) == 1 << 63
    assert table.free == 0
    with pytest.raises(NoRoom):
        table.enter("more")
    table.release(~(1 << 63))
    assert table.free == 1
    table.enter("more")
    assert bit_of("more", table.names) == 1 << 63


@pytest.mark.parametrize("flag", ["$Junk", "NonJunk", "a.b", "x]y", "\\seen"])
def test_atoms_and_system_flags_may_be_stored(flag):
    assert valid(flag) == (flag != "x]y")
