"""Server and client talking to each other: every body, listing and mark of deletion arrives as it was sent."""

from itertools import pairwise

from conformance.pop3_runner import Application, canonical
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.dotted_material import nasty

from penfold.protocols.base import NEED_DATA
from penfold.protocols.pop3 import Client, ClientSettings, Response, Server, ServerSettings, events, steps
from penfold.protocols.pop3.top import TopCutter


class Talk:
    """A client and a server, and between them a wire that cuts what it carries."""

    def __init__(self, messages: list[bytes], *, step: int, cut: int, pipelining: bool = True) -> None:
        self.server = Server(ServerSettings(hostname="mx.test", clear_text=True), clock=lambda: 0.0)
        self.application = Application(self.server, tuple(messages), step)
        self.client = Client(ClientSettings(pipelining=pipelining), clock=lambda: 0.0)
        self.seen: list[steps.Step] = []
        self._cut = cut
        self.server.greet()
        self.run()
        self.client.login("alice", "alice-demo")
        self.run()

    def run(self) -> list[steps.Step]:
        """Carry octets until both wait; returns what the client heard."""
        before = len(self.seen)
        while True:
            self.server.receive_data(self.client.data_to_send())
            self.application.turn()
            said, self.application.wire = self.application.wire, b""
            if not said:
                return self.seen[before:]
            for start in range(0, len(said), self._cut):
                self.client.receive_data(said[start : start + self._cut])
                while (event := self.client.next_event()) is not NEED_DATA:
                    self.seen.append(event)


def _bodies(heard: list[steps.Step]) -> list[bytes]:
    bodies: list[bytes] = []
    for event in heard:
        match event:
            case steps.MessageReply(response=response):
                assert response.ok
                bodies.append(b"")
            case steps.Chunk(data=data):
                bodies[-1] += data
            case steps.MessageEnd(size=size):
                assert size == len(bodies[-1])
    return bodies


drops = st.lists(st.builds(b"".join, nasty), min_size=1, max_size=5)
cuts = st.integers(1, 40)


@settings(max_examples=150, deadline=None)
@given(drops, cuts, cuts, st.booleans())
def test_every_body_arrives_with_crlf_line_ends_and_otherwise_unchanged(messages, step, cut, pipelining):
    talk = Talk(messages, step=step, cut=cut, pipelining=pipelining)
    for number in range(1, len(messages) + 1):
        talk.client.retrieve(number)
    assert _bodies(talk.run()) == [canonical(message) for message in messages]
    assert talk.client.idle


@settings(max_examples=100, deadline=None)
@given(drops, cuts, st.sets(st.integers(1, 5)))
def test_listings_and_marks_agree_on_both_sides(messages, cut, doomed):
    talk = Talk(messages, step=9, cut=cut)
    client, count = talk.client, len(messages)
    for number in sorted(doomed):
        client.delete(number)
    client.stat()
    client.sizes()
    client.unique_ids()
    heard = talk.run()
    left = [number for number in range(1, count + 1) if number not in doomed]
    sizes = [row for event in heard if isinstance(event, steps.SizeRows) for row in event.rows]
    uids = [row for event in heard if isinstance(event, steps.UidRows) for row in event.rows]
    assert sizes == [(number, len(canonical(messages[number - 1]))) for number in left]
    assert [number for number, _ in uids] == left
    (stat,) = [event for event in heard if isinstance(event, steps.StatReply)]
    assert (stat.messages, stat.octets) == (len(left), sum(size for _, size in sizes))
    client.quit()
    assert talk.run() == [steps.Closed(Response.yes("Bye"), "quit")]
    assert events.Update(tuple(sorted(doomed & set(range(1, count + 1))))) in talk.application.seen


def _top(message: bytes, lines: int) -> bytes:
    """The header, the empty line and so many lines, the slow way."""
    whole = canonical(message).split(b"\r\n")[:-1]
    if b"" in whole:
        whole = whole[: whole.index(b"") + 1 + lines]
    return b"".join(line + b"\r\n" for line in whole)


@settings(max_examples=400, deadline=None)
@given(nasty, st.integers(0, 6), st.lists(st.integers(0, 200), max_size=10))
def test_the_top_is_the_header_and_so_many_lines_however_it_is_cut(pieces, lines, places):
    message = b"".join(pieces)
    edges = sorted({place % (len(message) + 1) for place in places} | {0, len(message)})
    cutter = TopCutter(lines)
    top = b"".join(cutter.feed(message[start:end]) for start, end in pairwise(edges)) + cutter.finish()
    assert canonical(top) == _top(message, lines)


@settings(max_examples=100, deadline=None)
@given(drops, st.integers(0, 4), cuts, cuts)
def test_the_top_of_a_message_arrives(messages, lines, step, cut):
    talk = Talk(messages, step=step, cut=cut)
    talk.client.top(1, lines)
    assert _bodies(talk.run()) == [_top(messages[0], lines)]
