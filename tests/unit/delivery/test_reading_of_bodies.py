"""How often the delivery agent reads a body: once for a small one, and never a large one into memory."""

import pytest

from penfold.delivery.agent import Agent, HeldBody
from penfold.delivery.mailboxes import Mailboxes
from penfold.directory.base import Account
from penfold.fs.locks import LockPolicy
from penfold.fs.posix import PosixFileSystem
from penfold.model import Address, BodyRef, Delivered, Envelope, Failed, Job, Origin, QueueId, Recipient, Route, Target

HEADER = b"From: a@b.example\r\nSubject: hi\r\n"


class CountedBody:
    def __init__(self, octets):
        self.size = len(octets)
        self.octets, self.reads, self.pieces = octets, 0, []

    def chunks(self, size=65536):
        for start in range(0, self.size, size):
            self.pieces.append(size)
            yield self.octets[start : start + size]

    def read(self):
        self.reads += 1
        return self.octets


class OneBody:
    def __init__(self, octets):
        self.body = CountedBody(octets)

    def open(self, ref):
        del ref
        return self.body


def deliver(root, octets, names):
    bodies = OneBody(octets)
    agent = Agent(
        bodies=bodies,
        mailboxes=Mailboxes(PosixFileSystem(), hostname="mx.example.test", locks=LockPolicy()),
        account=lambda key: Account(id=key, format="maildir", path=str(root / key.partition("@")[0])),
    )
    targets = tuple(
        Target(number, Recipient(Address(name, "example.test")), Route("local", "", f"{name}@example.test"))
        for number, name in enumerate(names)
    )
    envelope = Envelope(Address("s", "example.org"), 100.0, len(octets), Origin("ESMTP"))
    settled = agent.deliver([Job(QueueId("A1"), envelope, BodyRef("m", 0, len(octets)), targets)])
    return bodies.body, [each.outcome for each in sorted(settled, key=lambda each: each.number)]


def test_a_small_body_is_read_once_for_all_its_recipients(tmp_path):
    body, outcomes = deliver(tmp_path, HEADER + b"\r\nHello\r\n", ["ada", "bob", "cy"])
    assert all(isinstance(outcome, Delivered) for outcome in outcomes)
    assert (body.reads, body.pieces) == (1, [])
    for name in ("ada", "bob", "cy"):
        (stored,) = (tmp_path / name / "new").iterdir()
        assert stored.read_bytes().endswith(b"Subject: hi\n\nHello\n")


def test_of_a_large_body_only_the_beginning_is_read_for_its_header(tmp_path):
    octets = HEADER + b"\r\n" + b"x" * 70 + b"\r\n" + b"y" * 300_000 + b"\r\n"
    body, (outcome,) = deliver(tmp_path, octets, ["ada"])
    assert isinstance(outcome, Delivered)
    assert body.pieces[0] == 16 * 1024
    (stored,) = (tmp_path / "ada" / "new").iterdir()
    assert stored.read_bytes().endswith(octets.replace(b"\r\n", b"\n"))


def test_a_loop_is_seen_in_a_header_longer_than_one_piece(tmp_path):
    octets = b"X-Long: " + b"x" * 40_000 + b"\r\nDelivered-To: ada@example.test\r\n\r\nbody\r\n"
    _, (outcome,) = deliver(tmp_path, octets, ["ada"])
    assert isinstance(outcome, Failed)


@pytest.mark.parametrize("size", [1, 3, 64])
def test_a_held_body_gives_its_octets_in_pieces_or_at_once(size):
    held = HeldBody(b"0123456789")
    assert b"".join(held.chunks(size)) == held.read() == b"0123456789"
    assert held.size == 10
