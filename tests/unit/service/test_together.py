"""All roles in one process: it ends when asked to, leaves nothing open, and never works as root."""

import asyncio
import os
import signal

import pytest
from tests.walks.walking import house

from penfold.model import ConfigError
from penfold.service import together


def test_it_serves_until_a_signal(tmp_path):
    ready = []

    def is_ready():
        ready.append((tmp_path / "run/control.sock").is_socket())
        os.kill(os.getpid(), signal.SIGTERM)

    assert asyncio.run(together._serve(house(tmp_path, port=0), is_ready)) == 0
    assert ready == [True]


def test_root_is_refused(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(ConfigError, match="root must not"):
        together.serve_together(None, lambda: None)
