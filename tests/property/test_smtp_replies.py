"""Replies: written and read back; any octets are a reply or a RemoteProtocolError; any cutting gives the same."""

import re
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from penfold.model import RemoteProtocolError, Reply
from penfold.protocols.base import NEED_DATA
from penfold.protocols.smtp import Client, ClientSettings, steps
from penfold.protocols.smtp.reader import ReplyReader
from penfold.protocols.smtp.replies import render

lines = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60)
replies = st.builds(
    lambda code, texts: Reply(code, f"{code // 100}.1.2", tuple(texts)),
    st.sampled_from([250, 220, 421, 452, 550]),
    st.lists(lines, min_size=1, max_size=5),
)


@settings(max_examples=200)
@given(replies)
def test_a_written_reply_is_read_back(reply):
    reader = ReplyReader()
    reader.feed(render(reply))
    assert reader.next_reply() == reply


@settings(max_examples=200)
@given(st.text(max_size=1500), st.integers(200, 599))
def test_no_text_makes_a_reply_of_two_lines(text, code):
    wire = render(Reply.of(code, "", text))
    assert wire.count(b"\r\n") == 1
    assert not re.search(rb"[\x00-\x1f]", wire[:-2])
    assert len(wire) <= 512


def _all_replies(pieces):
    reader, found = ReplyReader(), []
    try:
        for piece in pieces:
            reader.feed(piece)
            while (reply := reader.next_reply()) is not None:
                found.append(reply)
    except RemoteProtocolError:
        found.append(None)
    return found


answers = st.lists(
    st.sampled_from(
        [
            b"250 ok\r\n",
            b"250-a\r\n",
            b"251 b\r\n",
            b"354 go\n",
            b"550 5.1.1 no\r\n",
            b"x\r\n",
            b"421\r\n",
            b"\xff\r\n",
            b"334 YQ==\r\n",
        ]
    ),
    max_size=12,
)


@settings(max_examples=300)
@given(answers, st.lists(st.integers(0, 200), max_size=8))
def test_any_cutting_gives_the_same_replies(parts, places):
    wire = b"".join(parts)
    edges = sorted({place % (len(wire) + 1) for place in places} | {0, len(wire)})
    pieces = [wire[start:end] for start, end in pairwise(edges)]
    assert _all_replies(pieces) == _all_replies([wire])


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(answers.map(b"".join), st.binary(max_size=40)), max_size=8), st.booleans(), st.booleans())
def test_every_transaction_is_done_exactly_once_whatever_the_server_says(parts, lmtp, chunking):
    from penfold.model import Address
    from penfold.protocols.smtp import ForwardPath, Transaction

    client = Client(ClientSettings(hostname="me.test", lmtp=lmtp, chunking=chunking), clock=lambda: 0.0)
    begun = done = 0
    transaction = Transaction(
        reverse_path=None, recipients=(ForwardPath(Address("a", "b.test")), ForwardPath(Address("c", "b.test")))
    )
    for part in [b"220 hi\r\n250-x\r\n250-PIPELINING\r\n250 CHUNKING\r\n", *parts, None]:
        if part is None:
            client.receive_eof()
        else:
            client.receive_data(part)
        while (event := client.next_event()) is not NEED_DATA:
            if isinstance(event, steps.TransactionReady):
                client.send_body(b"hello")
                client.end_body()
            elif isinstance(event, steps.Done):
                done += 1
                assert len(event.replies) == 2
            if client.idle and begun < 3:
                begun += 1
                client.begin(transaction)
    assert client.closed
    assert done == begun
