import os
import threading
from pathlib import Path

import pytest
from tests.mailbox_material import FailingFileSystem, FakeClock, LongOctets, contents, message, wire

from penfold.formats import Mh, Stored
from penfold.fs.locks import KernelLock, LockKind, LockPolicy
from penfold.fs.posix import PosixFileSystem
from penfold.model import Permanent, Transient

FS = PosixFileSystem()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "inbox"


def umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_messages_get_the_next_numbers_and_join_unseen(folder: Path):
    results = Mh(FS, str(folder)).deliver([message(1), message(2)])
    assert [result.name for result in results if isinstance(result, Stored)] == ["1", "2"]
    assert (folder / ".mh_sequences").read_bytes() == b"unseen: 1-2\n"
    assert names(folder) == [".mh_sequences", "1", "2"]
    assert folder.stat().st_mode & 0o777 == 0o700


def test_numbers_go_on_after_the_highest_one(folder: Path):
    folder.mkdir()
    for name in ("7", "12", ",15", "03", "x", "#9"):
        (folder / name).write_bytes(b"A: b\n\n")
    (result,) = Mh(FS, str(folder)).deliver([message()])
    assert isinstance(result, Stored)
    assert result.name == "13"


def test_a_number_taken_meanwhile_is_left_alone(folder: Path):
    class Racing(PosixFileSystem):
        def link(self, old: str, new: str) -> None:
            if new.endswith(("/1", "/2")):
                Path(new).write_bytes(b"another's")
            super().link(old, new)

    (result,) = Mh(Racing(), str(folder)).deliver([message()])
    assert isinstance(result, Stored)
    assert result.name == "3"
    assert (folder / "1").read_bytes() == b"another's"


def test_a_message_is_read_only_so_that_inc_cannot_overwrite_it(folder: Path):
    Mh(FS, str(folder)).deliver([message()])
    assert (folder / "1").stat().st_mode & 0o777 == 0o400
    Mh(FS, str(folder), mode=0o660, writable=True).deliver([message(2)])
    assert (folder / "2").stat().st_mode & 0o777 == 0o660 & ~umask()


def test_other_sequences_stay_octet_for_octet(folder: Path):
    folder.mkdir()
    (folder / ".mh_sequences").write_bytes(b"cur: 3\nodd words here\nunseen: 1-3\nmine: 1,2\n")
    (folder / "3").write_bytes(b"A: b\n\n")
    Mh(FS, str(folder)).deliver([message()])
    assert (folder / ".mh_sequences").read_bytes() == b"cur: 3\nodd words here\nunseen: 1-4\nmine: 1,2\n"


def test_the_names_of_the_unseen_sequences_are_configurable(folder: Path):
    Mh(FS, str(folder), unseen=("new", "todo")).deliver([message()])
    assert (folder / ".mh_sequences").read_bytes() == b"new: 1\ntodo: 1\n"
    Mh(FS, str(folder), unseen=()).deliver([message(2)])
    assert (folder / ".mh_sequences").read_bytes() == b"new: 1\ntodo: 1\n"


def test_flags_become_sequences(folder: Path):
    Mh(FS, str(folder)).deliver([message(1, flags=frozenset({"\\Seen", "\\Flagged"})), message(2)])
    assert (folder / ".mh_sequences").read_bytes() == b"flagged: 1\nunseen: 2\n"
    assert [entry.flags for entry in Mh(FS, str(folder)).scan()] == [{"\\Seen", "\\Flagged"}, frozenset()]


@pytest.mark.parametrize("order", [(LockKind.DOTLOCK,), (LockKind.DOTLOCK, LockKind.FCNTL), (LockKind.FLOCK,)])
def test_the_lock_is_nmhs_whatever_the_order_for_other_mailboxes(folder: Path, order: tuple[LockKind, ...]):
    folder.mkdir()
    (folder / ".mh_sequences").write_bytes(b"")
    fd = os.open(folder / ".mh_sequences", os.O_RDWR)
    assert KernelLock(LockKind.FCNTL, fd).acquire()
    policy = LockPolicy(order=order, wait=1)
    (result,) = Mh(FS, str(folder), locks=policy, clock=FakeClock().clock()).deliver([message()])
    os.close(fd)
    assert isinstance(result, Transient)


def test_a_locked_sequence_file_defers_and_leaves_nothing(folder: Path):
    folder.mkdir()
    (folder / ".mh_sequences").write_bytes(b"")
    fd = os.open(folder / ".mh_sequences", os.O_RDWR)
    assert KernelLock(LockKind.FCNTL, fd).acquire()
    (result,) = Mh(FS, str(folder), clock=FakeClock().clock()).deliver([message()])
    os.close(fd)
    assert isinstance(result, Transient)
    assert names(folder) == [".mh_sequences"]


def test_a_symbolic_link_in_place_of_the_sequences_is_refused(folder: Path, tmp_path: Path):
    folder.mkdir()
    (tmp_path / "victim").write_bytes(b"keep")
    (folder / ".mh_sequences").symlink_to(tmp_path / "victim")
    (result,) = Mh(FS, str(folder)).deliver([message()])
    assert isinstance(result, Transient)
    assert (tmp_path / "victim").read_bytes() == b"keep"


def test_a_delivery_cut_off_after_its_number_is_recognised(folder: Path):
    Mh(FS, str(folder)).deliver([message(1)])
    os.link(folder / "1", folder / f".{message(1).unique}")
    (result,) = Mh(FS, str(folder)).deliver([message(1)])
    assert isinstance(result, Stored)
    assert result.name == "1"
    assert names(folder) == [".mh_sequences", "1"]
    assert contents(Mh(FS, str(folder))) == [wire(message(1))]


def test_a_delivery_cut_off_before_its_number_is_begun_again(folder: Path):
    folder.mkdir()
    (folder / f".{message(1).unique}").write_bytes(b"hal")
    Mh(FS, str(folder)).deliver([message(1)])
    assert contents(Mh(FS, str(folder))) == [wire(message(1))]
    assert names(folder) == [".mh_sequences", "1"]


def test_a_name_that_leads_elsewhere_is_refused(folder: Path):
    bad = message(1)
    (result, good) = Mh(FS, str(folder)).deliver([type(bad)(bad.prefix, bad.body, "", 0.0, "../../etc/x"), message(2)])
    assert isinstance(result, Permanent)
    assert isinstance(good, Stored)


def test_one_full_disk_moment_costs_one_message(folder: Path):
    Mh(FS, str(folder)).deliver([message(9)])
    disk = FailingFileSystem(4)
    results = Mh(disk, str(folder)).deliver([message(1), message(2), message(3), message(4)])
    assert sum(isinstance(result, Stored) for result in results) == 3
    assert [name for name in names(folder) if name.startswith(".Q")] == []


def test_large_messages_are_streamed(folder: Path):
    body = b"A: b\r\n\r\n" + b"line\r\n" * 50
    Mh(FS, str(folder)).deliver([message(1, LongOctets(body, 7))])
    assert contents(Mh(FS, str(folder))) == [wire(message(1, body))]


def test_threads_share_a_folder(folder: Path):
    def work(first: int) -> None:
        for number in range(first, first + 15):
            assert isinstance(Mh(FS, str(folder)).deliver([message(number)])[0], Stored)

    threads = [threading.Thread(target=work, args=(first,)) for first in (100, 200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [entry.name for entry in Mh(FS, str(folder)).scan()] == [str(number) for number in range(1, 31)]
    assert (folder / ".mh_sequences").read_bytes() == b"unseen: 1-30\n"
