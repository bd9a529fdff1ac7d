"""The power goes at any moment, and the disk keeps any part of what was not synced: no promise is broken.

Twenty thousand different disk states, and more made by crashes during recovery itself. The suite is also turned on
logs from which syncs were taken away: it must notice.
"""

import asyncio
import os
from collections.abc import Callable
from random import Random

import pytest
from tests.crash.spool_workload import Judge, Promises, Workload, recorded

from penfold.fs.power import Disk, fingerprint
from penfold.fs.recording import Names, Operation, RecordingFileSystem, Sync, SyncNames

SEEDS = range(int(os.environ.get("PENFOLD_CRASH_SEEDS", "20")))
STATES = 1000  # different ones for each seed, at least


async def examine_all(log: list[Operation], disk: RecordingFileSystem, workload: Workload, seed: int) -> int:
    """Judge states all along the log, evenly; gives how many different ones."""
    judge, promises, power = Judge(workload.messages), Promises(), Disk(disk.image)
    random = Random(seed)
    seen: set[int] = set()
    for left, operation in zip(range(len(log), 0, -1), log, strict=True):
        power.step(operation)
        promises.step(operation)
        quota = len(seen) + max(1, -(-(STATES + 100 - len(seen)) // left))
        for image in power.states(random, 100):
            mark = fingerprint(image)
            if mark in seen:
                continue
            seen.add(mark)
            state = RecordingFileSystem(image)
            await judge.examine(state, promises)
            if len(seen) % 50 == 0:
                await crash_again(judge, promises, state, random)
            if len(seen) >= quota:
                break
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
    disk, workload = recorded(seed, 45)
    states = asyncio.run(examine_all(disk.log, disk, workload, seed))
    print(f"{len(disk.log)} operations, {len(workload.messages)} messages, {states} states")
    assert states >= STATES


def names_of(log: list[Operation]) -> dict[int, str]:
    """Tell what every inode was called, last part only."""
    return {
        inode: name
        for operation in log
        if isinstance(operation, Names)
        for _, name, inode in operation.changes
        if inode is not None
    }


def without_segment_syncs(operation: Operation, names: dict[int, str]) -> bool:
    return not (isinstance(operation, Sync) and names[operation.file].endswith(".seg"))


def without_body_syncs(operation: Operation, names: dict[int, str]) -> bool:
    return not (isinstance(operation, Sync) and len(names[operation.file]) == 8)


def without_index_syncs(operation: Operation, names: dict[int, str]) -> bool:
    return not (isinstance(operation, Sync) and names[operation.file].startswith("queue.db"))


def without_names_of_segments(operation: Operation, names: dict[int, str]) -> bool:
    return not (isinstance(operation, SyncNames) and names.get(operation.directory) == "intake")


def without_names_of_bodies(operation: Operation, names: dict[int, str]) -> bool:
    return not (isinstance(operation, SyncNames) and names.get(operation.directory) == "body")


def without_names_of_carried(operation: Operation, names: dict[int, str]) -> bool:
    return not (isinstance(operation, SyncNames) and names.get(operation.directory) == "carry")


def without_the_name_of_the_index(operation: Operation, names: dict[int, str]) -> bool:
    return not (isinstance(operation, SyncNames) and names.get(operation.directory) == "spool")


@pytest.mark.parametrize(
    "careless",
    [
        without_segment_syncs,
        without_body_syncs,
        without_index_syncs,
        without_names_of_segments,
        without_names_of_bodies,
        without_names_of_carried,
        without_the_name_of_the_index,
    ],
)
def test_the_suite_notices_a_missing_sync(careless: Callable[[Operation, dict[int, str]], bool]):
    for seed in range(60):
        disk, workload = recorded(seed, 35)
        names = names_of(disk.log)
        log = [operation for operation in disk.log if careless(operation, names)]
        if len(log) == len(disk.log):
            continue
        try:
            asyncio.run(examine_all(log, disk, workload, seed))
        except (AssertionError, OSError):
            return
    pytest.fail("nobody noticed")
