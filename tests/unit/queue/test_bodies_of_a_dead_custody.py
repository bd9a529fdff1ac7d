"""A body that spilled into a file which another custody made: that custody's successor removes the file."""

import asyncio
from collections.abc import Sequence

import pytest

from penfold.fs.posix import PosixFileSystem
from penfold.model import Address, Envelope, Origin, Recipient, Transient
from penfold.queue.spool.grant import BodyGrant, SegmentGrant, Stock
from penfold.queue.spool.record import Accepted
from penfold.queue.spool.writer import IntakeWriter

ADA = Recipient(Address("ada", "example.test"))


class Custody:
    """Grants one segment and one body file; hears what is published."""

    def __init__(self, folder, number: int) -> None:
        fs = PosixFileSystem()
        folder.mkdir()
        self.stock = Stock(lambda segments, bodies: None)
        self.published: list[Accepted] = []
        self.dropped: list[str] = []
        segment = fs.create(str(folder / "one.seg"), 0o600)
        self.stock.add_segment(SegmentGrant(number, "one.seg", number, segment, 1 << 20))
        self.stock.add_body(BodyGrant("body/one", fs.create(str(folder / "body"), 0o600)))
        self.writer = IntakeWriter(self.stock, self.publish, self, threads=False)

    def publish(self, batch: Sequence[Accepted]) -> None:
        self.published += batch

    def segment_closed(self, number: int, end: int) -> None:
        """Nobody asks."""

    def body_dropped(self, name: str) -> None:
        self.dropped.append(name)


def test_a_body_in_a_file_of_another_custody_is_not_accepted(tmp_path):
    async def scene() -> None:
        old, new = Custody(tmp_path / "old", 1), Custody(tmp_path / "new", 2)
        body = old.writer.begin()
        body.write(b"x" * 300_000)
        envelope = Envelope(None, 1000.0, 0, Origin("local"))
        with pytest.raises(Transient):
            await new.writer.accept(envelope, [ADA], body)
        body.abort()
        assert not new.published
        assert old.dropped == ["body/one"]

    asyncio.run(scene())
