"""Patterns of LIST."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penfold.access.imap.patterns import matcher


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("*", "a/b/c", True),
        ("%", "a", True),
        ("%", "a/b", False),
        ("a/%", "a/b", True),
        ("a/%", "a/b/c", False),
        ("a/*", "a/b/c", True),
        ("a*c", "a/b/c", True),
        ("a%c", "abc", True),
        ("a%c", "a/c", False),
        ("%%", "a/b", False),
        ("%*%", "a/b", True),
        ("inbox", "INBOX", True),
        ("InBo%", "INBOX", True),
        ("abc", "ABC", False),
        ("", "a", False),
        ("a.c", "abc", False),
        ("*a/%/b*", "xa/y/bz", True),
        ("*a/%/b*", "xa/y/z/bz", False),
    ],
)
def test_a_pattern_means_what_the_standard_says(pattern, name, matches):
    assert matcher(pattern)(name) is matches


@given(st.text("ab/%*", max_size=8), st.text("ab/", max_size=10))
def test_patterns_match_what_an_expression_would(pattern, name):
    expression = "".join({"*": ".*", "%": "[^/]*"}.get(each, re.escape(each)) for each in pattern)
    assert matcher(pattern)(name) is (re.fullmatch(expression, name) is not None)


def test_a_hostile_pattern_costs_no_more_than_its_length():
    assert not matcher("*a" * 400 + "b")("a" * 1000)
