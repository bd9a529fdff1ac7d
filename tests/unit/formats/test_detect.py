import os
from pathlib import Path

import pytest

from penfold.formats import Format, detect
from penfold.fs.posix import PosixFileSystem

FS = PosixFileSystem()


@pytest.mark.parametrize(
    ("octets", "kind"),
    [
        (b"", Format.MBOX),
        (b"From x", Format.MBOX),
        (b"\1\1\1\1\n", Format.MMDF),
        (b"\1\1\1\1x", None),
        (b"Subject: x\n", None),
        (b"from x", None),
    ],
)
def test_files_are_told_by_their_first_octets(tmp_path: Path, octets: bytes, kind: Format | None):
    (tmp_path / "box").write_bytes(octets)
    assert detect(FS, str(tmp_path / "box")) is kind


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (("cur/", "new/", "tmp/"), Format.MAILDIR),
        (("cur/", "new/"), None),
        (("cur", "new", "tmp"), None),
        ((".mh_sequences",), Format.MH),
        (("1", "x"), Format.MH),
        (("0", "01", ",1", "x1"), None),
        ((), None),
    ],
)
def test_directories_are_told_by_their_names(tmp_path: Path, names: tuple[str, ...], kind: Format | None):
    for name in names:
        path = tmp_path / name.rstrip("/")
        path.mkdir() if name.endswith("/") else path.write_bytes(b"")
    assert detect(FS, str(tmp_path)) is kind


def test_what_is_not_there_or_not_a_mailbox_is_none(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    for name in ("missing", "file/below", "fifo", "link"):
        assert detect(FS, str(tmp_path / name)) is None
