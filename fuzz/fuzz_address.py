"""Addresses and the words of strangers beside them: read, written, and read again; nothing breaks a line we write."""

from penfold.message import escape
from penfold.message.trace import delivered_to_field, received_field, return_path_field
from penfold.model import Address, AddressError, Origin, parse_address
from penfold.model.address import display_domain
from penfold.protocols.smtp.grammar import Refusal, decode_xtext, parse_parameters, parse_path

SEEDS: list[bytes] = [
    b'"a \\" b"@[192.0.2.1]',
    b"<@a.test,@b.test:carol+x@[IPv6:2001:db8::1]> NOTIFY=NEVER ORCPT=rfc822;a+2Bb",
    "josé@bücher.example".encode(),
    b"postmaster",
    b"a+3Db\\x{E9}\\x{110000}",
    b"a!b%c@xn--bcher-kva.example.",
]
TOKENS = (b"[IPv6:", b"xn--", b"@[", b"]>", b"\\x{", b"+3D", "ß".encode(), "。".encode(), b"<>")


def target(data: bytes) -> None:
    """Read the octets as an address, a path, parameters and text of ours."""
    text = data.decode("utf-8", "replace")
    for words in (text, data.decode("latin-1")):
        _parse(words)
    assert escape.from_xtext(escape.xtext(text)) == text
    assert escape.from_utf8_xtext(escape.utf8_xtext(text)) == text
    for made in (escape.visible(text), escape.comment(text), escape.quoted(text), escape.ascii_only(text)):
        assert not set("\r\n\0\x1b") & set(made)
    origin = Origin(text, text, helo=text, tls=text)
    address = Address(text, text)
    for field in (
        received_field(origin, by=text, id=text, date=0.0, recipient=address),
        return_path_field(address),
        delivered_to_field(address),
    ):
        lines = field.split(b"\r\n")
        assert lines.pop() == b""
        assert not any(b"\r" in line or b"\n" in line for line in lines)
        assert all(line.startswith(b"\t") for line in lines[1:])


def _parse(text: str) -> None:
    try:
        address = parse_address(text)
    except AddressError:
        pass
    else:
        assert parse_address(str(address)) == address
        display_domain(address.domain)
    for sender in (False, True):
        try:
            _, rest = parse_path(text, sender=sender, unqualified=True)
            parse_parameters(rest)
        except Refusal:
            continue
    try:
        plain = decode_xtext(text)
    except Refusal:
        return
    assert decode_xtext(escape.xtext(plain)) == plain
