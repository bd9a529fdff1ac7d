import asyncio
import contextlib
import socket

import dnslib
import pytest

from penfold.net.answers import answers_to, ask
from penfold.net.dns import (
    Cache,
    Failure,
    Found,
    Hosts,
    Kind,
    Mx,
    NoData,
    NxDomain,
    Question,
    Resolver,
    Server,
    Srv,
    Tlsa,
    parse_server,
    read_resolv_conf,
    reverse_name,
    system_resolver,
)

SOA = dnslib.RR("test", dnslib.QTYPE.SOA, ttl=900, rdata=dnslib.SOA("ns.test", "host.test", (1, 2, 3, 4, 60)))


class FakeDns:
    """A name server in the process: ``answer(query) -> list of octets to send`` decides everything."""

    def __init__(self, answer, by_stream=None):
        self.answer = answer
        self.by_stream = by_stream
        self.queries = []
        self.streams = 0

    async def __aenter__(self):
        loop = asyncio.get_running_loop()
        self.tcp = await asyncio.start_server(self._stream, "127.0.0.1", 0)
        self.port = self.tcp.sockets[0].getsockname()[1]
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", self.port))
        self.udp.setblocking(False)
        loop.add_reader(self.udp.fileno(), self._datagram)
        self.server = Server("127.0.0.1", self.port, True)
        return self

    async def __aexit__(self, *_):
        asyncio.get_running_loop().remove_reader(self.udp.fileno())
        self.udp.close()
        self.tcp.close()
        await self.tcp.wait_closed()

    def _datagram(self):
        wire, peer = self.udp.recvfrom(4096)
        query = dnslib.DNSRecord.parse(wire)
        self.queries.append(query)
        for reply in self.answer(query):
            self.udp.sendto(reply if isinstance(reply, bytes) else reply.pack(), peer)

    async def _stream(self, reader, writer):
        self.streams += 1
        size = int.from_bytes(await reader.readexactly(2), "big")
        query = dnslib.DNSRecord.parse(await reader.readexactly(size))
        for reply in (self.by_stream or self.answer)(query):
            wire = reply if isinstance(reply, bytes) else reply.pack()
            writer.write(len(wire).to_bytes(2, "big") + wire)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def reply_to(query, *lines, rcode=0, authority=(), ad=0, **bits):
    reply = query.reply(aa=0, ra=1)
    reply.header.rcode = rcode
    reply.header.ad = ad
    for name, value in bits.items():
        setattr(reply.header, name, value)
    for line in lines:
        reply.add_answer(*dnslib.RR.fromZone(line))
    for rr in authority:
        reply.add_auth(rr)
    return reply


def asking(answer, name, kind, *, times=1, **options):
    """Ask a fake server; gives the answers and the server."""
    by_stream = options.pop("by_stream", None)

    async def main():
        async with FakeDns(answer, by_stream) as fake:
            options.setdefault("seconds", 0.2)
            resolver = Resolver([fake.server], **options)
            return [await resolver.ask(name, kind) for _ in range(times)], fake

    return main()


def test_every_kind_of_record_is_read(on_loop):
    zone = {
        Kind.A: ("192.0.2.1", "192.0.2.1"),
        Kind.AAAA: ("2001:db8::1", "2001:db8::1"),
        Kind.MX: ("10 Mail.Example.TEST.", Mx(10, "mail.example.test")),
        Kind.TXT: ('"v=spf1 " "-all"', b"v=spf1 -all"),
        Kind.PTR: ("host.test.", "host.test"),
        Kind.CNAME: ("other.test.", "other.test"),
        Kind.SRV: ("1 2 993 imap.test.", Srv(1, 2, 993, "imap.test")),
        Kind.TLSA: ("3 1 1 abcd", Tlsa(3, 1, 1, b"\xab" * 32)),
    }

    def answer(query):
        kind = Kind(query.q.qtype)
        if kind is Kind.TLSA:  # dnslib reads no TLSA from text
            reply = reply_to(query)
            reply.add_answer(dnslib.RR("x.test", kind, ttl=300, rdata=dnslib.RD(b"\3\1\1" + b"\xab" * 32)))
            return [reply]
        return [reply_to(query, f"x.test. 300 IN {kind.name} {zone[kind][0]}")]

    async def main():
        async with FakeDns(answer) as fake:
            resolver = Resolver([fake.server])
            for kind, (_, record) in zone.items():
                found = await resolver.ask("X.test.", kind)
                assert found == Found((record,), 300, False, "x.test"), kind

    on_loop(main())


def test_a_null_mx_has_an_empty_exchange(on_loop):
    """RFC 7505 §3."""
    [found], _ = on_loop(asking(lambda query: [reply_to(query, "x.test. 300 IN MX 0 .")], "x.test", Kind.MX))
    assert found.records == (Mx(0, ""),)


def test_no_data_and_no_such_name_are_told_apart_and_remembered_for_the_soa_minimum(on_loop):
    """RFC 2308 §2, §5."""

    def answer(query):
        gone = str(query.q.qname).startswith("gone")
        return [reply_to(query, rcode=3 if gone else 0, authority=[SOA])]

    answers, fake = on_loop(asking(answer, "gone.test", Kind.MX, times=2))
    assert answers == [NxDomain(60), NxDomain(59)] or answers == [NxDomain(60)] * 2
    assert len(fake.queries) == 1
    answers, _ = on_loop(asking(answer, "here.test", Kind.MX))
    assert answers == [NoData(60, False, "here.test")]


@pytest.mark.parametrize("rcode", [1, 2, 4, 5])
def test_an_error_code_is_a_failure_and_never_no_such_name(on_loop, rcode):
    [found], _ = on_loop(asking(lambda query: [reply_to(query, rcode=rcode)], "x.test", Kind.MX))
    assert isinstance(found, Failure)


def test_silence_and_a_closed_port_are_failures(on_loop):
    async def main():
        async with FakeDns(lambda query: []) as fake:
            resolver = Resolver([fake.server], seconds=0.05)
            assert "does not answer" in (await resolver.ask("x.test", Kind.A)).why
            assert len(fake.queries) == 2
        resolver = Resolver([fake.server], seconds=0.5)
        assert isinstance(await resolver.ask("x.test", Kind.A), Failure)

    on_loop(main())


def test_an_empty_answer_of_a_server_that_is_neither_resolver_nor_authority_is_a_failure(on_loop):
    [found], _ = on_loop(asking(lambda query: [reply_to(query, ra=0)], "x.test", Kind.MX))
    assert found == Failure("lame delegation")


def test_forged_replies_are_passed_over_and_the_true_one_is_heard(on_loop):
    """RFC 5452 §9.1."""

    def answer(query):
        wrong_id = reply_to(query, "x.test. 300 IN A 192.0.2.66")
        wrong_id.header.id ^= 1
        wrong_question = reply_to(query, "x.test. 300 IN A 192.0.2.66")
        wrong_question.questions = [dnslib.DNSQuestion("y.test", dnslib.QTYPE.A)]
        no_response = reply_to(query, "x.test. 300 IN A 192.0.2.66", qr=0)
        return [b"", b"\0" * 11, wrong_id, wrong_question, no_response, reply_to(query, "x.test. 300 IN A 192.0.2.1")]

    [found], _ = on_loop(asking(answer, "x.test", Kind.A))
    assert found.records == ("192.0.2.1",)


def test_mixed_case_must_come_back_as_it_went(on_loop):
    def answer(query):
        lower = reply_to(query, "x.test. 300 IN A 192.0.2.66")
        lower.questions = [dnslib.DNSQuestion(str(query.q.qname).swapcase(), dnslib.QTYPE.A)]
        return [lower, reply_to(query, f"{query.q.qname} 300 IN A 192.0.2.1")]

    [found], fake = on_loop(asking(answer, "a-long-name.example.test", Kind.A, mixed_case=True))
    assert found.records == ("192.0.2.1",)
    assert str(fake.queries[0].q.qname).lower() == "a-long-name.example.test."


def test_malformed_contents_are_a_failure(on_loop):
    def answer(query):
        wire = reply_to(query, "x.test. 300 IN MX 10 a.test.").pack()
        return [bytes(wire[:-3])]

    [found], _ = on_loop(asking(answer, "x.test", Kind.MX))
    assert isinstance(found, Failure)
    assert "malformed" in found.why


def test_a_cut_answer_is_fetched_again_over_a_stream(on_loop):
    """RFC 7766 §5."""
    lines = [f"x.test. 300 IN TXT {'t' * 200}{number}" for number in range(100)]

    [found], fake = on_loop(
        asking(
            lambda query: [reply_to(query, tc=1)],
            "x.test",
            Kind.TXT,
            by_stream=lambda query: [reply_to(query, *lines)],
        )
    )
    assert len(found.records) == 100
    assert fake.streams == 1


def test_a_stream_that_ends_early_or_answers_something_else_is_a_failure(on_loop):
    def other(query):
        reply = reply_to(query)
        reply.header.id ^= 1
        return [reply]

    for by_stream in (lambda query: [], other):
        [found], _ = on_loop(asking(lambda query: [reply_to(query, tc=1)], "x.test", Kind.A, by_stream=by_stream))
        assert isinstance(found, Failure)


def test_aliases_are_followed_inside_an_answer(on_loop):
    def answer(query):
        return [
            reply_to(query, "x.test. 300 IN CNAME y.test.", "y.test. 50 IN CNAME z.test.", "z.test. 90 IN A 192.0.2.1")
        ]

    [found], _ = on_loop(asking(answer, "x.test", Kind.A))
    assert found == Found(("192.0.2.1",), 50, False, "z.test")


def test_an_alias_without_its_target_is_asked_for_again(on_loop):
    def answer(query):
        if str(query.q.qname) == "x.test.":
            return [reply_to(query, "x.test. 300 IN CNAME y.test.")]
        return [reply_to(query, "y.test. 90 IN A 192.0.2.1")]

    [found], fake = on_loop(asking(answer, "x.test", Kind.A))
    assert found == Found(("192.0.2.1",), 90, False, "y.test")
    assert len(fake.queries) == 2


def test_alias_loops_end(on_loop):
    inside = [lambda query: [reply_to(query, "x.test. 300 IN CNAME y.test.", "y.test. 300 IN CNAME x.test.")]]
    across = [lambda query: [reply_to(query, f"{query.q.qname} 300 IN CNAME z{query.q.qname}")]]
    for answer in inside + across:
        [found], _ = on_loop(asking(answer, "x.test", Kind.A))
        assert found == Failure("aliases in a loop")


def test_the_validated_bit_counts_only_where_the_server_was_named_for_it(on_loop):
    async def main():
        async with FakeDns(lambda query: [reply_to(query, "x.test. 300 IN A 192.0.2.1", ad=1)]) as fake:
            assert (await Resolver([fake.server]).ask("x.test", Kind.A)).secure
            assert not (await Resolver([fake.server._replace(trusted=False)]).ask("x.test", Kind.A)).secure
            assert fake.queries[0].header.ad == 1

    on_loop(main())


def test_a_server_without_edns_is_asked_again_without(on_loop):
    """RFC 6891 §7."""

    def answer(query):
        if query.ar:
            reply = dnslib.DNSRecord(dnslib.DNSHeader(id=query.header.id, qr=1, ra=1, rcode=1))
            return [reply]
        return [reply_to(query, "x.test. 300 IN A 192.0.2.1")]

    [found], fake = on_loop(asking(answer, "x.test", Kind.A))
    assert found.records == ("192.0.2.1",)
    assert len(fake.queries) == 2


def test_the_next_server_is_asked_when_one_fails(on_loop):
    async def main():
        async with (
            FakeDns(lambda query: [reply_to(query, rcode=2)]) as bad,
            FakeDns(lambda query: [reply_to(query, "x.test. 300 IN A 192.0.2.1")]) as good,
        ):
            found = await Resolver([bad.server, good.server]).ask("x.test", Kind.A)
            assert found.records == ("192.0.2.1",)
            assert len(bad.queries) == 1

    on_loop(main())


def test_one_question_is_under_way_only_once_and_survives_a_caller_that_leaves(on_loop):
    async def main():
        async with FakeDns(lambda query: [reply_to(query, "x.test. 300 IN A 192.0.2.1")]) as fake:
            resolver = Resolver([fake.server])
            callers = [asyncio.ensure_future(resolver.ask("x.test", Kind.A)) for _ in range(20)]
            await asyncio.sleep(0)
            callers[0].cancel()
            results = await asyncio.gather(*callers, return_exceptions=True)
            assert isinstance(results[0], asyncio.CancelledError)
            assert all(result.records == ("192.0.2.1",) for result in results[1:])
            assert len(fake.queries) == 1
            await resolver.close()

    on_loop(main())


@pytest.mark.parametrize("name", ["a..b", "x" * 64 + ".test", ".".join(["x" * 60] * 5), "ü.test"])
def test_what_cannot_be_a_name_does_not_exist(on_loop, name):
    assert on_loop(Resolver([]).ask(name, Kind.MX)) == NxDomain()


def test_without_servers_nothing_is_known(on_loop):
    assert isinstance(on_loop(Resolver([]).ask("x.test", Kind.MX)), Failure)


def test_the_cache_forgets_by_time_and_by_size():
    cache = Cache(2)
    one, two, three = (Question(f"{number}.test", Kind.A) for number in range(3))
    cache.put(one, Found(("192.0.2.1",), 10), 100)
    assert cache.get(one, 104) == Found(("192.0.2.1",), 6)
    assert cache.get(one, 110) is None
    cache.put(one, Found((), 10), 100)
    cache.put(two, NxDomain(10), 100)
    cache.put(three, Failure("x"), 100)
    assert len(cache) == 2
    assert cache.get(one, 101) is None
    assert cache.get(three, 104) == Failure("x")
    assert cache.get(three, 106) is None
    cache.put(one, NoData(0), 100)
    assert cache.get(one, 100) is None


def test_the_hosts_file_and_the_special_names_come_first():
    """RFC 6761 §6.3, §6.4."""
    hosts = Hosts("192.0.2.5 Mail.example.test mail # comment\n2001:db8::5 mail\nnonsense line\n192.0.2.6\n")
    assert hosts.answer(Question("mail", Kind.A)).records == ("192.0.2.5",)
    assert hosts.answer(Question("mail", Kind.AAAA)).records == ("2001:db8::5",)
    assert isinstance(hosts.answer(Question("mail.example.test", Kind.AAAA)), NoData)
    assert hosts.answer(Question(reverse_name("192.0.2.5"), Kind.PTR)).records == ("mail.example.test",)
    assert hosts.answer(Question("mail", Kind.MX)) is None
    assert hosts.answer(Question("x.localhost", Kind.A)).records == ("127.0.0.1",)
    assert hosts.answer(Question("x.invalid", Kind.MX)) == NxDomain()
    assert hosts.answer(Question("example.test", Kind.A)) is None


def test_a_hosts_file_may_name_the_link_of_an_address():
    hosts = Hosts("fe80::1%lo0 localhost\n::1%eth0 gate\n")
    assert hosts.answer(Question("gate", Kind.AAAA)).records == ("::1",)
    assert hosts.answer(Question(reverse_name("fe80::1"), Kind.PTR)).records == ("localhost",)


def test_resolver_addresses_are_read_with_and_without_ports():
    assert parse_server("127.0.0.1:5301") == Server("127.0.0.1", 5301, True)
    assert parse_server("192.0.2.1") == Server("192.0.2.1", 53, True)
    assert parse_server("[2001:db8::1]:54") == Server("2001:db8::1", 54, True)
    assert parse_server("2001:db8::1") == Server("2001:db8::1", 53, True)
    for bad in ("", "host", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:99999", "[::1", "[::1]x"):
        with pytest.raises(ValueError, match=r"."):
            parse_server(bad)


def test_resolv_conf_is_believed_about_validation_only_when_it_says_so():
    text = "# c\nnameserver 192.0.2.1\nnameserver junk\nnameserver 2001:db8::1\nsearch x\n"
    assert read_resolv_conf(text) == (Server("192.0.2.1"), Server("2001:db8::1"))
    assert read_resolv_conf(text + "options edns0 trust-ad\n")[0].trusted
    assert read_resolv_conf("") == (Server("127.0.0.1"),)


def test_a_reply_must_repeat_id_and_question():
    query = ask(Question("x.test", Kind.A), 0x1234)
    good = query[:2] + b"\x81\x80\0\1\0\0\0\0\0\0" + query[12 : query.index(0, 12) + 5]
    assert answers_to(query, good)
    assert not answers_to(query, query)
    assert not answers_to(query, good[:-1])
    assert not answers_to(query, b"\0\0" + good[2:])
    assert not answers_to(query, b"")


def test_the_system_resolver_reads_its_files_or_takes_the_servers_it_is_given(on_loop, tmp_path):
    hosts = tmp_path / "hosts"
    hosts.write_text("192.0.2.5 mail.example.test\n")

    async def main():
        async with FakeDns(lambda query: [reply_to(query, "x.test. 300 IN A 192.0.2.1", ad=1)]) as fake:
            resolver = system_resolver([f"127.0.0.1:{fake.port}"], hosts=str(hosts))
            assert (await resolver.ask("x.test", Kind.A)).secure
            assert (await resolver.ask("mail.example.test", Kind.A)).records == ("192.0.2.5",)
            assert len(fake.queries) == 1
        with pytest.raises(ValueError, match="port"):
            system_resolver(["127.0.0.1:x"])
        system_resolver(resolv_conf=str(tmp_path / "none"), hosts=str(tmp_path / "none"))

    on_loop(main())
