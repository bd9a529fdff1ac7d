"""The SMTP server core: whatever a client sends, the core answers, stays bounded and comes to an end."""

from conformance.smtp_runner import Application

from penfold.protocols.smtp import BareEnds, Role, Server, ServerSettings

SEEDS: list[bytes] = [
    b"\x00EHLO c\r\nMAIL FROM:<a@b.c> SIZE=3 RET=HDRS ENVID=a+20b\r\nRCPT TO:<x@y.z> NOTIFY=NEVER\r\n"
    b"DATA\r\n..x\r\n.\r\nQUIT\r\n",
    b'\x01LHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<"a b"@[192.0.2.1]>\r\nDATA\r\n\n.\n\r\n.\r\n',
    b"\x02EHLO c\r\nAUTH PLAIN AGFsaWNlAGFsaWNlLWRlbW8=\r\nMAIL FROM:<a@b>\r\nRCPT TO:<postmaster>\r\n"
    b"BDAT 3\r\nabcBDAT 0 LAST\r\n",
    b"\x40EHLO c\r\nXCLIENT ADDR=1.2.3.4 NAME=[UNAVAILABLE]\r\nEHLO c\r\nSTARTTLS\r\nRSET\r\n",
]
_ROLES = list(Role)


def target(data: bytes) -> None:
    """Play the octets to a server; the first one chooses the door and how the rest is cut."""
    choice, octets = (data[0] if data else 0), data[1:]
    door = ServerSettings(
        hostname="mx.test",
        role=_ROLES[choice % 3],
        max_size=5000 if choice & 4 else 0,
        mechanisms=("PLAIN", "LOGIN", "SCRAM-SHA-256"),
        starttls=bool(choice & 8),
        bare_ends=BareEnds.CONVERT if choice & 16 else BareEnds.REJECT,
    )
    server = Server(door, clock=lambda: 0.0, xclient=bool(choice & 64))
    server.greet()
    application = Application(server)
    step = 1 if choice & 32 else 512
    for start in range(0, len(octets), step):
        server.receive_data(octets[start : start + step])
        application.turn()
        assert server.buffered <= door.max_auth_line + step
    server.receive_eof()
    application.turn()
    said = server.data_to_send()
    assert not said or said.endswith(b"\r\n")
