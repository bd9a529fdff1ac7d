"""The IMAP server core: whatever a client sends, the core answers, stays bounded and comes to an end."""

from tests.imap_material import EVERYTHING, Application, door

from penfold.protocols.imap.server import Server

SEEDS: list[bytes] = [
    b"\x00a LOGIN {5+}\r\nalice secret\r\nb SELECT inbox (QRESYNC (1 2 1:5 (1:2 7,9)))\r\n"
    b"c UID FETCH 1:* (FLAGS BODY.PEEK[1.HEADER.FIELDS (To From)]<0.9> PREVIEW (LAZY)) "
    b"(CHANGEDSINCE 5 VANISHED)\r\n",
    b"\x02d SELECT x\r\ne STORE 1:5,9 (UNCHANGEDSINCE 1) -FLAGS.SILENT (\\Seen $x)\r\nf COPY $ y\r\n"
    b"g UID EXPUNGE 1:*\r\n"
    b"h UID SEARCH RETURN (MIN PARTIAL -1:-9) CHARSET UTF-8 OR FUZZY TEXT {2+}\r\nab NOT (ON 1-Feb-1994 1:*)\r\n"
    b'i SORT (REVERSE DATE) UTF-8 MODSEQ "/flags/x" all 5\r\nj THREAD REFERENCES UTF-8 ALL\r\n',
    b'\x02a APPEND x (\\Seen) " 7-Feb-1994 21:52:25 -0800" {5}\r\nhello {3+}\r\nabc\r\n'
    b"b APPEND x CATENATE (URL /a TEXT {3+}\r\nabc URL {3+}\r\nbad)\r\nc APPEND x UTF8 (~{3+}\r\nabc)\r\n",
    b'\x02a LIST (SUBSCRIBED) "" (a b*) RETURN (STATUS (MESSAGES) CHILDREN)\r\nb STATUS x (UIDNEXT)\r\n'
    b"c NOTIFY SET (selected (MessageNew (UID) MessageExpunge)) (subtree (a b) NONE)\r\n"
    b'd SETMETADATA "" (/shared/a ~{1+}\r\n\x00)\r\ne GETMETADATA (DEPTH 1) x /shared/a\r\nf SETACL x bob +lr\r\n',
    b"\x06a IDLE\r\nDONE\r\nb ENABLE UIDONLY IMAP4rev2\r\nc COMPRESS DEFLATE\r\nd UNAUTHENTICATE\r\n",
    b'\x01a AUTHENTICATE PLAIN\r\nAGFsaWNlAHNlY3JldA==\r\nb ID ("name" NIL)\r\nc STARTTLS\r\n',
    b"\x0aa FOO {2000+}\r\n" + b"x" * 2000 + b" {10}\r\nb NOOP\r\n",
]
TOKENS = (
    b" ",
    b"(",
    b")",
    b"{3+}\r\n",
    b"{3}\r\n",
    b"\r\n",
    b"NOOP",
    b"UID ",
    b"1:*",
    b"OR ",
    b"NOT ",
    b'"',
    b"\\",
    b"&-",
)


def target(data: bytes) -> None:
    """Play the octets to a server; the first one chooses the door and how the rest is cut."""
    choice, octets = (data[0] if data else 0), data[1:]
    settings = door(
        max_line=1000,
        max_literal=500,
        max_command=2000,
        clear_login=not choice & 1,
        capabilities=("IMAP4rev1", "LITERAL-") if choice & 16 else EVERYTHING,
    )
    server = Server(settings, clock=lambda: 0.0)
    server.greet()
    application = Application(server)
    application.turn()
    if choice & 2:
        application.say(b"l LOGIN alice secret\r\nk SELECT x\r\n")
    if choice & 4:
        application.say(b"k UNSELECT\r\n")
    step = 1 if choice & 8 else 512
    for start in range(0, len(octets), step):
        application.say(octets[start : start + step])
        assert server.buffered <= settings.max_command_before_login + 65536 + step
        if server.tls_due:
            server.tls_started("TLSv1.3")
        application.bodies.clear()
    server.receive_eof()
    application.turn()
    assert server.closed
