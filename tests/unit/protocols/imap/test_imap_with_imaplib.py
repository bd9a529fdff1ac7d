"""Somebody else's client, Python's imaplib, over loopback to the server core and a mailbox of two messages."""

import contextlib
import imaplib
from collections.abc import Iterator

import pytest
from conformance.listening import listening
from tests.imap_material import Application, door

from penfold.protocols.imap import codes, events, fetching, listing, mailboxes, responses, rows, searching, status
from penfold.protocols.imap.rows import Column
from penfold.protocols.imap.server import Server

MESSAGES = [b"Subject: one\r\n\r\n{5}\r\n", b"Subject: two\r\n\r\n)\r\n"]


class Mailbox(Application):
    """An application with two messages, UIDs 5 and 6, and whatever is appended."""

    def __init__(self) -> None:
        super().__init__(Server(door(mechanisms=("PLAIN",)), clock=lambda: 0.0))
        self.server.greet()
        self.kept: list[bytes] = []

    # The Peer that ``listening`` drives.

    def send(self, octets: bytes) -> None:
        self.server.receive_data(octets)

    def receive(self) -> bytes:
        self.turn()
        octets, self.sent = self.sent, b""
        return octets

    def end(self) -> None:
        self.server.receive_eof()

    def over(self) -> bool:
        return self.server.closed

    def _answer(self, event: object) -> None:
        request = event.request if isinstance(event, events.Command) else None
        answer = None
        if isinstance(request, mailboxes.Select):
            self.server.write(
                responses.flags(["\\Seen"]) + responses.exists(2) + responses.coded(b"UIDVALIDITY", 7, "ok")
            )
            answer = status.ok("Opened", codes.READ_WRITE)
        elif isinstance(request, fetching.Fetch):
            self._fetch(request)
        elif isinstance(request, searching.Search):
            self.server.write(responses.search([1, 2]))
        elif isinstance(request, listing.List):
            self.server.write(responses.listed("Entwürfe", "/", ["\\Drafts"], utf8=self.server.utf8))
        elif isinstance(event, events.AppendEnd):
            answer = status.ok("Stored", codes.appended(7, [9]))
        elif isinstance(event, events.Chunk):
            self.kept.append(event.data)
        if answer is not None or isinstance(request, fetching.Fetch | searching.Search | listing.List):
            self.server.answer(answer)
        else:
            super()._answer(event)

    def _fetch(self, request: fetching.Fetch) -> None:
        chosen = list(request.messages.numbers(2))
        columns = [Column(b"UID", [number + 4 for number in chosen], number=True)]
        for item in request.items:
            if isinstance(item, fetching.Section):
                bodies = [rows.octets(item.label, MESSAGES[number - 1]) for number in chosen]
                columns.append(Column(item.label, [body[len(item.label) + 1 :] for body in bodies]))
            elif item is fetching.Attribute.FLAGS:
                columns.append(Column(b"FLAGS", [rows.flag_list(["\\Seen"])] * len(chosen)))
        self.server.write(rows.fetch_rows(chosen, columns))


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def client(mailbox: Mailbox) -> Iterator[imaplib.IMAP4]:
    with listening(lambda: mailbox) as port:
        connection = imaplib.IMAP4("127.0.0.1", port, timeout=10)
        yield connection
        with contextlib.suppress(OSError):
            connection.shutdown()


def test_a_whole_session(client, mailbox):
    assert "IDLE" in client.capabilities
    client.login("alice", 'sec"ret')
    assert client.select("INBOX") == ("OK", [b"2"])
    assert client.response("UIDVALIDITY") == ("UIDVALIDITY", [b"7"])
    assert client.search(None, "FROM", '"x y"', "UNSEEN") == ("OK", [b"1 2"])
    kind, data = client.fetch("1:*", "(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)] RFC822)")
    assert kind == "OK"
    assert [part[1] for part in data if isinstance(part, tuple)] == [MESSAGES[0], MESSAGES[0], MESSAGES[1], MESSAGES[1]]
    assert client.list() == ("OK", [b'(\\Drafts) "/" Entw&APw-rfe'])
    assert client.append("INBOX", "(\\Seen)", imaplib.Time2Internaldate(0), MESSAGES[1])[0] == "OK"
    assert mailbox.kept == [MESSAGES[1]]
    assert client.uid("STORE", "5", "+FLAGS.SILENT", "(\\Deleted)")[0] == "OK"
    assert client.expunge()[0] == "OK"
    assert client.logout()[0] == "BYE"


def test_an_exchange_and_utf8(client):
    assert client.authenticate("PLAIN", lambda _challenge: b"\0alice\0secret")[0] == "OK"
    assert client.enable("UTF8=ACCEPT")[0] == "OK"
    assert client.list() == ("OK", ['(\\Drafts) "/" "Entwürfe"'.encode()])
    assert client.create('"Entwürfe"')[0] == "OK"
    assert client.logout()[0] == "BYE"


def test_a_wrong_password(client):
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        client.login("mallory", "x")
