"""What the walks need of pytest."""

import socket

import pytest


@pytest.fixture
def unused_port():
    """A port nobody listens at."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
