"""More mail than can be carried: bounds, fairness, and the queue keeping what a slow lane cannot take."""

import asyncio

from tests.unit.transport.dispatch.fakes import START, FakeMailer, House, envelope, recipient

from penfold.queue.base import Later
from penfold.transport.dispatch.assemble import Settings
from penfold.transport.dispatch.lanes import LanePolicy


class Stuck(FakeMailer):
    """Holds every call for one host until its gate is opened."""

    slow: asyncio.Event

    async def deliver(self, jobs):
        if jobs[0].targets[0].route.host == "slow.example":
            await self.slow.wait()
        async for settlement in super().deliver(jobs):
            yield settlement


def stuck_house(**settings):
    mailer = Stuck()
    settings = Settings(lanes={"smtp": LanePolicy(share=20)}, **settings)
    return House(mailer, settings=settings), mailer


async def quiet(rounds=50):
    for _ in range(rounds):
        await asyncio.sleep(0)


def test_the_recipients_in_hand_are_bounded():
    mailer = FakeMailer()
    house = House(mailer, settings=Settings(window=50))

    async def scenario(house):
        mailer.gate = asyncio.Event()
        for number in range(200):
            house.queue.add(envelope(), recipient(f"bob@h{number}.example"))
        await house.until(lambda: house.dispatcher.active == 50)
        await quiet()
        assert house.dispatcher.active == 50
        mailer.gate.set()
        mailer.gate = None
        await house.settled(200)

    house.run(scenario)
    assert len(house.done()) == 200


def test_a_slow_lane_gives_its_surplus_back_and_others_get_through():
    house, mailer = stuck_house(window=100)

    async def scenario(house):
        mailer.slow = asyncio.Event()
        for _ in range(100):
            house.queue.add(envelope(), recipient("bob@slow.example"))
        await house.until(lambda: house.dispatcher.active == 100)
        quick = house.queue.add(envelope(), recipient("bob@quick.example"))
        await quiet()
        assert (quick, 0) in house.queue.rows  # the window is full, and nothing is slow yet
        house.clock.now += 3
        house.dispatcher._wake()
        await house.until(lambda: (quick, 0) not in house.queue.rows)
        parked = [update for update in house.queue.updates if isinstance(update, Later)]
        assert len(parked) == 80
        assert {(update.due, update.lane, update.attempts) for update in parked} == {
            (START + 3, "smtp:slow.example", 0)
        }
        waits = house.queue.waits
        await quiet(200)
        assert house.queue.waits <= waits + 1  # a closed lane's mail is due, and yet nothing spins
        mailer.slow.set()
        await house.until(lambda: not house.queue.rows)

    house.run(scenario)
    assert len(house.done()) == 101
    assert len(house.queue.updates) == 181  # what was given back once was claimed again only when there was room


def test_fresh_mail_for_a_full_and_slow_lane_goes_back_at_once():
    house, mailer = stuck_house()

    async def scenario(house):
        mailer.slow = asyncio.Event()
        for _ in range(20):
            house.queue.add(envelope(), recipient("bob@slow.example"))
        await house.until(lambda: house.dispatcher.active == 20)
        house.clock.now += 3
        house.queue.add(envelope(), recipient("bob@slow.example"))
        await house.settled(1)
        assert house.dispatcher.active == 20
        mailer.slow.set()
        await house.until(lambda: not house.queue.rows)

    house.run(scenario)


def test_a_message_with_many_recipients_is_cut_into_jobs():
    mailer = FakeMailer()
    house = House(mailer)

    async def scenario(house):
        house.queue.add(envelope(), *(recipient(f"r{number}@there.example") for number in range(120)))
        await house.settled(120)

    house.run(scenario)
    assert [len(job.targets) for call in mailer.calls for job in call] == [50, 50, 20]
