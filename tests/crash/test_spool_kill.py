"""A real process is killed at random moments, again and again on one spool: what it promised is there."""

import asyncio
import os
import random
import signal
import subprocess
import sys

import pytest
from tests.crash.spool_child import body_of

from penfold.queue.spool.spool import open_spool

KILLS = int(os.environ.get("PENFOLD_KILLS", "6"))


def run_and_kill(root: str, lines: int) -> list[tuple[str, int, str]]:
    """Run a child until it has said so many lines, kill it, and give all it said."""
    command = [sys.executable, "-m", "tests.crash.spool_child", root]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as child:
        assert child.stdout is not None
        said = [child.stdout.readline() for _ in range(lines)]
        os.kill(child.pid, signal.SIGKILL)
        said += child.stdout.readlines()
    words = [line.decode().split() for line in said if line.endswith(b"\n")]
    assert len(words) >= lines, "it ended by itself"
    return [(word, int(size), qid) for word, size, qid in words]


async def present(root: str) -> dict[str, bytes]:
    spool = open_spool(root, report=pytest.fail)
    found = {}
    while claims := await spool.custody.claim(1e12, 1000):
        for claim in claims:
            found[str(claim.id)] = spool.bodies.open(claim.body).read()
    spool.custody.abandon([])
    await spool.close()
    return found


@pytest.mark.slow
def test_killed_again_and_again_it_keeps_every_promise(tmp_path):
    root = str(tmp_path / "spool")
    sizes: dict[str, int] = {}
    accepted: set[str] = set()
    done: set[str] = set()
    for _ in range(KILLS):
        for word, size, qid in run_and_kill(root, random.randrange(20, 2500)):
            if word == "begun":
                assert qid not in sizes, "an id was used twice"
                sizes[qid] = size
            else:
                (accepted if word == "accepted" else done).add(qid)
        found = asyncio.run(present(root))
        assert accepted - done <= found.keys()
        assert all(content == body_of(qid, sizes[qid]) for qid, content in found.items())
    assert accepted
