import os
import time
from pathlib import Path

import pytest
from tests.mailbox_material import message

from penfold.formats import Maildir, Quota, Stored, make_maildir
from penfold.formats.maildirsize import Usage, add, count, parse, read, root_of
from penfold.fs.posix import PosixFileSystem
from penfold.model import Permanent, Transient

FS = PosixFileSystem()
SIZE = 117  # octets of message(1) to message(9) on disk


@pytest.fixture
def box(tmp_path: Path) -> Path:
    path = tmp_path / "Maildir"
    make_maildir(FS, str(path))
    return path


def deliver(box: Path, quota: Quota, *numbers: int) -> list[object]:
    maildir = Maildir(FS, str(box), host="mx", quota=quota)
    return list(maildir.deliver([message(number) for number in numbers]))


def reply(result: object) -> tuple[int, str]:
    assert isinstance(result, Transient | Permanent)
    return result.reply.code, result.reply.status


def test_deliveries_are_added_to_maildirsize(box: Path):
    deliver(box, Quota(10_000, 100), 1, 2)
    assert (box / "maildirsize").read_text() == f"10000S,100C\n0 0\n{SIZE} 1\n{SIZE} 1\n"


def test_a_full_mailbox_is_452_4_2_2_and_takes_what_fits(box: Path):
    results = deliver(box, Quota(300), 1, 2, 3)
    assert [isinstance(result, Stored) for result in results] == [True, True, False]
    assert reply(results[2]) == (452, "4.2.2")


def test_a_hard_quota_is_552_5_2_2(box: Path):
    assert reply(deliver(box, Quota(0, 1, hard=True), 1, 2)[1]) == (552, "5.2.2")


def test_a_message_larger_than_the_mailbox_is_552_at_once(box: Path):
    assert reply(deliver(box, Quota(100), 1)[0]) == (552, "5.2.2")


def test_the_number_of_messages_is_a_limit_too(box: Path):
    results = deliver(box, Quota(0, 2), 1, 2, 3)
    assert [isinstance(result, Stored) for result in results] == [True, True, False]


def test_a_mailbox_that_was_emptied_takes_mail_again_although_the_file_says_full(box: Path):
    quota = Quota(300)
    deliver(box, quota, 1, 2)
    for path in (box / "new").iterdir():
        path.unlink()
    assert isinstance(deliver(box, quota, 3)[0], Stored)


def test_folders_count_trash_and_deleted_mail_do_not(box: Path):
    for folder, name in ((".Sent", "1.a.h,S=10:2,S"), (".Trash", "1.b.h,S=20:2,"), (".Sent", "1.c.h,S=30:2,T")):
        make_maildir(FS, str(box / folder))
        (box / folder / "cur" / name).write_bytes(b"")
    (box / "new" / "odd").write_bytes(b"12345")
    (box / "new" / ".hidden").write_bytes(b"12345")
    assert count(FS, str(box), Quota(100)) == Usage(15, 2, exact=True)
    assert (box / "maildirsize").read_text() == "100S\n15 2\n"


def test_a_folder_shares_its_roots_quota(box: Path):
    folder = box / ".Sent"
    make_maildir(FS, str(folder))
    quota = Quota(200)
    assert isinstance(deliver(folder, quota, 1)[0], Stored)
    assert reply(deliver(box, quota, 2)[0]) == (452, "4.2.2")
    assert not (folder / "maildirsize").exists()


@pytest.mark.parametrize(
    ("path", "root"), [("/m/box", "/m/box"), ("/m/box/.Sent", "/m/box"), ("/m/box/.Sent/", "/m/box"), (".x", ".x")]
)
def test_the_root_of_a_folder_is_the_maildir_above(path: str, root: str):
    assert root_of(path) == root


@pytest.mark.parametrize(
    "text",
    [b"", b"100S", b"100S\n1 1", b"200S\n1 1\n", b"100S\nx\n", b"100S\n1\n", b"100S\n-5 0\n", b"100S\n1 1 1\n", b"\0"],
)
def test_a_file_that_cannot_be_used_is_counted_again(box: Path, text: bytes):
    (box / "maildirsize").write_bytes(text)
    assert parse(text, Quota(100)) is None
    assert read(FS, str(box), Quota(100), time.time()) == Usage(0, 0, exact=True)
    assert (box / "maildirsize").read_bytes() == b"100S\n0 0\n"


def test_a_file_grown_too_long_is_counted_again(box: Path):
    (box / "maildirsize").write_bytes(b"100S\n" + b"1 1\n" * 2000)
    assert read(FS, str(box), Quota(100), time.time()).octets == 0


def test_changes_add_up(box: Path):
    (box / "maildirsize").write_bytes(b"100S\n50 5\n-20 -2\n")
    add(FS, str(box), 7, 1)
    assert read(FS, str(box), Quota(100), time.time()) == Usage(37, 4)


def test_one_fresh_line_is_exact_and_an_old_one_is_not(box: Path):
    (box / "maildirsize").write_bytes(b"100S\n50 5\n")
    now = time.time()
    assert read(FS, str(box), Quota(100), now).exact
    os.utime(box / "maildirsize", (now - 1000, now - 1000))
    assert not read(FS, str(box), Quota(100), now).exact


def test_without_a_file_nothing_is_added(box: Path):
    add(FS, str(box), 7, 1)
    assert not (box / "maildirsize").exists()
