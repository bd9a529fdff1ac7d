import asyncio

import pytest

from penfold.directory import Account, MemoryDirectory, Tables
from penfold.directory.routing import MAX_ROUNDS, Routing
from penfold.model import ConfigError, Recipient, Reply, parse_address
from penfold.routing import Found, Lookup, Missing, Need, NotNow, Question, Refuse, Resolver, RouterSettings


def test_two_accounts_cannot_have_one_address():
    with pytest.raises(ConfigError) as caught:
        MemoryDirectory([Account(id="a@b.test"), Account(id="c@b.test", aliases=("A@b.test",))])
    assert caught.value.hint


class Slow:
    def __init__(self, name, values):
        self.name, self.values, self.asked = name, values, []

    async def lookup(self, key):
        self.asked.append(key)
        return self.values.get(key, Missing())


def question(text, stage="rcpt"):
    return Question(Recipient(parse_address(text)), None, stage)


def test_slow_tables_are_awaited_and_their_answers_recorded():
    slow = Slow("accounts", {"alice@x.test": Found(("local alice@x.test",))})
    tables = Tables({"accounts": slow})
    resolver = Resolver(RouterSettings(local_domains=("x.test",), tables=tables.names))
    answers = tables.answers()
    decision = asyncio.run(Routing(resolver, tables).resolve(question("alice@x.test"), answers))
    assert decision.result.route.user == "alice@x.test"
    assert answers[Lookup("accounts", "alice@x.test")].values == ("local alice@x.test",)
    assert resolver.resolve(question("alice@x.test"), dict(answers)) == decision


def test_tables_of_one_name_are_asked_in_order_and_a_broken_one_stops_the_search():
    down = NotNow(Reply.of(451, "4.3.0", "down"))
    first = MemoryDirectory([Account(id="a@x.test")]).tables()
    second = MemoryDirectory([Account(id="a@x.test"), Account(id="b@x.test", kind="unix")]).tables()
    fast = Tables(first, second).fast["accounts"]
    assert fast.lookup("a@x.test").values == ("local a@x.test",)
    assert fast.lookup("b@x.test").values == ("unix b@x.test",)
    assert isinstance(fast.lookup("c@x.test"), Missing)
    mixed = Tables(first, {"accounts": Slow("accounts", {"b@x.test": down})}, second).slow["accounts"]
    assert asyncio.run(mixed.lookup("a@x.test")).values == ("local a@x.test",)
    assert asyncio.run(mixed.lookup("b@x.test")) == down
    assert isinstance(asyncio.run(mixed.lookup("c@x.test")), Missing)


def test_a_router_that_never_ends_is_stopped_with_451():
    class Endless:
        rounds = 0

        def resolve(self, question, answers):
            self.rounds += 1
            return Need((Lookup("accounts", str(self.rounds)),))

    router = Endless()
    decision = asyncio.run(Routing(router, Tables({"accounts": Slow("accounts", {})})).resolve(question("a@x.test")))
    assert isinstance(decision.result, Refuse)
    assert decision.result.reply.code == 451
    assert router.rounds == MAX_ROUNDS + 1
