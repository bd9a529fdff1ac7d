"""A session and its maildrop: what it sees of INBOX, what it changes, and who else may be there."""

import gc
import weakref

import pytest
from tests.pop3_material import ALICE, LOGIN, ONE, THREE, TWO, Talk, uids

from penfold.access.pop3 import Habits, Journal
from penfold.access.pop3.maildrop import Maildrop
from penfold.access.pop3.opening import LAST_LOGIN
from penfold.model import Reply
from penfold.net.link import Closing
from penfold.store import NO_MAILBOX, Annotation, DeleteAccount, Expunge, Problem, Purge, Refused, SetMetadata
from penfold.telemetry.events import Unrecorded


def test_a_session_reads_what_is_in_the_inbox():
    with Talk(ONE, TWO) as talk:
        talk.login()
        assert talk.say("STAT") == f"+OK 2 {len(ONE) + len(TWO)}\r\n"
        assert talk.say("RETR 2") == f"+OK {len(TWO)} octets\r\n{TWO.decode()}.\r\n"
        assert talk.say("TOP 1 0") == "+OK 48 octets\r\nFrom: ada@example.org\r\nSubject: one\r\n\r\n.\r\n".replace(
            "48", str(len(ONE) - 7)
        )


def test_an_empty_maildrop_is_a_maildrop():
    with Talk() as talk:
        talk.login()
        assert talk.say("STAT") == "+OK 0 0\r\n"
        assert talk.say("LIST") == "+OK Listing follows\r\n.\r\n"
        assert talk.say("UIDL") == "+OK Listing follows\r\n.\r\n"
        assert talk.say("RETR 1") == "-ERR No such message\r\n"
        assert talk.say("QUIT") == "+OK Bye\r\n"


class Name(str):  # noqa: SLOT000 - it must have a __weakref__
    """A name that can be watched."""


def test_a_session_that_has_ended_needs_no_cycle_collector():
    with Talk(ONE) as talk:
        object.__setattr__(talk.house.office, "log", Journal(Unrecorded(), talk.house.clock))
        gc.disable()
        try:
            talk.login()
            talk.session.name = Name("watched")
            watched = weakref.ref(talk.session.name)
            talk.say("STAT", "RETR 1", "UIDL", "DELE 1", "QUIT")
            talk.session.closed(Closing.OURS)
            assert watched() is not None
            del talk.session
            assert watched() is None
        finally:
            gc.enable()


def test_what_arrives_during_a_session_is_not_seen_before_the_next():
    with Talk(ONE) as talk:
        talk.login()
        talk.append(TWO)
        assert talk.say("STAT").startswith("+OK 1 ")
        assert talk.say("RETR 2") == "-ERR No such message\r\n"
        talk.say("QUIT")
        assert talk.login().say("STAT").startswith("+OK 2 ")


def test_a_message_that_another_program_removes_keeps_its_number_and_is_still_sent():
    with Talk(ONE, TWO, THREE) as talk:
        talk.login()
        talk.apply(Expunge(ALICE, talk.inbox, uids(2), deleted=False))
        assert talk.contents() == [ONE, THREE]
        assert talk.say("STAT").startswith("+OK 3 ")
        assert TWO.decode() in talk.say("RETR 2")
        assert THREE.decode() in talk.say("RETR 3")


def test_in_server_mode_a_message_that_another_program_removes_is_gone():
    with Talk(ONE, TWO, habits=Habits(server_mode=True)) as talk:
        talk.login()
        talk.apply(Expunge(ALICE, talk.inbox, uids(2), deleted=False))
        assert talk.say("RETR 2") == "-ERR [SYS/TEMP] Another program has removed this message\r\n"
        assert ONE.decode() in talk.say("RETR 1")


def test_a_message_purged_during_a_session_has_no_size_and_cannot_be_read():
    with Talk(ONE, TWO) as talk:
        talk.login()
        talk.apply(Expunge(ALICE, talk.inbox, uids(1), deleted=False))
        talk.house.now += 10
        talk.apply(Purge(ALICE, int(talk.house.now)))
        assert talk.say("LIST") == f"+OK Listing follows\r\n1 0\r\n2 {len(TWO)}\r\n.\r\n"
        assert talk.say("UIDL").split("\r\n")[1].endswith(".00000001")
        assert talk.say("RETR 1") == "-ERR [SYS/TEMP] Another program has removed this message\r\n"


def test_quit_removes_what_was_marked_and_flags_what_was_retrieved():
    with Talk(ONE, TWO, THREE) as talk:
        talk.login()
        talk.say("RETR 1", "RETR 2", "DELE 2")
        assert talk.contents() == [ONE, TWO, THREE]
        assert talk.say("QUIT") == "+OK Bye\r\n"
        assert talk.link.closing
        assert talk.contents() == [ONE, THREE]
        assert talk.flags() == [{"\\Seen"}, set()]


def test_flags_are_left_alone_where_the_site_wishes_it():
    with Talk(ONE, habits=Habits(mark_seen=False)) as talk:
        talk.login()
        talk.say("RETR 1", "QUIT")
        assert talk.flags() == [set()]


def test_top_flags_nothing():
    with Talk(ONE) as talk:
        talk.login()
        talk.say("TOP 1 5", "QUIT")
        assert talk.flags() == [set()]


def test_a_session_without_quit_changes_nothing_and_gives_the_lock_back():
    with Talk(ONE, TWO) as talk:
        talk.login()
        talk.say("RETR 1", "DELE 2")
        talk.hang_up()
        assert talk.contents() == [ONE, TWO]
        assert talk.flags() == [set(), set()]
        talk.login()


def test_removing_what_another_program_has_removed_already_is_no_failure():
    with Talk(ONE, TWO) as talk:
        talk.login()
        talk.say("DELE 1", "DELE 2")
        talk.apply(Expunge(ALICE, talk.inbox, uids(1), deleted=False))
        assert talk.say("QUIT") == "+OK Bye\r\n"
        assert talk.contents() == []


def test_a_second_session_is_told_that_the_maildrop_is_in_use():
    with Talk(ONE) as talk:
        talk.login()
        first, link = talk.session, talk.link
        assert talk.connect(*LOGIN).endswith("-ERR [IN-USE] Maildrop is locked by another session\r\n")
        assert talk.say(*LOGIN).endswith("-ERR [IN-USE] Maildrop is locked by another session\r\n")
        first.received(memoryview(b"QUIT\r\n"))
        talk.settle()
        assert link.take() == b"+OK Bye\r\n"
        assert talk.say(*LOGIN).endswith("+OK Logged in\r\n")


def test_the_lock_is_free_when_the_client_hears_of_the_end():
    with Talk(ONE) as talk:
        talk.login()
        talk.link.write = lambda octets: seen.append((bytes(octets), talk.house.locks.take(ALICE)))  # type: ignore[method-assign]
        seen: list[tuple[bytes, bool]] = []
        talk.say("QUIT")
        assert seen == [(b"+OK Bye\r\n", True)]


def test_a_client_that_goes_during_its_log_in_leaves_no_lock_behind():
    with Talk(ONE) as talk:
        talk.connect()
        talk.session.received(memoryview(b"USER alice\r\nPASS alice-demo\r\n"))
        talk.hang_up()
        assert talk.house.locks.take(ALICE)


def test_an_update_is_finished_though_the_client_has_gone():
    with Talk(ONE, TWO) as talk:
        talk.login()
        talk.session.received(memoryview(b"DELE 1\r\nQUIT\r\n"))
        assert not talk.house.locks.take(ALICE)
        talk.hang_up()
        assert talk.contents() == [TWO]
        assert talk.house.locks.take(ALICE)


def test_an_update_of_which_nothing_was_done_says_so():
    with Talk(ONE) as talk:
        talk.login()
        talk.say("DELE 1")
        apply = talk.store.apply

        async def refuse(changes):
            return [Refused(Problem.UNAVAILABLE, "disk") for _ in changes]

        talk.store.apply = refuse
        assert talk.say("QUIT") == "-ERR [SYS/TEMP] Some deleted messages were not removed\r\n"
        talk.store.apply = apply
        assert talk.contents() == [ONE]
        assert talk.house.locks.take(ALICE)


def test_an_update_of_which_some_was_done_says_so():
    with Talk(ONE, TWO) as talk:
        talk.login()
        talk.say("DELE 1", "DELE 2")
        apply = talk.store.apply

        async def half(changes):
            return await apply([Expunge(ALICE, talk.inbox, uids(1), deleted=False) for _ in changes])

        talk.store.apply = half
        assert talk.say("QUIT") == "-ERR [SYS/TEMP] Some deleted messages were not removed\r\n"
        assert talk.contents() == [TWO]


def test_nothing_is_removed_when_the_uids_mean_other_messages_by_then():
    with Talk(ONE) as talk:
        talk.login()
        talk.say("DELE 1")
        talk.apply(DeleteAccount(ALICE))
        assert talk.say("QUIT") == "-ERR [SYS/TEMP] Some deleted messages were not removed\r\n"


def test_an_error_of_ours_is_an_answer_and_is_logged():
    with Talk(ONE) as talk:
        talk.login()

        async def broken(changes):
            raise ZeroDivisionError

        talk.store.apply = broken
        talk.say("DELE 1")
        assert talk.say("QUIT") == "-ERR [SYS/TEMP] Some deleted messages were not removed\r\n"
        assert "fault" in [heard[0] for heard in talk.house.log.heard]
        assert talk.house.locks.take(ALICE)


def test_an_error_of_ours_behind_an_answer_ends_the_session(monkeypatch):
    with Talk(ONE) as talk:
        talk.login()
        monkeypatch.setattr(Maildrop, "sizes", lambda _: 1 // 0)
        talk.session.wait(talk.store.accounts(), lambda _: talk.session.core.sizes([]))
        talk.settle()
        assert talk.link.aborted
        assert talk.house.locks.take(ALICE)


# -- EXPIRE, LOGIN-DELAY


def test_expire_0_removes_what_was_retrieved():
    with Talk(ONE, TWO) as talk:
        talk.house.expire = 0
        talk.login()
        talk.say("RETR 1", "TOP 2 0", "QUIT")
        assert talk.contents() == [TWO]


def test_expire_removes_what_has_lain_here_for_so_many_days():
    with Talk(ONE) as talk:
        talk.house.now += 20 * 86400
        talk.append(TWO)
        talk.house.now += 11 * 86400
        talk.house.expire = 30
        talk.login()
        assert talk.say("QUIT") == "+OK Bye\r\n"
        assert talk.contents() == [TWO]


@pytest.mark.parametrize("days", ["NEVER", None])
def test_nothing_expires_otherwise(days):
    with Talk(ONE) as talk:
        talk.house.now += 20000 * 86400
        talk.house.expire = days
        talk.login()
        talk.say("RETR 1", "QUIT")
        assert talk.contents() == [ONE]


def test_a_client_that_comes_again_too_soon_is_told_to_wait():
    with Talk(ONE) as talk:
        talk.house.login_delay = 60
        talk.login()
        assert talk.notes()["last-login"] == b"%d" % talk.house.now
        talk.say("QUIT")
        talk.house.now += 59
        assert talk.connect(*LOGIN).endswith("-ERR [LOGIN-DELAY] Minimum time between log-ins not passed yet\r\n")
        assert talk.house.locks.take(ALICE)
        talk.house.locks.release(ALICE)
        talk.house.now += 1
        talk.login()


@pytest.mark.parametrize("said", [b"tomorrow", b"-5", b"9" * 30, b"1800000000"])
def test_a_last_login_that_makes_no_sense_keeps_nobody_out(said):
    with Talk(ONE) as talk:
        talk.house.login_delay = 60
        talk.apply(SetMetadata(ALICE, NO_MAILBOX, (Annotation(LAST_LOGIN, said),)))
        talk.login()


# -- unique-ids


def test_unique_ids_are_uidvalidity_and_uid_and_stay():
    with Talk(ONE, TWO, THREE) as talk:
        talk.login()
        first = talk.say("UIDL").split("\r\n")[1:4]
        validity = f"{talk.view().uidvalidity:08x}"
        assert first == [f"{n} {validity}.{n:08x}" for n in (1, 2, 3)]
        talk.say("DELE 2", "QUIT")
        talk.house.now += 100
        assert talk.login().say("UIDL").split("\r\n")[1:3] == [f"1 {validity}.00000001", f"2 {validity}.00000003"]
        assert talk.say("UIDL 2") == f"+OK 2 {validity}.00000003\r\n"


def test_imported_messages_keep_the_name_they_had():
    with Talk(ONE) as talk:
        talk.append(TWO, uidl="0000002a4b3c1f00")
        talk.append(THREE, uidl="0000002a4b3c1f00")
        talk.append(THREE, uidl="with space")
        talk.login()
        validity = f"{talk.view().uidvalidity:08x}"
        assert talk.say("UIDL").split("\r\n")[1:5] == [
            f"1 {validity}.00000001",
            "2 0000002a4b3c1f00",
            f"3 {validity}.00000003",
            f"4 {validity}.00000004",
        ]


# -- who may come in


def test_an_account_that_the_store_does_not_know_is_refused():
    with Talk(ONE) as talk:
        assert talk.connect("USER stuck", "PASS stuck-demo").endswith("-ERR [SYS/PERM] Maildrop cannot be opened\r\n")
        assert talk.house.locks.take(talk.house.holder("stuck").account)


def test_a_holder_may_be_refused_by_whoever_finds_it():
    with Talk(ONE) as talk:
        refused = Reply.of(535, "5.7.8", "POP3 is switched off for this account")
        object.__setattr__(talk.house.office, "holder", lambda _: refused)
        assert talk.connect(*LOGIN).endswith("-ERR [AUTH] POP3 is switched off for this account\r\n")


def test_a_holder_may_be_waited_for():
    async def later(user):
        return talk.house.holder(user)

    with Talk(ONE) as talk:
        object.__setattr__(talk.house.office, "holder", later)
        talk.login()


def test_the_session_is_closed_when_it_has_lasted_too_long():
    with Talk(ONE, habits=Habits(session_seconds=100.0)) as talk:
        talk.login()
        talk.link.time = 99.0
        talk.say("NOOP")
        assert talk.link.due == 100.0
        talk.link.time = 100.0
        talk.session.on_time(100.0)
        assert talk.link.take() == b"-ERR [SYS/TEMP] The session has lasted too long\r\n"
        assert talk.link.closing
        talk.session.closed(Closing.OURS)
        assert talk.house.locks.take(ALICE)


def test_a_process_that_ends_says_so():
    with Talk(ONE) as talk:
        talk.login()
        talk.session.drain()
        assert talk.link.take() == b"-ERR [SYS/TEMP] Server is shutting down, try again later\r\n"
        assert talk.link.closing
        talk.session.closed(Closing.OURS)
        talk.connect()
        assert talk.greeting.startswith("+OK")


def test_a_client_that_comes_while_the_process_ends_is_sent_away():
    with Talk(ONE) as talk:
        talk.connect()
        session, link = type(talk.session)(talk.house.office, "x"), type(talk.link)()
        session.drain()
        session.connected(link)
        assert link.take() == b"-ERR [SYS/TEMP] Server is shutting down, try again later\r\n"


class Crowd:
    def __init__(self):
        self.now = 0

    def enter(self, client):
        self.now += 1
        return self.now <= 1

    def leave(self, client):
        self.now -= 1


def test_a_client_with_too_many_sessions_is_sent_away_and_counted_out():
    crowd = Crowd()
    with Talk(ONE, open_sessions=crowd) as talk:
        talk.connect()
        first = talk.session
        talk.connect()
        assert talk.greeting == "-ERR [SYS/TEMP] Too many connections from you at the same time\r\n"
        talk.hang_up()
        first.closed(Closing.PEER)
        assert crowd.now == 0
