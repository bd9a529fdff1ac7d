"""What role exec is asked, and what it does about it."""

import array
import os
import signal
import socket
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penfold.config.load import loads
from penfold.net.leash import Drain, Join, Leash, Ready
from penfold.service.lines.execute import Answer, Kind, Request, Said
from penfold.service.roles.execute import Execute, RequestLine

needs_root = pytest.mark.skipif(
    os.geteuid() != 0 and not os.environ.get("PENFOLD_CI"), reason="needs root: becomes other users"
)


@given(st.sampled_from(Kind), st.integers(0, 2**32 - 1), st.from_regex(r"[a-z][a-z0-9-]{0,63}", fullmatch=True))
def test_a_request_is_read_as_it_was_written(kind, serial, login):
    request = Request(kind, serial, login)
    assert Request.unpack(request.pack()) == request


@given(st.binary(max_size=200) | st.binary(min_size=72, max_size=72))
def test_any_octets_are_a_request_or_a_value_error(octets):
    try:
        request = Request.unpack(octets)
    except ValueError:
        return
    assert Request.unpack(request.pack()) == request


@given(st.text(max_size=80))
def test_any_name_can_be_asked_for_or_is_a_value_error(login):
    try:
        octets = Request(Kind.MAILBOX, 1, login).pack()
    except ValueError:
        return
    assert Request.unpack(octets).login == login


def ask(sock, octets, *descriptors):
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
    sock.sendmsg([octets], rights)


def descriptors_open():
    return len(os.listdir("/proc/self/fd"))


def test_a_request_may_come_in_pieces_and_brings_one_descriptor():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        line = RequestLine(theirs)
        octets = Request(Kind.PROGRAM, 7, "ann").pack()
        assert line.receive() is None
        ask(ours, octets[:10], ours.fileno())
        assert line.receive() is None
        ask(ours, octets[10:])
        request, descriptor = line.receive()
        assert request == Request(Kind.PROGRAM, 7, "ann")
        os.close(descriptor)


@pytest.mark.parametrize("count", [0, 2, 4])
def test_a_request_without_exactly_one_descriptor_is_refused_and_leaks_none(count):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        line = RequestLine(theirs)
        before = descriptors_open()
        ask(ours, Request(Kind.PROGRAM, 7, "ann").pack(), *[ours.fileno()] * count)
        with pytest.raises(ValueError, match="not one descriptor"):
            line.receive()
        assert descriptors_open() == before


def test_nonsense_and_the_end_leak_no_descriptor():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        line = RequestLine(theirs)
        before = descriptors_open()
        ask(ours, b"\xff" * 72, ours.fileno())
        with pytest.raises(ValueError, match="not a request"):
            line.receive()
        ask(ours, b"abc", ours.fileno())
        assert line.receive() is None
        ours.shutdown(socket.SHUT_WR)
        with pytest.raises(ConnectionError):
            line.receive()
        assert descriptors_open() == before


class Role:
    """Role exec in a child of the test, run as root."""

    def __init__(self, life=None, config='[delivery]\nunix_users = true\nprogram_user = "games"\n'):
        self.leash, theirs = Leash.pair()
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                self.leash.close()
                role = Execute(loads(config), theirs)
                role._life = life or role._life
                code = role.run()
            finally:
                os._exit(code)
        theirs.close()
        assert isinstance(self.leash.receive()[0], Ready)
        self.sock, far = socket.socketpair()
        self.leash.send(Join("queue", 0, 1), far.fileno())
        far.close()
        self.sock.settimeout(10)

    def ask(self, kind, login):
        ours, theirs = socket.socketpair()
        ask(self.sock, Request(kind, 1, login).pack(), theirs.fileno())
        theirs.close()
        ours.settimeout(10)
        return Answer.unpack(self.sock.recv(5)).said, ours

    def end(self):
        self.leash.send(Drain(0.0))
        self.sock.close()
        assert os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1]) == 0
        self.leash.close()


@pytest.mark.root
@needs_root
@pytest.mark.parametrize("login", ["root", "daemon", "www-data", "nobody", "no-such-user", "root\n", "../root"])
@pytest.mark.parametrize("kind", list(Kind))
def test_role_exec_starts_nothing_for_whom_it_must_not(kind, login):
    role = Role()
    said, line = role.ask(kind, login)
    assert said is Said.NOT_ALLOWED
    assert line.recv(1) == b"", "its end is closed"
    line.close()
    role.end()


@pytest.mark.root
@needs_root
def test_role_exec_drops_a_queue_that_sends_nonsense():
    role = Role()
    ask(role.sock, b"\xff" * 72, role.sock.fileno())
    assert role.sock.recv(1) == b""
    role.end()


@pytest.mark.root
@needs_root
def test_an_agent_that_is_stopped_is_killed_when_its_time_is_over():
    role = Role(life=1.0)
    said, line = role.ask(Kind.PROGRAM, "games")
    assert said is Said.STARTED
    assert line.recv(4096), "it says hello"
    [child] = map(int, Path(f"/proc/{role.pid}/task/{role.pid}/children").read_text().split())
    os.kill(child, signal.SIGSTOP)
    began = time.monotonic()
    assert line.recv(1) == b"", "its end is closed by its death"
    assert time.monotonic() - began < 5
    line.close()
    role.end()
