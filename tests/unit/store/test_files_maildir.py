"""A Maildir served while other programs change it."""

import os
import time
from array import array

import pytest
from tests.files_stores import DRIVERS, FilesHouse
from tests.stores import ADA

from penfold.store import EVERY, Adopt, Append, ClaimRecent, Column, Item, Kind, Message, StoreFlags, Subscribe
from penfold.store.change import How


@pytest.fixture
def house(tmp_path):
    house = FilesHouse.build(DRIVERS["maildir"], tmp_path)
    yield house
    house.close()


@pytest.fixture
def inbox(tmp_path):
    return tmp_path / ADA


def put(inbox, name, content=b"Subject: x\n\nbody\n", part="new"):
    (inbox / part / name).write_bytes(content)


def files(inbox):
    return sorted(f"{part}/{name}" for part in ("new", "cur") for name in os.listdir(inbox / part))


def name_of(inbox, uid):
    """Give the file of a UID, as the list has it."""
    lines = (inbox / "dovecot-uidlist").read_text().split("\n")
    (base,) = (line.partition(" :")[2] for line in lines if line.startswith(f"{uid} "))
    return next(name for name in files(inbox) if name[4:].startswith(base))


def test_mail_of_other_programs_is_found_with_its_date_and_flags(house, inbox):
    put(inbox, "1000.a.host")
    put(inbox, "1001.b.host:2,FS", part="cur")
    os.utime(inbox / "new/1000.a.host", (5000, 5000))
    assert house.uids() == [1, 2]
    assert house.flags() == [set(), {"\\Flagged", "\\Seen"}]
    assert house.column(Column.INTERNAL)[0] == 5000
    assert house.contents()[0] == b"Subject: x\r\n\r\nbody\r\n"
    assert house.column(Column.SIZE)[0] == 20
    view = house.open()
    assert [bytes(each) for each in view.rendered(Item.SUBJECT, view.rows(array("I", [1, 2])))] == [b"x", b"x"]


def test_what_others_do_reaches_a_view_and_those_who_watch(house, inbox):
    house.append(b"a", b"b", b"c")
    view = house.open()
    since = view.counts().highestmodseq
    heard = []
    house.store.watch(ADA, heard.append)
    first, second = name_of(inbox, 1), name_of(inbox, 2)
    os.rename(inbox / first, inbox / "cur" / (first[4:] + ":2,S"))
    os.unlink(inbox / second)
    put(inbox, "9999999999.new.host")
    assert view.refresh()
    assert list(view.roll.uids) == [1, 3, 4]
    assert house.flags()[0] == {"\\Seen"}
    changes = view.changes(since)
    assert list(view.columns([Column.UID], changes.rows)[0]) == [1, 4]
    assert (list(changes.vanished), changes.complete) == ([2], True)
    kinds = 0
    for each in heard:
        kinds |= each.touched[0].kinds
    assert kinds == Kind.ARRIVED | Kind.FLAGS | Kind.EXPUNGED
    assert not view.refresh()


def test_a_message_renamed_meanwhile_is_still_read_flagged_and_removed(house, inbox):
    house.append(b"a")
    view = house.open()
    (name,) = files(inbox)
    os.rename(inbox / name, inbox / "cur" / (name[4:] + ":2,F"))
    assert bytes(view.body(view.rows(view.roll.uids)[0])) == b"a"
    house.flag([1], "+", "\\Seen")
    assert files(inbox) == [f"cur/{name[4:]}:2,FS"]
    house.expunge(1)
    assert files(inbox) == []


def test_a_message_that_vanished_cannot_be_read_and_is_gone_at_the_next_refresh(house, inbox):
    house.append(b"a", b"b")
    view = house.open()
    os.unlink(inbox / name_of(inbox, 1))
    with pytest.raises(FileNotFoundError):
        view.body(view.rows(array("I", [1]))[0])
    view.refresh()
    assert list(view.roll.uids) == [2]


def test_uids_are_in_dovecots_list_and_outlive_the_cache(house, inbox, tmp_path):
    house.append(b"a", b"b", b"c")
    house.expunge(2)
    house.append(b"d")
    before = (house.counts().uidvalidity, house.uids(), house.contents(), house.counts().highestmodseq)
    house.runner.run(house.opened.close())
    for name in os.listdir(tmp_path / "cache" / ADA):
        os.unlink(tmp_path / "cache" / ADA / name)
    house.clock.now += 1
    house.opened = house.runner.run(house.driver.open(house.given))
    house.inbox = house.box("INBOX").id
    assert (house.counts().uidvalidity, house.uids(), house.contents()) == before[:3]
    assert house.counts().highestmodseq > before[3]
    assert not house.open().changes(before[3]).complete


def test_a_store_that_was_killed_goes_on_with_greater_modseqs(house):
    house.append(b"a")
    before = house.counts().highestmodseq
    house.clock.now += 1
    house.opened = house.runner.run(house.driver.open(house.given))  # the other one is not closed
    assert house.uids() == [1]
    assert house.counts().highestmodseq > before


def test_dovecots_files_are_read_and_kept(house, inbox):
    put(inbox, "1000.a.host,S=3:2,Sa", b"a\n\n", "cur")
    put(inbox, "1001.b.host:2,bz", b"b", "cur")
    (inbox / "dovecot-keywords").write_bytes(b"0 $Junk\n1 work\n")
    (inbox / "dovecot-uidlist").write_bytes(
        b"3 V777 N20 G00ff\n5 W5 Pold-uidl :1000.a.host,S=3:2,S\n6 :gone\n9 :1001.b.host\n"
    )
    assert house.counts().uidvalidity == 777
    assert house.uids() == [5, 9]
    assert house.flags() == [{"\\Seen", "$Junk"}, {"work"}]
    view = house.open()
    assert [bytes(each) for each in view.rendered(Item.UIDL, view.rows(view.roll.uids))] == [b"old-uidl", b""]
    house.flag([9], "+", "$Forwarded", "new")
    assert files(inbox)[1] == "cur/1001.b.host:2,Pbcz"
    assert house.append(b"c") == [20]
    text = (inbox / "dovecot-uidlist").read_bytes()
    assert text.startswith(b"3 V777 N20 G00ff\n5 W5 Pold-uidl :1000.a.host,S=3")
    assert (inbox / "dovecot-keywords").read_bytes() == b"0 $Junk\n1 work\n2 new\n"


def test_couriers_files_are_read_and_kept(house, inbox):
    os.unlink(inbox / "dovecot-uidlist")
    put(inbox, "1000.a.host:2,S", b"a", "cur")
    (inbox / "courierimapuiddb").write_bytes(b"1 555 9\n3 1000.a.host\n")
    (inbox / "courierimapsubscribed").write_bytes(b"INBOX\nINBOX.Sent\n")
    (inbox / "courierimapkeywords").mkdir()
    (inbox / "courierimapkeywords/:list").write_bytes(b"work\n\n1000.a.host:0\n")
    house.restart()
    assert (house.counts().uidvalidity, house.uids()) == (555, [3])
    assert house.flags() == [{"\\Seen", "work"}]
    assert house.append(b"b") == [9]
    assert (inbox / "courierimapuiddb").read_bytes().startswith(b"1 555 9\n3 1000.a.host\n9 ")
    assert house.tree().subscriptions == {"INBOX", "Sent"}
    house.do(Subscribe(ADA, "Drafts/old"))
    assert (inbox / "courierimapsubscribed").read_bytes() == b"INBOX.Drafts.old\nINBOX\nINBOX.Sent\n"


def test_a_list_that_was_replaced_with_another_uidvalidity_makes_the_view_gone(house, inbox):
    house.append(b"a")
    view = house.open()
    name = files(inbox)[0][4:]
    (inbox / "dovecot-uidlist").write_bytes(b"3 V5 N2\n1 :%b\n" % name.encode())
    view.refresh()
    assert view.gone
    assert house.counts().uidvalidity == 5
    assert house.open() is not view
    assert house.uids() == [1]


def test_a_list_that_gives_passed_uids_gets_a_new_uidvalidity(house, inbox):
    house.append(b"a", b"b")
    house.expunge(1)
    before, name = house.counts(), name_of(inbox, 2)[4:]
    put(inbox, "7.x.host")
    (inbox / "dovecot-uidlist").write_bytes(b"3 V%d N3\n1 :7.x.host\n2 :%b\n" % (before.uidvalidity, name.encode()))
    after = house.counts()
    assert after.uidvalidity > before.uidvalidity
    assert after.exists == 2


def test_folders_of_other_programs_come_and_go(house, inbox):
    for name in (".Sent", ".Work.2026", ".&AOk-t&AOk-"):
        for part in ("", "cur", "new", "tmp"):
            (inbox / name / part).mkdir()
    assert house.names() == ["INBOX", "Sent", "Work/2026", "été"]
    put(inbox / ".Sent", "1.a.host")
    assert house.counts(house.box("Sent").id).exists == 1
    os.rename(inbox / ".Sent", inbox / ".Old")
    assert house.names() == ["INBOX", "Old", "Work/2026", "été"]
    assert house.counts(house.box("Old").id).exists == 1


def test_a_maildir_that_is_not_ours_is_read_and_its_uids_lie_in_the_cache(house, inbox, tmp_path, monkeypatch):
    put(inbox, "1000.a.host")
    os.unlink(inbox / "dovecot-uidlist")
    house.runner.run(house.opened.close())
    monkeypatch.setattr("penfold.store.files.formats._writable", lambda _: False)
    house.opened = house.runner.run(house.driver.open(house.given))
    before = sorted(os.listdir(inbox))
    assert house.uids() == [1]
    assert sorted(os.listdir(inbox)) == before
    assert (tmp_path / "cache" / ADA / house.inbox / "dovecot-uidlist").exists()
    assert house.refused(StoreFlags(ADA, house.inbox, EVERY, How.ADD, ("\\Seen",))) == "UNAVAILABLE"
    assert house.refused(Append(ADA, house.inbox, (Message(b"x"),))) == "UNAVAILABLE"


def test_new_mail_is_moved_to_cur_when_somebody_takes_what_is_recent(house, inbox):
    put(inbox, "1000.a.host")
    assert house.counts().recent == 1
    house.do(ClaimRecent(ADA, house.inbox))
    assert files(inbox) == ["cur/1000.a.host:2,"]
    assert house.counts().recent == 0


def test_a_delivery_found_by_its_name_after_a_crash_is_a_repeat(house):
    first = house.deliver(3, b"x", queue_id="Qabc")
    house.opened = house.runner.run(house.driver.open(house.given))
    again = house.deliver(3, b"x", queue_id="Qabc")
    assert again.repeated
    assert again.uids == first.uids
    assert house.uids() == [1]


def test_more_than_26_keywords_are_refused_to_clients_and_left_out_of_deliveries(house, inbox):
    names = tuple(f"k{n:02}" for n in range(26))
    house.append(b"a", flags=names)
    assert house.refused(StoreFlags(ADA, house.inbox, EVERY, How.ADD, ("k26",))) == "LIMIT"
    assert house.refused(Append(ADA, house.inbox, (Message(b"b", ("k26",)),))) == "LIMIT"
    house.deliver(1, message=Message(b"b", ("k26", "k03", "\\Seen")))
    assert house.flags()[1] == {"k03", "\\Seen"}
    assert files(inbox)[1].endswith(":2,Sd")


def test_an_import_keeps_its_uids_in_the_list(house, inbox):
    house.do(Adopt(ADA, house.inbox, 4711, 10))
    house.do(Append(ADA, house.inbox, (Message(b"a", uid=12, uidl="old"),)))
    text = (inbox / "dovecot-uidlist").read_text()
    assert text.startswith("3 V4711 N10\n12 Pold :")


def test_a_failed_append_leaves_nothing(house, inbox, monkeypatch):
    house.append(b"a")
    before = files(inbox)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("penfold.fs.posix.PosixFile.datasync", full)
    assert house.refused(Append(ADA, house.inbox, (Message(b"b"), Message(b"c")))) == "UNAVAILABLE"
    assert files(inbox) == before
    assert os.listdir(inbox / "tmp") == []


def test_a_maildir_that_vanished_is_refused_and_its_view_is_gone(house, inbox, tmp_path):
    house.append(b"a")
    view = house.open()
    os.rename(inbox, tmp_path / "away")
    view.refresh()
    assert view.gone
    assert house.apply(Append(ADA, house.inbox, (Message(b"b"),)))[0].problem == "NONEXISTENT"
    assert house.runner.run(house.store.accounts()) == []


def test_a_change_at_the_same_moment_as_our_own_look_is_found_a_little_later(house, inbox, monkeypatch):
    house.append(b"a")
    view = house.open()
    view.refresh()
    times = os.stat(inbox / "new")
    put(inbox, "1000.hidden.host")
    os.utime(inbox / "new", ns=(times.st_atime_ns, times.st_mtime_ns))
    view.refresh()
    monkeypatch.setattr(house.store._state.accounts[ADA].open[0].folder, "_means", _later(house))
    view.refresh()
    assert view.counts().exists == 2


def _later(house):
    means = house.store._state.accounts[ADA].open[0].folder._means
    return means._replace(now=lambda: time.time() + 5)


def test_mailboxes_nobody_looks_at_are_let_go_and_come_back_as_they_were(house, monkeypatch):
    other = house.create("other")
    house.append(b"a", b"b", flags=["\\Seen"])
    house.append(b"c", mailbox=other)
    before = (house.counts(), house.counts(other), house.column(Column.MODSEQ), house.column(Column.EMAIL))
    view = house.open(other)
    monkeypatch.setattr("penfold.store.files.account._MOST_ROWS", 0)
    house.do(Subscribe(ADA, "other"))
    assert [box.name for box in house.store._state.accounts[ADA].open] == ["other"]
    assert (house.counts(), house.counts(other), house.column(Column.MODSEQ), house.column(Column.EMAIL)) == before
    assert house.open(other) is view
