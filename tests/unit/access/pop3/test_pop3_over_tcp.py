"""Sessions behind the real driver and listener, read by Python's poplib and by a client that does not read."""

import contextlib
import poplib
import socket
import ssl

import pytest
from conformance.pop3_house import House, account_of, serving
from conformance.pop3_runner import Transcript

LARGE = b"Subject: large\r\n\r\n" + (b"x" * 76 + b"\r\n") * 200_000  # 15 MB
SMALL = b"Subject: small\r\n\r\n.\r\nbody\r\n"


def settings(**values):
    return Transcript("tcp", settings={"clear_text": "yes", **values})


async def furnish(house: House):
    house.login_delay = None
    await house.give(account_of("alice"), SMALL, LARGE)


@pytest.fixture(scope="module")
def unverified():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@contextlib.contextmanager
def session(port):
    client = poplib.POP3("127.0.0.1", port, timeout=10)
    try:
        yield client
    finally:
        with contextlib.suppress(OSError):
            client.close()


def test_poplib_reads_and_removes_mail_under_tls(unverified):
    with serving(settings(clear_text="no", starttls="yes"), furnish) as port:
        with session(port) as client:
            assert "STLS" in client.capa()
            with pytest.raises(poplib.error_proto, match="STLS"):
                client.user("alice")
            client.stls(unverified)
            client.user("alice")
            client.pass_("alice-demo")
            assert client.stat() == (2, len(SMALL) + len(LARGE))
            assert client.retr(1)[1] == [b"Subject: small", b"", b".", b"body"]
            octets = sum(len(line) + 2 for line in client.retr(2)[1])
            assert octets == len(LARGE)
            assert client.top(2, 1)[1] == [b"Subject: large", b"", b"x" * 76]
            names = client.uidl()[1]
            client.dele(1)
            assert client.quit() == b"+OK Bye"
        with session(port) as client:
            client.stls(unverified)
            client.user("alice")
            client.pass_("alice-demo")
            assert client.stat() == (1, len(LARGE))
            assert client.uidl()[1] == [b"1 " + names[1].split()[1]]


def test_poplib_reads_mail_by_implicit_tls(unverified):
    with serving(settings(clear_text="no", tls="yes"), furnish) as port:
        client = poplib.POP3_SSL("127.0.0.1", port, context=unverified, timeout=10)
        client.user("alice")
        client.pass_("alice-demo")
        assert client.stat()[0] == 2
        client.quit()


def test_a_client_that_stops_reading_holds_up_nobody_and_gets_all_in_the_end():
    with serving(settings(), furnish) as port, socket.create_connection(("127.0.0.1", port), 10) as slow:
        slow.sendall(b"USER alice\r\nPASS alice-demo\r\nRETR 2\r\nNOOP\r\n")
        file = slow.makefile("rb")
        for _ in range(4):
            assert file.readline().startswith(b"+OK")
        with session(port) as other:
            other.user("alice")
            with pytest.raises(poplib.error_proto, match="IN-USE"):
                other.pass_("alice-demo")
        assert file.read(len(LARGE)) == LARGE
        assert file.read(8) == b".\r\n+OK\r\n"


def test_a_session_whose_client_vanishes_gives_the_lock_back():
    with serving(settings(), furnish) as port:
        with session(port) as client:
            client.user("alice")
            client.pass_("alice-demo")
            client.dele(1)
        for _ in range(50):
            with session(port) as again:
                again.user("alice")
                with contextlib.suppress(poplib.error_proto):
                    again.pass_("alice-demo")
                    assert again.stat()[0] == 2
                    return
        pytest.fail("the lock was not given back")
