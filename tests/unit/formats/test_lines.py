import pytest

from penfold.formats.lines import quote, quoted, to_crlf, to_lf, unquote, unquoted

QUOTED = {
    b"From x\n": b">From x\n",
    b">From x\n": b">>From x\n",
    b"a\nFrom x\n>>From y": b"a\n>From x\n>>>From y",
    b"From\n": b"From\n",
    b" From x\n": b" From x\n",
    b"> From x\n": b"> From x\n",
    b"from x\n": b"from x\n",
    b"a From x\n": b"a From x\n",
    b"": b"",
}


@pytest.mark.parametrize(("plain", "on_disk"), QUOTED.items())
def test_quoting_adds_one_mark_and_unquoting_takes_it_away(plain: bytes, on_disk: bytes):
    assert quote(plain) == on_disk
    assert unquote(on_disk) == plain


@pytest.mark.parametrize(("plain", "on_disk"), QUOTED.items())
def test_octet_by_octet_it_is_the_same(plain: bytes, on_disk: bytes):
    assert b"".join(quoted(bytes([octet]) for octet in plain)) == on_disk
    assert b"".join(unquoted(bytes([octet]) for octet in on_disk)) == plain


def test_a_line_of_marks_without_end_holds_nothing_back():
    held = [b">" * 65536] * 100
    out = list(quoted(held))
    assert sum(map(len, out)) == 6_553_600
    assert all(len(piece) <= 65537 for piece in out)


def test_carriage_returns_at_a_cut_are_not_lost():
    assert b"".join(to_lf([b"a\r", b"\nb\r", b"c\r"])) == b"a\nb\rc\r"
    assert b"".join(to_crlf([b"a\r", b"\nb\n"])) == b"a\r\nb\r\n"
