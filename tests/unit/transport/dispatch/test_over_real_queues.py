"""The queue manager over the real drivers of the queue: a message's whole life."""

import asyncio

import pytest
from tests.unit.transport.dispatch.fakes import (
    BUSY,
    OK,
    START,
    UNKNOWN,
    Clock,
    DomainRouter,
    FakeMailer,
    address,
    envelope,
    recipient,
)

from penfold.directory.answers import Tables
from penfold.message.dsn import Notifier, Original
from penfold.model import Deferred, Delivered, Failed, Route
from penfold.queue.admin import Selection
from penfold.queue.memory import MemoryAdmin, MemoryQueue
from penfold.queue.spool.spool import open_spool
from penfold.telemetry.events import Bounced, Remembered, Trouble
from penfold.transport.dispatch.assemble import assemble

TEXT = b"Subject: hello\r\n\r\nBody\r\n"


class RealHouse:
    """A queue manager over a queue, with DSNs really written and handed back into it."""

    def __init__(self, queue, custody, bodies, admin, answer) -> None:
        self.queue, self.custody, self.bodies, self.admin = queue, custody, bodies, admin
        self.clock = Clock()
        self.recorder = Remembered()
        self.mailer = FakeMailer(answer=self._answer)
        self.answer = answer
        self.delivered: list[tuple[str, bytes]] = []
        self.notifier = Notifier(host="here.example", postmaster=address("postmaster@here.example"))
        self.dispatcher = assemble(
            custody,
            bodies,
            DomainRouter(),
            Tables(),
            {"smtp": self.mailer},
            report=self._report,
            submit=self._submit,
            recorder=self.recorder,
            clock=self.clock,
            random=lambda: 0.5,
        )

    def _answer(self, job, index):
        target = job.targets[index]
        outcome = self.answer(str(target.recipient.address), target.attempts, target.route)
        if isinstance(outcome, Delivered):
            self.delivered.append((str(target.recipient.address), self.bodies.open(job.body).read()))
        return outcome

    def _report(self, notification, body):
        original = Original(header=body.read().partition(b"\r\n\r\n")[0] + b"\r\n")
        return self.notifier.build(
            notification.envelope, notification.reports, original, date=START, message_id="<1@here.example>"
        ).chunks()

    async def _submit(self, env, recipients, chunks):
        return await self.put(env, *recipients, chunks=chunks)

    async def put(self, env, *recipients, chunks=(TEXT,)):
        writer = self.queue.begin()
        for chunk in chunks:
            writer.write(chunk)
        return await self.queue.accept(env, recipients, writer)

    async def empty(self) -> None:
        await self.until(lambda depth: not (depth["ready"] or depth["active"] or depth["deferred"]))

    async def deferred(self, count: int) -> None:
        await self.until(lambda depth: depth["deferred"] == count)

    async def until(self, condition) -> None:
        while not condition(await self._depth()):  # noqa: ASYNC110  the condition is the queue's
            await asyncio.sleep(0)

    async def _depth(self):
        await self.custody.flush()
        return self.custody.depth()


@pytest.fixture(params=["memory", "spool"])
def live(request, tmp_path):
    """Run a scenario in a house over each driver."""

    def runner(answer, scenario):
        async def main():
            clock = Clock()
            if request.param == "memory":
                queue = MemoryQueue(clock=clock)
                house = RealHouse(queue, queue, queue, MemoryAdmin(queue), answer)
            else:
                spool = open_spool(str(tmp_path / "spool"), clock=clock, report=lambda text: None)
                house = RealHouse(spool.queue, spool.custody, spool.bodies, spool.admin, answer)
            work = asyncio.ensure_future(house.dispatcher.run())
            try:
                async with asyncio.timeout(20):
                    await scenario(house)
            finally:
                house.dispatcher.stop(grace=1)
                await work
                if request.param == "spool":
                    await spool.close()
            assert house.dispatcher.active == 0
            assert [event for event in house.recorder.events if isinstance(event, Trouble)] == []
            return house

        return asyncio.run(main())

    return runner


def test_a_message_is_delivered_bounced_and_retried(live):
    def answer(who, attempts, route):
        if who.startswith("gone"):
            return Failed(UNKNOWN)
        return Deferred(BUSY) if who.startswith("busy") and attempts == 0 else Delivered(OK, final=True)

    async def scenario(house):
        await house.put(
            envelope(), recipient("bob@a.example"), recipient("gone@a.example"), recipient("busy@a.example")
        )
        await house.deferred(1)
        await house.admin.flush(Selection())
        await house.empty()

    house = live(answer, scenario)
    assert sorted(who for who, _ in house.delivered) == ["ann@here.example", "bob@a.example", "busy@a.example"]
    (bounce,) = [text for who, text in house.delivered if who == "ann@here.example"]
    assert b"Status: 5.1.1" in bounce
    assert b"gone@a.example" in bounce
    assert [event.recipient for event in house.recorder.events if isinstance(event, Bounced)] == ["gone@a.example"]


def test_an_operators_route_is_taken(live):
    def answer(who, attempts, route):
        return Delivered(OK) if route.host == "[192.0.2.1]:25" else Deferred(BUSY)

    async def scenario(house):
        await house.put(envelope(), recipient("bob@a.example"))
        await house.deferred(1)
        await house.admin.reroute(Selection(), Route("smtp", "[192.0.2.1]:25", "bob@a.example"))
        await house.empty()

    house = live(answer, scenario)
    assert [who for who, _ in house.delivered] == ["bob@a.example"]


def test_hundreds_of_messages_go_through_exactly_once(live):
    async def scenario(house):
        async with asyncio.TaskGroup() as group:
            for number in range(300):
                group.create_task(house.put(envelope(), recipient(f"r{number}@h{number % 7}.example")))
        await house.empty()

    house = live(lambda who, attempts, route: Delivered(OK), scenario)
    assert sorted(who for who, _ in house.delivered) == sorted(f"r{n}@h{n % 7}.example" for n in range(300))
