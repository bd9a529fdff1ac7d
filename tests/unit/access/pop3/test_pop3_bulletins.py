"""Bulletins: a directory of messages that every account gets once."""

import asyncio
import os

import pytest
from tests.pop3_material import ALICE, ONE, TWO, Talk

from penfold.access.pop3 import Board, Holder
from penfold.access.pop3.bulletin import MAX_OCTETS, MOST, message
from penfold.access.pop3.opening import LAST_BULLETIN, addressed
from penfold.model import Address
from penfold.store import NO_MAILBOX, Annotation, Expunge, Quota, SetMetadata, SetQuota, UidSet

HEAD = (
    b"From: postmaster@mx.test\r\nTo: everybody\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\nMessage-ID: <1@mx.test>\r\n"
)


async def at_once(work):
    work()


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def board(path, clock=None, **more):
    return Board(str(path), hostname="mx.test", run=at_once, clock=clock or Clock(), **more)


def write(path, name, content=HEAD + b"Subject: news\r\n\r\nhello\r\n"):
    (path / name).write_bytes(content)


def after(one, number):
    return [bulletin.number for bulletin in asyncio.run(one.after(number))]


def test_bulletins_are_files_named_by_a_number(tmp_path):
    for name in ("00003.third", "1.first", "2.second", "4", "x.5", "6.draft~", ".7.hidden", "8.", "-9.x"):
        write(tmp_path, name)
    os.mkdir(tmp_path / "10.folder")
    os.symlink(tmp_path / "1.first", tmp_path / "11.link")
    os.mkfifo(tmp_path / "12.pipe")
    write(tmp_path, "13.empty", b"")
    write(tmp_path, "14.large", b"x" * (MAX_OCTETS + 1))
    one = board(tmp_path)
    assert after(one, -1) == after(one, 0) == [1, 2, 3]
    assert after(one, 2) == [3]
    assert after(one, 3) == []


def test_who_never_got_any_begins_with_the_newest(tmp_path):
    for number in range(1, 15):
        write(tmp_path, f"{number:05}.x")
    assert after(board(tmp_path), None) == list(range(5, 15))
    assert after(board(tmp_path, newest=3), None) == [12, 13, 14]
    assert after(board(tmp_path, newest=0), None) == []


def test_the_directory_is_looked_at_again_after_a_while(tmp_path):
    clock = Clock()
    one = board(tmp_path, clock)
    assert after(one, 0) == []
    write(tmp_path, "1.a")
    assert after(one, 0) == []
    clock.now = 30.0
    assert after(one, 0) == [1]
    os.unlink(tmp_path / "1.a")
    clock.now = 60.0
    assert after(one, 0) == []


def test_a_bulletin_that_was_changed_is_read_again(tmp_path):
    clock = Clock()
    one = board(tmp_path, clock)
    write(tmp_path, "1.a")
    (first,) = asyncio.run(one.after(0))
    clock.now = 30.0
    assert asyncio.run(one.after(0))[0] is first
    write(tmp_path, "1.a", HEAD + b"\r\nother\r\n")
    os.utime(tmp_path / "1.a", (1, 1))
    clock.now = 60.0
    assert asyncio.run(one.after(0))[0].content.endswith(b"other\r\n")


def test_a_directory_that_cannot_be_read_leaves_all_as_it_was(tmp_path):
    clock = Clock()
    write(tmp_path, "1.a")
    one = board(tmp_path, clock)
    assert after(one, 0) == [1]
    os.rename(tmp_path, f"{tmp_path}-away")
    clock.now = 30.0
    assert after(one, 0) == [1]
    assert after(board(tmp_path), 0) == []


def test_the_newest_hundred_are_kept(tmp_path):
    for number in range(MOST + 5):
        write(tmp_path, f"{number}.x")
    assert after(board(tmp_path), -1) == list(range(5, MOST + 5))


def test_a_bulletin_comes_into_the_form_of_a_message():
    made = message(
        b"From postmaster Mon Jan  1 00:00:00 2024\nFrom: p@mx.test\nSubject: x\n\nbody\n", 7, 86400.0, "mx.test"
    )
    head, _, body = made.partition(b"\r\n\r\n")
    assert b"From: p@mx.test\r\nSubject: x" in head
    assert b"Date: Fri, 02 Jan 1970 00:00:00 +0000" in head or b"Date: Fri, 2 Jan 1970" in head
    assert b"Message-ID: <bulletin.7.86400@mx.test>" in head
    assert body == b"body\r\n"
    whole = HEAD + b"\r\nbody\r\n"
    assert message(whole, 7, 0.0, "mx.test") == whole


def test_a_bulletin_is_addressed_to_who_gets_it():
    whole = HEAD + b"\r\nTo: not a field\r\n"
    address = Address("alice", "mx.test")
    assert addressed(whole, address) == whole.replace(b"To: everybody", b"To: alice@mx.test")
    assert addressed(whole, None) == whole
    assert addressed(b"Subject: x\r\n\r\n", address) == b"To: alice@mx.test\r\nSubject: x\r\n\r\n"


@pytest.fixture
def talk(tmp_path):
    write(tmp_path, "1.a", HEAD + b"Subject: one\r\n\r\n")
    write(tmp_path, "2.b", HEAD + b"Subject: two\r\n\r\n")
    with Talk(ONE) as talk:
        talk.board = board(tmp_path, clock := Clock())
        talk.path, talk.clock = tmp_path, clock
        object.__setattr__(talk.house.office, "bulletins", talk.board)
        object.__setattr__(
            talk.house.office, "holder", lambda _: Holder(account=ALICE, address=Address("alice", "mx.test"))
        )
        yield talk


def test_every_account_gets_a_bulletin_once(talk):
    talk.login()
    assert talk.say("STAT").startswith("+OK 3 ")
    assert "To: alice@mx.test\r\n" in talk.say("RETR 2")
    talk.say("DELE 2", "DELE 3", "QUIT")
    assert talk.notes()["last-bulletin"] == b"2"
    assert talk.login().say("STAT").startswith("+OK 1 ")
    talk.say("QUIT")
    write(talk.path, "3.c", HEAD + b"Subject: three\r\n\r\n")
    talk.clock.now = 60.0
    assert talk.login().say("STAT").startswith("+OK 2 ")
    assert "Subject: three" in talk.say("RETR 2")
    assert talk.notes()["last-bulletin"] == b"3"


def test_a_bulletin_that_does_not_fit_comes_when_there_is_room(talk):
    talk.apply(SetQuota(ALICE, Quota(messages=2)))
    assert talk.login().say("STAT").startswith("+OK 2 ")
    assert talk.notes()["last-bulletin"] == b"1"
    talk.say("DELE 1", "QUIT")
    assert talk.login().say("STAT").startswith("+OK 2 ")
    assert talk.notes()["last-bulletin"] == b"2"


def test_a_bulletin_is_not_repeated_where_its_note_was_lost(talk):
    talk.login()
    talk.hang_up()
    talk.apply(SetMetadata(ALICE, NO_MAILBOX, (Annotation(LAST_BULLETIN, None),)))
    talk.apply(Expunge(ALICE, talk.inbox, UidSet.of([2]), deleted=False))
    assert talk.login().say("STAT").startswith("+OK 2 ")
    assert talk.notes()["last-bulletin"] == b"2"


def test_an_empty_board_costs_nothing(talk):
    os.unlink(talk.path / "1.a")
    os.unlink(talk.path / "2.b")
    talk.login()
    assert talk.notes() == {}
    assert talk.contents() == [ONE]
    talk.append(TWO)
