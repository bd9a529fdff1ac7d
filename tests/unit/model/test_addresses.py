"""Addresses of the envelope."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penfold.model import Address, AddressError, parse_address
from penfold.model.address import display_domain


@pytest.mark.parametrize(
    ("text", "local", "domain"),
    [
        ("bob@example.org", "bob", "example.org"),
        ("Bob@EXAMPLE.org.", "Bob", "example.org"),
        ("postmaster", "postmaster", ""),
        ('"b o b"@example.org', "b o b", "example.org"),
        (r'"a\"b"@example.org', 'a"b', "example.org"),
        ('"a@b"@example.org', "a@b", "example.org"),
        ("bob@[192.0.2.1]", "bob", "[192.0.2.1]"),
        ("bob@[ipv6:2001:DB8::1]", "bob", "[IPv6:2001:db8::1]"),
        ("bob@[IPv6:0:0:0:0:0:0:0:1]", "bob", "[IPv6:::1]"),
        ("bob@[IPv6:::ffff:127.0.0.1]", "bob", "[127.0.0.1]"),
        ("josé@bücher.example", "josé", "xn--bcher-kva.example"),
        ("a!b!c@example.org", "a!b!c", "example.org"),
        ("a%b@example.org", "a%b", "example.org"),
        ("_x@_y.example", "_x", "_y.example"),
    ],
)
def test_addresses_that_are_good(text, local, domain):
    assert parse_address(text) == Address(local, domain)


@pytest.mark.parametrize(
    "text",
    ["", "@", "@example.org", "bob@", "a b@example.org", "bob@ex ample.org", "bob@-x.example", "bob@x..example",
     "bob@[300.1.1.1]", "bob@[127.0.0.01]", "bob@[IPv6:1::2::3]",
     "bob@[IPv6:zz]", "bob@[", '"bob@example.org', '"bob"x@example.org', '"bob"@', ".bob@example.org",
     "bob.@example.org", "b..b@example.org", "bob@" + "x" * 64 + ".example", "x" * 65 + "@example.org",
     "bob@" + "x." * 130 + "example", "bob@example.org\r\n", "bob@exa\0mple.org", "<bob@example.org>"],
)  # fmt: skip
def test_what_is_no_address_says_why(text):
    with pytest.raises(AddressError) as error:
        parse_address(text)
    assert str(error.value)


ATOMS = st.text("abcXYZ012!#$%&'*+-/=?^_`{|}~é", min_size=1, max_size=10)
LOCALS = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=20) | ATOMS


@given(LOCALS, st.sampled_from(["example.org", "[192.0.2.1]", ""]))
def test_writing_and_parsing_give_the_address_back(local, domain):
    address = Address(local, domain)
    assert parse_address(str(address)) == address


@given(st.text(max_size=80))
def test_any_text_is_an_address_or_an_address_error(text):
    try:
        address = parse_address(text)
    except AddressError:
        return
    assert parse_address(str(address)) == address


def test_domains_are_shown_to_people_in_their_own_letters():
    """RFC 5890 §2.3.2.1."""
    assert display_domain("xn--bcher-kva.example") == "bücher.example"
    assert display_domain("xn--!!!.example") == "xn--!!!.example"
