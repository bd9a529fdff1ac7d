"""A POP3 session over a store: whatever is said is answered, only QUIT removes, and the lock comes back."""

from tests.pop3_material import ALICE, ONE, THREE, TWO, Talk

from penfold.net.link import Closing

SEEDS: list[bytes] = [
    b"\x00USER alice\r\nPASS alice-demo\r\nSTAT\r\nLIST\r\nUIDL\r\nRETR 1\r\nTOP 2 1\r\nDELE 3\r\nQUIT\r\n",
    b"\x01USER alice\r\nPASS alice-demo\r\nXTND XMIT\r\nTo: bob@example.org\r\n\r\n..x\r\n.\r\nRETR 4\r\nRETR 2\r\n",
    b"\x02AUTH PLAIN AGFsaWNlAGFsaWNlLWRlbW8=\r\nRETR 3\r\nTOP 4 0\r\nDELE 1\r\nRSET\r\nDELE 2\r\nNOOP\r\n",
    b"\x03UTF8\r\nUSER alice\r\nPASS alice-demo\r\nRETR 1\r\nXTND XMIT\r\nBcc: x@example.org\r\nTo\r\n.\r\nQUIT\r\n",
]
TOKENS: tuple[bytes, ...] = (
    *(b"USER alice\r\nPASS alice-demo\r\n", b"RETR ", b"TOP ", b"DELE ", b"UIDL\r\n", b"LIST\r\n", b"QUIT\r\n"),
    *(b"XTND XMIT\r\n", b"To: ", b"Bcc: ", b"\r\n.\r\n", b"\r\n\r\n"),
)
_LARGE = "Subject: Grüße\r\n\r\n".encode() + b"x" * 200 + b"\r\n"


def target(data: bytes) -> None:
    """Say the octets to a session; the first one chooses how they are cut and how fast the client reads."""
    choice, octets = (data[0] if data else 0), data[1:]
    settings = {"transmit": "yes", "mechanisms": "PLAIN,LOGIN", "max_size": "2000"}
    contents = [ONE, TWO, THREE, _LARGE]
    with Talk(*contents, settings=settings, room=100 if choice & 1 else float("inf")) as talk:
        talk.connect()
        step = 7 if choice & 2 else 512
        for start in range(0, len(octets), step):
            talk.send(octets[start : start + step])
        while talk.read_on():
            pass
        talk.session.eof()
        talk.settle()
        while talk.read_on():
            pass
        assert talk.link.closing
        assert not talk.link.aborted
        talk.session.closed(Closing.OURS)
        talk.settle()
        assert talk.house.locks.take(ALICE)
        left = talk.contents()
        assert all(one in contents for one in left)
        if b"QUIT" not in octets.upper():
            assert left == contents
        assert "fault" not in [heard[0] for heard in talk.house.log.heard]
