"""Strangers' text, made harmless; xtext and utf-8 addresses."""

import pytest

from penfold.message import escape
from penfold.message.transfer import decoded


def test_xtext_is_inverted_by_decoding():
    """RFC 3461 §4."""
    assert escape.xtext("a+b=c d@e.f") == "a+2Bb+3Dc+20d@e.f"
    assert escape.from_xtext("a+2Bb+3Dc+20d@e.f") == "a+b=c d@e.f"


def test_malformed_xtext_stands_as_it_is():
    assert escape.from_xtext("+zz+2b+") == "+zz+2b+"


def test_utf8_addresses_are_inverted_by_decoding():
    """RFC 6533 §3."""
    assert escape.utf8_xtext("jos\u00e9+\\=@x") == "jos\\x{E9}\\x{2B}\\x{5C}\\x{3D}@x"
    assert escape.from_utf8_xtext(escape.utf8_xtext("jos\u00e9+\\=@x\U0001f600")) == "jos\u00e9+\\=@x\U0001f600"


def test_codes_that_are_no_character_stand_as_they_are():
    assert escape.from_utf8_xtext("\\x{D800}\\x{FFFFFF}") == "\\x{D800}\\x{FFFFFF}"


@pytest.mark.parametrize("text", ["a\r\nb", "a\0b", "a\x85b", "a\u2028b", "a\u202eb", "a\ud800b"])
def test_controls_become_a_space(text):
    assert escape.visible(text) == "a b"


def test_a_comment_cannot_be_closed_and_a_quoted_string_cannot_be_ended():
    assert escape.comment("a) (\\ é") == "a\\) \\(\\\\ ?"
    assert escape.quoted('a"\\') == '"a\\"\\\\"'


def test_undecodable_content_is_given_as_it_is():
    assert decoded(b"a", "base64") == b"a"
    assert decoded(b"a=3D", "7bit") == b"a=3D"
