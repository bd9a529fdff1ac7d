"""The POP3 server core: whatever a client sends, the core answers, stays bounded and comes to an end."""

from conformance.pop3_runner import LANGUAGES, TIMESTAMP, Application

from penfold.protocols.pop3 import Server, ServerSettings, events

SEEDS: list[bytes] = [
    b"\x01USER alice\r\nPASS alice-demo\r\nSTAT\r\nLIST\r\nUIDL 2\r\nRETR 1\r\nTOP 2 1\r\nDELE 3\r\nRSET\r\n"
    b"DELE 1\r\nQUIT\r\n",
    b"\x11USER alice\r\nPASS alice-demo\r\nXTND XMIT\r\nTo: b\r\n\r\n..x\r\n.\r\nUIDL\r\nNOOP\r\n",
    b"\x02AUTH\r\nAUTH SCRAM-SHA-256 biwsbj1hbGljZSxyPWZ5a28rZDJsYmJGZ09OUnY5cWt4ZGF3TA==\r\n*\r\n"
    b"AUTH PLAIN AGFsaWNlAGFsaWNlLWRlbW8=\r\nCAPA\r\nLIST 1\r\n",
    b"\x24UTF8\r\nLANG\r\nLANG de-AT\r\nAPOP alice 513762fda5e7790726dd3707018ad835\r\nRETR 3\r\nLIST 9\r\nQUIT\r\n",
    b"\x08CAPA\r\nUSER busy\r\nPASS busy-demo\r\nSTLS\r\nNOOP\r\n",
]
TOKENS: tuple[bytes, ...] = (
    b"USER ",
    b"PASS ",
    b"RETR ",
    b"TOP ",
    b"UIDL",
    b"XTND XMIT\r\n",
    b"AUTH ",
    b"\r\n.\r\n",
    b"LANG ",
)


def target(data: bytes) -> None:
    """Play the octets to a server; the first one chooses the settings and how the rest is cut."""
    choice, octets = (data[0] if data else 0), data[1:]
    door = ServerSettings(
        hostname="pop.test",
        clear_text=bool(choice & 1),
        mechanisms=("PLAIN", "LOGIN", "SCRAM-SHA-256") if choice & 2 else (),
        apop=bool(choice & 4),
        starttls=bool(choice & 8),
        transmit=bool(choice & 16),
        languages=LANGUAGES if choice & 32 else {},
        utf8=bool(choice & 64),
        max_size=2000,
    )
    server = Server(door, clock=lambda: 0.0)
    server.greet(timestamp=TIMESTAMP)
    application = Application(server)
    step = 1 if choice & 128 else 512
    for start in range(0, len(octets), step):
        server.receive_data(octets[start : start + step])
        application.turn()
        assert server.buffered <= door.max_auth_line + step
    server.receive_eof()
    application.turn()
    said = application.wire
    assert said.startswith(b"+OK")
    assert said.endswith(b"\r\n")
    assert sum(isinstance(event, events.Update) for event in application.seen) <= 1
    assert server.closed or server.tls_due
