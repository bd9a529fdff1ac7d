"""XTND XMIT: a message goes out through intake's door, addressed by its header, all or nothing."""

import pytest
from tests.pop3_material import ALICE, ONE, Talk

from penfold.access.pop3 import Holder
from penfold.guard.base import Verdict
from penfold.intake.transaction import Transaction
from penfold.model import Address, Reply


@pytest.fixture
def talk():
    with Talk(ONE, settings={"transmit": "yes"}) as talk:
        talk.login()
        yield talk


def transmit(talk, *lines):
    assert talk.say("XTND XMIT") == "+OK Start sending message\r\n"
    return talk.say(*lines, ".")


def queued(talk):
    """Give envelope, recipients and content of all that is in the queue."""
    return [
        (message.envelope, [str(entry.recipient.address) for entry in message.entries.values()], message.data)
        for message in talk.house.queue.messages.values()
    ]


def test_a_message_goes_to_whom_its_header_names(talk):
    said = transmit(
        talk, "To: bob@example.org, Alice <alice>", "Cc: bob@example.org", "Bcc: carol@example.org", "", "..body"
    )
    assert said == "+OK Message sent\r\n"
    ((envelope, recipients, content),) = queued(talk)
    assert str(envelope.reverse_path) == "alice@mx.example.test"
    assert recipients == ["bob@example.org", "alice@mx.example.test", "carol@example.org"]
    assert content.endswith(b"To: bob@example.org, Alice <alice>\r\nCc: bob@example.org\r\n\r\n.body\r\n")
    assert b"Bcc" not in content
    assert b"with POP3" in content
    assert envelope.origin.user == "alice"
    assert talk.session.counts.transmitted == 1


def test_a_header_without_body_is_a_message(talk):
    assert transmit(talk, "To: bob@example.org", "Subject: x") == "+OK Message sent\r\n"
    assert queued(talk)[0][2].endswith(b"To: bob@example.org\r\nSubject: x\r\n\r\n")


@pytest.mark.parametrize("lines", [(), ("Subject: x", "", "body"), ("To: undisclosed-recipients:;", "", "")])
def test_a_message_for_nobody_is_refused(talk, lines):
    assert transmit(talk, *lines) == "-ERR The header names no recipient\r\n"
    assert queued(talk) == []
    assert talk.say("NOOP") == "+OK\r\n"


def test_one_bad_recipient_refuses_the_message_for_all(talk):
    said = transmit(talk, "To: bob@example.org, nobody@mx.example.test", "", "body")
    assert said.startswith("-ERR nobody@mx.example.test: ")
    assert queued(talk) == []
    assert transmit(talk, "To: bob@example.org", "", "again") == "+OK Message sent\r\n"


def test_content_that_the_door_refuses_is_refused(talk):
    assert transmit(talk, "To: bob@example.org", "", "refuse me") == "-ERR Refused\r\n"
    assert queued(talk) == []


def test_a_refusal_of_the_sender_is_the_answer(talk, monkeypatch):
    monkeypatch.setattr(Transaction, "mail", lambda *_, **__: Reply.of(451, "4.7.1", "Come back later"))
    assert transmit(talk, "To: bob@example.org", "", "x") == "-ERR [SYS/TEMP] Come back later\r\n"


def test_decisions_may_be_waited_for(talk, monkeypatch):
    async def later():
        return Verdict(reply=Reply.of(550, "5.7.1", "Not to him"), rule="x")

    monkeypatch.setattr(talk.house.door.guard, "examine", lambda stage, _: later() if stage == "rcpt" else Verdict())
    assert transmit(talk, "To: bob@example.org", "", "x") == "-ERR bob@example.org: Not to him\r\n"


def test_a_header_that_never_ends_is_refused(talk):
    talk.say("XTND XMIT")
    for _ in range(20):
        assert talk.say("X: " + "x" * 70_000) == ""
    assert talk.say("", "body", ".") == "-ERR The header of the message is too large\r\n"
    assert queued(talk) == []


def test_a_large_message_passes_in_chunks(talk):
    talk.say("XTND XMIT", "To: bob@example.org", "")
    for _ in range(20):
        talk.say(*["x" * 70] * 1000)
    assert talk.say(".") == "+OK Message sent\r\n"
    assert queued(talk)[0][0].size > 1_440_000


def test_a_message_of_a_client_that_goes_is_forgotten(talk, monkeypatch):
    gone = []

    def abort(transaction):
        gone.append(transaction)

    monkeypatch.setattr(Transaction, "abort", abort)
    talk.say("XTND XMIT", "To: bob@example.org", "", "half")
    talk.hang_up()
    assert len(gone) == 1
    assert queued(talk) == []


def test_a_fault_of_ours_sends_nothing(talk, monkeypatch):
    async def fail(_):
        raise RuntimeError("disk")

    monkeypatch.setattr(Transaction, "commit", fail)
    assert transmit(talk, "To: bob@example.org", "", "x") == "-ERR [SYS/TEMP] Local error in processing\r\n"
    assert queued(talk) == []


def test_sending_needs_a_door_and_an_address(talk):
    talk.session.admission.holder = Holder(account=ALICE)
    assert talk.say("XTND XMIT") == "-ERR This account has no address to send from\r\n"
    object.__setattr__(talk.house.office, "submission", None)
    assert talk.say("XTND XMIT") == "-ERR [SYS/PERM] Mail cannot be sent here\r\n"


def test_an_international_recipient_makes_the_message_one(talk):
    assert transmit(talk, "To: =?utf-8?q?x?= <bob@example.org>", "", "x") == "+OK Message sent\r\n"
    assert not queued(talk)[0][0].smtputf8
    talk.session.admission.holder = Holder(account=ALICE, address=Address("grüße", "mx.example.test"))
    assert transmit(talk, "To: bob@example.org", "", "x") == "+OK Message sent\r\n"
    assert queued(talk)[1][0].smtputf8
