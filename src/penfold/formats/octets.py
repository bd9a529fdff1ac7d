"""The octets of a Message on their way to a file of its own (Maildir, MH)."""

from collections.abc import Iterator

from penfold.formats.base import Message
from penfold.formats.lines import SMALL, lf, to_lf
from penfold.fs.base import File


def wire(message: Message) -> Iterator[bytes]:
    """Give prefix and body in wire form, piece by piece."""
    yield message.prefix
    yield from message.body.chunks()


def fill(file: File, message: Message) -> int:
    """Append the message with LF line ends; returns its octets on disk. Raises OSError from body or disk."""
    if message.body.size <= SMALL:
        buffers = [lf(message.prefix), lf(message.body.read())]
        file.append(buffers)
        return len(buffers[0]) + len(buffers[1])
    size = 0
    for piece in to_lf(wire(message)):
        file.append([piece])
        size += len(piece)
    return size
