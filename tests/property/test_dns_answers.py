"""Hostile answers: a bounded answer or a Failure is read from anything, and forgeries are no answers."""

import dnslib
from fuzz.fuzz_dns import SEEDS, target
from hypothesis import given
from hypothesis import strategies as st

from penfold.net.answers import (
    MAX_RECORDS,
    MAX_TTL,
    Failure,
    Found,
    Kind,
    Mx,
    NoData,
    NxDomain,
    Question,
    answers_to,
    ask,
    read,
)

QUESTION = Question("example.test", Kind.MX)
LABEL = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_", min_size=1, max_size=20)
NAME = st.lists(LABEL, min_size=1, max_size=4).map(".".join)


def response(number=1, name="example.test", rcode=0, **flags):
    header = dnslib.DNSHeader(id=number, qr=1, ra=1, rd=1, rcode=rcode, **flags)
    return dnslib.DNSRecord(header, q=dnslib.DNSQuestion(name, dnslib.QTYPE.MX))


@given(st.binary(max_size=300))
def test_any_octets_are_read_without_an_error(octets):
    target(octets)


@given(st.sampled_from(SEEDS), st.data())
def test_a_damaged_answer_is_read_without_an_error(seed, data):
    octets = bytearray(seed)
    for _ in range(data.draw(st.integers(1, 6))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    target(bytes(octets[: data.draw(st.integers(0, len(octets)))]))
    target(bytes(octets))


@given(st.integers(0, 65535), st.integers(0, 65535), NAME)
def test_only_our_id_and_our_question_are_answers(ours, theirs, name):
    query = ask(QUESTION, ours)
    assert answers_to(query, bytes(response(ours).pack()))
    assert answers_to(query, bytes(response(theirs).pack())) == (ours == theirs)
    assert answers_to(query, bytes(response(ours, name).pack())) == (name == "example.test")


@given(st.lists(st.tuples(st.integers(0, 65535), NAME), max_size=300), st.integers(0, 2**31 - 1))
def test_records_come_out_as_they_were_and_bounded(records, ttl):
    reply = response()
    for preference, name in records:
        reply.add_answer(dnslib.RR("example.test", dnslib.QTYPE.MX, ttl=ttl, rdata=dnslib.MX(name, preference)))
    answer = read(QUESTION, bytes(reply.pack()), trusted=False)
    if not records:
        assert isinstance(answer, NoData)
        return
    assert isinstance(answer, Found)
    assert answer.ttl == min(ttl, MAX_TTL)
    assert len(answer.records) <= MAX_RECORDS
    assert set(answer.records) <= {Mx(preference, name) for preference, name in records}


@given(st.lists(st.sampled_from(["example.test", "a.test", "b.test", "c.test"]), min_size=1, max_size=12))
def test_alias_chains_and_loops_end(names):
    reply = response()
    for owner, target_name in zip(["example.test", *names], names, strict=False):
        reply.add_answer(dnslib.RR(owner, dnslib.QTYPE.CNAME, ttl=60, rdata=dnslib.CNAME(target_name)))
    read(QUESTION, bytes(reply.pack()), trusted=False)


@given(st.integers(0, 15))
def test_only_nxdomain_means_that_there_is_no_such_name(rcode):
    answer = read(QUESTION, bytes(response(rcode=rcode).pack()), trusted=False)
    assert isinstance(answer, {0: NoData, 3: NxDomain}.get(rcode, Failure))


@given(st.booleans(), st.booleans())
def test_the_validated_bit_needs_a_trusted_server(bit, trusted):
    answer = read(QUESTION, bytes(response(ad=int(bit)).pack()), trusted=trusted)
    assert answer.secure == (bit and trusted)
