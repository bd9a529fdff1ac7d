"""Clients that mean harm: too much, too slow, too early, too clever. Memory stays bounded and the answer is clear."""

import contextlib
import resource
import select
import socket
import time
from collections import Counter
from collections.abc import Iterator

import pytest
from tests.system.host import DOMAIN, Host, Settings, high_water, resident, text_message, wait_until

pytestmark = pytest.mark.xdist_group("host")

MIB = 1024 * 1024
BOUND = 12 * MIB  # what both receiving processes together may grow by, whatever one client sends


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    settings = Settings(options={"limits": {"message_size": "50 MiB", "connections_per_client": 20_000}})
    with Host(settings) as host:
        warm(host)
        yield host


def warm(host: Host) -> None:
    """Have every receiving process do everything once, so that growth is the client's doing."""
    for _ in range(8):
        with host.smtp() as client:
            client.sendmail("eve@other.test", [f"carol@{DOMAIN}"], text_message("warm"))
            client.sendmail("eve@other.test", [f"carol@{DOMAIN}"], text_message("warm", "x" * 70 + "\n" * 20_000))


@contextlib.contextmanager
def bounded(host: Host, bound: int = BOUND) -> Iterator[None]:
    """Check that the receiving processes, added up, have at no moment more than so much above what they had before."""
    pids = sorted(host.pids("receive"))
    before = sum(map(resident, pids))
    yield
    assert sorted(host.pids("receive")) == pids, host.log()
    grown = sum(map(high_water, pids)) - before
    print(f"receive: {before // 1024} KiB before, up to {grown // 1024} KiB more")
    assert grown < bound, f"grown by {grown} octets"


def begin(client, *recipients: str) -> None:
    client.say("EHLO client.test")
    assert client.say("MAIL FROM:<eve@other.test>").startswith(b"250")
    for recipient in recipients or (f"alice@{DOMAIN}",):
        assert client.say(f"RCPT TO:<{recipient}>").startswith(b"250")


def still_serves(host: Host) -> None:
    before = host.count("bob")
    with host.smtp() as client:
        client.sendmail("eve@other.test", [f"bob@{DOMAIN}"], text_message("still"))
    host.wait_for("bob", before + 1)


def flood(client, piece: bytes, octets: int) -> bytes:
    """Send so much; stops when the server answers or hangs up. Gives what it said."""
    sock = client.sock
    sock.setblocking(False)
    sent, said = 0, b""
    piece *= max(1, 65536 // len(piece))
    until = time.monotonic() + 30
    try:
        while sent < octets and time.monotonic() < until:
            readable, writable, _ = select.select([sock], [sock], [], 1)
            if readable:
                said = sock.recv(65536)
                break
            if writable:
                sent += sock.send(piece)
    except (BrokenPipeError, ConnectionResetError):
        pass
    finally:
        sock.setblocking(True)
        sock.settimeout(30)
    return said


def test_ten_million_octets_of_command_without_a_line_end(host: Host):
    with bounded(host), host.connect() as client:
        said = flood(client, b"A", 10_000_000) or client.rest()
        assert said.startswith((b"500 5.", b"421 4.")), said
    still_serves(host)


def test_ten_million_octets_of_body_without_a_line_end_are_refused_or_whole(host: Host):
    before = host.count("alice")
    with bounded(host), host.connect() as client:
        begin(client)
        assert client.say("DATA").startswith(b"354")
        client.send(b"Subject: long\r\n\r\n")
        for _ in range(160):
            client.send(b"A" * 62_500)
        reply = client.say(b"\r\n.")
        assert reply.startswith((b"250", b"5")), reply
        if reply.startswith(b"250"):
            host.wait_for("alice", before + 1)
            assert any(each.count(b"A") >= 10_000_000 for each in host.messages("alice"))
    still_serves(host)


def test_a_header_bomb_is_refused(host: Host):
    with bounded(host), host.connect() as client:
        begin(client)
        assert client.say("DATA").startswith(b"354")
        for number in range(40):
            client.send(b"".join(b"X-%d-%d: %s\r\n" % (number, each, b"y" * 900) for each in range(1000)))
        reply = client.say(b"\r\nbody\r\n.")
        assert reply.startswith((b"552 5.", b"554 5.", b"550 5.")), reply
    still_serves(host)


def test_one_header_field_of_thirty_million_octets_is_refused(host: Host):
    with bounded(host), host.connect() as client:
        begin(client)
        assert client.say("DATA").startswith(b"354")
        client.send(b"Subject: a\r\n")
        for _ in range(300):
            client.send(b" folded folded folded folded\r\n" * 3400)
        assert client.say(b"\r\nbody\r\n.").startswith(b"55")
    still_serves(host)


def test_ten_thousand_recipients_meet_the_limit_and_then_the_end(host: Host):
    with bounded(host), host.connect() as client:
        begin(client)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            client.send(b"".join(b"RCPT TO:<alice+%d@%s>\r\n" % (each, DOMAIN.encode()) for each in range(10_000)))
        codes = Counter(line[:9] for line in client.rest().splitlines())
        assert codes[b"250 2.1.5"] == 999
        assert codes[b"452 4.5.3"] >= 1000, "who sends a little too many must be able to go on with those accepted"
        assert codes[b"421 4.7.0"] == 1
        assert codes.total() < 2100
    still_serves(host)


def test_ten_thousand_unknown_recipients_end_the_session(host: Host):
    with bounded(host), host.connect() as client:
        begin(client)
        client.send(b"".join(b"RCPT TO:<u%d@%s>\r\n" % (each, DOMAIN.encode()) for each in range(10_000)))
        said = client.rest().splitlines()
        assert len(said) < 100
        assert said[-1].startswith(b"421 4."), said[-1]


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "SCRAM-SHA-256"])
def test_a_huge_log_in_line_is_refused(host: Host, mechanism: str):
    with bounded(host), submission(host) as client:
        client.send(f"AUTH {mechanism} ".encode())
        said = flood(client, b"QUFB", 5_000_000) or client.rest()
        assert said[:1] in {b"5", b"4"}, said
    with submission(host) as client:
        reply = client.say(f"AUTH {mechanism}")
        assert reply.startswith(b"334"), reply
        said = flood(client, b"QUFB", 5_000_000) or client.rest()
        assert said[:1] in {b"5", b"4"}, said
    still_serves(host)


def submission(host: Host):
    client = host.connect("submission")
    client.say("EHLO client.test")
    client.say("STARTTLS")
    client.start_tls()
    client.say("EHLO client.test")
    return client


def test_clients_that_never_read_replies_cost_little_and_are_let_go(host: Host):
    with bounded(host), contextlib.ExitStack() as stack:
        for _ in range(50):
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stack.enter_context(sock)
            sock.connect(("127.0.0.1", host.ports["smtp"]))
            sock.setblocking(False)
            with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
                while True:
                    sock.send(b"EHLO x\r\nHELP\r\n" * 2000)
        still_serves(host)


def test_early_talkers_are_answered_in_order_or_told_off(host: Host):
    sock = socket.create_connection(("127.0.0.1", host.ports["smtp"]))
    with sock:
        sock.sendall(
            b"EHLO early.test\r\nMAIL FROM:<eve@other.test>\r\nRCPT TO:<alice@" + DOMAIN.encode() + b">\r\nQUIT\r\n"
        )
        said = b""
        while more := sock.recv(65536):
            said += more
    codes = [line[:3] for line in said.splitlines() if line[3:4] == b" "]
    assert codes in ([b"220", b"250", b"250", b"250", b"221"], [b"554"], [b"220", b"554"]), said


def test_garbage_in_a_pipeline_ends_the_session_with_421(host: Host):
    with bounded(host), host.connect() as client:
        client.send(b"\x00\xff\xfe\x80garbage \x7f\r\n" * 200)
        said = client.rest()
        assert b"500 5." in said
        assert said.splitlines()[-1].startswith(b"421 4."), said[-200:]
    still_serves(host)


SEPARATORS = (
    b"\n.\n",
    b"\r.\r",
    b"\n.\r\n",
    b"\r\n.\n",
    b"\r\n.\r",
    b"\r.\r\n",
    b"\n.\r",
    b"\r.\n",
    b"\r\r\n.\r\r\n",
    b"\r\n\x00.\r\n",
)


@pytest.mark.parametrize("end", SEPARATORS)
@pytest.mark.parametrize("door", ["smtp", "lmtp"])
def test_no_other_end_of_data_splits_a_message(host: Host, end: bytes, door: str):
    mark = f"smuggled-{door}-{SEPARATORS.index(end)}".encode()
    inner = b"MAIL FROM:<x@other.test>\r\nRCPT TO:<carol@%s>\r\nDATA\r\nSubject: %s\r\n\r\nhi\r\n.\r\n" % (
        DOMAIN.encode(),
        mark,
    )
    with host.connect(door) as client:
        client.say("LHLO x.test" if door == "lmtp" else "EHLO x.test")
        client.say("MAIL FROM:<eve@other.test>")
        client.say(f"RCPT TO:<alice@{DOMAIN}>")
        assert client.say("DATA").startswith(b"354")
        client.send(b"Subject: outer\r\n\r\nouter" + end + inner)
        first = client.reply()
        assert first.startswith((b"250", b"5")), first
        client.send(b"NOOP\r\n")
        # One message, one reply; the lines within it were content, so NOOP is answered next.
        assert client.reply().startswith(b"250 2.0.0"), "the content was taken for commands"
    still_serves(host)
    assert not any(mark in each for each in host.messages("carol"))


def test_bdat_sizes_out_of_all_measure_are_refused(host: Host):
    for size in (b"99999999999999999999999", b"-1", b"0x10", b"", b"1e9"):
        with bounded(host), host.connect() as client:
            begin(client)
            client.send(b"BDAT " + size + b" LAST\r\n")
            assert client.reply()[:1] == b"5", size


@pytest.mark.slow
def test_a_full_descriptor_table_answers_421_and_recovers():
    limits = {"connections_per_client": 20_000, "connection_rate": 0}
    with Host(Settings(options={"limits": limits, "roles": {"receive": 1}}, descriptors=256)) as host:
        warm(host)
        with bounded(host), contextlib.ExitStack() as stack:
            answers = [
                stack.enter_context(socket.create_connection(("127.0.0.1", host.ports["smtp"]))) for _ in range(400)
            ]
            told = 0

            def refused() -> int:
                nonlocal told
                ready, _, _ = select.select(answers, [], [], 0.1)
                for sock in ready:
                    if sock.recv(4096).startswith(b"421"):
                        told += 1
                    answers.remove(sock)
                return told

            wait_until(refused, "nobody was told 421")
        wait_until(lambda: greeted(host), "it does not recover")
        still_serves(host)


def greeted(host: Host) -> bool:
    with contextlib.suppress(OSError), host.connect() as client:
        return client.banner.startswith(b"220")
    return False


@pytest.mark.slow
def test_ten_thousand_silent_connections_cost_little():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 10_500:
        pytest.skip(f"only {hard} descriptors are allowed here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    limits = {"connections_per_client": 20_000, "connection_rate": 0, "connections": 6_000}
    try:
        with Host(Settings(options={"limits": limits})) as host, contextlib.ExitStack() as stack:
            warm(host)
            before = host.memory("receive")
            for number in range(10_000):
                sock = socket.socket()
                stack.enter_context(sock)
                sock.connect(("127.0.0.1", host.ports["smtp"]))
                if number % 500 == 0:
                    still_serves(host)
            still_serves(host)
            each = (host.memory("receive") - before) / 10_000
            print(f"10,000 silent connections: {each / 1024:.1f} KiB each")
            assert each < 40 * 1024
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
