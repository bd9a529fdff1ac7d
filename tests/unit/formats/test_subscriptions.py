"""Files of subscriptions."""

from hypothesis import given
from hypothesis import strategies as st

from penfold.formats.subscriptions import octets, octets_courier, parse, parse_courier

LEVEL = st.text(
    st.characters(codec="utf-8", exclude_characters="/.\t", exclude_categories=("Cs", "Cc")), min_size=1, max_size=8
)
NAMES = st.lists(st.lists(LEVEL, min_size=1, max_size=3).map("/".join), unique=True, max_size=6)


def test_both_versions_of_dovecot_are_read():
    assert parse(b"V\t2\n\nINBOX\nwork\tplans\n&AOk-t&AOk-\n", ".") == ["INBOX", "work/plans", "été"]
    assert parse(b"INBOX\nwork.plans\n", ".") == ["INBOX", "work/plans"]
    assert parse(b"work/plans\n", "/") == ["work/plans"]


def test_courier_has_everything_below_inbox():
    assert parse_courier(b"INBOX\nINBOX.Sent\nINBOX.a.b\n") == ["INBOX", "Sent", "a/b"]
    assert octets_courier(["INBOX", "a/b"]) == b"INBOX\nINBOX.a.b\n"


@given(NAMES)
def test_what_is_written_is_read(names):
    assert parse(octets(names), ".") == sorted(names)
    assert parse_courier(octets_courier(name for name in names if not name.startswith("INBOX"))) == sorted(
        name for name in names if not name.startswith("INBOX")
    )
