"""The recording file system's log, its faults, and the states it says a disk may be in."""

import errno
from random import Random

import pytest

from penfold.fs.power import Disk, fingerprint
from penfold.fs.recording import EMPTY, Ack, Fault, Image, RecordingFileSystem, Sync, Write


def read(image: Image, path: str) -> bytes | None:
    disk = RecordingFileSystem(image)
    try:
        return disk.read(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def states(fs: RecordingFileSystem, samples: int = 300) -> list[Image]:
    disk = Disk(fs.image)
    for operation in fs.log:
        disk.step(operation)
    found = {fingerprint(image): image for image in disk.states(Random(1), samples)}
    return list(found.values())


def test_the_log_tells_changes_syncs_and_promises_in_order():
    fs = RecordingFileSystem()
    file = fs.create("/a")
    file.append([b"x", b"y"])
    file.datasync()
    fs.ack("a is there")
    assert [type(each).__name__ for each in fs.log] == ["Names", "Write", "Sync", "Ack"]
    assert isinstance(fs.log[1], Write)
    assert fs.log[1].data == b"xy"
    assert fs.log[2:] == [Sync(fs.log[1].file), Ack("a is there")]


def test_a_synced_file_without_a_synced_name_may_be_lost():
    fs = RecordingFileSystem()
    file = fs.create("/a")
    file.append([b"x"])
    file.datasync()
    assert {read(image, "/a") for image in states(fs)} == {None, b"x"}


def test_a_synced_name_without_synced_octets_may_be_anything_of_them():
    fs = RecordingFileSystem()
    file = fs.create("/a")
    fs.sync_directory("/")
    file.append([b"x" * 1024])
    contents = {read(image, "/a") for image in states(fs)}
    assert {b"", b"x" * 1024, bytes(1024), b"x" * 512, bytes(512) + b"x" * 512, b"\xa5" * 512 + b"x" * 512} <= contents


def test_what_is_synced_stays_whatever_follows():
    fs = RecordingFileSystem()
    fs.mkdir("/d")
    file = fs.create("/d/a")
    file.append([b"x" * 600])
    file.datasync()
    fs.sync_directory("/d")
    fs.sync_directory("/")
    file.append([b"y" * 600])
    fs.create("/d/b")
    for image in states(fs):
        content = read(image, "/d/a")
        assert content is not None
        assert content[:600] == b"x" * 600


def test_overwriting_may_leave_a_mixture_of_old_and_new_sectors():
    fs = RecordingFileSystem(Image({2: b"o" * 1024}, {1: {"a": 2}}))
    file = fs.open("/a", write=True)
    file.write_at(0, b"n" * 1024)
    assert {read(image, "/a") for image in states(fs)} == {
        b"o" * 1024,
        b"n" * 1024,
        b"n" * 512 + b"o" * 512,
        b"o" * 512 + b"n" * 512,
    } | {b"o" * 1024}


def test_a_rename_is_kept_or_dropped_whole():
    fs = RecordingFileSystem(Image({2: b"old", 3: b"new"}, {1: {"a": 2, "b": 3}}))
    fs.rename("/b", "/a")
    assert {(read(image, "/a"), read(image, "/b")) for image in states(fs)} == {(b"old", b"new"), (b"new", None)}


def test_names_change_in_order_but_each_on_its_own():
    fs = RecordingFileSystem(Image({2: b"1", 3: b"2"}, {1: {"a": 2, "b": 3}}))
    fs.unlink("/a")
    fs.unlink("/b")
    fs.create("/a")
    assert {(read(image, "/a"), read(image, "/b")) for image in states(fs)} == {
        (first, second) for first in (b"1", None, b"") for second in (b"2", None)
    }


def test_sync_all_leaves_one_state():
    fs = RecordingFileSystem()
    fs.mkdir("/d")
    fs.create("/d/a").append([b"x"])
    fs.sync_all("/")
    (only,) = states(fs)
    assert read(only, "/d/a") == b"x"


def test_a_truncation_is_kept_or_dropped():
    fs = RecordingFileSystem(Image({2: b"abcdef"}, {1: {"a": 2}}))
    fs.open("/a", write=True).truncate(2)
    assert {read(image, "/a") for image in states(fs)} >= {b"abcdef", b"ab"}


def test_the_same_seed_gives_the_same_states():
    fs = RecordingFileSystem()
    fs.create("/a").append([b"x" * 5000])
    assert list(map(fingerprint, states(fs))) == list(map(fingerprint, states(fs)))


def test_a_fault_breaks_one_call_half_way():
    fs = RecordingFileSystem(EMPTY, fault=Fault(1, errno.ENOSPC, frozenset({"append"})))
    file = fs.create("/a")
    file.append([b"12"])
    with pytest.raises(OSError, check=lambda error: error.errno == errno.ENOSPC):
        file.append([b"3456"])
    assert fs.read("/a") == b"1234"
    file.append([b"56"])
    assert fs.read("/a") == b"123456"


def test_a_failed_sync_loses_what_it_should_have_written():
    fs = RecordingFileSystem(EMPTY, fault=Fault(0, errno.EIO, frozenset({"datasync"})))
    file = fs.create("/a")
    fs.sync_directory("/")
    file.append([b"x"])
    with pytest.raises(OSError, check=lambda error: error.errno == errno.EIO):
        file.datasync()
    assert fs.read("/a") == b"x"
    assert {read(image, "/a") for image in states(fs)} == {b""}
