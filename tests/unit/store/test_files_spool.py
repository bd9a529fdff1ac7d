"""An mbox, and an MMDF file, served while other programs change it."""

import os

import pytest
from tests.files_stores import DRIVERS, FilesHouse
from tests.stores import ADA

from penfold.formats.mbox import Mbox
from penfold.fs.locks import DotLock
from penfold.fs.posix import PosixFileSystem
from penfold.store import EVERY, Adopt, Append, ClaimRecent, Column, Message, StoreFlags
from penfold.store.change import How

LINE = b"From ada@example.test Thu Jan  1 00:16:40 1970\n"


@pytest.fixture
def house(tmp_path):
    house = FilesHouse.build(DRIVERS["mbox"], tmp_path)
    yield house
    house.close()


@pytest.fixture
def spool(tmp_path):
    return tmp_path / f"{ADA}.spool"


def message(subject, more=b""):
    return LINE + b"Subject: %b\n%b\nbody of %b\n\n" % (subject, more, subject)


def reopen(house):
    house.runner.run(house.opened.close())
    house.clock.now += 1
    house.opened = house.runner.run(house.driver.open(house.given))


def test_mail_of_other_programs_gets_uids_that_stand_in_the_file(house, spool):
    spool.write_bytes(message(b"one") + message(b"two", b"Status: RO\nX-Status: A\nX-Keywords: $Work\n"))
    assert house.uids() == [1, 2]
    assert house.flags() == [set(), {"\\Seen", "\\Answered", "$Work"}]
    assert house.contents()[1] == b"Subject: two\r\n\r\nbody of two\r\n"
    assert house.column(Column.INTERNAL) == [1000, 1000]
    text = spool.read_bytes()
    assert b"Subject: one\nX-IMAPbase: %010d 0000000002\nX-UID: 1\n" % house.counts().uidvalidity in text
    assert b"X-UID: 2\nStatus: RO\nX-Status: A\nX-Keywords: $Work " in text
    with spool.open("ab") as file:
        file.write(message(b"three"))
    assert house.uids() == [1, 2, 3]


def test_uids_outlive_the_cache(house, spool, tmp_path):
    house.append(b"a\r\n", b"b\r\n", b"c\r\n", flags=["\\Flagged", "$Work"])
    house.expunge(1)
    house.expunge(3)
    before = (house.counts().uidvalidity, house.counts().uidnext, house.uids(), house.flags())
    house.runner.run(house.opened.close())
    for box in (tmp_path / "cache" / ADA).iterdir():
        for file in box.iterdir() if box.is_dir() else ():
            file.unlink()
        box.rmdir() if box.is_dir() else box.unlink()
    house.opened = house.runner.run(house.driver.open(house.given))
    house.inbox = house.box("INBOX").id
    assert (house.counts().uidvalidity, house.counts().uidnext, house.uids(), house.flags()) == before


def test_an_emptied_mailbox_gives_no_uid_twice_even_when_its_file_is_removed(house, spool):
    house.append(b"a\r\n", b"b\r\n")
    before = house.counts().uidvalidity
    os.unlink(spool)
    assert house.uids() == []
    assert house.names() == ["INBOX"]
    assert house.append(b"c\r\n") == [3]
    assert house.counts().uidvalidity == before
    house.expunge(3)
    assert spool.read_bytes() == b""
    reopen(house)
    assert house.append(b"d\r\n") == [4]


def test_the_first_message_hands_on_what_it_bears(house, spool):
    house.append(b"Subject: a\r\n\r\n", b"Subject: b\r\n\r\n", b"Subject: c\r\n\r\n")
    validity = house.counts().uidvalidity
    house.expunge(1)
    assert spool.read_bytes().count(b"X-IMAPbase: %010d 0000000003\n" % validity) == 1
    assert house.append(b"d\r\n") == [4]
    assert b"X-IMAPbase: %010d 0000000004\nX-UID: 2\n" % validity in spool.read_bytes()


def test_a_flag_is_changed_in_its_place(house, spool):
    house.append(b"a\r\n", b"b\r\n", b"c\r\n")
    size = spool.stat().st_size
    house.flag([2], "+", "\\Seen", "\\Flagged", "$Junk")
    house.flag([1, 3], "+", "\\Deleted")
    house.flag([3], "-", "\\Deleted")
    assert spool.stat().st_size == size
    assert house.flags() == [{"\\Deleted"}, {"\\Seen", "\\Flagged", "$Junk"}, set()]
    reopen(house)
    assert house.flags() == [{"\\Deleted"}, {"\\Seen", "\\Flagged", "$Junk"}, set()]
    house.flag([2], "+", *(f"keyword-of-some-length-{n}" for n in range(5)))
    assert spool.stat().st_size > size
    assert house.contents() == [b"a\r\n", b"b\r\n", b"c\r\n"]


def test_from_lines_and_state_fields_in_a_message_are_only_text(house, spool):
    octets = b"Subject: x\r\nX-UID: 77\r\nStatus: RO\r\nX-IMAPbase: 5 99\r\n\r\nFrom a b\r\n>From c\r\n\r\nFrom me\r\n"
    house.append(octets, b"Subject: y\r\n\r\nz\r\n")
    reopen(house)
    assert house.contents()[0] == b"Subject: x\r\n\r\nFrom a b\r\n>From c\r\n\r\nFrom me\r\n"
    assert (house.uids(), house.flags()) == ([1, 2], [set(), set()])


def test_uids_that_cannot_be_are_not_believed(house, spool):
    house.append(b"a\r\n", b"b\r\n", b"c\r\n")
    validity = house.counts().uidvalidity
    with spool.open("ab") as file:
        file.write(message(b"above", b"X-UID: 99\n") + message(b"passed", b"X-UID: 2\n"))
    assert house.uids() == [1, 2, 3, 4, 5]
    assert house.counts().uidvalidity == validity


def test_what_was_appended_is_scanned_and_no_more(house, spool, monkeypatch):
    spool.write_bytes(b"".join(message(b"%d" % number) for number in range(40)))
    assert len(house.uids()) == 40
    folder = house.store._state.accounts[ADA].open[0].folder
    begins, scan = [], folder._shape.scan
    monkeypatch.setattr(
        folder._shape, "scan", lambda file, size, begin=0: begins.append(begin) or scan(file, size, begin)
    )
    end = spool.stat().st_size
    with spool.open("ab") as file:
        file.write(message(b"new") + message(b"newer"))
    assert house.uids()[-3:] == [40, 41, 42]
    assert begins[0] == end
    begins.clear()
    with spool.open("ab") as file:
        file.write(b"more of the last message\n")
    assert house.contents()[-1].endswith(b"more of the last message\r\n")
    assert begins[0] == 0
    assert house.uids()[-3:] == [40, 41, 42]


def test_a_mailbox_another_program_rewrote_keeps_its_uids(house, spool):
    for subject in (b"one", b"two", b"three"):
        house.append(b"Subject: %b\r\n\r\nx\r\n" % subject)
    view = house.open()
    since = view.counts().highestmodseq
    text = spool.read_bytes()
    second = text.index(b"From ", 10)
    third = text.index(b"From ", second + 5)
    spool.write_bytes(text[:second] + text[third:].replace(b"Status: \n", b"Status: RO\n"))
    assert view.refresh()
    assert list(view.roll.uids) == [1, 3]
    assert house.flags() == [set(), {"\\Seen"}]
    assert list(view.changes(since).vanished) == [2]


def test_a_rewrite_that_loses_the_first_message_is_met_by_what_the_cache_knows(house, spool):
    house.append(b"Subject: one\r\n\r\n", b"Subject: two\r\n\r\n")
    validity = house.counts().uidvalidity
    text = spool.read_bytes()
    spool.write_bytes(text[text.index(b"From ", 10) :])
    assert house.uids() == [2]
    assert house.counts().uidvalidity == validity
    assert b"X-IMAPbase: %010d 0000000002" % validity in spool.read_bytes()


def test_the_message_of_c_client_that_is_none_is_not_shown_and_kept(house, spool):
    none = LINE + b"Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\n"
    none += b"X-IMAP: 0000000700 0000000010\nStatus: RO\n\nx\n\n"
    spool.write_bytes(none + message(b"one", b"X-UID: 9\n"))
    assert (house.counts().uidvalidity, house.uids()) == (700, [9])
    assert house.append(b"b\r\n") == [11]
    assert b"X-IMAP: 0000000700 0000000011\n" in spool.read_bytes()
    house.expunge(9, 11)
    assert b"FOLDER INTERNAL DATA" in spool.read_bytes()
    assert house.uids() == []


def test_a_mailbox_that_can_only_be_read_is_left_as_it_is(house, spool, monkeypatch):
    reopen(house)
    text = message(b"one", b"X-UID: 9\n") + message(b"one") + message(b"one")
    spool.write_bytes(text)
    house.runner.run(house.opened.close())
    monkeypatch.setattr("penfold.store.files.formats._writable", lambda _: False)
    house.opened = house.runner.run(house.driver.open(house.given))
    uids = house.uids()
    assert len(set(uids)) == 3
    spool.write_bytes(text + message(b"two"))
    assert house.uids() == [*uids, uids[-1] + 1]
    reopen(house)
    assert house.uids() == [*uids, uids[-1] + 1]
    assert spool.read_bytes() == text + message(b"two")
    assert house.refused(StoreFlags(ADA, house.inbox, EVERY, How.ADD, ("\\Seen",))) == "UNAVAILABLE"


def test_what_is_recent_becomes_old_in_the_file(house, spool):
    spool.write_bytes(message(b"one"))
    assert house.counts().recent == 1
    house.do(ClaimRecent(ADA, house.inbox))
    assert b"Status: O\n" in spool.read_bytes()
    reopen(house)
    assert house.counts().recent == 0


def test_a_failed_append_is_cut_back(house, spool, monkeypatch):
    house.append(b"a\r\n")
    size = spool.stat().st_size

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("penfold.fs.posix.PosixFile.datasync", full)
    assert house.refused(Append(ADA, house.inbox, (Message(b"b" * 100),))) == "UNAVAILABLE"
    assert spool.stat().st_size == size
    assert house.contents() == [b"a\r\n"]


def test_a_mailbox_that_stays_locked_is_unavailable(house, spool, monkeypatch):
    house.append(b"a\r\n")
    lock = DotLock(str(spool))
    assert lock.acquire()
    folder = house.store._state.accounts[ADA].open[0].folder
    monkeypatch.setattr(folder, "_safe", folder._safe._replace(policy=type(folder._safe.policy)(wait=0.0)))
    assert house.apply(Append(ADA, house.inbox, (Message(b"b"),)))[0].problem == "UNAVAILABLE"
    lock.release()
    assert house.append(b"b\r\n") == [2]


def test_what_our_own_deliveries_write_is_read(house, spool):
    from tests.stores import Body

    from penfold.formats import Message as Mail

    box = Mbox(PosixFileSystem(), str(spool))
    box.deliver(
        [Mail(b"", Body(b"Subject: x\r\n\r\ny\r\n"), "ada@example.test", 1000.0, "Q1R1", frozenset({"\\Seen"}))]
    )
    assert (house.uids(), house.flags(), house.contents()) == ([1], [{"\\Seen"}], [b"Subject: x\r\n\r\ny\r\n"])


def test_another_uidvalidity_gives_all_messages_new_uids(house, spool):
    house.do(Adopt(ADA, house.inbox, 4711, 10))
    assert house.append(b"a\r\n") == [10]
    reopen(house)
    assert (house.counts().uidvalidity, house.uids()) == (4711, [10])


def test_folders_are_files_and_directories(house, tmp_path):
    (tmp_path / ADA / "work").mkdir()
    (tmp_path / ADA / "work/plans").write_bytes(message(b"one"))
    (tmp_path / ADA / "notes.txt").write_bytes(b"no mailbox")
    names = {box.name: box.selectable for box in house.tree().mailboxes}
    assert names == {"INBOX": True, "work": False, "work/plans": True}
    assert house.counts(house.box("work/plans").id).exists == 1
    assert house.apply(Append(ADA, house.box("work").id, (Message(b"x"),)))[0].problem == "CANNOT"


def test_mmdf_is_read_and_written_between_its_separators(tmp_path):
    house = FilesHouse.build(DRIVERS["mmdf"], tmp_path)
    spool = tmp_path / f"{ADA}.spool"
    bar = b"\x01\x01\x01\x01\n"
    spool.write_bytes(bar + b"Subject: one\n\nx\n" + bar + bar + b"Subject: two\nStatus: R\n\ny\n" + bar)
    assert house.uids() == [1, 2]
    assert house.flags() == [set(), {"\\Seen"}]
    house.flag([1], "+", "\\Flagged")
    house.append(b"Subject: three\r\n\r\n\x01\x01\x01\x01\r\n")
    house.expunge(2)
    text = spool.read_bytes()
    assert text.count(bar) == 4
    assert text.startswith(bar)
    assert text.endswith(bar)
    reopen(house)
    assert house.contents() == [b"Subject: one\r\n\r\nx\r\n", b"Subject: three\r\n\r\n\x02\x01\x01\x01\r\n"]
    assert (house.uids(), house.flags()) == ([1, 3], [{"\\Flagged"}, set()])
    house.close()
