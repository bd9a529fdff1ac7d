"""The spool across restarts: what a clean end and a kill leave, versions, damage, back-pressure."""

import asyncio
import errno
import struct
from pathlib import Path

import pytest

from penfold.fs.posix import PosixFileSystem
from penfold.model import Address, ConfigError, Envelope, Origin, Recipient, Reply, Transient
from penfold.queue.admin import Selection
from penfold.queue.base import Done, Later, Replace
from penfold.queue.spool.spool import Spool, open_spool

ADA = Recipient(Address("ada", "example.test"))
BOB = Recipient(Address("bob", "example.test"))
CAROL = Recipient(Address("carol", "example.test"))
BUSY = Reply.of(451, "4.7.1", "Busy")


def opened(path: Path, **options) -> Spool:
    options.setdefault("clock", lambda: 1000.0)
    options.setdefault("threads", False)
    options.setdefault("report", pytest.fail)
    return open_spool(str(path / "spool"), **options)


async def put(spool: Spool, *recipients: Recipient, body: bytes = b"Hello\r\n", arrived: float = 1000.0):
    writer = spool.queue.begin()
    writer.write(body)
    return await spool.queue.accept(Envelope(None, arrived, 0, Origin("local")), recipients, writer)


async def found(spool: Spool, now: float = 1e9) -> dict:
    """Claim everything and tell it: id -> (numbers and addresses, body)."""
    claims = await spool.custody.claim(now, 100_000)
    return {
        claim.id: ([(p.number, p.recipient.address.local) for p in claim.pending], spool.bodies.open(claim.body).read())
        for claim in claims
    }


def kill(spool: Spool) -> None:
    """Forget the spool as kill -9 would: nothing more is written, descriptors close."""
    spool.custody.chores.stop()
    spool.custody.holdings.index.drop()


def test_accepted_mail_survives_a_clean_restart_and_a_kill(tmp_path):
    async def main():
        spool = opened(tmp_path)
        small = await put(spool, ADA, BOB)
        large = await put(spool, ADA, body=b"x" * 700_000)
        await spool.close()
        spool = opened(tmp_path)
        third = await put(spool, CAROL, body=b"third")
        assert third not in {small, large}
        kill(spool)
        spool = opened(tmp_path)
        expected = {
            small: ([(0, "ada"), (1, "bob")], b"Hello\r\n"),
            large: ([(0, "ada")], b"x" * 700_000),
            third: ([(0, "carol")], b"third"),
        }
        assert await found(spool) == expected
        kill(spool)
        spool = opened(tmp_path)
        assert await found(spool) == expected, "claimed and not settled: tried again"
        await spool.close()

    asyncio.run(main())


def test_settled_mail_does_not_come_back(tmp_path):
    async def main():
        spool = opened(tmp_path)
        ids = [await put(spool, ADA, BOB, body=b"x" * size) for size in (1, 400_000)]
        await found(spool)
        await spool.custody.settle([Done(ids[0], 0), Done(ids[0], 1), Done(ids[1], 0)])
        await spool.custody.settle([Later(ids[1], 1, 2000.0, "smtp:x", 2, BUSY, "mx.x", warned=True)])
        await spool.custody.flush()
        kill(spool)
        spool = opened(tmp_path)
        assert await found(spool, 1999.0) == {}
        (claim,) = await spool.custody.claim(2000.0, 10)
        (pending,) = claim.pending
        assert (claim.id, pending.number, pending.attempts, pending.reply) == (ids[1], 1, 2, BUSY)
        assert (pending.remote, pending.warned) == ("mx.x", True)
        assert spool.bodies.open(claim.body).read() == b"x" * 400_000
        await spool.custody.settle([Done(ids[1], 1)])
        await spool.close()
        assert list((tmp_path / "spool" / "body").iterdir()) == []

    asyncio.run(main())


def test_replaced_recipients_survive_and_numbers_go_on(tmp_path):
    async def main():
        spool = opened(tmp_path)
        qid = await put(spool, ADA)
        await found(spool)
        await spool.custody.settle([Replace(qid, 0, (BOB, CAROL))])
        await spool.custody.flush()
        kill(spool)
        spool = opened(tmp_path)
        assert (await found(spool))[qid][0] == [(1, "bob"), (2, "carol")]
        await spool.custody.settle([Replace(qid, 1, (CAROL, Recipient(Address("dan", "x.test"))))])
        assert (await found(spool))[qid][0] == [(3, "dan")]
        await spool.close()

    asyncio.run(main())


def test_finished_segments_and_bodies_leave_the_disk(tmp_path):
    async def main():
        spool = opened(tmp_path, limit=5000)
        ids = [await put(spool, ADA, body=b"x" * 2000) for _ in range(10)]
        assert len(list((tmp_path / "spool" / "intake").iterdir())) > 3
        await found(spool)
        await spool.custody.settle([Done(qid, 0) for qid in ids])
        await spool.custody.flush()
        assert len(list((tmp_path / "spool" / "intake").iterdir())) == 1, "the open one"
        await spool.close()
        assert list((tmp_path / "spool" / "intake").iterdir()) == []

    asyncio.run(main())


def test_more_than_the_window_waits_in_rows_in_order_of_arrival(tmp_path):
    async def main():
        spool = opened(tmp_path, window=10)
        ids = [await put(spool, ADA, arrived=1000.0 + n) for n in range(50)]
        await spool.custody.flush()
        kill(spool)
        spool = opened(tmp_path, window=10)
        assert spool.custody.depth()["ready"] == 50
        assert len(spool.custody.holdings.messages) == 10
        assert list(await found(spool)) == ids
        await spool.close()

    asyncio.run(main())


def test_orders_are_durable_when_they_return(tmp_path):
    async def main():
        spool = opened(tmp_path)
        ids = [await put(spool, each) for each in (ADA, BOB, CAROL)]
        assert await spool.admin.hold(Selection(recipient="ada@*")) == 1
        assert await spool.admin.delete(Selection(recipient="bob@*")) == 1
        kill(spool)
        spool = opened(tmp_path)
        assert list(await found(spool)) == [ids[2]]
        assert [line.id for line in await spool.admin.select(Selection(states=("held",)))] == [ids[0]]
        assert await spool.admin.release(Selection()) == 1
        kill(spool)
        spool = opened(tmp_path)
        assert set(await found(spool)) == {ids[0], ids[2]}
        await spool.close()

    asyncio.run(main())


def test_a_newer_format_is_refused_with_words(tmp_path):
    async def main():
        await opened(tmp_path).close()
        version = tmp_path / "spool" / "VERSION"
        assert version.read_text() == "penfold spool 1\n"
        version.write_text("penfold spool 2\n")
        with pytest.raises(ConfigError, match="this spool has format 2; this Penfold knows formats up to 1"):
            opened(tmp_path)
        version.write_text("something else\n")
        with pytest.raises(ConfigError, match="not a spool of Penfold"):
            opened(tmp_path)

    asyncio.run(main())


def test_a_second_custodian_is_kept_out(tmp_path):
    async def main():
        spool = opened(tmp_path)
        with pytest.raises(ConfigError, match="in use"):
            opened(tmp_path)
        await spool.close()

    asyncio.run(main())


def test_damage_in_the_middle_costs_only_what_was_hit(tmp_path):
    async def main():
        spool = opened(tmp_path)
        ids = [await put(spool, ADA, body=b"body %d" % n * 100) for n in range(5)]
        kill(spool)
        (segment,) = (tmp_path / "spool" / "intake").iterdir()
        octets = bytearray(segment.read_bytes())
        octets[octets.index(b"body 2") + 50] ^= 0xFF
        segment.write_bytes(octets)
        words: list[str] = []
        spool = opened(tmp_path, report=words.append)
        assert list(await found(spool)) == [ids[0], ids[1], ids[3], ids[4]]
        assert "damaged" in words[0]
        assert [each.read_bytes() for each in (tmp_path / "spool" / "damaged").iterdir()] == [bytes(octets)]
        await spool.close()

    asyncio.run(main())


def test_a_torn_tail_is_no_damage(tmp_path):
    async def main():
        spool = opened(tmp_path)
        ids = [await put(spool, ADA, body=b"body %d" % n * 100) for n in range(3)]
        kill(spool)
        (segment,) = (tmp_path / "spool" / "intake").iterdir()
        segment.write_bytes(segment.read_bytes()[:-20])
        spool = opened(tmp_path)
        assert list(await found(spool)) == ids[:2]
        await spool.close()

    asyncio.run(main())


def test_a_lost_index_loses_no_mail(tmp_path):
    async def main():
        spool = opened(tmp_path)
        ids = [await put(spool, ADA), await put(spool, BOB, body=b"y" * 300_000)]
        await spool.close()
        (tmp_path / "spool" / "queue.db").write_bytes(b"nonsense" * 1000)
        words: list[str] = []
        spool = opened(tmp_path, report=words.append)
        assert "queue.db is damaged" in words[0]
        assert sorted(await found(spool)) == sorted(ids)
        assert await put(spool, ADA) not in ids
        await spool.close()

    asyncio.run(main())


class Full(PosixFileSystem):
    octets = 10 << 30

    def free(self, _path: str) -> tuple[int, int]:
        return self.octets, 1 << 20


def test_intake_refuses_while_the_reserve_is_still_there(tmp_path):
    async def main():
        disk, now = Full(), [1000.0]
        spool = opened(tmp_path, fs=disk, clock=lambda: now[0], reserve=100 << 20)
        qid = await put(spool, ADA)
        disk.octets = 99 << 20
        now[0] += 2
        with pytest.raises(Transient) as caught:
            spool.queue.begin()
        assert str(caught.value) == "452 4.3.1 Insufficient system storage"
        assert list(await found(spool)) == [qid]
        await spool.custody.settle([Done(qid, 0)])
        await spool.custody.flush()
        disk.octets = 10 << 30
        now[0] += 2
        await put(spool, ADA)
        await spool.close()

    asyncio.run(main())


class Failing(PosixFileSystem):
    """Breaks the intake segment's next sync or append."""

    fault = ""

    def create(self, path: str, mode: int = 0o600):
        file = super().create(path, mode)
        if "/intake/" not in path:
            return file
        disk = self

        class Broken:
            def __getattr__(self, name):
                if name == disk.fault:
                    raise OSError(errno.EIO if name == "datasync" else errno.ENOSPC, "broken")
                return getattr(file, name)

        return Broken()


@pytest.mark.parametrize(("fault", "words"), [("datasync", "451 4.3.0"), ("append", "452 4.3.1")])
def test_a_failing_sync_answers_4yz_and_a_new_segment_begins(tmp_path, fault, words):
    async def main():
        disk = Failing()
        spool = opened(tmp_path, fs=disk)
        first = await put(spool, ADA)
        disk.fault = fault
        results = await asyncio.gather(*(put(spool, BOB) for _ in range(3)), return_exceptions=True)
        assert all(isinstance(each, Transient) and str(each).startswith(words) for each in results)
        disk.fault = ""
        second = await put(spool, CAROL)
        assert sorted(await found(spool)) == sorted([first, second])
        await spool.custody.flush()
        kill(spool)
        spool = opened(tmp_path)
        assert sorted(await found(spool)) == sorted([first, second]), "the refused ones were cut off"
        await spool.close()

    asyncio.run(main())


def test_a_channel_that_is_gone_makes_no_promise(tmp_path):
    async def main():
        spool = opened(tmp_path)
        spool.queue._publish = lambda _batch: (_ for _ in ()).throw(BrokenPipeError())
        with pytest.raises(Transient):
            await put(spool, ADA, body=b"z" * 300_000)
        kill(spool)
        spool = opened(tmp_path)
        assert [body for _, body in (await found(spool)).values()] == [b"z" * 300_000], "whole, though not promised"
        await spool.close()

    asyncio.run(main())


def test_segment_heads_are_what_the_document_says(tmp_path):
    async def main():
        spool = opened(tmp_path)
        await put(spool, ADA)
        (segment,) = (tmp_path / "spool" / "intake").iterdir()
        magic, version, kind, flags, length, _log_id, lsn, _crc = struct.unpack_from("<4sBBHIQQI", segment.read_bytes())
        assert (magic, version, kind, flags, lsn) == (b"PFQ1", 1, 1, 1, 0)
        assert length < 100
        await spool.close()

    asyncio.run(main())
