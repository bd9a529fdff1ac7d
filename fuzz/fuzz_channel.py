"""Octets on a channel between two roles, cut in two ways: the same frames, or the same error."""

import contextlib

import msgspec

from penfold.model import Envelope, Job
from penfold.net.frames import ChannelError, Kind, Splitter, frame

_DECODERS = [msgspec.msgpack.Decoder(kind) for kind in (Job, Envelope, dict[str, list[int | str]])]

SEEDS: list[bytes] = [
    frame(Kind.HELLO, 0, msgspec.msgpack.encode(("records", 1, 1024))),
    frame(Kind.MESSAGE, 0, b"\x93\x01\x02\x03") + frame(Kind.GRANT, 64, b""),
    frame(Kind.CALL, 7, b"\x81\xa1a\x91\x01") * 3,
    frame(Kind.MESSAGE, 0, b"\x91" * 600),
    b"\xff" * 16,
]


def _frames(pieces: list[bytes]) -> tuple[list[tuple[int, int, int, bytes]], bool]:
    splitter = Splitter(4096)
    seen: list[tuple[int, int, int, bytes]] = []
    try:
        for piece in pieces:
            for kind, descriptors, serial, payload in splitter.feed(memoryview(piece)):
                seen.append((kind, descriptors, serial, bytes(payload)))
            assert splitter.kept <= 4096 + 10
    except ChannelError:
        return seen, True
    return seen, False


def target(data: bytes) -> None:
    """Split the octets whole and in pieces, and decode what comes out."""
    step = data[0] % 13 + 1 if data else 1
    whole, bad = _frames([data])
    pieces, worse = _frames([data[at : at + step] for at in range(0, len(data), step)])
    assert bad == worse
    assert whole == pieces
    for _, _, _, payload in whole:
        for decoder in _DECODERS:
            with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                decoder.decode(payload)
