"""Opening, locking and appending: what a spool directory full of tricks may do to us."""

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.mailbox_material import (
    FailingFileSystem,
    FakeClock,
    LongOctets,
    contents,
    message,
    wire,
)

from penfold.formats import Mbox, Stored
from penfold.fs.locks import LockKind, LockPolicy
from penfold.fs.posix import PosixFile, PosixFileSystem
from penfold.model import Transient

FS = PosixFileSystem()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "box"


def deliver_one(path: Path, **options: object) -> object:
    (result,) = Mbox(FS, str(path), **options).deliver([message()])  # type: ignore[arg-type]
    return result


def assert_refused(result: object, why: str) -> None:
    assert isinstance(result, Transient)
    assert (result.reply.code, result.reply.status) == (451, "4.2.0")
    assert why in result.reply.text


def test_a_new_mailbox_is_for_its_owner_alone(path: Path):
    old = os.umask(0)
    try:
        assert isinstance(deliver_one(path), Stored)
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_symbolic_link_is_refused(path: Path, tmp_path: Path):
    victim = tmp_path / "victim"
    victim.write_bytes(b"keep")
    path.symlink_to(victim)
    assert_refused(deliver_one(path), "not a regular file")
    assert victim.read_bytes() == b"keep"


def test_a_dangling_symbolic_link_makes_no_file(path: Path, tmp_path: Path):
    path.symlink_to(tmp_path / "made")
    assert_refused(deliver_one(path), "not a regular file")
    assert not (tmp_path / "made").exists()


def test_a_hard_link_is_refused(path: Path, tmp_path: Path):
    victim = tmp_path / "victim"
    victim.write_bytes(b"keep")
    os.link(victim, path)
    assert_refused(deliver_one(path), "more than one link")
    assert victim.read_bytes() == b"keep"


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_not_a_file_is_refused_without_waiting(path: Path, make: Callable[[str], None]):
    make(str(path))
    assert_refused(deliver_one(path), "not a regular file")


def test_another_owners_file_is_refused(path: Path):
    path.write_bytes(b"")
    assert_refused(deliver_one(path, owner=os.geteuid() + 1), "another user")
    assert path.read_bytes() == b""


def test_dev_null_is_a_mailbox_that_forgets(tmp_path: Path):
    results = Mbox(FS, "/dev/null").deliver([message(1), message(2)])
    assert results == [Stored("/dev/null"), Stored("/dev/null")]


class Swapping(PosixFileSystem):
    """Swaps the mailbox for something else between the look at it and its opening."""

    def __init__(self, path: Path, swap: Callable[[], None], times: int = 1) -> None:
        self._path = str(path)
        self._swap = swap
        self._times = times

    def open(self, path: str, *, write: bool = False) -> PosixFile:
        if path == self._path and self._times:
            self._times -= 1
            self._swap()
        return super().open(path, write=write)


def test_a_swap_to_a_symbolic_link_before_the_opening_is_refused(path: Path, tmp_path: Path):
    path.write_bytes(b"")
    victim = tmp_path / "victim"
    victim.write_bytes(b"keep")

    def swap() -> None:
        path.unlink()
        path.symlink_to(victim)

    (result,) = Mbox(Swapping(path, swap), str(path)).deliver([message()])
    assert isinstance(result, OSError)
    assert result.errno == errno.ELOOP
    assert victim.read_bytes() == b"keep"


def test_a_swap_to_a_hard_link_before_the_opening_is_refused(path: Path, tmp_path: Path):
    path.write_bytes(b"")
    victim = tmp_path / "victim"
    victim.write_bytes(b"keep")

    def swap() -> None:
        path.unlink()
        os.link(victim, path)

    (result,) = Mbox(Swapping(path, swap), str(path)).deliver([message()])
    assert_refused(result, "more than one link")
    assert victim.read_bytes() == b"keep"


def test_a_swap_there_and_back_is_noticed_at_the_open_file(path: Path, tmp_path: Path):
    path.write_bytes(b"")
    victim = tmp_path / "victim"
    victim.write_bytes(b"keep")

    class ThereAndBack(PosixFileSystem):
        def open(self, name: str, *, write: bool = False) -> PosixFile:
            path.rename(tmp_path / "aside")
            victim.rename(path)
            file = super().open(name, write=write)
            path.rename(victim)
            (tmp_path / "aside").rename(path)
            return file

    (result,) = Mbox(ThereAndBack(), str(path)).deliver([message()])
    assert_refused(result, "replaced")
    assert victim.read_bytes() == b"keep"
    assert path.read_bytes() == b""


def test_a_mailbox_removed_while_we_wait_is_made_again(path: Path):
    path.write_bytes(b"")
    removed: list[bool] = []

    def remove() -> None:
        pass

    class Waiting(FakeClock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            if not removed:
                path.unlink()
                removed.append(True)
                path.with_name("box.lock").unlink()

    path.with_name("box.lock").write_text("0")
    (result,) = Mbox(Swapping(path, remove), str(path), clock=Waiting().clock()).deliver([message()])
    assert isinstance(result, Stored)
    assert contents(Mbox(FS, str(path))) == [wire(message())]


def test_a_mailbox_that_is_always_another_one_is_given_up(path: Path):
    path.write_bytes(b"")
    number = iter(range(100))

    class Restless(PosixFileSystem):
        def open(self, name: str, *, write: bool = False) -> PosixFile:
            file = super().open(name, write=write)
            path.rename(path.with_name(f"old{next(number)}"))
            path.write_bytes(b"")
            return file

    (result,) = Mbox(Restless(), str(path)).deliver([message()])
    assert_refused(result, "replaced")


def test_a_locked_mailbox_defers_the_whole_batch(path: Path):
    path.with_name("box.lock").write_text("0")
    clock = FakeClock()
    results = Mbox(FS, str(path), locks=LockPolicy(wait=5), clock=clock.clock()).deliver([message(1), message(2)])
    assert [getattr(result, "reply", None) and result.reply.code for result in results] == [451, 451]  # type: ignore[union-attr]
    assert clock.time >= 5


def test_one_lock_and_one_sync_serve_a_batch(path: Path):
    path.write_bytes(b"")
    disk = FailingFileSystem(0)
    Mbox(disk, str(path)).deliver([message(number) for number in range(10)])
    assert disk.calls == ["append"] * 10 + ["datasync"]


def test_a_write_that_fails_half_way_is_cut_off_and_the_next_message_follows(path: Path):
    deliver_one(path)
    before = path.read_bytes()
    results = Mbox(FailingFileSystem(1), str(path)).deliver([message(2), message(3)])
    assert isinstance(results[0], OSError)
    assert results[0].errno == errno.ENOSPC
    assert isinstance(results[1], Stored)
    assert path.read_bytes().startswith(before + b"From ")
    assert contents(Mbox(FS, str(path))) == [wire(message(1)), wire(message(3))]


def test_a_long_message_that_fails_in_the_middle_is_cut_off(path: Path):
    long = message(2, LongOctets(b"A: b\r\n\r\n" + b"x" * 1000, 10))
    results = Mbox(FailingFileSystem(50), str(path)).deliver([message(1), long, message(3)])
    assert [isinstance(result, Stored) for result in results] == [True, False, True]
    assert contents(Mbox(FS, str(path))) == [wire(message(1)), wire(message(3))]


def test_a_sync_that_fails_takes_the_batch_back(path: Path):
    deliver_one(path)
    before = path.read_bytes()
    results = Mbox(FailingFileSystem(3), str(path)).deliver([message(2), message(3)])
    assert all(isinstance(result, OSError) for result in results)
    assert path.read_bytes() == before


def test_a_lock_broken_under_a_long_message_cuts_only_what_is_ours(path: Path):
    clock = FakeClock()
    lock = path.with_name("box.lock")

    class Breaking(LongOctets):
        def chunks(self, size: int = 65536):  # type: ignore[no-untyped-def]
            for number, chunk in enumerate(super().chunks(size)):
                if number == 3:
                    lock.unlink()
                    clock.time += 1000
                yield chunk

    box = Mbox(FS, str(path), clock=clock.clock())
    results = box.deliver([message(1), message(2, Breaking(b"A: b\r\n\r\n" + b"x" * 100, 10))])
    assert isinstance(results[0], Stored)
    assert_refused(results[1], "") if isinstance(results[1], Transient) else pytest.fail(str(results[1]))
    assert contents(box) == [wire(message(1))]


def test_new_mail_shows_as_unread_even_after_a_read_just_before(path: Path):
    deliver_one(path)
    path.read_bytes()
    os.utime(path)
    deliver_one(path)
    facts = path.stat()
    assert int(facts.st_atime) < int(facts.st_mtime)


def test_an_old_access_time_is_kept(path: Path):
    deliver_one(path)
    os.utime(path, (1000, 2000))
    deliver_one(path)
    assert path.stat().st_atime == 1000
    assert path.stat().st_mtime > 2000


@pytest.mark.parametrize("order", [(LockKind.FCNTL,), (LockKind.FLOCK,), (LockKind.DOTLOCK,)])
def test_any_single_kind_of_lock_is_enough_among_ourselves(path: Path, order: tuple[LockKind, ...]):
    policy = LockPolicy(order=order, wait=20)

    def work(first: int) -> None:
        for number in range(first, first + 20):
            assert isinstance(Mbox(FS, str(path), locks=policy).deliver([message(number)])[0], Stored)

    threads = [threading.Thread(target=work, args=(first,)) for first in (100, 200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(contents(Mbox(FS, str(path)))) == 40
