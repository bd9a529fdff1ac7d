"""Every SMTP transcript holds for the server core, and for the core behind a socket."""

import contextlib
import re
import socket
import threading
from collections.abc import Iterator

import pytest
from conformance.smtp_runner import CorePeer, Transcript, run_over_core, run_over_tcp, transcripts

ALL = transcripts()


@pytest.mark.parametrize("transcript", ALL, ids=lambda transcript: transcript.name)
def test_transcript_holds_over_the_core(transcript: Transcript) -> None:
    run_over_core(transcript)


@pytest.mark.parametrize("transcript", ALL, ids=lambda transcript: transcript.name)
def test_transcript_names_its_standard(transcript: Transcript) -> None:
    assert re.match(r"RFC \d+ |https://", transcript.title), transcript.name


@contextlib.contextmanager
def _listening(transcript: Transcript) -> Iterator[int]:
    """Put one core behind one loopback connection."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        peer = CorePeer(transcript)
        with connection:
            connection.settimeout(10)
            while True:
                connection.sendall(peer.receive())
                if peer.server.closed:
                    return
                octets = connection.recv(65536)
                if not octets:
                    peer.end()
                    connection.sendall(peer.receive())
                    return
                peer.send(octets)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        thread.join(15)
        listener.close()


_PLAIN = [one for one in ALL if not one.core_only and not any(kind == "TLS" for _, kind, _ in one.steps)]


@pytest.mark.parametrize("transcript", _PLAIN, ids=lambda transcript: transcript.name)
def test_transcript_holds_over_tcp(transcript: Transcript) -> None:
    with _listening(transcript) as port:
        run_over_tcp(transcript, "127.0.0.1", port)
