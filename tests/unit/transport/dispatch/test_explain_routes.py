"""Where would this go?"""

import asyncio

from tests.unit.transport.dispatch.fakes import DomainRouter, address, recipient

from penfold.directory.answers import Tables
from penfold.directory.routing import Routing
from penfold.model import Reply, Route
from penfold.routing.base import Decision, Deliver, Expand, Refuse, Step
from penfold.transport.dispatch.explain import explain

ANN = address("ann@there.example")
NO = Reply.of(550, "5.1.1", "No such user")


def ask(special, start="team@here.example", **more):
    router = DomainRouter("local")
    router.special = {
        name: lambda question, answers, result=result, name=name: Decision(result, (Step("rule", name),))
        for name, result in special.items()
    }
    return asyncio.run(explain(Routing(router, Tables()), recipient(start), reverse_path=ANN, **more))


def test_an_alias_is_followed_to_all_its_ends():
    found = ask(
        {
            "team@here.example": Expand((recipient("bob@here.example"), recipient("gone@here.example")), "aliases"),
            "gone@here.example": Refuse(NO),
        }
    )
    assert found.routes == (Route("local", "here.example", "bob@here.example"),)
    assert found.refusals == (NO,)
    assert [step.detail for step in found.steps] == ["team@here.example", "gone@here.example"]
    assert [stop.depth for stop in found.stops] == [0, 1, 1]


def test_an_address_reached_twice_is_served_once():
    twice = (recipient("a@here.example"), recipient("b@here.example"))
    one = Expand((recipient("bob@here.example"),), "aliases")
    found = ask({"team@here.example": Expand(twice, "aliases"), "a@here.example": one, "b@here.example": one})
    assert len(found.routes) == 1
    assert [stop.known for stop in found.stops] == [False, False, False, False, True]


def test_circles_end():
    found = ask({"team@here.example": Expand((recipient("team@here.example"),), "aliases")})
    assert [reply.status for reply in found.refusals] == ["5.4.6"]
    assert len(found.stops) < 40


def test_what_expands_without_end_is_cut():
    class Growing:
        def resolve(self, question, answers):
            local = question.recipient.address.local
            children = (recipient(f"{local}a@x.example"), recipient(f"{local}b@x.example"))
            return Decision(Expand(children, "growing"), ())

    found = asyncio.run(explain(Routing(Growing(), Tables()), recipient("x@x.example"), reverse_path=None, most=50))
    assert found.cut
    assert len(found.stops) == 50


def test_the_postmaster_is_rescued_here_too():
    found = ask(
        {"postmaster@v.example": Refuse(NO)}, "postmaster@v.example", postmaster=address("postmaster@here.example")
    )
    assert found.routes == (Route("local", "here.example", "postmaster@here.example"),)


def test_the_question_carries_sender_and_user():
    seen = []

    class Curious:
        def resolve(self, question, answers):
            seen.append((question.reverse_path, question.user))
            return Decision(Deliver(Route("local", "", "x"), question.recipient, local=True), ())

    asyncio.run(explain(Routing(Curious(), Tables()), recipient("x@x.example"), reverse_path=ANN, user="ann"))
    assert seen == [(ANN, "ann")]
