"""One suite over every driver of the file system seam."""

import errno
import os
from contextlib import contextmanager

import pytest

from penfold.fs.base import FileSystem
from penfold.fs.posix import PosixFileSystem
from penfold.fs.recording import RecordingFileSystem


@contextmanager
def fails_with(code: int):
    with pytest.raises(OSError, check=lambda error: error.errno == code):
        yield


@pytest.fixture(params=["posix", "recording"])
def place(request, tmp_path) -> tuple[FileSystem, str]:
    if request.param == "posix":
        return PosixFileSystem(), str(tmp_path)
    disk = RecordingFileSystem()
    disk.mkdir("/here")
    return disk, "/here"


def test_what_is_appended_is_read_back_and_the_offset_told(place):
    fs, root = place
    file = fs.create(f"{root}/a")
    assert file.append([b"one", b"", b"two"]) == 0
    assert file.append([b"three"]) == 6
    assert file.size() == 11
    assert file.read_at(3, 5) == b"twoth"
    assert file.read_at(8, 100) == b"ree"
    assert file.read_at(100, 5) == b""
    file.close()
    file.close()
    assert fs.read(f"{root}/a") == b"onetwothree"


def test_more_buffers_than_one_writev_takes_are_all_written(place):
    fs, root = place
    file = fs.create(f"{root}/a")
    file.append([b"%04d" % n for n in range(3000)])
    assert file.size() == 12000
    assert file.read_at(4 * 2999, 4) == b"2999"
    file.close()


def test_write_at_overwrites_and_may_extend(place):
    fs, root = place
    file = fs.create(f"{root}/a")
    file.append([b"abcdef"])
    file.write_at(2, b"XY")
    file.write_at(8, b"Z")
    assert fs.read(f"{root}/a") == b"abXYef\0\0Z"
    file.truncate(3)
    assert file.append([b"!"]) == 3
    assert fs.read(f"{root}/a") == b"abX!"
    file.close()


def test_create_refuses_a_name_that_is_taken(place):
    fs, root = place
    fs.create(f"{root}/a").close()
    with pytest.raises(FileExistsError):
        fs.create(f"{root}/a")


def test_open_refuses_a_missing_file_and_a_directory(place):
    fs, root = place
    with pytest.raises(FileNotFoundError):
        fs.open(f"{root}/none")
    fs.mkdir(f"{root}/d")
    with pytest.raises(IsADirectoryError):
        fs.open(f"{root}/d")


def test_a_file_opened_for_reading_cannot_be_written(place):
    fs, root = place
    fs.create(f"{root}/a").close()
    file = fs.open(f"{root}/a")
    with fails_with(errno.EBADF):
        file.append([b"x"])
    file.close()


def test_rename_replaces_and_names_are_sorted(place):
    fs, root = place
    for name in "cab":
        file = fs.create(f"{root}/{name}")
        file.append([name.encode()])
        file.close()
    fs.rename(f"{root}/c", f"{root}/a")
    assert fs.names(root) == ["a", "b"]
    assert fs.read(f"{root}/a") == b"c"
    with pytest.raises(FileNotFoundError):
        fs.rename(f"{root}/none", f"{root}/x")


def test_a_second_link_is_the_same_file_and_outlives_the_first(place):
    fs, root = place
    file = fs.create(f"{root}/a")
    file.append([b"x"])
    fs.link(f"{root}/a", f"{root}/b")
    assert fs.stat(f"{root}/b").links == 2
    assert fs.stat(f"{root}/b").inode == fs.stat(f"{root}/a").inode
    with pytest.raises(FileExistsError):
        fs.link(f"{root}/a", f"{root}/b")
    fs.unlink(f"{root}/a")
    assert fs.read(f"{root}/b") == b"x"
    assert fs.stat(f"{root}/b").links == 1
    with pytest.raises(FileNotFoundError):
        fs.unlink(f"{root}/a")
    file.close()


def test_an_unlinked_file_stays_readable_through_its_descriptor(place):
    fs, root = place
    file = fs.create(f"{root}/a")
    file.append([b"x"])
    fs.unlink(f"{root}/a")
    assert file.read_at(0, 1) == b"x"
    file.close()


def test_directories_are_made_listed_and_removed(place):
    fs, root = place
    fs.mkdir(f"{root}/d")
    with pytest.raises(FileExistsError):
        fs.mkdir(f"{root}/d")
    fs.create(f"{root}/d/x").close()
    with fails_with(errno.ENOTEMPTY):
        fs.rmdir(f"{root}/d")
    fs.unlink(f"{root}/d/x")
    fs.rmdir(f"{root}/d")
    assert fs.names(root) == []
    with pytest.raises(FileNotFoundError):
        fs.names(f"{root}/d")
    with pytest.raises(FileNotFoundError):
        fs.create(f"{root}/d/x")


def test_syncs_succeed_and_free_space_is_positive(place):
    fs, root = place
    file = fs.create(f"{root}/a")
    file.append([b"x"])
    file.datasync()
    file.close()
    fs.sync_directory(root)
    fs.sync_all(root)
    octets, inodes = fs.free(root)
    assert octets > 0
    assert inodes > 0


def test_posix_follows_no_symbolic_link(tmp_path):
    fs = PosixFileSystem()
    (tmp_path / "real").write_bytes(b"secret")
    (tmp_path / "dir").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "dlink").symlink_to(tmp_path / "dir")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    with fails_with(errno.ELOOP):
        fs.open(f"{tmp_path}/link")
    with pytest.raises(FileExistsError):
        fs.create(f"{tmp_path}/dangling")
    with fails_with(errno.ENOTDIR):
        fs.names(f"{tmp_path}/dlink")
    assert not (tmp_path / "nowhere").exists()


def test_posix_does_not_hang_on_a_fifo(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with fails_with(errno.EINVAL):
        PosixFileSystem().open(f"{tmp_path}/fifo")
