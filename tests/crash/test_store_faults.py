"""One call to the disk fails, each in turn: what was answered is there, and what was refused left nothing half done.

After a failed sync the octets it should have written are gone for good in the model, although they can still be read:
whoever syncs again and believes it is found out.
"""

import errno
from random import Random

import pytest
from tests.crash.store_workload import Workload, open_on, shown

from penfold.fs.power import Disk
from penfold.fs.recording import EMPTY, Fault, RecordingFileSystem

pytestmark = pytest.mark.slow

KINDS = {
    "a sync fails": (errno.EIO, {"datasync"}),
    "a sync of all fails": (errno.EIO, {"sync_all"}),
    "a sync of names fails": (errno.EIO, {"sync_directory"}),
    "the disk is full": (errno.ENOSPC, {"append", "write_at", "create", "truncate"}),
    "names cannot be changed": (errno.EIO, {"create", "rename", "unlink", "mkdir", "rmdir"}),
}


def judge(disk: RecordingFileSystem, workload: Workload, seed: int) -> None:
    """The end, as a kill leaves it and as a power loss may: what was shown last, when all was answered."""
    power, random, last = Disk(disk.image), Random(seed), shown(disk)
    for operation in disk.log:
        power.step(operation)
    for image in [*power.states(random, 2)]:
        state = RecordingFileSystem(image)
        open_on(state, random, []).drop()
        assert shown(state) == last
    disk.fault = None
    workload.writer.drop()
    open_on(disk, random, []).drop()
    assert shown(disk) == last


@pytest.mark.parametrize("kind", KINDS)
def test_any_single_call_of_the_store_may_fail(kind):
    code, kinds = KINDS[kind]
    at = tries = 0
    while True:
        disk = RecordingFileSystem(EMPTY, fault=Fault(at, code, frozenset(kinds)))
        try:
            workload = Workload(disk, at % 7)
            workload.run(25)
        except OSError:
            assert at < 20, "only opening a store may fail"
            at += 1
            continue
        if disk.calls <= at:
            break
        # One more commit, so that nothing is left in doubt.
        disk.fault = None
        workload.commit([workload.append()])
        judge(disk, workload, at)
        tries += 1
        at += 1 if at < 60 else 7
    print(kind, tries)
    assert tries >= 2
