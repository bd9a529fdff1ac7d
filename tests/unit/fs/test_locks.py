import errno
import fcntl
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.mailbox_material import FakeClock

from penfold.fs.locks import DotLock, KernelLock, LockKind, LockPolicy, hold
from penfold.model import Transient

HOST = "mx.example.test"


@pytest.fixture
def box(tmp_path: Path) -> Path:
    path = tmp_path / "box"
    path.write_bytes(b"")
    return path


@pytest.fixture
def fd(box: Path) -> Iterator[int]:
    number = os.open(box, os.O_RDWR)
    yield number
    os.close(number)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def lock_of(box: Path) -> Path:
    return box.with_name("box.lock")


def dead_pid() -> int:
    process = multiprocessing.get_context("fork").Process(target=int)
    process.start()
    process.join()
    assert process.pid is not None
    return process.pid


def age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


def test_a_dot_lock_is_a_file_with_pid_and_host_and_nothing_else_is_left(box: Path):
    lock = DotLock(str(box), host=HOST)
    assert lock.acquire()
    assert lock_of(box).read_text() == f"{os.getpid()}:{HOST}"
    assert lock_of(box).stat().st_nlink == 1
    assert sorted(path.name for path in box.parent.iterdir()) == ["box", "box.lock"]
    lock.release()
    assert sorted(path.name for path in box.parent.iterdir()) == ["box"]


def test_a_second_dot_lock_is_refused_while_the_first_is_held(box: Path):
    first, second = DotLock(str(box), host=HOST), DotLock(str(box), host=HOST)
    assert first.acquire()
    assert not second.acquire()
    second.release()
    assert lock_of(box).exists()
    first.release()
    assert second.acquire()


def test_a_dot_lock_of_a_dead_process_of_this_host_is_broken_at_once(box: Path):
    lock_of(box).write_text(f"{dead_pid()}:{HOST}")
    assert DotLock(str(box), host=HOST).acquire()


def test_a_dot_lock_of_a_dead_process_of_another_host_is_left_alone(box: Path):
    lock_of(box).write_text(f"{dead_pid()}:elsewhere")
    assert not DotLock(str(box), host=HOST).acquire()


@pytest.mark.parametrize("content", ["0", "", "123\n", "x" * 1000, "99999999999999999999:" + HOST])
def test_foreign_dot_locks_go_by_age_alone(box: Path, content: str):
    lock_of(box).write_text(content)
    assert not DotLock(str(box), host=HOST, stale=300).acquire()
    age(lock_of(box), 290)
    assert not DotLock(str(box), host=HOST, stale=300).acquire()
    age(lock_of(box), 310)
    assert DotLock(str(box), host=HOST, stale=300).acquire()


def test_a_live_lock_that_is_old_is_broken_and_its_owner_hears_of_it(box: Path):
    first = DotLock(str(box), host=HOST, stale=300)
    assert first.acquire()
    age(lock_of(box), 310)
    second = DotLock(str(box), host=HOST, stale=300)
    assert second.acquire()
    with pytest.raises(Transient, match="broken by another"):
        first.refresh()
    first.release()
    assert lock_of(box).exists(), "the new owner's lock must stay"


def test_refresh_keeps_a_lock_young(box: Path):
    first = DotLock(str(box), host=HOST, stale=300)
    assert first.acquire()
    age(lock_of(box), 310)
    first.refresh()
    assert not DotLock(str(box), host=HOST, stale=300).acquire()


def test_refresh_tells_when_the_lock_was_removed(box: Path):
    lock = DotLock(str(box), host=HOST)
    assert lock.acquire()
    lock_of(box).unlink()
    with pytest.raises(Transient):
        lock.refresh()


def test_a_symbolic_link_in_place_of_the_lock_is_neither_followed_nor_broken_young(box: Path, tmp_path: Path):
    victim = tmp_path / "victim"
    victim.write_text(f"{dead_pid()}:{HOST}")
    lock_of(box).symlink_to(victim)
    assert not DotLock(str(box), host=HOST).acquire()
    assert victim.exists()


def test_an_unreadable_stale_lock_is_broken_by_age(box: Path, tmp_path: Path):
    # A symbolic link cannot be opened without following it: like a file we may not read.
    lock_of(box).symlink_to(tmp_path / "nowhere")
    old = time.time() - 1000
    os.utime(lock_of(box), (old, old), follow_symlinks=False)
    assert DotLock(str(box), host=HOST, stale=300).acquire()


def test_only_one_breaks_a_stale_lock(box: Path):
    lock_of(box).write_text("0")
    age(lock_of(box), 1000)
    with lock_of(box).open() as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert not DotLock(str(box), host=HOST, stale=300).acquire()
    assert DotLock(str(box), host=HOST, stale=300).acquire()


@pytest.mark.parametrize("kind", [LockKind.FCNTL, LockKind.FLOCK])
def test_kernel_locks_shut_out_other_processes(box: Path, fd: int, kind: LockKind):
    call = "lockf" if kind is LockKind.FCNTL else "flock"
    script = f"import fcntl,sys; f=open(sys.argv[1],'r+'); fcntl.{call}(f, fcntl.LOCK_EX|fcntl.LOCK_NB)"

    def other_gets_it() -> bool:
        return (
            subprocess.run([sys.executable, "-c", script, str(box)], capture_output=True, check=False).returncode == 0
        )

    assert other_gets_it()
    lock = KernelLock(kind, fd)
    assert lock.acquire()
    assert not other_gets_it()
    lock.refresh()
    lock.release()
    assert other_gets_it()


@pytest.mark.parametrize("kind", [LockKind.FCNTL, LockKind.FLOCK])
def test_kernel_locks_hold_between_threads_and_survive_another_close(box: Path, fd: int, kind: LockKind):
    other = os.open(box, os.O_RDWR)
    lock = KernelLock(kind, fd)
    assert lock.acquire()
    assert not KernelLock(kind, other).acquire()
    os.close(other)
    third = os.open(box, os.O_RDWR)
    assert not KernelLock(kind, third).acquire()
    os.close(third)


def test_an_impossible_descriptor_is_an_error_not_a_wait(box: Path, clock: FakeClock):
    with (
        pytest.raises(OSError, match="Bad file") as caught,
        hold(str(box), -1, LockPolicy(order=(LockKind.DOTLOCK, LockKind.FLOCK)), clock.clock()),
    ):
        pass
    assert caught.value.errno == errno.EBADF
    assert not lock_of(box).exists()
    assert clock.naps == []


@pytest.mark.parametrize(
    "order",
    [
        (),
        (LockKind.DOTLOCK,),
        (LockKind.FCNTL, LockKind.DOTLOCK),
        (LockKind.DOTLOCK, LockKind.FCNTL, LockKind.FLOCK),
    ],
)
def test_hold_takes_what_the_policy_says_and_gives_it_back(
    box: Path, fd: int, order: tuple[LockKind, ...], clock: FakeClock
):
    with hold(str(box), fd, LockPolicy(order=order), clock.clock()):
        assert lock_of(box).exists() == (LockKind.DOTLOCK in order)
    assert not lock_of(box).exists()
    assert clock.naps == []


def test_waiting_backs_off_and_ends_with_451_after_the_stated_time(box: Path, fd: int, clock: FakeClock):
    lock_of(box).write_text("0")
    with (
        pytest.raises(Transient) as caught,
        hold(str(box), fd, LockPolicy(order=(LockKind.DOTLOCK,), wait=10), clock.clock()),
    ):
        pass
    assert (caught.value.reply.code, caught.value.reply.status) == (451, "4.2.0")
    assert 10 <= clock.time < 10.5
    assert clock.naps[0] < 0.01
    assert max(clock.naps) <= 0.25
    assert clock.naps == sorted(clock.naps)


def test_a_lock_given_back_meanwhile_is_taken(box: Path, fd: int):
    class Helpful(FakeClock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            if len(self.naps) == 3:
                lock_of(box).unlink()

    clock = Helpful()
    lock_of(box).write_text("0")
    with hold(str(box), fd, LockPolicy(), clock.clock()):
        assert len(clock.naps) == 3


def test_nothing_is_kept_while_waiting_so_that_other_orders_cannot_deadlock(box: Path, fd: int):
    seen: list[bool] = []

    class Watching(FakeClock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            seen.append(lock_of(box).exists())

    other = os.open(box, os.O_RDWR)
    assert KernelLock(LockKind.FCNTL, other).acquire()
    with pytest.raises(Transient), hold(str(box), fd, LockPolicy(wait=1), Watching().clock()):
        pass
    os.close(other)
    assert seen
    assert not any(seen)
    assert not lock_of(box).exists()


def test_long_work_refreshes_the_dot_lock_now_and_then(box: Path, fd: int, clock: FakeClock):
    with hold(str(box), fd, LockPolicy(stale=300), clock.clock()) as held:
        age(lock_of(box), 200)
        held.refresh()
        assert time.time() - lock_of(box).stat().st_mtime > 100
        clock.time += 61
        held.refresh()
        assert time.time() - lock_of(box).stat().st_mtime < 100


def refuse(*_: object, **__: object) -> None:
    raise PermissionError(errno.EACCES, "read-only spool directory")


def test_a_directory_we_may_not_write_to_is_451(box: Path, fd: int, clock: FakeClock, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(DotLock, "_make_unique", refuse)
    with (
        pytest.raises(Transient, match="directory is not writable") as caught,
        hold(str(box), fd, LockPolicy(), clock.clock()),
    ):
        pass
    assert caught.value.reply.code == 451


def test_going_on_without_the_dot_lock_is_the_administrators_choice(
    box: Path, fd: int, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(DotLock, "_make_unique", refuse)
    with hold(str(box), fd, LockPolicy(dotlock_optional=True), clock.clock()):
        other = os.open(box, os.O_RDWR)
        assert not KernelLock(LockKind.FCNTL, other).acquire()
        os.close(other)


def test_never_without_any_lock(box: Path, fd: int, clock: FakeClock, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(DotLock, "_make_unique", refuse)
    policy = LockPolicy(order=(LockKind.DOTLOCK,), dotlock_optional=True)
    with pytest.raises(Transient), hold(str(box), fd, policy, clock.clock()):
        pass


def test_a_full_disk_is_told_as_such(box: Path, fd: int, clock: FakeClock, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(DotLock, "_make_unique", full)
    with pytest.raises(OSError, match="full"), hold(str(box), fd, LockPolicy(), clock.clock()):
        pass
