"""Whatever a POP3 server says and however it is cut, the client core hears the same, and every wait has an end."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from penfold.protocols.base import NEED_DATA
from penfold.protocols.pop3 import Client, ClientSettings, steps

FRAGMENTS = [
    b"+OK\r\n",
    b"+OK 2 300\r\n",
    b"+OK 1 u1\r\n",
    b"-ERR no\r\n",
    b"-ERR [IN-USE] locked\r\n",
    b"+ YWJj\r\n",
    b"+ \r\n",
    b"1 120\r\n2 180\r\n",
    b"1 u1\r\n2 u2\r\n",
    b"PIPELINING\r\nUIDL\r\n",
    b"..line\r\n",
    b".\r\n",
    b"\r\n.\r\n",
    b"\r",
    b"\n",
    b".",
    b"250 ok\r\n",
    b"x" * 100,
]
sayings = st.builds(
    lambda parts: b"+OK hello\r\n+OK\r\nPIPELINING\r\n.\r\n" + b"".join(parts),
    st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.sampled_from(FRAGMENTS), st.binary(max_size=8)), max_size=25),
)


def _hear(pieces: list[bytes], max_size: int) -> list[object]:
    client = Client(ClientSettings(max_size=max_size), clock=lambda: 0.0)
    heard: list[object] = []
    _take(client, heard)
    for piece in pieces:
        client.receive_data(piece)
        _take(client, heard)
    client.receive_eof()
    _take(client, heard)
    assert client.closed
    return heard


def _take(client: Client, heard: list[object]) -> None:
    while (event := client.next_event()) is not NEED_DATA:
        _note(heard, event)
        if isinstance(event, steps.AuthChallenge):
            client.auth_respond(b"x")
        elif isinstance(event, steps.Capabilities) and event.response.ok:
            client.authenticate("PLAIN", b"x")
        elif isinstance(event, steps.LoginReply):
            for ask in (client.stat, client.sizes, client.unique_ids, client.reset):
                ask()
            client.unique_ids(1)
            client.retrieve(1)
            client.delete(1)
            client.quit()


def _note(heard: list[object], event: steps.Step) -> None:
    """Join what the cuts decide: chunks, and rows."""
    kind = type(event)
    data = event.data if kind is steps.Chunk else event.rows if kind in {steps.SizeRows, steps.UidRows} else None
    if data is None:
        heard.append(event)
    elif heard and isinstance(heard[-1], list) and heard[-1][0] is kind:
        heard[-1][1] += data
    else:
        heard.append([kind, data if isinstance(data, bytes) else list(data)])


def _certain(heard: list[object]) -> list[object]:
    """Drop what the cuts decide: how much was given of what then broke off or was too big."""
    kept: list[object] = []
    for event in heard:
        broken = isinstance(event, steps.Closed) or (isinstance(event, steps.MessageEnd) and event.too_big)
        if broken and kept and isinstance(kept[-1], list):
            kept.pop()
        kept.append(event)
    return kept


@settings(max_examples=300, deadline=None)
@given(sayings, st.sampled_from([0, 10]), st.lists(st.integers(0, 10_000), max_size=30))
def test_any_cutting_of_what_a_server_says_is_heard_alike(octets, max_size, places):
    edges = sorted({place % (len(octets) + 1) for place in places} | {0, len(octets)})
    whole = _hear([octets], max_size)
    cut = _hear([octets[start:end] for start, end in pairwise(edges)], max_size)
    assert _certain(cut) == _certain(whole)


@settings(max_examples=200, deadline=None)
@given(sayings)
def test_every_connection_ends_in_one_closed(octets):
    heard = _hear([octets], 0)
    assert [isinstance(event, steps.Closed) for event in heard].count(True) == 1
    assert isinstance(heard[-1], steps.Closed)
