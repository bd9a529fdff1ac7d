"""Records between roles: a role that was taken over may write anything; it is decoded whole, or refused."""

import contextlib

import msgspec

from penfold.model import Address, Envelope, Origin, Recipient
from penfold.net import leash
from penfold.queue.spool import record
from penfold.service.lines import delivery, intake, login
from penfold.service.lines.execute import Answer, Kind, Request, Said

_ENVELOPE = Envelope(Address("ada", "example.test"), 0.0, 1, Origin("ESMTP"))
_META = record.Meta("A00000100001", _ENVELOPE, (Recipient(Address("bob", "example.test")),))
_DECODERS = [
    msgspec.msgpack.Decoder(kind)
    for kind in (intake.FromReceive, intake.FromQueue, delivery.FromQueue, login.FromReceive, leash.Message)
]

SEEDS: list[bytes] = [
    Request(Kind.MAILBOX, 7, "alice").pack(),
    Answer(Said.STARTED, 7).pack(),
    msgspec.msgpack.encode(intake.SegmentClosed(1, 100)),
    msgspec.msgpack.encode(delivery.Opened("body/1")),
    record.message_payload(record.encode_meta(_META), [b""])[0] + b"Subject: x\r\n\r\nx\r\n",
    b"\x91" * 2000,
]


def target(data: bytes) -> None:
    """Read the octets as each of the records."""
    for unpack in (Request.unpack, Answer.unpack):
        with contextlib.suppress(ValueError):
            made = unpack(data)
            assert made.pack() == data
    for decoder in _DECODERS:
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            decoder.decode(data)
    scanned = record.Scanned(0, len(data), record.Type.MESSAGE, 0, 1, data)
    with contextlib.suppress(msgspec.MsgspecError, record.struct.error, UnicodeDecodeError, RecursionError):
        accepted = record.decode_message(scanned, 1, "log/1")
        assert accepted.body.length >= 0
    with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        record.decode_head(scanned)
