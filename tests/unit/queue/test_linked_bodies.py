"""A body file of the spool gets another name, and a stretch of a segment does not."""

import pytest

from penfold.fs.recording import RecordingFileSystem
from penfold.model import BodyRef
from penfold.queue.spool.bodies import SpoolBodies


@pytest.fixture
def disk():
    disk = RecordingFileSystem()
    disk.mkdir("/spool")
    for name in ("body", "intake.seg"):
        disk.create(f"/spool/{name}").append([b"0123456789"])
    return disk


def test_a_whole_body_file_is_linked(disk):
    assert SpoolBodies(disk, "/spool").link(BodyRef("body", 0, 10, b"prefix"), "/other")
    assert disk.read("/other") == b"0123456789"
    assert disk.stat("/spool/body").links == 2


@pytest.mark.parametrize("ref", [BodyRef("intake.seg", 0, 10), BodyRef("body", 1, 9), BodyRef("body", 0, 9)])
def test_a_part_of_a_file_is_not(disk, ref):
    assert not SpoolBodies(disk, "/spool").link(ref, "/other")
    assert disk.names("/") == ["spool"]


def test_a_name_that_is_taken_is_an_error(disk):
    disk.create("/other")
    with pytest.raises(FileExistsError):
        SpoolBodies(disk, "/spool").link(BodyRef("body", 0, 10), "/other")
