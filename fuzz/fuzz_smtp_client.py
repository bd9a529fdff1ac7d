"""The SMTP client core: whatever a server says, every transaction is done once and nothing is raised."""

from penfold.model import Address
from penfold.protocols.base import NEED_DATA
from penfold.protocols.smtp import Client, ClientSettings, ForwardPath, Transaction, steps

SEEDS: list[bytes] = [
    b"\x00220 hi\r\n250-x\r\n250-PIPELINING\r\n250 SIZE 10\r\n250 ok\r\n"
    b"250 ok\r\n550 5.1.1 no\r\n354 go\r\n250 2.0.0 ok\r\n221 bye\r\n",
    b"\x03220 hi\r\n250-x\r\n250-CHUNKING\r\n250 AUTH PLAIN\r\n250 ok\r\n250 ok\r\n250 ok\r\n250 a\r\n452 b\r\n",
    b"\x00554 go away\r\n",
    b"\x00220 a\r\n502 no\r\n250 helo\r\n421 4.3.2 down\r\n",
    b"\x00220-a\r\n221 b\r\n",
]
_ALICE = ForwardPath(Address("alice", "b.test"))
_CAROL = ForwardPath(Address("carol", "b.test"), 3, "rfc822;c")
_MESSAGE = Transaction(reverse_path=None, recipients=(_ALICE, _CAROL))


def target(data: bytes) -> None:
    """Play the octets to a client that wants to send two messages."""
    choice, octets = (data[0] if data else 0), data[1:]
    settings = ClientSettings(hostname="me.test", lmtp=bool(choice & 1), chunking=bool(choice & 2))
    client = Client(settings, clock=lambda: 0.0)
    begun = done = 0
    for start in range(0, len(octets), 7 if choice & 4 else 4096):
        client.receive_data(octets[start : start + (7 if choice & 4 else 4096)])
        while (event := client.next_event()) is not NEED_DATA:
            if isinstance(event, steps.TransactionReady):
                client.send_body(octets)
                client.end_body()
            done += isinstance(event, steps.Done)
            if client.idle and begun < 2:
                begun += 1
                client.begin(_MESSAGE)
    client.receive_eof()
    while (event := client.next_event()) is not NEED_DATA:
        done += isinstance(event, steps.Done)
        if client.idle and begun < 2:
            begun += 1
            client.begin(_MESSAGE)
    assert client.closed
    assert begun == done
