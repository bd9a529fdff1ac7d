"""The power goes at any moment of a delivery: what was answered is there, no half message passes for a whole one."""

from collections.abc import Callable
from random import Random

import pytest
from tests.mailbox_material import Box, contents, message, wire

from penfold.formats import Maildir, Mbox, Message, Mh, Mmdf, Stored, find_delivered
from penfold.fs.locks import LockPolicy
from penfold.fs.power import Disk, fingerprint
from penfold.fs.recording import EMPTY, Ack, Image, RecordingFileSystem

NO_LOCKS = LockPolicy(order=())
PATH = "/mail"
FORMATS: dict[str, Callable[[RecordingFileSystem], Box]] = {
    "mbox": lambda fs: Mbox(fs, PATH, locks=NO_LOCKS, owner=0),
    "mmdf": lambda fs: Mmdf(fs, PATH, locks=NO_LOCKS, owner=0),
    "mh": lambda fs: Mh(fs, PATH, locks=NO_LOCKS, owner=0),
    "maildir": lambda fs: Maildir(fs, PATH, host="mx.example.test"),
}
BATCHES = ([1], [2, 3], [4, 5, 6, 7, 8], [9])


def letter(number: int) -> Message:
    """One of some hundred octets, one of several sectors."""
    return message(number, b"Subject: %d\r\n\r\n" % number + b"From line %d\r\n" % number * (number * 9))


def delivered(kind: str) -> RecordingFileSystem:
    """Deliver all batches, acknowledging as the queue would settle."""
    disk = RecordingFileSystem()
    for batch in BATCHES:
        for number, result in zip(
            batch, FORMATS[kind](disk).deliver([letter(number) for number in batch]), strict=True
        ):
            assert isinstance(result, Stored)
            disk.ack(number)
    return disk


def times(kind: str, found: list[bytes], text: bytes) -> int:
    """Count a message. In an mbox garbage that a crash left stays behind the message before it: nothing ends that."""
    return sum(each.startswith(text) if kind == "mbox" else each == text for each in found)


def check(kind: str, image: Image, acknowledged: set[int]) -> None:
    """Look at a disk after the power came back, and deliver again what was not acknowledged."""
    fs = RecordingFileSystem(image)
    whole = {number: wire(letter(number)) for batch in BATCHES for number in batch}
    found = contents(FORMATS[kind](fs))
    assert all(times(kind, found, whole[number]) == 1 for number in acknowledged)
    if kind in {"maildir", "mh"}:
        assert all(text in whole.values() for text in found), "a name without its content"
    missing = [number for number in whole if number not in acknowledged]
    if kind == "maildir":
        missing = [number for number in missing if not find_delivered(fs, PATH, letter(number).unique)]
    results = FORMATS[kind](fs).deliver([letter(number) for number in missing])
    assert all(isinstance(result, Stored) for result in results)
    again = contents(FORMATS[kind](fs))
    assert all(times(kind, again, text) for text in whole.values())
    if kind == "maildir":
        assert len(again) == len(whole), "a repeat that could have been recognised"


@pytest.mark.parametrize("kind", sorted(FORMATS))
def test_what_was_answered_survives_any_loss_of_power(kind: str):
    random = Random(20_231_114)
    disk, acknowledged, seen = Disk(EMPTY), set[int](), set[tuple[int, int]]()
    for operation in delivered(kind).log:
        disk.step(operation)
        if isinstance(operation, Ack):
            acknowledged.add(int(str(operation.what)))
        for image in disk.states(random, 40):
            state = (fingerprint(image), len(acknowledged))
            if state not in seen:
                seen.add(state)
                check(kind, image, acknowledged)
    assert len(seen) > 50
