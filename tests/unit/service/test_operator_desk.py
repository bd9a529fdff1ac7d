"""The operator's desk: what each request does, who may ask, and what hostile octets get."""

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penfold.config.load import loads
from penfold.directory.routing import Routing
from penfold.model import Envelope, Origin, Recipient, Reply, Route, parse_address
from penfold.queue.base import Later
from penfold.queue.memory import MemoryAdmin, MemoryQueue
from penfold.routing.rules import RouterSettings
from penfold.service import requests as ask
from penfold.service.compose import House
from penfold.service.control import MOST_OCTETS, ControlSession, RefusedError
from penfold.service.desk import Office, OperatorDesk, read_route
from penfold.telemetry.events import Operator, Remembered
from penfold.telemetry.status import Status

CONFIG = """
hostname = "mx.example.test"
local_domains = ["example.test"]
[[account]]
address = "ada@example.test"
"""


class Bench:
    """A desk over a queue in memory, and a session as a peer would have it."""

    def __init__(self, tmp_path=None, aliases=()):
        self.now = 1000.0
        self.queue = MemoryQueue(clock=lambda: self.now)
        self.recorder = Remembered()
        self.nudges = 0
        house = House(loads(CONFIG))

        async def status():
            return Status(hostname="mx.example.test", version="1", at=2.0, started=1.0)

        self.desk = OperatorDesk(
            Office(
                admin=MemoryAdmin(self.queue),
                routing=Routing(house.router, house.tables),
                settings=RouterSettings(local_domains=("example.test",)),
                postmaster=None,
                recorder=self.recorder,
                clock=lambda: self.now,
                events=str(tmp_path or "/nonexistent"),
                aliases=aliases,
                status=status,
                nudge=self.nudge,
            )
        )

    def nudge(self):
        self.nudges += 1

    async def accept(self, *recipients, sender="eve@other.test"):
        body = self.queue.begin()
        body.write(b"Subject: x\r\n\r\nx\r\n")
        envelope = Envelope(parse_address(sender) if sender else None, self.now, 0, Origin("ESMTP"))
        return await self.queue.accept(envelope, [Recipient(parse_address(each)) for each in recipients], body)

    async def defer(self, reason="451 4.4.1 No answer"):
        code, status, text = reason.split(" ", 2)
        for claim in await self.queue.claim(self.now, 1000):
            for pending in claim.pending:
                later = Later(claim.id, pending.number, self.now + 600, "smtp:x", 1, Reply.of(int(code), status, text))
                await self.queue.settle([later])

    async def ask(self, request, *, uid=0, everything=True, operators=frozenset({0})):
        link = FakeLink(uid)
        session = ControlSession(
            self.desk, lambda work: link.tasks.append(asyncio.ensure_future(work)), operators=operators,
            everything=everything,
        )  # fmt: skip
        session.connected(link)
        octets = request if isinstance(request, bytes) else json.dumps(request).encode() + b"\n"
        session.received(memoryview(octets))
        if not link.closed:
            session.eof()
        for task in link.tasks:
            await task
        assert link.closed
        return [json.loads(line) for line in link.written.splitlines()]


class Credentials:
    def __init__(self, uid):
        self.uid = uid


class FakeLink:
    congested = False
    closing = False

    def __init__(self, uid):
        self.credentials = Credentials(uid)
        self.written = b""
        self.closed = False
        self.tasks = []

    def write(self, data):
        assert not self.closed
        self.written += data

    def close(self):
        self.closed = True

    def deadline(self, when):
        pass

    def now(self):
        return 0.0


def run(scenario):
    return asyncio.run(scenario())


def test_a_listing_gives_a_line_a_recipient_and_tells_when_there_is_more():
    async def scenario():
        bench = Bench()
        id_ = await bench.accept("bob@far.test", "carol@far.test", "dan@near.test")
        lines = await bench.ask({"do": "list", "selection": {"domain": "far.test"}})
        assert [line["recipient"] for line in lines[:-1]] == ["bob@far.test", "carol@far.test"]
        assert lines[0]["id"] == id_
        assert lines[-1] == {"done": {"listed": 2, "more": False}}
        lines = await bench.ask({"do": "list", "limit": 2})
        assert len(lines) == 3
        assert lines[-1]["done"]["more"]
        assert len(await bench.ask({"do": "list", "limit": 0})) == 4

    run(scenario)


@pytest.mark.parametrize("order", ["hold", "delete"])
def test_an_order_is_carried_out_and_recorded_with_who_gave_it(order):
    async def scenario():
        bench = Bench()
        id_ = await bench.accept("bob@far.test", "carol@far.test")
        assert await bench.ask({"do": order, "selection": {"ids": [id_]}}) == [{"done": {"recipients": 2}}]
        assert await bench.queue.claim(bench.now, 10) == []
        recorded = [event for event in bench.recorder.events if isinstance(event, Operator)]
        assert {event.by for event in recorded} == {"root"}
        assert {event.action for event in recorded} == {order}
        assert id_ in {event.id for event in recorded}

    run(scenario)


def test_hold_and_release_flush_and_route_take_effect_in_the_queue():
    async def scenario():
        bench = Bench()
        await bench.accept("bob@far.test")
        await bench.defer()
        assert await bench.queue.claim(bench.now, 10) == []
        assert (await bench.ask({"do": "flush"}))[-1] == {"done": {"recipients": 1}}
        assert bench.nudges == 1
        [claim] = await bench.queue.claim(bench.now, 10)
        bench.queue.abandon([claim])
        await bench.ask({"do": "hold", "selection": {"recipient": "*@far.test"}})
        assert await bench.queue.claim(bench.now, 10) == []
        await bench.ask({"do": "release", "selection": {"states": ["held"]}})
        await bench.ask({"do": "route", "selection": {"domain": "far.test"}, "to": "smtp:[192.0.2.1]:25"})
        [claim] = await bench.queue.claim(bench.now, 10)
        assert claim.pending[0].route == Route("smtp", "[192.0.2.1]:25", "")

    run(scenario)


def test_edit_puts_other_addresses_in_a_recipients_place():
    async def scenario():
        bench = Bench()
        id_ = await bench.accept("bob@far.test", "carol@far.test")
        asked = {"do": "edit", "id": id_, "recipient": "BOB@far.test", "addresses": ["rob@far.test", "bo@far.test"]}
        assert (await bench.ask(asked))[-1] == {"done": {"recipients": 2}}
        shown = (await bench.ask({"do": "show", "id": id_}))[0]
        waiting = {each["recipient"] for each in shown["recipients"] if each["state"] == "ready"}
        assert waiting == {"rob@far.test", "bo@far.test", "carol@far.test"}
        again = (await bench.ask(asked))[-1]
        assert again["code"] == 69
        assert "has no waiting recipient" in again["error"]
        assert (await bench.ask({**asked, "recipient": "carol@far.test", "addresses": ["nodomain"]}))[-1]["code"] == 64

    run(scenario)


def test_where_mail_would_go_is_what_the_router_says():
    async def scenario():
        bench = Bench()
        ours, theirs, unknown = [
            (await bench.ask({"do": "would", "recipient": each}))[0]
            for each in ("ada+x@example.test", "bob@far.test", "nobody@example.test")
        ]
        assert ours["route"][0] == "local"
        assert theirs["route"][:2] == ["smtp", "far.test"]
        assert unknown["reply"][:2] == [550, "5.1.1"]
        assert ours["steps"]
        assert (await bench.ask({"do": "would", "recipient": "<<>>"}))[-1]["code"] == 64

    run(scenario)


def test_alias_files_are_read_and_counted_as_newaliases_does(tmp_path):
    async def scenario():
        good, bad = tmp_path / "aliases", tmp_path / "bad"
        good.write_text("root: ada@example.test\nall: ada@example.test, bob@far.test\n")
        bad.write_text("a: b\na: c\n")
        line, done = await Bench(aliases=(str(good),)).ask({"do": "aliases"})
        assert line["file"] == str(good)
        assert line["aliases"] == 2
        assert done == {"done": {"listed": 1}}
        [error] = await Bench(aliases=(str(bad),)).ask({"do": "aliases"})
        assert error["code"] == 64
        assert f"{bad}:2" in error["error"]

    run(scenario)


@pytest.mark.parametrize(
    "request_",
    [
        {"do": "show", "id": "x"},
        {"do": "flush"},
        {"do": "delete", "selection": {}},
        {"do": "status"},
        {"do": "would", "recipient": "a@b.test"},
        {"do": "why", "question": "x"},
    ],
    ids=lambda request: request["do"],
)
def test_others_than_operators_may_list_and_nothing_else(request_):
    async def scenario():
        bench = Bench()
        await bench.accept("bob@far.test")
        refused = await bench.ask(request_, uid=4242)
        assert [line["code"] for line in refused] == [77]
        # Not even root may on the socket that is for everybody.
        assert [line["code"] for line in await bench.ask(request_, uid=0, everything=False)] == [77]
        assert len(await bench.ask({"do": "list"}, uid=4242)) == 2
        assert len(await bench.queue.claim(bench.now, 10)) == 1

    run(scenario)


@pytest.mark.parametrize(
    "octets",
    [
        b"", b"\n", b"{}\n", b"[1]\n", b'{"do":"fly"}\n', b'{"do":"list","limit":"x"}\n', b"\xff\xfe\n",
        b"[" * 9000 + b"\n", b'{"do":"delete","selection":{"wrong":1}}\n', b"x" * (MOST_OCTETS + 1),
    ],
    ids=range(10),
)  # fmt: skip
def test_what_is_no_request_gets_an_answer_and_changes_nothing(octets):
    async def scenario():
        bench = Bench()
        await bench.accept("bob@far.test")
        [answer] = await bench.ask(octets)
        assert answer["code"] == 64
        assert answer["error"]
        assert not bench.recorder.events

    run(scenario)


@given(st.binary(max_size=200))
def test_any_octets_end_in_one_answer(octets):
    async def scenario():
        lines = await Bench().ask(octets)
        assert "error" in lines[-1] or "done" in lines[-1]

    run(scenario)


@pytest.mark.parametrize(
    "text", ["pipe:/bin/sh", "file:/etc/passwd", "|sh", "smtp", "smtp:", "nonsense:x", "local:root"]
)
def test_no_order_names_a_program_or_a_file(text):
    with pytest.raises(RefusedError):
        read_route(text, RouterSettings(local_domains=("example.test",)))


def test_an_order_without_a_way_ends_the_one_before():
    assert read_route("", RouterSettings(local_domains=("example.test",))) is None


def test_every_request_has_a_handler():
    handled = OperatorDesk._ANSWERS.keys() | OperatorDesk._ORDERS.keys()
    assert handled == set(ask.AnyRequest.__args__)
