"""A store does what a simple model does, in any order of changes; clients that lag or come back late end up right.

Two kinds of client look on. A *session* is told of expunges and arrivals now and then, and keeps the list of UIDs an
IMAP client keeps. A *saved state* is what a client kept when it left, flags by UID and the MODSEQ: replaying what
changed since must give what a full look gives (RFC 7162 §3.2.5). The model itself knows contents and flags.
"""

import tempfile
from bisect import bisect_left
from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run_machine
from tests.stores import ADA, DRIVERS, House

from penfold.store import (
    EVERY,
    Append,
    Column,
    Copy,
    Delete,
    Deliver,
    Expunge,
    How,
    MailboxId,
    Message,
    Move,
    Numbering,
    Purge,
    StoreFlags,
    UidSet,
    Undelete,
    View,
)
from penfold.store.flags import words

WORDS = ["\\Seen", "\\Deleted", "\\Flagged", "$Junk", "work"]
FLAGS = st.sets(st.sampled_from(WORDS), max_size=3).map(lambda chosen: tuple(sorted(chosen)))
UIDS = st.one_of(
    st.just(EVERY),
    st.sets(st.integers(1, 8), max_size=4).map(UidSet.of),
    st.sets(st.integers(1, 30), max_size=6).map(UidSet.of),
    st.tuples(st.integers(1, 30), st.integers(1, 30)).map(lambda pair: UidSet.span(min(pair), max(pair))),
)
BOXES = st.sampled_from(["INBOX", "other"])


@dataclass
class Letter:
    content: bytes
    flags: set[str]
    gone: int = 0


@dataclass
class Box:
    id: MailboxId
    uidvalidity: int
    letters: dict[int, Letter] = field(default_factory=dict)
    following: int = 1

    def there(self) -> dict[int, Letter]:
        return {uid: letter for uid, letter in self.letters.items() if not letter.gone}

    def chosen(self, uids: UidSet) -> list[int]:
        return [uid for uid in self.there() if uid in uids]

    def put(self, content: bytes, flags) -> int:
        self.letters[self.following] = Letter(content, set(flags))
        self.following += 1
        return self.following - 1


@dataclass
class Session:
    box: str
    view: View
    numbering: Numbering
    believed: list[int]


@dataclass
class Saved:
    box: str
    uidvalidity: int
    modseq: int
    flags: dict[int, set[str]]


def with_words(how: str, before: set[str], flags) -> set[str]:
    return {"+": before | set(flags), "-": before - set(flags), "=": set(flags)}[how]


class Machine(RuleBasedStateMachine):
    driver = "memory"

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.house = House.build(DRIVERS[self.driver], self.folder.name)
        self.boxes: dict[str, Box] = {}
        self.sessions: list[Session] = []
        self.saved: list[Saved] = []
        self.uidvalidities: set[int] = set()
        self.highest: dict[str, int] = {}
        self.delivered: dict[tuple[int, MailboxId], int] = {}
        self.ever_delivered: set[tuple[int, MailboxId]] = set()
        self.made = 0

    def teardown(self) -> None:
        self.house.close()
        self.folder.cleanup()

    @initialize()
    def begin(self) -> None:
        self.house.create("other")
        for name in ("INBOX", "other"):
            self.enter(name)
            self.append(name, 4, ("\\Seen",))
            self.append(name, 2, ("\\Deleted", "work"))
            self.save(name)
            self.select(name)

    def enter(self, name: str) -> None:
        shown = self.house.box(name)
        assert shown.uidvalidity not in self.uidvalidities
        self.uidvalidities.add(shown.uidvalidity)
        self.boxes[name] = Box(shown.id, shown.uidvalidity)
        self.highest[name] = 0

    def content(self) -> bytes:
        self.made += 1
        return b"Subject: %d\r\n\r\n" % self.made + b"x" * (self.made % 5)

    # -- changes

    @rule(name=BOXES, many=st.integers(1, 3), flags=FLAGS)
    def append(self, name, many, flags) -> None:
        box, contents = self.boxes[name], [self.content() for _ in range(many)]
        messages = tuple(Message(content, flags) for content in contents)
        stored = self.house.do(Append(ADA, box.id, messages))
        assert list(stored.uids) == [box.put(content, flags) for content in contents]

    @rule(name=BOXES, number=st.integers(0, 5), flags=FLAGS)
    def deliver(self, name, number, flags) -> None:
        box, content = self.boxes[name], self.content()
        stored = self.house.do(Deliver(ADA, "Q", number, Message(content, flags), name))
        assert stored.repeated or (number, box.id) not in self.delivered
        assert not stored.repeated or (number, box.id) in self.ever_delivered
        if not stored.repeated:
            self.ever_delivered.add((number, box.id))
            assert list(stored.uids) == [box.put(content, flags)]
            self.delivered[number, box.id] = int(self.house.clock.now)

    @rule(name=BOXES, uids=UIDS, how=st.sampled_from("+-="), flags=FLAGS)
    def flag(self, name, uids, how, flags) -> None:
        box = self.boxes[name]
        result = self.house.do(StoreFlags(ADA, box.id, uids, How(how), flags))
        changed = []
        for uid in box.chosen(uids):
            after = with_words(how, box.letters[uid].flags, flags)
            if after != box.letters[uid].flags:
                box.letters[uid].flags = after
                changed.append(uid)
        assert list(result.changed) == changed

    @precondition(lambda self: self.saved)
    @rule(data=st.data(), uids=UIDS, flags=FLAGS)
    def flag_if_unchanged(self, data, uids, flags) -> None:
        saved = data.draw(st.sampled_from(self.saved))
        box = self.boxes[saved.box]
        before = dict(zip(self.house.uids(box.id), self.house.column(Column.MODSEQ, box.id), strict=True))
        change = StoreFlags(ADA, box.id, uids, How.ADD, flags, saved.modseq)
        result = self.house.do(change)
        assert list(result.unmodified) == [uid for uid in box.chosen(uids) if before[uid] > saved.modseq]
        for uid in result.changed:
            assert before[uid] <= saved.modseq
            box.letters[uid].flags |= set(flags)

    @rule(source=BOXES, destination=BOXES, uids=UIDS, moving=st.booleans())
    def transfer(self, source, destination, uids, moving) -> None:
        here, there = self.boxes[source], self.boxes[destination]
        change = (Move if moving else Copy)(ADA, here.id, uids, there.id)
        result = self.house.do(change)
        chosen = here.chosen(uids)
        assert list(result.source) == chosen
        assert list(result.uids) == [there.put(here.letters[uid].content, here.letters[uid].flags) for uid in chosen]
        if moving:
            self.strike(here, chosen)

    @rule(name=BOXES, uids=UIDS, deleted=st.sampled_from([False, False, True]))
    def expunge(self, name, uids, deleted) -> None:
        box = self.boxes[name]
        result = self.house.do(Expunge(ADA, box.id, uids, deleted))
        gone = [uid for uid in box.chosen(uids) if not deleted or "\\Deleted" in box.letters[uid].flags]
        assert list(result.uids) == gone
        self.strike(box, gone)

    def strike(self, box: Box, uids: list[int]) -> None:
        for uid in uids:
            box.letters[uid].gone = int(self.house.clock.now)

    @precondition(lambda self: "undelete" not in DRIVERS[self.driver].lacks)
    @rule(name=BOXES, uids=UIDS)
    def undelete(self, name, uids) -> None:
        box = self.boxes[name]
        (part,) = self.house.do(Undelete(ADA, box.id, uids)).parts
        lost = [uid for uid, letter in box.letters.items() if letter.gone and uid in uids]
        assert list(part.source) == lost
        assert list(part.uids) == [box.put(box.letters[uid].content, box.letters[uid].flags) for uid in lost]

    @rule(seconds=st.integers(1, 50))
    def wait(self, seconds) -> None:
        self.house.clock.now += seconds

    @precondition(lambda self: "undelete" not in DRIVERS[self.driver].lacks)
    @rule(age=st.sampled_from([0, 0, 0, 5, 50]))
    def purge(self, age) -> None:
        self.house.clock.now += 1
        before = int(self.house.clock.now) - age
        self.house.do(Purge(ADA, before))
        self.delivered = {key: when for key, when in self.delivered.items() if when >= before}
        for box in self.boxes.values():
            box.letters = {uid: each for uid, each in box.letters.items() if not 0 < each.gone < before}

    @rule(back=st.booleans())
    def begin_anew(self, back) -> None:
        """Delete a mailbox and make one of the same name, perhaps with the clock set back."""
        self.house.do(Delete(ADA, "other"))
        now = self.house.clock.now
        if back:
            self.house.clock.now = 10.0
        self.house.create("other")
        self.house.clock.now = now
        self.enter("other")
        for session in self.sessions:
            session.view.refresh()
            assert session.view.gone == (session.box == "other")
        self.sessions = [session for session in self.sessions if session.box != "other"]
        self.saved = [saved for saved in self.saved if saved.box != "other"]

    @precondition(lambda self: "restart" not in DRIVERS[self.driver].lacks)
    @rule()
    def restart(self) -> None:
        self.sessions.clear()
        self.house.restart()

    # -- clients

    @rule(name=BOXES)
    def select(self, name) -> None:
        view = self.house.open(self.boxes[name].id)
        numbering = Numbering(view.roll)
        self.sessions.append(Session(name, view, numbering, list(numbering.uids(1, numbering.exists))))
        assert self.sessions[-1].believed == list(self.boxes[name].there())

    @precondition(lambda self: self.sessions)
    @rule(data=st.data(), expunges=st.booleans(), arrivals=st.booleans())
    def tell(self, data, expunges, arrivals) -> None:
        session = data.draw(st.sampled_from(self.sessions))
        session.view.refresh()
        if expunges:
            told = session.numbering.expunge()
            struck = [session.believed.pop(number - 1) for number in told.numbers]
            assert sorted(struck) == list(told.uids)
            assert not session.numbering.waiting
        if arrivals:
            exists = session.numbering.arrive()
            known = len(session.believed)
            assert exists == 0 or exists > known
            session.believed += session.numbering.uids(known + 1, max(exists, known))
        if expunges and arrivals:
            assert session.believed == list(self.boxes[session.box].there())

    @precondition(lambda self: self.sessions)
    @rule(data=st.data())
    def leave(self, data) -> None:
        self.sessions.remove(data.draw(st.sampled_from(self.sessions)))

    @rule(name=BOXES)
    def save(self, name) -> None:
        box = self.boxes[name]
        flags = {uid: set(letter.flags) for uid, letter in box.there().items()}
        self.saved = self.saved[-4:]
        self.saved.append(Saved(name, box.uidvalidity, self.house.counts(box.id).highestmodseq, flags))

    # -- what always holds

    @invariant()
    def mailboxes_are_as_the_model_says(self) -> None:
        for name, box in self.boxes.items():
            view = self.house.open(box.id)
            rows = view.rows(view.roll.uids)
            uids, bits, modseqs = view.columns([Column.UID, Column.FLAGS, Column.MODSEQ], rows)
            there = box.there()
            assert list(uids) == list(view.roll.uids) == list(there)
            assert [set(words(each, view.keywords)) for each in bits] == [letter.flags for letter in there.values()]
            assert [bytes(view.body(row)) for row in rows] == [letter.content for letter in there.values()]
            counts = view.counts()
            assert max(modseqs, default=0) <= counts.highestmodseq
            assert self.highest[name] <= counts.highestmodseq
            self.highest[name] = counts.highestmodseq

    @invariant()
    def whoever_comes_back_learns_all(self) -> None:
        for saved in self.saved:
            self.come_back(saved)

    def come_back(self, saved: Saved) -> None:
        view = self.house.open(self.boxes[saved.box].id)
        assert view.uidvalidity == saved.uidvalidity
        changes = view.changes(saved.modseq)
        replayed = {uid: flags for uid, flags in saved.flags.items() if uid not in changes.vanished}
        uids, bits, modseqs = view.columns([Column.UID, Column.FLAGS, Column.MODSEQ], changes.rows)
        for uid, each in zip(uids, bits, strict=True):
            assert uid not in changes.vanished
            replayed[uid] = set(words(each, view.keywords))
        there = self.boxes[saved.box].there()
        assert replayed == {uid: letter.flags for uid, letter in there.items()}
        assert all(modseq > saved.modseq for modseq in modseqs)
        if changes.complete:
            assert set(changes.vanished) <= set(self.boxes[saved.box].letters) - set(there)

    @invariant()
    def counts_are_those_of_a_recount(self) -> None:
        for box in self.boxes.values():
            counts, there = self.house.counts(box.id), box.there()
            assert counts == self.house.open(box.id).counts()
            unseen = [uid for uid, letter in there.items() if "\\Seen" not in letter.flags]
            doomed = [letter for letter in there.values() if "\\Deleted" in letter.flags]
            assert (counts.exists, counts.uidnext, counts.uidvalidity) == (len(there), box.following, box.uidvalidity)
            assert (counts.unseen, counts.first_unseen) == (len(unseen), min(unseen, default=0))
            assert (counts.deleted, counts.deleted_size) == (len(doomed), sum(len(each.content) for each in doomed))
            assert counts.size == sum(len(letter.content) for letter in there.values())
        used = self.house.tree().used
        letters = [letter for box in self.boxes.values() for letter in box.there().values()]
        assert (used.storage, used.messages) == (sum(len(each.content) for each in letters), len(letters))

    @invariant()
    def numbers_of_sessions_are_those_their_clients_believe(self) -> None:
        for session in self.sessions:
            numbering, believed = session.numbering, session.believed
            assert numbering.exists == len(believed)
            assert list(numbering.uids(1, len(believed) + 5)) == believed
            assert list(numbering.uids(2, 3)) == believed[1:3]
            for uid in range(1, 12):
                place = bisect_left(believed, uid)
                assert numbering.number(uid) == (place + 1 if uid in believed else 0)
                assert numbering.span(uid, uid + 3) == range(place + 1, bisect_left(believed, uid + 4) + 1)
            assert [numbering.uid(number + 1) for number in range(len(believed))] == believed
            assert numbering.uid(0) == numbering.uid(len(believed) + 1) == 0


@pytest.mark.parametrize("driver", sorted(DRIVERS))
def test_a_store_does_what_the_model_does(driver):
    machine = type(f"Machine_{driver}", (Machine,), {"driver": driver})
    run_machine(machine, settings=settings(max_examples=100, stateful_step_count=40, deadline=None))
