"""Whatever comes and however it is cut, the server core says the same, and never says anything but replies."""

import re
from itertools import pairwise

from conformance.smtp_runner import Application
from hypothesis import given, settings
from hypothesis import strategies as st

from penfold.protocols.smtp import BareEnds, Role, Server, ServerSettings, events

FRAGMENTS = [
    b"EHLO c.example\r\n",
    b"HELO c\n",
    b"LHLO l\r\n",
    b"MAIL FROM:<a@b.example>\r\n",
    b"MAIL FROM:<> BODY=BINARYMIME\r\n",
    b"MAIL FROM:<a@b> SIZE=99999\r\n",
    b"RCPT TO:<alice@example.test>\r\n",
    b"RCPT TO:<unknown@example.test>\r\n",
    b"DATA\r\n",
    b"line\r\n",
    b".\r\n",
    b"..\r\n",
    b".x\r\n",
    b"\r\n",
    b"\r",
    b"\n",
    b".",
    b"\r\n.\r\n",
    b"refuse me\r\n",
    b"BDAT 5\r\nQUIT\r",
    b"BDAT 0 LAST\r\n",
    b"BDAT 4 LAST\r\n.\r\n.",
    b"BDAT 300\r\n",
    b"x" * 300,
    b"RSET\r\n",
    b"NOOP\r\n",
    b"QUIT\r\n",
    b"STARTTLS\r\n",
    b"AUTH PLAIN\r\n",
    b"AUTH LOGIN YWxpY2U=\r\n",
    b"AUTH PLAIN AGFsaWNlAGFsaWNlLWRlbW8=\r\n",
    b"*\r\n",
    b"YWxpY2UtZGVtbw==\r\n",
    b"VRFY a\r\n",
    b"GET / HTTP/1.0\r\n",
]
OPENINGS = [
    b"",
    b"EHLO c\r\n",
    b"EHLO c\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<alice@example.test>\r\n",
    b"EHLO c\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\n",
    b"LHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<alice@example.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n",
]
conversations = st.builds(
    lambda opening, parts: opening + b"".join(parts),
    st.sampled_from(OPENINGS),
    st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.sampled_from(FRAGMENTS), st.binary(max_size=12)), max_size=25),
)
doors = st.builds(
    ServerSettings,
    hostname=st.just("mx.test"),
    role=st.sampled_from(Role),
    max_size=st.sampled_from([0, 20, 5000]),
    max_line=st.just(100),
    max_auth_line=st.just(150),
    max_errors=st.sampled_from([0, 3]),
    mechanisms=st.just(("PLAIN", "LOGIN")),
    starttls=st.booleans(),
    bare_ends=st.sampled_from(BareEnds),
)


def _cut(octets: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({place % (len(octets) + 1) for place in places} | {0, len(octets)})
    return [octets[start:end] for start, end in pairwise(edges)]


def _converse(door: ServerSettings, pieces: list[bytes]) -> tuple[list[object], bytes]:
    server = Server(door, clock=lambda: 0.0)
    server.greet()
    application = Application(server)
    for piece in pieces:
        server.receive_data(piece)
        application.turn()
    server.receive_eof()
    application.turn()
    return _merged(application.seen), server.data_to_send()


def _merged(seen: list[events.Event]) -> list[object]:
    merged: list[object] = []
    for event in seen:
        if isinstance(event, events.Chunk) and merged and isinstance(merged[-1], bytes):
            merged[-1] += event.data
        else:
            merged.append(event.data if isinstance(event, events.Chunk) else event)
    return merged


def _without_refused_bodies(seen: list[object]) -> list[object]:
    """How much of a body was handed out before it was refused depends on the cuts; that it was refused does not."""
    kept: list[object] = []
    for event in seen:
        refused = isinstance(event, events.MessageEnd) and event.failure is not None
        if (refused or isinstance(event, events.Closed)) and kept and isinstance(kept[-1], bytes):
            kept.pop()
        kept.append(event)
    return kept


@settings(max_examples=300, deadline=None)
@given(conversations, doors, st.lists(st.integers(0, 10_000), max_size=30))
def test_any_cutting_of_a_conversation_gives_the_same_events(octets, door, places):
    whole, whole_out = _converse(door, [octets])
    cut, cut_out = _converse(door, _cut(octets, places))
    assert _without_refused_bodies(cut) == _without_refused_bodies(whole)
    if not any(isinstance(event, events.StartTls) for event in whole):
        assert cut_out == whole_out


@settings(max_examples=150, deadline=None)
@given(conversations, doors)
def test_octet_by_octet_gives_the_same_events(octets, door):
    whole, _ = _converse(door, [octets])
    single, _ = _converse(door, [octets[i : i + 1] for i in range(len(octets))])
    assert _without_refused_bodies(single) == _without_refused_bodies(whole)


@settings(max_examples=200, deadline=None)
@given(conversations, doors)
def test_everything_said_is_replies(octets, door):
    _, said = _converse(door, [octets])
    for line in said.split(b"\r\n")[:-1]:
        assert re.fullmatch(rb"[2345]\d\d[ -][ -~\x80-\xff]*", line), line
        assert len(line) <= 510
    assert said.endswith(b"\r\n")


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
