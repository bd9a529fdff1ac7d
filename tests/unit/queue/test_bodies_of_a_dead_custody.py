"""A body that spilled into a file which another custody made: that custody's successor removes the file."""

import asyncio
import os
import threading
from collections.abc import Sequence

import pytest

from penfold.fs.base import FileSystem
from penfold.fs.posix import PosixFile, PosixFileSystem
from penfold.model import Address, Envelope, Origin, Recipient, Transient
from penfold.queue.spool.grant import BodyGrant, SegmentGrant, Stock
from penfold.queue.spool.record import Accepted
from penfold.queue.spool.writer import IntakeWriter

ADA = Recipient(Address("ada", "example.test"))


class Custody:
    """Grants one segment and one body file; hears what is published."""

    def __init__(self, folder, number: int, fs: FileSystem | None = None, *, threads: bool = False) -> None:
        fs = fs or PosixFileSystem()
        folder.mkdir()
        self.stock = Stock(lambda segments, bodies: None)
        self.published: list[Accepted] = []
        self.dropped: list[str] = []
        segment = fs.create(str(folder / "one.seg"), 0o600)
        self.stock.add_segment(SegmentGrant(number, "one.seg", number, segment, 1 << 20))
        self.stock.add_body(BodyGrant("body/one", fs.create(str(folder / "body"), 0o600)))
        self.writer = IntakeWriter(self.stock, self.publish, self, threads=threads)

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


class SlowFile(PosixFile):
    """A file whose sync takes until a test has seen it."""

    syncing = threading.Event()
    go_on = threading.Event()

    def datasync(self) -> None:
        self.syncing.set()
        assert self.go_on.wait(10)
        super().datasync()


def test_a_body_still_being_synced_when_its_custody_leaves_is_refused_and_not_forgotten(tmp_path):
    async def scene() -> None:
        custody = Custody(tmp_path / "old", 1, threads=True)
        body = custody.writer.begin()
        body.write(b"x" * 300_000)
        assert body.grant is not None
        body.grant = body.grant._replace(file=SlowFile(os.dup(body.grant.file.fileno())))
        envelope = Envelope(None, 1000.0, 0, Origin("local"))
        accepting = asyncio.ensure_future(custody.writer.accept(envelope, [ADA], body))
        await asyncio.to_thread(SlowFile.syncing.wait, 10)
        closing = asyncio.ensure_future(custody.writer.close())
        await asyncio.sleep(0)
        SlowFile.go_on.set()
        await closing
        async with asyncio.timeout(5):
            with pytest.raises(Transient, match="451"):
                await accepting
        assert not custody.published
        assert custody.dropped == ["body/one"]

    asyncio.run(scene())
