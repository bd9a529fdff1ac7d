"""The table of mailbox names, case by case."""

import pytest

from penfold.store.names import BadName, mailbox_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("inbox", "INBOX"),
        ("InBox/Sub", "INBOX/Sub"),
        ("Sub/inbox", "Sub/inbox"),
        ("inboxes", "inboxes"),
        ("cafe\u0301", "caf\u00e9"),
        ('a&b~c\\d"e', 'a&b~c\\d"e'),
        ("...", "..."),
        (" a ", " a "),
        ("a#", "a#"),
        ("台北/日本語", "台北/日本語"),
        ("\u0131nbox", "\u0131nbox"),
        ("x" * 255, "x" * 255),
        ("/".join("abcd" * 10), "/".join("abcd" * 10)),
    ],
)
def test_a_good_name_has_one_spelling(text, name):
    assert mailbox_name(text) == name


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("a\x00b", "NUL"),
        ("a\nb", "control"),
        ("a\x7f", "control"),
        ("a\x85", "control"),
        ("a\u2028", "control"),
        ("a\udc80", "not Unicode"),
        ("a\uffff", "no character"),
        ("a*", "wildcard"),
        ("%", "wildcard"),
        ("#news", "reserved"),
        ("/a", "empty level"),
        ("a/", "empty level"),
        ("a//b", "empty level"),
        ("/", "empty level"),
        (".", "level . or .."),
        ("a/../b", "level . or .."),
        ("a/..", "level . or .."),
        ("./a", "level . or .."),
        ("x" * 256, "255 octets"),
        ("é" * 128, "255 octets"),
        ("/".join(["a"] * 41), "40 levels"),
        ("/".join(["x" * 200] * 6), "1000 octets"),
        ("/".join(["é" * 100] * 6), "1000 octets"),
    ],
)
def test_a_bad_name_is_refused_with_the_reason(text, reason):
    with pytest.raises(BadName, match=reason):
        mailbox_name(text)
