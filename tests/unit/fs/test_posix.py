"""What only the real file system can show: short writes, descriptors passed on."""

import errno
import os

import pytest

from penfold.fs.posix import PosixFile, PosixFileSystem


def test_short_writes_are_continued(tmp_path, monkeypatch):
    real = os.pwritev
    monkeypatch.setattr(os, "pwritev", lambda fd, buffers, offset: real(fd, [b"".join(buffers)[:3]], offset))
    file = PosixFileSystem().create(f"{tmp_path}/a")
    assert file.append([b"ab", b"cdef", b"g"]) == 0
    assert file.append([b"hij"]) == 7
    assert (tmp_path / "a").read_bytes() == b"abcdefghij"
    file.close()


def test_a_write_without_progress_is_a_full_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "pwritev", lambda *_: 0)
    file = PosixFileSystem().create(f"{tmp_path}/a")
    with pytest.raises(OSError, check=lambda error: error.errno == errno.ENOSPC):
        file.append([b"x"])
    file.close()


def test_short_reads_are_continued(tmp_path, monkeypatch):
    file = PosixFileSystem().create(f"{tmp_path}/a")
    file.append([b"abcdefg"])
    real = os.pread
    monkeypatch.setattr(os, "pread", lambda fd, length, offset: real(fd, min(length, 2), offset))
    assert file.read_at(1, 5) == b"bcdef"
    assert file.read_at(1, 50) == b"bcdefg"
    file.close()


def test_a_descriptor_passed_on_is_a_file(tmp_path):
    file = PosixFileSystem().create(f"{tmp_path}/a")
    other = PosixFile(os.dup(file.fileno()))
    file.append([b"x"])
    assert other.append([b"y"]) == 1
    assert not os.get_inheritable(file.fileno())
    file.close()
    other.datasync()
    other.close()
    assert (tmp_path / "a").read_bytes() == b"xy"


def test_a_failed_syncfs_tells_its_errno(tmp_path, monkeypatch):
    class Broken:
        def syncfs(self, _fd: int) -> int:
            return -1

    monkeypatch.setattr("penfold.fs.posix._libc", Broken())
    with pytest.raises(OSError, match=str(tmp_path)):
        PosixFileSystem().sync_all(str(tmp_path))
