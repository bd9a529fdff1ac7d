"""The power goes at any moment, and the disk keeps any part of what was not synced: the store opens and is whole.

Every state is a different disk; some of them crash again during their recovery. The suite is also turned on logs from
which syncs were taken away: it must notice.
"""

import os
from collections.abc import Callable
from random import Random

import pytest
from tests.crash.store_workload import Judge, Promises, Workload, recorded

from penfold.fs.power import Disk, fingerprint
from penfold.fs.recording import Names, Operation, RecordingFileSystem, Sync, SyncAll, SyncNames

SEEDS = range(int(os.environ.get("PENFOLD_CRASH_SEEDS", "20")))
STATES = int(os.environ.get("PENFOLD_CRASH_STATES", "1000"))  # different ones for each seed, about


def examine_all(log: list[Operation], disk: RecordingFileSystem, workload: Workload, seed: int, most: int) -> int:
    """Judge states all along the log, evenly; gives how many different ones."""
    judge, promises, power = Judge(workload.snapshots), Promises(), Disk(disk.image)
    random = Random(seed)
    seen: set[int] = set()
    for left, operation in zip(range(len(log), 0, -1), log, strict=True):
        power.step(operation)
        promises.step(operation)
        quota = len(seen) + max(1, -(-(most - len(seen)) // left))
        for image in power.states(random, 20):
            mark = fingerprint(image)
            if mark in seen:
                continue
            seen.add(mark)
            state = RecordingFileSystem(image)
            judge.examine(state, promises)
            if len(seen) % 25 == 0:
                crash_again(judge, promises, state, random)
            if len(seen) >= quota:
                break
    return len(seen)


def crash_again(judge: Judge, promises: Promises, first: RecordingFileSystem, random: Random) -> None:
    """Crash in the middle of the recovery just made, and recover from that."""
    power = Disk(first.image)
    stop = random.randrange(len(first.log)) + 1 if first.log else 0
    for operation in first.log[:stop]:
        power.step(operation)
    for image in list(power.states(random, 3)):
        judge.examine(RecordingFileSystem(image), promises)


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_a_store_is_whole_whatever_the_disk_kept(seed):
    disk, workload = recorded(seed, 40)
    states = examine_all(disk.log, disk, workload, seed, STATES)
    print(f"{len(disk.log)} operations, {workload.step} commits, {workload.refused} refused, {states} states")
    assert states >= min(STATES, len(disk.log)) * 0.9


def names_of(log: list[Operation]) -> dict[int, str]:
    """Tell what every inode was called, last part only."""
    return {
        inode: name
        for operation in log
        if isinstance(operation, Names)
        for _, name, inode in operation.changes
        if inode is not None
    }


def without_log_syncs(operation: Operation, names: dict[int, str]) -> bool:
    return not (isinstance(operation, Sync) and names[operation.file].endswith(".log"))


def without_checkpoints_of_files(operation: Operation, _names: dict[int, str]) -> bool:
    return not isinstance(operation, SyncAll)


def without_syncs_of_big_bodies(operation: Operation, names: dict[int, str]) -> bool:
    return not (isinstance(operation, Sync) and names[operation.file].startswith("big."))


def without_names_of_big_bodies(operation: Operation, names: dict[int, str]) -> bool:
    return not (isinstance(operation, SyncNames) and names.get(operation.directory, "").startswith(("a-", "b-")))


def without_names_of_logs(operation: Operation, names: dict[int, str]) -> bool:
    return not (isinstance(operation, SyncNames) and names.get(operation.directory) == "0")


def without_syncs_of_the_checkpoint(operation: Operation, names: dict[int, str]) -> bool:
    return not (isinstance(operation, Sync) and names[operation.file].startswith("checkpoint"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "careless",
    [
        without_log_syncs,
        without_checkpoints_of_files,
        without_syncs_of_big_bodies,
        without_names_of_big_bodies,
        without_names_of_logs,
        without_syncs_of_the_checkpoint,
    ],
)
def test_the_suite_notices_a_missing_sync_in_the_store(careless: Callable[[Operation, dict[int, str]], bool]):
    for seed in range(60):
        disk, workload = recorded(seed, 25)
        names = names_of(disk.log)
        log = [operation for operation in disk.log if careless(operation, names)]
        if len(log) == len(disk.log):
            continue
        try:
            examine_all(log, disk, workload, seed, 300)
        except (AssertionError, OSError):
            return
    pytest.fail("nobody noticed")
