"""Writing the pickup format.

Trust: runs as whoever calls ``sendmail``; what the reader would refuse is refused before it is written.
"""

from __future__ import annotations

TYPE_CHECKING = False  # PERF: typing's own name for it would cost the command 5 ms
if TYPE_CHECKING:
    from collections.abc import Iterable

MAGIC = b"PENFOLD PICKUP 1\n"
END = b"0\n"

# What a field may be, and how often: sender (-f), full-name (-F), recipient (arguments), from-header (-t), notify (-N),
# ret (-R), envid (-V), body (-B), dots-removed: for people reading a file only.
FIELDS = frozenset({"sender", "full-name", "recipient", "from-header", "notify", "ret", "envid", "body"})


def head(fields: Iterable[tuple[str, str]]) -> bytes:
    """Write the head. Raises ValueError for a field that is unknown or that ``reader`` would not take."""
    lines = [MAGIC]
    for name, value in fields:
        if name not in FIELDS or not value.isprintable():  # octets that are not UTF-8 came as lone surrogates
            raise ValueError(f"bad {name}: {value!r}")
        lines.append(f"{name} {value}\n".encode())
    lines.append(b"\n")
    return b"".join(lines)


def chunk(octets: bytes) -> bytes:
    """Write a piece of the message; an empty one writes nothing, because ``0`` is the end."""
    return b"%d\n%s" % (len(octets), octets) if octets else b""
