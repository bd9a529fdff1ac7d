"""Paths and parameters: what was written is what is read."""

import contextlib

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from penfold.message.escape import xtext
from penfold.model import Address, AddressError, parse_address
from penfold.protocols.smtp.commands import parse_mail, parse_rcpt
from penfold.protocols.smtp.grammar import Refusal, decode_orcpt, decode_xtext, encode_orcpt, parse_path
from penfold.protocols.smtp.settings import ServerSettings

printable = st.text(st.characters(exclude_categories=("C", "Z"), include_characters=" "), max_size=20)
labels = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
domains = st.one_of(
    st.lists(labels, min_size=1, max_size=4).map(".".join),
    st.sampled_from(["[192.0.2.1]", "[IPv6:2001:db8::1]"]),
)
DOOR = ServerSettings(hostname="mx.test")


@settings(max_examples=500)
@given(printable.filter(bool), domains)
def test_a_written_path_is_read_back(local, domain):
    address = Address(local, domain)
    try:
        assume(parse_address(str(address)) == address)
    except AddressError:
        assume(False)
    assert parse_path(f"<{address}>", sender=False) == (address, "")
    assert parse_path(f" <@relay.example:{address}> SIZE=1", sender=True) == (address, " SIZE=1")


@settings(max_examples=300)
@given(printable)
def test_xtext_is_read_back(text):
    assert decode_xtext(xtext(text)) == text


@settings(max_examples=300)
@given(st.sampled_from(["rfc822", "utf-8", "x-400"]), printable.filter(bool))
def test_an_original_recipient_is_read_back(kind, text):
    wire = encode_orcpt(f"{kind};{text}")
    assume(len(wire) <= 500)
    assert wire.isascii()
    assert decode_orcpt(wire) == f"{kind};{text}"


@settings(max_examples=500)
@given(st.one_of(st.binary(max_size=80), st.text(max_size=60).map(str.encode)), st.booleans())
def test_any_argument_is_read_or_refused(argument, utf8):
    for octets in (
        argument,
        b"FROM:<" + argument,
        b"TO:<" + argument,
        b"TO:<a@b.c> " + argument,
        b"FROM:<> " + argument,
    ):
        for read in (lambda a: parse_mail(a, DOOR), lambda a: parse_rcpt(a, DOOR, smtputf8=utf8)):
            with contextlib.suppress(Refusal):
                assert read(octets) is not None
