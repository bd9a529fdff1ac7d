"""An MH folder served while other programs change it."""

import os

import pytest
from tests.files_stores import DRIVERS, FilesHouse
from tests.stores import ADA

from penfold.store import Append, Column, Message


@pytest.fixture
def house(tmp_path):
    house = FilesHouse.build(DRIVERS["mh"], tmp_path)
    yield house
    house.close()


@pytest.fixture
def inbox(tmp_path):
    return tmp_path / ADA / "inbox"


def numbers(inbox):
    return sorted(int(name) for name in os.listdir(inbox) if name.isdecimal())


def test_messages_of_other_programs_get_uids_in_the_order_of_their_numbers(house, inbox):
    for number in (10, 2, 7):
        (inbox / str(number)).write_bytes(b"Subject: %d\n\nx\n" % number)
    (inbox / ".mh_sequences").write_bytes(b"cur: 7\nunseen: 2 10\nreplied: 7\nwork: 2-7\nkwQ24Junk: 10\n")
    assert house.uids() == [1, 2, 3]
    assert [each[9:11] for each in house.contents()] == [b"2\r", b"7\r", b"10"]
    assert house.flags() == [{"work"}, {"\\Seen", "\\Answered", "work"}, {"$Junk"}]


def test_uids_stay_when_messages_are_renumbered(house, inbox):
    house.append(b"a", b"b", b"c")
    house.expunge(1)
    os.rename(inbox / "2", inbox / "9")
    os.rename(inbox / "3", inbox / "2")
    assert (house.uids(), house.contents()) == ([2, 3], [b"b", b"c"])
    house.restart()
    assert (house.uids(), house.contents()) == ([2, 3], [b"b", b"c"])


def test_an_edited_message_is_another_message(house, inbox):
    house.append(b"a", b"b")
    os.unlink(inbox / "1")
    (inbox / "1").write_bytes(b"edited")
    os.utime(inbox / "1", (5, 5))
    assert (house.uids(), house.contents()) == ([2, 3], [b"b", b"edited"])


def test_flags_are_sequences_and_what_is_no_flag_stays(house, inbox):
    (inbox / ".mh_sequences").write_bytes(b"cur: 3\nunseen: 50\n")
    house.append(b"a", b"b", b"c")
    house.flag([1, 2], "+", "\\Seen", "\\Flagged", "work")
    house.flag([3], "+", "\\Deleted", "$Junk", "first")
    text = (inbox / ".mh_sequences").read_bytes()
    assert sorted(text.splitlines()) == [
        b"cur: 3", b"deleted: 3", b"flagged: 1-2", b"kwQ24Junk: 3", b"kwfirst: 3", b"unseen: 3", b"work: 1-2",
    ]  # fmt: skip
    house.flag([1, 2, 3], "=")
    assert (inbox / ".mh_sequences").read_bytes() == b"cur: 3\nunseen: 1-3\n"


def test_an_expunged_number_leaves_its_sequences_for_it_may_be_given_again(house, inbox):
    house.append(b"a", b"b", flags=["\\Flagged"])
    house.expunge(2)
    assert numbers(inbox) == [1]
    house.append(b"c")
    assert numbers(inbox) == [1, 2]
    assert (house.uids(), house.flags()) == ([1, 3], [{"\\Flagged"}, set()])


def test_messages_are_read_only_files_with_their_date(house, inbox):
    house.do(Append(ADA, house.inbox, (Message(b"a", internal=1234),)))
    assert (inbox / "1").stat().st_mode & 0o777 == 0o400
    house.restart()
    assert house.column(Column.INTERNAL) == [1234]


def test_nothing_is_left_of_a_failed_append(house, inbox, monkeypatch):
    house.append(b"a")
    before = sorted(os.listdir(inbox))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("penfold.fs.posix.PosixFileSystem.sync_directory", full)
    assert house.refused(Append(ADA, house.inbox, (Message(b"b"), Message(b"c")))) == "UNAVAILABLE"
    assert sorted(os.listdir(inbox)) == before


def test_folders_lie_in_folders(house, tmp_path):
    (tmp_path / ADA / "lists/python").mkdir(parents=True)
    (tmp_path / ADA / "lists/python/1").write_bytes(b"x")
    assert house.names() == ["INBOX", "lists/python"]
    house.create("lists")
    assert house.names() == ["INBOX", "lists", "lists/python"]
