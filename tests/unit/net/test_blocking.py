import socket
import subprocess
import sys

import pytest

from penfold.net.blocking import Broken, Connection, connect_tcp, connect_unix
from penfold.net.listener import bind_tcp, bind_unix


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    with Connection(ours, 0.2) as connection, theirs:
        yield connection, theirs


def test_a_reply_of_many_lines_is_read_whole(pair):
    connection, peer = pair
    peer.send(b"250-first\r\n250-\r\n250 last\r\n220 next\n")
    assert connection.reply() == (250, ["first", "", "last"])
    assert connection.reply() == (220, ["next"])


def test_a_command_sends_a_line_and_reads_its_reply(pair):
    connection, peer = pair
    peer.send(b"250 ok\r\n")
    assert connection.command("NOOP") == (250, ["ok"])
    assert peer.recv(100) == b"NOOP\r\n"


def test_octets_and_lines_may_be_read_in_turn(pair):
    connection, peer = pair
    peer.send(b"5\r\nhello250\r\n")
    assert connection.line() == b"5"
    assert connection.exactly(5) == b"hello"
    assert connection.reply() == (250, [""])


@pytest.mark.parametrize("octets", [b"hello there\r\n", b"25\r\n", b"250xx\r\n", b"x" * 5000, b"250-x\r\n" * 600])
def test_what_is_no_reply_is_an_error(pair, octets):
    connection, peer = pair
    peer.send(octets)
    with pytest.raises(Broken):
        connection.reply()


def test_silence_and_the_end_are_errors(pair):
    connection, peer = pair
    with pytest.raises(Broken, match="does not answer"):
        connection.line()
    peer.send(b"25")
    peer.shutdown(socket.SHUT_WR)
    with pytest.raises(Broken, match="ended"):
        connection.line()


def test_a_peer_that_does_not_read_is_an_error(pair):
    connection, _ = pair
    with pytest.raises(Broken, match="does not read"):
        connection.send(b"x" * 10_000_000)


def test_it_connects_to_unix_and_tcp_sockets(tmp_path):
    path = str(tmp_path / "socket")
    for listening, connect in (
        (bind_unix(path), lambda sock: connect_unix(path)),
        (bind_tcp("127.0.0.1", 0), lambda sock: connect_tcp(*sock.getsockname())),
    ):
        listening.setblocking(True)
        with listening, connect(listening) as connection:
            peer, _ = listening.accept()
            with peer:
                peer.send(b"220 hello\r\n")
                assert connection.reply() == (220, ["hello"])
    with pytest.raises(OSError, match=r"refused|No such"):
        connect_unix(path)


def test_it_imports_nothing_heavy():
    heavy = {"asyncio", "ssl", "msgspec", "email", "dns", "logging", "cryptography"}
    program = "import sys, penfold.net.blocking; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not heavy & set(done.stdout.split())
