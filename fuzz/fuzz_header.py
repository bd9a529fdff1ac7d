"""Fuzz target: header blocks, header streams and address lists."""

from penfold.message.address_list import parse_list
from penfold.message.addressees import addressees, without_blind
from penfold.message.complete import from_addresses, masquerade, sender_address
from penfold.message.encoded_word import ascii_header
from penfold.message.header import Header, bounds, facts
from penfold.message.header_stream import HeaderReader
from penfold.message.loops import delivered_to
from penfold.model import Address, Permanent

SEEDS: list[bytes] = [
    b"From: Ada <ada@example.test>\r\nTo: bob@example.org, g: c@d.e;\r\n\r\nbody\r\n",
    b"Received: from a by b; x\r\n\tfolded\r\nBcc: x (c (d)) <@r:y@z>\r\n",
    b'From: "a\\"b" <a@b>\n\nbody',
    "Subject: grüße\r\nFrom: José <j@b.c>\r\nDelivered-To: a@b.c\r\n".encode(),
]
_ADA = Address("ada", "example.test")


def target(data: bytes) -> None:
    """Read the octets every way a header is read; nothing may be raised, nothing may get lost."""
    limits = bounds(data)
    assert facts(data).bounds == limits
    header = data[: limits.end]
    assert b"".join(field.raw for field in Header(header).fields) == header
    assert masquerade(header, lambda address: address) == header
    parse_list(data)
    addressees(header)
    without_blind(header)
    from_addresses(header)
    sender_address(header)
    delivered_to(header, _ADA)
    ascii_header(header)
    reader = HeaderReader(max_octets=4096, max_fields=50)
    try:
        for at in range(0, len(data), 7):
            reader.feed(data[at : at + 7])
        reader.finish()
    except Permanent:
        return
    assert reader.header + reader.separator + reader.rest == data
