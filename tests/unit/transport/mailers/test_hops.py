"""Next hops as text, and which way their addresses are tried."""

import asyncio

import pytest
from tests.unit.transport.mailers.hosts_in_hand import NOBODY_US, Names, exchanges, job, on_loop, post_office
from tests.unit.transport.mailers.scripted_peer import DROP, ScriptedPeer

from penfold.model import Deferred, Delivered, Failed, Permanent, Route, Transient
from penfold.net.answers import Failure, Kind, Mx, NxDomain
from penfold.net.local import is_local
from penfold.net.mx import Ourselves
from penfold.transport.mailers.exchanges import Candidate, Finder, Memory, Peer, in_order
from penfold.transport.mailers.hop import Account, Hop, Place, Terms, canonical, parse_hop, terms_for

TWO = exchanges("next.example", (10, "mx1.next.example", "127.0.0.1"), (20, "mx2.next.example", "127.0.0.2"))


@pytest.mark.parametrize(
    ("text", "hop"),
    [
        ("next.example", Hop(Place.EXCHANGE, "next.example", 25)),
        ("next.example:587", Hop(Place.HOST, "next.example", 587)),
        ("[Mail.next.example.]", Hop(Place.LITERAL, "[Mail.next.example.]", 25)),
        ("[mail.next.example]:submission", Hop(Place.HOST, "mail.next.example", 587)),
        ("[192.0.2.1]:25", Hop(Place.HOST, "192.0.2.1", 25)),
        ("[IPv6:2001:db8::1]:25", Hop(Place.HOST, "2001:db8::1", 25)),
        ("[2001:db8::1]:26", Hop(Place.HOST, "2001:db8::1", 26)),
        ("unix:/run/lmtp", Hop(Place.SOCKET, "/run/lmtp", 0)),
    ],
)
def test_next_hops_are_read(text, hop):
    assert parse_hop(text, 25, exchanges=True) == hop


def test_without_exchanges_a_name_is_a_host():
    assert parse_hop("next.example", 24, exchanges=False) == Hop(Place.HOST, "next.example", 24)
    assert parse_hop("[next.example]", 24, exchanges=False) == Hop(Place.HOST, "next.example", 24)


@pytest.mark.parametrize("text", ["[next.example", "next.example:0", "next.example:65536", "[x]:x25", "[x]:٣"])
def test_hops_in_error_are_told(text):
    with pytest.raises(ValueError, match="bad"):
        parse_hop(text, 25, exchanges=True)


def test_an_administrators_literal_gets_its_port_and_a_strangers_does_not():
    assert canonical(Route("smtp", "[192.0.2.1]", "x@next.example"), 25) == "[192.0.2.1]:25"
    assert canonical(Route("smtp", "[192.0.2.1]", "x@[192.0.2.1]"), 25) == "[192.0.2.1]"


def test_a_log_in_is_for_its_own_hop_and_port_only():
    ours = Terms(account=Account("me", "secret"))
    special = {"[smart.example]": ours}
    assert terms_for("[smart.example]:25", 25, special, Terms()) is ours
    assert terms_for("[smart.example]:26", 25, special, Terms()) == Terms()
    assert terms_for("smart.example", 25, special, Terms()) == Terms()
    assert "secret" not in repr(ours)


def test_memory_forgets_after_its_time():
    now = [0.0]
    memory = Memory(10.0, lambda: now[0])
    memory.add("x")
    assert "x" in memory
    now[0] = 10.0
    assert "x" not in memory


def test_what_did_not_answer_is_tried_last():
    first, second, third = (Candidate(name, Peer("192.0.2.1", 25)) for name in "abc")
    memory = Memory(10.0, lambda: 0.0)
    memory.add(first)
    assert in_order([first, second, third], {third}, memory) == [second, first]


def found(finder, text, *, port=25):
    return asyncio.run(finder.find(parse_hop(text, port, exchanges=True)))


def test_a_host_named_by_an_administrator_may_be_at_loopback():
    names = Names({("box.example", Kind.A): ["127.0.0.1"], ("box.example", Kind.AAAA): ["::1"]})
    assert [each.peer.ip for each in found(Finder(names), "box.example:2525")] == ["::1", "127.0.0.1"]


def test_a_strangers_domain_may_not():
    with pytest.raises(Permanent, match="loops back"):
        found(Finder(TWO), "next.example")
    with pytest.raises(Permanent, match="loops back"):
        found(Finder(Names()), "[127.0.0.1]")


def test_hosts_no_better_than_ourselves_are_left_out():
    three = exchanges(
        "d.example", (10, "a.example", "192.0.2.1"), (20, "b.example", "192.0.2.2"), (30, "c.e", "192.0.2.3")
    )
    finder = Finder(three, own=lambda ip, port: (ip, port) == ("192.0.2.2", 25))
    assert [each.name for each in found(finder, "d.example")] == ["a.example"]
    finder = Finder(three, own=lambda ip, _port: ip == "192.0.2.1")
    with pytest.raises(Permanent, match="loops back"):
        found(finder, "d.example")


def test_mail_is_never_sent_to_a_listener_of_ours():
    finder = Finder(Names(), own=lambda ip, port: (ip, port) == ("127.0.0.1", 2525))
    assert found(finder, "[127.0.0.1]:2526")
    with pytest.raises(Permanent, match="loops back"):
        found(finder, "[127.0.0.1]:2525")


def test_a_next_hop_without_address_waits_for_the_administrator():
    with pytest.raises(Transient, match="no address"):
        found(Finder(Names()), "typo.example:25")
    with pytest.raises(Transient, match="failed"):
        found(Finder(Names({("typo.example", Kind.A): Failure("timed out")})), "typo.example:25")


def test_the_kernel_knows_our_addresses():
    assert is_local("127.0.0.5")
    assert is_local("::1")
    assert is_local("0.0.0.0")
    assert not is_local("192.0.2.200")
    assert not is_local("mail.example")


# Through all addresses.


def through(*peers, jobs=None, names=TWO, **office):
    async def main():
        async with post_office(*peers, names=names, **office) as post:
            return [await post.one(each) for each in jobs or [job()]]

    return on_loop(main())


@pytest.mark.parametrize(
    "script",
    [
        {"GREETING": "554 5.7.1 no"},
        {"GREETING": "421 4.3.2 busy"},
        {"GREETING": DROP},
        {"GREETING": "garbage"},
        {"EHLO": "421 4.3.2 busy"},
        {"EHLO": "500 what", "HELO": "550 no"},
        {"MAIL": "421 4.3.2 busy"},
        {"MAIL": "451 4.3.0 disk trouble"},
        {"MAIL": DROP},
        {"RCPT": "421 4.3.2 busy"},
        {"DATA": DROP},
    ],
)
def test_the_next_host_gets_the_mail_that_the_first_does_not_take(script):
    first, second = ScriptedPeer(script), ScriptedPeer()
    (outcome,) = through(first, second)
    assert isinstance(outcome, Delivered)
    assert outcome.remote == "mx2.next.example"
    assert len(second.bodies) == 1


@pytest.mark.parametrize("script", [{"RCPT": "450 4.2.1 later"}, {"RCPT": "550 5.1.1 no"}, {"MAIL": "550 5.7.1 no"}])
def test_what_is_said_of_the_mail_itself_is_not_asked_again_elsewhere(script):
    first, second = ScriptedPeer(script), ScriptedPeer()
    (outcome,) = through(first, second)
    assert isinstance(outcome, Deferred | Failed)
    assert outcome.remote == "mx1.next.example"
    assert second.heard == []


def test_after_the_end_of_the_body_no_second_host_is_tried():
    first, second = ScriptedPeer({"END": DROP}), ScriptedPeer()
    (outcome,) = through(first, second)
    assert isinstance(outcome, Deferred)
    assert second.heard == []


def test_a_recipient_refused_by_the_first_host_is_not_offered_to_the_second():
    first = ScriptedPeer({"RCPT TO:<a@": "550 5.1.1 no", "DATA": DROP})
    second = ScriptedPeer()

    async def main():
        async with post_office(first, second, names=TWO) as post:
            return await post.outcomes(job("a@next.example", "b@next.example"))

    refused, taken = on_loop(main())
    assert refused.remote == "mx1.next.example"
    assert taken.remote == "mx2.next.example"
    assert [line for line in second.lines if line.startswith("RCPT")] == ["RCPT TO:<b@next.example>"]


def test_when_every_host_says_5yz_the_mail_fails_and_when_one_does_not_it_waits():
    (outcome,) = through(ScriptedPeer({"GREETING": "554 5.7.1 one"}), ScriptedPeer({"GREETING": "554 5.7.1 two"}))
    assert isinstance(outcome, Failed)
    assert outcome.reply.text == "one"
    (outcome,) = through(ScriptedPeer({"GREETING": "554 5.7.1 one"}), ScriptedPeer({"GREETING": "421 4.7.1 two"}))
    assert isinstance(outcome, Deferred)
    assert outcome.host_down
    assert outcome.reply.text == "two"


def test_when_all_hosts_break_the_last_word_is_told():
    (outcome,) = through(ScriptedPeer({"MAIL": "421 4.3.2 one"}), ScriptedPeer({"MAIL": "421 4.3.2 two"}))
    assert outcome.reply.text == "two"
    assert outcome.remote == "mx2.next.example"


def test_a_host_that_did_not_answer_is_left_alone_for_a_while():
    first, second = ScriptedPeer({"GREETING": DROP}), ScriptedPeer({"QUIT": DROP})
    outcomes = through(first, second, jobs=[job(), job(id_="Q2"), job(id_="Q3")], per_connection=1)
    assert all(isinstance(outcome, Delivered) for outcome in outcomes)
    assert len(first.heard) == 1
    assert len(second.heard) == 3


def test_no_more_addresses_are_tried_than_allowed():
    first, second = ScriptedPeer({"GREETING": DROP}), ScriptedPeer()
    (outcome,) = through(first, second, addresses=1)
    assert isinstance(outcome, Deferred)
    assert second.heard == []


def test_dns_has_the_last_word_where_there_is_no_host():
    for answer, kind in ((NxDomain(), Failed), (Failure("timed out"), Deferred), ([Mx(0, "")], Failed)):
        (outcome,) = through(names=Names({("next.example", Kind.MX): answer}))
        assert isinstance(outcome, kind)
        assert outcome.remote == ""


def test_null_mx_is_told_as_such():
    """RFC 7505 §4.1; RFC 7504."""
    (outcome,) = through(names=Names({("next.example", Kind.MX): [Mx(0, "")]}))
    assert outcome.reply.status == "5.1.10"


def test_mail_for_a_domain_that_leads_to_us_fails():
    (outcome,) = through(ScriptedPeer(), ourselves=Ourselves(names=frozenset({"mx1.next.example"}), loopback=False))
    assert outcome.reply.status == "5.4.6"


@pytest.mark.parametrize(
    ("to", "host"),
    [("b@[127.0.0.1]", "[127.0.0.1]"), ("b@next.example", "[127.0.0.1]"), ("b@next.example", "[127.1.0.9]")],
)
def test_an_address_literal_is_gone_to_and_told_in_brackets(to, host):
    (outcome,) = through(ScriptedPeer(), names=Names(), jobs=[job(to, host=host)])
    if host == "[127.0.0.1]":
        assert isinstance(outcome, Delivered)
        assert outcome.remote == "[127.0.0.1]"
    else:
        assert outcome.host_down
        assert "Connecting to [127.1.0.9]:" in outcome.reply.text


def test_an_ipv6_only_host_is_reached():
    """RFC 3974 §3."""
    names = Names({("next.example", Kind.MX): [Mx(1, "six.example")], ("six.example", Kind.AAAA): ["::1"]})

    async def main():
        peer = ScriptedPeer()
        try:
            await peer.start("::1")
        except OSError:
            pytest.skip("no IPv6 loopback here")
        async with post_office(names=names, ourselves=NOBODY_US) as post:
            post.mailer.port = peer.port
            outcome = await post.one(job())
        await peer.stop()
        return outcome

    assert isinstance(on_loop(main()), Delivered)
