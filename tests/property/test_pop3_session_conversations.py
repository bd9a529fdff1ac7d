"""A session over a store, whatever a client says and however it is cut."""

from conformance.pop3_house import MemoryLink
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.pop3_material import ALICE, ONE, THREE, TWO, Talk

from penfold.access.pop3 import Pop3Session
from penfold.net.link import Closing

LARGE = b"Subject: large\r\n\r\n" + b"x" * 70_000 + b"\r\n"
COMMANDS = (
    *(b"STAT", b"LIST", b"UIDL", b"RSET", b"NOOP", b"CAPA", b"QUIT", b"XTND XMIT\r\nTo: bob@example.org\r\n\r\nx\r\n."),
    *(b"RETR 1", b"RETR 4", b"RETR 9", b"TOP 2 1", b"TOP 4 3", b"DELE 1", b"DELE 3", b"LIST 2", b"UIDL 3", b"FOO"),
)
SCRIPTS = st.lists(st.sampled_from(COMMANDS), max_size=12).map(lambda lines: b"".join(line + b"\r\n" for line in lines))

PIECES = st.one_of(st.binary(max_size=60), st.sampled_from(COMMANDS).map(lambda line: line + b"\r\n"))


def play(pieces, room=float("inf")):
    """Say this to a new store; gives what was answered and what is left in the mailbox."""
    with Talk(ONE, TWO, THREE, LARGE, settings={"transmit": "yes"}, room=room) as talk:
        talk.login()
        said = b"".join(talk.send(piece) for piece in pieces)
        while came := talk.read_on():
            said += came
        left = talk.contents(), talk.flags(), len(talk.house.queue.messages)
        talk.hang_up()
        assert talk.house.locks.take(ALICE)
        return said, left


@settings(max_examples=40, deadline=None)
@given(SCRIPTS, st.data())
def test_any_cutting_and_any_pace_of_reading_gives_the_same_answers_and_the_same_mailbox(script, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(script)), max_size=5)))
    pieces = [script[a:b] for a, b in zip([0, *cuts], [*cuts, len(script)], strict=True)]
    room = data.draw(st.sampled_from([0, 100, 70_000, float("inf")]))
    assert play(pieces, room) == play([script])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.one_of(st.binary(max_size=60), st.sampled_from(COMMANDS).map(lambda line: line + b"\r\n")), max_size=8)
)
def test_whatever_is_said_the_lock_is_given_back_and_only_quit_removes(pieces):
    with Talk(ONE, TWO, settings={"transmit": "yes", "mechanisms": "PLAIN"}) as talk:
        link = talk.link = MemoryLink()
        session = talk.session = Pop3Session(talk.house.office, "x")
        session.connected(link)
        for piece in (b"USER alice\r\nPASS alice-demo\r\n", *pieces):
            talk.send(piece)
        session.eof()
        talk.settle()
        talk.hang_up(Closing.PEER)
        assert talk.house.locks.take(ALICE)
        if b"QUIT" not in b"".join(pieces).upper():
            assert talk.contents() == [ONE, TWO]
