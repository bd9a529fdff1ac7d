"""Intake writer and custodian apart, as in two processes: descriptors passed, values through a channel."""

import asyncio
import os
import socket
from collections import deque

import msgspec
import pytest

from penfold.fs.posix import PosixFile
from penfold.model import Address, Envelope, Origin, Recipient, Transient
from penfold.queue.base import Done
from penfold.queue.spool.custodian import Custodian
from penfold.queue.spool.grant import BodyGrant, SegmentGrant, Stock
from penfold.queue.spool.record import Accepted
from penfold.queue.spool.spool import Spool, open_spool
from penfold.queue.spool.writer import IntakeWriter

ADA = Recipient(Address("ada", "example.test"))


class Channel:
    """What travels between the two, as octets and descriptors over a socket pair."""

    def __init__(self, custodian: Custodian) -> None:
        self.custodian = custodian
        self.alive = True
        self.held: deque[bytes] = deque()
        self.wanted: list[tuple[int, int]] = []
        self.stock = Stock(lambda segments, bodies: self.wanted.append((segments, bodies)))

    def passed(self, file) -> PosixFile:
        left, right = socket.socketpair()
        with left, right:
            socket.send_fds(left, [b"x"], [file.fileno()])
            _, (fd,), _, _ = socket.recv_fds(right, 1, 1)
        file.close()
        return PosixFile(fd)

    async def fill(self, segments: int, bodies: int) -> None:
        for _ in range(segments):
            grant = await self.custodian.grant_segment("B")
            self.stock.add_segment(SegmentGrant(*grant)._replace(file=self.passed(grant.file)))
        for _ in range(bodies):
            body = await self.custodian.grant_body("B")
            self.stock.add_body(BodyGrant(body.name, self.passed(body.file)))

    def publish(self, batch) -> None:
        if not self.alive:
            raise BrokenPipeError
        self.held.append(msgspec.msgpack.encode(batch))

    def arrive(self) -> None:
        while self.held:
            self.custodian.published(msgspec.msgpack.decode(self.held.popleft(), type=list[Accepted]))

    def segment_closed(self, number: int, end: int) -> None:
        self.arrive()
        self.custodian.segment_closed(number, end)

    def body_dropped(self, name: str) -> None:
        self.custodian.body_dropped(name)


async def put(writer: IntakeWriter, body: bytes):
    body_writer = writer.begin()
    body_writer.write(body)
    return await writer.accept(Envelope(None, 1000.0, 0, Origin("ESMTP")), [ADA], body_writer)


async def found(spool: Spool) -> dict:
    claims = await spool.custody.claim(1e9, 100)
    return {claim.id: spool.bodies.open(claim.body).read() for claim in claims}


def apart(path) -> tuple[Spool, Channel, IntakeWriter]:
    spool = open_spool(str(path / "spool"), threads=False, clock=lambda: 1000.0)
    channel = Channel(spool.custody)
    return spool, channel, IntakeWriter(channel.stock, channel.publish, channel, worker="B")


def test_mail_comes_through_descriptors_and_a_channel(tmp_path):
    async def main():
        spool, channel, writer = apart(tmp_path)
        with pytest.raises(Transient) as caught:
            writer.begin()
        assert str(caught.value).startswith("451 4.3.2")
        await channel.fill(1, 2)
        small = await put(writer, b"small")
        large = await put(writer, b"L" * 500_000)
        assert small.startswith("B")
        assert await found(spool) == {}
        channel.arrive()
        assert await found(spool) == {small: b"small", large: b"L" * 500_000}
        await spool.custody.settle([Done(small, 0), Done(large, 0)])
        await writer.close()
        await asyncio.sleep(0)
        await spool.custody.flush()
        assert os.listdir(tmp_path / "spool" / "intake") == []
        assert channel.wanted == [(1, 0), (0, 1)]
        await spool.close()

    asyncio.run(main())


def test_a_full_disk_is_told_through_the_stock(tmp_path):
    async def main():
        spool, channel, writer = apart(tmp_path)
        await channel.fill(1, 0)
        channel.stock.set_room(False)
        with pytest.raises(Transient) as caught:
            writer.begin()
        assert str(caught.value).startswith("452 4.3.1")
        await writer.close()
        await spool.close()

    asyncio.run(main())


def test_custody_reads_on_where_a_dead_writer_was_not_heard(tmp_path):
    async def main():
        spool, channel, writer = apart(tmp_path)
        await channel.fill(1, 2)
        first = await put(writer, b"heard")
        channel.arrive()
        second = await put(writer, b"not heard")
        third = await put(writer, b"N" * 300_000)
        channel.held.clear()
        body = writer.begin()
        body.write(b"never accepted" * 30_000)
        await spool.custody.writer_gone("B")
        assert await found(spool) == {first: b"heard", second: b"not heard", third: b"N" * 300_000}
        await spool.custody.flush()
        assert len(os.listdir(tmp_path / "spool" / "body")) == 7, "six made ahead, and the third message's"
        await spool.custody.settle([Done(qid, 0) for qid in (first, second, third)])
        await spool.custody.flush()
        assert os.listdir(tmp_path / "spool" / "intake") == []
        await spool.close()

    asyncio.run(main())


def test_a_writer_whose_channel_is_gone_promises_nothing_and_custody_finds_what_is_whole(tmp_path):
    async def main():
        spool, channel, writer = apart(tmp_path)
        await channel.fill(1, 0)
        channel.alive = False
        with pytest.raises(Transient):
            await put(writer, b"nobody heard")
        await spool.custody.writer_gone("B")
        assert list((await found(spool)).values()) == [b"nobody heard"]
        await writer.close()
        await spool.close()

    asyncio.run(main())
