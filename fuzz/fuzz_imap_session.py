"""An IMAP session over a store: whatever is said is answered or refused, and no error of ours shows."""

from conformance.imap_runner import Connection, FakeLink, House

from penfold.net.link import Closing

_IN = b"l LOGIN alice alice-demo\r\ns SELECT INBOX\r\n"
SEEDS: list[bytes] = [
    b"\x00" + _IN + b"a FETCH 1:* (FLAGS UID ENVELOPE BODYSTRUCTURE BODY.PEEK[1] BINARY.PEEK[2]<1.2>)\r\nb NOOP\r\n",
    b"\x01" + _IN + b"a STORE 1:2 +FLAGS (\\Deleted x)\r\nb UID EXPUNGE 1:*\r\nc UID MOVE 3 x\r\nd CLOSE\r\n",
    b"\x02" + _IN + b'a UID SEARCH RETURN (SAVE COUNT) OR BODY "tea" NOT FROM bob\r\nb SORT (DATE) UTF-8 $\r\n',
    b"\x03" + _IN + b"a APPEND INBOX (\\Seen) {3+}\r\nabc {2+}\r\nde\r\nb IDLE\r\nDONE\r\nc THREAD REFS UTF-8 ALL\r\n",
    b'\x00l LOGIN alice alice-demo\r\na CREATE a/b\r\nb LIST (SUBSCRIBED) "" (%) RETURN (STATUS (SIZE))\r\n'
    b"c RENAME a b\r\nd SETACL b/b bob lr\r\ne GETMETADATA INBOX /private/x\r\nf DELETE b/b\r\n",
    b"\x01l LOGIN alice alice-demo\r\na ENABLE QRESYNC UIDONLY\r\nb SELECT INBOX (QRESYNC (1770091506 1 1:9))\r\n"
    b"c UID FETCH 1:* UID (CHANGEDSINCE 1 VANISHED)\r\nd UID REPLACE 1 INBOX {1+}\r\nx\r\n",
    b'\x02l LOGIN alice alice-demo\r\na APPEND INBOX CATENATE (URL "/INBOX/;UID=1/;SECTION=TEXT" TEXT {1+}\r\nx)\r\n',
    b"\x03"
    + _IN
    + b"a NOTIFY SET STATUS (selected (MessageNew (UID BODY.PEEK[TEXT]) MessageExpunge)) (personal (MailboxName))\r\n"
    b"b APPEND INBOX {1+}\r\nx\r\nc CREATE y\r\nd NOTIFY NONE\r\ne ESEARCH IN (personal) BODY tea\r\n",
]
TOKENS: tuple[bytes, ...] = (
    *(b"FETCH ", b"STORE ", b"UID ", b"SEARCH ", b"COPY ", b"BODY[", b"HEADER.FIELDS (", b"1:*", b"$", b"\r\nq "),
    *(
        b"SELECT ",
        b"UNSELECT",
        b"INBOX",
        b"IDLE\r\nDONE",
        b"RETURN (",
        b"PARTIAL 1:2",
        b"CHANGEDSINCE ",
        b"Other Users/",
    ),
)


def target(data: bytes) -> None:
    """Say the octets to a session; the first one chooses how they are cut and how fast the client reads."""
    choice, octets = (data[0] if data else 0), data[1:]
    house = House(max_append=2000, idle_timeout=100.0)
    try:
        connection = Connection(house, FakeLink(room=100 if choice & 1 else None))
        step = 7 if choice & 2 else 512
        for start in range(0, len(octets), step):
            connection.send(octets[start : start + step])
            _read(connection)
        connection.end()
        _read(connection)
        assert connection.link.closing or connection.session.core.tls_due
        assert not connection.link.aborted
        connection.link.closing = True
        connection.session.closed(Closing.PEER)
        house.settle()
        assert "fault" not in {entry[0] for entry in house.log.seen}, house.log.seen
        assert house.store._watches == {}  # noqa: SLF001
    finally:
        house.close()


def _read(connection: Connection) -> None:
    while connection.receive():
        connection.session.drained()
        connection.house.settle()
