"""One call to the disk fails, each in turn: nothing promised is lost, and nothing is promised that is not durable.

After a failed sync the octets it should have written are gone for good in the model, although they can still be read:
whoever syncs again and believes it is found out.
"""

import asyncio
import errno
from random import Random

import pytest
from tests.crash.spool_workload import Judge, Promises, Workload, kill

from penfold.fs.power import Disk
from penfold.fs.recording import EMPTY, Fault, RecordingFileSystem

pytestmark = [
    pytest.mark.slow,
    # SQLite cleans up after a failed call, and meets the fault again where nobody can be told.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

KINDS = {
    "a sync fails": (errno.EIO, {"datasync"}),
    "a sync of names fails": (errno.EIO, {"sync_directory"}),
    "the disk is full": (errno.ENOSPC, {"append", "write_at", "create", "truncate"}),
    "a call is interrupted": (errno.EINTR, {"append", "write_at", "datasync"}),
    "names cannot be changed": (errno.EIO, {"create", "rename", "unlink", "mkdir"}),
}


async def broken(disk: RecordingFileSystem, seed: int) -> Workload:
    workload = Workload(disk, seed)
    await workload.run(40)
    assert workload.spool is not None
    kill(workload.spool)
    return workload


async def judge(disk: RecordingFileSystem, workload: Workload, seed: int) -> None:
    """Judge the end as a kill leaves it, and as a power loss may leave it there and at some moments before."""
    power, promises, random = Disk(disk.image), Promises(), Random(seed)
    moments = {random.randrange(len(disk.log)) for _ in range(2)} | {len(disk.log) - 1}
    examiner = Judge(workload.messages)
    for number, operation in enumerate(disk.log):
        power.step(operation)
        promises.step(operation)
        if number in moments:
            for image in power.states(random, 1):
                await examiner.examine(RecordingFileSystem(image), promises)
    disk.fault = None
    await examiner.examine(disk, promises)


@pytest.mark.parametrize("kind", KINDS)
def test_any_single_call_may_fail(kind):
    code, kinds = KINDS[kind]

    async def main() -> int:
        at = tries = 0
        while True:
            disk = RecordingFileSystem(EMPTY, fault=Fault(at, code, frozenset(kinds)))
            workload = await broken(disk, at % 7)
            if disk.calls <= at:
                return tries
            await judge(disk, workload, at)
            tries += 1
            at += 1

    assert asyncio.run(main()) >= 10
