"""The POP3 client core: whatever a server says, nothing is raised and every connection ends in one Closed."""

from penfold.protocols.base import NEED_DATA
from penfold.protocols.pop3 import Client, ClientSettings, steps

SEEDS: list[bytes] = [
    b"\x00+OK hi <1.2@pop.test>\r\n+OK\r\nUSER\r\nPIPELINING\r\nUIDL\r\n.\r\n+OK\r\n+OK in\r\n+OK 2 300\r\n"
    b"+OK\r\n1 120\r\n2 180\r\n.\r\n+OK\r\n1 a\r\n2 b\r\n.\r\n+OK\r\nSubject: x\r\n\r\n..x\r\n.\r\n+OK\r\n+OK bye\r\n",
    b"\x01+OK hi <1.2@pop.test>\r\n-ERR what\r\n+OK in\r\n+OK 0 0\r\n+OK\r\n.\r\n",
    b"\x02+OK hi\r\n+OK\r\nSASL PLAIN\r\n.\r\n+ \r\n+ YWJj\r\n+OK\r\n+OK 1 5\r\n+OK\r\n1 5\r\n.\r\n",
    b"\x04-ERR [SYS/TEMP] busy\r\n",
    b"\x03+OK hi\r\n+OK\r\nSTLS\r\n.\r\n+OK\r\n+OK\r\n",
]
TOKENS: tuple[bytes, ...] = (b"+OK", b"-ERR", b"[AUTH]", b"+ ", b"\r\n.\r\n", b"1 ", b"PIPELINING\r\n")


def target(data: bytes) -> None:
    """Play the octets to a client that logs in, looks at everything and leaves."""
    choice, octets = (data[0] if data else 0), data[1:]
    client = Client(ClientSettings(max_size=20 if choice & 8 else 0, max_messages=1000), clock=lambda: 0.0)
    step = 7 if choice & 4 else 4096
    closed = 0
    for start in range(0, len(octets), step):
        client.receive_data(octets[start : start + step])
        closed += _listen(client, choice)
        assert client.buffered <= 64 * 1024 + step
    client.receive_eof()
    closed += _listen(client, choice)
    client.data_to_send()
    assert client.closed
    assert closed == 1


def _listen(client: Client, choice: int) -> int:
    closed = 0
    while (event := client.next_event()) is not NEED_DATA:
        match event:
            case steps.Capabilities():
                _log_in(client, choice)
            case steps.TlsReply(response=response) if response.ok:
                client.tls_started()
            case steps.AuthChallenge(challenge=None):
                client.auth_cancel()
            case steps.AuthChallenge():
                client.auth_respond(b"response")
            case steps.LoginReply(response=response):
                _look_around(client, ok=response.ok)
            case steps.Closed():
                closed += 1
    return closed


def _log_in(client: Client, choice: int) -> None:
    if choice & 3 == 3 and not client.tls:
        client.starttls()
    elif choice & 2:
        client.authenticate("PLAIN", b"x" * (300 if choice & 16 else 3))
    elif client.timestamp and choice & 1:
        client.apop("alice", "secret")
    else:
        client.login("alice", "secret")


def _look_around(client: Client, *, ok: bool) -> None:
    if ok:
        client.stat()
        client.sizes()
        client.unique_ids()
        client.unique_ids(1)
        client.retrieve(1)
        client.top(2, 0)
        client.delete(1)
    client.quit()
