"""The spool does whatever the queue in memory does, in any order of calls, restarts included."""

import asyncio
from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from penfold.fs.recording import RecordingFileSystem
from penfold.fs.sqlite import FileSystemVFS
from penfold.model import Address, Envelope, Origin, QueueId, Recipient, Reply, Route
from penfold.queue.admin import Listed, Selection
from penfold.queue.base import Claim, Done, Later, Replace, Update
from penfold.queue.memory import MemoryAdmin, MemoryQueue
from penfold.queue.spool.spool import Spool, open_spool

VFS = FileSystemVFS("penfold-machine", RecordingFileSystem())
LANES = ("", "smtp:a", "smtp:b")
NAMES = st.sampled_from("abcdef")
MANY = 10_000
SELECTIONS = st.builds(
    lambda recipient, lane, states: Selection(recipient=recipient, lane=lane, states=states),
    st.sampled_from(["", "a@*", "[b-d]@*"]),
    st.sampled_from(["", "smtp:a"]),
    st.sampled_from([(), ("held",), ("ready",), ("deferred", "active")]),
)


def recipient(name: str) -> Recipient:
    return Recipient(Address(name, "example.test"))


class Machine(RuleBasedStateMachine):
    """Two queues side by side; a message is known by its place in the order of arrival."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.now = 1000.0
        self.disk = RecordingFileSystem()
        self.order: dict[QueueId, int] = {}
        self.ids: list[tuple[QueueId, QueueId]] = []
        self.claims: list[tuple[Claim, Claim]] = []
        self.troubles: list[str] = []

    def run(self, call):
        return self.loop.run_until_complete(call)

    @initialize()
    def begin(self) -> None:
        self.memory = MemoryQueue(clock=lambda: self.now)
        self.memory_admin = MemoryAdmin(self.memory)
        self.run(self.open())

    async def open(self) -> None:
        VFS.fs = self.disk
        self.spool: Spool = open_spool(
            "/spool",
            fs=self.disk,
            vfs=VFS.name,
            threads=False,
            clock=lambda: self.now,
            random=Random(1).randbytes,
            report=self.troubles.append,
            window=4,
            limit=1500,
            spill=600,
            reserve=0,
        )

    def teardown(self) -> None:
        if hasattr(self, "spool"):
            self.run(self.spool.close())
        self.loop.close()
        assert self.troubles == []

    @rule(names=st.lists(NAMES, min_size=1, max_size=4, unique=True), size=st.sampled_from([0, 100, 500, 900]))
    def accept(self, names: list[str], size: int) -> None:
        self.now += 1
        body = bytes([len(self.ids) & 255]) * size
        pair = []
        for queue in (self.memory, self.spool.queue):
            writer = queue.begin()
            writer.write(body)
            envelope = Envelope(None, self.now, 0, Origin("local"))
            pair.append(self.run(queue.accept(envelope, [recipient(name) for name in names], writer)))
        for each in pair:
            self.order[each] = len(self.ids)
        self.ids.append((pair[0], pair[1]))

    def by_order(self, claims) -> dict[int, Claim]:
        return {self.order[claim.id]: claim for claim in claims}

    @rule(ahead=st.sampled_from([0.0, 5.0, 100.0]), closed=st.sets(st.sampled_from(LANES)))
    def claim(self, ahead: float, closed: set[str]) -> None:
        self.now += ahead
        left = self.by_order(self.run(self.memory.claim(self.now, MANY, closed)))
        right = self.by_order(self.run(self.spool.custody.claim(self.now, MANY, closed)))
        assert left.keys() == right.keys()
        for place, claim in left.items():
            other = right[place]
            assert self.told(claim) == self.told(other)
            assert self.memory.open(claim.body).read() == self.spool.bodies.open(other.body).read()
            self.claims.append((claim, other))

    def told(self, claim: Claim) -> object:
        return claim.envelope, sorted(claim.pending, key=lambda pending: pending.number)

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        claim, other = self.claims.pop(data.draw(st.integers(0, len(self.claims) - 1)))
        pairs: list[tuple[Update, Update]] = []
        for pending in claim.pending:
            way = data.draw(st.sampled_from(["done", "later", "later", "replace", "leave"]))
            if way == "done":
                pairs.append((Done(claim.id, pending.number), Done(other.id, pending.number)))
            elif way == "later":
                due = self.now + data.draw(st.sampled_from([0.0, 3.0, 50.0]))
                rest = (due, data.draw(st.sampled_from(LANES)), pending.attempts + 1, Reply.of(451, "4.0.0", "x"))
                pairs.append((Later(claim.id, pending.number, *rest), Later(other.id, pending.number, *rest)))
            elif way == "replace":
                new = tuple(recipient(name) for name in data.draw(st.lists(NAMES, max_size=3)))
                pairs.append((Replace(claim.id, pending.number, new), Replace(other.id, pending.number, new)))
        self.run(self.memory.settle([left for left, _ in pairs]))
        self.run(self.spool.custody.settle([right for _, right in pairs]))
        self.memory.abandon([claim])
        self.run(self.give_back([other]))

    async def give_back(self, claims: list[Claim]) -> None:
        self.spool.custody.abandon(claims)

    @rule()
    def abandon_all(self) -> None:
        self.memory.abandon([left for left, _ in self.claims])
        self.run(self.give_back([right for _, right in self.claims]))
        self.claims.clear()

    @rule(order=st.sampled_from(["hold", "release", "flush", "delete"]), selection=SELECTIONS)
    def give_order(self, order: str, selection: Selection) -> None:
        left = self.run(getattr(self.memory_admin, order)(selection))
        right = self.run(getattr(self.spool.admin, order)(selection))
        assert left == right

    @rule(selection=SELECTIONS, route=st.sampled_from([None, Route("smtp", "x.test", "")]))
    def reroute(self, selection: Selection, route: Route | None) -> None:
        left = self.run(self.memory_admin.reroute(selection, route))
        assert left == self.run(self.spool.admin.reroute(selection, route))

    @precondition(lambda self: self.ids)
    @rule(data=st.data(), number=st.integers(0, 5), names=st.lists(NAMES, max_size=2))
    def edit(self, data: st.DataObject, number: int, names: list[str]) -> None:
        left_id, right_id = data.draw(st.sampled_from(self.ids))
        addresses = [Address(name, "example.test") for name in names]
        left = self.run(self.memory_admin.edit(left_id, number, addresses))
        assert left == self.run(self.spool.admin.edit(right_id, number, addresses))

    @rule()
    def commit(self) -> None:
        self.run(self.spool.custody.holdings.commit())

    @rule()
    def clear(self) -> None:
        self.run(self.spool.custody.holdings.clear())

    @rule()
    def carry(self) -> None:
        self.run(self.spool.custody.carry(age=0, alive=1.01))

    @rule(clean=st.booleans())
    def restart(self, clean: bool) -> None:
        self.memory.abandon([left for left, _ in self.claims])
        self.claims.clear()
        if clean:
            self.run(self.spool.close())
        else:
            self.run(self.spool.custody.holdings.commit())
            self.spool.custody.chores.stop()
            self.spool.custody.holdings.index.drop()
        self.run(self.open())

    def lines(self, found: list[Listed]) -> list[object]:
        return sorted(
            (
                self.order[line.id],
                line.number,
                line.state,
                line.recipient,
                line.lane,
                line.attempts,
                line.due,
                line.original,
            )
            for line in found
        )

    @invariant()
    def both_list_the_same(self) -> None:
        if not hasattr(self, "spool"):
            return
        left = self.run(self.memory_admin.select(Selection(), MANY))
        right = self.run(self.spool.admin.select(Selection(), MANY))
        assert self.lines(left) == self.lines(right)
        depth = self.memory.depth()
        told = self.spool.custody.depth()
        assert {**told, "messages": 0} == {**depth, "messages": 0}


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
