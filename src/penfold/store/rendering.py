"""What a store keeps of a message beside its octets: rendered once, when it comes in.

Standards: RFC 9051 §7.5.2; RFC 8970 §3; RFC 5256 §2.1, §2.2; RFC 8474 §5.2
"""

from collections.abc import Callable
from typing import TypeAlias

import msgspec


class Rendered(msgspec.Struct, frozen=True, array_like=True):
    """The octets of each ``Item``; ``sent`` in POSIX seconds, None if the message does not say; ids for threads.

    ``ids`` are the message ids the message names, its own first, then In-Reply-To and References, newest first.
    """

    envelope: bytes = b""
    bodystructure: bytes = b""
    body: bytes = b""
    header: bytes = b""
    preview: bytes = b""
    subject: bytes = b""
    sent: int | None = None
    ids: tuple[bytes, ...] = ()


Summarise: TypeAlias = Callable[[bytes], Rendered]
