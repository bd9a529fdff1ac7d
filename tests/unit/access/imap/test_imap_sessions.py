"""IMAP sessions: the pump, back-pressure, what one session does and others hear."""

import asyncio

import pytest
from conformance.imap_runner import MESSAGES, Connection, FakeLink, House

from penfold.access.imap.selected import Selected
from penfold.access.imap.session import ImapSession
from penfold.model import Reply
from penfold.net.link import Closing
from penfold.store import AccountId, Expunge, How, Purge, StoreFlags, UidSet


@pytest.fixture
def house():
    house = House()
    yield house
    house.close()


def drain(connection):
    """Read like a client that takes all it is given, as often as the link has room again."""
    got = b""
    while piece := connection.receive():
        got += piece
        connection.session.drained()
        connection.house.settle()
    return got


def test_a_long_answer_waits_for_a_client_that_does_not_read():
    house = House(mail=False)
    house.append(*[b"Subject: x\r\n\r\n" + b"y" * 20_000] * 100)
    connection = Connection(house, FakeLink(room=65536)).log_in(select="INBOX")
    connection.send(b"a FETCH 1:* BODY.PEEK[]\r\n")
    assert 65536 < len(connection.link.out) < 4 * 65536
    assert not connection.link.out.endswith(b"a OK FETCH completed\r\n")
    got = drain(connection)
    assert got.endswith(b"a OK FETCH completed\r\n")
    assert got.count(b"BODY[] {20014}\r\nSubject: x\r\n\r\nyyy") == 100
    house.close()


def test_a_large_message_goes_out_in_pieces():
    house = House(mail=False)
    octets = b"Subject: x\r\n\r\n" + bytes(range(1, 256)) * 8000
    house.append(octets)
    connection = Connection(house).log_in(select="INBOX")
    connection.receive()
    connection.link.room = 1000
    connection.link.writes.clear()
    connection.send(b"a FETCH 1 (UID BODY[])\r\n")
    got = drain(connection)
    assert octets in got
    assert max(connection.link.writes) < 3 * 65536
    assert got.startswith(b"* 1 FETCH (FLAGS (\\Seen \\Recent) UID 1 BODY[] {%d}\r\n" % len(octets))
    house.close()


def test_what_is_rendered_of_large_headers_goes_out_in_pieces():
    house = House(mail=False)
    header = b"".join(b"To: " + b"a@example.test, " * 2000 + b"b@example.test\r\n" for _ in range(3))
    house.append(*[header + b"\r\n" + b"x" * 400_000] * 60)
    connection = Connection(house).log_in(select="INBOX")
    connection.receive()
    connection.link.writes.clear()
    connection.send(b"a FETCH 1:* (ENVELOPE BODYSTRUCTURE)\r\n")
    assert connection.receive().endswith(b"a OK FETCH completed\r\n")
    assert max(connection.link.writes) < 8 << 20 < sum(connection.link.writes)
    house.close()


def test_a_long_answer_lets_others_have_their_turn():
    house = House(mail=False)
    house.append(*[b"Subject: x\r\n\r\n"] * 10_000)
    connection = Connection(house).log_in(select="INBOX")
    connection.receive()
    clock = iter(range(1_000_000))
    connection.link.now = lambda: float(next(clock))
    connection.session.received(memoryview(b"a FETCH 1:* UID\r\nb NOOP\r\n"))
    assert house.callbacks
    assert not connection.link.out.endswith(b"b OK NOOP completed\r\n")
    house.settle()
    text = connection.receive()
    assert text.count(b" FETCH (") == 10_000
    assert text.endswith(b"a OK FETCH completed\r\nb OK NOOP completed\r\n")
    house.close()


def test_commands_sent_at_once_are_answered_in_order_whatever_must_be_waited_for(house):
    connection = Connection(house).log_in()
    text = connection.say("a SELECT INBOX\r\nb STORE 1 +FLAGS.SILENT \\Deleted\r\nc EXPUNGE\r\nd FETCH 1 UID")
    answers = [line for line in text.splitlines() if line[:2] in {"a ", "b ", "c ", "d "}]
    assert [line.split()[:2] for line in answers] == [["a", "OK"], ["b", "OK"], ["c", "OK"], ["d", "OK"]]
    assert "* 1 FETCH (UID 2)" in text


def test_a_client_that_sends_on_and_on_while_an_answer_is_owed_is_not_read(house):
    waiting = asyncio.Event()
    connection = Connection(house).log_in()

    async def slow(changes):
        await waiting.wait()
        return await type(house.store).apply(house.store, changes)

    house.store.apply = slow
    connection.session.received(memoryview(b"a CREATE x\r\n"))
    connection.session.received(memoryview(b"b NOOP\r\n" * 10_000))
    assert connection.link.paused
    waiting.set()
    house.settle()
    assert not connection.link.paused
    assert connection.receive().count(b"b OK") == 10_000


def test_whoever_idles_hears_of_a_delivery_and_is_not_told_twice(house):
    connection = Connection(house).log_in(select="INBOX")
    connection.say("a IDLE")
    house.append(b"new")
    house.append(b"newer")
    house.settle()
    assert connection.receive() == b"* 5 EXISTS\r\n* 5 RECENT\r\n"
    house.apply(StoreFlags(AccountId("alice"), house.inbox["alice"], UidSet.of([2]), How.ADD, ("\\Seen",)))
    house.settle()
    assert connection.receive() == b"* 2 FETCH (UID 2 FLAGS (\\Seen \\Recent))\r\n"
    assert connection.say("DONE") == "a OK IDLE completed\r\n"


def test_an_idle_client_that_does_not_read_is_told_when_it_does(house):
    connection = Connection(house, FakeLink()).log_in(select="INBOX")
    connection.say("a IDLE")
    connection.link.room = -1
    house.append(b"new")
    house.settle()
    assert connection.receive() == b""
    connection.link.room = None
    connection.session.drained()
    house.settle()
    assert connection.receive() == b"* 4 EXISTS\r\n* 4 RECENT\r\n"


def test_a_message_that_came_and_went_unseen_is_not_counted(house):
    connection = Connection(house).log_in(select="INBOX")
    house.append(b"x")
    house.append(b"y")
    house.apply(Expunge(AccountId("alice"), house.inbox["alice"], UidSet.of([4]), deleted=False))
    assert connection.say("a NOOP") == "* 4 EXISTS\r\n* 4 RECENT\r\na OK NOOP completed\r\n"
    assert "UID 5" in connection.say("b FETCH 4 UID")


def test_what_happens_in_other_mailboxes_is_not_told(house):
    other = house.create("other")
    connection = Connection(house).log_in(select="INBOX")
    connection.say("a IDLE")
    house.append(b"x", mailbox=other)
    house.settle()
    assert connection.receive() == b""


def test_a_message_that_is_gone_for_others_can_be_fetched_until_it_was_told(house):
    connection = Connection(house).log_in(select="INBOX")
    house.apply(Expunge(AccountId("alice"), house.inbox["alice"], UidSet.of([1]), deleted=False))
    text = connection.say("a FETCH 1:2 (UID RFC822.SIZE)")
    assert text.splitlines()[:2] == ["* 1 FETCH (UID 1 RFC822.SIZE 148)", "* 2 FETCH (UID 2 RFC822.SIZE 290)"]
    assert connection.say("b NOOP") == "* 1 EXPUNGE\r\nb OK NOOP completed\r\n"


@pytest.mark.parametrize(
    "items",
    [
        "(UID FLAGS)",
        "BODY.PEEK[]",
        "BODY.PEEK[HEADER.FIELDS (X-ODD)]",
        "BODY.PEEK[1]",
        "(UID BODY.PEEK[] BODY.PEEK[TEXT])",
    ],
)
def test_a_message_that_was_purged_is_passed_over_and_its_number_stays(house, items):
    connection = Connection(house).log_in(select="INBOX")
    house.apply(Expunge(AccountId("alice"), house.inbox["alice"], UidSet.of([1]), deleted=False))
    house.clock.now += 10
    house.apply(Purge(AccountId("alice"), int(house.clock.now)))
    text = connection.say(f"a FETCH 1:3 {items}")
    assert "* 1 FETCH" not in text
    assert "* 2 FETCH" in text
    assert "* 3 FETCH" in text
    assert text.endswith("a OK [EXPUNGEISSUED] Some of the messages are gone\r\n")
    assert connection.say("b FETCH 1 UID") == "b OK [EXPUNGEISSUED] Some of the messages are gone\r\n"


def test_a_body_that_cannot_be_read_is_passed_over(house, monkeypatch):
    connection = Connection(house).log_in(select="INBOX")
    view = connection.session.client.selected.view
    body = view.body

    def broken(row, start=0, length=None):
        if row == 1:
            raise OSError(5, "Input/output error")
        return body(row, start, length)

    monkeypatch.setattr(view, "body", broken)
    text = connection.say("a FETCH 1:3 (UID BODY.PEEK[])")
    assert [line.split()[1] for line in text.splitlines() if " FETCH (" in line] == ["1", "3"]
    text = connection.say("b SEARCH BODY tea")
    assert text == "b NO [UNAVAILABLE] Some messages cannot be read now\r\n"


def test_a_nul_in_a_message_is_not_sent_in_a_literal_that_may_hold_none(house):
    house.append(b"Subject: a\0b\r\n\r\nc\0d")
    connection = Connection(house).log_in(select="INBOX")
    text = connection.say("a FETCH 4 (BODY.PEEK[] BODY.PEEK[TEXT] BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    assert "\0" not in text
    assert "BODY[] {19}" in text
    assert "\0" in connection.say("b FETCH 4 BINARY.PEEK[]")


def test_an_error_of_ours_is_logged_and_answered_with_no(house, monkeypatch):
    connection = Connection(house).log_in()

    async def broken(changes):
        raise RuntimeError("broken")

    monkeypatch.setattr(house.store, "apply", broken)
    assert connection.say("a CREATE x") == "a NO [SERVERBUG] Internal error\r\n"
    assert any(entry[0] == "fault" for entry in house.log.seen)
    monkeypatch.undo()
    assert "a OK" in connection.say("a CREATE x")


def test_an_error_in_the_middle_of_an_answer_cuts_the_connection(house, monkeypatch):
    connection = Connection(house).log_in(select="INBOX")
    monkeypatch.setattr(Selected, "flags_of", lambda selected, rows: 1 / 0)
    connection.say("a FETCH 1:* FLAGS")
    assert connection.link.aborted
    assert [entry[0] for entry in house.log.seen].count("fault") == 1


def test_a_session_that_ends_lets_go_of_everything(house):
    connection = Connection(house).log_in(select="INBOX")
    connection.say("a IDLE")
    connection.link.closing = True
    connection.session.closed(Closing.PEER)
    house.append(b"x")
    house.settle()
    assert connection.receive() == b""
    assert house.store._watches == {}
    assert house.log.seen[-1] == ("closed", "the peer closed it")


def test_a_session_that_ends_while_a_change_is_made_is_no_fault(house):
    connection = Connection(house).log_in(select="INBOX")
    connection.session.received(memoryview(b"a STORE 1 +FLAGS (\\Seen)\r\n"))
    connection.link.closing = True
    connection.session.closed(Closing.RESET)
    house.settle()
    assert not any(entry[0] == "fault" for entry in house.log.seen)


def test_whoever_is_there_when_the_process_ends_hears_bye_after_the_answer_that_is_owed(house):
    connection = Connection(house).log_in()
    connection.session.received(memoryview(b"a CREATE x\r\n"))
    connection.session.drain()
    house.settle()
    text = connection.receive().decode()
    assert text.splitlines()[0].startswith("a OK")
    assert text.splitlines()[1].startswith("* BYE [UNAVAILABLE]")
    assert connection.closed()


def test_whoever_comes_when_the_process_ends_is_sent_away(house):
    session = ImapSession(house.service, "I1")
    session.drain()
    link = FakeLink()
    session.connected(link)
    assert link.take().startswith(b"* BYE [UNAVAILABLE]")
    assert link.closing


def test_too_many_connections_of_one_client_are_sent_away():
    class Full:
        def __init__(self):
            self.left = 0

        def enter(self, client):
            return False

        def leave(self, client):
            self.left += 1

    house = House()
    object.__setattr__(house.service, "open_sessions", Full())
    connection = Connection(house)
    assert connection.receive().startswith(b"* BYE [UNAVAILABLE] Too many")
    connection.session.closed(Closing.OURS)
    assert house.service.open_sessions.left == 1
    house.close()


def test_without_a_log_in_seam_nobody_gets_in(house):
    object.__setattr__(house.service, "login", None)
    assert "a NO [UNAVAILABLE]" in Connection(house).say("a LOGIN alice alice-demo")


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        (Reply.of(535, "5.7.8", "no"), "NO [AUTHENTICATIONFAILED] no"),
        (Reply.of(454, "4.7.0", "busy"), "NO [UNAVAILABLE] busy"),
        (Reply.of(501, "5.5.2", "garbled"), "BAD garbled"),
        (Reply.of(504, "5.5.4", "unknown"), "NO [CANNOT] unknown"),
    ],
)
def test_how_a_log_in_ended_is_said_in_imap(house, reply, answer):
    class Ended:
        mechanism, user = "PLAIN", "x"

        async def step(self, data):
            return reply

    object.__setattr__(house.service, "login", lambda *_: Ended())
    assert f"a {answer}\r\n" in Connection(house).say("a LOGIN alice x")
    assert house.log.seen[-1][0] == "login_refused"


def test_silence_ends_a_session(house):
    connection = Connection(house).log_in()
    connection.receive()
    connection.wait(1801)
    assert connection.receive().startswith(b"* BYE")
    assert connection.closed()


def test_messages_of_one_append_have_a_limit_together(house):
    object.__setattr__(house.service, "append_octets", 100)
    connection = Connection(house).log_in()
    text = connection.say(b"a APPEND INBOX {60+}", b"x" * 60 + b" {60+}", b"y" * 60)
    assert "a NO [TOOBIG]" in text
    assert "* STATUS INBOX (MESSAGES 3)" in connection.say("b STATUS INBOX (MESSAGES)")


def test_a_mailbox_that_goes_while_it_is_open_is_closed_even_in_idle(house):
    house.create("doomed")
    connection = Connection(house).log_in(select="doomed")
    connection.say("a IDLE")
    Connection(house).log_in().say("a DELETE doomed")
    house.settle()
    assert connection.receive() == b"* OK [CLOSED] The mailbox is gone\r\n"
    assert connection.say("DONE") == "a OK IDLE completed\r\n"
    assert "a BAD" in connection.say("a FETCH 1 FLAGS")


def test_what_was_found_and_saved_is_forgotten_with_the_mailbox(house):
    connection = Connection(house).log_in(select="INBOX")
    connection.say("a SEARCH RETURN (SAVE) ALL", "b UNSELECT", "c SELECT INBOX")
    assert connection.say("d FETCH $ UID") == "d OK FETCH completed\r\n"


def test_messages_are_what_the_transcripts_say(house):
    connection = Connection(house).log_in(select="INBOX")
    for number, octets in enumerate(MESSAGES, 1):
        assert octets.decode() in connection.say(f"a FETCH {number} BODY.PEEK[]")


def test_a_search_that_takes_long_tells_how_far_it_is():
    house = House(mail=False)
    house.append(*[b"Subject: x\r\n\r\ntea\r\n"] * 200)
    connection = Connection(house).log_in(select="INBOX")
    connection.receive()
    clock = iter(range(0, 100_000, 4))
    connection.link.now = lambda: float(next(clock))
    lines = connection.say("a SEARCH RETURN (COUNT) BODY tea").splitlines()
    assert '* OK [INPROGRESS ("a" 64 200)] Still at it' in lines
    assert lines[-2:] == ['* ESEARCH (TAG "a") COUNT 200', "a OK SEARCH completed"]
    house.close()
