import asyncio
import random

import pytest

from penfold.model import Permanent, Reply, Transient
from penfold.net.answers import Failure, Found, Kind, Mx, NoData, NxDomain, Question
from penfold.net.mx import MAX_ADDRESSES, MAX_EXCHANGES, Hosts, Need, Ourselves, find_hosts, resolve

US = Ourselves(frozenset({"us.example.test"}), frozenset({"192.0.2.99", "2001:db8::99"}))


class Zone:
    """Answers as a name server would give them; unknown names do not exist."""

    def __init__(self, **records):
        self.records = {}
        self.asked = []

    def mx(self, domain, *pairs, secure=False):
        self.records[Question(domain, Kind.MX)] = Found(tuple(Mx(*pair) for pair in pairs), 300, secure)
        return self

    def host(self, name, *ips, secure=False):
        for kind, mark in ((Kind.A, "."), (Kind.AAAA, ":")):
            found = tuple(ip for ip in ips if mark in ip)
            self.records[Question(name, kind)] = Found(found, 300, secure) if found else NoData()
        self.records.setdefault(Question(name, Kind.MX), NoData())
        return self

    def put(self, name, kind, answer):
        self.records[Question(name, kind)] = answer
        return self

    async def ask(self, name, kind):
        self.asked.append(Question(name, kind))
        return self.records.get(Question(name, kind), NxDomain())

    def decide(self, domain="example.test", ourselves=US, seed=1):
        answers = {}
        while True:
            step = resolve(domain, answers, ourselves, random.Random(seed))
            if not isinstance(step, Need):
                return step
            assert step.questions
            for question in step.questions:
                assert question not in answers
                answers[question] = asyncio.run(self.ask(*question))


def names(hosts):
    assert isinstance(hosts, Hosts), hosts
    return [host.name for host in hosts.hosts]


def refused(reply, code, status):
    assert isinstance(reply, Reply), reply
    assert (reply.code, reply.status) == (code, status)


def test_exchanges_are_tried_by_preference():
    """RFC 5321 §5.1; RFC 974."""
    zone = Zone().mx("example.test", (20, "b.test"), (10, "a.test"), (30, "c.test"))
    zone.host("a.test", "192.0.2.1").host("b.test", "192.0.2.2").host("c.test", "192.0.2.3")
    assert names(zone.decide()) == ["a.test", "b.test", "c.test"]


def test_equal_preferences_are_drawn_in_every_order():
    zone = Zone().mx("example.test", (10, "a.test"), (10, "b.test"), (5, "first.test"))
    zone.host("a.test", "192.0.2.1").host("b.test", "192.0.2.2").host("first.test", "192.0.2.3")
    orders = {tuple(names(zone.decide(seed=seed))) for seed in range(40)}
    assert orders == {("first.test", "a.test", "b.test"), ("first.test", "b.test", "a.test")}


def test_without_mx_records_the_domain_is_its_own_host():
    """RFC 5321 §5.1."""
    hosts = Zone().host("example.test", "192.0.2.1").decide()
    assert hosts.addresses == [("example.test", "192.0.2.1")]
    assert hosts.implicit


def test_a_failed_mx_lookup_never_falls_back_to_the_address():
    zone = Zone().host("example.test", "192.0.2.1").put("example.test", Kind.MX, Failure("SERVFAIL"))
    refused(zone.decide(), 451, "4.4.3")


def test_useless_mx_records_never_fall_back_to_the_address():
    zone = Zone().host("example.test", "192.0.2.1").mx("example.test", (10, "192.0.2.1"))
    refused(zone.decide(), 550, "5.4.4")
    zone.mx("example.test", (10, "gone.test"))
    refused(zone.decide(), 550, "5.4.4")


def test_a_null_mx_accepts_no_mail():
    """RFC 7505 §3, §4.1; RFC 7504."""
    refused(Zone().host("example.test", "192.0.2.1").mx("example.test", (0, "")).decide(), 556, "5.1.10")


def test_a_root_exchange_among_others_is_passed_over():
    zone = Zone().mx("example.test", (0, ""), (10, "a.test")).host("a.test", "192.0.2.1")
    assert names(zone.decide()) == ["a.test"]


def test_a_domain_that_does_not_exist_fails_for_good():
    refused(Zone().decide(), 550, "5.1.2")


def test_a_domain_with_neither_exchange_nor_address_fails_for_good():
    refused(Zone().put("example.test", Kind.MX, NoData()).decide(), 550, "5.1.2")


def test_exchanges_that_cannot_be_looked_up_now_make_the_mail_wait():
    zone = Zone().mx("example.test", (10, "a.test"), (20, "gone.test"))
    zone.put("a.test", Kind.A, Failure("time-out")).put("a.test", Kind.AAAA, NoData())
    refused(zone.decide(), 451, "4.4.3")


def test_one_failed_family_does_not_hide_the_other():
    """RFC 3974 §3."""
    zone = Zone().mx("example.test", (10, "a.test"))
    zone.put("a.test", Kind.A, Found(("192.0.2.1",))).put("a.test", Kind.AAAA, Failure("SERVFAIL"))
    assert zone.decide().addresses == [("a.test", "192.0.2.1")]


@pytest.mark.parametrize("ours", ["us.example.test", "alias.test"])
def test_ourselves_and_every_worse_or_equal_exchange_are_dropped(ours):
    """RFC 974; RFC 5321 §5.1."""
    zone = Zone().mx("example.test", (10, "a.test"), (20, ours), (20, "b.test"), (30, "c.test"))
    zone.host("a.test", "192.0.2.1").host("b.test", "192.0.2.2").host("c.test", "192.0.2.3")
    zone.host(ours, "192.0.2.99" if ours == "alias.test" else "192.0.2.50")
    assert names(zone.decide()) == ["a.test"]


def test_only_ourselves_left_is_a_loop():
    zone = Zone().mx("example.test", (10, "us.example.test"), (20, "b.test")).host("b.test", "192.0.2.2")
    refused(zone.decide(), 554, "5.4.6")


def test_a_better_exchange_that_cannot_be_looked_up_is_no_loop():
    zone = Zone().mx("example.test", (10, "a.test"), (20, "us.example.test"))
    zone.put("a.test", Kind.A, Failure("time-out"))
    refused(zone.decide(), 451, "4.4.3")


@pytest.mark.parametrize("ip", ["127.0.0.1", "127.9.9.9", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1"])
def test_loopback_and_unspecified_addresses_are_ourselves(ip):
    zone = Zone().mx("example.test", (10, "trick.test")).host("trick.test", ip)
    refused(zone.decide(), 554, "5.4.6")
    assert names(zone.decide(ourselves=Ourselves(loopback=False))) == ["trick.test"]


def test_the_domain_itself_pointing_at_us_is_a_loop():
    refused(Zone().host("example.test", "2001:db8::99").decide(), 554, "5.4.6")


def test_families_alternate_from_ipv6():
    """RFC 3974 §3; RFC 5321 §5.2."""
    zone = Zone().mx("example.test", (10, "a.test"))
    zone.host("a.test", "192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1", "2001:db8::2")
    order = [":" in ip for _, ip in zone.decide().addresses]
    assert order == [True, False, True, False, False]


def test_the_number_of_exchanges_and_addresses_is_bounded():
    zone = Zone().mx("example.test", *((number, f"h{number}.test") for number in range(60)))
    for number in range(60):
        zone.host(f"h{number}.test", *(f"192.0.2.{each}" for each in range(1, 10)))
    hosts = zone.decide()
    assert len(hosts.addresses) == MAX_ADDRESSES
    assert len({name for name, kind in zone.asked if kind is Kind.A}) == MAX_EXCHANGES
    assert names(hosts)[0] == "h0.test"


def test_an_address_literal_is_its_own_host():
    assert Zone().decide("[192.0.2.7]").addresses == [("[192.0.2.7]", "192.0.2.7")]
    assert Zone().decide("[IPv6:2001:db8::7]").addresses == [("[IPv6:2001:db8::7]", "2001:db8::7")]
    refused(Zone().decide("[127.0.0.1]"), 554, "5.4.6")
    refused(Zone().decide("[192.0.2.99]"), 554, "5.4.6")
    refused(Zone().decide("[IPv6:junk]"), 550, "5.1.2")


def test_an_exchange_named_twice_counts_at_its_better_preference():
    zone = Zone().mx("example.test", (30, "a.test"), (10, "a.test"), (20, "b.test"))
    zone.host("a.test", "192.0.2.1").host("b.test", "192.0.2.2")
    assert names(zone.decide()) == ["a.test", "b.test"]


def test_security_is_that_of_the_weakest_answer():
    zone = Zone().mx("example.test", (10, "a.test"), (20, "b.test"), secure=True)
    zone.host("a.test", "192.0.2.1", secure=True).host("b.test", "192.0.2.2")
    hosts = zone.decide()
    assert hosts.secure
    assert [host.secure for host in hosts.hosts] == [True, False]


def test_find_hosts_fetches_what_is_needed_and_raises_what_the_mail_gets():
    zone = Zone().mx("example.test", (10, "a.test")).host("a.test", "192.0.2.1")
    zone.put("later.test", Kind.MX, Failure("time-out"))

    async def main():
        found = await find_hosts("example.test", zone, US, random.Random(1))
        assert found.addresses == [("a.test", "192.0.2.1")]
        assert sorted(zone.asked) == sorted(
            [Question("example.test", Kind.MX), Question("a.test", Kind.A), Question("a.test", Kind.AAAA)]
        )
        with pytest.raises(Permanent) as never:
            await find_hosts("gone.test", zone, US, random.Random(1))
        assert never.value.reply.status == "5.1.2"
        with pytest.raises(Transient) as later:
            await find_hosts("later.test", zone, US, random.Random(1))
        assert later.value.reply.status == "4.4.3"

    asyncio.run(main())
