"""The store in memory: what only this driver does."""

import gc
import weakref

import msgspec
import pytest
from tests.stores import ADA, DRIVERS, House

from penfold.message.summary import summary
from penfold.model import BodyRef
from penfold.store import AccountId, Append, Change, CreateAccount, Message, Problem, Purge, Result, StoreFlags
from penfold.store.memory import Limits, MemoryStore
from penfold.store.objectid import email_id, thread_id
from penfold.store.result import REPLIES
from penfold.store.thread import MOST_IDS, Threads


@pytest.fixture
def house(tmp_path):
    house = House.build(DRIVERS["memory"], tmp_path)
    yield house
    house.close()


def test_a_view_goes_when_nobody_holds_it(house):
    view = house.open()
    gone = weakref.ref(view)
    del view
    gc.collect()
    assert gone() is None
    house.append(b"a")
    house.expunge(1)
    assert not house.store._state.accounts[ADA].mailboxes[house.inbox].exits


def test_messages_over_the_limit_are_refused(house):
    house.opened.store = MemoryStore(
        clock=house.clock, random=house.given.random, summarise=summary, limits=Limits(message=5)
    )
    inbox = house.made(CreateAccount(ADA))
    result = house.apply(Append(ADA, inbox, (Message(b"123456"),)))[0]
    assert result.problem is Problem.TOO_BIG
    by_reference = house.apply(Append(ADA, inbox, (Message(BodyRef("x", 0, 1)),)))[0]
    assert by_reference.problem is Problem.UNAVAILABLE


def test_who_watches_may_stop_while_being_told(house):
    heard = []

    def tell(published):
        heard.append(published)
        watch.close()

    watch = house.store.watch(ADA, tell)
    house.append(b"a")
    house.append(b"b")
    assert len(heard) == 1
    assert not house.store._watches


def test_the_journal_stays_in_proportion_to_the_mailbox(house):
    house.append(b"a")
    for n in range(300):
        house.flag([1], "+" if n % 2 else "-", "\\Seen")
    box = house.store._state.accounts[ADA].mailboxes[house.inbox]
    assert len(box._journal[0]) < 80
    assert list(house.open().changes(2).rows) == [0]


def test_changes_and_results_travel(house):
    change = Append(ADA, house.inbox, (Message(b"octets\xff", ("\\Seen",)), Message(BodyRef("f", 1, 2))))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(change), type=Change) == change
    flag = msgspec.msgpack.encode([StoreFlags(ADA, house.inbox, [[[1, 2]]], "+", ("a",))])
    (back,) = msgspec.msgpack.decode(flag, type=list[Change])
    assert list(back.uids) == [1, 2]
    result = house.apply(Append(ADA, house.inbox, (Message(b"x"),)))[0]
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(result), type=Result) == result


def test_every_problem_has_a_negative_reply():
    assert REPLIES.keys() == set(Problem)
    assert not any(reply.positive for reply in REPLIES.values())


def test_object_ids_are_of_one_length_and_safe():
    assert email_id(0) == "M" + "0" * 13
    assert thread_id((1 << 63) - 1) == "T7ZZZZZZZZZZZZ"


def test_a_message_with_very_many_ancestors_is_looked_at_in_part():
    threads = Threads()
    ids = b" ".join(b"<%d@x>" % n for n in range(150))
    octets = b"Subject: A\r\nMessage-ID: <m@x>\r\nReferences: " + ids + b"\r\n\r\n"
    assert threads.join(summary(octets), 5) == 5
    assert len(threads._known) == MOST_IDS
    assert threads.join(summary(b"Subject: A\r\nMessage-ID: <149@x>\r\n\r\n"), 6) == 5


def test_an_account_must_have_an_id_and_be_there_to_be_purged(house):
    nameless, nobody = house.apply(CreateAccount(AccountId("")), Purge(AccountId("nobody"), 1))
    assert nameless.problem is Problem.CANNOT
    assert nobody.problem is Problem.NONEXISTENT
