"""One suite over every driver of the queue's seams: what all of them promise."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from penfold.model import Address, Envelope, Origin, QueueId, Recipient, Reply, Route, Transient
from penfold.queue.admin import QueueAdmin, Selection
from penfold.queue.base import Bodies, Custody, Done, Later, Queue, Replace
from penfold.queue.memory import MemoryAdmin, MemoryQueue
from penfold.queue.spool.spool import open_spool

ADA = Recipient(Address("ada", "example.test"))
BOB = Recipient(Address("bob", "example.test"), notify=2, orcpt="rfc822;bob@example.test")
CAROL = Recipient(Address("carol", "example.org"))
BUSY = Reply(451, "4.7.1", ("Try", "later"))


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Post:
    """A driver with all its faces."""

    queue: Queue
    custody: Custody
    bodies: Bodies
    admin: QueueAdmin
    clock: Clock
    close: Callable[[], Awaitable[None]]
    seen: list[Any] = field(default_factory=list)

    async def put(self, *recipients: Recipient, body: bytes = b"Hello\r\n", arrived: float = 1000.0, **more) -> QueueId:
        writer = self.queue.begin()
        writer.write(body)
        prefix = more.pop("prefix", b"")
        sender = more.pop("sender", Address("sender", "example.net"))
        envelope = Envelope(sender, arrived, 0, Origin("ESMTP", client="192.0.2.1"), **more)
        return await self.queue.accept(envelope, recipients, writer, prefix)

    async def depth(self) -> dict[str, int]:
        await self.custody.flush()
        return self.custody.depth()

    async def claim_all(self, now: float = 1000.0, limit: int = 100, closed=()) -> list[tuple[QueueId, int]]:
        claims = await self.custody.claim(now, limit, closed)
        self.seen.extend(claims)
        return [(claim.id, pending.number) for claim in claims for pending in claim.pending]


async def open_memory(_path) -> Post:
    clock = Clock()
    queue = MemoryQueue(clock=clock)

    async def close() -> None:
        return

    return Post(queue, queue, queue, MemoryAdmin(queue), clock, close)


async def open_posix_spool(path) -> Post:
    return spool_post(str(path / "spool"), threads=True)


async def open_inline_spool(path) -> Post:
    """Small window and segments, so that overflow and release happen all the time."""
    return spool_post(str(path / "spool"), threads=False, window=3, limit=2000)


def spool_post(root: str, **options: Any) -> Post:
    clock = Clock()
    troubles: list[str] = []
    spool = open_spool(root, clock=clock, report=troubles.append, **options)

    async def close() -> None:
        await spool.close()
        assert troubles == []

    return Post(spool.queue, spool.custody, spool.bodies, spool.admin, clock, close)


DRIVERS = {"memory": open_memory, "spool": open_posix_spool, "spool-inline": open_inline_spool}


@pytest.fixture(params=sorted(DRIVERS))
def run(request, tmp_path):
    """Run an async test body with a fresh driver."""

    def runner(body: Callable[[Post], Awaitable[None]]) -> None:
        async def main() -> None:
            post = await DRIVERS[request.param](tmp_path)
            try:
                await body(post)
            finally:
                await post.close()

        asyncio.run(main())

    return runner


def later(qid, number, due, lane="smtp:example.test", attempts=1, **more):
    return Later(qid, number, due, lane, attempts, **more)


def test_an_accepted_message_comes_out_with_its_envelope_recipients_and_body(run):
    async def body(post: Post) -> None:
        qid = await post.put(
            ADA, BOB, body=b"Subject: x\r\n\r\nhi\r\n", prefix=b"Received: y\r\n", smtputf8=True, envid="E"
        )
        (claim,) = await post.custody.claim(1000.0, 10)
        assert claim.id == qid
        assert claim.envelope.reverse_path == Address("sender", "example.net")
        assert claim.envelope.size == len(b"Received: y\r\nSubject: x\r\n\r\nhi\r\n")
        assert claim.envelope.smtputf8
        assert claim.envelope.envid == "E"
        assert [(p.number, p.recipient, p.attempts) for p in claim.pending] == [(0, ADA, 0), (1, BOB, 0)]
        assert post.bodies.open(claim.body).read() == b"Received: y\r\nSubject: x\r\n\r\nhi\r\n"

    run(body)


@pytest.mark.parametrize("size", [0, 1, 5000, 256 * 1024, 256 * 1024 + 1, 1_000_003])
def test_bodies_of_every_size_come_back_octet_for_octet(run, size):
    async def body(post: Post) -> None:
        data = bytes(n * 7 & 255 for n in range(997)) * (size // 997 + 1)
        writer = post.queue.begin()
        for start in range(0, size, 70_000):
            writer.write(data[start : min(start + 70_000, size)])
        assert writer.size == size
        await post.queue.accept(Envelope(None, 1000.0, size, Origin("local")), [ADA], writer, b"P: 1\r\n")
        (claim,) = await post.custody.claim(1000.0, 10)
        opened = post.bodies.open(claim.body)
        assert opened.size == claim.envelope.size == size + 6
        assert opened.read() == b"P: 1\r\n" + data[:size]
        pieces = list(opened.chunks(1000))
        assert b"".join(pieces) == b"P: 1\r\n" + data[:size]
        assert max(map(len, pieces)) <= 1000

    run(body)


def test_queue_ids_are_unique_and_known_before_the_body(run):
    async def body(post: Post) -> None:
        writers = [post.queue.begin() for _ in range(50)]
        ids = [await post.put(ADA) for _ in range(50)]
        assert len({*ids, *(writer.id for writer in writers)}) == 100
        for writer in writers:
            writer.abort()

    run(body)


def test_many_accepts_at_once_are_all_taken(run):
    async def body(post: Post) -> None:
        ids = await asyncio.gather(*(post.put(ADA, body=b"%d" % n) for n in range(200)))
        found = {}
        for claim in await post.custody.claim(1000.0, 1000):
            found[claim.id] = post.bodies.open(claim.body).read()
        assert found == {qid: b"%d" % n for n, qid in enumerate(ids)}

    run(body)


def test_an_aborted_body_leaves_nothing_and_may_be_aborted_again(run):
    async def body(post: Post) -> None:
        for size in (10, 400_000):
            writer = post.queue.begin()
            writer.write(b"x" * size)
            writer.abort()
            writer.abort()
        qid = await post.put(ADA, body=b"y" * 300_000)
        (claim,) = await post.custody.claim(1000.0, 10)
        assert claim.id == qid
        assert post.bodies.open(claim.body).read() == b"y" * 300_000

    run(body)


def test_abort_after_accept_is_harmless(run):
    async def body(post: Post) -> None:
        for size in (10, 400_000):
            writer = post.queue.begin()
            writer.write(b"x" * size)
            await post.queue.accept(Envelope(None, 1000.0, 0, Origin("local")), [ADA], writer)
            writer.abort()
            (claim,) = await post.custody.claim(1000.0, 10)
            assert post.bodies.open(claim.body).read() == b"x" * size

    run(body)


def test_what_is_claimed_is_not_claimed_again_until_abandoned(run):
    async def body(post: Post) -> None:
        qid = await post.put(ADA, BOB)
        assert await post.claim_all() == [(qid, 0), (qid, 1)]
        assert await post.claim_all() == []
        post.custody.abandon(post.seen)
        assert await post.claim_all() == [(qid, 0), (qid, 1)]

    run(body)


def test_limit_counts_recipients_and_the_rest_comes_next(run):
    async def body(post: Post) -> None:
        first = await post.put(ADA, BOB, CAROL)
        second = await post.put(ADA, arrived=1001.0)
        assert await post.claim_all(1001.0, limit=2) == [(first, 0), (first, 1)]
        assert await post.claim_all(1001.0, limit=2) == [(first, 2), (second, 0)]

    run(body)


def test_a_done_message_is_gone_with_its_body(run):
    async def body(post: Post) -> None:
        qid = await post.put(ADA, BOB)
        await post.claim_all()
        await post.custody.settle([Done(qid, 0)])
        assert (await post.depth())["messages"] == 1
        await post.custody.settle([Done(qid, 1), Done(qid, 1), Done(qid, 0)])
        await post.custody.settle([Done(qid, 1)])
        assert (await post.depth()) == {"ready": 0, "active": 0, "deferred": 0, "held": 0, "messages": 0}
        assert await post.claim_all() == []

    run(body)


def test_a_deferred_recipient_waits_for_its_due_time_and_remembers(run):
    async def body(post: Post) -> None:
        qid = await post.put(ADA, BOB)
        await post.claim_all()
        await post.custody.settle(
            [Done(qid, 0), later(qid, 1, 1060.0, attempts=3, reply=BUSY, remote="mx.example.test", warned=True)]
        )
        assert await post.claim_all(1059.9) == []
        assert (await post.depth()) == {"ready": 0, "active": 0, "deferred": 1, "held": 0, "messages": 1}
        (claim,) = await post.custody.claim(1060.0, 10)
        (pending,) = claim.pending
        assert (pending.number, pending.recipient, pending.attempts) == (1, BOB, 3)
        assert (pending.reply, pending.remote, pending.warned, pending.due) == (BUSY, "mx.example.test", True, 1060.0)
        assert post.bodies.open(claim.body).read() == b"Hello\r\n"

    run(body)


def test_what_is_due_at_once_can_be_claimed_at_once(run):
    async def body(post: Post) -> None:
        qid = await post.put(ADA)
        await post.claim_all()
        await post.custody.settle([later(qid, 0, 1000.0, attempts=0)])
        assert await post.claim_all(1000.0) == [(qid, 0)]

    run(body)


def test_oldest_due_comes_first_and_closed_lanes_wait(run):
    async def body(post: Post) -> None:
        ids = [await post.put(ADA, arrived=1000.0 + n) for n in range(4)]
        await post.claim_all(1010.0)
        dues = [1040.0, 1020.0, 1030.0, 1010.0]
        lanes = ["a", "b", "a", "c"]
        await post.custody.settle([later(qid, 0, due, lane) for qid, due, lane in zip(ids, dues, lanes, strict=True)])
        assert await post.claim_all(1050.0, limit=1) == [(ids[3], 0)]
        assert await post.claim_all(1050.0, closed={"a"}) == [(ids[1], 0)]
        assert await post.claim_all(1050.0, closed={"a"}) == []
        assert await post.claim_all(1050.0) == [(ids[2], 0), (ids[0], 0)]

    run(body)


def test_a_backlog_that_is_due_all_at_once_does_not_hold_up_fresh_mail(run):
    async def body(post: Post) -> None:
        old = [await post.put(ADA) for _ in range(6)]
        await post.claim_all()
        await post.custody.settle([later(qid, 0, 1100.0, "smtp:slow") for qid in old])
        fresh = [await post.put(ADA, arrived=1900.0) for _ in range(6)]
        first = [qid for qid, _ in await post.claim_all(2000.0, limit=4)]
        assert first[:2] == fresh[:2]
        assert set(first[2:]) < set(old)
        rest = [qid for qid, _ in await post.claim_all(2000.0)]
        assert sorted([*first, *rest]) == sorted([*old, *fresh])

    run(body)


def test_recipients_of_one_message_in_several_lanes_come_as_one_claim(run):
    async def body(post: Post) -> None:
        qid = await post.put(ADA, BOB, CAROL)
        await post.claim_all()
        await post.custody.settle([later(qid, 0, 1001, "a"), later(qid, 1, 1002, "b"), later(qid, 2, 1003, "c")])
        claims = await post.custody.claim(1010.0, 10)
        assert [[p.number for p in claim.pending] for claim in claims] == [[0, 1, 2]]
        await post.custody.settle([Done(qid, 1)])
        post.custody.abandon(claims)
        assert await post.claim_all(1010.0) == [(qid, 0), (qid, 2)]

    run(body)


def test_a_replaced_recipient_gives_way_to_new_numbers_ready_now(run):
    async def body(post: Post) -> None:
        qid = await post.put(ADA, BOB)
        await post.claim_all()
        dan = Recipient(Address("dan", "example.org"), original=ADA.address, parents=(ADA.address,))
        await post.custody.settle([Replace(qid, 0, (dan, CAROL))])
        (claim,) = await post.custody.claim(1000.0, 10)
        assert [(p.number, p.recipient) for p in claim.pending] == [(2, dan), (3, CAROL)]
        await post.custody.settle([Done(qid, 1), Done(qid, 2), Done(qid, 3)])
        assert (await post.depth())["messages"] == 0

    run(body)


@pytest.mark.parametrize("deferred", [False, True])
def test_a_replacement_that_is_a_recipient_already_is_dropped(run, deferred):
    async def body(post: Post) -> None:
        qid = await post.put(ADA, BOB, CAROL)
        await post.claim_all()
        now = 1000.0
        if deferred:
            await post.custody.settle([later(qid, n, 1010.0) for n in range(3)])
            assert len(await post.claim_all(1010.0)) == 3
            now = 1010.0
        await post.custody.settle([Done(qid, 1)])
        dan = Recipient(Address("dan", "example.org"))
        await post.custody.settle([Replace(qid, 0, (BOB, CAROL, dan, dan))])
        assert await post.claim_all(now) == [(qid, 3)]
        await post.custody.settle([Replace(qid, 3, (ADA,))])
        assert await post.claim_all(now) == [(qid, 4)], "ada was replaced, not served"
        await post.custody.settle([Replace(qid, 4, (BOB,)), Done(qid, 2)])
        assert (await post.depth())["messages"] == 0

    run(body)


def test_the_same_program_with_other_rights_is_another_recipient(run):
    async def body(post: Post) -> None:
        program = Recipient(Address("/bin/ticket", "|"), parents=(ADA.address,))
        qid = await post.put(ADA, BOB)
        await post.claim_all()
        await post.custody.settle([Replace(qid, 1, (msgspec.structs.replace(program, rights="bob"),))])
        await post.custody.settle([Replace(qid, 0, (program, program))])
        assert await post.claim_all() == [(qid, 2), (qid, 3)], "bob's .forward does not stand in the alias's way"

    run(body)


def test_an_address_may_expand_to_itself(run):
    async def body(post: Post) -> None:
        qid = await post.put(ADA)
        await post.claim_all()
        itself = Recipient(ADA.address, parents=(ADA.address,))
        await post.custody.settle([Replace(qid, 0, (itself, BOB))])
        assert await post.claim_all() == [(qid, 1), (qid, 2)]

    run(body)


def test_a_replacement_by_nobody_ends_custody(run):
    async def body(post: Post) -> None:
        qid = await post.put(ADA)
        await post.claim_all()
        await post.custody.settle([Replace(qid, 0, ())])
        assert (await post.depth())["messages"] == 0

    run(body)


def test_updates_for_what_is_not_claimed_or_unknown_are_ignored(run):
    async def body(post: Post) -> None:
        qid = await post.put(ADA)
        await post.custody.settle([Done(qid, 0), Done(qid, 7), Done(QueueId("X0000010000Z"), 0)])
        assert await post.claim_all() == [(qid, 0)]
        await post.custody.settle([Done(qid, 7), later(qid, 0, 2000.0)])
        await post.custody.settle([Done(qid, 0)])
        assert await post.claim_all(2000.0) == [(qid, 0)]

    run(body)


def test_wait_returns_for_new_mail_and_for_a_due_time(run):
    async def body(post: Post) -> None:
        assert await post.claim_all() == []
        waiter = asyncio.ensure_future(post.custody.wait(1000.0))
        await asyncio.sleep(0)
        assert not waiter.done()
        qid = await post.put(ADA)
        await asyncio.wait_for(waiter, 5)
        assert await post.claim_all() == [(qid, 0)]
        await post.custody.settle([later(qid, 0, 1000.02)])
        await post.claim_all()
        await asyncio.wait_for(post.custody.wait(1000.0), 5)
        assert await post.claim_all(1000.02) == [(qid, 0)]

    run(body)


def test_wait_does_not_return_for_a_lane_left_closed(run):
    async def body(post: Post) -> None:
        qid = await post.put(ADA)
        await post.claim_all()
        await post.custody.settle([later(qid, 0, 1001.0, "a")])
        assert await post.claim_all(1002.0, closed={"a"}) == []
        waiter = asyncio.ensure_future(post.custody.wait(1002.0, {"a"}))
        for _ in range(20):
            await asyncio.sleep(0)
        assert not waiter.done()
        await post.put(BOB)
        await asyncio.wait_for(waiter, 5)

    run(body)


def test_depth_counts_by_state(run):
    async def body(post: Post) -> None:
        first = await post.put(ADA, BOB)
        await post.claim_all()
        await post.custody.settle([later(first, 0, 2000.0)])
        second = await post.put(CAROL)
        third = await post.put(ADA)
        assert await post.admin.hold(Selection(ids=(third,))) == 1
        assert (await post.depth()) == {"ready": 1, "active": 1, "deferred": 1, "held": 1, "messages": 3}
        assert await post.claim_all() == [(second, 0)]

    run(body)


def test_held_mail_is_never_claimed_until_released(run):
    async def body(post: Post) -> None:
        qid = await post.put(ADA)
        other = await post.put(BOB)
        assert await post.admin.hold(Selection(recipient="ada@*")) == 1
        assert await post.admin.hold(Selection(recipient="ada@*")) == 0
        assert await post.claim_all() == [(other, 0)]
        await post.custody.settle([later(other, 0, 1050.0)])
        assert await post.admin.hold(Selection(lane="smtp:example.test")) == 1
        assert await post.claim_all(2000.0) == []
        assert await post.admin.release(Selection(states=("held",))) == 2
        assert sorted(await post.claim_all(2000.0)) == [(qid, 0), (other, 0)]

    run(body)


def test_a_hold_during_delivery_takes_effect_after_the_attempt(run):
    async def body(post: Post) -> None:
        qid = await post.put(ADA, BOB, CAROL)
        await post.claim_all()
        assert await post.admin.hold(Selection(ids=(qid,))) == 3
        await post.custody.settle([Done(qid, 0), later(qid, 1, 1001.0)])
        post.custody.abandon(post.seen)
        assert await post.claim_all(3000.0) == []
        lines = await post.admin.select(Selection(ids=(qid,)))
        assert [(line.number, line.state) for line in lines] == [(1, "held"), (2, "held")]
        assert await post.admin.release(Selection(ids=(qid,))) == 2
        assert sorted(await post.claim_all(3000.0)) == [(qid, 1), (qid, 2)]

    run(body)


def test_delete_ends_custody_also_of_what_is_being_delivered(run):
    async def body(post: Post) -> None:
        active = await post.put(ADA, BOB)
        await post.claim_all()
        fresh = await post.put(CAROL)
        deferred = await post.put(CAROL, arrived=1000.5)
        assert await post.claim_all(1001.0) == [(fresh, 0), (deferred, 0)]
        post.custody.abandon(post.seen[1:2])
        await post.custody.settle([later(deferred, 0, 5000.0)])
        assert await post.admin.delete(Selection()) == 4
        assert await post.claim_all(9000.0) == []
        assert (await post.depth())["messages"] == 1, "one is being delivered"
        await post.custody.settle([later(active, 0, 5000.0), Replace(active, 1, (CAROL,))])
        assert (await post.depth()) == {"ready": 0, "active": 0, "deferred": 0, "held": 0, "messages": 0}

    run(body)


def test_flush_makes_deferred_mail_due(run):
    async def body(post: Post) -> None:
        ids = [await post.put(ADA), await post.put(CAROL)]
        await post.claim_all()
        await post.custody.settle([later(ids[0], 0, 5000.0, "a"), later(ids[1], 0, 5000.0, "b")])
        assert await post.claim_all(1000.0) == []
        assert await post.admin.flush(Selection(domain="EXAMPLE.org")) == 1
        assert await post.claim_all(1000.0) == [(ids[1], 0)]
        assert await post.admin.flush(Selection()) == 1
        assert await post.claim_all(1000.0) == [(ids[0], 0)]

    run(body)


def test_reroute_is_told_with_the_claim_and_stays(run):
    async def body(post: Post) -> None:
        qid = await post.put(ADA)
        await post.claim_all()
        await post.custody.settle([later(qid, 0, 5000.0, "smtp:dead.example")])
        route = Route("smtp", "[smart.example]:25", "")
        assert await post.admin.reroute(Selection(lane="smtp:dead.example"), route) == 1
        (claim,) = await post.custody.claim(1000.0, 10)
        assert claim.pending[0].route == route
        assert claim.pending[0].attempts == 1
        await post.custody.settle([later(qid, 0, 1001.0, "smtp:smart.example", 2)])
        (claim,) = await post.custody.claim(1001.0, 10)
        assert claim.pending[0].route == route
        assert await post.admin.reroute(Selection(), None) == 0, "it is being delivered"
        await post.custody.settle([later(qid, 0, 5000.0, "smtp:smart.example", 2)])
        assert await post.admin.reroute(Selection(), None) == 1
        (claim,) = await post.custody.claim(1001.0, 10)
        assert claim.pending[0].route is None

    run(body)


def test_edit_puts_other_addresses_in_place(run):
    async def body(post: Post) -> None:
        qid = await post.put(BOB, ADA)
        dan, eve = Address("dan", "example.org"), Address("eve", "example.org")
        assert await post.admin.edit(qid, 0, [dan, eve, ADA.address]) == 2
        assert await post.admin.edit(qid, 0, [dan]) == 0
        assert await post.admin.edit(qid, 9, [dan]) == 0
        assert await post.admin.edit(QueueId("none"), 0, [dan]) == 0
        (claim,) = await post.custody.claim(1000.0, 10)
        assert [(p.number, p.recipient.address) for p in claim.pending] == [(1, ADA.address), (2, dan), (3, eve)]
        assert claim.pending[1].recipient.orcpt == BOB.orcpt
        assert claim.pending[1].recipient.original == BOB.address
        assert await post.admin.edit(qid, 2, [ADA.address]) == 0, "it is being delivered"

    run(body)


def test_edit_of_held_mail_keeps_it_held(run):
    async def body(post: Post) -> None:
        qid = await post.put(BOB)
        await post.admin.hold(Selection())
        assert await post.admin.edit(qid, 0, [CAROL.address]) == 1
        assert await post.claim_all() == []
        assert [line.recipient for line in await post.admin.select(Selection(states=("held",)))] == [
            "carol@example.org"
        ]

    run(body)


SELECTIONS = [
    (Selection(), "abcd"),
    (Selection(sender="*@EXAMPLE.net"), "abd"),
    (Selection(sender="<>"), "c"),
    (Selection(recipient="ad?@example.test"), "a"),
    (Selection(domain="example.org"), "c"),
    (Selection(lane="lane-b"), "b"),
    (Selection(states=("deferred",)), "b"),
    (Selection(states=("ready",)), "cd"),
    (Selection(states=("active", "held")), "a"),
    (Selection(older=95), "a"),
    (Selection(younger=85), "cd"),
    (Selection(larger=1000), "d"),
    (Selection(smaller=999), "abc"),
    (Selection(sender="*@example.net", states=("ready",)), "d"),
    (Selection(ids=("nonsense",)), ""),
]


@pytest.mark.parametrize(("selection", "expected"), SELECTIONS)
def test_select_by_every_field(run, selection, expected):
    async def body(post: Post) -> None:
        ids = {"a": await post.put(ADA), "b": await post.put(BOB, arrived=1010.0)}
        await post.claim_all(1020.0)
        await post.custody.settle([later(ids["b"], 0, 5000.0, "lane-b")])
        ids["c"] = await post.put(CAROL, arrived=1020.0, sender=None)
        ids["d"] = await post.put(Recipient(Address("dan", "x.test")), arrived=1030.0, body=b"x" * 1000)
        post.clock.now = 1100.0
        found = await post.admin.select(selection)
        assert [line.id for line in found] == [ids[name] for name in expected]
        if expected == "abcd":
            assert [line.state for line in found] == ["active", "deferred", "ready", "ready"]
            assert len(await post.admin.select(selection, 2)) == 2

    run(body)


def test_listings_are_json(run):
    async def body(post: Post) -> None:
        qid = await post.put(BOB, sender=None)
        await post.claim_all()
        await post.custody.settle([later(qid, 0, 5000.0, reply=BUSY)])
        (line,) = await post.admin.select(Selection())
        told = msgspec.json.decode(msgspec.json.encode(line))
        assert told["recipient"] == "bob@example.test"
        assert told["sender"] == "<>"
        assert told["due"] == 5000.0
        shown = await post.admin.show(qid)
        assert shown is not None
        assert msgspec.json.decode(msgspec.json.encode(shown))["id"] == qid
        assert await post.admin.show(QueueId("none")) is None

    run(body)


def test_show_tells_every_recipient(run):
    async def body(post: Post) -> None:
        qid = await post.put(ADA, BOB)
        await post.claim_all()
        await post.custody.settle([Done(qid, 0), later(qid, 1, 5000.0)])
        shown = await post.admin.show(qid)
        assert shown is not None
        assert [(line.number, line.state) for line in shown.recipients] == [(0, "done"), (1, "deferred")]
        assert post.bodies.open(shown.body).read() == b"Hello\r\n"

    run(body)


def test_a_body_of_a_message_gone_is_not_found(run):
    async def body(post: Post) -> None:
        await post.put(ADA, body=b"x" * 300_000)
        (claim,) = await post.custody.claim(1000.0, 10)
        await post.custody.settle([Done(claim.id, 0)])
        await post.custody.flush()
        with pytest.raises(FileNotFoundError):
            post.bodies.open(claim.body)

    run(body)


def test_a_full_memory_queue_refuses_with_452():
    async def main() -> None:
        queue = MemoryQueue(capacity=10)
        writer = queue.begin()
        writer.write(b"0123456789")
        with pytest.raises(Transient):
            writer.write(b"x")
        await queue.accept(Envelope(None, 1000.0, 0, Origin("local")), [ADA], writer)
        with pytest.raises(Transient) as caught:
            queue.begin()
        assert str(caught.value) == "452 4.3.1 Insufficient system storage"
        await queue.claim(1000.0, 1)
        await queue.settle([Done(writer.id, 0)])
        queue.begin()

    asyncio.run(main())
