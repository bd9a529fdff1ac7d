"""Somebody else's client, Python's poplib, over loopback to the server core."""

import poplib
from collections.abc import Iterator

import pytest
from conformance.listening import listening
from conformance.pop3_runner import MESSAGES, UIDS, CorePeer, Transcript, canonical

SETTINGS = {"clear_text": "yes", "apop": "yes", "mechanisms": "PLAIN", "languages": "en"}


@pytest.fixture
def client() -> Iterator[poplib.POP3]:
    with listening(lambda: CorePeer(Transcript("poplib", settings=SETTINGS))) as port:
        connection = poplib.POP3("127.0.0.1", port, timeout=10)
        yield connection
        connection.close()


def lines(message):
    return canonical(message).split(b"\r\n")[:-1]


def test_a_whole_session(client):
    assert client.capa()["SASL"] == ["PLAIN"]
    client.user("alice")
    client.pass_("alice-demo")
    assert client.stat() == (4, sum(len(canonical(message)) for message in MESSAGES))
    assert [int(row.split()[1]) for row in client.list()[1]] == [len(canonical(message)) for message in MESSAGES]
    assert [row.split()[1].decode() for row in client.uidl()[1]] == list(UIDS)
    assert client.uidl(2) == f"+OK 2 {UIDS[1]}".encode()
    assert client.retr(1)[1] == lines(MESSAGES[0])
    assert client.retr(2)[1] == lines(MESSAGES[1])
    assert client.top(1, 1)[1] == lines(MESSAGES[0])[:4]
    assert client.dele(2).startswith(b"+OK")
    assert client.stat()[0] == 3
    assert client.rset().startswith(b"+OK")
    assert client.noop().startswith(b"+OK")
    with pytest.raises(poplib.error_proto, match="No such message"):
        client.retr(9)
    assert client.quit().startswith(b"+OK")


def test_apop(client):
    assert client.apop("alice", "alice-demo").startswith(b"+OK")
    assert client.stat()[0] == 4


def test_utf8(client):
    assert client.utf8().startswith(b"+OK")
    client.user("grüße")
    client.pass_("grüße-demo")
    assert client.retr(3)[1][0] == "Subject: Grüße".encode()


def test_a_wrong_password(client):
    client.user("alice")
    with pytest.raises(poplib.error_proto, match=r"\[AUTH\] Authentication failed"):
        client.pass_("wrong")
