"""The one door: what is accepted, what is refused, and what reaches the queue."""

import asyncio

import pytest

from penfold.directory.answers import Tables
from penfold.directory.routing import Routing
from penfold.guard.base import Facts, Guard, Verdict
from penfold.guard.relay import RelayRule
from penfold.intake.transaction import Door, Limits
from penfold.model import Address, Origin, Permanent, QueueId, Recipient, Reply, Route, Transient
from penfold.routing.base import Decision, Deliver, Found, Lookup, Missing, Need, NotNow, Refuse

FULL = Reply.of(452, "4.3.1", "Insufficient system storage")


class OneTableRouter:
    """Knows the users of example.test from a table; everything else is relayed."""

    def resolve(self, question, answers):
        address = question.recipient.address
        if address.domain != "example.test":
            return Decision(Deliver(Route("smtp", address.domain, str(address)), question.recipient, False), ())
        lookup = Lookup("accounts", address.local)
        answer = answers.get(lookup)
        if answer is None:
            return Need((lookup,))
        if isinstance(answer, NotNow):
            return Decision(Refuse(answer.reply), ())
        if isinstance(answer, Missing):
            return Decision(Refuse(Reply.of(550, "5.1.1", "No such user here")), ())
        return Decision(Deliver(Route("local", "", answer.values[0]), question.recipient, True), ())


class Users:
    name = "accounts"

    def __init__(self, *names):
        self.names = names

    def lookup(self, key):
        return Found((key,)) if key in self.names else Missing()


class SlowUsers(Users):
    async def lookup(self, key):
        await asyncio.sleep(0)
        return Users.lookup(self, key)


class Broken(Users):
    async def lookup(self, key):
        return NotNow(Reply.of(451, "4.4.3", "The table is out of reach"))


class Writer:
    def __init__(self, id_, room=10**9):
        self.id, self.size, self.octets, self.aborted, self.room = id_, 0, b"", False, room

    def write(self, chunk):
        if self.size + len(chunk) > self.room:
            raise Transient(FULL)
        self.octets += chunk
        self.size += len(chunk)

    def abort(self):
        self.aborted = True


class KeptQueue:
    def __init__(self, room=10**9, refuse=None):
        self.accepted, self.writers, self.room, self.refuse = [], [], room, refuse

    def begin(self):
        if self.refuse == "begin":
            raise Transient(FULL)
        self.writers.append(Writer(QueueId(f"A{len(self.writers)}"), self.room))
        return self.writers[-1]

    async def accept(self, envelope, recipients, body, prefix=b""):
        if self.refuse == "accept":
            raise Transient(FULL)
        self.accepted.append((envelope, tuple(recipients), prefix + body.octets))
        return body.id


class Watch:
    def __init__(self):
        self.seen = []

    def accepted(self, envelope, recipients, id_):
        self.seen.append(("accepted", id_))

    def refused(self, facts, stage, reply, rule):
        self.seen.append((stage, reply.code, rule))


def door(queue=None, users=None, checks=(), **limits):
    return Door(
        queue=queue or KeptQueue(),
        routing=Routing(OneTableRouter(), Tables({"accounts": users or Users("alice", "bob")})),
        guard=Guard([RelayRule(), *checks]),
        hostname="mx.example.test",
        limits=Limits(**limits),
        clock=lambda: 1_700_000_000.0,
        watcher=Watch(),
    )


def facts(role="smtp", **more):
    return Facts(role=role, origin=Origin("ESMTP", "192.0.2.1", 1234, "client.example", session="As1"), **more)


ALICE, BOB, OUT = (Address("alice", "example.test"), Address("bob", "example.test"), Address("x", "example.net"))
SENDER = Address("s", "example.org")
CONTENT = b"Message-ID: <1@example.org>\r\nSubject: hi\r\n\r\nHello\r\n"


async def answer(soon):
    return await soon if asyncio.iscoroutine(soon) else soon


async def send(door_, recipients, content=CONTENT, chunk=7, rewrite=None, **mail):
    transaction = door_.open(facts(), rewrite)
    replies = [await answer(transaction.mail(SENDER, **mail))]
    replies += [await answer(transaction.rcpt(address)) for address in recipients]
    refusal = transaction.data()
    if refusal:
        return [*replies, refusal]
    for start in range(0, len(content), chunk):
        transaction.write(content[start : start + chunk])
    return [*replies, await transaction.commit()]


def run(coroutine):
    return asyncio.run(coroutine)


def test_a_message_is_queued_with_its_trace_field_before_the_content():
    queue = KeptQueue()
    replies = run(send(door(queue), [ALICE]))
    assert [reply.code for reply in replies] == [250, 250, 250]
    assert "A0" in replies[-1].text
    envelope, recipients, octets = queue.accepted[0]
    assert octets.startswith(b"Received: from client.example ([192.0.2.1])")
    assert octets.endswith(CONTENT)
    assert b"for <alice@example.test>" in octets
    assert b" id A0" in octets
    assert (envelope.reverse_path, envelope.message_id, envelope.hops) == (SENDER, "<1@example.org>", 0)
    assert recipients == (Recipient(ALICE),)


def test_the_trace_field_names_no_recipient_when_there_are_several():
    queue = KeptQueue()
    run(send(door(queue), [ALICE, BOB]))
    assert b"for <" not in queue.accepted[0][2]


def test_the_same_recipient_given_twice_is_kept_once():
    queue = KeptQueue()
    replies = run(send(door(queue), [ALICE, ALICE]))
    assert [reply.code for reply in replies] == [250] * 4
    assert len(queue.accepted[0][1]) == 1


@pytest.mark.parametrize("users", [Users("alice"), SlowUsers("alice")])
def test_an_unknown_user_is_refused_at_rcpt(users):
    house = door(users=users)
    replies = run(send(house, [ALICE, Address("nobody", "example.test")]))
    assert [reply.code for reply in replies] == [250, 250, 550, 250]
    assert ("rcpt", 550, "routing") in house.watcher.seen


def test_a_table_out_of_reach_is_not_an_unknown_user():
    assert run(send(door(users=Broken()), [ALICE]))[1].code == 451


def test_relaying_is_denied_to_strangers_and_without_recipients_there_is_no_data():
    replies = run(send(door(), [OUT]))
    assert [(reply.code, reply.status) for reply in replies[1:]] == [(550, "5.7.1"), (554, "5.5.1")]


def test_a_trusted_client_may_relay():
    async def scenario():
        transaction = door().open(facts(trusted=True))
        transaction.mail(SENDER)
        return transaction.rcpt(OUT)

    assert run(scenario()).code == 250


def test_a_declared_size_over_the_limit_is_refused_at_mail():
    """RFC 1870 §6.1."""
    assert run(send(door(size=100), [ALICE], size=101))[0].code == 552


def test_content_over_the_limit_is_refused_at_the_end_and_nothing_is_queued():
    queue = KeptQueue()
    replies = run(send(door(queue, size=1000), [ALICE], CONTENT + b"x" * 2000))
    assert (replies[-1].code, replies[-1].status) == (552, "5.3.4")
    assert not queue.accepted
    assert queue.writers[0].aborted


def test_a_message_with_too_many_received_fields_is_taken_to_loop():
    queue = KeptQueue()
    replies = run(send(door(queue, hops=5), [ALICE], b"Received: x\r\n" * 6 + b"\r\nbody\r\n"))
    assert (replies[-1].code, replies[-1].status) == (554, "5.4.6")
    assert not queue.accepted


def test_too_many_recipients_get_452_and_the_others_stay():
    replies = run(send(door(recipients=1), [ALICE, BOB]))
    assert [reply.code for reply in replies] == [250, 250, 452, 250]


@pytest.mark.parametrize("where", ["begin", "accept"])
def test_a_queue_that_cannot_take_it_answers_452_and_nothing_is_acknowledged(where):
    replies = run(send(door(KeptQueue(refuse=where)), [ALICE]))
    assert replies[-1] == FULL


def test_a_disk_that_fills_while_the_content_comes_is_answered_at_the_end():
    queue = KeptQueue(room=300)
    replies = run(send(door(queue), [ALICE], CONTENT + b"x" * 400))
    assert replies[-1] == FULL
    assert not queue.accepted


def test_a_header_that_never_ends_is_refused():
    replies = run(send(door(header=100), [ALICE], b"X-A: b\r\n" * 100))
    assert replies[-1].code == 552


def test_a_message_without_a_body_or_blank_line_is_kept_as_it_is():
    queue = KeptQueue()
    assert run(send(door(queue), [ALICE], b"Subject: only\r\n"))[-1].code == 250
    assert queue.accepted[0][2].endswith(b"\r\nSubject: only\r\n")


def test_the_header_of_a_submitted_message_is_completed_before_it_is_stored():
    queue = KeptQueue()
    run(send(door(queue), [ALICE], rewrite=lambda header, transaction: b"Date: now\r\n" + header))
    assert b"Date: now\r\nMessage-ID" in queue.accepted[0][2]


def test_a_rewrite_that_refuses_ends_the_message_with_its_reply():
    def refuse(header, transaction):
        raise Permanent(Reply.of(550, "5.7.1", "From is not yours"))

    assert run(send(door(), [ALICE], rewrite=refuse))[-1].text == "From is not yours"


class BodyCheck:
    stages = frozenset({"body"})

    def examine(self, stage, facts_):
        assert facts_.header.startswith(b"Message-ID")
        return Verdict(reply=Reply.of(550, "5.7.1", "Not wanted"), rule="content")


def test_a_check_of_the_body_can_refuse_it():
    house = door(checks=[BodyCheck()])
    assert run(send(house, [ALICE]))[-1].text == "Not wanted"
    assert ("body", 550, "content") in house.watcher.seen


def test_an_aborted_transaction_leaves_nothing():
    queue = KeptQueue()
    transaction = door(queue).open(facts())
    transaction.mail(SENDER)
    transaction.rcpt(ALICE)
    transaction.data()
    transaction.write(CONTENT)
    transaction.abort()
    transaction.abort()
    assert queue.writers[0].aborted
    assert not queue.accepted


def test_a_message_of_our_own_is_submitted_or_its_body_is_given_up():
    queue = KeptQueue()
    house = door(queue)

    async def scenario():
        from penfold.model import Envelope

        envelope = Envelope(None, 1.0, 0, Origin("local"))
        await house.submit(envelope, [Recipient(ALICE)], [b"A: b\r\n", b"\r\nbody\r\n"])
        queue.refuse = "accept"
        with pytest.raises(Transient):
            await house.submit(envelope, [Recipient(ALICE)], [b"x"])

    run(scenario())
    assert queue.accepted[0][2] == b"A: b\r\n\r\nbody\r\n"
    assert queue.writers[1].aborted


@pytest.mark.parametrize(
    ("protocol", "named"),
    [("ESMTP", b"UTF8SMTP"), ("ESMTPSA", b"UTF8SMTPSA"), ("LMTP", b"UTF8LMTP"), ("LMTPS", b"UTF8LMTPS")],
)
def test_an_internationalised_message_is_traced_as_such(protocol, named):
    """RFC 6531 §4.3; RFC 3848."""
    queue = KeptQueue()

    async def scene():
        transaction = door(queue).open(Facts(role="smtp", origin=Origin(protocol, "192.0.2.1")))
        await answer(transaction.mail(SENDER, smtputf8=True))
        await answer(transaction.rcpt(ALICE))
        transaction.data()
        transaction.write(CONTENT)
        return await transaction.commit()

    assert run(scene()).positive
    [(_, _, octets)] = queue.accepted
    assert b"with " + named + b" id" in b" ".join(octets.split())
