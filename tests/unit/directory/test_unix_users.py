import errno
import os
import pwd

import pytest

from penfold.directory.nss import User, first_user, user_by_login
from penfold.directory.passwd import PasswdDirectory
from penfold.model import Transient
from penfold.routing import Found, Missing, NotNow

ALICE = User("alice", 1000, 100, "Alice", "/home/alice")
DAEMON = User("daemon", 1, 1, "", "/")


def broken(_login):
    raise OSError(errno.EIO, "down")


def test_a_user_of_the_range_is_an_account_with_its_mailbox():
    account = PasswdDirectory(find={"alice": ALICE}.get, format="maildir", path="{home}/Maildir").account("ALICE")
    assert (account.id, account.kind, account.mailer) == ("alice", "unix", "unix")
    assert (account.uid, account.gid, account.home, account.path) == (1000, 100, "/home/alice", "/home/alice/Maildir")


def test_system_users_have_no_mailbox_unless_named():
    users = {"daemon": DAEMON}
    assert PasswdDirectory(find=users.get).account("daemon") is None
    assert PasswdDirectory(find=users.get, extra=frozenset({"daemon"})).account("daemon").uid == 1


def test_a_database_that_is_down_is_not_now_and_not_remembered():
    directory = PasswdDirectory(find=broken, first=lambda _low, _high: broken(""))
    for key in ("alice", ""):
        assert isinstance(directory.lookup(key), NotNow)
    with pytest.raises(Transient):
        directory.account("alice")


def test_answers_are_kept_for_a_while():
    asked, now = [], [0.0]

    def find(login):
        asked.append(login)
        return ALICE if login == "alice" else None

    directory = PasswdDirectory(find=find, keep=10.0, clock=lambda: now[0])
    for _ in range(3):
        assert isinstance(directory.lookup("alice"), Found)
        assert isinstance(directory.lookup("bob"), Missing)
    assert asked == ["alice", "bob"]
    now[0] = 10.5
    directory.lookup("alice")
    assert asked == ["alice", "bob", "alice"]


def test_memory_is_bounded_however_many_names_are_tried():
    directory = PasswdDirectory(find=lambda _login: None)
    for number in range(10_050):
        directory.lookup(f"u{number}")
    assert len(directory._kept) <= 10_000


def test_postmaster_is_the_named_user():
    directory = PasswdDirectory(find={"alice": ALICE}.get, postmaster="alice")
    assert directory.lookup("").values == ("unix alice",)


def test_the_systems_own_users_are_found():
    me = pwd.getpwuid(os.geteuid())
    assert user_by_login(me.pw_name) == User(me.pw_name, me.pw_uid, me.pw_gid, me.pw_gecos.partition(",")[0], me.pw_dir)
    assert user_by_login("no-such-user-here") is None
    assert user_by_login("") is None
    assert user_by_login("é") is None
    assert first_user(me.pw_uid, me.pw_uid).uid == me.pw_uid
    assert first_user(4_000_000_000, 4_000_000_001) is None
