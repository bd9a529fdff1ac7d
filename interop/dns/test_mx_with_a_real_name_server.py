"""Mail for other domains finds its way by the answers of a real name server, in a network made for the test."""

import ipaddress
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from interop.dns.network import MAIL_HOST, Arrived, FarHost, MailHost, NameServer, Network, network, program, until
from tests.system.host import DOMAIN, SOURCE, text_message, token

from penfold.message.dsn_reader import Dsn, parse_dsn

pytestmark = [pytest.mark.peer, pytest.mark.root, pytest.mark.slow, pytest.mark.xdist_group("namespaces")]

SENDER = f"alice@{DOMAIN}"
ONE, TWO, THREE, SIX = "10.25.1.1", "10.25.1.2", "10.25.1.3", "fd25::1:1"
REFUSING, BUSY = "10.25.1.4", "10.25.1.5"
DOWN = "10.25.1.99"  # there, but nothing listens
NOBODY = "10.25.1.250"  # not there
NO_WAY = "2001:db8::25"  # no route leads there

# Every domain has host names of its own: what is remembered of a host in one test says nothing in another.
ZONE = f"""\
best MX 20 b.best
best MX 10 a.best
a.best A {ONE}
b.best A {TWO}

down MX 10 a.down
down MX 20 b.down
a.down A {DOWN}
b.down A {TWO}

absent MX 10 a.absent
absent MX 20 b.absent
a.absent A {NOBODY}
b.absent A {TWO}

addresses MX 10 a.addresses
a.addresses A {DOWN}
a.addresses A {ONE}

refusing MX 10 a.refusing
refusing MX 20 b.refusing
a.refusing A {REFUSING}
b.refusing A {TWO}

busy MX 10 a.busy
busy MX 20 b.busy
a.busy A {BUSY}
b.busy A {TWO}

allrefuse MX 10 a.allrefuse
a.allrefuse A {REFUSING}

*.spread MX 10 a.hosts
*.spread MX 10 b.hosts
a.hosts A {ONE}
b.hosts A {TWO}

nomx A {THREE}

six MX 10 a.six
a.six AAAA {NO_WAY}
a.six A {ONE}

sixdown MX 10 a.sixdown
a.sixdown AAAA fd25::99
a.sixdown A {ONE}

onlysix MX 10 a.onlysix
a.onlysix AAAA {SIX}

null MX 0 .

alias MX 10 www.alias
www.alias CNAME b.hosts

aliased CNAME best

ours MX 10 mx.{DOMAIN}.
ours MX 20 b.hosts

ouraddress MX 10 me.ouraddress
ouraddress MX 20 b.hosts
me.ouraddress A {MAIL_HOST}

worse MX 10 a.worse
worse MX 20 mx.{DOMAIN}.
worse MX 30 b.hosts
a.worse A {ONE}

worsedown MX 10 a.worsedown
worsedown MX 20 mx.{DOMAIN}.
worsedown MX 30 b.hosts
a.worsedown A {DOWN}

loopback MX 10 lo.loopback
lo.loopback A 127.0.0.1

unspecified MX 10 a.unspecified
a.unspecified A 0.0.0.0

noaddress MX 10 nothing.noaddress
noaddress A {ONE}

nothing TXT "no mail here"

late MX 10 a.late
a.late A {THREE}
"""
MANY = "".join(
    f"many MX {number + 10} {'long-' * 8}{number}.many\n{'long-' * 8}{number}.many A {DOWN if number else TWO}\n"
    for number in range(60)
)
BROKEN = f"@ MX 10 a.here\na.here A {THREE}\n"


@dataclass
class World:
    net: Network
    dns: NameServer
    host: FarHost
    others: dict[str, MailHost] = field(default_factory=dict)

    def send(self, *to: str) -> str:
        """Send a message; gives the word that is in it alone."""
        word = token()
        with self.host.smtp() as client:
            client.sendmail(SENDER, list(to), text_message(word, From=SENDER))
        return word

    def arrived(self, word: str) -> Arrived | None:
        for other in self.others.values():
            for each in other.arrived:
                if word.encode() in each.octets:
                    return each
        return None

    def arrives(self, word: str) -> Arrived:
        """Wait until a message has come anywhere."""
        return until(lambda: self.arrived(word), self.trouble)

    def attempts(self, to: str) -> list[dict[str, object]]:
        return [event for event in self.host.events("attempt") if event.get("recipient") == to]

    def deferred(self, to: str) -> str:
        """Wait until an attempt has been put off; gives the reply."""
        found = until(lambda: next(iter(self.attempts(to)), None), self.trouble)
        assert found["outcome"] == "deferred", found
        return str(found["reply"])

    def bounce(self, word: str) -> Dsn:
        """Wait for the bounce of a message; it is well-formed and brings the header back."""
        octets = self.host.wait_for_text("alice", word.encode())
        assert octets.startswith(b"Return-Path: <>\n")
        dsn = parse_dsn(octets)
        assert dsn is not None
        assert word.encode() in dsn.returned
        assert dsn.message["reporting-mta"].endswith(f"mx.{DOMAIN}")
        return dsn

    def flush(self, to: str) -> None:
        argv = [sys.executable, "-m", "penfold.cli.main", "queue", "flush", "--recipient", to]
        env = {**os.environ, "PYTHONPATH": str(SOURCE)}
        subprocess.run([*argv, "--config", str(self.host.config)], check=True, capture_output=True, env=env)

    def trouble(self) -> str:
        return "\n".join(map(str, [*self.host.events("attempt")[-5:], self.host.log()[-3000:], self.dns.log()[-1000:]]))


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    program("nsd")
    others = {ip: MailHost(ip) for ip in (ONE, TWO, THREE, SIX)}
    others[REFUSING] = MailHost(REFUSING, b"554 5.7.1 No mail from you")
    others[BUSY] = MailHost(BUSY, b"421 4.3.2 Too busy")
    opened: list[MailHost] = []
    with network() as net:
        dns = NameServer(net, {"far.test": ZONE + MANY, "broken.test": ""})
        try:
            net.give("far", DOWN)
            for other in others.values():
                other.open(net)
                opened.append(other)
            dns.start("far.test")
            with FarHost(net, {}) as host:
                yield World(net, dns, host, others)
        finally:
            dns.stop()
            for other in opened:
                other.close()


@pytest.mark.parametrize(
    ("domain", "ip"),
    [
        pytest.param("best.far.test", ONE, id="the best preference"),
        pytest.param("down.far.test", TWO, id="the next when the best host refuses connections"),
        pytest.param("absent.far.test", TWO, id="the next when the best host is not there"),
        pytest.param("refusing.far.test", TWO, id="the next when the best host greets with 554"),
        pytest.param("busy.far.test", TWO, id="the next when the best host greets with 421"),
        pytest.param("addresses.far.test", ONE, id="all addresses of a host"),
        pytest.param("nomx.far.test", THREE, id="the domain's own address where there is no MX"),
        pytest.param("six.far.test", ONE, id="IPv4 when there is no way over IPv6"),
        pytest.param("sixdown.far.test", ONE, id="IPv4 when the host does not answer over IPv6"),
        pytest.param("onlysix.far.test", SIX, id="IPv6"),
        pytest.param("alias.far.test", TWO, id="an exchange that is an alias"),
        pytest.param("aliased.far.test", ONE, id="a domain that is an alias"),
        pytest.param("worse.far.test", ONE, id="the one better than ourselves"),
        pytest.param("many.far.test", TWO, id="an answer too long for a datagram"),
        pytest.param(f"[{THREE}]", THREE, id="an address literal"),
        pytest.param(f"[IPv6:{SIX}]", SIX, id="an IPv6 literal"),
    ],
)
def test_mail_goes_to(world: World, domain: str, ip: str):
    to = f"bob@{domain}"
    before = len(world.host.events("delivered"))
    arrived = world.arrives(word := world.send(to))
    assert (arrived.host, arrived.reverse_path, arrived.recipients) == (ip, SENDER, [to])
    until(lambda: len(world.host.events("delivered")) > before or None, world.trouble)
    [attempt] = world.attempts(to)
    assert (attempt["outcome"], attempt["mailer"]) == ("delivered", "smtp")
    assert world.arrived(word) is arrived
    assert sum(word.encode() in each.octets for other in world.others.values() for each in other.arrived) == 1


def test_the_long_answer_was_cut_over_udp(world: World):
    assert world.dns.ask("many.far.test", "MX")[2] & 2


def test_equal_preferences_share_the_mail(world: World):
    words = [world.send(f"bob@n{number}.spread.far.test") for number in range(20)]
    assert {world.arrives(word).host for word in words} == {ONE, TWO}


@pytest.mark.parametrize(
    ("domain", "status", "code", "text"),
    [
        pytest.param("null.far.test", "5.1.10", "556", "null MX", id="a null MX"),
        pytest.param("gone.far.test", "5.1.2", "550", "no domain", id="no such domain"),
        pytest.param("nothing.far.test", "5.1.2", "550", "neither", id="a domain without any address"),
        pytest.param("noaddress.far.test", "5.4.4", "550", "no address", id="exchanges without an address"),
        pytest.param("ours.far.test", "5.4.6", "554", "loops", id="an exchange with our name"),
        pytest.param("ouraddress.far.test", "5.4.6", "554", "loops", id="an exchange with our address"),
        pytest.param("loopback.far.test", "5.4.6", "554", "loops", id="an exchange at loopback"),
        pytest.param("unspecified.far.test", "5.4.6", "554", "loops", id="an exchange at 0.0.0.0"),
        pytest.param("allrefuse.far.test", "5.7.1", "554", "No mail from you", id="no host but one that refuses"),
        pytest.param("[127.0.0.2]", "5.4.6", "554", "loops", id="a literal of loopback"),
    ],
)
def test_mail_comes_back_from(world: World, domain: str, status: str, code: str, text: str):
    to = f"bob@{domain}"
    word = world.send(to)
    [fate] = world.bounce(word).recipients
    assert (fate.final, fate.action, fate.status) == (to, "failed", status)
    attempts = world.attempts(to)
    assert [each["outcome"] for each in attempts] == ["failed"]
    reply = str(attempts[0]["reply"])
    assert reply.startswith(f"{code} {status}")
    assert text in reply
    assert world.arrived(word) is None


def test_hosts_no_better_than_ourselves_get_nothing_while_the_better_ones_are_down(world: World):
    word = world.send("bob@worsedown.far.test")
    assert world.deferred("bob@worsedown.far.test").startswith("451 4.4.1")
    world.flush("bob@worsedown.far.test")
    until(lambda: len(world.attempts("bob@worsedown.far.test")) > 1 or None, world.trouble)
    assert world.arrived(word) is None


def flushed(world: World, word: str, to: str) -> Arrived:
    """Flush until it arrives: what a name server said wrong is remembered for some seconds."""

    def found() -> Arrived | None:
        world.flush(to)
        return world.arrived(word)

    return until(found, world.trouble)


def test_mail_waits_while_the_zone_cannot_be_served_and_goes_when_it_is_repaired(world: World):
    to = "bob@broken.test"
    assert world.dns.ask("broken.test", "MX")[3] & 15 == 2
    word = world.send(to)
    assert world.deferred(to).startswith("451 4.4.3")
    world.dns.write("broken.test", BROKEN)
    world.dns.reload()
    until(lambda: world.dns.answers("broken.test") or None, world.dns.log)
    arrived = flushed(world, word, to)
    assert arrived.host == THREE
    assert parse_dsn(arrived.octets) is None


def test_mail_waits_while_the_name_server_is_silent_and_goes_when_it_speaks_again(world: World):
    to = "bob@late.far.test"
    world.dns.pause()
    try:
        word = world.send(to)
        assert world.deferred(to).startswith("451 4.4.3")
    finally:
        world.dns.resume()
    assert flushed(world, word, to).host == THREE


def test_the_addresses_are_private_ones():
    """None of them could be anybody's, should a route out of the namespaces ever exist."""
    assert all(
        ipaddress.ip_address(ip).is_private for ip in (ONE, TWO, THREE, SIX, REFUSING, BUSY, DOWN, NOBODY, NO_WAY)
    )
