"""Routing over tables that make one wait."""

import asyncio

from tests.unit.transport.dispatch.fakes import FakeMailer, House, envelope, recipient

from penfold.model import Reply, Route
from penfold.queue.base import Done, Later
from penfold.routing.base import Answer, Decision, Deliver, Found, Lookup, Missing, Need, NotNow, Refuse
from penfold.telemetry import events


class SlowTable:
    """Answers when its gate is open; counts what it is asked."""

    def __init__(self, name: str, answer: Answer | Exception) -> None:
        self.name = name
        self.answer = answer
        self.asked: list[str] = []
        self.gate = asyncio.Event()

    async def lookup(self, key: str) -> Answer:
        self.asked.append(key)
        await self.gate.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def by_table(question, answers):
    """Ask the table ``hosts`` for the domain, and send the mail to what it says."""
    domain = question.recipient.address.domain
    answer = answers.get(Lookup("hosts", domain))
    if answer is None:
        return Need((Lookup("hosts", domain),))
    if isinstance(answer, Found):
        return Decision(Deliver(Route("smtp", answer.values[0], "x"), question.recipient, local=False), ())
    reply = answer.reply if isinstance(answer, NotNow) else Reply.of(550, "5.1.2", "No such host")
    return Decision(Refuse(reply), ())


def slow_house(answer, *addresses):
    table = SlowTable("hosts", answer)
    house = House(FakeMailer(), tables={"hosts": table})
    house.router.special = dict.fromkeys(addresses, by_table)
    return house, table


def test_mail_with_a_slow_look_up_does_not_hold_up_other_mail():
    house, table = slow_house(Found(("hub.example",)), "bob@slow.example")

    async def scenario(house):
        house.queue.add(envelope(), recipient("bob@slow.example"))
        house.queue.add(envelope(), recipient("bob@quick.example"))
        await house.settled(1)
        assert house.queue.updates == [Done("T00002", 0)]
        table.gate.set()
        await house.settled(2)

    house.run(scenario)
    hosts = [call[0].targets[0].route.host for call in house.mailers["smtp"].calls]
    assert hosts == ["quick.example", "hub.example"]


def test_the_same_question_is_asked_once_for_a_whole_batch():
    house, table = slow_house(Found(("hub.example",)), "a@slow.example", "b@slow.example")

    async def scenario(house):
        house.queue.add(envelope(), recipient("a@slow.example"), recipient("b@slow.example"))
        house.queue.add(envelope(), recipient("a@slow.example"))
        await house.until(lambda: bool(table.asked))
        table.gate.set()
        await house.settled(3)

    house.run(scenario)
    assert table.asked == ["slow.example"]
    sizes = sorted(len(job.targets) for call in house.mailers["smtp"].calls for job in call)
    assert sizes == [1, 2]


def test_a_table_that_cannot_answer_means_later_never_a_bounce():
    for answer in (NotNow(Reply.of(451, "4.4.3", "No name server")), RuntimeError("a bug")):
        house, table = slow_house(answer, "bob@slow.example")

        async def scenario(house, table=table):
            table.gate.set()
            house.queue.add(envelope(), recipient("bob@slow.example"))
            await house.settled(1)

        house.run(scenario)
        assert isinstance(house.queue.updates[0], Later)
        assert house.submitted == []


def test_a_table_that_says_no_means_a_bounce():
    house, table = slow_house(Missing(), "bob@slow.example")

    async def scenario(house):
        table.gate.set()
        house.queue.add(envelope(), recipient("bob@slow.example"))
        await house.settled(1)

    house.run(scenario)
    assert len(house.submitted) == 1


def test_a_router_that_asks_for_ever_is_cut_short():
    house = House(FakeMailer(), tables={"hosts": SlowTable("hosts", Missing())})
    asked = iter(range(10**6))
    house.router.special["bob@x.example"] = lambda question, answers: Need((Lookup("none", str(next(asked))),))

    async def scenario(house):
        house.queue.add(envelope(), recipient("bob@x.example"))
        await house.settled(1)

    house.run(scenario)
    assert house.queue.updates[0].reply.status == "4.3.5"
    assert next(asked) < 100


def test_a_router_that_raises_defers_that_message_alone():
    def broken(question, answers):
        raise KeyError("a bug")

    house = House(FakeMailer())
    house.router.special["bob@x.example"] = broken

    async def scenario(house):
        house.queue.add(envelope(), recipient("bob@x.example"), recipient("carol@x.example"))
        await house.settled(2)

    house.run(scenario)
    later = [update for update in house.queue.updates if isinstance(update, Later)]
    assert [update.number for update in later] == [0]
    assert later[0].reply.status == "4.3.0"
    assert "KeyError" in house.seen(events.Trouble)[0].detail


def test_stopping_gives_back_mail_whose_look_up_is_under_way():
    house, table = slow_house(Found(("hub.example",)), "bob@slow.example")

    async def scenario(house):
        house.queue.add(envelope(), recipient("bob@slow.example"))
        await house.until(lambda: bool(table.asked))

    house.run(scenario)
    assert house.queue.updates == []
    assert house.queue.active == set()
