"""Mailbox names: whatever passes is safe to write into a listing, a log or a path of levels, and has one spelling."""

import unicodedata

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from penfold.store.names import MAX_DEPTH, MAX_LEVEL, MAX_NAME, BadName, above, is_below, mailbox_name

LEVEL = st.one_of(
    st.text(max_size=12), st.sampled_from(["INBOX", "inbox", "..", ".", "", "a", "é", "e\u0301", "x" * 255])
)
NAMES = st.one_of(st.text(max_size=40), st.lists(LEVEL, max_size=6).map("/".join))

PLAIN = st.text("abIé\u0301. ", min_size=1, max_size=6).filter(lambda level: level.strip("."))
GOOD = st.lists(st.one_of(PLAIN, st.sampled_from(["INBOX", "inbox"])), min_size=1, max_size=6).map("/".join)


def accepted(text: str) -> str | None:
    try:
        return mailbox_name(text)
    except BadName:
        return None


@given(st.one_of(NAMES, GOOD))
@example("inbox/../a")
@example("\ud800")
@example("a/" * 100_000)
@example("\u037e\u2000\u212bngstro\u0308m")
def test_what_passes_is_safe_and_stays_as_it_is(text):
    name = accepted(text)
    assume(name is not None)
    levels = name.split("/")
    assert "" not in levels
    assert not {".", ".."} & set(levels)
    assert len(levels) <= MAX_DEPTH
    assert max(len(level.encode()) for level in levels) <= MAX_LEVEL
    assert len(name.encode()) <= MAX_NAME
    assert not any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in name)
    assert not set("*%") & set(name)
    assert unicodedata.is_normalized("NFC", name)
    assert mailbox_name(name) == name
    assert mailbox_name(unicodedata.normalize("NFD", name)) == name
    assert levels[0] == "INBOX" or levels[0].upper() != "INBOX"


@given(NAMES)
def test_what_is_refused_is_refused_with_a_reason(text):
    assume(accepted(text) is None)
    with pytest.raises(BadName, match=r"\w"):
        mailbox_name(text)


@given(GOOD)
def test_what_is_above_a_name_is_a_name(text):
    name = mailbox_name(text)
    parents = list(above(name))
    assert len(parents) == name.count("/")
    for parent in parents:
        assert mailbox_name(parent) == parent
        assert is_below(name, parent)
        assert not is_below(parent, name)
