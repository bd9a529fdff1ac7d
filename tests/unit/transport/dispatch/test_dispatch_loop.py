"""The loop: claim, route, carry, settle."""

import asyncio

from tests.unit.transport.dispatch.fakes import (
    BUSY,
    DOWN,
    OK,
    START,
    UNKNOWN,
    FakeMailer,
    House,
    envelope,
    recipient,
)

from penfold.model import Deferred, Delivered, Failed, Settlement
from penfold.queue.base import Done, Later
from penfold.telemetry.events import Attempt, HostDown, Trouble


def test_a_message_goes_through_and_is_settled():
    mailer = FakeMailer()
    house = House(mailer)

    async def scenario(house):
        house.queue.add(envelope(), recipient("bob@there.example"))
        await house.settled(1)

    house.run(scenario)
    assert house.queue.updates == [Done("T00001", 0)]
    assert house.queue.rows == {}
    assert house.dispatcher.active == 0


def test_recipients_at_one_host_share_a_job_and_others_get_their_own():
    mailer = FakeMailer()
    house = House(mailer)

    async def scenario(house):
        house.queue.add(envelope(), recipient("a@one.example"), recipient("b@two.example"), recipient("c@one.example"))
        await house.settled(3)

    house.run(scenario)
    jobs = sorted((len(job.targets), job.targets[0].route.host) for call in mailer.calls for job in call)
    assert jobs == [(1, "two.example"), (2, "one.example")]


def test_a_deferred_recipient_waits_for_its_interval_and_is_then_tried_again():
    answers = iter([Deferred(BUSY), Delivered(OK)])
    house = House(FakeMailer(answer=lambda job, index: next(answers)))

    async def scenario(house):
        house.queue.add(envelope(), recipient("bob@there.example"))
        await house.settled(1)
        later = house.queue.updates[0]
        assert later == Later("T00001", 0, START + 300, "smtp:there.example", 1, BUSY, "")
        house.queue.tick(299)
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(house.queue.updates) == 1
        house.queue.tick(1)
        await house.settled(2)

    house.run(scenario)
    assert house.queue.updates[1] == Done("T00001", 0)


def test_a_failed_recipient_is_done_only_after_its_bounce_is_accepted():
    house = House(FakeMailer(answer=lambda job, index: Failed(UNKNOWN)))

    async def scenario(house):
        house.queue.add(envelope(), recipient("bob@there.example"))
        await house.settled(1)

    house.run(scenario)
    assert house.queue.log == ["DSN", Done("T00001", 0), "flush"]
    (sent, recipients), *_ = house.submitted
    assert sent.reverse_path is None
    assert str(recipients[0].address) == "ann@here.example"


def test_new_mail_gathers_while_calls_to_local_are_under_way():
    mailer = FakeMailer("local")
    house = House(mailer)
    house.router.mailer = "local"

    async def scenario(house):
        mailer.gate = asyncio.Event()
        for _ in range(2):
            house.queue.add(envelope(), recipient("bob@here.example"))
            count = len(mailer.calls)
            await house.until(lambda count=count: len(mailer.calls) > count)
        for _ in range(30):
            house.queue.add(envelope(), recipient("bob@here.example"))
            await asyncio.sleep(0)
        await house.until(lambda: house.dispatcher.active == 32)
        assert [len(call) for call in mailer.calls] == [1, 1]
        mailer.gate.set()
        await house.settled(32)

    house.run(scenario)
    assert [len(call) for call in mailer.calls] == [1, 1, 30]


def test_an_smtp_lane_never_exceeds_its_window_at_first():
    mailer = FakeMailer()
    house = House(mailer)

    async def scenario(house):
        mailer.gate = asyncio.Event()
        for _ in range(40):
            house.queue.add(envelope(), recipient("bob@there.example"))
        await house.until(lambda: house.dispatcher.active == 40)
        for _ in range(20):
            await asyncio.sleep(0)
        assert mailer.running["smtp:there.example"] == 5
        mailer.gate.set()
        await house.settled(40)

    house.run(scenario)
    assert 5 < mailer.most["smtp:there.example"] <= 20


def test_a_dead_host_defers_all_its_mail_without_further_attempts():
    mailer = FakeMailer(answer=lambda job, index: Deferred(DOWN, host_down=True))
    house = House(mailer)

    async def scenario(house):
        for _ in range(30):
            house.queue.add(envelope(), recipient("bob@there.example"))
        await house.settled(30)
        house.queue.add(envelope(), recipient("bob@there.example"))
        await house.settled(31)

    house.run(scenario)
    assert sum(len(call) for call in mailer.calls) <= 5
    assert all(isinstance(update, Later) and update.due >= START + 60 for update in house.queue.updates)
    untried = [update for update in house.queue.updates if update.attempts == 0]
    assert len(untried) >= 25
    assert all(update.reply == DOWN for update in untried)
    assert len(house.seen(HostDown)) == 1


def test_a_dead_host_does_not_hold_up_others():
    def answer(job, index):
        if job.targets[index].route.host == "dead.example":
            return Deferred(DOWN, host_down=True)
        return Delivered(OK)

    house = House(FakeMailer(answer=answer))

    async def scenario(house):
        for _ in range(10):
            house.queue.add(envelope(), recipient("bob@dead.example"))
            house.queue.add(envelope(), recipient("bob@live.example"))
        await house.settled(20)

    house.run(scenario)
    assert len(house.done()) == 10


def test_a_job_that_breaks_its_mailer_defers_alone():
    class Fragile(FakeMailer):
        async def deliver(self, jobs):
            for job in jobs:
                if job.id == "T00003":
                    raise ZeroDivisionError("a bug")
            async for settlement in super().deliver(jobs):
                yield settlement

    house = House(Fragile("local"))
    house.router.mailer = "local"

    async def scenario(house):
        for _ in range(6):
            house.queue.add(envelope(), recipient("bob@here.example"))
        await house.settled(6)

    house.run(scenario)
    later = [update for update in house.queue.updates if isinstance(update, Later)]
    assert [update.id for update in later] == ["T00003"]
    assert later[0].reply is not None
    assert later[0].reply.status == "4.3.0"
    assert "ZeroDivisionError" in house.seen(Trouble)[0].detail


def test_outcomes_are_recorded_again_and_again_until_the_queue_can(monkeypatch):
    monkeypatch.setattr("penfold.transport.dispatch.ledger.RETRY_RECORDING", 0)
    house = House(FakeMailer())
    house.queue.fail_settles = 3

    async def scenario(house):
        house.queue.add(envelope(), recipient("bob@there.example"))
        await house.settled(1)

    house.run(scenario)
    assert house.queue.updates == [Done("T00001", 0)]
    assert len(house.seen(Trouble)) == 3


def test_stopping_waits_for_deliveries_and_gives_the_rest_back():
    mailer = FakeMailer()
    house = House(mailer)

    async def scenario(house):
        mailer.gate = asyncio.Event()
        for _ in range(12):
            house.queue.add(envelope(), recipient("bob@there.example"))
        await house.until(lambda: house.dispatcher.active == 12 and len(mailer.calls) == 1)
        house.dispatcher.stop(grace=5)
        await asyncio.sleep(0)
        mailer.gate.set()

    house.run(scenario)
    assert len(house.done()) == 5
    assert sum(len(claim.pending) for claim in house.queue.abandoned) == 7
    assert house.dispatcher.active == 0
    assert house.queue.active == set()


def test_deliveries_that_outlast_the_grace_are_given_back():
    mailer = FakeMailer()
    house = House(mailer)

    async def scenario(house):
        mailer.gate = asyncio.Event()
        house.queue.add(envelope(), recipient("bob@there.example"), recipient("carol@there.example"))
        await house.until(lambda: len(mailer.calls) == 1)

    house.run(scenario)
    assert house.queue.updates == []
    assert house.queue.active == set()


def test_a_mailer_that_cannot_name_a_lane_or_answers_nonsense_costs_only_that_message():
    class Odd(FakeMailer):
        def lane(self, route):
            if route.host == "odd.example":
                raise KeyError(route.host)
            return super().lane(route)

    house = House(Odd(answer=lambda job, index: "nonsense" if job.id == "T00002" else Delivered(OK)))

    async def scenario(house):
        for host in ("odd.example", "there.example", "there.example"):
            house.queue.add(envelope(), recipient(f"bob@{host}"))
        await house.settled(3)

    house.run(scenario)
    later = {update.id: update.reply.status for update in house.queue.updates if isinstance(update, Later)}
    assert later == {"T00001": "4.3.0", "T00002": "4.3.0"}
    assert house.dispatcher.active == 0


def test_what_a_mailer_leaves_unsettled_is_tried_again_and_strange_settlements_are_ignored():
    class Careless(FakeMailer):
        async def deliver(self, jobs):
            yield Settlement("T99999", 0, Delivered(OK))
            yield Settlement(jobs[0].id, 0, Delivered(OK))
            yield Settlement(jobs[0].id, 0, Failed(UNKNOWN))

    house = House(Careless())

    async def scenario(house):
        house.queue.add(envelope(), recipient("bob@there.example"), recipient("carol@there.example"))
        await house.settled(2)

    house.run(scenario)
    assert house.done() == [0]
    (later,) = [update for update in house.queue.updates if isinstance(update, Later)]
    assert (later.number, later.reply.status) == (1, "4.3.0")
    assert house.submitted == []


def test_a_queue_that_fails_to_be_asked_is_asked_again(monkeypatch):
    monkeypatch.setattr("penfold.transport.dispatch.dispatcher.CLAIM_RETRY", 0)
    house = House(FakeMailer())
    claim, errors = house.queue.claim, iter([OSError(5, "Input/output error")] * 2)

    async def failing(*arguments):
        for error in errors:
            raise error
        return await claim(*arguments)

    house.queue.claim = failing

    async def scenario(house):
        house.queue.add(envelope(), recipient("bob@there.example"))
        await house.settled(1)

    house.run(scenario)
    assert house.done() == [0]
    assert len(house.seen(Trouble)) == 2


def test_stopping_in_the_middle_of_recording_records_all_the_same():
    house = House(FakeMailer())
    settle, begun = house.queue.settle, asyncio.Event()

    async def interrupted(updates):
        if not begun.is_set():
            begun.set()
            await asyncio.Event().wait()
        await settle(updates)

    house.queue.settle = interrupted

    async def scenario(house):
        house.queue.add(envelope(), recipient("bob@there.example"))
        await begun.wait()

    house.run(scenario)
    assert house.done() == [0]
    assert house.dispatcher.active == 0


def test_stopping_waits_for_a_bounce_under_way():
    house = House(FakeMailer(answer=lambda job, index: Failed(UNKNOWN)))
    begun, go_on = asyncio.Event(), asyncio.Event()
    submit = house.dispatcher._ledger._bouncer._submit

    async def slow(*arguments):
        begun.set()
        await go_on.wait()
        return await submit(*arguments)

    house.dispatcher._ledger._bouncer._submit = slow

    async def scenario(house):
        house.queue.add(envelope(), recipient("bob@there.example"))
        await begun.wait()
        house.dispatcher.stop(grace=5)
        await asyncio.sleep(0)
        go_on.set()

    house.run(scenario)
    assert house.queue.log == ["DSN", Done("T00001", 0), "flush"]


def test_a_bounce_that_takes_too_long_at_the_end_leaves_its_recipient_in_the_queue(monkeypatch):
    monkeypatch.setattr("penfold.transport.dispatch.dispatcher.RECORDING_GRACE", 0.01)
    house = House(FakeMailer(answer=lambda job, index: Failed(UNKNOWN)))
    begun = asyncio.Event()

    async def never(*arguments):
        begun.set()
        await asyncio.Event().wait()

    house.dispatcher._ledger._bouncer._submit = never

    async def scenario(house):
        house.queue.add(envelope(), recipient("bob@there.example"))
        await begun.wait()

    house.run(scenario)
    assert house.queue.updates == []
    assert len(house.queue.rows) == 1


def test_every_attempt_is_told_to_the_log_with_what_the_other_side_said():
    answers = iter([Deferred(BUSY, "mx.there.example"), Delivered(OK, "mx2.there.example")])
    house = House(FakeMailer(answer=lambda job, index: next(answers)))

    async def scenario(house):
        house.queue.add(envelope(), recipient("bob@there.example"))
        await house.settled(1)
        house.queue.tick(300)
        await house.settled(2)

    house.run(scenario)
    told = [(event.attempt, event.outcome, event.remote, event.reply) for event in house.seen(Attempt)]
    assert told == [
        (1, "deferred", "mx.there.example", "451 4.3.2 Busy"),
        (2, "delivered", "mx2.there.example", "250 2.0.0 Fine"),
    ]
    assert [type(event).__name__ for event in house.recorder.events] == [
        "Routed",
        "Attempt",
        "Deferred",
        "Routed",
        "Attempt",
        "Delivered",
    ]
