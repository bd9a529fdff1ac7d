"""The power goes at any moment, and the disk keeps any part of what was not synced: no promise is broken.

Twenty thousand different disk states, and more made by crashes during recovery itself.
"""

import asyncio
import os
from random import Random

import pytest
from tests.crash.spool_workload import Judge, Promises, Workload, recorded

from penfold.fs.power import Disk, fingerprint
from penfold.fs.recording import Image, RecordingFileSystem

SEEDS = range(int(os.environ.get("PENFOLD_CRASH_SEEDS", "8")))
STATES = 2600  # different ones, for each seed


async def examine_all(disk: RecordingFileSystem, workload: Workload, seed: int) -> int:
    judge, promises, power = Judge(workload.messages), Promises(), Disk(disk.image)
    random = Random(seed)
    seen: set[int] = set()
    share = max(1, STATES // len(disk.log) + 1)
    for operation in disk.log:
        power.step(operation)
        promises.step(operation)
        for image in power.states(random, share * 2):
            mark = fingerprint(image)
            if mark in seen:
                continue
            seen.add(mark)
            state = RecordingFileSystem(image)
            await judge.examine(state, promises)
            if len(seen) % 40 == 0:
                await crash_again(judge, promises, state, random)
    return len(seen)


async def crash_again(judge: Judge, promises: Promises, first: RecordingFileSystem, random: Random) -> None:
    """Crash in the middle of the recovery just made, and recover from that."""
    power = Disk(first.image)
    stop = random.randrange(len(first.log)) + 1 if first.log else 0
    for operation in first.log[:stop]:
        power.step(operation)
    for image in list(power.states(random, 3)):
        await judge.examine(RecordingFileSystem(image), promises)


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_no_promise_is_broken_whatever_the_disk_kept(seed):
    disk, workload = recorded(seed, 90)
    states = asyncio.run(examine_all(disk, workload, seed))
    print(f"{len(disk.log)} operations, {len(workload.messages)} messages, {states} states")
    assert states >= 2500
    assert isinstance(disk.image, Image)
