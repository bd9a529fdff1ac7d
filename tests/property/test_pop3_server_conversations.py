"""Whatever comes and however it is cut, the POP3 server core says the same, and says nothing but responses."""

import re
from itertools import pairwise

from conformance.pop3_runner import LANGUAGES, TIMESTAMP, Application
from hypothesis import given, settings
from hypothesis import strategies as st

from penfold.protocols.pop3 import Server, ServerSettings, events

FRAGMENTS = [
    b"USER alice\r\n",
    b"PASS alice-demo\r\n",
    b"PASS wrong\r\n",
    b"USER busy\n",
    b"APOP alice 513762fda5e7790726dd3707018ad835\r\n",
    b"CAPA\r\n",
    b"STAT\r\n",
    b"LIST\r\n",
    b"LIST 2\r\n",
    b"UIDL\r\n",
    b"UIDL 4\r\n",
    b"RETR 1\r\n",
    b"RETR 2\r\n",
    b"RETR 3\r\n",
    b"TOP 2 1\r\n",
    b"TOP 1 0\r\n",
    b"DELE 1\r\n",
    b"DELE 2\r\n",
    b"RSET\r\n",
    b"NOOP\r\n",
    b"QUIT\r\n",
    b"UTF8\r\n",
    b"LANG\r\n",
    b"LANG de\r\n",
    b"STLS\r\n",
    b"AUTH\r\n",
    b"AUTH PLAIN\r\n",
    b"AUTH LOGIN YWxpY2U=\r\n",
    b"AUTH PLAIN AGFsaWNlAGFsaWNlLWRlbW8=\r\n",
    b"*\r\n",
    b"YWxpY2UtZGVtbw==\r\n",
    b"XTND XMIT\r\n",
    b"line\r\n",
    b".\r\n",
    b"..\r\n",
    b"\r\n",
    b"\r",
    b"\n",
    b".",
    b"\r\n.\r\n",
    b"x" * 130,
    b"x" * 300,
    b"GET / HTTP/1.0\r\n",
]
OPENINGS = [
    b"",
    b"USER alice\r\nPASS alice-demo\r\n",
    b"USER alice\r\nPASS alice-demo\r\nUIDL\r\nXTND XMIT\r\n",
    b"USER stuck\r\nPASS stuck-demo\r\nDELE 3\r\nLIST\r\n",
]
conversations = st.builds(
    lambda opening, parts: opening + b"".join(parts),
    st.sampled_from(OPENINGS),
    st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.sampled_from(FRAGMENTS), st.binary(max_size=12)), max_size=25),
)
doors = st.builds(
    ServerSettings,
    hostname=st.just("mx.test"),
    clear_text=st.booleans(),
    apop=st.booleans(),
    starttls=st.booleans(),
    mechanisms=st.sampled_from([(), ("PLAIN", "LOGIN")]),
    languages=st.sampled_from([{}, LANGUAGES]),
    utf8=st.booleans(),
    transmit=st.booleans(),
    max_size=st.sampled_from([0, 20, 5000]),
    max_line=st.just(100),
    max_auth_line=st.just(150),
    max_errors=st.sampled_from([0, 3]),
    max_commands=st.sampled_from([0, 5]),
)


def _cut(octets: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({place % (len(octets) + 1) for place in places} | {0, len(octets)})
    return [octets[start:end] for start, end in pairwise(edges)]


def _converse(door: ServerSettings, pieces: list[bytes]) -> tuple[list[object], bytes]:
    server = Server(door, clock=lambda: 0.0)
    server.greet(timestamp=TIMESTAMP)
    application = Application(server)
    for piece in pieces:
        server.receive_data(piece)
        application.turn()
    server.receive_eof()
    application.turn()
    return _merged(application.seen), application.wire + server.data_to_send()


def _merged(seen: list[events.Event]) -> list[object]:
    """Join chunks; how much of a message was handed out before it was refused or lost depends on the cuts."""
    merged: list[object] = []
    for event in seen:
        if isinstance(event, events.Chunk) and merged and isinstance(merged[-1], bytes):
            merged[-1] += event.data
            continue
        lost = isinstance(event, events.Closed) or (isinstance(event, events.MessageEnd) and event.failure is not None)
        if lost and merged and isinstance(merged[-1], bytes):
            merged.pop()
        merged.append(event.data if isinstance(event, events.Chunk) else event)
    return merged


@settings(max_examples=300, deadline=None)
@given(conversations, doors, st.lists(st.integers(0, 10_000), max_size=30))
def test_any_cutting_of_a_conversation_gives_the_same_events(octets, door, places):
    whole, whole_out = _converse(door, [octets])
    cut, cut_out = _converse(door, _cut(octets, places))
    assert cut == whole
    if not any(isinstance(event, events.StartTls) for event in whole):
        assert cut_out == whole_out


@settings(max_examples=150, deadline=None)
@given(conversations, doors)
def test_octet_by_octet_gives_the_same_events(octets, door):
    whole, _ = _converse(door, [octets])
    single, _ = _converse(door, [octets[i : i + 1] for i in range(len(octets))])
    assert single == whole


@settings(max_examples=200, deadline=None)
@given(conversations, doors)
def test_everything_said_is_lines_within_their_limit(octets, door):
    _, said = _converse(door, [octets])
    assert said.startswith(b"+OK")
    assert said.endswith(b"\r\n")
    for line in said.split(b"\r\n")[:-1]:
        assert re.fullmatch(rb"[ -~\x80-\xff]*", line), line
        assert len(line) <= 510


@settings(max_examples=200, deadline=None)
@given(conversations, doors)
def test_nothing_is_removed_but_by_one_update_of_valid_numbers(octets, door):
    seen, _ = _converse(door, [octets])
    updates = [event for event in seen if isinstance(event, events.Update)]
    assert len(updates) <= 1
    for update in updates:
        assert list(update.deleted) == sorted(set(update.deleted))
        assert all(1 <= number <= 4 for number in update.deleted)
        assert seen[-2:] == [update, events.Closed("quit")]
    assert isinstance(seen[-1], events.Closed) or any(isinstance(event, events.StartTls) for event in seen)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=2000), max_size=20), doors)
def test_memory_stays_bounded_whatever_the_length_of_a_line(pieces, door):
    server = Server(door, clock=lambda: 0.0)
    server.greet()
    application = Application(server)
    for piece in pieces:
        server.receive_data(piece.replace(b"\n", b" "))
        application.turn()
        assert server.buffered <= door.max_auth_line
