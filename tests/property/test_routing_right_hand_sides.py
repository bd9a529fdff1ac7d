"""Right-hand sides, alias files and masked fields of any content."""

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from penfold.model import ConfigError
from penfold.routing.aliases import parse_aliases, parse_rhs
from penfold.routing.entries import AliasError, To, entry_text, parse_entry
from penfold.routing.forward import ForwardError, parse_forward
from penfold.routing.masquerade import MaskRule, Masquerade
from penfold.routing.status import parse_error

PIECES = [
    *(
        "a",
        "b@c.test",
        '"',
        "\\",
        ",",
        "(",
        ")",
        "<",
        ">",
        "|",
        "/",
        ":include:",
        "error:",
        ":fail:",
        " ",
        "\t",
        "@",
        ".",
    ),
    *("\n", "#", "550 5.1.1 x", "é", "\0", ":"),
]
texts = st.lists(st.sampled_from(PIECES), max_size=12).map("".join) | st.text(max_size=40)


@given(texts)
def test_what_is_read_is_read_again_from_its_canonical_text(text):
    try:
        entries = parse_rhs(text)
    except AliasError:
        return
    for entry in entries:
        assert parse_entry(entry_text(entry)) == entry


@given(texts, texts)
def test_two_lists_joined_by_a_comma_are_both_lists(one, other):
    try:
        first, second = parse_rhs(one), parse_rhs(other)
    except AliasError:
        return
    if not one.lstrip().lower().startswith(("error:", ":fail:", ":defer:")) and not other.lstrip().lower().startswith(
        ("error:", ":fail:", ":defer:")
    ):
        assert parse_rhs(f"{one},{other}") == first + second


@given(texts)
def test_an_unquoted_address_never_becomes_a_program_or_a_file(text):
    with contextlib.suppress(AliasError):
        entry = parse_entry(text)
        if not text.startswith(("|", "/", ":", "error:", "ERROR:")):
            assert isinstance(entry, To) or text.lower().startswith("error:")


@given(texts.map(str.encode) | st.binary(max_size=60))
def test_files_are_read_or_refused_with_a_line(data):
    with contextlib.suppress(ForwardError):
        parse_forward(data)
    place = ("f", 1)
    try:
        list(parse_aliases(data.decode(errors="replace"), "f"))
    except ConfigError as error:
        place = (error.file, error.line)
    assert place[0] == "f"
    assert place[1]


@given(texts)
def test_error_texts_always_give_a_reply_that_fits_a_line(text):
    reply = parse_error(text)
    assert reply.transient or reply.permanent
    assert str(reply.code)[0] == reply.status[0]
    assert reply.text.strip()
    assert not any(character in reply.text for character in "\r\n\0")


@given(
    st.lists(st.sampled_from([p.encode() for p in [*PIECES, "x@host.test"]]), max_size=12).map(b"".join) | st.binary()
)
def test_masking_a_field_twice_changes_nothing_more(value):
    mask = Masquerade(rules=(MaskRule("host.test", "c.test"), MaskRule(".c.test", "c.test")))
    once = mask.field(value)
    assert mask.field(once) == once
    assert once.replace(b"c.test", b"") == value.replace(b"host.test", b"").replace(b"c.test", b"") or b"." in value


@given(st.lists(st.sampled_from(["a", "b@c.test", " ", "\t", ",", "@", "x.y", "é", ";"]), max_size=10).map("".join))
def test_a_plain_list_is_read_as_the_full_grammar_reads_it(text):
    def read(value):
        try:
            return parse_rhs(value)
        except AliasError:
            return None

    assert read(text) == read(text + ",")  # a comma at the end is more than a plain list has
