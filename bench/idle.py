"""Five thousand SMTP sessions that said EHLO and then nothing: what each costs role receive. Any user may run it.

The sessions are held by several client processes, because a process may have only so many descriptors.
"""

import os
import selectors
import socket
import subprocess
import sys
import time

from bench.family import pss_of
from bench.record import keep, table
from bench.rig import CannotMeasureError, scratch
from bench.scenario import main
from bench.servers import Penfold

SESSIONS = 5000
CLIENTS = 5
MUST = 40  # KB


def hold(port: int, count: int) -> None:
    """Be a client: open sessions, greet on each, say so, and keep them until standard input ends."""
    for _ in range(count):
        sock = socket.create_connection(("127.0.0.1", port))
        held.append(sock)
    for sock in held:
        _until(sock, b"220 ")
        sock.sendall(b"EHLO idle.example\r\n")
    for sock in held:
        _until(sock, b"250 ")
    print("held", flush=True)
    sys.stdin.read()


held: list[socket.socket] = []


def _until(sock: socket.socket, last: bytes) -> None:
    said = b""
    while not any(line.startswith(last) for line in said.split(b"\r\n")[:-1]):
        octets = sock.recv(4096)
        if not octets:
            raise CannotMeasureError(f"the server hung up: {said!r}")
        said += octets


def scenario() -> None:
    """Measure."""
    with scratch() as place:
        server = Penfold(place)
        clients: list[subprocess.Popen[bytes]] = []
        try:
            receive = server.roles()["receive"]
            _one_session(server.port)
            before, began = sum(map(pss_of, receive)), time.monotonic()
            clients = [_client(server.port) for _ in range(CLIENTS)]
            _wait(clients)
            seconds = time.monotonic() - began
            during = sum(map(pss_of, receive))
            for client in clients:
                client.communicate(timeout=30)
            time.sleep(1.0)
            after = sum(map(pss_of, receive))
        finally:
            for client in clients:
                client.kill()
                client.wait()
            server.stop()
    each = (during - before) / SESSIONS / 1024
    rows = [
        ("before", f"{before / 1e6:.1f}"),
        (f"with {SESSIONS} sessions", f"{during / 1e6:.1f}"),
        ("after they left", f"{after / 1e6:.1f}"),
    ]
    text = (
        f"{table(('role receive', 'PSS, MB'), rows)}\n\n**{each:.1f} KB a session** (must: under {MUST}), "
        f"all opened and greeted within {seconds:.1f} s. Buffers of the kernel are not in it."
    )
    facts = {
        "sessions": SESSIONS,
        "kb_each": round(each, 2),
        "mb": [round(x / 1e6, 1) for x in (before, during, after)],
    }
    keep("idle", "Idle sessions", text, facts)


def _one_session(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as sock:
        _until(sock, b"220 ")
        sock.sendall(b"QUIT\r\n")
        _until(sock, b"221 ")


def _client(port: int) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-m", "bench.idle", "hold", str(port), str(SESSIONS // CLIENTS)]
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def _wait(clients: list[subprocess.Popen[bytes]], seconds: float = 60.0) -> None:
    limit = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        for client in clients:
            assert client.stdout is not None
            selector.register(client.stdout, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(max(0.0, limit - time.monotonic()))
            if not ready:
                raise CannotMeasureError(f"the sessions were not open within {seconds:.0f} s")
            for key, _ in ready:
                if not (said := os.read(key.fd, 100)).startswith(b"held"):
                    raise CannotMeasureError(f"a client of the idle bench died, saying {said!r}")
                selector.unregister(key.fileobj)


if __name__ == "__main__":
    if sys.argv[1:2] == ["hold"]:
        hold(int(sys.argv[2]), int(sys.argv[3]))
    else:
        main(scenario)
