"""Addresses of header fields, as the standard writes them and as people do."""

import pytest

from penfold.message.address_list import parse_list


def pairs(value):
    return [(box.name, box.local, box.domain) for box in parse_list(value).mailboxes]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"bob@example.org", [("", "bob", "example.org")]),
        (b"Bob <bob@example.org>", [("Bob", "bob", "example.org")]),
        (b'"Smith, Bob" <bob@example.org>, ada@b.c', [("Smith, Bob", "bob", "example.org"), ("", "ada", "b.c")]),
        (b"bob@example.org (Bob (the) Builder)", [("Bob (the) Builder", "bob", "example.org")]),
        (b"Bob . Smith @ example . org", [("", "Bob.Smith", "example.org")]),
        (b'"odd local"@example.org', [("", "odd local", "example.org")]),
        (b'"a\\"b"@example.org', [("", 'a"b', "example.org")]),
        (b"<@a.example,@b.example:bob@c.example>", [("", "bob", "c.example")]),
        (b"bob@[192.0.2.1]", [("", "bob", "[192.0.2.1]")]),
        (b"bob", [("", "bob", "")]),
        (b",, bob@b.c ,,", [("", "bob", "b.c")]),
        (b"a@b.c; d@e.f", [("", "a", "b.c"), ("", "d", "e.f")]),
        (b"Bob\r\n <bob@example.org>,\r\n\tada@b.c", [("Bob", "bob", "example.org"), ("", "ada", "b.c")]),
        ("José <josé@exämple.org>".encode(), [("José", "josé", "exämple.org")]),
        (b"=?utf-8?q?J=2C?= <j@b.c>", [("=?utf-8?q?J=2C?=", "j", "b.c")]),
        (b"(comment) <(in) a@b.c (side)>", [("comment", "a", "b.c")]),
        (b"Bob <bob@example.org", [("Bob", "bob", "example.org")]),
        (b'bob@example.org "unterminated', []),
        (b"<>", []),
        (b"", []),
    ],
)
def test_values_give_their_mailboxes(value, expected):
    """RFC 5322 §3.4, §4.4; RFC 6532 §3.2."""
    assert pairs(value) == expected


def test_members_of_a_group_know_its_name_and_an_empty_group_has_none():
    """RFC 5322 §3.4."""
    listed = parse_list(b"Friends: a@b.c, D <d@e.f>;, undisclosed-recipients:;, x@y.z")
    assert [(box.local, box.group) for box in listed.mailboxes] == [("a", "Friends"), ("d", "Friends"), ("x", "")]
    assert listed.bad == ()


@pytest.mark.parametrize("value", [b"bob smith@example.org", b"two words", b"@example.org", b"a@", b"a\\b@c.d"])
def test_what_is_no_address_is_told_and_not_guessed(value):
    listed = parse_list(value + b", ok@b.c")
    assert len(listed.bad) == 1
    assert [box.local for box in listed.mailboxes] == ["ok"]


def test_spans_point_at_the_octets_of_the_value():
    value = " José <josé.x@exa.example>, b".encode()
    first, second = parse_list(value).mailboxes
    assert value[slice(*first.local_span)] == "josé.x".encode()
    assert value[slice(*first.domain_span)] == b"exa.example"
    assert second.domain_span == (len(value), len(value))


def test_too_many_mailboxes_are_cut_and_told():
    listed = parse_list(b"a@b.c," * 50, limit=10)
    assert (len(listed.mailboxes), listed.overflow) == (10, True)


@pytest.mark.parametrize("value", [b"(" * 500_000, b'"' * 500_000, b"[" * 500_000, b"<" * 500_000, b"\\" * 500_000])
def test_hostile_repetition_costs_linear_time(value):
    assert len(parse_list(value).mailboxes) <= 10_000
