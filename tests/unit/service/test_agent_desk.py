"""The queue's desk of agents: one for each user and kind, bounded, and what happens when one dies."""

import asyncio
import socket

import pytest

from penfold.fs.posix import PosixFileSystem
from penfold.model import (
    Address,
    BodyRef,
    Deferred,
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
)
from penfold.service.lines import agents
from penfold.service.lines.agents import AgentDesk, AgentMailer
from penfold.service.lines.delivery import DeliveryLine, PassedBodies, Settled
from penfold.service.lines.execute import Answer, Kind, Said
from penfold.service.roles.execute import RequestLine

DONE = Reply.of(250, "2.0.0", "Done")


def job(login, number=0, mailer="unix", host="", file=""):
    recipient = Recipient(Address(login, "example.test"))
    target = Target(number, recipient, Route(mailer, host, login))
    return Job(QueueId(f"A{number}"), Envelope(None, 0.0, 1, Origin("ESMTP")), BodyRef(file, 0, 1), (target,))


class Exec:
    """Role exec in hand: agents are lines in this process."""

    def __init__(self, desk, said=Said.STARTED):
        ours, theirs = socket.socketpair()
        self.said = said
        self.asked, self.lines, self.batches = [], [], []
        self.began = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self._line = RequestLine(theirs)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(theirs.fileno(), self._readable)
        desk.join(0, ours)

    def _readable(self):
        try:
            heard = self._line.receive()
        except ConnectionError:
            self.close()
            return
        if heard is None:
            return
        request, descriptor = heard
        self.asked.append((request.kind, request.login))
        sock = socket.socket(fileno=descriptor)
        if self.said is Said.STARTED:
            self.lines.append(DeliveryLine(sock, PassedBodies(), self._deliver, None))
            self.lines[-1]._work = self._work(self.lines[-1])
        else:
            sock.close()
        self._line.answer(Answer(self.said, request.serial))

    def _work(self, line):
        async def work(serial, jobs):
            self.batches.append([each.id for each in jobs])
            self.began.set()
            await self.gate.wait()
            settled = [Settlement(each.id, each.targets[0].number, Delivered(DONE)) for each in jobs]
            line._channel.answer(serial, Settled(tuple(settled)))

        return work

    def _deliver(self, jobs):
        raise AssertionError("not here")

    def close(self):
        if self._line.sock.fileno() >= 0:
            self._loop.remove_reader(self._line.sock.fileno())
            self._line.sock.close()


@pytest.fixture
def spool(tmp_path):
    (tmp_path / "x.seg").write_bytes(b"x")
    return str(tmp_path)


def run(main):
    async def guarded():
        async with asyncio.timeout(20):
            await main()

    asyncio.run(guarded())


async def settle(mailer, *jobs):
    return [settlement async for settlement in mailer.deliver(jobs)]


def test_batches_of_one_user_go_to_one_agent_and_those_of_another_to_another(spool):
    async def main():
        desk = AgentDesk(PosixFileSystem(), spool, patience=5.0)
        role = Exec(desk)
        mailer = AgentMailer("unix", desk, "games")
        jobs = [job("ann", 1, file="x.seg"), job("bob", 2, file="x.seg"), job("ann", 3, file="x.seg")]
        settled = await settle(mailer, *jobs)
        settled += await settle(mailer, job("ann", 4, file="x.seg"))
        assert sorted(each.number for each in settled) == [1, 2, 3, 4]
        assert sorted(role.asked) == [(Kind.MAILBOX, "ann"), (Kind.MAILBOX, "bob")]
        assert sorted(map(len, role.batches)) == [1, 1, 2]
        desk.close()
        role.close()

    run(main)


def test_programs_are_a_call_each_under_the_user_named_or_the_default(spool):
    async def main():
        desk = AgentDesk(PosixFileSystem(), spool, patience=5.0)
        role = Exec(desk)
        mailer = AgentMailer("pipe", desk, "games")
        jobs = [job("cmd", n, "pipe", host, "x.seg") for n, host in enumerate(["ann", "", ""])]
        assert len(await settle(mailer, *jobs)) == 3
        assert sorted(role.asked) == [(Kind.PROGRAM, "ann"), (Kind.PROGRAM, "games")]
        assert sorted(map(len, role.batches)) == [1, 1, 1]
        desk.close()
        role.close()

    run(main)


@pytest.mark.parametrize(
    ("said", "status"), [(Said.NOT_ALLOWED, "4.3.5"), (Said.BUSY, "4.3.2"), (Said.CANNOT, "4.3.0")]
)
def test_a_refused_agent_defers_the_batch(spool, said, status):
    async def main():
        desk = AgentDesk(PosixFileSystem(), spool, patience=5.0)
        role = Exec(desk, said)
        [settlement] = await settle(AgentMailer("unix", desk, "games"), job("ann", 1, file="x.seg"))
        assert isinstance(settlement.outcome, Deferred)
        assert settlement.outcome.reply.status == status
        desk.close()
        role.close()

    run(main)


def test_without_role_exec_mail_waits(spool):
    async def main():
        desk = AgentDesk(PosixFileSystem(), spool, patience=5.0)
        [settlement] = await settle(AgentMailer("unix", desk, "games"), job("ann", 1, file="x.seg"))
        assert "not running" in settlement.outcome.reply.text

    run(main)


def test_an_agent_that_dies_defers_its_batch_and_the_next_gets_a_new_one(spool):
    async def main():
        desk = AgentDesk(PosixFileSystem(), spool, patience=5.0)
        role = Exec(desk)
        role.gate.clear()
        mailer = AgentMailer("unix", desk, "games")
        waiting = asyncio.ensure_future(settle(mailer, job("ann", 1, file="x.seg")))
        await role.began.wait()
        role.lines[0]._channel.close()
        [settlement] = await waiting
        assert settlement.outcome.reply.text == "The delivery agent died"
        role.gate.set()
        [settlement] = await settle(mailer, job("ann", 1, file="x.seg"))
        assert isinstance(settlement.outcome, Delivered)
        assert len(role.asked) == 2
        desk.close()
        role.close()

    run(main)


def test_an_agent_that_does_not_answer_in_time_defers_its_batch(spool):
    async def main():
        desk = AgentDesk(PosixFileSystem(), spool, patience=0.05)
        role = Exec(desk)
        role.gate.clear()
        [settlement] = await settle(AgentMailer("unix", desk, "games"), job("ann", 1, file="x.seg"))
        assert "did not answer in time" in settlement.outcome.reply.text
        desk.close()
        role.close()

    run(main)


def test_there_are_never_more_agents_than_agreed_and_idle_ones_give_way(spool):
    async def main():
        desk = AgentDesk(PosixFileSystem(), spool, patience=5.0, most=2)
        role = Exec(desk)
        role.gate.clear()
        mailer = AgentMailer("unix", desk, "games")
        jobs = [job(f"user{n}", n, file="x.seg") for n in range(5)]
        waiting = asyncio.ensure_future(settle(mailer, *jobs))
        await role.began.wait()
        for _ in range(200):
            await asyncio.sleep(0)
        assert len(role.asked) == len(role.batches) == 2
        role.gate.set()
        assert len(await waiting) == 5
        assert len(role.asked) == 5
        assert sum(line.open for line in role.lines) <= 3  # one may not have noticed yet
        desk.close()
        role.close()

    run(main)


def test_an_old_agent_gets_no_more_work(spool, monkeypatch):
    monkeypatch.setattr(agents, "RETIRE", -1.0)

    async def main():
        desk = AgentDesk(PosixFileSystem(), spool, patience=5.0)
        role = Exec(desk)
        mailer = AgentMailer("unix", desk, "games")
        for number in range(3):
            await settle(mailer, job("ann", number, file="x.seg"))
        assert len(role.asked) == 3
        desk.close()
        role.close()

    run(main)


def test_lanes_are_one_a_user_and_one_a_file(spool):
    async def main():
        desk = AgentDesk(PosixFileSystem(), spool, patience=5.0)
        lanes = {name: AgentMailer(name, desk, "games").lane for name in ("unix", "pipe", "file")}
        assert lanes["unix"](Route("unix", "ext", "ann")) == "unix:ann"
        assert lanes["pipe"](Route("pipe", "", "/bin/x")) == "pipe:games"
        assert lanes["file"](Route("file", "ann", "/tmp/a")) == "file:ann:/tmp/a"

    run(main)
