"""A real writer is killed at random moments, again and again on one store, while another process reads it."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest
from tests.crash.store_child import ACCOUNTS, body_of

from penfold.fs.posix import PosixFileSystem
from penfold.message.summary import summary
from penfold.store import Column, Refused
from penfold.store.native import NativeReader, Writer

KILLS = int(os.environ.get("PENFOLD_KILLS", "6"))


def look(reader: NativeReader) -> dict[tuple[str, int], str]:
    """Read all that is there; every message must be what it says of itself, in the order of UIDs."""
    found = {}
    for account in ACCOUNTS:
        tree = reader.tree(account)
        if isinstance(tree, Refused):
            assert tree.problem == "NONEXISTENT"
            continue
        view = reader.view(account, tree.mailboxes[0].id)
        assert not isinstance(view, Refused), view
        rows = view.rows(view.roll.uids)
        uids, sizes = view.columns([Column.UID, Column.SIZE], rows)
        assert list(uids) == sorted(set(uids)) == list(view.roll.uids)
        assert view.counts().exists == len(uids)
        for row, uid, size in zip(rows, uids, sizes, strict=True):
            content = bytes(view.body(row))
            name, asked = content.split(b"\r\n")[0].decode().split()
            assert content == body_of(name, int(asked))
            assert len(content) == size
            found[account, uid] = name
    return found


def run_and_kill(root: str, lines: int, reader: NativeReader) -> list[list[str]]:
    """Run a child until it has said so many lines, looking on meanwhile; kill it, and give all it said."""
    command = [sys.executable, "-m", "tests.crash.store_child", root]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as child:
        assert child.stdout is not None
        said = []
        for number in range(lines):
            said.append(child.stdout.readline())
            if number % 100 == 50:
                look(reader)
        os.kill(child.pid, signal.SIGKILL)
        said += child.stdout.readlines()
    words = [line.decode().split() for line in said if line.endswith(b"\n")]
    assert len(words) >= lines, "it ended by itself"
    return words


@pytest.mark.slow
def test_a_killed_writer_keeps_every_promise_and_readers_see_whole_messages(tmp_path):
    root, fs = str(tmp_path / "store"), PosixFileSystem()
    Writer(fs, root, clock=time.time, random=os.urandom, summarise=summary).drop()
    reader = NativeReader(fs, root)
    stored: dict[tuple[str, int], str] = {}
    expunging: set[tuple[str, int]] = set()
    expunged: set[tuple[str, int]] = set()
    for _ in range(KILLS):
        for word, account, uid, name in run_and_kill(root, random.randrange(20, 700), reader):
            if word == "stored":
                assert (account, int(uid)) not in stored, "a UID was given twice"
                stored[account, int(uid)] = name
            else:
                (expunging if word == "expunging" else expunged).add((account, int(uid)))
        Writer(fs, root, clock=time.time, random=os.urandom, summarise=summary).drop()
        found = look(NativeReader(fs, root))
        assert stored.keys() - expunging <= found.keys()
        assert not found.keys() & expunged
        assert all(stored.get(key, name) == name for key, name in found.items())
    assert len(stored) > KILLS
