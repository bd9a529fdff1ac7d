"""The resolver against a real authoritative server."""

import asyncio
import random
import socket
import subprocess
import time

import pytest
from tests.missing import program

from penfold.model import Permanent
from penfold.net.answers import answers_to, ask
from penfold.net.dns import (
    Failure,
    Found,
    Kind,
    Mx,
    NoData,
    NxDomain,
    Question,
    Resolver,
    Server,
    Srv,
    Tlsa,
    reverse_name,
)
from penfold.net.mx import Ourselves, find_hosts

pytestmark = [pytest.mark.peer, pytest.mark.xdist_group("nsd")]

ZONE = """\
$ORIGIN example.test.
$TTL 300
@ IN SOA ns.example.test. hostmaster.example.test. 1 3600 900 604800 60
@ IN NS ns.example.test.
ns IN A 127.0.0.1
@ IN MX 10 mx1
@ IN MX 20 mx2
mx1 IN A 192.0.2.1
mx1 IN AAAA 2001:db8::1
mx2 IN A 192.0.2.2
null IN MX 0 .
alias IN CNAME mx1
far IN CNAME mail.elsewhere.test.
only IN A 192.0.2.3
text IN TXT "v=spf1 " "mx -all"
_imaps._tcp IN SRV 0 1 993 mx1
_25._tcp.mx1 IN TLSA 3 1 1 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
"""
ELSEWHERE = """\
$ORIGIN elsewhere.test.
$TTL 300
@ IN SOA ns hostmaster 1 3600 900 604800 60
@ IN NS ns
ns IN A 127.0.0.1
mail IN A 192.0.2.4
"""
REVERSE = """\
$ORIGIN 2.0.192.in-addr.arpa.
$TTL 300
@ IN SOA ns.example.test. hostmaster.example.test. 1 3600 900 604800 60
@ IN NS ns.example.test.
1 IN PTR mx1.example.test.
"""
CONFIG = """\
server:
  ip-address: 127.0.0.1@{port}
  username: ""
  chroot: ""
  zonesdir: "{folder}"
  zonelistfile: "{folder}/zone.list"
  database: ""
  pidfile: "{folder}/nsd.pid"
  logfile: "{folder}/nsd.log"
  xfrdfile: "{folder}/xfrd.state"
  xfrdir: "{folder}"
  server-count: 1
  rrl-ratelimit: 0
remote-control:
  control-enable: no
"""


def free_port():
    with socket.socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as datagram:
        stream.bind(("127.0.0.1", 0))
        datagram.bind(stream.getsockname())
        return stream.getsockname()[1]


def wait_until_it_answers(server, process, log):
    query = ask(Question("example.test", Kind.MX), 1)
    end = time.monotonic() + 10
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", server.port))
        sock.settimeout(0.1)
        while time.monotonic() < end and process.poll() is None:
            try:
                sock.send(query)
                if answers_to(query, sock.recv(4096)):
                    return
            except (TimeoutError, ConnectionRefusedError):
                continue
    pytest.fail(f"nsd does not answer: {log.read_text() if log.exists() else ''}")


@pytest.fixture(scope="module")
def nsd(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nsd")
    server = Server("127.0.0.1", free_port())
    many = "".join(f'many IN TXT "{"x" * 200}{number}"\n' for number in range(60))
    config = CONFIG.format(port=server.port, folder=folder)
    for name, text in {
        "example.test": ZONE + many,
        "elsewhere.test": ELSEWHERE,
        "2.0.192.in-addr.arpa": REVERSE,
    }.items():
        (folder / name).write_text(text)
        config += f'zone:\n  name: "{name}"\n  zonefile: "{name}"\n'
    (folder / "nsd.conf").write_text(config)
    with subprocess.Popen(
        [program("nsd", "/usr/sbin", "/sbin"), "-d", "-c", str(folder / "nsd.conf")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            wait_until_it_answers(server, process, folder / "nsd.log")
            yield server
        finally:
            process.terminate()
            process.wait(10)


@pytest.mark.parametrize(
    ("name", "kind", "records"),
    [
        ("example.test", Kind.MX, {Mx(10, "mx1.example.test"), Mx(20, "mx2.example.test")}),
        ("mx1.example.test", Kind.A, {"192.0.2.1"}),
        ("mx1.example.test", Kind.AAAA, {"2001:db8::1"}),
        ("ALIAS.example.test.", Kind.A, {"192.0.2.1"}),
        ("alias.example.test", Kind.CNAME, {"mx1.example.test"}),
        ("far.example.test", Kind.A, {"192.0.2.4"}),
        ("null.example.test", Kind.MX, {Mx(0, "")}),
        ("text.example.test", Kind.TXT, {b"v=spf1 mx -all"}),
        ("_imaps._tcp.example.test", Kind.SRV, {Srv(0, 1, 993, "mx1.example.test")}),
        (
            "_25._tcp.mx1.example.test",
            Kind.TLSA,
            {Tlsa(3, 1, 1, bytes.fromhex("0123456789abcdef" * 4))},
        ),
        (reverse_name("192.0.2.1"), Kind.PTR, {"mx1.example.test"}),
    ],
)
def test_records_of_every_kind(on_loop, nsd, name, kind, records):
    async def main():
        return await Resolver([nsd], mixed_case=True).ask(name, kind)

    found = on_loop(main())
    assert isinstance(found, Found)
    assert set(found.records) == records
    assert found.ttl == 300


def test_an_answer_too_long_for_a_datagram_comes_whole(on_loop, nsd):
    async def main():
        return await Resolver([nsd]).ask("many.example.test", Kind.TXT)

    assert len(on_loop(main()).records) == 60


def test_no_such_name_no_data_and_not_ours_are_told_apart(on_loop, nsd):
    async def main():
        resolver = Resolver([nsd])
        kinds = ["gone.example.test", "only.example.test", "other.example.org"]
        return [await resolver.ask(name, Kind.MX) for name in kinds]

    gone, only, other = on_loop(main())
    assert gone == NxDomain(60)
    assert only == NoData(60, canonical="only.example.test")
    assert other == Failure("REFUSED")


def test_mail_exchanges_are_found(on_loop, nsd):
    async def main():
        resolver, rng = Resolver([nsd]), random.Random(1)
        hosts = await find_hosts("example.test", resolver, Ourselves(), rng)
        assert hosts.addresses == [
            ("mx1.example.test", "2001:db8::1"),
            ("mx1.example.test", "192.0.2.1"),
            ("mx2.example.test", "192.0.2.2"),
        ]
        ours = Ourselves(frozenset({"mx2.example.test"}))
        assert [host.name for host in (await find_hosts("example.test", resolver, ours, rng)).hosts] == [
            "mx1.example.test"
        ]
        assert (await find_hosts("only.example.test", resolver, Ourselves(), rng)).implicit
        with pytest.raises(Permanent) as refused:
            await find_hosts("null.example.test", resolver, Ourselves(), rng)
        assert refused.value.reply.code == 556

    on_loop(main())


def test_many_questions_at_once_are_all_answered(on_loop, nsd):
    async def main():
        resolver = Resolver([nsd])
        names = [f"n{number}.example.test" for number in range(100)]
        answers = await asyncio.gather(*(resolver.ask(name, Kind.A) for name in names))
        assert answers == [NxDomain(60)] * 100

    on_loop(main())
