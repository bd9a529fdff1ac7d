"""The lines between roles: the same seams over a socket, and what happens when an end dies."""

import asyncio
import socket

import pytest

from penfold.directory.authenticator import BUSY, Granted, Refused, ScramAccount
from penfold.fs.posix import PosixFileSystem
from penfold.model import (
    Address,
    BodyRef,
    Delivered,
    Envelope,
    Job,
    Origin,
    QueueId,
    Recipient,
    Reply,
    Route,
    Settlement,
    Target,
    Transient,
)
from penfold.protocols.sasl.base import Verifier
from penfold.queue.spool.spool import open_spool
from penfold.queue.spool.writer import IntakeWriter
from penfold.service.lines.delivery import CarryingLine, DeliveryLine, LocalMailer, PassedBodies
from penfold.service.lines.intake import IntakeLine, QueueLine
from penfold.service.lines.login import LoginClient, LoginLine
from penfold.service.lines.sending import SendDesk, SharedMailer

ENVELOPE = Envelope(Address("s", "example.org"), 1.0, 0, Origin("ESMTP"))
RECIPIENTS = (Recipient(Address("r", "example.test")),)


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in another thread or end
            await asyncio.sleep(0.001)


class Custody:
    """A spool and its ends of lines."""

    def __init__(self, root):
        self.spool = open_spool(str(root), worker="Z")
        self.recorded, self.lines = [], []

    def join(self, queue_line):
        ours, theirs = socket.socketpair()
        worker = f"A{len(self.lines)}"
        line = IntakeLine(ours, self.spool.custody, worker=worker, record=self.recorded.append)
        queue_line.join(theirs)
        self.lines.append(line)
        return line

    async def close(self):
        for line in self.lines:
            await line.close()
        await self.spool.close()

    async def claimed(self):
        return [claim.id for claim in await self.spool.custody.claim(2.0, 100)]


async def accept(queue, octets=b"Subject: x\r\n\r\nbody\r\n"):
    body = queue.begin()
    body.write(octets)
    return await queue.accept(ENVELOPE, RECIPIENTS, body)


async def begun(queue):
    """Wait until the queue can take mail."""
    async with asyncio.timeout(10):
        while True:
            try:
                return queue.begin()
            except Transient:
                await asyncio.sleep(0.001)


def test_what_one_process_accepts_the_other_has_in_custody(tmp_path):
    async def scenario():
        custody, queue = Custody(tmp_path / "spool"), QueueLine("A")
        custody.join(queue)
        await begun(queue)
        small = await accept(queue)
        large = await accept(queue, b"x" * 300_000)
        await until(lambda: custody.spool.custody.depth()["ready"] == 2)
        claims = {claim.id: claim for claim in await custody.spool.custody.claim(2.0, 10)}
        sizes = [custody.spool.bodies.open(claims[id_].body).size for id_ in (small, large)]
        await queue.close()
        await custody.close()
        return sizes

    assert asyncio.run(scenario()) == [20, 300_000]


def test_without_a_queue_mail_is_not_accepted(tmp_path):
    async def scenario():
        queue = QueueLine("A")
        with pytest.raises(Transient) as error:
            queue.begin()
        return error.value.reply.code

    assert asyncio.run(scenario()) == 451


def test_a_queue_that_is_gone_is_noticed_before_the_client_is_answered(tmp_path):
    async def scenario():
        custody, queue = Custody(tmp_path / "spool"), QueueLine("A")
        line = custody.join(queue)
        body = await begun(queue)
        body.write(b"A: b\r\n\r\n")
        line._channel.close()  # the other end has not seen it yet when the message is committed
        with pytest.raises(Transient):
            await queue.accept(ENVELOPE, RECIPIENTS, body)
        await queue.close()
        await custody.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("told", [True, False], ids=["told", "cut"])
def test_between_two_queues_mail_is_begun_and_waits_for_the_next(tmp_path, told):
    async def scenario():
        custody, queue = Custody(tmp_path / "spool"), QueueLine("A")
        line = custody.join(queue)
        before = await begun(queue)
        before.write(b"A: before\r\n\r\n")
        if told:
            await line.close()
        else:
            line._channel.close()
        await until(lambda: not queue.ready)
        between = queue.begin()
        between.write(b"A: between\r\n\r\n")
        waiting = [asyncio.create_task(queue.accept(ENVELOPE, RECIPIENTS, body)) for body in (before, between)]
        await asyncio.sleep(0)
        assert not any(task.done() for task in waiting)
        custody.join(queue)
        accepted = await asyncio.gather(*waiting)
        await until(lambda: custody.spool.custody.depth()["ready"] == 2)
        claimed = await custody.claimed()
        await queue.close()
        await custody.close()
        return accepted, claimed, [before.id, between.id]

    accepted, claimed, ids = asyncio.run(scenario())
    assert accepted == claimed == ids


def test_a_queue_that_says_it_ends_gets_all_that_was_synced(tmp_path):
    async def scenario():
        custody, queue = Custody(tmp_path / "spool"), QueueLine("A")
        line = custody.join(queue)
        await begun(queue)
        waiting = [asyncio.create_task(accept(queue)) for _ in range(20)]
        await asyncio.sleep(0)
        await line.close()
        accepted = await asyncio.gather(*waiting)
        await queue.close()
        claimed = await custody.claimed()
        await custody.close()
        return accepted, claimed

    accepted, claimed = asyncio.run(scenario())
    assert sorted(accepted) == sorted(claimed)


def test_a_body_in_a_file_of_one_queue_is_not_accepted_by_the_next(tmp_path):
    async def scenario():
        custody, queue = Custody(tmp_path / "spool"), QueueLine("A")
        custody.join(queue)
        old = await begun(queue)
        await until(lambda: queue._stock._bodies)
        old.write(b"y" * 300_000)
        custody.join(queue)
        await begun(queue)
        with pytest.raises(Transient):
            await queue.accept(ENVELOPE, RECIPIENTS, old)
        after = await accept(queue)
        await until(lambda: custody.spool.custody.depth()["ready"] == 1)
        claimed = await custody.claimed()
        await queue.close()
        await custody.close()
        return after, claimed

    after, claimed = asyncio.run(scenario())
    assert claimed == [after]


def test_what_a_dead_receiver_had_synced_and_not_told_is_taken_over(tmp_path):
    async def scenario():
        custody, queue = Custody(tmp_path / "spool"), QueueLine("A")
        custody.join(queue)
        await begun(queue)
        told = await accept(queue)
        # The rest is synced to the same segment, and the process dies before it tells.
        silent = IntakeWriter(queue._stock, lambda batch: None, queue._writer._keeper, worker="A")
        silent._segment, queue._writer._segment = queue._writer._segment, None
        silent._id_segment = queue._writer._id_segment
        silent._count = queue._writer._count
        untold = await accept(silent)
        queue._channel._sock.shutdown(socket.SHUT_RDWR)
        await until(lambda: custody.spool.custody.depth()["ready"] == 2)
        claimed = await custody.claimed()
        await queue.close()
        await custody.close()
        return told, untold, claimed

    told, untold, claimed = asyncio.run(scenario())
    assert sorted(claimed) == sorted([told, untold])


def test_mail_is_refused_before_the_disk_is_full_also_between_two_words_about_it(tmp_path):
    async def scenario():
        custody, queue = Custody(tmp_path / "spool"), QueueLine("A")
        line = custody.join(queue)
        await begun(queue)
        line.say_room(50)
        await until(lambda: queue._left == 50)
        await accept(queue)
        await accept(queue)
        with pytest.raises(Transient) as full:
            await accept(queue)
        with pytest.raises(Transient):
            queue.begin()
        line.say_room(1000)
        await until(lambda: queue._left == 1000)
        await accept(queue)
        await queue.close()
        await custody.close()
        return str(full.value.reply)

    assert asyncio.run(scenario()).startswith("452 4.3.1")


def test_a_segment_that_is_gone_is_let_go_by_whoever_reads_it(spool_files):
    async def scenario():
        mailer = LocalMailer("local", PosixFileSystem(), str(spool_files))
        other = Deliveries(mailer)
        await collect(mailer, [job(1, "ada", BodyRef("intake/00000001.seg", 0, 3))])
        held = len(other.bodies._files)
        mailer.forget(["intake/00000001.seg", "intake/00000009.seg"])
        await until(lambda: not other.bodies._files)
        again = await collect(mailer, [job(2, "ada", BodyRef("intake/00000001.seg", 0, 3))])
        await other.close()
        mailer.close()
        return held, len(again)

    assert asyncio.run(scenario()) == (1, 1)


def test_event_lines_of_a_role_without_files_reach_the_log(tmp_path):
    async def scenario():
        custody, queue = Custody(tmp_path / "spool"), QueueLine("A")
        custody.join(queue)
        await begun(queue)
        assert queue.record(b'{"kind":"x"}\n')
        await until(lambda: custody.recorded)
        await queue.close()
        await custody.close()
        return custody.recorded

    assert asyncio.run(scenario()) == [b'{"kind":"x"}\n']


def job(number, account, ref):
    target = Target(0, Recipient(Address(account, "example.test")), Route("local", "", account))
    return Job(QueueId(f"A{number}"), ENVELOPE, ref, (target,))


class Deliveries:
    """The delivering end with an agent that reads the bodies it gets."""

    def __init__(self, mailer, place=1):
        from concurrent.futures import ThreadPoolExecutor

        self.bodies, self.read, self.pool = PassedBodies(), {}, ThreadPoolExecutor(1)
        ours, theirs = socket.socketpair()
        mailer.join(place, ours)
        self.line = DeliveryLine(theirs, self.bodies, self.deliver, self.pool)

    def deliver(self, jobs, *_):
        settled = []
        for each in jobs:
            self.read[each.id] = self.bodies.open(each.body).read()
            settled += [
                Settlement(each.id, target.number, Delivered(Reply.of(250, "2.1.5", "ok"))) for target in each.targets
            ]
        return settled

    async def close(self):
        await self.line.close()
        self.pool.shutdown()


@pytest.fixture
def spool_files(tmp_path):
    (tmp_path / "intake").mkdir()
    (tmp_path / "body").mkdir()
    (tmp_path / "intake" / "00000001.seg").write_bytes(b"onetwo")
    (tmp_path / "body" / "00000002").write_bytes(b"three")
    return tmp_path


def test_jobs_travel_with_the_descriptors_of_their_bodies(spool_files):
    async def scenario():
        mailer = LocalMailer("local", PosixFileSystem(), str(spool_files))
        other = Deliveries(mailer)
        jobs = [
            job(1, "ada", BodyRef("intake/00000001.seg", 0, 3)),
            job(2, "bob", BodyRef("intake/00000001.seg", 3, 3, b"P: 1\r\n")),
            job(3, "cy", BodyRef("body/00000002", 0, 5)),
        ]
        settled = [settlement async for settlement in mailer.deliver(jobs)]
        again = [settlement async for settlement in mailer.deliver(jobs[2:])]
        await other.close()
        mailer.close()
        return settled + again, other.read

    settled, read = asyncio.run(scenario())
    assert len(settled) == 4
    assert read == {"A1": b"one", "A2": b"P: 1\r\ntwo", "A3": b"three"}


def test_a_job_whose_body_is_gone_is_left_unsettled(spool_files):
    async def scenario():
        mailer = LocalMailer("local", PosixFileSystem(), str(spool_files))
        other = Deliveries(mailer)
        jobs = [job(1, "ada", BodyRef("intake/00000001.seg", 0, 3)), job(2, "bob", BodyRef("body/none", 0, 1))]
        settled = [settlement.id async for settlement in mailer.deliver(jobs)]
        await other.close()
        mailer.close()
        return settled

    assert asyncio.run(scenario()) == ["A1"]


def test_without_a_delivering_process_mail_waits(spool_files):
    async def scenario():
        mailer = LocalMailer("local", PosixFileSystem(), str(spool_files))
        return [s.outcome async for s in mailer.deliver([job(1, "ada", BodyRef("intake/00000001.seg", 0, 3))])]

    (outcome,) = asyncio.run(scenario())
    assert outcome.reply.code == 451


def test_a_delivering_process_that_dies_leaves_its_jobs_unsettled(spool_files):
    async def scenario():
        mailer = LocalMailer("local", PosixFileSystem(), str(spool_files))
        ours, theirs = socket.socketpair()
        mailer.join(1, ours)
        call = asyncio.ensure_future(collect(mailer, [job(1, "ada", BodyRef("intake/00000001.seg", 0, 3))]))
        await asyncio.sleep(0)
        theirs.close()
        settled = await call
        mailer.close()
        return settled

    assert asyncio.run(scenario()) == []


async def collect(mailer, jobs):
    return [settlement async for settlement in mailer.deliver(jobs)]


def test_with_two_processes_an_account_always_goes_to_the_same_one(spool_files):
    async def scenario():
        mailer = LocalMailer("local", PosixFileSystem(), str(spool_files))
        others = [Deliveries(mailer, place) for place in (1, 2)]
        ref = BodyRef("intake/00000001.seg", 0, 3)
        jobs = [job(n, f"u{n % 10}", ref) for n in range(40)]
        settled = await collect(mailer, jobs)
        seen = [{int(id_[1:]) % 10 for id_ in other.read} for other in others]
        for other in others:
            await other.close()
        mailer.close()
        return len(settled), seen

    count, (first, second) = asyncio.run(scenario())
    assert count == 40
    assert first
    assert second
    assert not first & second


class Judge:
    def __init__(self):
        self.heard = []

    async def password(self, user, password, client):
        return Granted(user) if password == "right" else Refused(Reply.of(535, "5.7.8", "no"))

    async def scram(self, user, client):
        return ScramAccount(user, Verifier(b"salt", 4096, b"s", b"k", True))

    def outcome(self, user, client, *, good):
        self.heard.append((user, client, good))


def test_log_ins_are_judged_in_another_process():
    async def scenario():
        client, judge = LoginClient(), Judge()
        before = await client.password("ada", "right", "192.0.2.1")
        ours, theirs = socket.socketpair()
        client.join(ours)
        line = LoginLine(theirs, judge)
        answers = [await client.password("ada", word, "192.0.2.1") for word in ("right", "wrong")]
        answers.append(await client.scram("ada", "192.0.2.1"))
        client.outcome("ada", "192.0.2.1", good=False)
        await until(lambda: judge.heard)
        line.close()
        after = await client.password("ada", "right", "192.0.2.1")
        client._channel.close()
        return before, answers, judge.heard, after

    before, answers, heard, after = asyncio.run(scenario())
    assert before == after == Refused(BUSY)
    assert [type(answer) for answer in answers] == [Granted, Refused, ScramAccount]
    assert heard == [("ada", "192.0.2.1", False)]


class AtHome:
    name = "smtp"

    def __init__(self):
        self.carried = []

    def lane(self, route):
        return f"smtp:{route.host}"

    async def deliver(self, jobs):
        self.carried += [each.id for each in jobs]
        for each in jobs:
            yield Settlement(each.id, 0, Delivered(Reply.of(250, "2.0.0", "home")))


def abroad(number, host):
    target = Target(0, Recipient(Address("x", host)), Route("smtp", host, f"x@{host}"))
    return Job(QueueId(f"A{number}"), ENVELOPE, BodyRef("intake/00000001.seg", 0, 3), (target,))


def test_mail_for_one_next_hop_always_goes_to_the_same_sending_process_and_home_without_one(spool_files):
    async def scenario():
        home, desk = AtHome(), SendDesk(PosixFileSystem(), str(spool_files))
        mailer = SharedMailer(home, desk)
        alone = await collect(mailer, [abroad(0, "a.example")])
        seen = ({}, {})
        lines = []
        for place in (0, 1):
            ours, theirs = socket.socketpair()
            desk.join(place, ours)

            async def carry(jobs, mine=seen[place]):
                for each in jobs:
                    mine.setdefault(each.targets[0].route.host, []).append(each.id)
                return [Settlement(each.id, 0, Delivered(Reply.of(250, "2.0.0", "abroad"))) for each in jobs]

            lines.append(CarryingLine(theirs, PassedBodies(), carry))
        settled = []
        for number in range(40):
            settled += await collect(mailer, [abroad(number, f"h{number % 10}.example")])
        for line in lines:
            await line.close()
        await until(lambda: desk.line_for("any") is None)
        after = await collect(mailer, [abroad(99, "a.example")])
        return alone, settled, seen, home.carried, after

    alone, settled, (first, second), at_home, after = asyncio.run(scenario())
    assert len(alone) == len(after) == 1
    assert at_home == ["A0", "A99"]
    assert len(settled) == 40
    assert first
    assert second
    assert not set(first) & set(second)
    assert sorted(map(len, [*first.values(), *second.values()])) == [4] * 10
