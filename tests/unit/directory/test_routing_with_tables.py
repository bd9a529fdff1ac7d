import asyncio
import inspect

from penfold.directory import Account, MemoryDirectory, Tables
from penfold.directory.routing import Routing
from penfold.model import Recipient, parse_address
from penfold.routing import Decision, Missing, Question, Resolver, RouterSettings


class Nothing:
    name = "aliases"

    async def lookup(self, key):
        return Missing()


def routing(*groups):
    tables = Tables(MemoryDirectory([Account(id="a@x.test")]).tables(), *groups)
    return Routing(Resolver(RouterSettings(local_domains=("x.test",), tables=tables.names)), tables)


QUESTION = Question(Recipient(parse_address("a@x.test")), None, "rcpt")


def test_tables_in_memory_decide_at_once():
    assert isinstance(routing().resolve(QUESTION), Decision)


def test_a_slow_table_makes_the_decision_awaitable_and_leaves_its_answers():
    slow = routing({"aliases": Nothing()})
    answers = slow.tables.answers()
    soon = slow.resolve(QUESTION, answers)
    assert inspect.isawaitable(soon)
    decision = asyncio.run(soon)
    assert decision.result.route.user == "a@x.test"
    assert answers
    assert slow.router.resolve(QUESTION, dict(answers)) == decision
