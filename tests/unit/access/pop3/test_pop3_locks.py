"""The lock of a maildrop: one session of an account at a time, in this process and in all."""

import os
import subprocess
import sys

import pytest

from penfold.access.pop3 import MemoryLocks, RangeLocks
from penfold.access.pop3.lock import _place
from penfold.store import AccountId

ADA, BOB = AccountId("a-ada"), AccountId("a-bob")

_OTHER = """
import os, sys
from penfold.access.pop3 import RangeLocks
locks = RangeLocks(os.open(sys.argv[1], os.O_RDWR))
print(*(int(locks.take(account)) for account in sys.argv[2:]), flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def descriptor(tmp_path):
    descriptor = os.open(tmp_path / "pop3.lock", os.O_RDWR | os.O_CREAT, 0o600)
    yield descriptor
    os.close(descriptor)


def other(tmp_path, *accounts):
    return subprocess.Popen(
        [sys.executable, "-c", _OTHER, str(tmp_path / "pop3.lock"), *accounts],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_lock_is_taken_once_and_given_back(descriptor):
    for locks in (MemoryLocks(), RangeLocks(descriptor)):
        assert locks.take(ADA)
        assert not locks.take(ADA)
        assert locks.take(BOB)
        locks.release(ADA)
        locks.release(ADA)
        assert locks.take(ADA)
        assert not locks.take(BOB)


def test_a_lock_holds_over_processes_and_ends_with_the_one_that_has_it(descriptor, tmp_path):
    locks = RangeLocks(descriptor)
    assert locks.take(BOB)
    process = other(tmp_path, ADA, BOB)
    assert process.stdout is not None
    assert process.stdout.readline() == "1 0\n"
    assert not locks.take(ADA)
    process.kill()
    process.communicate()
    assert locks.take(ADA)


def test_a_lock_given_back_is_free_for_other_processes(descriptor, tmp_path):
    locks = RangeLocks(descriptor)
    assert locks.take(BOB)
    locks.release(BOB)
    process = other(tmp_path, BOB)
    assert process.communicate("\n")[0] == "1\n"


def test_two_accounts_at_one_place_wait_for_one_another(descriptor, monkeypatch):
    monkeypatch.setattr("penfold.access.pop3.lock._place", lambda _: 7)
    locks = RangeLocks(descriptor)
    assert locks.take(ADA)
    assert not locks.take(BOB)
    locks.release(BOB)
    assert not locks.take(BOB)
    locks.release(ADA)
    assert locks.take(BOB)


def test_a_lock_that_cannot_be_asked_for_is_no_lock(tmp_path):
    path = tmp_path / "lock"
    path.write_bytes(b"")
    descriptor = os.open(path, os.O_RDONLY)
    locks = RangeLocks(descriptor)
    with pytest.raises(OSError, match="Bad file"):
        locks.take(ADA)
    os.close(descriptor)
    assert ADA not in locks._held


def test_places_fit_into_a_file_offset_and_differ():
    places = {_place(AccountId(f"account{number}")) for number in range(10_000)}
    assert len(places) == 10_000
    assert 0 <= min(places) <= max(places) < 1 << 62
