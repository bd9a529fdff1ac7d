"""Fuzz target: reading notifications, and writing them with a stranger's words in every place."""

from penfold.message.dsn import Notifier, Original, Report
from penfold.message.dsn_reader import parse_dsn
from penfold.message.dsn_text import Action
from penfold.model import Address, Envelope, Origin, Recipient, Reply

SEEDS: list[bytes] = [
    b"Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n"
    b"Reporting-MTA: dns; h\r\n\r\nFinal-Recipient: rfc822; a@b\r\nAction: failed\r\nStatus: 5.1.1\r\n--b--\r\n",
    b"550 5.1.1 no such user\r\nBcc: x",
    b"utf-8;jos\\x{E9}@example.org",
]
_NOTIFIER = Notifier(host="mx.example.test", postmaster=Address("postmaster", "example.test"))


def target(data: bytes) -> None:
    """Nothing may be raised; what is written has whole line ends and reads back."""
    parse_dsn(data)
    text = data.decode("latin-1")
    origin = Origin("ESMTP", text, helo=text)
    envelope = Envelope(Address("a", "b.c"), 0.0, len(data), origin, ret="FULL", envid=text, message_id=text)
    report = Report(
        recipient=Recipient(Address(text, "b.c"), orcpt=text),
        action=Action.FAILED,
        reply=Reply(550, text[:10], (text,)),
        remote=text,
    )
    original = Original(header=data, chunks=lambda: [data])
    octets = _NOTIFIER.build(envelope, [report], original, date=0.0, message_id="<1@h>").octets
    assert octets.count(b"\r") == octets.count(b"\n") == octets.count(b"\r\n")
    found = parse_dsn(octets)
    assert found is not None
    assert [fate.action for fate in found.recipients] == ["failed"]
