"""What a store renders once, when a message arrives: all that clients ask for again and again.

Standards: RFC 9051 §7.5.2
Trust: octets from anybody; linear time.
"""

from dataclasses import dataclass

from penfold.message.bodystructure import bodystructure
from penfold.message.envelope import render
from penfold.message.structure import Octets, octets, scan


@dataclass(frozen=True, slots=True)
class Summary:
    """The rendered facts of a message; all ``bytes`` are ready to be sent."""

    envelope: bytes
    bodystructure: bytes
    common: bytes


def summary(data: Octets | memoryview) -> Summary:
    """Summarise a message."""
    searchable = octets(data)
    root = scan(searchable)
    return Summary(
        envelope=render(root.fields),
        bodystructure=bodystructure(searchable, root),
        common=b"".join(line + b"\n" for line in root.fields.common),
    )
