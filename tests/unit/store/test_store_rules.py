"""The rules all drivers share: names of the tree, what is allowed, what is published."""

import pytest
from tests.stores import ADA

from penfold.store import Annotation, Kind, MailboxId, Problem, Quota
from penfold.store.allowance import afford, check_adoptable, check_uids, next_uidvalidity
from penfold.store.annotation import in_order as notes_in_order
from penfold.store.annotation import noted
from penfold.store.publication import Publication
from penfold.store.refusal import Refusal
from penfold.store.tree import check_deletable, in_order, missing, renamed

NAMES = {"INBOX", "a", "a/b", "a/b/c", "a-b", "x/y"}


def problem(call, *args, **more) -> Problem:
    with pytest.raises(Refusal) as caught:
        call(*args, **more)
    return caught.value.refused.problem


def test_a_rename_moves_what_lies_below_and_nothing_that_only_begins_alike():
    assert renamed(NAMES, "a", "z/w") == {"a": "z/w", "a/b": "z/w/b", "a/b/c": "z/w/b/c"}
    assert renamed(NAMES, "x", "z") == {"x/y": "z/y"}
    assert renamed(NAMES, "a/b", "b") == {"a/b": "b", "a/b/c": "b/c"}


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("a", "a", Problem.ALREADY_EXISTS),
        ("a", "x/y", Problem.ALREADY_EXISTS),
        ("a", "a/z", Problem.CANNOT),
        ("nope", "z", Problem.NONEXISTENT),
        ("a/b", "/".join(["d"] * 40), Problem.CANNOT),
    ],
)
def test_a_rename_that_cannot_be_is_refused(old, new, why):
    assert problem(renamed, NAMES, old, new) is why


def test_a_rename_onto_what_lies_below_another_name_is_refused():
    assert problem(renamed, {"a/b", "c/b"}, "a", "c") is Problem.ALREADY_EXISTS


def test_what_is_missing_is_named_from_above():
    assert missing(NAMES, "a/n/m") == ["a/n", "a/n/m"]
    assert missing(NAMES, "a/b") == []


def test_names_are_listed_inbox_first_then_level_by_level():
    assert sorted(["a-b", "a/b", "a", "INBOX/z", "INBOX"], key=in_order) == ["INBOX", "INBOX/z", "a", "a/b", "a-b"]


def test_inbox_and_what_is_not_there_cannot_be_deleted():
    assert problem(check_deletable, NAMES, "INBOX") is Problem.CANNOT
    assert problem(check_deletable, NAMES, "x") is Problem.NONEXISTENT
    check_deletable(NAMES, "x/y")


def test_quota_stops_growth_and_nothing_else():
    limits = Quota(10, 0, 2)
    afford(Quota(4, 99, 2), limits, Quota(6, 1, 0))
    afford(Quota(40, 0, 9), limits, Quota(-1, 5, 0))
    assert problem(afford, Quota(4, 0, 0), limits, Quota(7)) is Problem.OVER_QUOTA
    assert problem(afford, Quota(0, 0, 2), limits, Quota(0, 0, 1)) is Problem.OVER_QUOTA


def test_uids_from_elsewhere_ascend():
    check_uids([0, 7, 0, 9], 5)
    assert problem(check_uids, [7, 7], 1) is Problem.CANNOT
    assert problem(check_uids, [4], 5) is Problem.CANNOT
    assert problem(check_uids, [0, 6], 6) is Problem.CANNOT
    assert problem(check_uids, [0], (1 << 32) - 1) is Problem.LIMIT


def test_a_uidvalidity_is_new_whatever_the_clock_says():
    assert next_uidvalidity(10, 100, ()) == 100
    assert next_uidvalidity(100, 10, ()) == 101
    assert next_uidvalidity(100, 10, {101, 102}) == 103
    check_adoptable(9, 1, range(10, 20), {5})
    check_adoptable(20, 1, range(10, 20), {5})
    for value in (0, 5, 10, 19, 1 << 32):
        assert problem(check_adoptable, value, 1, range(10, 20), {5}) is Problem.CANNOT
    assert problem(check_adoptable, 9, 0, range(10, 20), ()) is Problem.CANNOT


def test_annotations_are_set_all_or_none():
    had = noted({}, [Annotation("/shared/B", b"1"), Annotation("/private/a", b"2", "ada")], octets=5, most=2)
    assert notes_in_order(had) == (Annotation("/shared/b", b"1"), Annotation("/private/a", b"2", "ada"))
    assert problem(noted, had, [Annotation("/shared/c", b"")], octets=5, most=2) is Problem.LIMIT
    assert problem(noted, had, [Annotation("/shared/b", b"123456")], octets=5, most=2) is Problem.TOO_BIG
    assert noted(had, [Annotation("/shared/b", None), Annotation("/shared/c", b"")], octets=5, most=2).keys() == {
        ("", "/shared/c"),
        ("ada", "/private/a"),
    }


def test_a_publication_is_given_once_with_what_was_published_before():
    publication = Publication(ADA, 7)
    assert publication.take(7) is None
    publication.touch(MailboxId("m"), Kind.ARRIVED, 8)
    publication.touch(MailboxId("m"), Kind.FLAGS, 9)
    published = publication.take(9)
    assert (published.before, published.modseq) == (7, 9)
    assert [(each.kinds, each.modseq) for each in published.touched] == [(Kind.ARRIVED | Kind.FLAGS, 9)]
    assert publication.take(9) is None
