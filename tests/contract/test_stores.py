"""One suite over every driver of the store: what all of them promise."""

from array import array

import pytest
from tests.stores import ADA, BOB, DRIVERS, House, needs, rows_of

from penfold.message.summary import summary
from penfold.model import BodyRef
from penfold.store import (
    EVERY,
    NO_DAY,
    NO_MAILBOX,
    AccountId,
    Ace,
    Adopt,
    Annotation,
    Append,
    ClaimRecent,
    Column,
    Copied,
    Copy,
    Create,
    CreateAccount,
    Delete,
    DeleteAccount,
    Deliver,
    Expunge,
    Expunged,
    How,
    Item,
    Kind,
    MailboxId,
    Message,
    Move,
    Numbering,
    Published,
    Purge,
    Quota,
    Refused,
    Rename,
    Replace,
    SetAcl,
    SetMetadata,
    SetQuota,
    SetSpecialUse,
    Stored,
    StoreFlags,
    Subscribe,
    UidSet,
    Undelete,
)

NOWHERE = MailboxId("nowhere")
MAIL = b"""\
Subject: Re: Tea\r
Message-ID: <1@x>\r
From: Ada <ada@example.test>\r
To: bob@example.test\r
References: <0@x> <a@b>\r
Date: Thu, 1 Jan 1970 02:01:17 +0200\r
\r
At four.\r
"""


def pytest_generate_tests(metafunc):
    if "house" in metafunc.fixturenames:
        needed = getattr(metafunc.function, "needs", frozenset())
        names = [name for name in sorted(DRIVERS) if not needed & DRIVERS[name].lacks]
        metafunc.parametrize("house", names, indirect=True)


@pytest.fixture
def house(request, tmp_path):
    house = House.build(DRIVERS[request.param], tmp_path)
    yield house
    house.close()


# -- messages come in


def test_an_appended_message_is_there_octet_for_octet_with_all_its_columns(house):
    stored = house.do(Append(ADA, house.inbox, (Message(MAIL, ("\\Seen", "$Work"), internal=-5, prefix=b"A: b\r\n"),)))
    assert isinstance(stored, Stored)
    assert stored.mailbox == house.inbox
    assert stored.uids == UidSet.of([1])
    assert not stored.repeated
    assert house.contents() == [b"A: b\r\n" + MAIL]
    view = house.open()
    rows = view.rows(view.roll.uids)
    columns = view.columns(list(Column), rows)
    values = dict(zip(Column, (column[0] for column in columns), strict=True))
    assert values.pop(Column.EMAIL) == values.pop(Column.THREAD) != 0
    assert values == {
        Column.UID: 1,
        Column.FLAGS: 8 | 32,
        Column.MODSEQ: stored.modseq,
        Column.INTERNAL: -5,
        Column.SAVED: 100_000,
        Column.SENT: 77,
        Column.DAY: 0,
        Column.SIZE: len(MAIL) + 6,
        Column.HEADER: len(MAIL) + 6 - 10,
        Column.ANSWER: 1,
        Column.GONE: 0,
    }
    assert view.keywords == ("$Work",)
    assert view.uidvalidity == stored.uidvalidity == house.box("INBOX").uidvalidity


def test_what_is_rendered_is_kept_and_a_body_is_given_in_pieces(house):
    house.append(MAIL, b"Subject: Two\r\n\r\nx")
    view = house.open()
    rows = view.rows(view.roll.uids)
    one, two = summary(MAIL), summary(b"Subject: Two\r\n\r\nx")

    def kept(item):
        return [bytes(each) for each in view.rendered(item, rows)]

    assert kept(Item.ENVELOPE) == [one.envelope, two.envelope]
    assert kept(Item.BODYSTRUCTURE) == [one.bodystructure, two.bodystructure]
    assert kept(Item.COMMON) == [one.common, two.common]
    assert kept(Item.PREVIEW) == [b"At four.", b"x"]
    assert kept(Item.SUBJECT) == [b"tea", b"two"]
    assert (kept(Item.SENDER)[0], kept(Item.TO)[0], kept(Item.CC)[0]) == (b"ada", b"bob", b"")
    assert (kept(Item.DISPLAY_SENDER)[0], kept(Item.DISPLAY_TO)[0]) == (b"ada", b"bob@example.test")
    assert (kept(Item.MESSAGE_ID), kept(Item.ANCESTORS)) == ([b"1@x", b""], [b"0@x a@b", b""])
    assert kept(Item.UIDL) == [b"", b""]
    assert [bytes(each) for each in view.rendered(Item.SUBJECT, view.rows(array("I", [2])))] == [b"two"]
    assert bytes(view.body(rows[0], 13, 3)) == b"Tea"
    assert bytes(view.body(rows[0], len(MAIL) - 2)) == b"\r\n"
    assert bytes(view.body(rows[0], len(MAIL), 10)) == b""


def test_without_dates_the_time_of_the_commit_stands_in(house):
    house.append(b"no header")
    assert house.column(Column.INTERNAL) == house.column(Column.SAVED) == house.column(Column.SENT) == [100_000]
    assert house.column(Column.DAY) == [NO_DAY]


def test_many_messages_are_appended_in_order_or_none(house):
    assert house.append(b"a", b"b", b"c") == [1, 2, 3]
    assert house.contents() == [b"a", b"b", b"c"]
    bad = Append(ADA, house.inbox, (Message(b"d"), Message(b"e", ("\\Recent",))))
    assert house.refused(bad) == "CANNOT"
    assert house.append(b"f") == [4]


def test_a_content_is_read_by_reference(house):
    house.bodies.known["seg"] = b"..hello.."
    house.do(Append(ADA, house.inbox, (Message(BodyRef("seg", 2, 5, b"P: 1\r\n\r\n"), prefix=b"Q: 2\r\n"),)))
    assert house.contents() == [b"Q: 2\r\nP: 1\r\n\r\nhello"]
    assert house.refused(Append(ADA, house.inbox, (Message(BodyRef("gone", 0, 1)),))) == "UNAVAILABLE"


def test_a_large_message_comes_back_whole(house):
    octets = bytes(range(256)) * 4096
    house.append(octets)
    assert house.contents() == [octets]
    assert house.column(Column.SIZE) == [len(octets)]


def test_nothing_goes_into_a_mailbox_or_an_account_that_is_not_there(house):
    assert house.refused(Append(ADA, NOWHERE, (Message(b"x"),))) == "NONEXISTENT"
    assert house.refused(Append(AccountId("nobody"), house.inbox, (Message(b"x"),))) == "NONEXISTENT"
    assert house.refused(Deliver(ADA, "Q", 0, Message(b"x"), "lists")) == "NONEXISTENT"
    assert house.refused(StoreFlags(ADA, NOWHERE, EVERY, How.ADD, ())) == "NONEXISTENT"
    assert house.refused(Copy(ADA, house.inbox, EVERY, NOWHERE)) == "NONEXISTENT"
    assert house.refused(Expunge(ADA, NOWHERE, EVERY)) == "NONEXISTENT"
    assert isinstance(house.runner.run(house.store.open(ADA, NOWHERE)), Refused)
    assert isinstance(house.runner.run(house.store.tree(BOB)), Refused)
    assert isinstance(house.runner.run(house.store.status(ADA, [NOWHERE]))[0], Refused)


def test_a_delivery_happens_once_however_often_it_is_asked(house):
    first = house.deliver(1, b"x")
    again = house.deliver(1, b"x")
    assert again.repeated
    assert (again.uids, again.modseq, again.uidvalidity) == (first.uids, first.modseq, first.uidvalidity)
    assert not house.deliver(2, b"x").repeated
    assert not house.deliver(1, b"x", queue_id="Q2").repeated
    assert not house.deliver(1, b"x", name="other", create=True).repeated
    assert house.uids() == [1, 2, 3]


def test_a_repeated_delivery_of_a_message_that_was_expunged_does_not_bring_it_back(house):
    house.deliver(1, b"x")
    house.expunge(1)
    assert house.deliver(1, b"x").repeated
    assert house.uids() == []


def test_two_deliveries_of_one_recipient_in_one_batch_happen_once(house):
    change = Deliver(ADA, "Q", 1, Message(b"x"))
    one, two = house.apply(change, change)
    assert (one.repeated, two.repeated) == (False, True)
    assert house.uids() == [1]


@needs("restart")
def test_a_delivery_survives_a_restart_as_one(house):
    house.deliver(1, b"x")
    house.restart()
    assert house.deliver(1, b"x").repeated
    assert house.contents() == [b"x"]


def test_a_delivery_goes_by_id_then_by_name_and_makes_what_is_missing(house):
    lists = house.create("lists")
    assert house.deliver(1, mailbox=lists, name="INBOX").mailbox == lists
    assert house.deliver(2, mailbox=NOWHERE, name="inbox").mailbox == house.inbox
    made = house.deliver(3, name="lists/new/deep", create=True)
    assert house.names() == ["INBOX", "lists", "lists/new", "lists/new/deep"]
    assert made.mailbox == house.box("lists/new/deep").id
    assert house.refused(Deliver(ADA, "Q", 4, Message(b"x"), "a//b", create=True)) == "CANNOT"


def test_a_refused_delivery_makes_no_mailbox(house):
    house.do(SetQuota(ADA, Quota(storage=10)))
    assert house.refused(Deliver(ADA, "Q", 1, Message(b"x" * 11), "new", create=True)) == "OVERQUOTA"
    assert house.names() == ["INBOX"]


def test_replace_puts_the_new_in_and_takes_the_old_out_or_neither(house):
    drafts = house.create("Drafts")
    house.append(b"old", b"other", mailbox=drafts)
    stored = house.do(Replace(ADA, drafts, 1, drafts, Message(b"new", ("\\Draft",))))
    assert list(stored.uids) == [3]
    assert house.contents(drafts) == [b"other", b"new"]
    assert house.refused(Replace(ADA, drafts, 1, drafts, Message(b"newer"))) == "NONEXISTENT"
    house.do(SetQuota(ADA, Quota(storage=10)))
    assert house.refused(Replace(ADA, drafts, 3, drafts, Message(b"x" * 6))) == "OVERQUOTA"
    house.do(Replace(ADA, drafts, 3, house.inbox, Message(b"y" * 5)))
    assert (house.contents(drafts), house.contents()) == ([b"other"], [b"yyyyy"])


def test_answers_to_a_message_join_its_thread_and_other_subjects_do_not(house):
    house.append(
        b"Subject: A\r\nMessage-ID: <1@x>\r\n\r\n",
        b"Subject: Re: A\r\nMessage-ID: <2@x>\r\nReferences: <1@x>\r\n\r\n",
        b"Subject: B\r\nMessage-ID: <3@x>\r\nReferences: <1@x>\r\n\r\n",
        b"Subject: Re: A\r\nMessage-ID: <4@x>\r\nIn-Reply-To: <2@x>\r\n\r\n",
    )
    threads = house.column(Column.THREAD)
    assert threads[0] == threads[1] == threads[3] != threads[2]
    assert len(set(house.column(Column.EMAIL))) == 4


# -- flags


def test_flags_are_added_removed_and_replaced(house):
    house.append(b"a", b"b")
    result = house.flag([1], "+", "\\Seen", "$Junk")
    assert list(result.changed) == [1]
    assert house.flags() == [{"\\Seen", "$Junk"}, set()]
    house.flag([1, 2], "=", "\\Flagged", "work")
    assert house.flags() == [{"\\Flagged", "work"}] * 2
    house.flag([2], "-", "\\Flagged", "unknown")
    assert house.flags() == [{"\\Flagged", "work"}, {"work"}]
    assert house.column(Column.MODSEQ)[1] > house.column(Column.MODSEQ)[0] > 0


def test_flags_that_are_there_already_change_nothing(house):
    house.append(b"a", b"b", flags=["\\Seen"])
    before = house.counts().highestmodseq
    result = house.flag(EVERY, "+", "\\Seen")
    assert not result.changed
    assert not result.unmodified
    assert house.counts().highestmodseq == before


def test_keywords_differ_in_more_than_case_and_keep_their_first_spelling(house):
    house.append(b"a", flags=["$Label1"])
    house.flag([1], "+", "$LABEL1", "\\SEEN")
    assert house.flags() == [{"$Label1", "\\Seen"}]


@pytest.mark.parametrize("flag", ["\\Recent", "\\Other", "", "two words", "par(en", 'quo"te', "clé", "x" * 256])
def test_what_is_no_flag_is_refused_to_clients_and_left_out_of_deliveries(house, flag):
    house.append(b"a")
    assert house.refused(StoreFlags(ADA, house.inbox, EVERY, How.ADD, ("\\Seen", flag))) == "CANNOT"
    house.deliver(1, message=Message(b"b", ("\\Seen", flag)))
    assert house.flags() == [set(), {"\\Seen"}]


def test_messages_changed_since_are_left_alone_and_named(house):
    house.append(b"a")
    house.append(b"b")
    seen = house.counts().highestmodseq
    house.flag([2], "+", "\\Flagged")
    result = house.flag(EVERY, "+", "\\Deleted", unchanged_since=seen)
    assert (list(result.changed), list(result.unmodified)) == ([1], [2])
    assert house.flags() == [{"\\Deleted"}, {"\\Flagged"}]
    assert list(house.flag(EVERY, "+", "x", unchanged_since=0).unmodified) == [1, 2]


def test_flags_of_messages_that_are_gone_are_not_changed(house):
    house.append(b"a", b"b")
    house.expunge(1)
    result = house.flag([1, 2, 9], "+", "\\Seen")
    assert (list(result.changed), list(result.unmodified)) == ([2], [])


def test_an_account_has_59_keywords_then_clients_are_refused_and_deliveries_go_on_without(house):
    house.append(b"a", flags=[f"k{n}" for n in range(59)])
    assert house.refused(StoreFlags(ADA, house.inbox, EVERY, How.ADD, ("k59",))) == "LIMIT"
    assert house.refused(Append(ADA, house.inbox, (Message(b"b", ("k59",)),))) == "LIMIT"
    house.deliver(1, message=Message(b"b", ("k59", "k3")))
    assert house.flags()[1] == {"k3"}


@needs("undelete")
def test_a_keyword_nobody_bears_any_more_gives_up_its_place_when_one_is_needed(house):
    house.append(b"a", flags=[f"k{n}" for n in range(58)])
    house.append(b"b", flags=["last"])
    house.flag([1], "-", "k7")
    house.expunge(2)
    house.flag([1], "+", "new")
    assert house.flags()[0] == {f"k{n}" for n in range(58) if n != 7} | {"new"}
    house.do(Undelete(ADA, house.inbox, UidSet.of([2])))
    assert house.flags()[1] == {"last"}


def test_first_unseen_and_the_counts_follow_the_flags(house):
    house.append(b"a", b"bb", b"ccc", flags=["\\Seen"])
    assert house.counts().first_unseen == 0
    house.flag([2, 3], "-", "\\Seen")
    house.flag([3], "+", "\\Deleted")
    counts = house.counts()
    assert (counts.exists, counts.unseen, counts.deleted, counts.first_unseen) == (3, 2, 1, 2)
    assert (counts.size, counts.deleted_size, counts.uidnext) == (6, 3, 4)
    house.expunge(2)
    assert house.counts().first_unseen == 3
    house.flag([1], "-", "\\Seen")
    assert house.counts().first_unseen == 1


def test_recent_messages_are_recent_for_whoever_comes_first(house):
    house.append(b"a", b"b")
    assert house.counts().recent == 2
    claimed = house.do(ClaimRecent(ADA, house.inbox))
    assert (claimed.first, claimed.following) == (1, 3)
    assert house.counts().recent == 0
    house.append(b"c")
    assert house.counts().recent == 1
    assert house.do(ClaimRecent(ADA, house.inbox)).first == 3


# -- copy, move, expunge


def test_a_copy_keeps_flags_dates_email_and_thread_and_is_saved_now(house):
    target = house.create("Archive")
    house.do(Append(ADA, house.inbox, (Message(MAIL, ("\\Seen", "$Work"), internal=5), Message(b"x"), Message(b"y"))))
    house.append(b"z", mailbox=target)
    house.clock.now += 50
    copied = house.do(Copy(ADA, house.inbox, UidSet.of([3, 1, 9]), target))
    assert isinstance(copied, Copied)
    assert (list(copied.source), list(copied.uids)) == ([1, 3], [2, 3])
    assert copied.uidvalidity == house.box("Archive").uidvalidity
    assert house.contents(target) == [b"z", MAIL, b"y"]
    assert house.flags(target)[1] == {"\\Seen", "$Work"}
    for name in (Column.INTERNAL, Column.SENT, Column.EMAIL, Column.THREAD, Column.SIZE):
        assert house.column(name, target)[1] == house.column(name)[0]
    assert house.column(Column.SAVED, target) == [100_000, 100_050, 100_050]
    assert house.uids() == [1, 2, 3]


def test_a_copy_of_nothing_says_so(house):
    target = house.create("Archive")
    copied = house.do(Copy(ADA, house.inbox, EVERY, target))
    assert (copied.source, copied.uids) == (UidSet(), UidSet())


def test_a_move_takes_messages_away_with_new_modseqs_on_both_sides(house):
    target = house.create("Archive")
    house.append(b"a", b"b", b"c")
    before = house.counts().highestmodseq
    moved = house.do(Move(ADA, house.inbox, UidSet.span(1, 2), target))
    assert (list(moved.source), list(moved.uids)) == ([1, 2], [1, 2])
    assert (house.contents(), house.contents(target)) == ([b"c"], [b"a", b"b"])
    assert house.counts().highestmodseq == moved.gone > before
    assert house.counts(target).highestmodseq == moved.modseq
    assert list(house.open().changes(before).vanished) == [1, 2]


def test_a_move_within_a_mailbox_gives_new_uids(house):
    house.append(b"a", b"b")
    house.do(Move(ADA, house.inbox, UidSet.of([1]), house.inbox))
    assert (house.uids(), house.contents()) == ([2, 3], [b"b", b"a"])


def test_messages_go_to_another_account_with_their_keywords(house):
    inbox = house.made(CreateAccount(BOB))
    house.append(b"a", account=BOB, mailbox=inbox, flags=["other"])
    house.append(b"m", flags=["first", "second"])
    house.do(Copy(ADA, house.inbox, EVERY, inbox, BOB))
    assert house.flags(inbox, BOB)[1] == {"first", "second"}
    house.do(Move(ADA, house.inbox, EVERY, inbox, BOB))
    assert (house.uids(), house.contents(inbox, BOB)) == ([], [b"a", b"m", b"m"])
    house.do(SetQuota(BOB, Quota(messages=3)))
    house.append(b"n")
    assert house.refused(Move(ADA, house.inbox, EVERY, inbox, BOB)) == "OVERQUOTA"


def test_expunge_takes_what_is_deleted_among_the_uids_or_all_of_them(house):
    house.append(b"a", b"b", b"c", b"d")
    house.flag([1, 2], "+", "\\Deleted")
    result = house.do(Expunge(ADA, house.inbox, UidSet.of([2, 3])))
    assert isinstance(result, Expunged)
    assert list(result.uids) == [2]
    assert list(house.do(Expunge(ADA, house.inbox, UidSet.of([3, 9]), deleted=False)).uids) == [3]
    assert list(house.do(Expunge(ADA, house.inbox, EVERY)).uids) == [1]
    before = house.counts()
    assert not house.do(Expunge(ADA, house.inbox, EVERY)).uids
    assert house.counts() == before
    assert house.uids() == [4]


def test_uids_ascend_and_are_never_given_twice(house):
    assert house.append(b"a", b"b") == [1, 2]
    house.expunge(1, 2)
    assert house.counts().uidnext == 3
    assert house.append(b"c") == [3]


# -- many changes at once


def test_a_batch_is_made_in_order_and_a_refused_change_hinders_no_other(house):
    inbox = house.made(CreateAccount(BOB))
    results = house.apply(
        Append(ADA, house.inbox, (Message(b"a"),)),
        StoreFlags(ADA, house.inbox, EVERY, How.ADD, ("\\Deleted",)),
        Append(ADA, NOWHERE, (Message(b"x"),)),
        Append(BOB, inbox, (Message(b"b"),)),
        Expunge(ADA, house.inbox, EVERY),
        Create(ADA, "new"),
        Deliver(ADA, "Q", 1, Message(b"c"), "new"),
    )
    assert [type(result).__name__ for result in results] == [
        "Stored", "Flagged", "Refused", "Stored", "Expunged", "Created", "Stored",
    ]  # fmt: skip
    assert list(results[4].uids) == [1]
    assert house.contents(inbox, BOB) == [b"b"]
    assert house.contents(results[5].mailbox) == [b"c"]
    assert list(house.apply()) == []


def test_modseqs_ascend_over_all_mailboxes_of_an_account(house):
    other = house.create("other")
    found = [house.tree().modseq]
    for mailbox in (house.inbox, other, house.inbox):
        house.append(b"x", mailbox=mailbox)
        found.append(house.counts(mailbox).highestmodseq)
        assert house.tree().modseq == found[-1]
    assert found == sorted(set(found))
    assert found[0] > 0


# -- the tree


def test_a_new_account_has_an_inbox(house):
    assert house.runner.run(house.store.accounts()) == [ADA]
    assert house.names() == ["INBOX"]
    assert house.refused(CreateAccount(ADA)) == "ALREADYEXISTS"
    assert house.refused(Create(ADA, "inbox")) == "ALREADYEXISTS"


def test_mailboxes_are_made_with_all_above_them_and_listed_in_order(house):
    house.create("b/c/d", special_use=("\\Archive",))
    house.create("b-1")
    house.create("inbox/x")
    assert house.names() == ["INBOX", "INBOX/x", "b", "b/c", "b/c/d", "b-1"]
    assert house.box("b/c/d").special_use == ("\\Archive",)
    assert house.box("b").special_use == ()
    assert len({box.id for box in house.tree().mailboxes}) == 6
    assert len({box.uidvalidity for box in house.tree().mailboxes}) == 6


def test_a_bad_name_is_refused_everywhere(house):
    for change in (
        Create(ADA, "a/../b"),
        Create(ADA, ""),
        Rename(ADA, "INBOX", "x\x00"),
        Subscribe(ADA, "a//b"),
        Delete(ADA, "/"),
    ):
        assert house.refused(change) == "CANNOT"


def test_a_deleted_mailbox_goes_alone_and_its_name_begins_anew(house):
    first = house.create("a/b")
    house.append(b"x", mailbox=house.box("a").id)
    old = house.box("a")
    house.do(Delete(ADA, "a"))
    assert house.names() == ["INBOX", "a/b"]
    assert house.refused(Delete(ADA, "a")) == "NONEXISTENT"
    assert house.refused(Delete(ADA, "INBOX")) == "CANNOT"
    assert house.refused(Append(ADA, old.id, (Message(b"x"),))) == "NONEXISTENT"
    new = house.create("a")
    assert new != old.id
    assert house.box("a").uidvalidity > old.uidvalidity
    assert house.uids(new) == []
    assert house.box("a/b").id == first


@needs("undelete")
def test_uidvalidity_never_repeats_even_with_the_clock_set_back(house):
    seen = {house.box("INBOX").uidvalidity}
    for now in (100_000, 5, 5, 100_001, 3):
        house.clock.now = now
        house.create("m")
        seen.add(house.box("m").uidvalidity)
        house.do(Delete(ADA, "m"))
        house.do(Purge(ADA, 1 << 40))
    assert len(seen) == 6
    assert max(seen) < 1 << 32


@needs("undelete")
def test_uidvalidity_never_repeats_when_an_account_comes_anew(house):
    before = house.box("INBOX").uidvalidity
    house.do(DeleteAccount(ADA))
    house.do(Purge(ADA, 1 << 40))
    house.clock.now = 7
    house.inbox = house.made(CreateAccount(ADA))
    assert house.box("INBOX").uidvalidity > before


def test_a_rename_takes_all_below_along_and_keeps_ids_and_uids(house):
    inner = house.create("a/b/c")
    house.append(b"x", mailbox=inner)
    before = {box.name: (box.id, box.uidvalidity) for box in house.tree().mailboxes}
    house.do(Rename(ADA, "a/b", "z/y"))
    assert house.names() == ["INBOX", "a", "z", "z/y", "z/y/c"]
    after = {box.name: (box.id, box.uidvalidity) for box in house.tree().mailboxes}
    assert after["z/y"] == before["a/b"]
    assert after["z/y/c"] == before["a/b/c"]
    assert house.uids(inner) == [1]


def test_renames_that_cannot_be_are_refused(house):
    house.create("a/b")
    house.create("c/b")
    assert house.refused(Rename(ADA, "a", "c")) == "ALREADYEXISTS"
    assert house.refused(Rename(ADA, "a", "a/x")) == "CANNOT"
    assert house.refused(Rename(ADA, "nope", "x")) == "NONEXISTENT"
    assert house.refused(Rename(ADA, "a", "inbox")) == "ALREADYEXISTS"
    house.do(Delete(ADA, "c"))
    assert house.refused(Rename(ADA, "a", "c")) == "ALREADYEXISTS"
    house.do(Rename(ADA, "c", "d"))
    assert house.names() == ["INBOX", "a", "a/b", "d/b"]


def test_a_rename_of_inbox_moves_its_messages_and_leaves_it(house):
    house.create("INBOX/x")
    house.append(b"a", b"b", flags=["\\Seen"])
    inbox = house.box("INBOX")
    house.do(Rename(ADA, "inbox", "old/mail"))
    assert house.names() == ["INBOX", "INBOX/x", "old", "old/mail"]
    target = house.box("old/mail").id
    assert (house.contents(target), house.flags(target)) == ([b"a", b"b"], [{"\\Seen"}] * 2)
    assert (house.box("INBOX").id, house.uids(), house.counts().uidnext) == (inbox.id, [], 3)


def test_subscriptions_are_names_and_outlive_their_mailboxes(house):
    house.create("a")
    house.do(Subscribe(ADA, "a"))
    house.do(Subscribe(ADA, "never/was"))
    house.do(Delete(ADA, "a"))
    assert house.tree().subscriptions == {"a", "never/was"}
    house.do(Subscribe(ADA, "a", on=False))
    before = house.tree().modseq
    house.do(Subscribe(ADA, "a", on=False))
    assert house.tree().subscriptions == {"never/was"}
    assert house.tree().modseq == before


def test_special_uses_are_replaced(house):
    sent = house.create("Sent", special_use=("\\Sent",))
    house.do(SetSpecialUse(ADA, sent, ("\\Archive", "\\Important")))
    assert house.box("Sent").special_use == ("\\Archive", "\\Important")


def test_rights_are_kept_normal_and_inherited_by_new_mailboxes(house):
    parent = house.create("team")
    house.do(SetAcl(ADA, parent, "bob", "rld"))
    house.do(SetAcl(ADA, parent, "-eve", "r"))
    assert house.box("team").acl == (Ace("bob", "lrte"), Ace("-eve", "r"))
    house.create("team/new")
    assert house.box("team/new").acl == house.box("team").acl
    house.do(SetAcl(ADA, parent, "-eve", None))
    house.do(SetAcl(ADA, parent, "bob", "e", How.REMOVE))
    house.do(SetAcl(ADA, parent, "bob", "s", How.ADD))
    house.do(SetAcl(ADA, parent, "carol", "r", How.ADD))
    assert house.box("team").acl == (Ace("bob", "lrst"), Ace("carol", "r"))
    house.do(SetAcl(ADA, parent, "carol", None))
    house.do(SetAcl(ADA, parent, "bob", "l"))
    assert house.box("team").acl == (Ace("bob", "l"),)
    assert house.refused(SetAcl(ADA, parent, "bob", "q")) == "CANNOT"
    assert house.refused(SetAcl(ADA, parent, "-", "l")) == "CANNOT"
    assert house.runner.run(house.store.shared_with(["bob"])) == [ADA]
    assert house.runner.run(house.store.shared_with(["carol"])) == []


def test_annotations_belong_to_one_user_or_to_all(house):
    notes = (Annotation("/shared/Comment", b"ours"), Annotation("/private/comment", b"mine", "ada"))
    house.do(SetMetadata(ADA, house.inbox, notes))
    house.do(SetMetadata(ADA, NO_MAILBOX, (Annotation("/shared/admin", b"root"),)))
    assert set(house.box("INBOX").annotations) == {
        Annotation("/shared/comment", b"ours"),
        Annotation("/private/comment", b"mine", "ada"),
    }
    assert house.tree().annotations == (Annotation("/shared/admin", b"root"),)
    gone = (Annotation("/shared/comment", None), Annotation("/shared/never", None))
    house.do(SetMetadata(ADA, house.inbox, gone))
    assert house.box("INBOX").annotations == (Annotation("/private/comment", b"mine", "ada"),)


@pytest.mark.parametrize(
    ("note", "problem"),
    [
        (Annotation("/shared/x", b"1" * 65537), "TOOBIG"),
        (Annotation("/other/x", b""), "CANNOT"),
        (Annotation("/shared/", b""), "CANNOT"),
        (Annotation("/shared/a//b", b""), "CANNOT"),
        (Annotation("/shared/a*", b""), "CANNOT"),
        (Annotation("/shared/é", b""), "CANNOT"),
        (Annotation("/private/x", b""), "CANNOT"),
        (Annotation("/shared/x", b"", "ada"), "CANNOT"),
    ],
)
def test_bad_annotations_are_refused_with_all_that_came_with_them(house, note, problem):
    good = Annotation("/shared/good", b"1")
    assert house.refused(SetMetadata(ADA, house.inbox, (good, note))) == problem


def test_annotations_are_counted(house):
    notes = tuple(Annotation(f"/shared/n{n}", b"") for n in range(1001))
    assert house.refused(SetMetadata(ADA, house.inbox, notes)) == "LIMIT"


# -- quota


@needs("undelete")
def test_quota_is_counted_and_enforced(house):
    house.append(b"12345", b"678")
    assert house.tree().used == Quota(8, 2, 1)
    house.do(SetQuota(ADA, Quota(storage=10, messages=3, mailboxes=2)))
    assert house.tree().limits == Quota(10, 3, 2)
    assert house.refused(Append(ADA, house.inbox, (Message(b"xxx"),))) == "OVERQUOTA"
    assert house.refused(Deliver(ADA, "Q", 1, Message(b"xxx"))) == "OVERQUOTA"
    house.append(b"xx")
    assert house.refused(Append(ADA, house.inbox, (Message(b""),))) == "OVERQUOTA"
    house.create("a")
    assert house.refused(Create(ADA, "b")) == "OVERQUOTA"
    assert house.refused(Copy(ADA, house.inbox, UidSet.of([1]), house.box("a").id)) == "OVERQUOTA"
    house.do(Move(ADA, house.inbox, UidSet.of([1]), house.box("a").id))
    house.expunge(2)
    assert house.tree().used == Quota(7, 2, 2)
    house.append(b"yyy")
    assert house.refused(Undelete(ADA, house.inbox, UidSet.of([2]))) == "OVERQUOTA"
    house.do(Delete(ADA, "a"))
    assert house.tree().used == Quota(5, 2, 1)


def test_a_limit_below_what_is_used_lets_nothing_more_in_and_nothing_be_lost(house):
    house.append(b"12345")
    house.do(SetQuota(ADA, Quota(storage=1)))
    assert house.refused(Append(ADA, house.inbox, (Message(b"x"),))) == "OVERQUOTA"
    house.flag([1], "+", "\\Seen")
    assert house.contents() == [b"12345"]


# -- views


def test_sessions_of_a_process_share_one_view(house):
    assert house.open() is house.open()


def test_a_view_shows_who_is_there_as_of_its_last_refresh(house):
    house.append(b"a", b"b")
    view = house.open()
    seen = view.counts()
    house.append(b"c")
    house.expunge(1)
    assert list(view.roll.uids) == [1, 2]
    assert view.counts() == seen
    assert view.refresh()
    assert not view.refresh()
    assert list(view.roll.uids) == [2, 3]
    assert (view.counts().exists, view.roll.next) == (2, 4)


@needs("undelete")
def test_an_expunged_message_can_be_read_until_it_is_purged(house):
    house.append(b"a", b"b", b"c")
    view = house.open()
    house.expunge(2)
    view.refresh()
    (row,) = rows_of(view, 2)
    assert bytes(view.body(row)) == b"b"
    assert view.columns([Column.GONE], [row])[0][0] == 100_000
    house.do(Purge(ADA, 100_001))
    assert rows_of(view, 1, 2, 3, 4) == rows_of(view, 1, 3)
    assert [bytes(view.body(row)) for row in rows_of(view, 1, 3)] == [b"a", b"c"]


def test_columns_come_for_ranges_and_for_single_rows(house):
    house.append(*(b"x" * n for n in range(20)))
    view = house.open()
    rows = view.rows(view.roll.uids)
    assert list(view.columns([Column.SIZE], rows)[0]) == list(range(20))
    uids, sizes = view.columns([Column.UID, Column.SIZE], view.rows(array("I", [2, 3, 9, 20])))
    assert (list(uids), list(sizes)) == ([2, 3, 9, 20], [1, 2, 8, 19])
    empty = view.rows(array("I"))
    assert [len(column) for column in view.columns([Column.UID, Column.FLAGS], empty)] == [0, 0]
    assert list(view.rendered(Item.ENVELOPE, empty)) == []


def test_changes_since_a_modseq_are_rows_and_vanished_uids(house):
    house.append(b"a", b"b", b"c", b"d")
    view = house.open()
    since = view.counts().highestmodseq
    assert list(view.changes(since).rows) == []
    house.flag([2], "+", "\\Seen")
    house.expunge(3)
    house.append(b"e")
    view.refresh()
    changes = view.changes(since)
    assert list(view.columns([Column.UID], changes.rows)[0]) == [2, 5]
    assert (list(changes.vanished), changes.complete) == ([3], True)
    assert list(view.columns([Column.UID], view.changes(0).rows)[0]) == [1, 2, 4, 5]


@needs("undelete")
def test_a_modseq_older_than_what_was_purged_answers_with_all_that_is_not_there(house):
    house.append(b"a", b"b", b"c", b"d")
    since = house.counts().highestmodseq
    house.expunge(2)
    house.flag([1], "+", "\\Seen")
    newer = house.counts().highestmodseq
    house.clock.now += 10
    house.expunge(4)
    house.do(Purge(ADA, 100_005))
    changes = house.open().changes(since)
    assert not changes.complete
    assert list(changes.vanished) == [2, 4]
    assert house.open().changes(newer).complete
    assert list(house.open().changes(newer).vanished) == [4]


def test_a_view_of_a_deleted_mailbox_is_gone_and_can_be_read(house):
    target = house.create("a")
    house.append(b"x", mailbox=target)
    view = house.open(target)
    house.do(Delete(ADA, "a"))
    view.refresh()
    assert view.gone
    assert bytes(view.body(rows_of(view, 1)[0])) == b"x"
    assert house.open(target).gone
    assert not house.open().gone


def test_numbers_stand_still_until_a_session_is_told(house):
    house.append(b"a", b"b", b"c", b"d")
    view = house.open()
    slow, quick = Numbering(view.roll), Numbering(view.roll)
    house.expunge(2)
    house.append(b"e")
    view.refresh()
    assert list(quick.expunge().numbers) == [2]
    assert quick.arrive() == 4
    assert list(quick.uids(1, 9)) == [1, 3, 4, 5]
    assert slow.exists == 4
    assert list(slow.uids(1, 9)) == [1, 2, 3, 4]
    assert [slow.number(uid) for uid in (1, 2, 3, 4, 5)] == [1, 2, 3, 4, 0]
    house.expunge(4)
    view.refresh()
    assert list(slow.uids(2, 4)) == [2, 3, 4]
    told = slow.expunge()
    assert (list(told.numbers), list(told.uids)) == ([4, 2], [2, 4])
    assert slow.arrive() == 3
    assert list(slow.uids(1, 3)) == [1, 3, 5]


# -- what is published


def test_those_who_watch_are_told_of_each_commit_once(house):
    heard: list[Published] = []
    watch = house.store.watch(ADA, heard.append)
    other = house.create("other")
    heard.clear()
    house.apply(Append(ADA, house.inbox, (Message(b"a"),)), StoreFlags(ADA, other, EVERY, How.ADD, ("\\Seen",)))
    (first,) = heard
    assert first.account == ADA
    assert [(each.mailbox, each.kinds) for each in first.touched] == [(house.inbox, Kind.ARRIVED)]
    assert first.touched[0].modseq == house.counts().highestmodseq
    house.do(Move(ADA, house.inbox, EVERY, other))
    assert heard[1].before == first.modseq < heard[1].modseq == house.tree().modseq
    assert {each.mailbox: each.kinds for each in heard[1].touched} == {
        house.inbox: Kind.EXPUNGED,
        other: Kind.ARRIVED,
    }
    house.do(Subscribe(ADA, "x"))
    house.do(SetMetadata(ADA, other, (Annotation("/shared/x", b""),)))
    assert [each.touched[0].kinds for each in heard[2:]] == [Kind.TREE, Kind.METADATA]
    watch.close()
    watch.close()
    house.append(b"b")
    assert len(heard) == 4


def test_nothing_is_published_when_nothing_changed_or_another_account_did(house):
    inbox = house.made(CreateAccount(BOB))
    heard: list[Published] = []
    house.store.watch(ADA, heard.append)
    house.flag(EVERY, "+", "\\Seen")
    house.apply(Create(ADA, "INBOX"))
    house.append(b"a", account=BOB, mailbox=inbox)
    assert heard == []
    house.append(b"x")
    house.do(Copy(BOB, inbox, EVERY, house.inbox, ADA))
    assert len(heard) == 2


def test_a_new_and_a_deleted_account_are_published(house):
    heard: list[Published] = []
    house.store.watch(BOB, heard.append)
    house.made(CreateAccount(BOB))
    house.do(DeleteAccount(BOB))
    assert heard[0].before == 0
    assert heard[-1].touched[-1].kinds & Kind.GONE


# -- what comes back


@needs("undelete")
def test_expunged_messages_come_back_with_new_uids(house):
    house.append(b"a", b"b", b"c", flags=["\\Seen"])
    emails = house.column(Column.EMAIL)
    house.expunge(1, 3)
    assert len(house.open().recoverable()) == 2
    (part,) = house.do(Undelete(ADA, house.inbox, UidSet.of([3, 2]))).parts
    assert (list(part.source), list(part.uids)) == ([3], [4])
    assert house.contents() == [b"b", b"c"]
    assert house.flags() == [{"\\Seen"}] * 2
    assert house.column(Column.EMAIL) == [emails[1], emails[2]]


@needs("undelete")
def test_all_of_a_mailbox_comes_back_but_not_what_lives_elsewhere_and_only_once(house):
    other = house.create("other")
    house.append(b"a", b"b", b"c")
    house.do(Move(ADA, house.inbox, UidSet.of([1]), other))
    house.expunge(2)
    house.do(Undelete(ADA, house.inbox))
    assert house.contents() == [b"c", b"b"]
    house.do(Undelete(ADA, house.inbox))
    assert house.contents() == [b"c", b"b"]


@needs("undelete")
def test_a_deleted_mailbox_comes_back_under_its_name_or_another(house):
    box = house.create("work/plans", special_use=("\\Archive",))
    house.do(SetAcl(ADA, box, "bob", "lr"))
    house.append(b"a", b"b", mailbox=box)
    house.expunge(1, mailbox=box)
    old = house.box("work/plans")
    house.do(Delete(ADA, "work/plans"))
    assert [each.id for each in house.tree().deleted] == [box]
    assert house.tree().deleted[0].deleted == 100_000
    house.do(Delete(ADA, "work"))
    (part,) = house.do(Undelete(ADA, box)).parts
    assert house.names() == ["INBOX", "work", "work/plans"]
    new = house.box("work/plans")
    assert new.id == part.mailbox != box
    assert new.uidvalidity > old.uidvalidity
    assert (new.special_use, new.acl) == (old.special_use, old.acl)
    assert house.contents(new.id) == [b"a", b"b"]
    assert house.refused(Undelete(ADA, box)) == "ALREADYEXISTS"
    house.do(Undelete(ADA, box, name="again"))
    assert house.contents(house.box("again").id) == []


@needs("undelete")
def test_a_mailbox_comes_back_as_it_was_at_a_time(house):
    house.append(b"before")
    house.expunge(1)
    house.clock.now = 100_010
    house.append(b"there", b"stays")
    house.clock.now = 100_020
    house.append(b"later")
    house.expunge(2, 4)
    house.do(Undelete(ADA, house.inbox, as_of=100_015))
    assert house.contents() == [b"stays", b"there"]


@needs("undelete")
def test_an_account_comes_back_as_it_was_at_a_time(house):
    box = house.create("a")
    house.append(b"1", mailbox=box)
    house.append(b"2")
    house.clock.now = 100_100
    house.do(Delete(ADA, "a"))
    house.expunge(1)
    house.create("b")
    parts = house.do(Undelete(ADA, as_of=100_050)).parts
    assert len(parts) == 2
    assert house.names() == ["INBOX", "a", "b"]
    assert house.contents() == [b"2"]
    assert house.contents(house.box("a").id) == [b"1"]
    assert house.do(Undelete(ADA, as_of=99_999)).parts == ()


@needs("undelete")
def test_a_deleted_account_is_nowhere_until_it_comes_back_as_it_was(house):
    house.append(b"a")
    before = house.box("INBOX")
    house.do(DeleteAccount(ADA))
    assert house.runner.run(house.store.accounts()) == []
    assert isinstance(house.runner.run(house.store.tree(ADA)), Refused)
    assert isinstance(house.apply(Append(ADA, house.inbox, (Message(b"x"),)))[0], Refused)
    assert isinstance(house.apply(CreateAccount(ADA))[0], Refused)
    house.do(Undelete(ADA))
    assert house.contents() == [b"a"]
    assert house.box("INBOX").uidvalidity == before.uidvalidity


@needs("undelete")
def test_what_is_purged_does_not_come_back(house):
    box = house.create("a")
    house.append(b"1", b"2")
    house.expunge(1)
    house.do(Delete(ADA, "a"))
    house.clock.now += 100
    house.expunge(2)
    house.do(Purge(ADA, 100_050))
    assert house.refused(Undelete(ADA, box)) == "EXPIRED"
    assert not house.do(Undelete(ADA, house.inbox, UidSet.of([1]))).parts[0].uids
    house.do(Undelete(ADA, house.inbox))
    assert house.contents() == [b"2"]
    assert house.uids() == [3]
    house.do(DeleteAccount(ADA))
    house.do(Purge(ADA, 1 << 40))
    assert isinstance(house.apply(Undelete(ADA))[0], Refused)


# -- what comes from elsewhere


@needs("import")
def test_imported_messages_keep_their_uids_and_pop_names(house):
    house.do(Adopt(ADA, house.inbox, 4711, 10))
    assert house.counts().uidvalidity == 4711
    messages = (Message(b"a", uid=12, uidl="old-1"), Message(b"b"), Message(b"c", uid=20, uidl="old-2"))
    assert list(house.do(Append(ADA, house.inbox, messages)).uids) == [12, 13, 20]
    view = house.open()
    rows = view.rows(view.roll.uids)
    assert [bytes(each) for each in view.rendered(Item.UIDL, rows)] == [b"old-1", b"", b"old-2"]
    assert house.refused(Append(ADA, house.inbox, (Message(b"d", uid=20),))) == "CANNOT"
    assert house.refused(Append(ADA, house.inbox, (Message(b"d", uid=30), Message(b"e", uid=30)))) == "CANNOT"
    assert house.append(b"d") == [21]


@needs("import")
def test_a_uidvalidity_is_adopted_only_if_it_was_never_given(house):
    house.create("a")
    other = house.create("b")
    for value in (house.box("INBOX").uidvalidity, house.box("a").uidvalidity, 0, 1 << 32):
        assert house.refused(Adopt(ADA, other, value)) == "CANNOT"
    house.do(Adopt(ADA, other, 50))
    assert house.refused(Adopt(ADA, house.inbox, 50)) == "CANNOT"
    house.append(b"x")
    assert house.refused(Adopt(ADA, house.inbox, 51)) == "CANNOT"
    house.do(Adopt(ADA, house.box("a").id, house.box("INBOX").uidvalidity + 3))
    seen = {box.uidvalidity for box in house.tree().mailboxes}
    house.create("c")
    house.create("d")
    assert not {house.box("c").uidvalidity, house.box("d").uidvalidity} & seen


@needs("import")
def test_a_mailbox_without_uids_takes_no_more(house):
    house.do(Adopt(ADA, house.inbox, 50, (1 << 32) - 2))
    assert house.append(b"a") == [(1 << 32) - 2]
    assert house.refused(Append(ADA, house.inbox, (Message(b"b"),))) == "LIMIT"
    assert house.refused(Copy(ADA, house.inbox, EVERY, house.inbox)) == "LIMIT"
    assert house.refused(Deliver(ADA, "Q", 1, Message(b"b"))) == "LIMIT"


# -- after a restart


@needs("restart")
def test_all_is_there_after_a_restart(house):
    box = house.create("a", special_use=("\\Sent",))
    house.append(MAIL, b"b", flags=["\\Seen", "$Work"])
    house.do(Copy(ADA, house.inbox, EVERY, box))
    house.expunge(1)
    house.do(SetAcl(ADA, box, "bob", "lr"))
    house.do(SetMetadata(ADA, box, (Annotation("/shared/comment", b"x"),)))
    house.do(SetQuota(ADA, Quota(1 << 30, 0, 7)))
    house.do(Subscribe(ADA, "a"))
    house.do(Delete(ADA, "a"))
    before, contents = house.everything(), house.contents()
    house.restart()
    assert house.everything() == before
    assert house.contents() == contents
    assert list(house.open().changes(0).vanished) == [1]
