"""Processes killed with SIGKILL, single ones at chosen moments and many at random ones under load."""

import os
import signal

import pytest
from tests.system.host import DOMAIN, Host, Wire, text_message, wait_until
from tests.system.torture import torture

pytestmark = pytest.mark.xdist_group("host")

KILLS = int(os.environ.get("PENFOLD_KILLS", "30"))


@pytest.mark.slow
def test_no_acknowledged_message_is_lost_whichever_process_is_killed():
    report = torture(KILLS)
    print(report)
    assert not report.lost, f"{report}\nlost: {report.lost[:20]}"
    assert not report.delivered.garbled, f"{report}\ngarbled: {report.delivered.garbled[:20]}"
    assert not report.strangers, f"{report}\nnever sent: {report.strangers[:20]}"
    assert not report.unexplained, f"{report}\nrepeated: {report.unexplained[:20]}"
    assert len(report.load.acknowledged) > KILLS, str(report)


def replaced(host: Host, role: str) -> None:
    """Kill a role, and wait until its successor is there and mail is accepted."""
    [old] = host.pids(role)
    os.kill(old, signal.SIGKILL)
    wait_until(lambda: [pid for pid in host.pids(role) if pid != old], host.log)
    wait_until(lambda: accepts(host), host.log)


def bodies(host: Host) -> list[str]:
    """Body files with something in them."""
    return [entry.name for entry in os.scandir(host.data / "spool" / "body") if entry.stat().st_size]


def accepts(host: Host) -> bool:
    with host.connect() as client:
        client.say("EHLO probe.example.test")
        client.say("MAIL FROM:<probe@other.test>")
        client.say(f"RCPT TO:<carol@{DOMAIN}>")
        return client.say("DATA").startswith(b"354")


@pytest.mark.parametrize("octets", [2_000, 2_000_000])
def test_a_message_begun_under_a_queue_that_died_is_whole_or_refused(octets):
    message = text_message("begun before", "0123456789 all of it is here\n" * (octets // 29))
    with Host() as host, host.connect() as client:
        client.say("EHLO client.example.test")
        client.say("MAIL FROM:<eve@other.test>")
        client.say(f"RCPT TO:<alice@{DOMAIN}>")
        assert client.say("DATA").startswith(b"354")
        client.send(message[: octets // 2])
        spilled = octets > 300_000
        wait_until(lambda: len(bodies(host)) == spilled, host.log)
        replaced(host, "queue")
        # Its successor clears away what no record names, with the next segment that is done with.
        with host.smtp() as other:
            other.sendmail("eve@other.test", [f"bob@{DOMAIN}"], text_message("first"))
        host.wait_for("bob")
        wait_until(lambda: not bodies(host), host.log)
        client.send(message[octets // 2 :])
        reply = client.say(".")
        if reply.startswith(b"250"):
            [delivered] = host.wait_for("alice")
            assert delivered.endswith(message.partition(b"\r\n\r\n")[2].replace(b"\r\n", b"\n"))
        else:
            assert reply.startswith(b"451 4.3."), reply
        wait_until(lambda: sent(client, message), host.log)
        assert len(host.wait_for("bob", 2)) == 2


def sent(client: Wire, message: bytes) -> bool:
    """Send to bob on a connection that saw the old queue; new grants may take a moment, then it is refused with 451."""
    assert client.say("MAIL FROM:<eve@other.test>").startswith(b"250")
    assert client.say(f"RCPT TO:<bob@{DOMAIN}>").startswith(b"250")
    reply = client.say("DATA")
    if reply.startswith(b"354"):
        reply = client.say(message + b".")
    assert reply.startswith((b"250", b"451 4.3.2")), reply
    if not reply.startswith(b"250"):
        client.say("RSET")
    return reply.startswith(b"250")


def test_mail_accepted_while_the_delivering_process_is_dead_waits_for_its_successor():
    with Host() as host:
        [old] = host.pids("local")
        os.kill(old, signal.SIGSTOP)
        with host.smtp() as client:
            for number in range(10):
                client.sendmail("eve@other.test", [f"alice@{DOMAIN}"], text_message(f"n{number}"))
        assert host.count("alice") == 0
        os.kill(old, signal.SIGKILL)
        assert len(host.wait_for("alice", 10)) == 10
