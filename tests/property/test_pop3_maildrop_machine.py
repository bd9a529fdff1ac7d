"""Sessions and other programs at one mailbox: what a session is given is INBOX as it was at its log-in.

RFC 1939 §4, §5, §6.
"""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from tests.pop3_material import ALICE, Talk

from penfold.net.link import Closing
from penfold.store import Expunge, How, StoreFlags, UidSet


def octets(number: int) -> bytes:
    return b"Subject: %d\r\n\r\n" % number + b".dot\r\n" * (number % 3)


class Machine(RuleBasedStateMachine):
    """``there`` is the mailbox by UID; ``seen`` what the session that is on was shown, ``marked`` its deletions."""

    def __init__(self) -> None:
        super().__init__()
        self.talk = Talk()
        self.there: dict[int, bytes] = {}
        self.given = 0
        self.seen: list[tuple[int, bytes]] | None = None
        self.marked: set[int] = set()

    def teardown(self) -> None:
        self.talk.__exit__()

    def on(self) -> bool:
        return self.seen is not None

    @rule(count=st.integers(1, 4))
    def mail_arrives(self, count):
        for _ in range(count):
            self.given += 1
            self.there[self.given] = octets(self.given)
            self.talk.append(self.there[self.given])

    @precondition(lambda self: self.there)
    @rule(data=st.data())
    def another_program_removes(self, data):
        gone = data.draw(st.sets(st.sampled_from(sorted(self.there)), min_size=1))
        self.talk.apply(Expunge(ALICE, self.talk.inbox, UidSet.of(gone), deleted=False))
        for uid in gone:
            del self.there[uid]

    @precondition(lambda self: self.there)
    @rule(data=st.data())
    def another_program_flags(self, data):
        chosen = data.draw(st.sets(st.sampled_from(sorted(self.there)), min_size=1))
        self.talk.apply(StoreFlags(ALICE, self.talk.inbox, UidSet.of(chosen), How.ADD, ("\\Deleted",)))

    @precondition(lambda self: not self.on())
    @rule()
    def log_in(self):
        self.talk.login()
        self.seen, self.marked = sorted(self.there.items()), set()

    @precondition(on)
    @rule()
    def list_all(self):
        assert self.seen is not None
        alive = [(n, one) for n, one in enumerate(self.seen, 1) if n not in self.marked]
        assert self.talk.say("STAT") == f"+OK {len(alive)} {sum(len(body) for _, (_, body) in alive)}\r\n"
        sizes = self.talk.say("LIST").split("\r\n")[1:-2]
        assert sizes == [f"{n} {len(body)}" for n, (_, body) in alive]
        names = self.talk.say("UIDL").split("\r\n")[1:-2]
        assert [(int(n), int(name[-8:], 16)) for n, name in map(str.split, names)] == [
            (n, uid) for n, (uid, _) in alive
        ]

    @precondition(on)
    @rule(number=st.integers(1, 12))
    def retrieve(self, number):
        assert self.seen is not None
        said = self.talk.say(f"RETR {number}").encode()
        if number > len(self.seen) or number in self.marked:
            assert said.startswith(b"-ERR")
        else:
            body = self.seen[number - 1][1]
            assert said == b"+OK %d octets\r\n" % len(body) + body.replace(b"\r\n.", b"\r\n..") + b".\r\n"

    @precondition(on)
    @rule(number=st.integers(1, 12))
    def delete(self, number):
        assert self.seen is not None
        good = number <= len(self.seen) and number not in self.marked
        assert self.talk.say(f"DELE {number}").startswith("+OK" if good else "-ERR")
        if good:
            self.marked.add(number)

    @precondition(on)
    @rule()
    def reset(self):
        assert self.talk.say("RSET").startswith("+OK")
        self.marked = set()

    @precondition(on)
    @rule()
    def quit(self):
        assert self.seen is not None
        assert self.talk.say("QUIT") == "+OK Bye\r\n"
        self.talk.session.closed(Closing.OURS)
        for number in self.marked:
            self.there.pop(self.seen[number - 1][0], None)
        self.leave()

    @precondition(on)
    @rule()
    def vanish(self):
        self.talk.hang_up()
        self.leave()

    def leave(self):
        self.seen = None
        assert self.talk.contents() == [body for _, body in sorted(self.there.items())]


Machine.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestMaildropMachine = Machine.TestCase
