"""Sessions: what the protocol core reports becomes a transaction, in order, whatever must be waited for."""

import asyncio

import pytest

from penfold.directory.answers import Tables
from penfold.directory.base import Account
from penfold.directory.memory import MemoryDirectory
from penfold.directory.routing import Routing
from penfold.guard.base import Guard, Verdict
from penfold.guard.relay import Networks, RelayRule
from penfold.intake.transaction import Door, Limits
from penfold.model import Reply
from penfold.net.link import Closing, Peer
from penfold.net.tls import TlsFacts
from penfold.protocols.smtp.settings import Role, ServerSettings
from penfold.queue.memory import MemoryQueue
from penfold.routing.entries import Program, entry_text
from penfold.routing.resolve import Resolver
from penfold.routing.rules import RouterSettings
from penfold.transport.receive.reception import Reception
from penfold.transport.receive.session import SmtpSession


class FakeLink:
    def __init__(self, ip="192.0.2.1", tls=None, credentials=None):
        self.peer, self.local = Peer(ip, 4321), Peer("192.0.2.99", 25)
        self.tls, self.credentials = tls, credentials
        self.out, self.closing, self.time, self.due = b"", False, 100.0, None
        self.started_tls = None

    def write(self, data):
        self.out += data

    def close(self, *, linger=False):
        self.closing = True

    def now(self):
        return self.time

    def deadline(self, when):
        self.due = when

    def start_tls(self, context):
        self.started_tls = context

    def take(self):
        out, self.out = self.out.decode(), b""
        return out


class Log:
    def __init__(self):
        self.seen = []

    def __getattr__(self, name):
        return lambda *args, **more: self.seen.append((name, *args[1:]))

    def accepted(self, envelope, recipients, id_):
        self.seen.append(("accepted", id_))


class Crowd:
    def __init__(self, most):
        self.most, self.now = most, 0

    def enter(self, client):
        self.now += 1
        return self.now <= self.most

    def leave(self, client):
        self.now -= 1


class House:
    """A door over the memory queue, and one session talked to by text."""

    def __init__(self, *, role="smtp", checks=(), users=None, link=None, login=None, networks=(), **more):
        settings = more.pop("settings", {})
        self.queue, self.log, self.tasks = MemoryQueue(), Log(), set()
        directory = MemoryDirectory([Account(id="alice@example.test"), Account(id="bob@example.test")])
        tables = Tables(users or directory.tables())
        self.door = Door(
            queue=self.queue,
            routing=Routing(Resolver(RouterSettings(local_domains=("example.test",), tables=tables.names)), tables),
            guard=Guard([RelayRule(), *checks]),
            hostname="mx.example.test",
            limits=Limits(),
            clock=lambda: 1.7e9,
            watcher=self.log,
        )
        self.reception = Reception(
            door=self.door,
            settings=ServerSettings(hostname="mx.example.test", role=Role(role), **settings),
            role=role,
            spawn=self.spawn,
            log=self.log,
            networks=Networks(networks),
            trusted_xclient=Networks(more.pop("xclient", ())),
            login=login,
            **more,
        )
        self.link = link or FakeLink()
        self.session = SmtpSession(self.reception, "As000001")

    def spawn(self, work):
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def connect(self):
        self.session.connected(self.link)
        return await self.settle()

    async def say(self, *lines):
        self.session.received(memoryview("".join(f"{line}\r\n" for line in lines).encode()))
        return await self.settle()

    async def settle(self):
        while self.tasks:
            await asyncio.wait(set(self.tasks))
        return self.link.take()


def talk(house, *turns):
    async def scenario():
        return [await house.connect(), *[await house.say(*turn) for turn in turns]]

    return asyncio.run(scenario())


ENVELOPE = ("EHLO client.example", "MAIL FROM:<s@example.org>", "RCPT TO:<alice@example.test>", "DATA")


def codes(text):
    return [line[:3] for line in text.splitlines() if line[3:4] != "-"]


def test_a_message_goes_from_the_greeting_to_the_queue():
    house = House()
    answers = talk(house, ENVELOPE, ("Subject: hi", "", "Hello", "."), ("QUIT",))
    assert [codes(text) for text in answers] == [["220"], ["250", "250", "250", "354"], ["250"], ["221"]]
    (message,) = house.queue.messages.values()
    assert message.data.endswith(b"Subject: hi\r\n\r\nHello\r\n")
    assert house.link.closing
    assert house.session.counts.messages == 1


def test_the_envelope_keeps_what_mail_and_rcpt_said():
    house = House()
    talk(
        house,
        ("EHLO c.example", "MAIL FROM:<s@example.org> BODY=8BITMIME RET=HDRS ENVID=q42",
         "RCPT TO:<alice@example.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a@b", "DATA"),
        ("A: b", "", "x", "."),
    )  # fmt: skip
    (message,) = house.queue.messages.values()
    envelope = message.envelope
    assert (envelope.body_type, envelope.ret, envelope.envid) == ("8BITMIME", "HDRS", "q42")
    recipient = message.entries[0].recipient
    assert (recipient.notify, recipient.orcpt) == (2 | 8, "rfc822;a@b")


def test_pipelined_commands_are_answered_in_order_though_one_must_wait():
    class Slow:
        stages = frozenset({"rcpt"})

        def examine(self, stage, facts):
            async def later():
                await asyncio.sleep(0)
                return Verdict()

            return later()

    house = House(checks=[Slow()])
    answers = talk(house, (*ENVELOPE[:3], "RCPT TO:<nobody@example.test>", "RCPT TO:<bob@example.test>", "DATA"))
    assert codes(answers[1]) == ["250", "250", "250", "550", "250", "354"]


def test_a_second_message_does_not_inherit_the_first_ones_recipients():
    house = House()
    talk(
        house,
        ENVELOPE,
        ("A: b", "", "1", "."),
        ("MAIL FROM:<>", "RCPT TO:<bob@example.test>", "DATA"),
        ("A: b", "", "2", "."),
    )
    addresses = [[str(entry.recipient.address) for entry in message.entries.values()]
                 for message in house.queue.messages.values()]  # fmt: skip
    assert addresses == [["alice@example.test"], ["bob@example.test"]]


def test_a_queue_without_room_is_answered_with_452_and_the_session_goes_on():
    house = House()
    house.queue._capacity = 10
    answers = talk(house, ENVELOPE, ("A: b", "", "x", "."), ("NOOP",))
    assert codes(answers[2]) == ["452"]
    assert codes(answers[3]) == ["250"]
    assert not house.queue.messages


def test_lmtp_answers_once_for_each_recipient_also_for_one_named_twice():
    house = House(role="lmtp")
    answers = talk(
        house,
        ("LHLO c.example", "MAIL FROM:<s@example.org>", "RCPT TO:<alice@example.test>", "RCPT TO:<nobody@example.test>",
         "RCPT TO:<bob@example.test>", "RCPT TO:<alice@example.test>", "DATA"),
        ("A: b", "", "x", "."),
    )  # fmt: skip
    assert codes(answers[2]) == ["250", "250", "250"]


def test_lmtp_never_relays_even_for_trusted_networks():
    house = House(role="lmtp", networks=("192.0.2.0/24",))
    answers = talk(house, ("LHLO c.example", "MAIL FROM:<s@example.org>", "RCPT TO:<x@example.net>"))
    assert codes(answers[1])[-1] == "550"


def test_a_trusted_network_may_relay():
    house = House(networks=("192.0.2.0/24",))
    answers = talk(house, ("EHLO c.example", "MAIL FROM:<s@example.org>", "RCPT TO:<x@example.net>"))
    assert codes(answers[1])[-1] == "250"


def test_a_client_with_too_many_sessions_is_sent_away():
    house = House(open_sessions=Crowd(0))
    assert codes(talk(house)[0]) == ["421"]
    assert house.link.closing
    house.session.closed(Closing.OURS)
    assert house.reception.open_sessions.now == 0


def test_a_connect_check_can_refuse_the_client():
    class No:
        stages = frozenset({"connect"})

        def examine(self, stage, facts):
            return Verdict(reply=Reply.of(554, "5.7.1", "Not you"), rule="test")

    answers = talk(House(checks=[No()]), ("EHLO c.example",), ("QUIT",))
    assert codes(answers[0]) == ["554"]
    assert codes(answers[1]) == ["503"]


def test_a_client_that_vanishes_in_a_message_leaves_nothing():
    house = House()
    talk(house, ENVELOPE, ("A: b", "", "half"))
    house.session.closed(Closing.RESET)
    assert not house.queue.messages
    assert house.log.seen[-1][0] == "closed"


def test_the_longest_session_ends_with_421():
    house = House(session_seconds=50.0)
    talk(house, ("EHLO c.example",))
    assert house.link.due == 150.0
    house.link.time = 150.0
    house.session.on_time(150.0)
    assert codes(house.link.take()) == ["421"]
    assert house.link.closing


def test_the_protocols_own_time_out_comes_first():
    house = House(settings={"command_timeout": 5.0})
    talk(house, ("EHLO c.example",))
    assert house.link.due == 105.0
    house.link.time = 105.0
    house.session.on_time(105.0)
    assert "421 4.4.2" in house.link.take()


def test_after_so_many_messages_the_session_ends():
    house = House(session_messages=1)
    answers = talk(house, ENVELOPE, ("A: b", "", "1", "."), ("MAIL FROM:<>",))
    assert codes(answers[3]) == ["421"]
    assert house.link.closing


def test_draining_lets_the_message_at_hand_finish():
    async def scenario():
        house = House()
        await house.connect()
        await house.say(*ENVELOPE)
        house.session.drain()
        before = house.link.take()
        return before, await house.say("A: b", "", "x", "."), house.link.closing, len(house.queue.messages)

    before, after, closing, messages = asyncio.run(scenario())
    assert before == ""
    assert codes(after) == ["250", "421"]
    assert closing
    assert messages == 1


def test_a_session_told_to_end_before_it_began_is_sent_away_politely():
    house = House()
    house.session.drain()
    assert codes(talk(house)[0]) == ["421"]
    assert house.link.closing


def test_draining_ends_an_idle_session_at_once():
    house = House()
    talk(house, ("EHLO c.example",))
    house.session.drain()
    assert codes(house.link.take()) == ["421"]


def test_starttls_hands_the_link_over_and_the_session_begins_anew():
    house = House(settings={"starttls": True}, tls="the context")
    answers = talk(house, ("EHLO c.example",), ("STARTTLS",))
    assert "STARTTLS" in answers[1]
    assert codes(answers[2]) == ["220"]
    assert house.link.started_tls == "the context"
    house.session.user = "somebody"
    house.link.tls = TlsFacts("TLSv1.3", "X", 256)
    house.session.secured(house.link.tls)
    assert house.session.user == ""
    house.session.received(memoryview(b"EHLO c.example\r\n"))
    assert "STARTTLS" not in house.link.take()


class Password:
    mechanism = "PLAIN"

    def __init__(self, *_):
        self.user, self.steps = "", 0

    async def step(self, data):
        self.steps += 1
        if data is None:
            return b""
        self.user = "alice@example.test"
        if data.endswith(b"right"):
            return Reply.of(235, "2.7.0", "Welcome")
        return Reply.of(535, "5.7.8", "No")


AUTH = {"mechanisms": ("PLAIN",), "tls_mechanisms": ("PLAIN",)}


@pytest.mark.parametrize(("line", "expected"), [("AHIAcmlnaHQ=", "235"), ("AHIAd3Jvbmc=", "535")])
def test_a_log_in_with_an_initial_response_is_judged(line, expected):
    house = House(role="submission", login=Password, settings=AUTH)
    answers = talk(house, ("EHLO c.example",), (f"AUTH PLAIN {line}",))
    assert codes(answers[2]) == [expected]
    assert house.session.user == ("alice@example.test" if expected == "235" else "")


def test_a_log_in_with_a_challenge_is_judged_and_allows_relaying():
    house = House(role="submission", login=Password, settings=AUTH)
    answers = talk(
        house,
        ("EHLO c.example",),
        ("AUTH PLAIN",),
        ("AHIAcmlnaHQ=",),
        ("MAIL FROM:<alice@example.test>", "RCPT TO:<x@example.net>"),
    )
    assert [codes(text) for text in answers[2:]] == [["334"], ["235"], ["250", "250"]]


def test_a_cancelled_log_in_leaves_the_session_usable():
    house = House(role="submission", login=Password, settings=AUTH)
    answers = talk(house, ("EHLO c.example",), ("AUTH PLAIN",), ("*",), ("NOOP",))
    assert codes(answers[3]) == ["501"]
    assert codes(answers[4]) == ["250"]


def test_a_trusted_front_may_say_who_the_client_is():
    house = House(xclient=("192.0.2.1",), networks=("198.51.100.0/24",))
    answers = talk(
        house,
        ("EHLO front.example",),
        ("XCLIENT ADDR=198.51.100.7 HELO=real.example",),
        ("EHLO front.example", "MAIL FROM:<s@example.org>", "RCPT TO:<x@example.net>", "DATA"),
        ("A: b", "", "x", "."),
    )
    assert codes(answers[2]) == ["220"]
    assert codes(answers[4]) == ["250"]
    (message,) = house.queue.messages.values()
    assert b"from real.example ([198.51.100.7])" in message.data


def test_nobody_else_may_use_xclient():
    house = House()
    assert codes(talk(house, ("EHLO c.example",), ("XCLIENT ADDR=127.0.0.1",))[2])[0][0] == "5"


def test_a_bug_of_ours_is_answered_with_451_and_told():
    class Broken:
        stages = frozenset({"rcpt"})

        def examine(self, stage, facts):
            async def later():
                raise RuntimeError("oops")

            return later()

    house = House(checks=[Broken()])
    answers = talk(house, ENVELOPE[:3])
    assert codes(answers[1])[-1] == "451"
    assert house.log.seen[-1][:1] == ("fault",)


TELLS = {"verify": True, "expand": True}


def listed(house):
    directory = MemoryDirectory(
        [Account(id="alice@example.test")],
        aliases={"team": ("alice", "zoe@example.net", entry_text(Program("/bin/cat")))},
    )
    tables = Tables(directory.tables())
    router = Resolver(RouterSettings(local_domains=("example.test",), tables=tables.names))
    house.door.routing = Routing(router, tables)
    return house


def test_vrfy_tells_who_exists_where_it_may():
    asked = ("VRFY alice@example.test", "VRFY <nobody@example.test>", "VRFY x@example.net", "VRFY <", "VRFY alice")
    answers = talk(listed(House(settings=TELLS)), ("EHLO c.example",), asked)
    assert codes(answers[2]) == ["250", "550", "252", "501", "250"]


def test_expn_names_the_addresses_of_a_list_and_no_programs():
    answers = talk(listed(House(settings=TELLS)), ("EHLO c.example",), ("EXPN team@example.test", "EXPN alice"))
    assert "alice@example.test" in answers[2]
    assert "zoe@example.net" in answers[2]
    assert "/bin/cat" not in answers[2]
    assert codes(answers[2]) == ["250", "250"]


def test_by_default_vrfy_says_252_to_everybody_and_expn_nothing():
    answers = talk(listed(House()), ("EHLO c.example",), ("VRFY nobody@example.test", "EXPN team"))
    assert codes(answers[2]) == ["252", "502"]
